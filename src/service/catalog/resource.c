/* Resources in the cache (resource.h). */
#include "service/catalog/resource.h"

#include "backend/cache/cache.h"
#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>

int resource_reply(struct request *request, json_t *object, int64_t revision, bool settled)
{
    if (settled) {
        int error = reply_header(request, "Cache-Control", "private, no-cache");
        if (error != 0) {
            json_decref(object);
            return error;
        }
        return reply_resource(request, 200, object, revision);
    }
    char etag[ID_TEXT_SIZE + 2];
    (void)snprintf(etag, sizeof etag, "\"%" PRId64 "\"", revision);
    int error = reply_header(request, "Cache-Control", "no-store");
    if (error == 0) {
        error = reply_header(request, "ETag", etag);
    }
    if (error != 0) {
        json_decref(object);
        return error;
    }
    return reply_json(request, 200, object);
}

void resource_forget(struct catalog *catalog, enum catalog_kind kind, int64_t id)
{
    static const char *const words[] = {"artist", "album", "track"};
    char key[64];
    (void)snprintf(key, sizeof key, "%s:%" PRId64, words[kind], id);
    cache_drop(catalog->cache, key);
    if (kind == CATALOG_TRACK) {
        (void)snprintf(key, sizeof key, "play:%" PRId64, id);
        cache_drop(catalog->cache, key);
    }
    atomic_fetch_add(&catalog->generation, 1);
}
