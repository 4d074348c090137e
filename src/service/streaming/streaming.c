/* The rules of streaming (streaming.h): ceilings, and the answer that says where everything is. No
 * I/O but signing; any thread. */
#include "service/streaming/streaming_internal.h"

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

int streaming_open(const struct streaming_config *config, struct streaming **ret_streaming,
                   struct problem *problem)
{
    struct streaming *streaming = calloc(1, sizeof *streaming);
    if (streaming == NULL) {
        return ERR_NO_MEMORY;
    }
    register_metrics(streaming);
    streaming->catalog = config->catalog;
    streaming->media_url = strdup(config->media_url);
    int error = streaming->media_url != NULL ? media_files_new(config->blobs, &streaming->files)
                                             : ERR_NO_MEMORY;
    error = error != 0 ? error : edge_keys_open(config->keys_path, &streaming->keys, problem);
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
        edge_keys_close(streaming->keys);
        media_files_free(streaming->files);
        free(streaming->media_url);
        free(streaming);
    }
}

int streaming_keys_rotate(const char *keys_path, struct problem *problem)
{
    return edge_keys_rotate(keys_path, problem);
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

bool streaming_is_ready(const struct playable *playable, enum manifest_ceiling ceiling)
{
    return playable->status == TRACK_READY && best_aac(playable, ceiling) != NULL;
}

static json_t *url_of(const char *base, const char *file)
{
    return json_sprintf("%s%s", base, file);
}

static json_t *file_object(const struct rendition *rendition, const char *base)
{
    json_t *object = json_pack("{s:s, s:I, s:s, s:I, s:o}", "format", rendition->format, "bitrate",
                               (json_int_t)rendition->bitrate, "mime", rendition->mime, "bytes",
                               (json_int_t)rendition->bytes, "url", url_of(base, rendition->file));
    if (object != NULL && is_aac(rendition)) {
        (void)json_object_set_new(object, "initBytes", json_integer(rendition->init_bytes));
        (void)json_object_set_new(object, "firstFragmentEnd",
                                  json_integer(rendition->first_fragment_end));
        (void)json_object_set_new(object, "samples", json_integer(rendition->samples));
    }
    return object;
}

static json_t *file_list(const struct playable *playable, enum manifest_ceiling ceiling,
                         const char *base)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < playable->rendition_count; i++) {
        if (manifest_allows(ceiling, &playable->renditions[i])) {
            (void)json_array_append_new(list, file_object(&playable->renditions[i], base));
        }
    }
    return list;
}

json_t *streaming_answer(struct streaming *streaming, const struct playable *playable,
                         enum manifest_ceiling ceiling, int64_t now_ms)
{
    const struct edge_grant grant = {playable->track_id, playable->version, ceiling,
                                     edge_token_expiry(now_ms)};
    char token[EDGE_TOKEN_SIZE];
    char base[URL_SIZE];
    char track[ID_TEXT_SIZE];
    char album[ID_TEXT_SIZE];
    char name[32];
    edge_token_sign(streaming->keys, &grant, token);
    (void)snprintf(base, sizeof base, "%s/m/%s/%s/%d/", streaming->media_url, token,
                   id_format(playable->track_id, track), playable->version);
    json_t *answer =
        json_pack("{s:o, s:s, s:s, s:I, s:o, s:I}", "trackUrl",
                  url_of(base, best_aac(playable, ceiling)->file), "albumId",
                  id_format(playable->album_id, album), "title", playable->title, "durationMs",
                  (json_int_t)playable->duration_ms, "files", file_list(playable, ceiling, base),
                  "expiresAt", (json_int_t)grant.expires_s * 1000);
    if (answer != NULL) {
        const char *word = manifest_ceiling_name(ceiling);
        (void)snprintf(name, sizeof name, "hls-%s.m3u8", word);
        (void)json_object_set_new(answer, "hls", url_of(base, name));
        (void)snprintf(name, sizeof name, "dash-%s.mpd", word);
        (void)json_object_set_new(answer, "dash", url_of(base, name));
    }
    return answer;
}

static bool is_original(const char *file)
{
    return strncmp(file, "original", strlen("original")) == 0;
}

const char *streaming_cache_control(const char *file, const char *stored)
{
    return is_original(file) || stored[0] == '\0' ? MANIFEST_CACHE_IMMUTABLE : stored;
}

const char *streaming_media_type(const char *file, const char *stored)
{
    static const struct {
        const char *extension, *type;
    } rows[] = {
        {"wav", "audio/wav"},      {"flac", "audio/flac"}, {"aiff", "audio/aiff"},
        {"aif", "audio/aiff"},     {"mp3", "audio/mpeg"},  {"aac", "audio/aac"},
        {"m4a", "audio/mp4"},      {"mp4", "audio/mp4"},   {"alac", "audio/mp4"},
        {"wv", "audio/x-wavpack"}, {"ogg", "audio/ogg"},   {"oga", "audio/ogg"},
        {"opus", "audio/ogg"},
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
