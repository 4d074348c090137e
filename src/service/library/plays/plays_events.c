/* The library's consumers around plays: history and counters out of play.recorded, inside the write
 * that moves the consumer's position, so that each play counts exactly once; and erasure. Bus
 * threads. */
#include "service/library/library_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/library/plays/plays.h"

#define HISTORY_CONSUMER "library.history"
#define ERASE_CONSUMER   "library.plays.erase"

static const char *const history_types[] = {"play.recorded", NULL};
static const char *const erase_types[] = {"user.deleted", NULL};

const struct bus_interest library_interests[] = {
    {HISTORY_CONSUMER, history_types},
    {NULL, NULL},
};

static int keep_play(struct db_session *session, void *context, const struct event *event)
{
    struct play play;
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    (void)context;
    return payload != NULL && play_of_event(payload, &play) ? play_apply(session, &play)
                                                            : ERR_CORRUPT;
}

static int erase_work(struct db_session *session, void *argument)
{
    return play_erase_person(session, *(const int64_t *)argument, clock_wall_ms());
}

/* Of another database than the event's: done again after a crash, to the same effect. */
static int erase_person(void *context, const struct event *event)
{
    struct library *library = context;
    int64_t user_id = 0;
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    return json_is_id(json_object_get(payload, "userId"), &user_id)
               ? db_write(library->activity, erase_work, &user_id)
               : ERR_CORRUPT;
}

int plays_subscribe(struct library *library)
{
    const struct bus_consumer history = {
        .name = HISTORY_CONSUMER, .types = history_types, .from_start = 1, .handle_in = keep_play};
    const struct bus_consumer erase = {.name = ERASE_CONSUMER,
                                       .types = erase_types,
                                       .from_start = 1,
                                       .handle = erase_person,
                                       .context = library};
    int error = bus_subscribe(library->bus, library->activity, &history);
    return error != 0 ? error : bus_subscribe(library->bus, library->users, &erase);
}
