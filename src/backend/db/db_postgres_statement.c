/* PostgreSQL's statements (db_postgres.h): prepared once per connection and kept under the address
 * of their text; behind a pooler sent unnamed, each time anew. On the thread that has the
 * connection.
 *
 * Values travel as text, but for blobs, and have no types of ours: the server infers them from the
 * statement, which tests/contract/pg_sql_check proves for all of them. Results come as text and
 * whole: a statement's LIMIT bounds them. A kept text is hashed before use: if a caller breaks the
 * rule that texts are literals, the statement is prepared anew instead of being the wrong one.
 */
#include "backend/db/db_postgres.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOOL_TYPE = 16 }; /* pg_type.dat */

/* A blob, decoded. */
struct postgres_bytes {
    struct postgres_bytes *next;
    unsigned char bytes[];
};

/* A statement that does not fit is a bug of ours: it is told at once, where its text is known. */
static int bug(const char *sql, const char *words)
{
    db_words_set(words);
    log_event(LOG_ERROR, "db.statement", log_text("error", words), log_text("sql", sql));
    return ERR_INTERNAL;
}

/* FNV-1a. */
static uint64_t hash_of(const char *sql)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *sql != '\0'; sql++) {
        hash = (hash ^ (unsigned char)*sql) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static struct postgres_kept *slot_of(struct postgres_connection *connection, const char *sql)
{
    unsigned at = (unsigned)(((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 54);
    struct postgres_kept *slot = &connection->kept[at % POSTGRES_BUCKETS];
    while (slot->sql != NULL && slot->sql != sql) { /* never full: half of them are free */
        slot = &connection->kept[++at % POSTGRES_BUCKETS];
    }
    return slot;
}

static void name_of(unsigned number, char name[16])
{
    (void)snprintf(name, 16, "t%u", number);
}

/* Finds the name under which a text is prepared; sends it to be prepared where it isn't. "": more
 * than are kept, unnamed. */
static int find(struct postgres_connection *connection, const char *sql, char name[16])
{
    name[0] = '\0';
    if (connection->kept == NULL) {
        connection->kept = calloc(POSTGRES_BUCKETS, sizeof *connection->kept);
        if (connection->kept == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    struct postgres_kept *slot = slot_of(connection, sql);
    uint64_t hash = hash_of(sql);
    if (slot->sql == sql && slot->hash == hash) {
        name_of(slot->number, name);
        return 0;
    }
    if (slot->sql == NULL && connection->kept_count >= POSTGRES_STATEMENTS_MAX) {
        return 0;
    }
    connection->kept_count += slot->sql == NULL ? 1 : 0;
    *slot = (struct postgres_kept){.sql = sql, .hash = hash, .number = ++connection->numbers};
    name_of(slot->number, name);
    int sent = PQsendPrepare(connection->handle, name, sql, 0, NULL);
    connection->preparing = slot;
    return postgres_sent(connection, sent, STEP_PREPARE);
}

/* A statement that could not be prepared is not kept: its place stays taken, but no text fits it.
 */
static void forget_unprepared(struct postgres_connection *connection)
{
    if (connection->preparing != NULL) {
        connection->preparing->hash = 0;
        connection->preparing = NULL;
    }
}

struct values {
    const char *texts[POSTGRES_PARAMETERS_MAX];
    int lengths[POSTGRES_PARAMETERS_MAX], formats[POSTGRES_PARAMETERS_MAX];
    char numbers[POSTGRES_PARAMETERS_MAX][28];
};

static void set_value(struct values *values, unsigned at, const struct db_value *value)
{
    values->formats[at] = 0;
    values->texts[at] = values->numbers[at];
    switch (value->kind) {
    case DB_INT_:
        (void)snprintf(values->numbers[at], sizeof values->numbers[at], "%" PRId64, value->integer);
        break;
    case DB_REAL_:
        (void)snprintf(values->numbers[at], sizeof values->numbers[at], "%.17g", value->real);
        break;
    case DB_TEXT_:
        values->texts[at] = value->bytes;
        break;
    case DB_BLOB_:
        values->texts[at] = value->bytes != NULL ? value->bytes : "";
        values->lengths[at] = (int)value->length;
        values->formats[at] = 1;
        break;
    case DB_NULL_:
    default:
        values->texts[at] = NULL;
        break;
    }
}

int postgres_send_statement(struct postgres_connection *connection, const char *sql,
                            const struct db_value *binds, unsigned count)
{
    struct values values;
    for (unsigned i = 0; i < count; i++) {
        if (binds[i].kind == DB_BLOB_ && binds[i].length > INT32_MAX) {
            return ERR_TOO_LARGE;
        }
        set_value(&values, i, &binds[i]);
    }
    char name[16] = "";
    int r = connection->pooled ? 0 : find(connection, sql, name);
    if (r < 0) {
        return r;
    }
    int sent = name[0] != '\0'
                   ? PQsendQueryPrepared(connection->handle, name, (int)count, values.texts,
                                         values.lengths, values.formats, 0)
                   : PQsendQueryParams(connection->handle, sql, (int)count, NULL, values.texts,
                                       values.lengths, values.formats, 0);
    return postgres_sent(connection, sent, STEP_RESULT);
}

/* What the session's transaction died of decides whether its work is run again. */
static int fail(struct postgres_session *session, int r)
{
    struct postgres_connection *connection = session->connection;
    forget_unprepared(connection);
    if (r == POSTGRES_AGAIN || r == POSTGRES_LOST) {
        session->failure = r;
        return r == POSTGRES_AGAIN ? ERR_BUSY : ERR_UNAVAILABLE;
    }
    return r;
}

static int run(struct db_session *base, const char *sql, const struct db_value *binds,
               unsigned count, PGresult **ret_result)
{
    struct postgres_session *session = (struct postgres_session *)base;
    if (count > POSTGRES_PARAMETERS_MAX) {
        return bug(sql, "too many parameters");
    }
    int r = postgres_send_statement(session->connection, sql, binds, count);
    if (r == 0) {
        bool hedged = session->second != NULL && !session->second->settled;
        r = hedged ? postgres_hedged(session, sql, binds, count, ret_result)
                   : postgres_flush(session->connection, ret_result);
    }
    if (r == ERR_INTERNAL) {
        char words[DB_WORDS_MAX];
        (void)snprintf(words, sizeof words, "%s", db_words());
        (void)bug(sql, words);
    }
    return r < 0 ? fail(session, r) : 0;
}

/* How many rows a statement changed; 0 for one that only read. */
static int changes(PGresult *result)
{
    bool reads = strncmp(PQcmdStatus(result), "SELECT", 6) == 0;
    return reads ? 0 : (int)strtol(PQcmdTuples(result), NULL, 10);
}

int postgres_exec(struct db_session *base, const char *sql, const struct db_value *binds,
                  unsigned count)
{
    struct postgres_session *session = (struct postgres_session *)base;
    PGresult *result = NULL;
    int r = run(base, sql, binds, count, &result);
    if (r < 0) {
        return r;
    }
    r = changes(result);
    session->changed = session->changed || r > 0;
    PQclear(result);
    return r;
}

int postgres_query(struct db_session *base, struct db_rows **ret_rows, const char *sql,
                   const struct db_value *binds, unsigned count)
{
    struct postgres_session *session = (struct postgres_session *)base;
    struct postgres_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) {
        return ERR_NO_MEMORY;
    }
    int r = run(base, sql, binds, count, &rows->result);
    if (r < 0) {
        free(rows);
        return r;
    }
    struct postgres_connection *connection = session->connection; /* that answered */
    session->changed = session->changed || changes(rows->result) > 0;
    rows->base = (struct db_rows){.magic = DB_ROWS_MAGIC, .engine = &db_engine_postgres};
    rows->connection = connection;
    rows->row = -1;
    rows->count = PQntuples(rows->result);
    rows->next = connection->open;
    rows->link = &connection->open;
    if (rows->next != NULL) {
        rows->next->link = &rows->next;
    }
    connection->open = rows;
    *ret_rows = &rows->base;
    return 0;
}

/* Many statements at once are the simple protocol's, which a pipeline has no place for. */
int postgres_script(struct db_session *base, const char *sql)
{
    struct postgres_session *session = (struct postgres_session *)base;
    struct postgres_connection *connection = session->connection;
    int r = postgres_flush(connection, NULL);
    if (r == 0 && PQexitPipelineMode(connection->handle) != 1) {
        r = postgres_error(connection, NULL, NULL);
    }
    if (r < 0) {
        return fail(session, r);
    }
    session->scripted = true;
    PGresult *result = PQexec(connection->handle, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        r = postgres_error(connection, result, "a migration");
    }
    PQclear(result);
    if (PQenterPipelineMode(connection->handle) != 1) {
        connection->lost = true;
    }
    return r < 0 ? fail(session, r) : 0;
}

static struct postgres_rows *rows_of(struct db_rows *base)
{
    assert(base->magic == DB_ROWS_MAGIC);
    return (struct postgres_rows *)base;
}

static void free_decoded(struct postgres_rows *rows)
{
    while (rows->decoded != NULL) {
        struct postgres_bytes *decoded = rows->decoded;
        rows->decoded = decoded->next;
        free(decoded);
    }
}

int postgres_next(struct db_rows *base)
{
    struct postgres_rows *rows = rows_of(base);
    free_decoded(rows);
    if (rows->row + 1 >= rows->count) {
        rows->row = rows->count;
        return 0;
    }
    rows->row++;
    return 1;
}

void postgres_rows_done(struct db_rows *base)
{
    struct postgres_rows *rows = rows_of(base);
    *rows->link = rows->next;
    if (rows->next != NULL) {
        rows->next->link = rows->link;
    }
    free_decoded(rows);
    PQclear(rows->result);
    base->magic = 0;
    free(rows);
}

bool postgres_is_null(struct db_rows *base, unsigned column)
{
    const struct postgres_rows *rows = rows_of(base);
    return PQgetisnull(rows->result, rows->row, (int)column) == 1;
}

int64_t postgres_get_int(struct db_rows *base, unsigned column)
{
    const struct postgres_rows *rows = rows_of(base);
    const char *text = PQgetvalue(rows->result, rows->row, (int)column);
    if (PQftype(rows->result, (int)column) == BOOL_TYPE) {
        return text[0] == 't';
    }
    return strtoll(text, NULL, 10); /* "" of NULL is 0 */
}

double postgres_get_real(struct db_rows *base, unsigned column)
{
    const struct postgres_rows *rows = rows_of(base);
    return strtod(PQgetvalue(rows->result, rows->row, (int)column), NULL);
}

const char *postgres_get_text(struct db_rows *base, unsigned column)
{
    const struct postgres_rows *rows = rows_of(base);
    return postgres_is_null(base, column) ? NULL : PQgetvalue(rows->result, rows->row, (int)column);
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* "\x00ff07", the server's form of a blob. */
const void *postgres_get_blob(struct db_rows *base, unsigned column, size_t *ret_length)
{
    struct postgres_rows *rows = rows_of(base);
    *ret_length = 0;
    if (postgres_is_null(base, column)) {
        return NULL;
    }
    const char *hex = PQgetvalue(rows->result, rows->row, (int)column);
    size_t length = (size_t)PQgetlength(rows->result, rows->row, (int)column);
    if (length < 2 || hex[0] != '\\') {
        *ret_length = length; /* a text */
        return hex;
    }
    length = (length - 2) / 2;
    struct postgres_bytes *decoded = malloc(sizeof *decoded + length + 1);
    if (decoded == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        decoded->bytes[i] = (unsigned char)(digit(hex[2 + 2 * i]) << 4 | digit(hex[3 + 2 * i]));
    }
    decoded->next = rows->decoded;
    rows->decoded = decoded;
    *ret_length = length;
    return decoded->bytes;
}
