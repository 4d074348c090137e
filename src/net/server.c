/* The HTTP server: its life, and the callbacks that libmicrohttpd makes (http.h, server.h).
 *
 *   new ─► add_routes … ─► start ─► (reload …) ─► drain ─► free
 *
 * libmicrohttpd is told to run an epoll loop a core, to parse strictly, and to have no time limits
 * of its own (they know no trickling client; deadlines.c has ours). It must not be stopped while a
 * connection is suspended: free waits for the pool first.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/problem.h"
#include "net/listen.h"
#include "net/metrics.h"

#include <assert.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOP_STACK_BYTES = 256 * 1024,
    REQUEST_ARENA_BYTES_MAX = 16 << 20,
    RATE_ENTRIES = 64 * 1024,
    CONNECTIONS_HEADROOM = 512, /* a loop's, for those that are told 503 */
    HEADER_BYTES_MIN = 1024,
};

/* ---- requests: taken when the first line is there, given back with the last reference ---- */

/* A loop's own: spare requests, with their arena's first block, and its shard of what is counted.
 */
struct loop {
    struct request_private *spare;
    unsigned spare_count, shard;
};

static pthread_once_t loop_once = PTHREAD_ONCE_INIT;
static pthread_key_t loop_key;
static _Thread_local struct loop *this_loop; /* NULL in other threads */

static void request_delete(struct request_private *request)
{
    arena_free(request->request.call.arena);
    free(request);
}

static void loop_end(void *argument)
{
    struct loop *loop = argument;
    while (loop->spare != NULL) {
        struct request_private *request = loop->spare;
        loop->spare = request->spare_next;
        request_delete(request);
    }
    free(loop);
}

static void make_loop_key(void)
{
    (void)pthread_key_create(&loop_key, loop_end);
}

/* Of the calling loop thread; NULL when out of memory. */
static struct loop *loop_get(void)
{
    static _Atomic unsigned next;
    if (this_loop == NULL) {
        (void)pthread_once(&loop_once, make_loop_key);
        this_loop = calloc(1, sizeof *this_loop);
        if (this_loop != NULL) {
            this_loop->shard = atomic_fetch_add(&next, 1) % RUNNING_SHARDS;
            (void)pthread_setspecific(loop_key, this_loop);
        }
    }
    return this_loop;
}

static struct request_private *request_new(void)
{
    struct request_private *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    request->request.call.arena = arena_new(REQUEST_ARENA_BYTES_MAX);
    if (request->request.call.arena == NULL) {
        free(request);
        return NULL;
    }
    return request;
}

static struct request_private *take_spare(struct loop *loop)
{
    struct request_private *request = loop->spare;
    if (request == NULL) {
        return request_new();
    }
    loop->spare = request->spare_next;
    loop->spare_count--;
    return request;
}

struct request_private *request_acquire(struct http_server *server, struct connection *connection)
{
    struct loop *loop = loop_get();
    struct request_private *request = loop != NULL ? take_spare(loop) : NULL;
    if (request == NULL) {
        return NULL;
    }
    /* All but the arena and the large text of the problem, which is empty by its first bytes. */
    struct problem *problem = &request->request.call.problem;
    problem->code = 0;
    problem->retry_after_s = 0;
    problem->detail[0] = '\0';
    problem->field_count = 0;
    size_t from = offsetof(struct request_private, request.call.actor);
    memset((char *)request + from, 0, sizeof *request - from);
    request->magic = REQUEST_MAGIC;
    request->request.private_ = request;
    request->server = server;
    request->settings = server_settings(server);
    request->connection = connection;
    request->mhd = connection->mhd;
    request->started_us = clock_monotonic_us();
    request->running_shard = loop->shard;
    atomic_store_explicit(&request->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->running[loop->shard].count, 1, memory_order_relaxed);
    return request;
}

