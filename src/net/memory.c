/* The memory that requests hold while clients keep them waiting: bodies that come in, what they
 * become when they are read (request_memory), buffers of uploads and streams, answers that are
 * being sent. All of it together is at most http_config.request_memory_max, of one address a
 * quarter of that (not of trusted proxies, which stand for many); what would go past it is refused
 * with 503. Answers are counted, but never refused; while they take it all, nothing but plays and
 * media is let in (memory_full).
 *
 * Counted by address is in a table of counters, by hash: who shares one with a greedy address is
 * limited with it, and nothing is ever looked up or freed. Any thread.
 */
#include "net/server.h"

#include "base/error.h"
#include "net/metrics.h"

enum { SHARE_OF_ADDRESS = 4 };

static _Atomic size_t *counter_of(struct request_private *request)
{
    struct address owner = address_owner(&request->remote_address);
    return &request->server->memory.by_address[address_hash(&owner) % MEMORY_COUNTERS];
}

/* A trusted proxy that does not say for whom it asks. */
static bool stands_for_many(const struct request_private *request)
{
    return networks_hold(&request->settings->trusted, &request->remote_address);
}

static int refuse(struct request_private *request)
{
    metric_add(request->server->metrics.memory_full, 1);
    request->request.call.problem.retry_after_s = 1;
    return problem_set(&request->request.call.problem, ERR_BUSY,
                       "The server has too many requests in work; try again in a second");
}

/* For who gives memory back to the system now and then, and would miss a short time of much. */
static void note_most(struct http_server *server, size_t used)
{
    size_t most = atomic_load_explicit(&server->memory.most, memory_order_relaxed);
    while (used > most && !atomic_compare_exchange_weak(&server->memory.most, &most, used)) {
    }
}

void memory_add(struct request_private *request, size_t bytes)
{
    note_most(request->server, atomic_fetch_add(&request->server->memory.used, bytes) + bytes);
    (void)atomic_fetch_add(counter_of(request), bytes);
    request->memory_bytes += bytes;
}

int memory_take(struct request_private *request, size_t bytes)
{
    size_t most = request->settings->config.request_memory_max;
    size_t used = atomic_load(&request->server->memory.used) + bytes;
    size_t own = atomic_load(counter_of(request)) + bytes;
    if (used > most || (own > most / SHARE_OF_ADDRESS && !stands_for_many(request))) {
        return refuse(request);
    }
    memory_add(request, bytes);
    return 0;
}

void memory_give(struct request_private *request, size_t bytes)
{
    if (bytes > 0) {
        /* The address's first: where nothing is held, nobody holds anything. */
        (void)atomic_fetch_sub(counter_of(request), bytes);
        (void)atomic_fetch_sub(&request->server->memory.used, bytes);
        request->memory_bytes -= bytes;
    }
}

int memory_full(struct request_private *request)
{
    bool full = atomic_load_explicit(&request->server->memory.used, memory_order_relaxed) >
                request->settings->config.request_memory_max;
    return full && limit_lane(request) != JOB_PLAY ? refuse(request) : 0;
}

static int64_t ask_used(void *argument)
{
    return (int64_t)atomic_load(&((struct http_server *)argument)->memory.used);
}

void memory_metrics(struct http_server *server)
{
    server->metrics.memory_full =
        metric_get(METRIC_COUNTER, "tutti_http_memory_full_total",
                   "Requests answered 503, those in work holding all the memory they may.", "");
    metric_ask("tutti_http_request_memory_bytes", "Memory held by requests in work.", "", ask_used,
               server);
}
