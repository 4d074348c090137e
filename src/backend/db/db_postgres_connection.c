/* One connection to PostgreSQL (db_postgres.h): its set-up, its statements in flight, its errors.
 *
 * Statements are sent by libpq's pipeline mode: BEGIN travels with the first statement and needs no
 * round trip of its own, and so does what is asked along with COMMIT. On the thread that has the
 * connection.
 *
 *   send, send … → flush: a sync, then the answers, in order. After an error the server skips what
 *   follows up to the sync.
 *
 * A pooler that gives each transaction another session is noticed by its own hand: the process
 * number that it told at the start is not the server's. Behind one nothing is prepared and nothing
 * is set for the session.
 */
#include "backend/db/db_postgres.h"

#include "base/call.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS_MAX = 60 * 1000 };

/* The codes of PostgreSQL's manual, appendix A. A row that ends early stands for its class. */
static const struct {
    char state[6];
    int error;
} states[] = {
    {"23505", ERR_EXISTS},      /* unique_violation */
    {"23", ERR_CONFLICT},       /* other constraints */
    {"40", POSTGRES_AGAIN},     /* serialization_failure, deadlock_detected */
    {"25006", POSTGRES_LOST},   /* read_only_sql_transaction: a standby now */
    {"25P03", POSTGRES_LOST},   /* idle_in_transaction_session_timeout */
    {"26000", POSTGRES_AGAIN},  /* a prepared statement is gone: a pooler after all */
    {"42P05", POSTGRES_AGAIN},  /* … or is another session's */
    {"42501", ERR_UNAVAILABLE}, /* insufficient_privilege */
    {"53100", ERR_DISK_FULL},   {"53200", ERR_NO_MEMORY},
    {"53300", ERR_BUSY},                             /* too_many_connections */
    {"53", ERR_UNAVAILABLE},    {"55P03", ERR_BUSY}, /* lock_not_available */
    {"57014", ERR_TIMEOUT},                          /* query_canceled, by statement_timeout */
    {"57P", POSTGRES_LOST},                          /* shutdown, crash, start */
    {"08", POSTGRES_LOST},                           /* connections */
    {"58030", ERR_IO},          {"58", ERR_UNAVAILABLE},
    {"XX001", ERR_CORRUPT}, /* data_corrupted */
    {"XX002", ERR_CORRUPT}, /* index_corrupted */
    {"54", ERR_TOO_LARGE},
};

/* "cached plan must not change result type": a newer version has changed the tables. SERIALIZABLE
 * on a standby: it was a primary when we connected. Both have this state. */
static int unsupported(struct postgres_connection *connection)
{
    connection->lost = true;
    return POSTGRES_LOST;
}

static int error_of(struct postgres_connection *connection, const char *state)
{
    if (strcmp(state, "0A000") == 0) {
        return unsupported(connection);
    }
    if (strcmp(state, "25006") == 0 && connection->read_only) {
        return ERR_INTERNAL; /* a write in db_read */
    }
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (strncmp(state, states[i].state, strlen(states[i].state)) == 0) {
            return states[i].error;
        }
    }
    return ERR_INTERNAL;
}

/* The first line, which has it all but for hints. */
static void keep_words(const char *words)
{
    char line[DB_WORDS_MAX];
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(words, "\n"), words);
    db_words_set(line);
}

int postgres_error(struct postgres_connection *connection, const PGresult *result, const char *sql)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (state == NULL) {
        keep_words(PQerrorMessage(connection->handle));
        connection->lost = true;
        return POSTGRES_LOST;
    }
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    keep_words(words != NULL ? words : state);
    int r = error_of(connection, state);
    if (r == ERR_INTERNAL &&
        sql != NULL) { /* does not fit the tables or its values: a bug of ours */
        log_event(LOG_ERROR, "db.statement", log_text("error", db_words()),
                  log_text("state", state), log_text("sql", sql));
    }
    connection->lost = connection->lost || r == POSTGRES_LOST;
    connection->pooled =
        connection->pooled || strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0;
    return r;
}

/* ---- Statements in flight ---- */

