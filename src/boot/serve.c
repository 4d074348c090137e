/* `tutti serve` (serve.h): START → READY → DRAIN → END.
 *
 * Signals are blocked before the first thread is made and taken by sigwaitinfo on the main thread:
 * SIGTERM gives notice, drains and ends; SIGINT drains and ends at once; SIGHUP rereads the
 * configuration and applies what may change while running.
 */
#include "boot/serve.h"

#include "backend/trace/trace_send.h"
#include "base/breaker.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"
#include "boot/command.h"
#include "boot/config.h"
#include "boot/gauges.h"
#include "boot/platform.h"
#include "boot/starting.h"
#include "net/http.h"
#include "net/notify.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* glibc gives each thread an arena of its own; two keep a process of many threads small. */
enum { MALLOC_ARENAS = 2, MALLOC_TRIM_BYTES = 256 * 1024 };
/* For what is closed once nothing is sent any more. */
enum { CLOSE_MS = 20000 };

struct serving {
    const struct command_line *line;
    struct platform *platform;
    struct http_server *server;
    struct trace_sender *traces;
    unsigned roles;
    int64_t drain_ms; /* limits.drain_ms, as it was read last */
};

static int open_traces(const struct config *config, struct trace_sender **ret_traces,
                       struct problem *problem)
{
    struct trace_config traces = {.url = config_text(config, CONFIG_TRACE_URL),
                                  .version = TUTTI_VERSION};
    (void)text_ratio(config_text(config, CONFIG_TRACE_RATIO), &traces.ratio); /* checked */
    return trace_sender_open(&traces, ret_traces, problem);
}

static void set_up_log(const struct config *config)
{
    const char *format = config_text(config, CONFIG_LOG_FORMAT);
    bool json =
        strcmp(format, "auto") == 0 ? isatty(STDERR_FILENO) == 0 : strcmp(format, "json") == 0;
    log_init((enum log_level)log_level_parse(config_text(config, CONFIG_LOG_LEVEL)), json);
}

/* What each class of operation has of its own. */
static void fill_classes(const struct config *config, struct http_config *http)
{
    static const enum config_setting rates[RATE_CLASSES_] = {
        [RATE_READ] = CONFIG_RATE_READ,     [RATE_WRITE] = CONFIG_RATE_WRITE,
        [RATE_UPLOAD] = CONFIG_RATE_UPLOAD, [RATE_PLAY] = CONFIG_RATE_PLAY,
        [RATE_LOGIN] = CONFIG_RATE_LOGIN,   [RATE_OBJECT] = CONFIG_RATE_OBJECT,
    };
    static const enum config_setting deadlines[RATE_CLASSES_] = {
        [RATE_READ] = CONFIG_DEADLINE_READ,     [RATE_WRITE] = CONFIG_DEADLINE_WRITE,
        [RATE_UPLOAD] = CONFIG_DEADLINE_UPLOAD, [RATE_PLAY] = CONFIG_DEADLINE_PLAY,
        [RATE_LOGIN] = CONFIG_DEADLINE_LOGIN,   [RATE_OBJECT] = CONFIG_DEADLINE_OBJECT,
    };
    for (unsigned class = RATE_READ; class < RATE_CLASSES_; class ++) {
        unsigned per_minute = (unsigned)config_number(config, rates[class]);
        http->rates[class].per_minute = per_minute;
        http->rates[class].burst = per_minute / 6 + 1;
        http->deadline_ms[class] = (unsigned)config_number(config, deadlines[class]);
    }
}