void request_drop_body(struct request_private *request)
{
    if (body_is_secret(request)) {
        json_wipe(request->json);
    }
    body_free(request);
    json_decref(request->json);
    memory_give(request, request->body_room);
    request->json = NULL;
    request->body_room = 0;
}

void request_unref(struct request_private *request)
{
    assert(request->magic == REQUEST_MAGIC);
    if (atomic_fetch_sub(&request->refs, 1) != 1) {
        return;
    }
    struct http_server *server = request->server;
    reply_discard(request);
    request_drop_body(request);
    memory_give(request, request->memory_bytes);
    arena_reset(request->request.call.arena);
    request->magic = 0;
    unsigned shard = request->running_shard;
    struct loop *loop = this_loop;
    if (loop != NULL && loop->spare_count < REQUESTS_SPARE_MAX) {
        request->spare_next = loop->spare;
        loop->spare = request;
        loop->spare_count++;
    } else {
        request_delete(request);
    }
    atomic_fetch_sub(&server->running[shard].count, 1);
}

void request_suspend(struct request_private *request)
{
    MHD_suspend_connection(request->mhd);
}

void request_resume(struct request_private *request)
{
    MHD_resume_connection(request->mhd);
}

/* ---- libmicrohttpd's callbacks, on the loop threads ---- */

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* libmicrohttpd keeps each part of a query in the connection's small memory, and 0.9.75 forgets
 * that it has already failed where that overflows: the connection then hangs. The line it shows us
 * is the one it is about to take apart, so it is left no query to take apart; ours is a copy. */
static void cut_query(const char *target)
{
    char *query = target != NULL ? strchr((char *)target, '?') : NULL;
    if (query != NULL) {
        query[1] = '\0';
    }
}

/* The request line is there: target as it came. */
static void *on_target(void *argument, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = argument;
    struct connection *connection = connection_of(mhd);
    if (connection == NULL || atomic_load(&connection->refused)) {
        return NULL;
    }
    struct request_private *request = request_acquire(server, connection);
    if (request == NULL) {
        return NULL;
    }
    connection->request = request;
    atomic_store(&connection->asks, true);
    request->request.method = "";
    request->request.remote = connection->peer_text;
    request->request.target =
        arena_strdup(request->request.call.arena, target != NULL ? target : "");
    cut_query(target);
    return request;
}

/* A body that is refused while it comes in: libmicrohttpd takes no answer before its end, so it is
 * given on the socket itself, and the connection ends. */
static enum MHD_Result answer_now(struct request_private *request)
{
    reply_problem(request, request->job_result);
    cors_reply(request);
    const char *head = reply_head_text(request);
    if (head != NULL) {
        const struct reply *reply = &request->reply;
        size_t length = request->head_only ? 0 : (size_t)reply->length;
        connection_answer(request->connection->fd, head, reply->bytes, length);
        request->connection->lingers = true;
    }
    return MHD_NO;
}

static enum MHD_Result on_body(struct request_private *request, const char *bytes, size_t *length)
{
    if (request->entry == NULL) {
        *length = 0; /* of a request that is answered with an error after it */
        return MHD_YES;
    }
    enum body_take taken = body_take(request, bytes, length);
    bool short_rest = request->content_length >= 0 &&
                      request->content_length - (int64_t)request->body_length <= DISCARD_BYTES_MAX;
    return taken == BODY_REFUSED && !short_rest ? answer_now(request) : MHD_YES;
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *length, void **request_context)
{
    (void)argument;
    (void)mhd;
    (void)url;
    (void)version;
    struct request_private *request = *request_context;
    if (request == NULL || request->request.target == NULL) {
        return MHD_NO;
    }
    assert(request->magic == REQUEST_MAGIC);
    if (*length > 0) {
        return on_body(request, bytes, length);
    }
    if (request->request.method[0] == '\0') {
        request->request.method = method;
    }
    if (request->body_waiting) {
        request->body_waiting = false;
        request->body_complete = true;
    }
    return steps_run(request);
}

