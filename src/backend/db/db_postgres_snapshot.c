/* Snapshots of a PostgreSQL database (db.h): a session of its own with an open read transaction,
 * which sees one moment for as long as it lasts, hinders nobody, and whose rows are copied table by
 * table into a database of another engine: a file that any installation can take. Checking is here
 * too, and putting aside. Used by one thread at a time.
 *
 * Rows come one by one (libpq's single-row mode) and binary, so that values are bound from where
 * they arrived; a batch of them is in memory. Tables go in the order in which they were made, so
 * that what is referred to is there.
 */
#include "backend/db/db_postgres.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/problem.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_ROWS = 500, COLUMNS_MAX = 64, SQL_BYTES_MAX = 16 * 1024 };
enum { TYPE_BYTEA = 17, TYPE_INT8 = 20, TYPE_TEXT = 25, TYPE_FLOAT8 = 701 }; /* pg_type.dat */

struct postgres_snapshot {
    struct db_snapshot base;
    struct postgres_db *db;
    PGconn *handle;
};

/* What tells of the database itself stays out. */
static const char tables_sql[] = "SELECT relname FROM pg_class WHERE relkind = 'r'"
                                 " AND relnamespace = CAST(current_schema() AS regnamespace)"
                                 " AND relname NOT IN ('db_migration', 'db_position') ORDER BY oid";

void postgres_snapshot_free(struct db_snapshot *base)
{
    struct postgres_snapshot *snapshot = (struct postgres_snapshot *)base;
    PQfinish(snapshot->handle);
    free(snapshot);
}

static int cannot(struct postgres_db *db, int r, const char *what, struct problem *problem)
{
    r = r == POSTGRES_LOST || r == POSTGRES_AGAIN ? ERR_UNAVAILABLE : r;
    return problem_set(problem, r, "The database %s can't be %s: %s", db->base.name, what,
                       db_words()[0] != '\0' ? db_words() : error_title(r));
}

int postgres_snapshot_take(struct db *base, struct db_snapshot **ret_snapshot,
                           struct problem *problem)
{
    struct postgres_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL) {
        return ERR_NO_MEMORY;
    }
    bool pooled = false;
    snapshot->base.engine = &db_engine_postgres;
    snapshot->db = (struct postgres_db *)base;
    db_words_set(NULL);
    int r =
        postgres_connect(snapshot->db, &snapshot->db->direct.address, &snapshot->handle, &pooled);
    static const char *const steps[] = {
        "SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SELECT COUNT(*) FROM db_position", /* the moment is that of the first read */
    };
    for (unsigned i = 0; r == 0 && i < sizeof steps / sizeof steps[0]; i++) {
        r = postgres_ask(snapshot->handle, steps[i], NULL, 0, NULL, 0);
    }
    if (r < 0) {
        (void)cannot(snapshot->db, r, "read", problem);
        postgres_snapshot_free(&snapshot->base);
        return r == POSTGRES_LOST || r == POSTGRES_AGAIN ? ERR_UNAVAILABLE : r;
    }
    *ret_snapshot = &snapshot->base;
    return 0;
}

int postgres_snapshot_copy(struct db_snapshot *base, const char *path,
                           const struct db_progress *progress, struct problem *problem)
{
    (void)base;
    (void)progress;
    return problem_set(problem, ERR_UNSUPPORTED, "%s: a database of PostgreSQL is no file", path);
}

/* ---- Rows ---- */

struct batch {
    const char *insert;
    PGresult *rows[BATCH_ROWS]; /* one each */
    unsigned count, columns;
    int64_t bytes;
};

static struct db_value value_of(const PGresult *row, int column)
{
    if (PQgetisnull(row, 0, column) == 1) {
        return db_null();
    }
    const char *bytes = PQgetvalue(row, 0, column);
    uint64_t number = 0;
    double real = 0;
    switch (PQftype(row, column)) {
    case TYPE_INT8:
        memcpy(&number, bytes, sizeof number);
        return db_int((int64_t)be64toh(number));
    case TYPE_FLOAT8:
        memcpy(&number, bytes, sizeof number);
        number = be64toh(number);
        memcpy(&real, &number, sizeof real);
        return db_real(real);
    case TYPE_BYTEA:
        return db_blob(bytes, (size_t)PQgetlength(row, 0, column));
    default:
        return db_text(bytes);
    }
}

static int insert_batch(struct db_session *session, void *argument)
{
    const struct batch *batch = argument;
    struct db_value values[COLUMNS_MAX];
    int r = 0;
    for (unsigned i = 0; r >= 0 && i < batch->count; i++) {
        for (unsigned column = 0; column < batch->columns; column++) {
            values[column] = value_of(batch->rows[i], (int)column);
        }
        r = db_exec(session, batch->insert, values, batch->columns);
    }
    return r < 0 ? r : 0;
}