static void fill_http(const struct config *config, struct http_config *http)
{
    http_config_defaults(http);
    http->listen = config_text(config, CONFIG_SERVER_LISTEN);
    http->public_url = config_text(config, CONFIG_SERVER_URL);
    http->base_path = config_text(config, CONFIG_SERVER_BASE_PATH);
    http->own_host = config_text(config, CONFIG_BLOB_S3_HOST);
    http->own_host_path = "/s3";
    http->trusted_proxies = config_text(config, CONFIG_SERVER_TRUSTED_PROXIES);
    http->cors_origins = config_text(config, CONFIG_SERVER_CORS_ORIGINS);
    http->loop_threads = (unsigned)config_number(config, CONFIG_LIMIT_LOOPS);
    http->pool_threads = (unsigned)config_number(config, CONFIG_LIMIT_POOL);
    http->pool_queue_max = (unsigned)config_number(config, CONFIG_LIMIT_QUEUE);
    http->hash_threads = (unsigned)config_number(config, CONFIG_LIMIT_HASHES);
    http->hash_queue_max = (unsigned)config_number(config, CONFIG_LIMIT_HASH_QUEUE);
    http->connections_max = (unsigned)config_number(config, CONFIG_LIMIT_CONNECTIONS);
    http->connections_per_address_max = (unsigned)config_number(config, CONFIG_LIMIT_PER_ADDRESS);
    http->header_bytes_max = (size_t)config_number(config, CONFIG_LIMIT_HEADER);
    http->request_memory_max = (size_t)config_number(config, CONFIG_LIMIT_MEMORY);
    http->header_timeout_ms = (unsigned)config_number(config, CONFIG_LIMIT_HEADER_TIME);
    http->body_timeout_ms = (unsigned)config_number(config, CONFIG_LIMIT_BODY_TIME);
    http->body_rate_min = (unsigned)config_number(config, CONFIG_LIMIT_BODY_RATE);
    http->send_timeout_ms = (unsigned)config_number(config, CONFIG_LIMIT_SEND_TIME);
    http->send_rate_min = (unsigned)config_number(config, CONFIG_LIMIT_SEND_RATE);
    http->keep_alive_timeout_ms = (unsigned)config_number(config, CONFIG_LIMIT_KEEP_ALIVE);
    http->drain_timeout_ms = (unsigned)config_number(config, CONFIG_LIMIT_DRAIN);
    http->hsts_s = (unsigned)config_number(config, CONFIG_SERVER_HSTS);
    http->access_log = config_switch(config, CONFIG_LOG_ACCESS);
    http->tighten_delay_ms = (unsigned)config_number(config, CONFIG_TIGHTEN);
    http->shed_delay_ms = (unsigned)config_number(config, CONFIG_SHED);
    fill_classes(config, http);
}

/* A loop, a pool and the listeners want more descriptors than the usual soft limit of 1024. Their
 * table is made as large as they need before there are threads: later, each time it grows,
 * accept4(2) waits for tens of milliseconds until no other thread reads the old one. */
static void make_room_for_descriptors(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    int last =
        fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)config_number(config, CONFIG_LIMIT_CONNECTIONS));
    if (last >= 0) {
        (void)close(last);
    }
}

static void log_breaker(const struct breaker_view *view)
{
    log_event(view->state == BREAKER_CLOSED ? LOG_INFO : LOG_WARNING, "engine.breaker",
              log_text("engine", view->name), log_text("state", breaker_state_word(view->state)),
              log_number("failed", view->failed), log_number("slow", view->slow),
              log_number("nextProbeMs", view->next_probe_ms));
}

