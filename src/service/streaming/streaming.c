/* The rules of streaming (streaming.h): ceilings, and the answer that says where everything is. No
 * I/O but signing; any thread. */
#include "service/streaming/streaming_internal.h"

#include "backend/db/db.h"
#include "backend/edge/edge.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { URL_SIZE = 1024, LOSSLESS_FROM = 1411, BITRATE_MAX = 1000000 };

extern const struct db_migration streaming_migrations[];
extern const unsigned streaming_migration_count;

static void register_metrics(struct streaming *streaming)
{
    char labels[32];
    for (enum manifest_ceiling i = MANIFEST_CEILING_96; i < MANIFEST_CEILINGS_; i++) {
        (void)snprintf(labels, sizeof labels, "ceiling=\"%s\"", manifest_ceiling_name(i));
        streaming->plays[i] = metric_get(METRIC_COUNTER, "tutti_streaming_answers_total",
                                         "Tracks whose addresses were given out.", labels);
    }
    streaming->refused = metric_get(METRIC_COUNTER, "tutti_streaming_refused_total",
                                    "Media addresses that were refused.", "");
}

static int open_edges(struct streaming *streaming, const struct streaming_config *config,
                      struct problem *problem)
{
    if (config->edge_urls[0] == '\0') {
        return 0;
    }
    streaming->warm_tracks = config->warm_tracks;
    streaming->warm_interval_ms = config->warm_interval_ms;
    streaming->edge_urls = strdup(config->edge_urls);
    int error = streaming->edge_urls != NULL ? answers_new(&streaming->answers) : ERR_NO_MEMORY;
    return error != 0 ? error : edges_open(config->edge_urls, &streaming->edges, problem);
}

int streaming_open(const struct streaming_config *config, struct streaming **ret_streaming,
                   struct problem *problem)
{
    int migrated = db_migrate(config->db, streaming_migrations, streaming_migration_count, problem);
    struct streaming *streaming = migrated == 0 ? calloc(1, sizeof *streaming) : NULL;
    if (streaming == NULL) {
        return migrated != 0 ? migrated : ERR_NO_MEMORY;
    }
    register_metrics(streaming);
    streaming->catalog = config->catalog;
    streaming->db = config->db;
    streaming->bus = config->bus;
    streaming->blobs = config->blobs;
    streaming->from_store = config->from_store;
    streaming->media_url = strdup(config->media_url);
    int error = streaming->media_url != NULL ? media_files_new(config->blobs, &streaming->files)
                                             : ERR_NO_MEMORY;
    error = error != 0 ? error : edge_keys_open(config->keys_path, &streaming->keys, problem);
    error = error != 0 ? error : open_edges(streaming, config, problem);
    if (error != 0) {
        streaming_close(streaming);
        return error;
    }
    *ret_streaming = streaming;
    return 0;
}

void streaming_close(struct streaming *streaming)
{
    if (streaming != NULL) {
        warmer_stop(streaming->warmer);
        edges_close(streaming->edges);
        answers_free(streaming->answers);
        free(streaming->edge_urls);
        edge_keys_close(streaming->keys);
        media_files_free(streaming->files);
        free(streaming->media_url);
        free(streaming);
    }
}

int streaming_start(struct streaming *streaming)
{
    const struct warmer_config config = {.streaming = streaming,
                                         .edge_urls = streaming->edge_urls,
                                         .tracks_max = streaming->warm_tracks,
                                         .interval_ms = streaming->warm_interval_ms};
    return streaming->edges != NULL ? warmer_start(&config, &streaming->warmer) : 0;
}

int streaming_keys_rotate(const char *keys_path, int64_t delay_ms, struct problem *problem)
{
    return edge_keys_rotate(keys_path, delay_ms, problem);
}

enum manifest_ceiling streaming_plan_ceiling(const char *plan)
{
    return strcmp(plan, "premium") == 0 ? MANIFEST_CEILING_LOSSLESS : MANIFEST_CEILING_160;
}

