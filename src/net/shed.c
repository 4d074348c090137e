/* Who is let onto the pool when work waits there: the last limit before something costs.
 *
 * Rate limits are each one's own; when many come, none of them too often, work waits all the same.
 * So each kind of request has a wait up to which it is let in, a multiple of
 * http_config.shed_delay_ms, and what would wait longer is refused at once with 503: as in WeChat's
 * admission by queuing time and priority (Zhou et al., "Overload Control for Scaling WeChat
 * Microservices", SoCC 2018), with the wait as jobs.h measures and foresees it. Strangers go before
 * those who are signed in, what is expensive before what is cheap, uploads before reads, plays
 * last; and what is answered on a loop (out of a cache) never comes here. A part of an upload that
 * was let in goes before a new upload.
 *
 * What is expensive is measured: a route whose work takes COSTLY_US and more on average.
 * Runs on the loop threads.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <stdio.h>

enum { HASHES = 4, AFTER_S_MAX = 30 };

/* Multiples of shed_delay_ms, for strangers and for who is signed in. 0: never refused. */
static const struct shed_row {
    const char *label;
    unsigned patience[2];
} rows[RATE_CLASSES_] = {
    [RATE_NONE] = {"media", {0, 0}},    [RATE_READ] = {"read", {1, 4}},
    [RATE_WRITE] = {"write", {1, 4}},   [RATE_UPLOAD] = {"upload", {1, 2}},
    [RATE_PLAY] = {"play", {4, 16}},    [RATE_LOGIN] = {"login", {HASHES, HASHES}},
    [RATE_OBJECT] = {"object", {3, 3}},
};

static bool is_vital(const struct request_private *request)
{
    return (request->entry->row->flags & ROUTE_VITAL) != 0;
}

/* Signed in; or a picture, which browsers fetch for somebody who is without saying so. */
static bool is_known(const struct request_private *request)
{
    return request->request.call.actor.user_id != 0 ||
           (request->entry->row->flags & ROUTE_ANY_ORIGIN) != 0;
}

/* Up to which wait it is let in; 0: any. */
static int64_t patience_us(const struct request_private *request)
{
    const struct route_entry *entry = request->entry;
    bool known = is_known(request);
    bool costly = entry->row->run != ROUTE_HASH && limit_is_costly(entry);
    unsigned multiple = is_vital(request) ? 0 : rows[entry->row->rate].patience[known];
    int64_t us = (int64_t)request->settings->config.shed_delay_ms * 1000 * multiple;
    return costly ? us / 2 : us;
}

int shed_check(struct request_private *request, const struct job_pool *pool, enum job_lane lane)
{
    int64_t most_us = patience_us(request);
    int64_t wait_us = most_us != 0 ? job_pool_wait_us(pool, lane, clock_monotonic_us()) : 0;
    if (most_us == 0 || wait_us <= most_us) {
        return 0;
    }
    bool known = is_known(request);
    metric_add(request->server->metrics.shed[request->entry->row->rate][known], 1);
    int64_t after_s = (wait_us + 999999) / 1000000;
    struct problem *problem = &request->request.call.problem;
    problem->retry_after_s = after_s < AFTER_S_MAX ? (int)after_s : AFTER_S_MAX;
    return problem_set(problem, ERR_BUSY, "The server has too much to do; try again in %d s",
                       problem->retry_after_s);
}

void shed_metrics(struct http_server *server)
{
    for (unsigned class = RATE_READ; class < RATE_CLASSES_; class ++) {
        for (unsigned known = 0; known < 2; known++) {
            char labels[64];
            (void)snprintf(labels, sizeof labels, "class=\"%s\",signed_in=\"%s\"",
                           rows[class].label, known ? "yes" : "no");
            server->metrics.shed[class][known] =
                metric_get(METRIC_COUNTER, "tutti_http_shed_total",
                           "Requests answered 503, their like having waited too long.", labels);
        }
    }
}
