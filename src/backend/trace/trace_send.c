/* The thread that sends spans away (trace_send.h). */
#include "backend/trace/trace_send.h"

#include "base/breaker.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { URL_MAX = 1024, GATHER_MS = 1000, TIMEOUT_MS = 5000, LAST_TIMEOUT_MS = 2000 };

struct trace_sender {
    char url[URL_MAX];
    const char *version;
    pthread_t thread;
    atomic_bool ending;
    CURL *curl; /* the thread's own, as are the next two */
    struct curl_slist *headers;
    struct span batch[TRACE_BATCH_MAX];
    struct metric *sent, *failed;
    struct breaker *breaker;
};

static size_t ignore(char *bytes, size_t size, size_t count, void *argument)
{
    (void)bytes;
    (void)argument;
    return size * count;
}

static int64_t wall_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* HTTP's status; 0 where there was no answer. */
static long post(struct trace_sender *sender, const char *body)
{
    long timeout_ms = atomic_load(&sender->ending) ? LAST_TIMEOUT_MS : TIMEOUT_MS;
    long status = 0;
    (void)curl_easy_setopt(sender->curl, CURLOPT_URL, sender->url);
    (void)curl_easy_setopt(sender->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(sender->curl, CURLOPT_HTTPHEADER, sender->headers);
    (void)curl_easy_setopt(sender->curl, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(sender->curl, CURLOPT_WRITEFUNCTION, ignore);
    (void)curl_easy_setopt(sender->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(sender->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    if (curl_easy_perform(sender->curl) == CURLE_OK) {
        (void)curl_easy_getinfo(sender->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    return status;
}

/* As post; 0 at once where the collector is not to be asked. */
static long post_guarded(struct trace_sender *sender, const char *body)
{
    struct breaker_pass pass;
    if (breaker_enter(sender->breaker, &pass) != 0) {
        return 0;
    }
    long status = post(sender, body);
    bool failed = status == 0 || status >= 500;
    breaker_leave(sender->breaker, &pass, failed ? BREAKER_FAILED : BREAKER_OK);
    return status;
}

static bool may_come_again(long status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void send_batch(struct trace_sender *sender, unsigned count)
{
    json_t *request CLEANUP_JSON =
        trace_request(sender->batch, count, sender->version, wall_us(), clock_monotonic_us());
    char *body CLEANUP_FREE = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    long status = 0;
    for (unsigned i = 0; body != NULL && i < 2 && may_come_again(status); i++) {
        if (i > 0 && !atomic_load(&sender->ending)) {
            (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        }
        status = post_guarded(sender, body);
    }
    metric_add(status >= 200 && status < 300 ? sender->sent : sender->failed, count);
}

static void *run(void *argument)
{
    struct trace_sender *sender = argument;
    while (!atomic_load(&sender->ending)) {
        unsigned count = trace_take(sender->batch, TRACE_BATCH_MAX, GATHER_MS);
        if (count > 0) {
            send_batch(sender, count);
        }
    }
    unsigned count = trace_take(sender->batch, TRACE_BATCH_MAX, 0);
    if (count > 0) {
        send_batch(sender, count);
    }
    return NULL;
}

static int64_t ask_dropped(void *argument)
{
    (void)argument;
    return trace_dropped();
}

static void register_metrics(struct trace_sender *sender)
{
    static const char name[] = "tutti_trace_spans_total";
    static const char help[] = "Spans of traces, by what became of them.";
    sender->sent = metric_get(METRIC_COUNTER, name, help, "result=\"sent\"");
    sender->failed = metric_get(METRIC_COUNTER, name, help, "result=\"failed\"");
    metric_ask_kind(METRIC_COUNTER, name, help, "result=\"dropped\"", ask_dropped, sender);
}

static int start(struct trace_sender *sender, double ratio)
{
    sender->curl = curl_easy_init();
    sender->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (sender->curl == NULL || sender->headers == NULL ||
        trace_begin(ratio, TRACE_QUEUE_MAX) != 0) {
        return ERR_NO_MEMORY;
    }
    int error = breaker_new(&(struct breaker_config){.name = "traces"}, &sender->breaker);
    if (error != 0) {
        return error;
    }
    register_metrics(sender);
    return pthread_create(&sender->thread, NULL, run, sender) == 0 ? 0 : ERR_NO_MEMORY;
}

static void sender_free(struct trace_sender *sender)
{
    metric_ask_end(sender);
    trace_end();
    breaker_free(sender->breaker);
    curl_slist_free_all(sender->headers);
    curl_easy_cleanup(sender->curl);
    curl_global_cleanup();
    free(sender);
}

int trace_sender_open(const struct trace_config *config, struct trace_sender **ret_sender,
                      struct problem *problem)
{
    if (config->url[0] == '\0') {
        *ret_sender = NULL;
        return 0;
    }
    struct trace_sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(sender);
        return problem_set(problem, ERR_NO_MEMORY, "Traces can't be started");
    }
    sender->version = config->version;
    (void)snprintf(sender->url, sizeof sender->url, "%s/v1/traces", config->url);
    int error = start(sender, config->ratio);
    if (error != 0) {
        sender_free(sender);
        return problem_set(problem, error, "Traces can't be started");
    }
    *ret_sender = sender;
    return 0;
}

void trace_sender_close(struct trace_sender *sender)
{
    if (sender == NULL) {
        return;
    }
    atomic_store(&sender->ending, true);
    trace_wake();
    (void)pthread_join(sender->thread, NULL);
    sender_free(sender);
}