void request_complete(struct request_private *request, bool sent)
{
    request->connection->request = NULL;
    if (request->sink != NULL) {
        sink_abandon(request);
    }
    steps_finish(request, sent);
    atomic_store(&request->connection->asks, false);
    atomic_store(&request->connection->asked, true);
    connection_phase(request->connection, PHASE_HEADER);
    request_unref(request);
}

static void on_completed(void *argument, struct MHD_Connection *mhd, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    (void)argument;
    (void)mhd;
    if (*request_context != NULL) {
        request_complete(*request_context, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
        *request_context = NULL;
    }
}

/* Targets are decoded by us (target.c), so theirs is told to do nothing. */
static size_t keep_encoded(void *argument, struct MHD_Connection *mhd, char *text)
{
    (void)argument;
    (void)mhd;
    return strlen(text);
}

/* ---- settings ---- */

static const char *copy_text(const char *text, int *error)
{
    char *copy = strdup(text != NULL ? text : "");
    if (copy == NULL) {
        *error = ERR_NO_MEMORY;
    }
    return copy;
}

static void settings_free(struct settings *settings)
{
    free((void *)settings->config.listen);
    free((void *)settings->config.public_url);
    free((void *)settings->config.base_path);
    free((void *)settings->config.own_host);
    free((void *)settings->config.own_host_path);
    free((void *)settings->config.trusted_proxies);
    free((void *)settings->config.cors_origins);
    free(settings);
}

static int parse_proxies(const char *list, struct networks *ret_trusted, struct problem *problem)
{
    return networks_parse(list, ret_trusted)
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "server.trusted_proxies = %s: must be addresses or networks "
                             "(10.0.0.0/8), separated by commas, at most %d",
                             list, NETWORKS_MAX);
}

int http_proxies_check(const char *list, struct problem *problem)
{
    struct networks trusted;
    return parse_proxies(list, &trusted, problem);
}

