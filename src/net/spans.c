/* The spans of a request (base/trace.h): one for itself, by the semantic conventions of HTTP
 * servers (opentelemetry.io/docs/specs/semconv/http), and below it one for each step that it passed
 * and one for its wait in a pool's queue.
 *
 * What is a secret stays out: of the path only the parts that a row's pattern does not call
 * {token}, of the query nothing. A request whose trace is not recorded costs a look at one flag.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/trace.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_MAX = 8, REMOTE_SPAN_AT = 36, REMOTE_SPAN_LENGTH = 16 };

struct request_spans {
    char parent[TRACE_SPAN_ID_SIZE]; /* what the client said; "" for nothing */
    struct {
        int64_t began_us, ended_us; /* monotonic; 0: never */
    } steps[STEPS_MAX];
    int64_t queued_us, taken_us; /* by a pool */
};

void spans_begin(struct request_private *request)
{
    struct call *call = &request->request.call;
    if (request->trace_parent == NULL && trace_is_on() && trace_chooses(call->trace_parent + 3)) {
        call->trace_parent[sizeof "00-" - 1 + 32 + 1 + 16 + 2] = '1';
    }
    if (!trace_is_sampled(call->trace_parent)) {
        return;
    }
    struct request_spans *spans = arena_alloc(call->arena, sizeof *spans);
    if (spans == NULL) {
        return;
    }
    *spans = (struct request_spans){.steps[0].began_us = request->started_us};
    if (request->trace_parent != NULL) {
        memcpy(spans->parent, request->trace_parent + REMOTE_SPAN_AT, REMOTE_SPAN_LENGTH);
    }
    request->spans = spans;
}

void spans_step_begins(struct request_private *request)
{
    struct request_spans *spans = request->spans;
    if (spans != NULL && request->step < STEPS_MAX && spans->steps[request->step].began_us == 0) {
        spans->steps[request->step].began_us = clock_monotonic_us();
    }
}

void spans_step_ended(struct request_private *request)
{
    struct request_spans *spans = request->spans;
    if (spans != NULL && request->step < STEPS_MAX) {
        spans->steps[request->step].ended_us = clock_monotonic_us();
    }
}

void spans_queued(struct request_private *request)
{
    if (request->spans != NULL) {
        request->spans->queued_us = clock_monotonic_us();
    }
}

const char *spans_enter(struct request_private *request)
{
    if (request->spans == NULL) {
        return trace_enter(NULL);
    }
    if (request->spans->queued_us != 0 && request->spans->taken_us == 0) {
        request->spans->taken_us = clock_monotonic_us();
    }
    return trace_enter(request->request.call.trace_parent);
}

static void put_part(const struct request_private *request, const char *name, int64_t began_us,
                     int64_t ended_us)
{
    struct span span;
    if (began_us == 0 || ended_us == 0) {
        return;
    }
    span_begin(&span, request->request.call.trace_parent, SPAN_INTERNAL, name);
    span.began_us = began_us;
    span.ended_us = ended_us;
    span_put(&span);
}

/* The path as it was asked for, with "-" for what the pattern calls {token}. */
static void write_path(const char *path, const char *pattern, char out[SPAN_TEXT_SIZE])
{
    static const char secret[] = "/{token}";
    assert(pattern != NULL); /* every route has one */
    size_t length = 0;
    out[0] = '\0';
    while (*path == '/' && length < SPAN_TEXT_SIZE) {
        size_t part = strcspn(path + 1, "/") + 1;
        size_t pattern_part = *pattern == '/' ? strcspn(pattern + 1, "/") + 1 : 0;
        bool hide =
            pattern_part == sizeof secret - 1 && strncmp(pattern, secret, pattern_part) == 0;
        length += (size_t)snprintf(out + length, SPAN_TEXT_SIZE - length, "%.*s",
                                   hide ? 2 : (int)part, hide ? "/-" : path);
        path += part;
        pattern += pattern_part;
    }
}

/* The method, or what the conventions say for any other: that may be any bytes, and as many names
 * of spans as somebody likes to send. */
static const char *known_method(const struct request_private *request, const char *otherwise)
{
    static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(request->request.method, known[i]) == 0) {
            return known[i];
        }
    }
    return otherwise;
}

static void describe(const struct request_private *request, struct span *span)
{
    const struct request *public_ = &request->request;
    int status = request->reply.status;
    char text[SPAN_TEXT_SIZE];
    span_text(span, "http.request.method", known_method(request, "_OTHER"));
    span_text(span, "url.scheme", public_->https ? "https" : "http");
    span_text(span, "client.address", public_->remote);
    span_text(span, "tutti.request_id", public_->call.request_id);
    if (request->entry != NULL) { /* what has no route may hold anything */
        write_path(public_->path, request->entry->row->pattern, text);
        span_text(span, "url.path", text);
        span_text(span, "http.route", request->entry->row->pattern);
    }
    if (status != 0) {
        span_number(span, "http.response.status_code", status);
    }
    span_number(span, "http.response.body.size", (int64_t)request->sent_bytes);
    if (public_->call.actor.user_id != 0) {
        char digits[24];
        (void)snprintf(digits, sizeof digits, "%lld", (long long)public_->call.actor.user_id);
        span_text(span, "user.id", digits);
    }
    if (status >= 500 || status == 0) {
        (void)snprintf(text, sizeof text, "%d", status);
        span_text(span, "error.type", status != 0 ? text : "cut");
    }
}

void spans_end(struct request_private *request, const char *const step_names[])
{
    const struct request_spans *spans = request->spans;
    if (spans == NULL) {
        return;
    }
    struct span span;
    char name[SPAN_NAME_SIZE];
    const char *pattern = request->entry != NULL ? request->entry->row->pattern : NULL;
    (void)snprintf(name, sizeof name, "%s%s%s", known_method(request, "HTTP"),
                   pattern != NULL ? " " : "", pattern != NULL ? pattern : "");
    span_begin(&span, request->request.call.trace_parent, SPAN_SERVER, name);
    memcpy(span.self, request->request.call.trace_parent, sizeof span.self);
    memcpy(span.parent, spans->parent, sizeof span.parent);
    span.began_us = request->started_us;
    describe(request, &span);
    for (unsigned i = 0; i < STEPS_MAX && step_names[i] != NULL; i++) {
        put_part(request, step_names[i], spans->steps[i].began_us, spans->steps[i].ended_us);
    }
    put_part(request, "queue", spans->queued_us, spans->taken_us);
    int64_t now_us = clock_monotonic_us();
    unsigned reply = STEPS_MAX - 2;
    put_part(request, "send", spans->steps[reply].ended_us, now_us);
    span_end(&span, request->reply.status >= 500 || request->reply.status == 0);
    request->spans = NULL;
}
