/* Routes of the server itself: /healthz, /readyz and /metrics. */
#include "net/server.h"

#include "base/buffer.h"
#include "base/error.h"
#include "net/metrics.h"

enum { METRICS_BYTES_MAX = 8 << 20 };

static int healthz(struct request *request)
{
    static const char body[] = "{\"status\":\"ok\"}";
    int error = reply_header(request, "Cache-Control", "no-store");
    return error != 0 ? error
                      : reply_bytes(request, 200, "application/json", body, sizeof body - 1, true);
}

static int readyz(struct request *request)
{
    struct http_server *server = request->context;
    json_t *engines = json_object();
    bool draining = atomic_load(&server->draining);
    bool ready =
        engines != NULL && !draining &&
        (server->hooks.ready == NULL || server->hooks.ready(server->hooks.context, engines));
    bool degraded = ready && json_object_get(engines, "degraded") != NULL;
    const char *word = ready      ? degraded ? "degraded" : "ready"
                       : draining ? "draining"
                                  : "not ready";
    int error = reply_header(request, "Cache-Control", "no-store");
    if (error != 0) {
        json_decref(engines);
        return error;
    }
    return reply_json(request, ready ? 200 : 503,
                      json_pack("{s:s,s:o}", "status", word, "engines", engines));
}

static int metrics(struct request *request)
{
    struct buffer text;
    buffer_init(&text, METRICS_BYTES_MAX);
    metrics_write(&text);
    int error = buffer_error(&text);
    if (error == 0) {
        error = reply_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8", text.data,
                            text.length, false);
    }
    buffer_done(&text);
    return error;
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
     .flags = ROUTE_NO_AUTH_HEADER},
    {.method = "GET",
     .pattern = "/metrics",
     .run = ROUTE_POOL,
     .rate = RATE_READ,
     .handle = metrics,
     .flags = ROUTE_NO_AUTH_HEADER},
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