int streaming_wanted_ceiling(struct call *call, const char *max_bitrate,
                             enum manifest_ceiling *ret_ceiling)
{
    int64_t kbits = 0;
    if (max_bitrate == NULL || strcmp(max_bitrate, "lossless") == 0) {
        *ret_ceiling = MANIFEST_CEILING_LOSSLESS;
        return 0;
    }
    if (!text_number(max_bitrate, 1, BITRATE_MAX, &kbits)) {
        return problem_set(&call->problem, ERR_MALFORMED,
                           "maxBitrate must be a number of kbit/s, such as 160, or lossless");
    }
    *ret_ceiling = kbits >= LOSSLESS_FROM ? MANIFEST_CEILING_LOSSLESS
                   : kbits >= 320         ? MANIFEST_CEILING_320
                   : kbits >= 160         ? MANIFEST_CEILING_160
                                          : MANIFEST_CEILING_96;
    return 0;
}

static bool is_aac(const struct rendition *rendition)
{
    return strcmp(rendition->format, "aac") == 0;
}

/* The best AAC file under the ceiling, NULL for none. */
static const struct rendition *best_aac(const struct playable *playable,
                                        enum manifest_ceiling ceiling)
{
    const struct rendition *best = NULL;
    for (unsigned i = 0; i < playable->rendition_count; i++) {
        const struct rendition *rendition = &playable->renditions[i];
        if (is_aac(rendition) && manifest_allows(ceiling, rendition) &&
            (best == NULL || rendition->bitrate > best->bitrate)) {
            best = rendition;
        }
    }
    return best;
}

const struct rendition *streaming_original(const struct playable *playable,
                                           enum manifest_ceiling ceiling)
{
    const struct rendition *original = NULL;
    for (unsigned i = 0; i < playable->rendition_count; i++) {
        const struct rendition *rendition = &playable->renditions[i];
        if (is_aac(rendition)) {
            return NULL;
        }
        if (strcmp(rendition->format, "original") == 0 && manifest_allows(ceiling, rendition)) {
            original = rendition;
        }
    }
    return playable->status == TRACK_READY ? original : NULL;
}

bool streaming_is_unmade(const struct playable *playable)
{
    return playable->status == TRACK_READY && !playable->working && !playable->failed &&
           best_aac(playable, MANIFEST_CEILING_LOSSLESS) == NULL;
}

bool streaming_is_ready(const struct playable *playable, enum manifest_ceiling ceiling)
{
    return playable->status == TRACK_READY && best_aac(playable, ceiling) != NULL;
}

/* Where a version's files are found. */
struct place {
    struct streaming *streaming;
    const struct edge_grant *grant;
    char base[URL_SIZE]; /* of /m/, with a slash at the end */
};

static json_t *manifest_url(const struct place *place, const char *kind,
                            enum manifest_ceiling ceiling, const char *extension)
{
    return json_sprintf("%s%s-%s.%s", place->base, kind, manifest_ceiling_name(ceiling), extension);
}

static json_t *file_url(const struct place *place, const char *file)
{
    char url[FROM_STORE_URL_SIZE];
    if (!place->streaming->from_store) {
        return json_sprintf("%s%s", place->base, file);
    }
    return from_store_url(place->streaming, place->grant, "GET", file, url) == 0 ? json_string(url)
                                                                                 : NULL;
}

static json_t *file_object(const struct rendition *rendition, const struct place *place)
{
    json_t *object =
        json_pack("{s:s, s:I, s:s, s:I, s:o}", "format", rendition->format, "bitrate",
                  (json_int_t)rendition->bitrate, "mime", rendition->mime, "bytes",
                  (json_int_t)rendition->bytes, "url", file_url(place, rendition->file));
    if (object != NULL && is_aac(rendition)) {
        (void)json_object_set_new(object, "initBytes", json_integer(rendition->init_bytes));
        (void)json_object_set_new(object, "firstFragmentEnd",
                                  json_integer(rendition->first_fragment_end));
        (void)json_object_set_new(object, "samples", json_integer(rendition->samples));
    }
    return object;
}

