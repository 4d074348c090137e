/* Metrics (metrics.h).
 *
 * A family is a name with its kind and help; under it hangs one metric for each set of labels.
 * Registering takes a mutex and looks through lists: owners keep the pointer. Updates are relaxed
 * atomics; counters and histograms have a shard for each of a few threads, since a cache line that
 * goes to and fro between two cores at each request costs more than counting does. Nothing is ever
 * freed, since a metric lives as long as the process.
 *
 * Gauges that are asked may query a database or a disk, so they are asked under ask_lock alone:
 * whoever registers a metric meanwhile (a loop, at the first 404 of a route) does not wait for
 * them. Lock order: ask_lock, then registry_lock.
 */
#include "net/metrics.h"

#include "base/buffer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 14, SHARDS = 4, CACHE_LINE = 64 };

/* Upper bounds in µs; the last bucket has none. */
static const int64_t bounds_us[BUCKETS - 1] = {1000,    2500,    5000,    10000,  25000,
                                               50000,   100000,  250000,  500000, 1000000,
                                               2500000, 5000000, 10000000};
static const char *const bound_texts[BUCKETS] = {"0.001", "0.0025", "0.005", "0.01", "0.025",
                                                 "0.05",  "0.1",    "0.25",  "0.5",  "1",
                                                 "2.5",   "5",      "10",    "+Inf"};

/* A thread's part of a counter or histogram. */
struct histogram_shard {
    _Alignas(CACHE_LINE) _Atomic int64_t sum_us;
    _Atomic int64_t buckets[BUCKETS]; /* of their own bucket only, summed up when written */
};

struct counter_shard {
    _Alignas(CACHE_LINE) _Atomic int64_t value;
};

struct metric {
    struct metric *next;
    char *labels;
    _Atomic int64_t value;          /* of a gauge, or what was answered last */
    int64_t (*ask)(void *argument); /* this and the next two: under ask_lock */
    void *argument;
    struct metric *asked_next;
    struct counter_shard *counter;     /* SHARDS of them, of a counter */
    struct histogram_shard *histogram; /* SHARDS, of a histogram */
};

struct family {
    struct family *next;
    enum metric_kind kind;
    const char *name, *help;
    struct metric *metrics;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct family *families;
static pthread_mutex_t ask_lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *asked;

static struct family *family_get(enum metric_kind kind, const char *name, const char *help)
{
    struct family **at = &families;
    while (*at != NULL) {
        if (strcmp((*at)->name, name) == 0) {
            return *at;
        }
        at = &(*at)->next;
    }
    struct family *family = calloc(1, sizeof *family);
    if (family != NULL) {
        *family = (struct family){.kind = kind, .name = name, .help = help};
        *at = family;
    }
    return family;
}

/* Threads take shards in turn. */
static unsigned shard_of_thread(void)
{
    static _Atomic unsigned next;
    static _Thread_local unsigned shard = SHARDS;
    if (shard == SHARDS) {
        shard = atomic_fetch_add(&next, 1) % SHARDS;
    }
    return shard;
}

static void *shards_new(size_t bytes)
{
    void *shards = aligned_alloc(CACHE_LINE, SHARDS * bytes);
    return shards != NULL ? memset(shards, 0, SHARDS * bytes) : NULL;
}

static struct metric *metric_new(enum metric_kind kind, const char *labels)
{
    struct metric *metric = calloc(1, sizeof *metric);
    if (metric == NULL) {
        return NULL;
    }
    metric->labels = strdup(labels);
    bool fails = metric->labels == NULL;
    if (kind == METRIC_COUNTER || kind == METRIC_COUNTER_US) {
        metric->counter = shards_new(sizeof *metric->counter);
        fails = fails || metric->counter == NULL;
    } else if (kind == METRIC_HISTOGRAM) {
        metric->histogram = shards_new(sizeof *metric->histogram);
        fails = fails || metric->histogram == NULL;
    }
    if (fails) {
        free(metric->labels);
        free(metric->counter);
        free(metric->histogram);
        free(metric);
        return NULL;
    }
    return metric;
}

static struct metric *find_or_add(enum metric_kind kind, const char *name, const char *help,
                                  const char *labels)
{
    struct family *family = family_get(kind, name, help);
    if (family == NULL) {
        return NULL;
    }
    struct metric **at = &family->metrics;
    while (*at != NULL) {
        if (strcmp((*at)->labels, labels) == 0) {
            return *at;
        }
        at = &(*at)->next;
    }
    *at = metric_new(family->kind, labels);
    return *at;
}

struct metric *metric_get(enum metric_kind kind, const char *name, const char *help,
                          const char *labels)
{
    pthread_mutex_lock(&registry_lock);
    struct metric *metric = find_or_add(kind, name, help, labels);
    pthread_mutex_unlock(&registry_lock);
    return metric;
}

void metric_add(struct metric *metric, int64_t amount)
{
    if (metric != NULL) {
        _Atomic int64_t *value =
            metric->counter != NULL ? &metric->counter[shard_of_thread()].value : &metric->value;
        atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
    }
}

void metric_set(struct metric *metric, int64_t value)
{
    if (metric != NULL) {
        atomic_store_explicit(&metric->value, value, memory_order_relaxed);
    }
}

void metric_observe_us(struct metric *metric, int64_t microseconds)
{
    if (metric == NULL || metric->histogram == NULL) {
        return;
    }
    unsigned bucket = 0;
    while (bucket < BUCKETS - 1 && microseconds > bounds_us[bucket]) {
        bucket++;
    }
    struct histogram_shard *histogram = &metric->histogram[shard_of_thread()];
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, microseconds, memory_order_relaxed);
}