static int settings_new(const struct http_config *config, struct settings **ret_settings,
                        struct problem *problem)
{
    struct settings *settings = calloc(1, sizeof *settings);
    if (settings == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = 0;
    settings->config = *config;
    settings->config.listen = copy_text(config->listen, &error);
    settings->config.public_url = copy_text(config->public_url, &error);
    settings->config.base_path = copy_text(config->base_path, &error);
    settings->config.own_host = copy_text(config->own_host, &error);
    settings->config.own_host_path = copy_text(config->own_host_path, &error);
    settings->config.trusted_proxies = copy_text(config->trusted_proxies, &error);
    settings->config.cors_origins = copy_text(config->cors_origins, &error);
    error = error != 0
                ? error
                : parse_proxies(settings->config.trusted_proxies, &settings->trusted, problem);
    if (error != 0) {
        settings_free(settings);
        return error;
    }
    security_settings(settings);
    *ret_settings = settings;
    return 0;
}

void http_config_defaults(struct http_config *config)
{
    *config = (struct http_config){
        .listen = "127.0.0.1:4040",
        .public_url = "",
        .base_path = "",
        .trusted_proxies = "",
        .cors_origins = "",
        .pool_threads = 16,
        .pool_queue_max = 256,
        .hash_queue_max = 64,
        .connections_max = 10000,
        .connections_per_address_max = 256,
        .header_bytes_max = 8 * 1024,
        .request_memory_max = 256 << 20,
        .header_timeout_ms = 10 * 1000,
        .body_timeout_ms = 30 * 1000,
        .body_rate_min = 1024,
        .keep_alive_timeout_ms = 75 * 1000,
        .send_timeout_ms = 60 * 1000,
        .send_rate_min = 128,
        .drain_timeout_ms = 30 * 1000,
        .hsts_s = 365 * 24 * 60 * 60,
        .access_log = true,
        .tighten_delay_ms = 50,
        .shed_delay_ms = 500,
        .deadline_ms = {[RATE_READ] = 10 * 1000,
                        [RATE_WRITE] = 20 * 1000,
                        [RATE_UPLOAD] = 120 * 1000,
                        [RATE_PLAY] = 10 * 1000,
                        [RATE_LOGIN] = 20 * 1000,
                        [RATE_OBJECT] = 300 * 1000},
    };
    config->rates[RATE_READ].per_minute = 1200;
    config->rates[RATE_READ].burst = 600;
    config->rates[RATE_WRITE].per_minute = 300;
    config->rates[RATE_WRITE].burst = 150;
    config->rates[RATE_UPLOAD].per_minute = 120;
    config->rates[RATE_UPLOAD].burst = 200;
    config->rates[RATE_PLAY].per_minute = 600;
    config->rates[RATE_PLAY].burst = 300;
    config->rates[RATE_LOGIN].per_minute = 30;
    config->rates[RATE_LOGIN].burst = 20;
    config->rates[RATE_OBJECT].per_minute = 30000;
    config->rates[RATE_OBJECT].burst = 5000;
}

/* ---- the server's life ---- */

static void register_metrics(struct http_server *server)
{
    server->metrics.sent_bytes = metric_get(METRIC_COUNTER, "tutti_http_sent_bytes_total",
                                            "Bytes of bodies that were sent whole.", "");
    server->metrics.connections =
        metric_get(METRIC_GAUGE, "tutti_http_connections", "Connections that are open.", "");
    server->metrics.refused_connections =
        metric_get(METRIC_COUNTER, "tutti_http_connections_refused_total",
                   "Connections refused, in all or by address too many.", "");
    server->metrics.displaced_connections =
        metric_get(METRIC_COUNTER, "tutti_http_connections_displaced_total",
                   "Connections ended to make room for others.", "");
    server->metrics.rate_limited =
        metric_get(METRIC_COUNTER, "tutti_http_rate_limited_total", "Requests answered 429.", "");
    server->metrics.late =
        metric_get(METRIC_COUNTER, "tutti_http_late_total",
                   "Requests answered 503, their time over before they began.", "");
    server->metrics.pool_full = metric_get(METRIC_COUNTER, "tutti_http_pool_full_total",
                                           "Requests answered 503, the pool being full.", "");
}

static int64_t ask_depth(void *argument)
{
    return job_pool_depth(((struct http_server *)argument)->pool);
}

static int64_t ask_hash_depth(void *argument)
{
    return job_pool_depth(((struct http_server *)argument)->hash_pool);
}

static int64_t ask_delay(void *argument)
{
    const struct job_pool *pool = ((struct http_server *)argument)->pool;
    int64_t now_us = clock_monotonic_us(), most_us = 0;
    for (unsigned lane = 0; lane < JOB_LANES; lane++) {
        int64_t lane_us = job_pool_delay_us(pool, (enum job_lane)lane, now_us);
        most_us = lane_us > most_us ? lane_us : most_us;
    }
    return most_us;
}

static unsigned count_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (unsigned)cores : 1;
}

/* A hash burns a core for tens of milliseconds: those that are left serve. */
static unsigned half_the_cores(void)
{
    unsigned half = count_cores() / 2;
    return half > 0 ? half : 1;
}

static int build(struct http_server *server, const struct http_config *config,
                 struct problem *problem)
{
    struct settings *settings = NULL;
    int error = settings_new(config, &settings, problem);
    if (error != 0) {
        return error;
    }
    atomic_store(&server->settings, settings);
    server->router = router_new();
    server->rates = rates_new(RATE_ENTRIES);
    if (server->router == NULL || server->rates == NULL) {
        return ERR_NO_MEMORY;
    }
    error = job_pool_new("pool", config->pool_threads > 0 ? config->pool_threads : 16,
                         config->pool_queue_max > 0 ? config->pool_queue_max : 256, &server->pool);
    if (error == 0) {
        error = job_pool_new(
            "hash", config->hash_threads > 0 ? config->hash_threads : half_the_cores(),
            config->hash_queue_max > 0 ? config->hash_queue_max : 64, &server->hash_pool);
    }
    if (error == 0) {
        job_pool_yield(server->hash_pool); /* what serves is not to wait for what burns */
    }
    return error != 0 ? error : builtin_add(server, problem);
}

