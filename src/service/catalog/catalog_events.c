/* The catalog's consumer of the media pipeline's events (catalog.h lists them): reads a payload,
 * applies it (media.c) in the write of the bus that goes over it, and over those that wait behind
 * it, then makes the caches forget. A process that dies before it does so takes its own cache
 * along, and others hear of the changes by their watch. An event that can't be read is an error of
 * ours, which the bus parks.
 */
#include "service/catalog/catalog_internal.h"

#include "backend/bus/bus.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/catalog/art_found.h"
#include "service/catalog/gone.h"
#include "service/catalog/loudness.h"
#include "service/catalog/media.h"
#include "service/catalog/resource.h"

#include <stdlib.h>
#include <string.h>

struct delivery {
    const struct event *event;
    const json_t *payload;
    struct media_effect effect;
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static int64_t id_of(const json_t *object, const char *name)
{
    int64_t id = 0;
    return json_is_id(json_object_get(object, name), &id) ? id : 0;
}

static bool real_of(const json_t *object, const char *name, double *ret_value)
{
    const json_t *value = json_object_get(object, name);
    *ret_value = json_number_value(value);
    return json_is_number(value);
}

static int read_histogram(struct arena *arena, const json_t *payload, struct version_row *probe)
{
    const char *text = json_string_value(json_object_get(payload, "histogram"));
    if (text == NULL) {
        return 0;
    }
    unsigned char *bytes = arena_alloc(arena, LOUDNESS_HISTOGRAM_BYTES);
    size_t length = 0;
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    if (!text_base64_decode(text, strlen(text), TEXT_BASE64, bytes, LOUDNESS_HISTOGRAM_BYTES,
                            &length) ||
        length != LOUDNESS_HISTOGRAM_BYTES) {
        return ERR_CORRUPT;
    }
    probe->histogram = bytes;
    probe->histogram_bytes = length;
    return 0;
}

static int apply_probed(struct db_session *session, struct delivery *delivery)
{
    const json_t *payload = delivery->payload;
    struct version_row probe = {
        .track_id = id_of(payload, "trackId"),
        .version = number_of(payload, "version"),
        .codec = text_of(payload, "codec"),
        .rate = number_of(payload, "rate"),
        .channels = number_of(payload, "channels"),
        .lossless = json_is_true(json_object_get(payload, "lossless")),
        .samples = number_of(payload, "samples"),
        .duration_ms = number_of(payload, "durationMs"),
        .expected = number_of(payload, "expected"),
    };
    probe.has_track_lufs = real_of(payload, "trackLufs", &probe.track_lufs);
    probe.has_true_peak = real_of(payload, "truePeakDb", &probe.true_peak_db);
    if (probe.rate < 0 || probe.channels < 0 || probe.samples < 0 || probe.duration_ms < 0 ||
        probe.expected < 0) {
        return ERR_CORRUPT;
    }
    int error = read_histogram(delivery->effect.arena, payload, &probe);
    return error != 0 ? error : media_probed(session, &delivery->effect, &probe);
}

static int apply_rendition(struct db_session *session, struct delivery *delivery)
{
    struct rendition rendition;
    int error = catalog_rendition_read(delivery->effect.arena,
                                       json_object_get(delivery->payload, "rendition"), &rendition);
    return error != 0
               ? error
               : media_rendition(session, &delivery->effect, id_of(delivery->payload, "trackId"),
                                 number_of(delivery->payload, "version"), &rendition);
}

static int apply_started(struct db_session *session, struct delivery *delivery)
{
    return media_started(session, &delivery->effect, id_of(delivery->payload, "trackId"),
                         number_of(delivery->payload, "version"));
}

static int apply_complete(struct db_session *session, struct delivery *delivery)
{
    return media_complete(session, &delivery->effect, id_of(delivery->payload, "trackId"),
                          number_of(delivery->payload, "version"));
}

static int apply_failed(struct db_session *session, struct delivery *delivery)
{
    const json_t *payload = delivery->payload;
    return media_failed(session, &delivery->effect, id_of(payload, "trackId"),
                        number_of(payload, "version"), text_of(payload, "code"),
                        text_of(payload, "reason"));
}

static int apply_art_ready(struct db_session *session, struct delivery *delivery)
{
    const json_t *payload = delivery->payload;
    int64_t width = number_of(payload, "width"), height = number_of(payload, "height");
    return width < 0 || height < 0 ? ERR_CORRUPT
                                   : media_art_ready(session, &delivery->effect,
                                                     id_of(payload, "artId"), width, height);
}

static int apply_art_failed(struct db_session *session, struct delivery *delivery)
{
    return media_art_failed(session, &delivery->effect, id_of(delivery->payload, "artId"),
                            text_of(delivery->payload, "reason"));
}

static const struct {
    const char *type;
    int (*apply)(struct db_session *session, struct delivery *delivery);
} kinds[] = {
    {"media.started", apply_started},     {"media.probed", apply_probed},
    {"media.rendition", apply_rendition}, {"media.complete", apply_complete},
    {"media.failed", apply_failed},       {"art.ready", apply_art_ready},
    {"art.failed", apply_art_failed},
};

#define MEDIA_CONSUMER "catalog.media"

static const char *const types[] = {
    "media.started", "media.probed", "media.rendition", "media.complete",
    "media.failed",  "art.ready",    "art.failed",      NULL};

static int deliver(struct db_session *session, struct delivery *delivery)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].type, delivery->event->type) == 0) {
            return kinds[i].apply(session, delivery);
        }
    }
    return 0;
}