static json_t *file_list(const struct playable *playable, const struct place *place)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < playable->rendition_count; i++) {
        if (manifest_allows(place->grant->ceiling, &playable->renditions[i])) {
            (void)json_array_append_new(list, file_object(&playable->renditions[i], place));
        }
    }
    return list;
}

json_t *streaming_answer(struct streaming *streaming, const struct playable *playable,
                         enum manifest_ceiling ceiling, int64_t now_ms)
{
    const struct edge_grant grant = {playable->track_id, playable->version, ceiling,
                                     edge_token_expiry(now_ms)};
    struct place place = {.streaming = streaming, .grant = &grant};
    char token[EDGE_TOKEN_SIZE];
    char track[ID_TEXT_SIZE];
    char album[ID_TEXT_SIZE];
    edge_token_sign(streaming->keys, &grant, token);
    (void)snprintf(place.base, sizeof place.base, "%s/m/%s/%s/%d/", streaming->media_url, token,
                   id_format(playable->track_id, track), playable->version);
    const struct rendition *best = best_aac(playable, ceiling);
    bool made = best != NULL;
    best = made ? best : streaming_original(playable, ceiling);
    return json_pack("{s:o, s:s, s:s, s:I, s:o, s:I, s:o, s:o}", "trackUrl",
                     file_url(&place, best->file), "albumId", id_format(playable->album_id, album),
                     "title", playable->title, "durationMs", (json_int_t)playable->duration_ms,
                     "files", file_list(playable, &place), "expiresAt",
                     (json_int_t)grant.expires_s * 1000, "hls",
                     made ? manifest_url(&place, "hls", ceiling, "m3u8") : json_null(), "dash",
                     made ? manifest_url(&place, "dash", ceiling, "mpd") : json_null());
}

static bool is_original(const char *file)
{
    return strncmp(file, "original", strlen("original")) == 0;
}

const char *streaming_cache_control(const char *file, const char *stored)
{
    bool outside = strcmp(stored, "no-cache") == 0; /* an original that stays where it is */
    return (is_original(file) && !outside) || stored[0] == '\0' ? MANIFEST_CACHE_IMMUTABLE : stored;
}

const char *streaming_media_type(const char *file, const char *stored)
{
    static const struct {
        const char *extension, *type;
    } rows[] = {
        {"wav", "audio/wav"},      {"flac", "audio/flac"},    {"aiff", "audio/aiff"},
        {"aif", "audio/aiff"},     {"mp3", "audio/mpeg"},     {"aac", "audio/aac"},
        {"m4a", "audio/mp4"},      {"mp4", "audio/mp4"},      {"alac", "audio/mp4"},
        {"wv", "audio/x-wavpack"}, {"ogg", "audio/ogg"},      {"oga", "audio/ogg"},
        {"opus", "audio/ogg"},     {"ape", "audio/x-ape"},    {"mpc", "audio/x-musepack"},
        {"tta", "audio/x-tta"},    {"wma", "audio/x-ms-wma"},
    };
    if (!is_original(file)) {
        return stored;
    }
    const char *dot = strrchr(file, '.');
    for (unsigned i = 0; dot != NULL && i < COUNT_OF(rows); i++) {
        if (strcasecmp(dot + 1, rows[i].extension) == 0) {
            return rows[i].type;
        }
    }
    return "application/octet-stream";
}

static bool is_number(const char *text, int64_t number)
{
    int64_t read = 0;
    return text[0] != '0' && text_number(text, 1, INT64_MAX, &read) && read == number;
}

bool streaming_grants(const struct edge_grant *grant, const char *track, const char *version)
{
    return is_number(track, grant->track_id) && is_number(version, grant->version);
}
