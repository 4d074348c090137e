/* The routes of streaming (streaming.h). Both run on the loops: a track's renditions and open files
 * are cached, and what is not is done once more on the pool (REQUEST_TO_POOL). */
#include "service/streaming/streaming_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_AFTER_S = 2 };

/* An imported track plays by its original alone, while what this ceiling allows is under way, or
 * could not be made. */
static enum track_status status_under_ceiling(const struct playable *playable)
{
    return playable->status != TRACK_READY ? playable->status
           : playable->failed              ? TRACK_FAILED
                                           : TRACK_PROCESSING;
}

/* Not ready: a problem document that also says where the track's file is on its way. */
static int reply_not_ready(struct request *request, const struct playable *playable,
                           enum manifest_ceiling ceiling)
{
    enum track_status status = status_under_ceiling(playable);
    bool failed = status == TRACK_FAILED;
    char instance[64];
    char detail[160];
    (void)snprintf(instance, sizeof instance, "urn:tutti:request:%s", request->call.request_id);
    (void)snprintf(
        detail, sizeof detail,
        playable->status == TRACK_FAILED ? "The track's file can't be played; it must be replaced"
        : failed ? "The track can't be played under the ceiling \"%s\": nothing could be "
                   "made of its file"
                 : "The track can't be played under the ceiling \"%s\" yet; it is %s",
        manifest_ceiling_name(ceiling), track_status_name(status));
    json_t *object = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", "urn:tutti:error:conflict",
                               "title", error_title(ERR_CONFLICT), "status", 409, "detail", detail,
                               "instance", instance, "trackStatus", track_status_name(status));
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    char retry[8];
    (void)snprintf(retry, sizeof retry, "%d", RETRY_AFTER_S);
    int error = text != NULL ? 0 : ERR_NO_MEMORY;
    if (error == 0 && !failed) {
        error = reply_header(request, "Retry-After", retry);
    }
    if (error == 0) {
        error = reply_bytes(request, 409, "application/problem+json", text, strlen(text), false);
    }
    free(text);
    return error;
}

/* GET /api/v1/tracks/{id}/stream?maxBitrate= */
static int stream(struct request *request)
{
    struct streaming *streaming = request->context;
    struct call *call = &request->call;
    int64_t id = 0;
    enum manifest_ceiling wanted = MANIFEST_CEILING_96;
    int error = request_param_id(request, "id", &id);
    error = error != 0
                ? error
                : streaming_wanted_ceiling(call, request_query(request, "maxBitrate"), &wanted);
    if (error != 0) {
        return error;
    }
    struct playable *playable = NULL;
    bool try = !request_may_block(request);
    error = catalog_playable(streaming->catalog, call, id, try, &playable);
    if (error == ERR_BUSY && try) {
        return REQUEST_TO_POOL;
    }
    error = error != 0 ? error : reply_header(request, "Cache-Control", "private, no-store");
    if (error != 0) {
        return error;
    }
    enum manifest_ceiling plan = streaming_plan_ceiling(call->actor.plan);
    enum manifest_ceiling ceiling = wanted < plan ? wanted : plan;
    if (streaming_is_unmade(playable)) { /* imported; from now on somebody wants it */
        if (try) {
            return REQUEST_TO_POOL;
        }
        (void)catalog_track_want(streaming->catalog, id); /* its original plays all the same */
    }
    if (!streaming_is_ready(playable, ceiling) && streaming_original(playable, ceiling) == NULL) {
        return reply_not_ready(request, playable, ceiling);
    }
    metric_add(streaming->plays[ceiling], 1);
    answers_count(streaming->answers, id);
    return reply_json(request, 200,
                      streaming_answer(streaming, playable, ceiling, clock_wall_ms()));
}

static int media_cors(struct request *request)
{
    int error = reply_header(request, "Access-Control-Allow-Origin", "*");
    return error != 0 ? error
                      : reply_header(request, "Access-Control-Expose-Headers",
                                     "Accept-Ranges, Content-Length, Content-Range, ETag");
}

/* Takes the source. */
static int reply_media(struct request *request, const char *name, struct blob_source *source,
                       const struct blob_stat *stat)
{
    char etag[BLOB_ETAG_MAX + 2];
    (void)snprintf(etag, sizeof etag, "\"%s\"", stat->etag);
    const struct reply_file file = {
        .content_type = streaming_media_type(name, stat->content_type),
        .etag = etag,
        .modified_ms = stat->modified_ms,
        .cache_control = streaming_cache_control(name, stat->cache_control),
    };
    int error = media_cors(request);
    if (error != 0) {
        blob_source_close(source);
        return error;
    }
    return blob_reply(request, source, &file);
}