int http_server_new(const struct http_config *config, const struct http_hooks *hooks,
                    struct http_server **ret_server, struct problem *problem)
{
    struct http_server *server = aligned_alloc(_Alignof(struct http_server), sizeof *server);
    if (server == NULL) {
        return ERR_NO_MEMORY;
    }
    memset(server, 0, sizeof *server);
    server->listen_fd = -1;
    if (hooks != NULL) {
        server->hooks = *hooks;
    }
    pthread_mutex_init(&server->connections_lock, NULL);
    pthread_mutex_init(&server->linger_lock, NULL);
    pthread_mutex_init(&server->deadline_lock, NULL);
    scrape_init(&server->scrape);
    pthread_cond_init(&server->deadline_wake, NULL);
    access_log_init(&server->access_log);
    register_metrics(server);
    int error = build(server, config, problem);
    if (error != 0) {
        http_server_free(server);
        return error;
    }
    metric_ask("tutti_pool_depth", "Jobs that wait for the pool.", "", ask_depth, server);
    metric_ask("tutti_hash_pool_depth", "Log-ins that wait to be hashed.", "", ask_hash_depth,
               server);
    metric_ask_kind(METRIC_GAUGE_US, "tutti_pool_delay_seconds",
                    "Recent wait of a job for a thread of the pool, in the slowest lane.", "",
                    ask_delay, server);
    metric_set(metric_get(METRIC_GAUGE, "tutti_pool_queue_max", "Jobs that may wait.", ""),
               config->pool_queue_max);
    metric_set(
        metric_get(METRIC_GAUGE, "tutti_http_connections_max", "Connections that may be open.", ""),
        config->connections_max);
    limit_metrics(server);
    shed_metrics(server);
    memory_metrics(server);
    *ret_server = server;
    return 0;
}

