/* A request is this table of steps, run in order:
 *
 *   READ   what the head says: lengths, ids, the client's address       (head.c)
 *   ROUTE  which row of the table; OPTIONS is answered here
 *   AUTH   who asks (a bearer token), and whether the row's roles allow it
 *   LIMIT  rates and sizes, before anything costs
 *   BODY   waits for the body: in memory (body.c) or into a sink (sink.c)
 *   HANDLE the row's function, here on the loop or on the pool
 *   REPLY  what it set, or the problem it returned, is handed to libmicrohttpd (reply.c)
 *   LOG    after the last byte: metrics and the access log
 *
 * libmicrohttpd calls at least twice, after the head and after the body, and answers must wait for
 * the second: one that is queued before ends the connection. Steps return 0 (go on), a negative
 * error (answer it), or one of enum outcome. All run on the request's loop thread.
 */
#include "net/header.h"
#include "net/metrics.h"
#include "net/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/trace.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum outcome {
    STEP_WAIT = 1,   /* for the body or the pool; called again */
    STEP_ANSWER = 2, /* a reply is set: on to REPLY */
    STEP_CLOSE = 3,  /* the connection can't go on */
};

struct step {
    const char *name;
    int (*run)(struct request_private *request);
};

static int step_read(struct request_private *request)
{
    return head_read(request);
}

/* The base path is cut off if it is there (a proxy may have done so already). */
static const char *behind_base(const struct request_private *request, const char *target)
{
    const char *base = request->settings->config.base_path;
    size_t length = strlen(base);
    if (length > 0 && strncmp(target, base, length) == 0) {
        const char *rest = target + length;
        if (*rest == '/') {
            return rest;
        }
        if (*rest == '\0' || *rest == '?') {
            return "/";
        }
    }
    return target;
}

/* True if the request's Host is the one that has a root of its own. A name without a port stands
 * for all ports. */
static bool is_own_host(struct request_private *request)
{
    const char *own = request->settings->config.own_host;
    const char *host = own[0] != '\0' ? request_header(&request->request, "Host") : NULL;
    size_t length = strlen(own);
    return host != NULL && strncasecmp(host, own, length) == 0 &&
           (host[length] == '\0' || host[length] == ':');
}

/* The path to route, from the target. NULL: out of memory. */
static const char *routed_path(struct request_private *request)
{
    const char *target = request->request.target;
    if (strcmp(request->request.method, "OPTIONS") == 0 && strcmp(target, "*") == 0) {
        return "/";
    }
    const char *start = target_path_start(target);
    request->request.by_own_host = is_own_host(request);
    return request->request.by_own_host
               ? arena_printf(request->request.call.arena, "%s%s",
                              request->settings->config.own_host_path, start)
               : behind_base(request, start);
}