int postgres_sent(struct postgres_connection *connection, int sent, enum postgres_step step)
{
    if (sent != 1) {
        keep_words(PQerrorMessage(connection->handle));
        connection->lost = true;
        return POSTGRES_LOST;
    }
    assert(connection->in_flight_count < POSTGRES_IN_FLIGHT_MAX);
    connection->in_flight[connection->in_flight_count++] = step;
    return 0;
}

int postgres_send(struct postgres_connection *connection, const char *sql, enum postgres_step step)
{
    return postgres_sent(
        connection, PQsendQueryParams(connection->handle, sql, 0, NULL, NULL, NULL, NULL, 0), step);
}

/* Tells the server to end what runs. When it does is not known: the connection is not used again.
 */
static void cancel(struct postgres_connection *connection)
{
    char words[256];
    PGcancel *cancel = PQgetCancel(connection->handle);
    (void)PQcancel(cancel, words, sizeof words);
    PQfreeCancel(cancel);
    connection->cancelled = true;
}

/* Waits for the next answer; a read is ended at its caller's deadline. */
static void wait_for_answer(struct postgres_connection *connection)
{
    if (!connection->read_only || call_deadline_ms() == 0) {
        return; /* libpq waits */
    }
    while (!connection->cancelled && PQisBusy(connection->handle) == 1) {
        struct pollfd fd = {.fd = PQsocket(connection->handle), .events = POLLIN};
        (void)poll(&fd, 1, (int)call_remaining_ms(ANSWER_MS_MAX));
        if (call_is_late()) {
            cancel(connection);
        }
        if (PQconsumeInput(connection->handle) != 1) {
            return;
        }
    }
}