int http_server_add_routes(struct http_server *server, const struct route *rows, unsigned count,
                           void *context)
{
    assert(!server->started);
    for (unsigned i = 0; i < count; i++) {
        int error = router_add(server->router, &rows[i], context, NULL);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static void prepare_entry(void *argument, struct route_entry *entry)
{
    (void)argument;
    char labels[256];
    (void)snprintf(labels, sizeof labels, "method=\"%s\",route=\"%s\"", entry->row->method,
                   entry->row->pattern);
    entry->duration = metric_get(METRIC_HISTOGRAM, "tutti_http_request_duration_seconds",
                                 "From the request line to the last byte sent.", labels);
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_config *config = &server_settings(server)->config;
    unsigned loops = config->loop_threads > 0 ? config->loop_threads : count_cores();
    size_t header_bytes =
        config->header_bytes_max > HEADER_BYTES_MIN ? config->header_bytes_max : HEADER_BYTES_MIN;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
    return MHD_start_daemon(
        flags, 0, connection_admit, server, on_request, server, MHD_OPTION_LISTEN_SOCKET,
        server->listen_fd, MHD_OPTION_THREAD_POOL_SIZE, loops > 1 ? loops : 0,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)LOOP_STACK_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        config->connections_max + loops * CONNECTIONS_HEADROOM, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, header_bytes + header_bytes / 2,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, connection_notify, server, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, server, MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL, MHD_OPTION_END);
}

int http_server_start(struct http_server *server, struct problem *problem)
{
    assert(!server->started);
    router_each(server->router, prepare_entry, NULL);
    const char *listen = server_settings(server)->config.listen;
    int error = listen_open(listen, &server->listen_fd, &server->port, problem);
    if (error != 0) {
        return error;
    }
    if (server->hooks.exchange_rates != NULL) {
        error = rates_join(server->rates, server->hooks.exchange_rates, server->hooks.context);
    }
    if (error != 0) {
        return error;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    server->daemon = start_daemon(server);
    if (server->daemon == NULL) {
        return problem_set(problem, ERR_INTERNAL, "The HTTP loops could not be started");
    }
    server->started = true;
    return deadlines_start(server);
}

unsigned http_server_port(const struct http_server *server)
{
    return server->port;
}

static void sleep_ms(long ms)
{
    const struct timespec pause = clock_timespec(ms);
    (void)nanosleep(&pause, NULL);
}

static int count_running(struct http_server *server)
{
    int count = 0;
    for (unsigned i = 0; i < RUNNING_SHARDS; i++) {
        count += atomic_load(&server->running[i].count);
    }
    return count;
}

/* A request that has come in and that its loop has not seen yet. */
static bool has_unread(const struct connection *connection)
{
    int unread = 0;
    return ioctl(connection->fd, SIOCINQ, &unread) == 0 && unread > 0;
}

/* Ends connections that wait for a request; with all: also those that are at work on one. Returns
 * how many have a request that was not looked at yet, and stay for it. */
static unsigned shut_connections(struct http_server *server, bool all)
{
    unsigned unread = 0;
    pthread_mutex_lock(&server->connections_lock);
    for (struct connection *at = server->connections; at != NULL; at = at->next) {
        bool idle = atomic_load(&at->phase) == PHASE_HEADER;
        if (!all && idle && has_unread(at)) {
            unread++;
        } else if (all || idle) {
            (void)shutdown(at->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server->connections_lock);
    return unread;
}

void http_server_leave(struct http_server *server, const char *why)
{
    const char *none = NULL;
    (void)atomic_compare_exchange_strong(&server->leaving, &none, why);
}

/* A connection that comes in between is closed by connection_admit. */
void http_server_drain(struct http_server *server)
{
    if (!server->started || atomic_exchange(&server->draining, true)) {
        return;
    }
    http_server_leave(server, "the process ends");
    (void)listen_end(server->listen_fd);
    int64_t end_ms = clock_monotonic_ms() + server_settings(server)->config.drain_timeout_ms;
    while (shut_connections(server, false) + (unsigned)count_running(server) > 0 &&
           clock_monotonic_ms() < end_ms) {
        sleep_ms(10);
    }
}

static void stop(struct http_server *server)
{
    http_server_drain(server);
    (void)shut_connections(server, true);
    /* Suspended connections belong to jobs; each job ends and resumes its own. */
    while (count_running(server) > 0) {
        sleep_ms(5);
    }
    MHD_stop_daemon(server->daemon);
    server->listen_fd = -1; /* libmicrohttpd has closed it */
    deadlines_stop(server);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    metric_ask_end(server);
    if (server->started) {
        stop(server);
    }
    job_pool_free(server->hash_pool);
    job_pool_free(server->pool);
    if (server->listen_fd >= 0) {
        (void)close(server->listen_fd);
    }
    router_free(server->router);
    rates_free(server->rates);
    for (struct settings *at = atomic_load(&server->settings); at != NULL;) {
        struct settings *older = at->older;
        settings_free(at);
        at = older;
    }
    access_log_done(&server->access_log);
    scrape_done(&server->scrape);
    pthread_mutex_destroy(&server->connections_lock);
    pthread_mutex_destroy(&server->linger_lock);
    pthread_mutex_destroy(&server->deadline_lock);
    pthread_cond_destroy(&server->deadline_wake);
    free(server);
}

int http_server_reload(struct http_server *server, const struct http_config *config)
{
    struct settings *settings = NULL;
    int error = settings_new(config, &settings, NULL);
    if (error == 0) {
        settings->older = atomic_load(&server->settings);
        /* Each connection's memory for it was given to libmicrohttpd at the start. */
        settings->config.header_bytes_max = settings->older->config.header_bytes_max;
        atomic_store(&server->settings, settings);
    }
    return error;
}
