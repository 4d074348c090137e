/* Copying a file of SQLite into another database (db_copy.h). The file is read by a connection of
 * its own; rows go over in batches, each a write of the other database that can be run again, since
 * the batch is in memory. Tables go in the order in which they were made, so that what is referred
 * to is there. */
#include "backend/db/db_copy.h"

#include "backend/db/db.h"
#include "backend/rights.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/problem.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

enum {
    ROWS_AT_ONCE = 500,
    BYTES_AT_ONCE = 4 * 1024 * 1024,
    COLUMNS_MAX = 64,
    SQL_BYTES_MAX = 16 * 1024,
    TABLES_MAX = 128,
};

struct table {
    const char *name;
    const char *insert, *count; /* statements for the other database */
    sqlite3_stmt *rows;
    unsigned columns;
    int64_t total;
};

struct batch {
    const struct table *table;
    struct arena *arena;
    struct db_value *values; /* rows × columns */
    unsigned rows;
    bool last; /* there are no more: SQLite would begin anew */
};

static int broken(sqlite3 *file, struct problem *problem)
{
    return problem_set(problem, ERR_IO, "The database can't be read: %s", sqlite3_errmsg(file));
}

static int open_file(const char *path, sqlite3 **ret_file, struct problem *problem)
{
    rights_begin(AT_FDCWD, path); /* it may be root's; its log is opened by the first read */
    int r = sqlite3_open_v2(path, ret_file, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (r == SQLITE_OK) {
        (void)sqlite3_exec(*ret_file, "PRAGMA schema_version", NULL, NULL, NULL);
    }
    rights_end();
    if (r == SQLITE_OK) {
        return 0;
    }
    (void)sqlite3_close(*ret_file);
    return problem_set(problem, ERR_NOT_FOUND, "%s is no database that can be read: %s", path,
                       sqlite3_errstr(r));
}

/* The last one to go removes the log, beside the file. */
static void close_file(const char *path, sqlite3 *file)
{
    rights_begin(AT_FDCWD, path);
    (void)sqlite3_close(file);
    rights_end();
}

static int prepare(sqlite3 *file, const char *sql, sqlite3_stmt **ret_statement,
                   struct problem *problem)
{
    return sqlite3_prepare_v2(file, sql, -1, ret_statement, NULL) == SQLITE_OK
               ? 0
               : broken(file, problem);
}

int db_sqlite_has_table(const char *path, const char *table, int *ret_has, struct problem *problem)
{
    sqlite3 *file = NULL;
    sqlite3_stmt *found = NULL;
    int error = open_file(path, &file, problem);
    if (error != 0) {
        return error;
    }
    error = prepare(file, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", &found,
                    problem);
    if (error == 0) {
        (void)sqlite3_bind_text(found, 1, table, -1, SQLITE_STATIC);
        *ret_has = sqlite3_step(found) == SQLITE_ROW;
    }
    (void)sqlite3_finalize(found);
    close_file(path, file);
    return error;
}

/* Tables. */

static bool is_passed_over(const struct db_copy *copy, const char *name)
{
    for (unsigned i = 0; copy->passed_over != NULL && copy->passed_over[i] != NULL; i++) {
        if (strcmp(copy->passed_over[i], name) == 0) {
            return true;
        }
    }
    return strncmp(name, "sqlite_", strlen("sqlite_")) == 0;
}

static int list_tables(const struct db_copy *copy, sqlite3 *file, const char *names[TABLES_MAX],
                       unsigned *ret_count, struct problem *problem)
{
    sqlite3_stmt *list = NULL;
    unsigned count = 0;
    int error = prepare(file, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid",
                        &list, problem);
    int step = SQLITE_DONE;
    while (error == 0 && (step = sqlite3_step(list)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(list, 0);
        if (is_passed_over(copy, name)) {
            continue;
        }
        names[count] = arena_strdup(copy->statements, name);
        error = count + 1 == TABLES_MAX ? ERR_TOO_LARGE : names[count] == NULL ? ERR_NO_MEMORY : 0;
        count++;
    }
    error = error == 0 && step != SQLITE_DONE ? broken(file, problem) : error;
    (void)sqlite3_finalize(list);
    *ret_count = count;
    return error;
}

/* The rows' statement, whose columns name those of the other statements. */
static int open_rows(sqlite3 *file, struct table *table, struct problem *problem)
{
    char sql[256];
    sqlite3_stmt *count = NULL;
    (void)sqlite3_snprintf(sizeof sql, sql, "SELECT count(*) FROM \"%w\"", table->name);
    int error = prepare(file, sql, &count, problem);
    if (error == 0 && sqlite3_step(count) == SQLITE_ROW) {
        table->total = sqlite3_column_int64(count, 0);
    }
    (void)sqlite3_finalize(count);
    (void)sqlite3_snprintf(sizeof sql, sql, "SELECT * FROM \"%w\"", table->name);
    error = error != 0 ? error : prepare(file, sql, &table->rows, problem);
    table->columns = error == 0 ? (unsigned)sqlite3_column_count(table->rows) : 0;
    return error == 0 && table->columns > COLUMNS_MAX ? ERR_TOO_LARGE : error;
}

/* Their addresses name prepared statements, so they are kept as long as the database is open. */
static int write_statements(const struct db_copy *copy, struct table *table)
{
    struct buffer sql;
    buffer_init(&sql, SQL_BYTES_MAX);
    (void)buffer_printf(&sql, "INSERT INTO %s (", table->name);
    for (unsigned i = 0; i < table->columns; i++) {
        (void)buffer_printf(&sql, "%s%s", i > 0 ? ", " : "",
                            sqlite3_column_name(table->rows, (int)i));
    }
    (void)buffer_add(&sql, ") VALUES (");
    for (unsigned i = 0; i < table->columns; i++) {
        (void)buffer_printf(&sql, "%s$%u", i > 0 ? ", " : "", i + 1);
    }
    (void)buffer_add(&sql, ") ON CONFLICT DO NOTHING");
    int error = buffer_error(&sql);
    table->insert = error == 0 ? arena_strdup(copy->statements, sql.data) : NULL;
    table->count = arena_printf(copy->statements, "SELECT count(*) FROM %s", table->name);
    buffer_done(&sql);
    return error != 0 ? error : table->insert == NULL || table->count == NULL ? ERR_NO_MEMORY : 0;
}

/* Rows. */

static int take_value(struct batch *batch, sqlite3_stmt *rows, unsigned column,
                      struct db_value *ret_value)
{
    int at = (int)column;
    int type = sqlite3_column_type(rows, at);
    if (type == SQLITE_NULL || type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
        *ret_value = type == SQLITE_NULL      ? db_null()
                     : type == SQLITE_INTEGER ? db_int(sqlite3_column_int64(rows, at))
                                              : db_real(sqlite3_column_double(rows, at));
        return 0;
    }
    const void *bytes = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(rows, at)
                                            : sqlite3_column_blob(rows, at);
    size_t length = (size_t)sqlite3_column_bytes(rows, at);
    char *copy = arena_alloc(batch->arena, length + 1);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    copy[length] = '\0';
    *ret_value = type == SQLITE_TEXT ? db_text(copy) : db_blob(copy, length);
    return 0;
}

static int fill(struct batch *batch, sqlite3 *file, struct problem *problem)
{
    const struct table *table = batch->table;
    int step = SQLITE_ROW, error = 0;
    batch->rows = 0;
    batch->values =
        arena_array(batch->arena, (size_t)ROWS_AT_ONCE * table->columns, sizeof *batch->values);
    if (batch->values == NULL) {
        return ERR_NO_MEMORY;
    }
    while (error == 0 && batch->rows < ROWS_AT_ONCE && arena_bytes(batch->arena) < BYTES_AT_ONCE &&
           (step = sqlite3_step(table->rows)) == SQLITE_ROW) {
        for (unsigned i = 0; error == 0 && i < table->columns; i++) {
            error = take_value(batch, table->rows, i,
                               &batch->values[(size_t)batch->rows * table->columns + i]);
        }
        batch->rows++;
    }
    batch->last = step == SQLITE_DONE;
    return error == 0 && step != SQLITE_ROW && step != SQLITE_DONE ? broken(file, problem) : error;
}

static int insert_work(struct db_session *session, void *argument)
{
    const struct batch *batch = argument;
    const struct table *table = batch->table;
    for (unsigned row = 0; row < batch->rows; row++) {
        int changed = db_exec(session, table->insert, &batch->values[(size_t)row * table->columns],
                              table->columns);
        if (changed < 0) {
            return changed;
        }
    }
    return 0;
}

struct counting {
    const char *sql;
    int64_t rows;
};

static int count_work(struct db_session *session, void *argument)
{
    struct counting *counting = argument;
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows, counting->sql, DB_NO_BIND);
    int r = error != 0 ? error : db_next(rows);
    if (r == 1) {
        counting->rows = db_get_int(rows, 0);
    }
    return r < 0 ? r : 0;
}

static int copy_rows(const struct db_copy *copy, sqlite3 *file, const struct table *table,
                     struct problem *problem)
{
    int64_t done = 0;
    for (bool more = true; more;) {
        struct batch batch = {.table = table, .arena = arena_new(0)};
        int error = batch.arena != NULL ? fill(&batch, file, problem) : ERR_NO_MEMORY;
        more = !batch.last;
        if (error == 0 && batch.rows > 0) {
            error = db_write(copy->to, insert_work, &batch);
        }
        done += batch.rows;
        arena_free(batch.arena);
        if (error != 0) {
            return error == ERR_IO
                       ? error
                       : problem_set(problem, error, "The table %s can't be written: %s",
                                     table->name, db_words());
        }
        if (copy->show != NULL) {
            copy->show(copy->argument, table->name, done, table->total);
        }
    }
    return 0;
}

static int check_count(const struct db_copy *copy, const struct table *table,
                       struct problem *problem)
{
    struct counting counting = {.sql = table->count};
    int error = db_write(copy->to, count_work, &counting); /* a write's session: no replica */
    if (error != 0) {
        return problem_set(problem, error, "The table %s can't be counted: %s", table->name,
                           db_words());
    }
    return counting.rows == table->total
               ? 0
               : problem_set(problem, ERR_CONFLICT,
                             "The table %s has %lld rows there and %lld here: that database held "
                             "others; copy into an empty one",
                             table->name, (long long)counting.rows, (long long)table->total);
}

static int copy_table(const struct db_copy *copy, sqlite3 *file, const char *name,
                      int64_t *ret_rows, struct problem *problem)
{
    struct table table = {.name = name};
    int error = open_rows(file, &table, problem);
    error = error != 0 ? error : write_statements(copy, &table);
    error = error != 0 ? error : copy_rows(copy, file, &table, problem);
    error = error != 0 ? error : check_count(copy, &table, problem);
    (void)sqlite3_finalize(table.rows);
    *ret_rows += table.total;
    return error;
}

/* The other database is as old as the file, though its migrations are its own. */
static int copy_birth(const struct db_copy *copy, sqlite3 *file, struct problem *problem)
{
    sqlite3_stmt *born = NULL;
    int64_t born_ms = INT64_MAX;
    int error = prepare(file, "SELECT MIN(applied_at) FROM db_migration", &born, problem);
    if (error == 0 && sqlite3_step(born) == SQLITE_ROW &&
        sqlite3_column_type(born, 0) == SQLITE_INTEGER) {
        born_ms = sqlite3_column_int64(born, 0);
    }
    (void)sqlite3_finalize(born);
    return error != 0 ? error : db_born_at(copy->to, born_ms);
}

int db_copy_sqlite(const struct db_copy *copy, int64_t *ret_rows, struct problem *problem)
{
    const char *names[TABLES_MAX];
    unsigned count = 0;
    sqlite3 *file = NULL;
    int error = open_file(copy->path, &file, problem);
    if (error != 0) {
        return error;
    }
    *ret_rows = 0;
    error = list_tables(copy, file, names, &count, problem);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = copy_table(copy, file, names[i], ret_rows, problem);
    }
    error = error != 0 ? error : copy_birth(copy, file, problem);
    close_file(copy->path, file);
    return error;
}
