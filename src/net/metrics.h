/* Metrics in Prometheus' text format. Counters, gauges and histograms are registered once, by their
 * owner, with static names; updates are lock-free and may come from any thread. Names follow
 * Prometheus' conventions: tutti_http_requests_total, …_seconds, …_bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer;
struct metric;

/* Those of _US are told in microseconds and written in seconds. */
enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_COUNTER_US,
    METRIC_GAUGE_US,
};

/* The value of what is not known right now: no line is written. */
#define METRIC_UNKNOWN INT64_MIN

/* Registers (or finds) name with one fixed set of labels (`route="/x",code="200"`, "" for none).
 * NULL only when out of memory: updates of NULL do nothing. Histograms are of seconds, 1 ms to 10
 * s. */
struct metric *metric_get(enum metric_kind kind, const char *name, const char *help,
                          const char *labels);
void metric_add(struct metric *metric, int64_t amount);
void metric_set(struct metric *metric, int64_t value);
void metric_observe_us(struct metric *metric, int64_t microseconds);
int64_t metric_value(const struct metric *metric);
/* A gauge that is asked when /metrics is read: on the pool, with nothing locked that loops or
 * owners wait for, so it may block (a query, a look at a disk). METRIC_UNKNOWN where it can't say.
 */
void metric_ask(const char *name, const char *help, const char *labels,
                int64_t (*ask)(void *argument), void *argument);
void metric_ask_kind(enum metric_kind kind, const char *name, const char *help, const char *labels,
                     int64_t (*ask)(void *argument), void *argument);
/* Ends every metric_ask of this argument: whoever frees the argument calls it before. Waits for
 * those that are being asked. */
void metric_ask_end(void *argument);
/* Asks, then writes all. May block. */
void metrics_write(struct buffer *out);