static void empty(struct batch *batch)
{
    while (batch->count > 0) {
        PQclear(batch->rows[--batch->count]);
    }
}

static int put_batch(struct batch *batch, struct db *to)
{
    int r = batch->count > 0 ? db_write(to, insert_batch, batch) : 0;
    empty(batch);
    return r;
}

/* "INSERT INTO t (a, b) VALUES ($1, $2)" by what a result's columns are called. */
static const char *insert_of(struct arena *arena, const char *table, const PGresult *row)
{
    struct buffer sql;
    buffer_init(&sql, SQL_BYTES_MAX);
    (void)buffer_printf(&sql, "INSERT INTO \"%s\" (", table);
    for (int i = 0; i < PQnfields(row); i++) {
        (void)buffer_printf(&sql, "%s\"%s\"", i > 0 ? ", " : "", PQfname(row, i));
    }
    (void)buffer_add(&sql, ") VALUES (");
    for (int i = 0; i < PQnfields(row); i++) {
        (void)buffer_printf(&sql, "%s$%d", i > 0 ? ", " : "", i + 1);
    }
    (void)buffer_add(&sql, ")");
    const char *made = buffer_error(&sql) == 0 ? arena_strdup(arena, sql.data) : NULL;
    buffer_done(&sql);
    return made;
}

struct transfer {
    struct postgres_snapshot *snapshot;
    struct db *to;
    struct arena *arena; /* of statements, whose addresses must stay apart */
    const struct db_progress *progress;
    int64_t bytes;
    struct batch batch;
};

static int take_row(struct transfer *transfer, const char *table, PGresult *row)
{
    struct batch *batch = &transfer->batch;
    if (batch->insert == NULL) {
        batch->columns = (unsigned)PQnfields(row);
        batch->insert =
            batch->columns <= COLUMNS_MAX ? insert_of(transfer->arena, table, row) : NULL;
        if (batch->insert == NULL) {
            PQclear(row);
            return ERR_NO_MEMORY;
        }
    }
    batch->rows[batch->count++] = row;
    for (unsigned i = 0; i < batch->columns; i++) {
        transfer->bytes += PQgetlength(row, 0, (int)i);
    }
    if (batch->count < BATCH_ROWS) {
        return 0;
    }
    if (transfer->progress != NULL) {
        transfer->progress->show(transfer->progress->argument, transfer->bytes, 0);
    }
    return put_batch(batch, transfer->to);
}

/* Reads all rows to the end, also after an error, so that the connection can go on. */
static int take_rows(struct transfer *transfer, const char *table)
{
    struct postgres_connection plain = {.handle = transfer->snapshot->handle};
    int r = 0;
    for (PGresult *row; (row = PQgetResult(plain.handle)) != NULL;) {
        ExecStatusType status = PQresultStatus(row);
        if (status == PGRES_SINGLE_TUPLE && r == 0) {
            r = take_row(transfer, table, row);
            continue;
        }
        if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK && r == 0) {
            r = postgres_error(&plain, row, table);
        }
        PQclear(row);
    }
    return r;
}

static int transfer_table(struct transfer *transfer, const char *table)
{
    PGconn *handle = transfer->snapshot->handle;
    char sql[256];
    (void)snprintf(sql, sizeof sql, "SELECT * FROM \"%s\"", table);
    transfer->batch.insert = NULL;
    if (PQsendQueryParams(handle, sql, 0, NULL, NULL, NULL, NULL, 1) != 1 ||
        PQsetSingleRowMode(handle) != 1) {
        return POSTGRES_LOST;
    }
    int r = take_rows(transfer, table);
    int put = r < 0 ? 0 : put_batch(&transfer->batch, transfer->to);
    empty(&transfer->batch);
    return r < 0 ? r : put;
}

static int transfer_all(struct transfer *transfer)
{
    struct postgres_connection plain = {.handle = transfer->snapshot->handle};
    PGresult *tables = PQexec(plain.handle, tables_sql);
    int r =
        PQresultStatus(tables) == PGRES_TUPLES_OK ? 0 : postgres_error(&plain, tables, tables_sql);
    for (int i = 0; r == 0 && i < PQntuples(tables); i++) {
        r = transfer_table(transfer, PQgetvalue(tables, i, 0));
    }
    PQclear(tables);
    return r;
}

static int transfer_birth(struct transfer *transfer)
{
    char text[32] = "";
    int r = postgres_ask(transfer->snapshot->handle, "SELECT MIN(applied_at) FROM db_migration",
                         NULL, 0, text, sizeof text);
    return r < 0 || text[0] == '\0' ? r : db_born_at(transfer->to, strtoll(text, NULL, 10));
}