int64_t metric_value(const struct metric *metric)
{
    if (metric == NULL) {
        return 0;
    }
    int64_t value = atomic_load_explicit(&metric->value, memory_order_relaxed);
    for (unsigned i = 0; i < SHARDS && metric->counter != NULL; i++) {
        value += atomic_load_explicit(&metric->counter[i].value, memory_order_relaxed);
    }
    return value;
}

void metric_ask_kind(enum metric_kind kind, const char *name, const char *help, const char *labels,
                     int64_t (*ask)(void *argument), void *argument)
{
    pthread_mutex_lock(&ask_lock);
    struct metric *metric = metric_get(kind, name, help, labels);
    if (metric != NULL) {
        if (metric->ask == NULL) {
            metric->asked_next = asked;
            asked = metric;
        }
        metric->ask = ask;
        metric->argument = argument;
    }
    pthread_mutex_unlock(&ask_lock);
}

void metric_ask(const char *name, const char *help, const char *labels,
                int64_t (*ask)(void *argument), void *argument)
{
    metric_ask_kind(METRIC_GAUGE, name, help, labels, ask, argument);
}

void metric_ask_end(void *argument)
{
    pthread_mutex_lock(&ask_lock);
    for (struct metric **at = &asked; *at != NULL;) {
        struct metric *metric = *at;
        if (metric->argument != argument) {
            at = &metric->asked_next;
            continue;
        }
        *at = metric->asked_next;
        metric->ask = NULL;
        metric->argument = NULL;
        atomic_store(&metric->value, METRIC_UNKNOWN);
    }
    pthread_mutex_unlock(&ask_lock);
}

static void ask_all(void)
{
    pthread_mutex_lock(&ask_lock);
    for (struct metric *metric = asked; metric != NULL; metric = metric->asked_next) {
        atomic_store(&metric->value, metric->ask(metric->argument));
    }
    pthread_mutex_unlock(&ask_lock);
}

static void write_plain(struct buffer *out, const char *name, const struct metric *metric, bool us)
{
    int64_t value = metric_value(metric);
    if (value == METRIC_UNKNOWN) {
        return;
    }
    const char *open = metric->labels[0] != '\0' ? "{" : "";
    const char *close = metric->labels[0] != '\0' ? "}" : "";
    (void)buffer_printf(out, "%s%s%s%s ", name, open, metric->labels, close);
    if (us) {
        (void)buffer_printf(out, "%s%lld.%06lld\n", value < 0 ? "-" : "",
                            llabs((long long)value) / 1000000, llabs((long long)value) % 1000000);
    } else {
        (void)buffer_printf(out, "%lld\n", (long long)value);
    }
}

static void write_histogram(struct buffer *out, const char *name, const struct metric *metric)
{
    const char *comma = metric->labels[0] != '\0' ? "," : "";
    const char *open = metric->labels[0] != '\0' ? "{" : "";
    const char *close = metric->labels[0] != '\0' ? "}" : "";
    int64_t count = 0, sum_us = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (unsigned j = 0; j < SHARDS; j++) {
            count += atomic_load_explicit(&metric->histogram[j].buckets[i], memory_order_relaxed);
        }
        (void)buffer_printf(out, "%s_bucket{%s%sle=\"%s\"} %lld\n", name, metric->labels, comma,
                            bound_texts[i], (long long)count);
    }
    for (unsigned j = 0; j < SHARDS; j++) {
        sum_us += atomic_load_explicit(&metric->histogram[j].sum_us, memory_order_relaxed);
    }
    (void)buffer_printf(out, "%s_sum%s%s%s %lld.%06lld\n", name, open, metric->labels, close,
                        (long long)(sum_us / 1000000), (long long)(sum_us % 1000000));
    (void)buffer_printf(out, "%s_count%s%s%s %lld\n", name, open, metric->labels, close,
                        (long long)count);
}

static void write_family(struct buffer *out, const struct family *family)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "counter", "gauge"};
    bool us = family->kind == METRIC_COUNTER_US || family->kind == METRIC_GAUGE_US;
    (void)buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
                        family->name, kinds[family->kind]);
    for (const struct metric *metric = family->metrics; metric != NULL; metric = metric->next) {
        if (family->kind == METRIC_HISTOGRAM) {
            write_histogram(out, family->name, metric);
        } else {
            write_plain(out, family->name, metric, us);
        }
    }
}

void metrics_write(struct buffer *out)
{
    ask_all();
    pthread_mutex_lock(&registry_lock);
    for (const struct family *family = families; family != NULL; family = family->next) {
        write_family(out, family);
    }
    pthread_mutex_unlock(&registry_lock);
}