static int copy_params(struct request_private *request, const struct route_match *match)
{
    for (unsigned i = 0; i < match->entry->param_count; i++) {
        request->param_values[i] =
            arena_strndup(request->request.call.arena, request->path.text + match->values[i].offset,
                          match->values[i].length);
        if (request->param_values[i] == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    return 0;
}

/* What is not valid is refused in the form of what the path, as far as it is valid, leads to. */
static int bad_path(struct request_private *request, int error)
{
    struct route_match match;
    router_find(request->server->router, request->request.method, &request->path, &match);
    request->beside = match.entry != NULL ? match.entry : match.other;
    return problem_set(&request->request.call.problem, error,
                       "The path is not valid: it begins with '/', is percent-encoded UTF-8, "
                       "and has no '.' or '..' in it, and at most %d parts",
                       TARGET_SEGMENTS_MAX);
}

static int no_route(struct request_private *request, const struct route_match *match)
{
    struct problem *problem = &request->request.call.problem;
    int error = limit_rate(request, RATE_READ);
    if (error != 0) {
        return error;
    }
    if (!match->path_known) {
        return problem_set(problem, ERR_NOT_FOUND, "There is nothing at %s", request->path.text);
    }
    request->beside = match->other;
    char methods[128];
    router_allow(request->server->router, &request->path, methods, sizeof methods);
    (void)reply_header(&request->request, "Allow", methods);
    return problem_set(problem, ERR_METHOD, "%s is not for %s; allowed are %s", request->path.text,
                       request->request.method, methods);
}

static int step_route(struct request_private *request)
{
    bool options = strcmp(request->request.method, "OPTIONS") == 0;
    const char *start = routed_path(request);
    int error = start != NULL
                    ? target_path_decode(request->request.call.arena, start, &request->path)
                    : ERR_NO_MEMORY;
    if (error != 0) {
        return bad_path(request, error);
    }
    request->request.path = request->path.text;
    struct route_match match;
    router_find(request->server->router, request->request.method, &request->path, &match);
    request->entry = match.entry;
    if (match.entry == NULL) {
        if (options && (match.path_known || strcmp(request->request.target, "*") == 0)) {
            error = cors_options(request);
            return error != 0 ? error : STEP_ANSWER;
        }
        return no_route(request, &match);
    }
    request->request.route = match.entry->row;
    request->request.context = match.entry->context;
    return copy_params(request, &match);
}

/* Who asks, by the bearer token if there is one. */
static int authenticate(struct request_private *request)
{
    struct http_hooks *hooks = &request->server->hooks;
    if (request->authorization == NULL ||
        (request->entry->row->flags & ROUTE_NO_AUTH_HEADER) != 0 ||
        strncasecmp(request->authorization, "Bearer", 6) != 0) {
        return 0;
    }
    const char *bearer = header_bearer(request->authorization);
    if (bearer == NULL || hooks->authenticate == NULL) {
        return problem_set(&request->request.call.problem, ERR_UNAUTHENTICATED,
                           "The token is malformed");
    }
    return hooks->authenticate(hooks->context, &request->request, bearer);
}

static int check_role(struct request_private *request)
{
    const struct route *row = request->entry->row;
    struct call *call = &request->request.call;
    if (row->roles == 0 || (call->actor.roles & row->roles) != 0) {
        return 0;
    }
    if (call->actor.user_id == 0) {
        return problem_set(&call->problem, ERR_UNAUTHENTICATED,
                           "This needs Authorization: Bearer with an access token");
    }
    return problem_set(&call->problem, ERR_FORBIDDEN, "Your role does not allow this");
}

/* Who is refused here pays as well: asking without a token or a role is no way around the rates. */
static int step_auth(struct request_private *request)
{
    int error = authenticate(request);
    error = error != 0 ? error : check_role(request);
    if (error == 0 || error == ERR_RATE_LIMITED) {
        return error;
    }
    int limited = limit_rate(request, request->entry->row->rate);
    return limited != 0 ? limited : error;
}

static int step_limit(struct request_private *request)
{
    int error = limit_rate(request, request->entry->row->rate);
    return error != 0 ? error : limit_size(request);
}

static bool has_sink(const struct request_private *request)
{
    return request->entry != NULL && request->entry->row->sink != NULL;
}

/* A sink's open was PHASE_WORK: from here on the client is waited for again. */
static int wait_for_body(struct request_private *request)
{
    request->body_waiting = true;
    if (request->body_expected || has_sink(request)) {
        connection_phase(request->connection, PHASE_BODY);
    }
    return STEP_WAIT;
}

static int open_sink(struct request_private *request)
{
    if (request->sink == NULL && !connection_goes_on(request->connection, PHASE_WORK)) {
        return STEP_CLOSE;
    }
    return sink_start(request);
}

/* The whole body is there. What is left of it to write, and the handler, may take as long as any
 * work. */
static int finish_sink(struct request_private *request)
{
    if (!request->job_done && !connection_goes_on(request->connection, PHASE_WORK)) {
        return STEP_CLOSE;
    }
    return sink_finish(request);
}

static int step_body(struct request_private *request)
{
    if (request->body_refused && request->body_complete) {
        return request->job_result;
    }
    bool sinks = has_sink(request);
    if (sinks && !request->body_complete) {
        int result = open_sink(request);
        if (result != 0) {
            return result;
        }
    }
    if (!request->body_complete) {
        return wait_for_body(request);
    }
    due_begin(request);
    return sinks ? finish_sink(request) : 0;
}

static int run_in_time(struct request_private *request)
{
    int error = due_check(request);
    if (error != 0) {
        return error;
    }
    int64_t began_us = clock_monotonic_us();
    const char *before = spans_enter(request);
    int result = due_handle(request);
    (void)trace_enter(before);
    limit_note_run(request->entry, clock_monotonic_us() - began_us);
    return result;
}

static void run_handler(void *argument)
{
    struct request_private *request = argument;
    request->on_pool = true;
    request->job_result = run_in_time(request);
    request->job_done = true;
    request_drop_body(request); /* here: a loop, on which others wait, would take as long for it */
    request_resume(request);
}

static int busy(struct request_private *request)
{
    metric_add(request->server->metrics.pool_full, 1);
    request->request.call.problem.retry_after_s = 1;
    return problem_set(&request->request.call.problem, ERR_BUSY,
                       "The server has too much to do; try again in a second");
}

static int on_pool(struct request_private *request, struct job_pool *pool, enum job_lane lane,
                   void (*run)(void *argument))
{
    if (job_pool_claim(pool, lane) != 0) {
        return busy(request);
    }
    request->job = (struct job){.run = run, .argument = request, .lane = lane};
    request_suspend(request);
    job_pool_push(pool, &request->job);
    return STEP_WAIT;
}

static int handle_on_pool(struct request_private *request)
{
    struct http_server *server = request->server;
    bool hashes = request->entry->row->run == ROUTE_HASH; /* that pool has no other lane */
    struct job_pool *pool = hashes ? server->hash_pool : server->pool;
    enum job_lane lane = hashes ? JOB_PLAY : limit_lane(request);
    int error = shed_check(request, pool, lane);
    if (error != 0) {
        return error;
    }
    if (!connection_goes_on(request->connection, PHASE_WORK)) {
        return STEP_CLOSE;
    }
    spans_queued(request);
    return on_pool(request, pool, lane, run_handler);
}

static int step_handle(struct request_private *request)
{
    if (!request->job_done) {
        if (request->entry->row->run != ROUTE_LOOP) {
            return handle_on_pool(request);
        }
        const char *before = spans_enter(request);
        request->job_result = due_handle(request);
        (void)trace_enter(before);
        if (request->job_result == REQUEST_TO_POOL) {
            return handle_on_pool(request);
        }
        request->job_done = true;
    }
    if (request->job_result == 0 && request->reply.kind == REPLY_NONE) {
        return problem_set(&request->request.call.problem, ERR_INTERNAL, "No answer was made");
    }
    return request->job_result < 0 ? request->job_result : 0;
}

static void warm(void *argument)
{
    struct request_private *request = argument;
    reply_file_warm(request);
    request_resume(request);
}

/* True when the answer must not wait for the body: too much to let pass, or the client itself waits
 * for a word before it sends. */
static bool answer_before_body(const struct request_private *request)
{
    return request->cut ||
           (request->body_expected && (request->expect != NULL || request->content_length < 0 ||
                                       request->content_length > DISCARD_BYTES_MAX));
}

/* What stays while the client takes its answer. A first block belongs to the connection. */
static void hold_answer(struct request_private *request)
{
    size_t bytes = arena_bytes(request->request.call.arena);
    if (request->body_complete) {
        request_drop_body(request);
    }
    if (bytes > ARENA_FIRST_BYTES) {
        memory_add(request, bytes);
    }
}

static int step_reply(struct request_private *request)
{
    if (!request->body_complete && !answer_before_body(request)) {
        request->body_refused = true;
        return wait_for_body(request);
    }
    if (request->reply.cold) {
        request->reply.cold = false;
        connection_phase(request->connection, PHASE_WORK);
        int result = on_pool(request, request->server->pool, limit_lane(request), warm);
        if (result < 0) {
            reply_problem(request, result);
        } else {
            return result;
        }
    }
    if (!connection_goes_on(request->connection, PHASE_SEND)) {
        return STEP_CLOSE;
    }
    request->connection->lingers = !request->body_complete && request->body_expected;
    hold_answer(request);
    request->response = reply_make(request);
    if (request->response == NULL) {
        return STEP_CLOSE;
    }
    enum MHD_Result queued =
        MHD_queue_response(request->mhd, (unsigned)request->reply.status, request->response);
    MHD_destroy_response(request->response);
    request->queued = queued == MHD_YES;
    return request->queued ? 0 : STEP_CLOSE;
}

enum { STEP_HANDLE_INDEX = 5, STEP_REPLY_INDEX = 6, STEP_LOG_INDEX = 7 };

static const struct step steps[] = {
    {"read", step_read},
    {"route", step_route},
    {"auth", step_auth},
    {"limit", step_limit},
    {"body", step_body},
    [STEP_HANDLE_INDEX] = {"handle", step_handle},
    [STEP_REPLY_INDEX] = {"reply", step_reply},
    [STEP_LOG_INDEX] = {"log", NULL}, /* steps_finish, once all is sent */
};

enum MHD_Result steps_run(struct request_private *request)
{
    while (request->step < STEP_LOG_INDEX) {
        spans_step_begins(request);
        int result = steps[request->step].run(request);
        if (result == STEP_WAIT) {
            return MHD_YES;
        }
        spans_step_ended(request);
        if (result == STEP_CLOSE) {
            return MHD_NO;
        }
        if (result < 0) {
            metric_add(request->server->metrics.rate_limited, result == ERR_RATE_LIMITED);
            reply_problem(request, result);
            request->step = STEP_REPLY_INDEX;
        } else {
            request->step = result == STEP_ANSWER ? STEP_REPLY_INDEX : request->step + 1;
        }
    }
    return MHD_YES;
}

static struct metric *count_of(struct route_entry *entry, int status)
{
    for (unsigned i = 0; i < ROUTE_CODES; i++) {
        int known = atomic_load_explicit(&entry->codes[i].status, memory_order_acquire);
        if (known == status) {
            return atomic_load_explicit(&entry->codes[i].metric, memory_order_acquire);
        }
        if (known == 0) {
            char labels[256];
            (void)snprintf(labels, sizeof labels, "method=\"%s\",route=\"%s\",code=\"%d\"",
                           entry->row->method, entry->row->pattern, status);
            struct metric *metric = metric_get(METRIC_COUNTER, "tutti_http_requests_total",
                                               "Requests answered.", labels);
            if (atomic_compare_exchange_strong(&entry->codes[i].status, &known, -1)) {
                atomic_store(&entry->codes[i].metric, metric);
                atomic_store(&entry->codes[i].status, status);
            }
            return metric;
        }
    }
    return NULL;
}

void steps_finish(struct request_private *request, bool sent)
{
    static const struct route nowhere = {.method = "any", .pattern = "none"};
    static struct route_entry unknown = {.row = &nowhere};
    struct route_entry *entry = request->entry != NULL ? request->entry : &unknown;
    int64_t duration_us = clock_monotonic_us() - request->started_us;
    int status = request->reply.status;
    if (status != 0) {
        metric_add(count_of(entry, status), 1);
        metric_observe_us(entry->duration, duration_us);
        if (sent && !request->head_only) {
            request->sent_bytes = request->reply.length;
            metric_add(request->server->metrics.sent_bytes, (int64_t)request->sent_bytes);
        }
    }
    static const char *const names[] = {"read", "route",  "auth",  "limit",
                                        "body", "handle", "reply", NULL};
    spans_end(request, names);
    if (request->settings->config.access_log) {
        access_log_request(&request->server->access_log, request, duration_us, sent);
    }
}
