/* Erasure of a person's library (user.deleted), in the write that moves the consumer's position:
 * the event and all that goes are in the users database. Bus threads. What is left is a mark, since
 * a token outlives its person by some minutes, and each write asks for it. */
#include "service/library/library_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/library/marks.h"
#include "service/library/playlists/playlists.h"
#include "service/library/queue.h"
#include "service/store_util.h"

static int mark_erased(struct db_session *session, int64_t user_id)
{
    return changed_any(db_exec(session,
                               "INSERT INTO library_erased (user_id, erased_at) VALUES ($1, $2) "
                               "ON CONFLICT (user_id) DO NOTHING",
                               DB_BIND(db_int(user_id), db_int(clock_wall_ms()))));
}

int library_alive(struct db_session *session, struct call *call)
{
    struct db_rows *rows = NULL;
    bool erased = false;
    int error = db_query(session, &rows, "SELECT erased_at FROM library_erased WHERE user_id = $1",
                         DB_BIND(db_int(call->actor.user_id)));
    error = error != 0 ? error : rows_exist(rows, &erased);
    return error == 0 && erased
               ? problem_set(&call->problem, ERR_UNAUTHENTICATED, "The account is gone")
               : error;
}

static const char *const types[] = {"user.deleted", NULL};

static int erase(struct db_session *session, void *context, const struct event *event)
{
    int64_t user_id = 0;
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    (void)context;
    int error = json_is_id(json_object_get(payload, "userId"), &user_id) ? 0 : ERR_CORRUPT;
    error = error != 0 ? error : mark_erased(session, user_id);
    error = error != 0 ? error : mark_erase_person(session, user_id);
    error = error != 0 ? error : queue_erase_person(session, user_id);
    return error != 0 ? error : playlist_erase_person(session, user_id, clock_wall_ms());
}

int erase_subscribe(struct library *library)
{
    const struct bus_consumer consumer = {
        .name = "library.erase", .types = types, .from_start = 1, .handle_in = erase};
    return bus_subscribe(library->bus, library->users, &consumer);
}
