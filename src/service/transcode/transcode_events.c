/* The consumer that makes jobs of the catalog's events, in the bus's write that goes over them;
 * told again an event changes nothing. */
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/trace.h"
#include "service/transcode/transcode_internal.h"
#include "service/transcode/transcode_store.h"

#include <string.h>

struct delivery {
    const json_t *payload;
    int64_t now_ms;
};

static int64_t id_of(const json_t *payload, const char *name)
{
    int64_t id = 0;
    return json_is_id(json_object_get(payload, name), &id) ? id : 0;
}

static int insert(struct db_session *session, const struct delivery *delivery, enum job_kind kind,
                  int64_t subject_id, int64_t version)
{
    struct job_row job = {
        .id = id_next(),
        .kind = kind,
        .subject_id = subject_id,
        .version = version,
        .bucket = json_string_value(json_object_get(delivery->payload, "bucket")),
        .key = json_string_value(json_object_get(delivery->payload, "key")),
        .trace = trace_current(),
    };
    if (subject_id == 0 || job.bucket == NULL || job.key == NULL) {
        return ERR_CORRUPT;
    }
    return job_insert(session, &job, delivery->now_ms);
}

/* A newer file makes the older one's first rung pointless: it would never play. The older ladder
 * goes on, since that version plays until the new one is ready. */
static int track_uploaded(struct db_session *session, const struct delivery *delivery)
{
    int64_t track_id = id_of(delivery->payload, "trackId");
    int64_t version = json_integer_value(json_object_get(delivery->payload, "version"));
    int result = insert(session, delivery, JOB_FIRST, track_id, version);
    return result != 0 ? result
                       : job_cancel(session, track_id, version, JOB_FIRST, delivery->now_ms);
}

static int track_deleted(struct db_session *session, const struct delivery *delivery)
{
    int64_t track_id = id_of(delivery->payload, "trackId");
    int result = job_cancel(session, track_id, INT64_MAX, JOB_KINDS_, delivery->now_ms);
    return result != 0 ? result : step_delete(session, track_id, INT64_MAX);
}

static int art_uploaded(struct db_session *session, const struct delivery *delivery)
{
    return insert(session, delivery, JOB_COVER, id_of(delivery->payload, "artId"), 0);
}

#define CONSUMER "transcode.jobs"

static const char *const types[] = {"track.uploaded", "track.deleted", "art.uploaded", NULL};

static int (*const works[])(struct db_session *session, const struct delivery *delivery) = {
    track_uploaded, track_deleted, art_uploaded};

static int handle(struct db_session *session, void *context, const struct event *event)
{
    (void)context;
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    const struct delivery delivery = {.payload = payload, .now_ms = clock_wall_ms()};
    int result = payload != NULL ? 0 : ERR_CORRUPT;
    for (size_t i = 0; result == 0 && types[i] != NULL; i++) {
        if (strcmp(types[i], event->type) == 0) {
            result = works[i](session, &delivery);
        }
    }
    return result;
}

/* Who works for what was just cancelled shall notice. */
static void tell_workers(void *context)
{
    transcode_look_again(context);
}

const struct bus_interest transcode_interests[] = {{CONSUMER, types}, {NULL, NULL}};

int transcode_subscribe(struct transcode *transcode)
{
    const struct bus_consumer consumer = {.name = CONSUMER,
                                          .types = types,
                                          .from_start = 1,
                                          .handle_in = handle,
                                          .after = tell_workers,
                                          .context = transcode};
    return bus_subscribe(transcode->bus, transcode->db, &consumer);
}