static void block_signals(sigset_t *ret_signals)
{
    (void)sigemptyset(ret_signals);
    (void)sigaddset(ret_signals, SIGTERM);
    (void)sigaddset(ret_signals, SIGINT);
    (void)sigaddset(ret_signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, ret_signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static int start(struct serving *serving, struct problem *problem)
{
    struct config *config = serving->line->config;
    int error =
        platform_parse_roles(config_text(config, CONFIG_SERVER_ROLES), &serving->roles, problem);
    error = error != 0 ? error : open_traces(config, &serving->traces, problem);
    if (error == 0) {
        starting_begin();
        error = platform_open(config, serving->roles, &serving->platform, problem);
        starting_end();
    }
    if (error != 0) {
        return error;
    }
    struct http_config http;
    fill_http(config, &http);
    struct http_hooks hooks = platform_hooks(serving->platform);
    error = http_server_new(&http, &hooks, &serving->server, problem);
    error = error != 0 ? error : platform_add_routes(serving->platform, serving->server);
    error = error != 0 ? error : platform_start(serving->platform, problem);
    if (error == 0) {
        gauges_begin(config, serving->platform);
        platform_announce(serving->platform);
    }
    return error != 0 ? error : http_server_start(serving->server, problem);
}

static void reread(struct serving *serving)
{
    struct config *config = NULL;
    struct problem problem = {0};
    int error = command_configure(serving->line, &config, &problem);
    if (error == 0) {
        struct http_config http;
        fill_http(config, &http);
        error = http_server_reload(serving->server, &http);
        serving->drain_ms = http.drain_timeout_ms;
        log_level_set((enum log_level)log_level_parse(config_text(config, CONFIG_LOG_LEVEL)));
    }
    config_free(config);
    if (error != 0) {
        log_event(LOG_ERROR, "configuration.kept", log_text("reason", problem.detail));
    } else {
        log_event(LOG_INFO, "configuration.reread", log_text("by", "SIGHUP"));
    }
}

/* The signal that ended it. */
static int run_until_ended(struct serving *serving, const sigset_t *signals)
{
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(signals, &info);
        if (number == SIGHUP) {
            notify_state("RELOADING=1");
            reread(serving);
            notify_state("READY=1");
        } else if (number > 0 || errno != EINTR) {
            return number;
        }
    }
}

/* The service manager's patience ends with TimeoutStopSec=, ours with what the settings allow. */
static void tell_ending(const char *state, int64_t within_ms)
{
    char text[96];
    (void)snprintf(text, sizeof text, "%sEXTEND_TIMEOUT_USEC=%" PRId64, state,
                   (within_ms + CLOSE_MS) * 1000);
    notify_state(text);
}

/* So that proxies look elsewhere before nothing is taken any more. Another signal cuts it short. */
static void give_notice(struct serving *serving, const sigset_t *signals)
{
    int64_t notice_ms = config_number(serving->line->config, CONFIG_LIMIT_NOTICE);
    const struct timespec notice = clock_timespec(notice_ms);
    if (notice_ms > 0) {
        tell_ending("", notice_ms + serving->drain_ms);
        log_event(LOG_INFO, "server.leaving", log_number("noticeMs", notice_ms));
        http_server_leave(serving->server, "SIGTERM: for limits.notice_ms it goes on serving");
        (void)sigtimedwait(signals, NULL, &notice);
    }
}

static void stop(struct serving *serving)
{
    tell_ending("STOPPING=1\n", serving->drain_ms);
    if (serving->server != NULL) {
        http_server_drain(serving->server);
    }
    gauges_end();
    http_server_free(serving->server);
    platform_close(serving->platform);
    trace_sender_close(serving->traces);
}

static int could_not_start(const struct problem *problem, int error)
{
    (void)fprintf(stderr, "tutti: %s\n",
                  problem->detail[0] != '\0' ? problem->detail : error_title(error));
    return EXIT_USAGE;
}

int serve_run(const struct command_line *line)
{
    int64_t began_us = clock_monotonic_us();
    sigset_t signals;
    block_signals(&signals);
    make_room_for_descriptors(line->config);
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    (void)mallopt(M_TRIM_THRESHOLD, MALLOC_TRIM_BYTES);
    set_up_log(line->config);
    breaker_on_change(log_breaker);
    struct serving serving = {.line = line,
                              .drain_ms = config_number(line->config, CONFIG_LIMIT_DRAIN)};
    struct problem problem = {0};
    int error = start(&serving, &problem);
    if (error != 0) {
        stop(&serving);
        return could_not_start(&problem, error);
    }
    log_event(LOG_INFO, "server.ready", log_text("version", TUTTI_VERSION),
              log_text("url", config_text(line->config, CONFIG_SERVER_URL)),
              log_text("data", config_data(line->config)),
              log_number("startUs", clock_monotonic_us() - began_us));
    notify_state("READY=1\nSTATUS=Serving");
    if (run_until_ended(&serving, &signals) == SIGTERM) {
        give_notice(&serving, &signals);
    }
    log_event(LOG_INFO, "server.draining", log_text("by", "signal"));
    stop(&serving);
    log_event(LOG_INFO, "server.ended", log_number("status", 0));
    return EXIT_DONE;
}
