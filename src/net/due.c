/* When an answer is due: a request's deadline (call.h).
 *
 * It runs from the moment the request is whole, its body included, since how long a body takes is
 * the client's affair (deadlines.c), to the moment its answer begins. Each class of operation has
 * its own; a client or a proxy that gives up earlier says so in Tutti-Timeout-Ms, and then nothing
 * is done for nobody. More than ours is never given.
 *
 * What has not begun when the time is over is not begun: 503, so the client may try again whatever
 * it asked for. Work that has begun sees its waits for engines cut to what is left; where one is
 * cut, the answer is 504: it may have been done. Bytes of an answer that has begun are outside of
 * it. Runs on the loops and on the pool.
 */
#include "net/server.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "net/metrics.h"

enum { ASKED_MS_MAX = 24 * 60 * 60 * 1000 };

int due_read(struct request_private *request)
{
    if (request->timeout != NULL &&
        !text_number(request->timeout, 1, ASKED_MS_MAX, &request->asked_ms)) {
        return problem_set(&request->request.call.problem, ERR_MALFORMED,
                           "Tutti-Timeout-Ms must be a number of milliseconds from 1 to %d",
                           ASKED_MS_MAX);
    }
    return 0;
}

void due_begin(struct request_private *request)
{
    struct call *call = &request->request.call;
    int64_t most_ms = request->settings->config.deadline_ms[request->entry->row->rate];
    int64_t asked_ms = request->asked_ms;
    int64_t ms = asked_ms != 0 && (most_ms == 0 || asked_ms < most_ms) ? asked_ms : most_ms;
    if (ms != 0 && call->deadline_ms == 0) {
        bool waited = request->body_expected;
        call->deadline_ms = (waited ? clock_monotonic_ms() : request->started_us / 1000) + ms;
    }
}

int due_check(struct request_private *request)
{
    struct call *call = &request->request.call;
    if (call->deadline_ms == 0 || clock_monotonic_ms() < call->deadline_ms) {
        return 0;
    }
    metric_add(request->server->metrics.late, 1);
    call->problem.retry_after_s = 1;
    return problem_set(&call->problem, ERR_BUSY,
                       "The server had too much to do to begin this in time; nothing was done");
}

int due_handle(struct request_private *request)
{
    const struct http_hooks *hooks = &request->server->hooks;
    int64_t before = call_deadline_enter(request->request.call.deadline_ms);
    if (hooks->handle_begins != NULL) {
        hooks->handle_begins(hooks->context, &request->request);
    }
    int result = request->entry->row->handle(&request->request);
    if (hooks->handle_ended != NULL) {
        hooks->handle_ended(hooks->context, &request->request);
    }
    (void)call_deadline_enter(before);
    return result;
}
