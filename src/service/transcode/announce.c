/* The events of the media pipeline (transcode.h lists them). Called inside the write that records
 * what they tell of, by the steps. A write may run twice, so each builds its payload anew. */
#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "base/error.h"
#include "base/id.h"
#include "service/catalog/catalog.h"
#include "service/transcode/plan.h"
#include "service/transcode/transcode_internal.h"

#include <stdio.h>
#include <string.h>

static int emit_track(struct db_session *session, const struct work *work, const char *type,
                      json_t *payload)
{
    char digits[ID_TEXT_SIZE], key[ID_TEXT_SIZE + 8];
    (void)snprintf(key, sizeof key, "track:%s", id_format(work->job.subject_id, digits));
    if (payload == NULL || json_object_set_new(payload, "trackId", json_string(digits)) != 0 ||
        json_object_set_new(payload, "version", json_integer(work->job.version)) != 0) {
        json_decref(payload);
        return ERR_NO_MEMORY;
    }
    return bus_emit(session, type, key, payload);
}

static int emit_art(struct db_session *session, const struct work *work, const char *type,
                    json_t *payload)
{
    char digits[ID_TEXT_SIZE], key[ID_TEXT_SIZE + 8];
    (void)snprintf(key, sizeof key, "art:%s", id_format(work->job.subject_id, digits));
    if (payload == NULL || json_object_set_new(payload, "artId", json_string(digits)) != 0) {
        json_decref(payload);
        return ERR_NO_MEMORY;
    }
    return bus_emit(session, type, key, payload);
}

int announce_started(struct db_session *session, struct work *work)
{
    return emit_track(session, work, "media.started", json_object());
}

bool work_is_cut(const struct work *work)
{
    int64_t from = 0, to = 0;
    return catalog_cut_read(work->job.key, &from, &to);
}

int announce_probed(struct db_session *session, struct work *work)
{
    const json_t *probe = json_object_get(work->facts, "probe");
    const json_t *loudness = json_object_get(work->facts, "loudness");
    bool flac = json_is_true(json_object_get(probe, "lossless")) &&
                json_is_true(json_object_get(probe, "flac"));
    json_t *payload = json_object();
    int failed = payload == NULL ? -1 : json_object_update(payload, (json_t *)probe);
    if (failed == 0) {
        failed =
            json_object_set(payload, "trackLufs", json_object_get(loudness, "lufs")) |
            json_object_set(payload, "truePeakDb", json_object_get(loudness, "truePeakDb")) |
            json_object_set(payload, "histogram", json_object_get(loudness, "histogram")) |
            json_object_set(payload, "tags", json_object_get(work->facts, "tags")) |
            json_object_set(payload, "hasArt", json_object_get(work->facts, "hasArt")) |
            json_object_set(payload, "fingerprint", json_object_get(work->facts, "fingerprint")) |
            json_object_set_new(payload, "expected",
                                json_integer(plan_expected(flac) - work_is_cut(work)));
    }
    if (failed != 0) {
        json_decref(payload);
        return ERR_NO_MEMORY;
    }
    return emit_track(session, work, "media.probed", payload);
}

int announce_rendition(struct db_session *session, struct work *work, const json_t *rendition)
{
    return emit_track(session, work, "media.rendition", json_pack("{s:O}", "rendition", rendition));
}

int announce_complete(struct db_session *session, struct work *work)
{
    return emit_track(session, work, "media.complete", json_object());
}

int announce_art_found(struct db_session *session, struct work *work, const char *key,
                       const char *type)
{
    return emit_track(session, work, "media.art",
                      json_pack("{s:s,s:s,s:s}", "bucket", BLOB_MEDIA, "key", key, "type", type));
}

int announce_art_ready(struct db_session *session, struct work *work)
{
    return emit_art(session, work, "art.ready",
                    json_pack("{s:O,s:O}", "width", json_object_get(work->facts, "width"), "height",
                              json_object_get(work->facts, "height")));
}

int announce_failed(struct db_session *session, struct work *work)
{
    json_t *payload =
        json_pack("{s:s,s:s}", "code", work->failure.code, "reason", work->failure.reason);
    return work->job.kind == JOB_COVER ? emit_art(session, work, "art.failed", payload)
                                       : emit_track(session, work, "media.failed", payload);
}

/* --- the original --- */

static const char *original_mime(const char *container)
{
    static const struct {
        const char *container, *mime;
    } mimes[] = {
        {"wav", "audio/wav"},           {"flac", "audio/flac"}, {"aiff", "audio/aiff"},
        {"mp3", "audio/mpeg"},          {"aac", "audio/aac"},   {"mp4", "audio/mp4"},
        {"wavpack", "audio/x-wavpack"}, {"ogg", "audio/ogg"},   {"ape", "audio/x-ape"},
        {"mpc", "audio/x-musepack"},    {"tta", "audio/x-tta"}, {"asf", "audio/x-ms-wma"},
    };
    for (size_t i = 0; container != NULL && i < sizeof mimes / sizeof mimes[0]; i++) {
        if (strcmp(mimes[i].container, container) == 0) {
            return mimes[i].mime;
        }
    }
    return "application/octet-stream";
}

json_t *original_rendition(const struct work *work)
{
    const json_t *probe = json_object_get(work->facts, "probe");
    json_int_t samples = json_integer_value(json_object_get(probe, "samples"));
    json_int_t rate = json_integer_value(json_object_get(probe, "rate"));
    json_int_t channels = json_integer_value(json_object_get(probe, "channels"));
    double seconds = rate > 0 ? (double)samples / (double)rate : 0;
    json_int_t bandwidth = seconds > 0 ? (json_int_t)((double)work->source_bytes * 8 / seconds) : 0;
    const char *slash = strrchr(work->job.key, '/');
    return json_pack("{s:s,s:i,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:i,s:i,s:i,s:I,s:I,s:[]}", "format",
                     "original", "bitrate", 0, "file", slash != NULL ? slash + 1 : work->job.key,
                     "mime", original_mime(json_string_value(json_object_get(probe, "container"))),
                     "codecs", "", "bytes", (json_int_t)work->source_bytes, "samples", samples,
                     "timescale", rate, "channels", channels, "initBytes", 0, "indexBytes", 0,
                     "firstFragmentEnd", 0, "bandwidthPeak", bandwidth, "bandwidthAverage",
                     bandwidth, "fragments");
}
