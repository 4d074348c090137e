/* SQLite's statements (db_sqlite.h): prepared once per connection and kept under the address of
 * their text, bound by name, stepped, reset. On the thread that has the connection.
 *
 * SQLite numbers $1 … $n by first appearance, not by their digits, so each statement keeps a map
 * from our number to SQLite's. A kept text is compared before use: if a caller breaks the rule that
 * texts are literals, the statement is prepared anew instead of being the wrong one. A statement
 * whose rows are still open is not used twice; the second user gets one of his own, not kept.
 */
#include "backend/db/db_sqlite.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMETERS_MAX = 128 };

struct sqlite_statement {
    struct db_rows rows; /* first: what the caller holds */
    struct sqlite_connection *connection;
    struct db_session *session; /* while rows are open */
    sqlite3_stmt *handle;
    const char *sql;               /* the key, by address */
    struct sqlite_statement *next; /* in its bucket */
    struct sqlite_statement *busy_next, **busy_link;
    uint64_t used;
    bool kept, busy;
    unsigned parameter_count;
    unsigned char parameters[]; /* SQLite's number of $1, $2, … */
};

int sqlite_error(sqlite3 *handle, int code)
{
    db_words_set(handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(code));
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return ERR_EXISTS;
    case SQLITE_IOERR_SHMSIZE: /* one byte at the end of a file that is to be longer */
        db_words_set(strerror(ENOSPC));
        return ERR_DISK_FULL;
    default:
        break;
    }
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return ERR_CONFLICT;
    case SQLITE_FULL:
        return ERR_DISK_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_IOERR:
        return ERR_IO;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return ERR_UNAVAILABLE;
    case SQLITE_TOOBIG:
        return ERR_TOO_LARGE;
    case SQLITE_INTERRUPT: /* a reader past its deadline: nothing else interrupts */
        return ERR_TIMEOUT;
    default:
        return ERR_INTERNAL;
    }
}

/* A statement that does not fit the tables or its values is a bug of ours, never the world's: it is
 * told at once, here, where its text is known. */
static int bug(const char *sql, const char *words)
{
    db_words_set(words);
    log_event(LOG_ERROR, "db.statement", log_text("error", words), log_text("sql", sql));
    return ERR_INTERNAL;
}