int postgres_snapshot_transfer(struct db_snapshot *base, struct db *to,
                               const struct db_progress *progress, struct problem *problem)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    struct arena *arena = arena_new(0);
    int r = ERR_NO_MEMORY;
    if (transfer != NULL && arena != NULL) {
        *transfer = (struct transfer){.snapshot = (struct postgres_snapshot *)base,
                                      .to = to,
                                      .arena = arena,
                                      .progress = progress};
        db_words_set(NULL);
        r = transfer_all(transfer);
        r = r < 0 ? r : transfer_birth(transfer);
    }
    if (r < 0) {
        r = cannot(((struct postgres_snapshot *)base)->db, r, "copied", problem);
    }
    arena_free(arena);
    free(transfer);
    return r;
}

/* ---- Looking, holding, putting aside ---- */

/* Reads every page of every table; where the server has checksums it compares them. */
static int read_all(PGconn *handle)
{
    struct postgres_connection plain = {.handle = handle};
    PGresult *tables = PQexec(handle, tables_sql);
    int r =
        PQresultStatus(tables) == PGRES_TUPLES_OK ? 0 : postgres_error(&plain, tables, tables_sql);
    for (int i = 0; r == 0 && i < PQntuples(tables); i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql, "SELECT COUNT(t) FROM \"%s\" t", PQgetvalue(tables, i, 0));
        r = postgres_ask(handle, sql, NULL, 0, NULL, 0);
    }
    PQclear(tables);
    return r;
}

/* The first right that its work needs and the user lacks, "" none: to read and write, and to alter,
 * which takes an owner, for the migrations of later versions. */
static const char lacks_sql[] =
    "SELECT COALESCE((SELECT words FROM (SELECT 0, 'to make tables' FROM pg_namespace WHERE"
    " oid = CAST(current_schema() AS regnamespace) AND NOT has_schema_privilege(oid, 'CREATE')"
    " UNION ALL SELECT 1, p.name || ' of the table ' || c.relname FROM pg_class c,"
    " (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p (name)"
    " WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)"
    " AND NOT has_table_privilege(c.oid, p.name)"
    " UNION ALL SELECT 2, 'to alter the table ' || c.relname FROM pg_class c"
    " WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)"
    " AND NOT pg_has_role(c.relowner, 'USAGE')) AS lack (rank, words) ORDER BY rank, words LIMIT "
    "1),"
    " '')";

static int refuse_rights(struct postgres_db *db, PGconn *handle, struct problem *problem)
{
    char lack[160] = "";
    int r = postgres_ask(handle, lacks_sql, NULL, 0, lack, sizeof lack);
    if (r < 0) {
        return cannot(db, r, "asked for our rights", problem);
    }
    return lack[0] == '\0' ? 0
                           : problem_set(problem, ERR_FORBIDDEN,
                                         "The user of the database %s at %s lacks the "
                                         "right %s",
                                         db->base.name, db->primary.address.shown, lack);
}

int postgres_check(struct db *base, struct problem *problem)
{
    struct postgres_db *db = (struct postgres_db *)base;
    struct db_snapshot *snapshot = NULL;
    int r = postgres_snapshot_take(base, &snapshot, problem);
    if (r < 0) {
        return r;
    }
    PGconn *handle = ((struct postgres_snapshot *)snapshot)->handle;
    if ((r = refuse_rights(db, handle, problem)) < 0) {
        postgres_snapshot_free(snapshot);
        return r;
    }
    r = read_all(handle);
    postgres_snapshot_free(snapshot);
    return r == ERR_CORRUPT
               ? problem_set(problem, r, "The database %s is damaged: %s", base->name, db_words())
           : r < 0 ? cannot(db, r, "gone through", problem)
                   : 0;
}

/* Writers wait, readers don't. */
int postgres_hold(struct db_session *session)
{
    return postgres_script(session,
                           "DO $$ DECLARE one regclass; BEGIN FOR one IN"
                           " SELECT oid FROM pg_class WHERE relkind = 'r' AND"
                           " relnamespace = CAST(current_schema() AS regnamespace) ORDER BY oid"
                           " LOOP EXECUTE format('LOCK TABLE %s IN SHARE MODE', one);"
                           " END LOOP; END $$");
}

static int rename_schema(struct db_session *session, void *argument)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "DO $$ DECLARE mine TEXT := current_schema(); BEGIN"
                   " EXECUTE format('ALTER SCHEMA %%I RENAME TO %%I', mine, '%s');"
                   " EXECUTE format('CREATE SCHEMA %%I', mine); END $$",
                   (const char *)argument);
    int r = postgres_script(session, sql);
    return r < 0 ? r : postgres_script(session, db_migrations[0].sql);
}

int postgres_put_aside(struct db *base, const char *name)
{
    int r = postgres_write_alone(base, rename_schema, (void *)(uintptr_t)name);
    postgres_pool_drop(&((struct postgres_db *)base)->primary); /* what is prepared is of then */
    return r;
}
