/* A deleted track stops playing from an S3 store too (streaming.h): a URL that was signed before
 * can't be taken back, so the objects go as soon as the deletion is heard of, and not only with the
 * sweep that comes when edges' tokens have run out. On the bus's thread. */
#include "service/streaming/streaming_internal.h"

#include "backend/bus/bus.h"
#include "base/error.h"
#include "base/json.h"

static int handle(void *context, const struct event *event)
{
    struct streaming *streaming = context;
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    int64_t track_id = 0;
    return json_is_id(json_object_get(payload, "trackId"), &track_id)
               ? catalog_track_objects_remove(streaming->catalog, track_id)
               : ERR_CORRUPT;
}

int from_store_subscribe(struct streaming *streaming)
{
    const struct bus_interest *interest = &streaming_interests[1];
    const struct bus_consumer consumer = {.name = interest->consumer,
                                          .types = interest->types,
                                          .from_start = 1,
                                          .handle = handle,
                                          .context = streaming};
    return streaming->from_store ? bus_subscribe(streaming->bus, streaming->db, &consumer)
                                 : streaming_unsubscribe(streaming, interest);
}