static int refuse(struct request *request, const char *words)
{
    struct streaming *streaming = request->context;
    metric_add(streaming->refused, 1);
    return problem_set(&request->call.problem, ERR_FORBIDDEN, "%s", words);
}

static int refuse_ceiling(struct request *request)
{
    return refuse(request, "The address is signed for a lower bit rate");
}

static int media_from_store(struct request *request, const struct edge_grant *grant,
                            const char *key, const char *file)
{
    if (manifest_file_ceiling(file) > grant->ceiling) {
        return refuse_ceiling(request);
    }
    if (from_store_is_manifest(file) && !request_may_block(request)) {
        return REQUEST_TO_POOL;
    }
    int error = media_cors(request);
    return error != 0 ? error : from_store_reply(request, grant, key, file);
}

/* GET /m/{token}/{track}/{version}/{file} */
static int media(struct request *request)
{
    struct streaming *streaming = request->context;
    const char *track = request_param(request, "track");
    const char *version = request_param(request, "version");
    const char *file = request_param(request, "file");
    struct edge_grant grant;
    if (edge_token_verify(streaming->keys, request_param(request, "token"), clock_wall_ms(),
                          &grant) != 0) {
        return refuse(request, "The address has run out, or was never signed; ask for a new one");
    }
    if (!streaming_grants(&grant, track, version)) {
        return refuse(request, "The address is signed for another track");
    }
    char key[MEDIA_KEY_SIZE];
    int length = snprintf(key, sizeof key, "m/%s/%s/%s", track, version, file);
    if (length >= MEDIA_KEY_SIZE || !blob_key_valid(key) ||
        catalog_media_gone(streaming->catalog, grant.track_id)) {
        return problem_set(&request->call.problem, ERR_NOT_FOUND, "There is no such file");
    }
    if (streaming->from_store) {
        return media_from_store(request, &grant, key, file);
    }
    struct blob_source source;
    struct blob_stat stat;
    bool may_block = request_may_block(request);
    int error = media_files_open(streaming->files, key, may_block, &source, &stat);
    if (error == ERR_BUSY && !may_block) {
        return REQUEST_TO_POOL;
    }
    if (error != 0) {
        return error;
    }
    if (manifest_file_ceiling(file) > grant.ceiling) {
        blob_source_close(&source);
        return refuse_ceiling(request);
    }
    return reply_media(request, file, &source, &stat);
}

/* Anything else below /m/ has no token. */
static int media_without_token(struct request *request)
{
    return refuse(request, "A media address has the form /m/{token}/{track}/{version}/{file}; "
                           "/api/v1/tracks/{id}/stream gives them");
}

static int preflight(struct request *request)
{
    int error = media_cors(request);
    error = error != 0 ? error : reply_header(request, "Access-Control-Allow-Methods", "GET, HEAD");
    error = error != 0 ? error
                       : reply_header(request, "Access-Control-Allow-Headers",
                                      "Range, If-Range, If-None-Match");
    error = error != 0 ? error : reply_header(request, "Access-Control-Max-Age", "7200");
    return error != 0 ? error : reply_empty(request, 204);
}

#define MEDIA_PATH  "/m/{token}/{track}/{version}/{file}"
#define MEDIA_FLAGS (ROUTE_NO_AUTH_HEADER | ROUTE_OWN_CORS | ROUTE_ANY_ORIGIN)

static const struct route routes[] = {
    {"GET", "/api/v1/tracks/{id}/stream", ROLE_LISTENER | ROLE_ARTIST | ROLE_ADMIN, ROUTE_LOOP, 0,
     RATE_PLAY, stream, NULL, 0},
    {"GET", MEDIA_PATH, 0, ROUTE_LOOP, 0, RATE_NONE, media, NULL, MEDIA_FLAGS},
    {"GET", "/m/{rest*}", 0, ROUTE_LOOP, 0, RATE_READ, media_without_token, NULL, MEDIA_FLAGS},
    {"OPTIONS", MEDIA_PATH, 0, ROUTE_LOOP, 0, RATE_NONE, preflight, NULL, MEDIA_FLAGS},
};

const struct route *streaming_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}
