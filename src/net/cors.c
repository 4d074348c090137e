/* Cross-origin requests (the Fetch standard, section 3.2): which pages of other origins may read
 * our answers. Origins come from the configuration. Credentials are never allowed: tokens travel in
 * Authorization, and the refresh cookie is for our own origin only. */
#include "net/server.h"

#include "base/error.h"
#include "net/header.h"

#include <string.h>

static const char exposed[] = "ETag, Content-Range, Location, Retry-After, X-Request-Id, "
                              "Tutti-Seen, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset";
static const char allowed[] =
    "Authorization, Content-Type, Range, If-Match, If-None-Match, "
    "If-Range, Idempotency-Key, Tutti-Seen, Tutti-Timeout-Ms, X-Request-Id, "
    "traceparent";

static const char *allowed_origin(const struct request_private *request)
{
    const char *origins = request->settings->config.cors_origins;
    if (request->origin == NULL || origins[0] == '\0') {
        return NULL;
    }
    if (header_list_holds(origins, "*")) {
        return "*";
    }
    return header_list_holds(origins, request->origin) ? request->origin : NULL;
}

void cors_reply(struct request_private *request)
{
    if (request->settings->config.cors_origins[0] == '\0' ||
        (request->entry != NULL && (request->entry->row->flags & ROUTE_OWN_CORS) != 0)) {
        return;
    }
    const char *origin = allowed_origin(request);
    if (origin == NULL || strcmp(origin, "*") != 0) {
        (void)reply_header_add(&request->request, "Vary", "Origin");
    }
    if (origin != NULL) {
        (void)reply_header(&request->request, "Access-Control-Allow-Origin", origin);
        (void)reply_header(&request->request, "Access-Control-Expose-Headers", exposed);
    }
}

int cors_options(struct request_private *request)
{
    struct request *public_ = &request->request;
    char methods[128];
    router_allow(request->server->router, &request->path, methods, sizeof methods);
    int error = reply_header(public_, "Allow", methods);
    if (error == 0 && allowed_origin(request) != NULL &&
        request_header(public_, "Access-Control-Request-Method") != NULL) {
        error = reply_header(public_, "Access-Control-Allow-Methods", methods);
        error = error != 0 ? error : reply_header(public_, "Access-Control-Allow-Headers", allowed);
        error = error != 0 ? error : reply_header(public_, "Access-Control-Max-Age", "7200");
    }
    return error != 0 ? error : reply_empty(public_, 204);
}
