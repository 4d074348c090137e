/* Hedged reads (base/hedge.h, db_postgres.h): where the first statement of a replica's read is not
 * answered for longer than nearly all are, it is asked at another replica too, and the read goes on
 * where it was answered first. Later statements belong to that one's moment and are not hedged: who
 * answered the first is awake.
 *
 * A second question costs an idle connection and no more: none is opened for it, nobody is waited
 * for, and no replica asked that would first have to say how far it is; where there is none, it is
 * tried again after twice as long. The connection that was
 * slower is closed, with whatever is on its way there. On the reading thread.
 */
#include "backend/db/db_postgres.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/metrics.h"

#include <poll.h>

enum { WAIT_MS_MAX = 60 * 1000, HEDGE_MOST_US = 60 * 1000 * 1000 };

/* Takes in what came; true once the next answer can be read without waiting (or never will be). */
static bool has_answered(struct postgres_connection *connection)
{
    return PQconsumeInput(connection->handle) != 1 || PQisBusy(connection->handle) == 0;
}

/* Waits for one of them: 0 or 1, or -1 when until_us or the reader's deadline is over. */
static int wait_for(struct postgres_connection *const connections[], unsigned count,
                    int64_t until_us)
{
    for (;;) {
        struct pollfd fds[2];
        for (unsigned i = 0; i < count; i++) {
            if (has_answered(connections[i])) {
                return (int)i;
            }
            fds[i] = (struct pollfd){.fd = PQsocket(connections[i]->handle), .events = POLLIN};
        }
        int64_t left_us = until_us - clock_monotonic_us();
        if (left_us <= 0 || call_is_late()) {
            return -1;
        }
        int64_t left_ms = (left_us + 999) / 1000;
        (void)poll(fds, count,
                   (int)call_remaining_ms(left_ms < WAIT_MS_MAX ? left_ms : WAIT_MS_MAX));
    }
}

/* Asks another replica the same; false: nobody could be asked. */
static bool ask_second(struct postgres_session *session, const char *sql,
                       const struct db_value *binds, unsigned count)
{
    struct postgres_db *db = (struct postgres_db *)session->base.db;
    struct postgres_second *second = session->second;
    second->replica = postgres_other_replica(db, second->first);
    if (second->replica == NULL) {
        return false;
    }
    struct postgres_connection *connection = postgres_take_idle(&second->replica->pool);
    if (connection == NULL) {
        return false;
    }
    bool asked = connection->replayed >= (uint64_t)db_view_seen(&db->base) &&
                 hedge_take(&db->hedge) && postgres_begin(db, connection, false) == 0 &&
                 postgres_send_statement(connection, sql, binds, count) == 0 &&
                 postgres_sync(connection) == 0;
    if (!asked) {
        connection->lost = connection->lost || connection->in_flight_count > 0;
        postgres_give_back(&second->replica->pool, connection);
        return false;
    }
    second->connection = connection;
    metric_add(db->hedged, 1);
    return true;
}

/* Both were asked: the session goes on at the first that answers. */
static void choose(struct postgres_session *session)
{
    struct postgres_db *db = (struct postgres_db *)session->base.db;
    struct postgres_connection *both[2] = {session->connection, session->second->connection};
    int first = wait_for(both, 2, INT64_MAX);
    first = first < 0 ? 0 : first; /* late: who reads the answer finds that out */
    both[1 - first]->lost = true;
    session->connection = both[first];
    metric_add(db->hedges_won, first == 1);
}

int postgres_hedged(struct postgres_session *session, const char *sql, const struct db_value *binds,
                    unsigned count, PGresult **ret_result)
{
    struct postgres_db *db = (struct postgres_db *)session->base.db;
    session->second->settled = true;
    *ret_result = NULL;
    int r = postgres_sync(session->connection);
    if (r < 0) {
        return r;
    }
    int64_t began_us = clock_monotonic_us(), after_us = hedge_after_us(&db->hedge);
    while (after_us < HEDGE_MOST_US && session->second->connection == NULL &&
           wait_for(&session->connection, 1, began_us + after_us) < 0 && !call_is_late()) {
        if (ask_second(session, sql, binds, count)) {
            choose(session);
        }
        after_us *= 2; /* nobody could be asked? Again then */
    }
    r = postgres_answers(session->connection, ret_result);
    hedge_note(&db->hedge, clock_monotonic_us() - began_us);
    return r;
}
