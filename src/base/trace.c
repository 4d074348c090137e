/* Traces (trace.h): ids, the thread's current span, and the queue. */
#include "base/trace.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Where the parts of a traceparent begin. */
enum { TRACE_ID_AT = 3, SPAN_ID_AT = 36, FLAGS_AT = 53, SPAN_ID_LENGTH = 16 };

static atomic_bool is_on;
static _Atomic uint64_t threshold; /* of 2^32: traces with a lower number are chosen */
static _Atomic int64_t dropped;
static _Thread_local const char *current;

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_news = PTHREAD_COND_INITIALIZER;
static struct span *queue; /* a ring of queue_max; this and the next ones under queue_lock */
static unsigned queue_max, queue_first, queue_count;
static bool queue_wake;

int trace_begin(double ratio, unsigned spans_max)
{
    struct span *ring = calloc(spans_max, sizeof *ring);
    if (ring == NULL) {
        return ERR_NO_MEMORY;
    }
    pthread_mutex_lock(&queue_lock);
    free(queue);
    queue = ring;
    queue_max = spans_max;
    queue_first = queue_count = 0;
    queue_wake = false;
    pthread_mutex_unlock(&queue_lock);
    atomic_store(&threshold, (uint64_t)(ratio * 4294967296.0));
    atomic_store(&is_on, true);
    return 0;
}

void trace_end(void)
{
    atomic_store(&is_on, false);
    pthread_mutex_lock(&queue_lock);
    free(queue);
    queue = NULL;
    queue_max = queue_count = 0;
    pthread_mutex_unlock(&queue_lock);
}

bool trace_is_on(void)
{
    return atomic_load_explicit(&is_on, memory_order_relaxed);
}

bool trace_chooses(const char *trace_id)
{
    char digits[9];
    (void)snprintf(digits, sizeof digits, "%.8s", trace_id + 8);
    return strtoul(digits, NULL, 16) < atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool trace_is_sampled(const char *trace_parent)
{
    if (!trace_is_on() || trace_parent == NULL || strlen(trace_parent) < FLAGS_AT + 2) {
        return false;
    }
    return (strtoul(trace_parent + FLAGS_AT, NULL, 16) & 1) != 0;
}

const char *trace_current(void)
{
    return current;
}

const char *trace_enter(const char *trace_parent)
{
    const char *before = current;
    current = trace_is_sampled(trace_parent) ? trace_parent : NULL;
    return before;
}

static uint64_t random64(void)
{
    static _Thread_local uint64_t state;
    if (state == 0) {
        randombytes_buf(&state, sizeof state);
    }
    uint64_t mixed = state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    mixed ^= mixed >> 31;
    return mixed != 0 ? mixed : 1; /* an id of zeros is none */
}

void span_begin(struct span *span, const char *parent, enum span_kind kind, const char *name)
{
    span->kind = kind;
    span->failed = false;
    span->attribute_count = 0;
    (void)snprintf(span->name, sizeof span->name, "%s", name);
    (void)snprintf(span->parent, sizeof span->parent, "%.*s", SPAN_ID_LENGTH, parent + SPAN_ID_AT);
    (void)snprintf(span->self, sizeof span->self, "%.*s%016llx%s", SPAN_ID_AT, parent,
                   (unsigned long long)random64(), parent + SPAN_ID_AT + SPAN_ID_LENGTH);
    span->began_us = clock_monotonic_us();
}

static struct span_attribute *add(struct span *span, const char *name)
{
    if (span->attribute_count == SPAN_ATTRIBUTES_MAX) {
        return NULL;
    }
    struct span_attribute *attribute = &span->attributes[span->attribute_count++];
    attribute->name = name;
    return attribute;
}

void span_text(struct span *span, const char *name, const char *text)
{
    struct span_attribute *attribute = add(span, name);
    if (attribute != NULL) {
        attribute->is_number = false;
        (void)snprintf(attribute->text, sizeof attribute->text, "%s", text);
    }
}

void span_number(struct span *span, const char *name, int64_t number)
{
    struct span_attribute *attribute = add(span, name);
    if (attribute != NULL) {
        attribute->is_number = true;
        attribute->number = number;
    }
}

void span_end(struct span *span, bool failed)
{
    span->ended_us = clock_monotonic_us();
    span->failed = failed;
    span_put(span);
}

void span_put(const struct span *span)
{
    pthread_mutex_lock(&queue_lock);
    bool room = queue_count < queue_max;
    if (room) {
        struct span *place = &queue[(queue_first + queue_count++) % queue_max];
        size_t used =
            offsetof(struct span, attributes) + span->attribute_count * sizeof span->attributes[0];
        memcpy(place, span, used);
    }
    bool wake = room && queue_count == queue_max / 4;
    pthread_mutex_unlock(&queue_lock);
    if (wake) {
        pthread_cond_signal(&queue_news);
    }
    if (!room) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    }
}

unsigned trace_take(struct span *ret_spans, unsigned max, unsigned wait_ms)
{
    const struct timespec until = clock_monotonic_after(wait_ms);
    pthread_mutex_lock(&queue_lock);
    int waited = 0;
    while (queue_count < queue_max / 4 && !queue_wake && waited == 0) {
        waited = pthread_cond_clockwait(&queue_news, &queue_lock, CLOCK_MONOTONIC, &until);
    }
    queue_wake = false;
    unsigned count = queue_count < max ? queue_count : max;
    for (unsigned i = 0; i < count; i++) {
        ret_spans[i] = queue[(queue_first + i) % queue_max];
    }
    queue_first = queue_max > 0 ? (queue_first + count) % queue_max : 0;
    queue_count -= count;
    pthread_mutex_unlock(&queue_lock);
    return count;
}

void trace_wake(void)
{
    pthread_mutex_lock(&queue_lock);
    queue_wake = true;
    pthread_mutex_unlock(&queue_lock);
    pthread_cond_signal(&queue_news);
}

int64_t trace_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}
