/* The consumer that makes edges forget: all of a track that is deleted, and what they hold of it
 * once another file of it plays. Runs on the bus's threads, one event at a time; told twice, an
 * edge has forgotten twice. An edge that does not say so makes the event come again.
 *
 * Told too early, an edge could fetch anew from a process that has not heard of the deletion: its
 * cache looks at the outbox ten times a second. So an event is a second old before edges hear of
 * it, and a deleted track's objects are gone by then, since a store may be asked without us. */
#include "service/streaming/streaming_internal.h"

#include "backend/bus/bus.h"
#include "backend/edge/edge.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { AGE_MS = 1000 };

#define CONSUMER "streaming.edges"

static const char deleted[] = "track.deleted", ready[] = "track.ready";
static const char *const types[] = {deleted, ready, NULL};

static const char *const gone_types[] = {deleted, NULL};

/* Of this file, and of from_store_gone.c. */
const struct bus_interest streaming_interests[] = {
    {CONSUMER, types}, {"streaming.gone", gone_types}, {NULL, NULL}};

static void wait_for_age(const struct event *event)
{
    int64_t left_ms = event->created_ms + AGE_MS - clock_wall_ms();
    if (left_ms > 0) {
        left_ms = left_ms < AGE_MS ? left_ms : AGE_MS; /* whatever the clocks say */
        const struct timespec pause = clock_timespec(left_ms);
        (void)nanosleep(&pause, NULL);
    }
}

static int forget(struct streaming *streaming, const struct event *event, int64_t track_id)
{
    char path[64];
    char digits[ID_TEXT_SIZE];
    (void)snprintf(path, sizeof path, "/m/%s/", id_format(track_id, digits));
    int error = strcmp(event->type, deleted) == 0
                    ? catalog_track_objects_remove(streaming->catalog, track_id)
                    : 0;
    if (error != 0) {
        return error;
    }
    wait_for_age(event);
    return edges_purge(streaming->edges, path);
}

static int handle(void *context, const struct event *event)
{
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    int64_t track_id = 0;
    if (!json_is_id(json_object_get(payload, "trackId"), &track_id)) {
        return ERR_CORRUPT;
    }
    bool first = strcmp(event->type, ready) == 0 &&
                 json_integer_value(json_object_get(payload, "version")) <= 1;
    return first ? 0 : forget(context, event, track_id); /* nobody has had anything of it yet */
}

int streaming_unsubscribe(struct streaming *streaming, const struct bus_interest *interest)
{
    struct bus_unseen unseen;
    int error = bus_unseen_look(streaming->db, interest, &unseen);
    if (error == ERR_NOT_FOUND) {
        return 0;
    }
    return error != 0 ? error : bus_forget(streaming->db, interest->consumer);
}

int streaming_subscribe(struct streaming *streaming)
{
    int error = from_store_subscribe(streaming);
    if (error != 0 || streaming->edges == NULL) {
        return error != 0 ? error : streaming_unsubscribe(streaming, &streaming_interests[0]);
    }
    const struct bus_consumer consumer = {
        .name = CONSUMER, .types = types, .handle = handle, .context = streaming};
    return bus_subscribe(streaming->bus, streaming->db, &consumer);
}