/* The answer of one statement: its result, and NULL behind it. */
static PGresult *next_result(struct postgres_connection *connection)
{
    wait_for_answer(connection);
    PGresult *result = PQgetResult(connection->handle);
    if (result != NULL) {
        PQclear(PQgetResult(connection->handle));
    }
    return result;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Reads what was sent up to the last sync. */
int postgres_answers(struct postgres_connection *connection, PGresult **ret_result)
{
    int r = 0;
    PGresult *wanted = NULL;
    for (unsigned i = 0; i < connection->in_flight_count && !connection->lost; i++) {
        PGresult *result = next_result(connection);
        if (result != NULL && is_good(result)) {
            if (connection->in_flight[i] == STEP_TRANSACTION) {
                connection->transaction = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
            } else if (connection->in_flight[i] == STEP_PREPARE) {
                connection->preparing = NULL;
            } else if (connection->in_flight[i] == STEP_RESULT) {
                PQclear(wanted);
                wanted = TAKE_PTR(result);
            }
        } else if (r == 0) {
            r = postgres_error(connection, result, NULL);
        }
        PQclear(result);
    }
    connection->in_flight_count = 0;
    if (!connection->lost) {
        wait_for_answer(connection);
        PGresult *sync = PQgetResult(connection->handle);
        if (PQresultStatus(sync) != PGRES_PIPELINE_SYNC) {
            connection->lost = true;
            r = r != 0 ? r : postgres_error(connection, NULL, NULL);
        }
        PQclear(sync);
    }
    connection->lost = connection->lost || connection->cancelled;
    if (r < 0 || ret_result == NULL) {
        PQclear(TAKE_PTR(wanted));
    }
    if (ret_result != NULL) {
        *ret_result = wanted;
    }
    return r;
}

int postgres_sync(struct postgres_connection *connection)
{
    if (connection->lost || PQpipelineSync(connection->handle) != 1) {
        keep_words(PQerrorMessage(connection->handle));
        connection->lost = true;
        connection->in_flight_count = 0;
        return POSTGRES_LOST;
    }
    return 0;
}

int postgres_flush(struct postgres_connection *connection, PGresult **ret_result)
{
    if (ret_result != NULL) {
        *ret_result = NULL;
    }
    int r = postgres_sync(connection);
    return r < 0 ? r : postgres_answers(connection, ret_result);
}

int postgres_settle(struct postgres_connection *connection)
{
    if (!connection->ending) {
        return 0;
    }
    connection->ending = false;
    return postgres_answers(connection, NULL);
}

/* ---- Set-up ---- */

int postgres_ask(PGconn *handle, const char *sql, const char *const *values, unsigned count,
                 char *out, size_t size)
{
    struct postgres_connection plain = {.handle = handle};
    PGresult *result = PQexecParams(handle, sql, (int)count, NULL, values, NULL, NULL, 0);
    int r = is_good(result) ? 0 : postgres_error(&plain, result, sql);
    if (r == 0 && out != NULL) {
        (void)snprintf(out, size, "%s",
                       PQntuples(result) > 0 && PQnfields(result) > 0 ? PQgetvalue(result, 0, 0)
                                                                      : "");
    }
    PQclear(result);
    return r;
}

/* What stands behind a phrase in a line; NULL where it isn't in there. */
static const char *behind(const char *line, const char *phrase)
{
    const char *found = memmem(line, strcspn(line, "\n"), phrase, strlen(phrase));
    return found != NULL ? found + strlen(phrase) : NULL;
}

/* What libpq says when no server was found has a line for each it tried, and hints that begin with
 * a tab or are called DETAIL. The last is about what the person wrote last; where it was tried
 * stands in the address. */
static int no_connection(PGconn *handle)
{
    const char *last = PQerrorMessage(handle);
    for (const char *line = last; *line != '\0'; line += *line == '\n' ? 1 : 0) {
        bool aside = *line == '\t' || strncmp(line, "DETAIL:", 7) == 0;
        last = !aside ? line : last;
        line += strcspn(line, "\n");
    }
    const char *said = behind(last, "FATAL:  ");
    said = said != NULL ? said : behind(last, " failed: ");
    keep_words(said != NULL ? said : last);
    return POSTGRES_LOST;
}

static int set_session(struct postgres_db *db, PGconn *handle)
{
    char statement[16], lock[16];
    (void)snprintf(statement, sizeof statement, "%u", db->statement_ms);
    (void)snprintf(lock, sizeof lock, "%u", db->lock_ms);
    const char *const values[] = {statement, lock};
    return postgres_ask(handle,
                        "SELECT set_config('statement_timeout', $1, false),"
                        " set_config('lock_timeout', $2, false),"
                        " set_config('idle_in_transaction_session_timeout', '60000', false)",
                        values, 2, NULL, 0);
}

static int check_session(struct postgres_db *db, PGconn *handle, bool *ret_pooled)
{
    char number[32];
    if (PQserverVersion(handle) < POSTGRES_VERSION_MIN) {
        (void)snprintf(number, sizeof number, "%d.%d", PQserverVersion(handle) / 10000,
                       PQserverVersion(handle) % 10000);
        char words[128];
        (void)snprintf(words, sizeof words, "it is PostgreSQL %s; Tutti needs 15 or newer", number);
        db_words_set(words);
        return ERR_VERSION;
    }
    int r = postgres_ask(handle, "SELECT pg_backend_pid()", NULL, 0, number, sizeof number);
    *ret_pooled = *ret_pooled || strtol(number, NULL, 10) != PQbackendPID(handle);
    return r < 0 || *ret_pooled ? r : set_session(db, handle);
}

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument;
    (void)result;
}

int postgres_connect(struct postgres_db *db, const struct postgres_address *address,
                     PGconn **ret_handle, bool *ret_pooled)
{
    PGconn *handle = PQconnectdbParams(address->keywords, address->values, 0);
    if (handle == NULL) {
        return ERR_NO_MEMORY;
    }
    bool pooled = address->pooled;
    int r = PQstatus(handle) == CONNECTION_OK ? 0 : no_connection(handle);
    if (r == 0) {
        (void)PQsetNoticeReceiver(handle, ignore_notice, NULL);
        r = check_session(db, handle, &pooled);
    }
    if (r < 0) {
        PQfinish(handle);
        return r;
    }
    *ret_handle = handle;
    *ret_pooled = pooled;
    return 0;
}

void postgres_disconnect(struct postgres_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    while (connection->open != NULL) {
        postgres_rows_done(&connection->open->base);
    }
    PQfinish(connection->handle);
    free(connection->kept);
    free(connection);
}
