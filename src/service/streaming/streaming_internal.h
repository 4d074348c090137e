/* What the files of the role share. Nobody else includes this. */
#pragma once

#include "base/call.h"
#include "service/catalog/catalog.h"
#include "service/streaming/answers.h"
#include "service/streaming/edge_token.h"
#include "service/streaming/manifest.h"
#include "service/streaming/media_files.h"
#include "service/streaming/streaming.h"
#include "service/streaming/warm.h"

#include <jansson.h>

struct buffer;
struct edges;
struct metric;

struct streaming {
    struct catalog *catalog;
    struct db *db;
    struct bus *bus;
    struct edge_keys *keys;
    struct media_files *files;
    struct blob_store *blobs;
    bool from_store;
    char *media_url;
    struct metric *plays[MANIFEST_CEILINGS_]; /* answers of /stream, by ceiling */
    struct metric *refused;                   /* media addresses answered 403 */
    /* All NULL where there are no edges. */
    struct edges *edges; /* the consumer's */
    struct answers *answers;
    struct warmer *warmer;
    char *edge_urls;
    unsigned warm_tracks;
    int64_t warm_interval_ms;
};

/* The highest ceiling a plan allows: "premium" all, anything else 160 kbit/s. */
enum manifest_ceiling streaming_plan_ceiling(const char *plan);
/* The ceiling that maxBitrate asks for: kbit/s (from 1411, that of a CD, lossless) or "lossless".
 * NULL: no limit. ERR_INVALID with words. */
int streaming_wanted_ceiling(struct call *call, const char *max_bitrate,
                             enum manifest_ceiling *ret_ceiling);
/* Whether a playable has something to hear under a ceiling. */
bool streaming_is_ready(const struct playable *playable, enum manifest_ceiling ceiling);
/* Of an imported track that nothing was made of yet: its original, where the ceiling allows it;
 * NULL: there is more, or less. */
const struct rendition *streaming_original(const struct playable *playable,
                                           enum manifest_ceiling ceiling);
/* Whether it plays, but nobody has tried to make anything of it yet. */
bool streaming_is_unmade(const struct playable *playable);
/* The answer of GET /tracks/{id}/stream. NULL: out of memory. */
json_t *streaming_answer(struct streaming *streaming, const struct playable *playable,
                         enum manifest_ceiling ceiling, int64_t now_ms);
/* The type to send a file as: the object's own, but for an original, whose object has the type that
 * the uploader named: that is told by its extension, so that no upload becomes a page of our
 * origin. */
const char *streaming_media_type(const char *file, const char *stored);
/* Its cache rule, likewise. */
const char *streaming_cache_control(const char *file, const char *stored);
/* Playing from the store itself (from_store.c). The URL of a media file, good as long as the grant.
 */
enum { FROM_STORE_URL_SIZE = 2048 };
struct request;
int from_store_url(struct streaming *streaming, const struct edge_grant *grant, const char *method,
                   const char *file, char out[FROM_STORE_URL_SIZE]);
bool from_store_is_manifest(const char *file);
/* Appends a manifest's text with the names of media files replaced by such URLs. */
int from_store_manifest(struct streaming *streaming, const struct edge_grant *grant,
                        const char *file, const char *text, size_t length, struct buffer *out);
/* Answers /m/ for a file that the grant allows. */
int from_store_reply(struct request *request, const struct edge_grant *grant, const char *key,
                     const char *file);
/* A consumer that is no longer configured: what it has not seen shall not be kept for it. */
struct bus_interest;
int streaming_unsubscribe(struct streaming *streaming, const struct bus_interest *interest);
/* Removes the objects of tracks as they are deleted, where it plays from the store. */
int from_store_subscribe(struct streaming *streaming);
/* May this token fetch this file of this track and version? Texts as in the URL. */
bool streaming_grants(const struct edge_grant *grant, const char *track, const char *version);
