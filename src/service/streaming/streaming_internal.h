/* What the files of the role share. Nobody else includes this. */
#pragma once

#include "base/call.h"
#include "service/catalog/catalog.h"
#include "service/streaming/edge_token.h"
#include "service/streaming/manifest.h"
#include "service/streaming/media_files.h"
#include "service/streaming/streaming.h"

#include <jansson.h>

struct metric;

struct streaming {
    struct catalog *catalog;
    struct edge_keys *keys;
    struct media_files *files;
    char *media_url;
    struct metric *plays[MANIFEST_CEILINGS_]; /* answers of /stream, by ceiling */
    struct metric *refused;                   /* media addresses answered 403 */
};

/* The highest ceiling a plan allows: "premium" all, anything else 160 kbit/s. */
enum manifest_ceiling streaming_plan_ceiling(const char *plan);
/* The ceiling that maxBitrate asks for: kbit/s (from 1411, that of a CD, lossless) or "lossless".
 * NULL: no limit. ERR_INVALID with words. */
int streaming_wanted_ceiling(struct call *call, const char *max_bitrate,
                             enum manifest_ceiling *ret_ceiling);
/* Whether a playable has something to hear under a ceiling. */
bool streaming_is_ready(const struct playable *playable, enum manifest_ceiling ceiling);
/* The answer of GET /tracks/{id}/stream. NULL: out of memory. */
json_t *streaming_answer(struct streaming *streaming, const struct playable *playable,
                         enum manifest_ceiling ceiling, int64_t now_ms);
/* The type to send a file as: the object's own, but for an original, whose object has the type that
 * the uploader named: that is told by its extension, so that no upload becomes a page of our
 * origin. */
const char *streaming_media_type(const char *file, const char *stored);
/* Its cache rule, likewise. */
const char *streaming_cache_control(const char *file, const char *stored);
/* May this token fetch this file of this track and version? Texts as in the URL. */
bool streaming_grants(const struct edge_grant *grant, const char *track, const char *version);