/* ---- A run of events ---- */

enum { NAMES_OF_ONE = 3 /* a track, its album, its artist */ };

/* What the events of a run in one write have changed. */
struct media_run {
    struct catalog *catalog;
    struct resource_name names[BUS_RUN_MAX * NAMES_OF_ONE];
    unsigned count;
};

static void note(struct media_run *run, enum catalog_kind kind, int64_t id)
{
    for (unsigned i = 0; i < run->count; i++) {
        if (run->names[i].kind == kind && run->names[i].id == id) {
            return;
        }
    }
    if (id != 0) {
        run->names[run->count++] = (struct resource_name){kind, id};
    }
}

static int handle_media(struct db_session *session, void *context, const struct event *event)
{
    struct media_run *run = context;
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    struct delivery delivery = {
        .event = event, .payload = payload, .effect = {.now_ms = clock_wall_ms()}};
    delivery.effect.arena = arena_new(0);
    int error = payload == NULL                 ? ERR_CORRUPT
                : delivery.effect.arena == NULL ? ERR_NO_MEMORY
                                                : deliver(session, &delivery);
    if (error == 0) {
        note(run, CATALOG_TRACK, delivery.effect.track_id);
        note(run, CATALOG_ALBUM, delivery.effect.album_id);
        note(run, CATALOG_ARTIST, delivery.effect.artist_id);
    }
    arena_free(delivery.effect.arena);
    return error;
}

static void begin_run(void *context)
{
    ((struct media_run *)context)->count = 0;
}

static void end_run(void *context)
{
    const struct media_run *run = context;
    resource_forget_all(run->catalog, run->names, run->count);
}

const struct bus_interest catalog_interests[] = {
    {MEDIA_CONSUMER, types},
    {ART_FOUND_CONSUMER, art_found_types},
    {NULL, NULL},
};

int catalog_subscribe(struct catalog *catalog)
{
    if (catalog->media_run == NULL &&
        (catalog->media_run = calloc(1, sizeof *catalog->media_run)) == NULL) {
        return ERR_NO_MEMORY;
    }
    catalog->media_run->catalog = catalog;
    const struct bus_consumer consumer = {.name = MEDIA_CONSUMER,
                                          .types = types,
                                          .from_start = 1,
                                          .handle_in = handle_media,
                                          .before = begin_run,
                                          .after = end_run,
                                          .context = catalog->media_run};
    int error = bus_subscribe(catalog->bus, catalog->db, &consumer);
    return error != 0 ? error : art_found_subscribe(catalog);
}
