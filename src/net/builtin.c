/* Routes of the server itself: /healthz, /readyz and /metrics (scrape.c). */
#include "net/server.h"

#include "base/error.h"
#include "base/json.h"

#include <string.h>

static int healthz(struct request *request)
{
    static const char body[] = "{\"status\":\"ok\"}";
    int error = reply_header(request, "Cache-Control", "no-store");
    return error != 0 ? error
                      : reply_bytes(request, 200, "application/json", body, sizeof body - 1, true);
}

static const char *readiness(bool ready, bool leaving, bool degraded)
{
    if (!ready) {
        return leaving ? "draining" : "not ready";
    }
    return degraded ? "degraded" : "ready";
}

static bool any_degraded(json_t *engines)
{
    const char *name;
    json_t *state;
    json_object_foreach(engines, name, state)
    {
        if (strcmp(json_string_value(state), "degraded") == 0) {
            return true;
        }
    }
    return false;
}

/* With alone=1 the engines are not asked: who has nobody else to send requests to wants them here
 * when what all processes share is away. */
static bool engines_ready(struct request *request, json_t *engines)
{
    const struct http_server *server = request->context;
    const char *alone = request_query(request, "alone");
    return (alone != NULL && strcmp(alone, "1") == 0) || server->hooks.ready == NULL ||
           server->hooks.ready(server->hooks.context, engines);
}

static int readyz(struct request *request)
{
    struct http_server *server = request->context;
    json_t *engines = json_object();
    const char *leaving = atomic_load(&server->leaving);
    bool ready = engines != NULL && leaving == NULL && engines_ready(request, engines);
    bool all_closed = true;
    json_t *breakers = breakers_state(&all_closed);
    bool degraded = !all_closed || any_degraded(engines);
    json_t *why CLEANUP_JSON = json_incref(json_object_get(engines, "reason"));
    (void)json_object_del(engines, "reason");
    const char *reason = leaving != NULL ? leaving : json_string_value(why);
    int error = reply_header(request, "Cache-Control", "no-store");
    if (error != 0) {
        json_decref(engines);
        json_decref(breakers);
        return error;
    }
    const char *word = readiness(ready, leaving != NULL, degraded);
    return reply_json(request, ready ? 200 : 503,
                      json_pack("{s:s,s:o,s:o,s:s*}", "status", word, "engines", engines,
                                "breakers", breakers, "reason", reason));
}

static const struct route rows[] = {
    {.method = "GET",
     .pattern = "/healthz",
     .run = ROUTE_LOOP,
     .handle = healthz,
     .flags = ROUTE_NO_AUTH_HEADER},
    {.method = "GET",
     .pattern = "/readyz",
     .run = ROUTE_POOL,
     .rate = RATE_READ,
     .handle = readyz,
     .flags = ROUTE_NO_AUTH_HEADER | ROUTE_VITAL},
    {.method = "GET",
     .pattern = "/metrics",
     .run = ROUTE_POOL,
     .rate = RATE_READ,
     .handle = scrape_handle,
     .flags = ROUTE_NO_AUTH_HEADER | ROUTE_VITAL},
};

int builtin_add(struct http_server *server, struct problem *problem)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int error = router_add(server->router, &rows[i], server, problem);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}