static unsigned bucket_of(const char *sql)
{
    return (unsigned)(((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 58) % SQLITE_BUCKETS;
}

static void statement_free(struct sqlite_statement *statement)
{
    (void)sqlite3_finalize(statement->handle);
    free(statement);
}

/* Fills the map of parameters; false when they are not $1 … $n, each used. */
static bool map_parameters(struct sqlite_statement *statement)
{
    unsigned count = statement->parameter_count;
    for (unsigned i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(statement->handle, (int)i);
        long number = name != NULL && name[0] == '$' ? strtol(name + 1, NULL, 10) : 0;
        if (number < 1 || number > (long)count || statement->parameters[number - 1] != 0) {
            return false;
        }
        statement->parameters[number - 1] = (unsigned char)i;
    }
    return true;
}

static int prepare(struct sqlite_connection *connection, const char *sql,
                   struct sqlite_statement **ret_statement)
{
    sqlite3_stmt *handle;
    int code =
        sqlite3_prepare_v3(connection->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (code != SQLITE_OK) {
        int r = sqlite_error(connection->handle, code);
        return r == ERR_INTERNAL ? bug(sql, sqlite3_errmsg(connection->handle)) : r;
    }
    int count = handle != NULL ? sqlite3_bind_parameter_count(handle) : -1;
    if (count < 0 || count > PARAMETERS_MAX) {
        (void)sqlite3_finalize(handle);
        return bug(sql, "no statement, or too many parameters");
    }
    struct sqlite_statement *statement = calloc(1, sizeof *statement + (size_t)count);
    if (statement == NULL) {
        (void)sqlite3_finalize(handle);
        return ERR_NO_MEMORY;
    }
    statement->rows = (struct db_rows){.magic = DB_ROWS_MAGIC, .engine = &db_engine_sqlite};
    statement->connection = connection;
    statement->handle = handle;
    statement->sql = sql;
    statement->parameter_count = (unsigned)count;
    if (!map_parameters(statement)) {
        statement_free(statement);
        return bug(sql, "parameters must be $1 to $n, all of them used");
    }
    *ret_statement = statement;
    return 0;
}

static void unkeep(struct sqlite_connection *connection, struct sqlite_statement *statement)
{
    struct sqlite_statement **link = &connection->buckets[bucket_of(statement->sql)];
    while (*link != statement) {
        link = &(*link)->next;
    }
    *link = statement->next;
    connection->statement_count--;
    statement->kept = false;
    if (!statement->busy) {
        statement_free(statement);
    } /* else sqlite_rows_done frees it */
}

static void forget_least_used(struct sqlite_connection *connection)
{
    struct sqlite_statement *least = NULL;
    for (unsigned i = 0; i < SQLITE_BUCKETS; i++) {
        for (struct sqlite_statement *s = connection->buckets[i]; s != NULL; s = s->next) {
            if (least == NULL || s->used < least->used) {
                least = s;
            }
        }
    }
    if (least != NULL) {
        unkeep(connection, least);
    }
}

static int find(struct sqlite_connection *connection, const char *sql,
                struct sqlite_statement **ret_statement)
{
    struct sqlite_statement **bucket = &connection->buckets[bucket_of(sql)];
    struct sqlite_statement *statement = *bucket;
    while (statement != NULL && statement->sql != sql) {
        statement = statement->next;
    }
    if (statement != NULL && !statement->busy) {
        if (strcmp(sqlite3_sql(statement->handle), sql) == 0) {
            statement->used = ++connection->clock;
            *ret_statement = statement;
            return 0;
        }
        unkeep(connection, statement);
        statement = NULL;
    }
    struct sqlite_statement *fresh = NULL;
    int r = prepare(connection, sql, &fresh);
    if (r < 0) {
        return r;
    }
    if (statement == NULL) {
        if (connection->statement_count >= SQLITE_STATEMENTS_MAX) {
            forget_least_used(connection);
        }
        fresh->kept = true;
        fresh->used = ++connection->clock;
        fresh->next = *bucket;
        *bucket = fresh;
        connection->statement_count++;
    }
    *ret_statement = fresh;
    return 0;
}

static int bind_one(sqlite3_stmt *handle, int at, const struct db_value *value)
{
    switch (value->kind) {
    case DB_INT_:
        return sqlite3_bind_int64(handle, at, value->integer);
    case DB_REAL_:
        return sqlite3_bind_double(handle, at, value->real);
    case DB_TEXT_:
        return sqlite3_bind_text64(handle, at, value->bytes, value->length, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case DB_BLOB_:
        /* A NULL pointer would bind NULL: an empty blob has no bytes to point to. */
        return sqlite3_bind_blob64(handle, at, value->bytes != NULL ? value->bytes : "",
                                   value->length, SQLITE_STATIC);
    case DB_NULL_:
    default:
        return sqlite3_bind_null(handle, at);
    }
}

static int bind_all(struct sqlite_statement *statement, const struct db_value *binds,
                    unsigned count)
{
    if (count != statement->parameter_count) {
        return bug(statement->sql, "another number of values than of parameters");
    }
    for (unsigned i = 0; i < count; i++) {
        int code = bind_one(statement->handle, statement->parameters[i], &binds[i]);
        if (code != SQLITE_OK) {
            return sqlite_error(statement->connection->handle, code);
        }
    }
    return 0;
}

static void mark_busy(struct sqlite_statement *statement, struct db_session *session)
{
    struct sqlite_connection *connection = statement->connection;
    statement->busy = true;
    statement->session = session;
    statement->busy_next = connection->busy;
    statement->busy_link = &connection->busy;
    if (connection->busy != NULL) {
        connection->busy->busy_link = &statement->busy_next;
    }
    connection->busy = statement;
}

int sqlite_query(struct db_session *session, struct db_rows **ret_rows, const char *sql,
                 const struct db_value *binds, unsigned count)
{
    struct sqlite_connection *connection = ((struct sqlite_session *)session)->connection;
    struct sqlite_statement *statement;
    int r = find(connection, sql, &statement);
    if (r < 0) {
        return r;
    }
    mark_busy(statement, session);
    r = bind_all(statement, binds, count);
    if (r >= 0 && !session->writes && !sqlite3_stmt_readonly(statement->handle)) {
        r = bug(sql, "a write in db_read");
    }
    if (r < 0) {
        sqlite_rows_done(&statement->rows);
        return r;
    }
    *ret_rows = &statement->rows;
    return 0;
}

int sqlite_next(struct db_rows *rows)
{
    struct sqlite_statement *statement = (struct sqlite_statement *)rows;
    int code = sqlite3_step(statement->handle);
    if (code == SQLITE_ROW) {
        return 1;
    }
    if (code == SQLITE_DONE) {
        return 0;
    }
    int r = sqlite_error(statement->connection->handle, code);
    if (statement->session->error == 0) {
        statement->session->error = r;
    }
    return r;
}

int sqlite_exec(struct db_session *session, const char *sql, const struct db_value *binds,
                unsigned count)
{
    struct sqlite_connection *connection = ((struct sqlite_session *)session)->connection;
    struct db_rows *rows = NULL;
    int r = sqlite_query(session, &rows, sql, binds, count);
    if (r < 0) {
        return r;
    }
    do {
        r = sqlite_next(rows);
    } while (r == 1);
    bool reads = sqlite3_stmt_readonly(((struct sqlite_statement *)rows)->handle) != 0;
    sqlite_rows_done(rows);
    return r < 0 || reads ? r : sqlite3_changes(connection->handle);
}

void sqlite_rows_done(struct db_rows *rows)
{
    struct sqlite_statement *statement = (struct sqlite_statement *)rows;
    assert(statement->busy);
    (void)sqlite3_reset(statement->handle);
    (void)sqlite3_clear_bindings(statement->handle); /* what they point to is the caller's */
    *statement->busy_link = statement->busy_next;
    if (statement->busy_next != NULL) {
        statement->busy_next->busy_link = statement->busy_link;
    }
    statement->busy = false;
    statement->session = NULL;
    if (!statement->kept) {
        statement_free(statement);
    }
}

void sqlite_statements_reset(struct sqlite_connection *connection)
{
    while (connection->busy != NULL) {
        sqlite_rows_done(&connection->busy->rows);
    }
}

void sqlite_connection_trim(struct sqlite_connection *connection)
{
    assert(connection->busy == NULL);
    for (unsigned i = 0; i < SQLITE_BUCKETS; i++) {
        while (connection->buckets[i] != NULL) {
            unkeep(connection, connection->buckets[i]);
        }
    }
    (void)sqlite3_db_release_memory(connection->handle);
}

int sqlite_script(struct db_session *session, const char *sql)
{
    struct sqlite_session *own = (struct sqlite_session *)session;
    own->scripted = true;
    int code = sqlite3_exec(own->connection->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sqlite_error(own->connection->handle, code);
}

static sqlite3_stmt *handle_of(struct db_rows *rows)
{
    assert(rows->magic == DB_ROWS_MAGIC);
    return ((struct sqlite_statement *)rows)->handle;
}

bool sqlite_is_null(struct db_rows *rows, unsigned column)
{
    return sqlite3_column_type(handle_of(rows), (int)column) == SQLITE_NULL;
}

int64_t sqlite_get_int(struct db_rows *rows, unsigned column)
{
    return sqlite3_column_int64(handle_of(rows), (int)column);
}

double sqlite_get_real(struct db_rows *rows, unsigned column)
{
    return sqlite3_column_double(handle_of(rows), (int)column);
}

const char *sqlite_get_text(struct db_rows *rows, unsigned column)
{
    return (const char *)sqlite3_column_text(handle_of(rows), (int)column);
}

const void *sqlite_get_blob(struct db_rows *rows, unsigned column, size_t *ret_length)
{
    sqlite3_stmt *handle = handle_of(rows);
    const void *bytes = sqlite3_column_blob(handle, (int)column);
    *ret_length = (size_t)sqlite3_column_bytes(handle, (int)column);
    if (bytes == NULL && sqlite3_column_type(handle, (int)column) != SQLITE_NULL) {
        return ""; /* an empty blob is not NULL */
    }
    return bytes;
}
