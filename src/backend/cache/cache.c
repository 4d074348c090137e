/* The cache over its engine (cache.h): which engine, jittered lives, one load for many waiters,
 * metrics.
 *
 * A flight is a load that is under way. Whoever misses a key looks for its flight first: found, it
 * waits for the result; not found, it makes one and loads. A drop of the key marks the flight,
 * whose result is then handed out but not kept, since it may be older than the change.
 */
#include "backend/cache/cache.h"

#include "backend/cache/cache_engine.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JITTER_PERCENT = 10 };

struct flight {
    struct flight *next;
    const char *key;
    pthread_cond_t landed;
    bool done, dropped;
    unsigned waiters;
    int error;
    struct cache_entry *entry;
};

struct cache {
    void *engine;
    const struct cache_engine_rows *rows;
    pthread_mutex_t lock; /* of flights */
    struct flight *flights;
    struct metric *hits, *misses, *joined;
};

static int64_t ask_bytes(void *argument)
{
    struct cache *cache = argument;
    return cache->rows->bytes(cache->engine);
}

static void register_metrics(struct cache *cache, const char *name)
{
    char labels[96];
    (void)snprintf(labels, sizeof labels, "cache=\"%s\"", name);
    cache->hits = metric_get(METRIC_COUNTER, "tutti_cache_hits_total", "Keys found.", labels);
    cache->misses =
        metric_get(METRIC_COUNTER, "tutti_cache_misses_total", "Keys not found.", labels);
    cache->joined = metric_get(METRIC_COUNTER, "tutti_cache_joined_loads_total",
                               "Misses that waited for another's load.", labels);
    metric_ask("tutti_cache_bytes", "Bytes kept.", labels, ask_bytes, cache);
}

int cache_open(const char *url, const char *name, size_t bytes_max, struct cache **ret_cache,
               struct problem *problem)
{
    if (strcmp(url, "memory:") != 0) {
        return problem_set(problem, ERR_INVALID, "cache.store is \"%s\"; it must be memory:", url);
    }
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = cache_memory_open(bytes_max, &cache->engine, &cache->rows);
    if (error != 0) {
        free(cache);
        return error;
    }
    (void)pthread_mutex_init(&cache->lock, NULL);
    register_metrics(cache, name);
    *ret_cache = cache;
    return 0;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL) {
        return;
    }
    metric_ask_end(cache);
    cache->rows->close(cache->engine);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct cache_entry *cache_get(struct cache *cache, const char *key)
{
    struct cache_entry *entry = cache->rows->get(cache->engine, key, clock_monotonic_ms());
    metric_add(entry != NULL ? cache->hits : cache->misses, 1);
    return entry;
}

/* ttl ± 10 %, so that what was put together does not expire together. */
static int64_t expiry(int64_t now_ms, int64_t ttl_ms)
{
    if (ttl_ms <= 0) {
        return 0;
    }
    int64_t span = ttl_ms / 100 * JITTER_PERCENT;
    int64_t jitter = span > 0 ? (int64_t)randombytes_uniform((uint32_t)(2 * span + 1)) - span : 0;
    return now_ms + ttl_ms + jitter;
}

static struct cache_entry *keep(struct cache *cache, const char *key, const void *bytes,
                                size_t length, int64_t ttl_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    return cache->rows->put(cache->engine, key, bytes, length, expiry(now_ms, ttl_ms), now_ms);
}

void cache_put(struct cache *cache, const char *key, const void *bytes, size_t length,
               int64_t ttl_ms)
{
    cache_entry_unref(keep(cache, key, bytes, length, ttl_ms));
}

static struct flight *find_flight(struct cache *cache, const char *key)
{
    struct flight *flight = cache->flights;
    while (flight != NULL && (flight->dropped || strcmp(flight->key, key) != 0)) {
        flight = flight->next;
    }
    return flight;
}

void cache_drop(struct cache *cache, const char *key)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct flight *flight = find_flight(cache, key);
    if (flight != NULL) {
        flight->dropped = true;
    }
    cache->rows->drop(cache->engine, key);
    (void)pthread_mutex_unlock(&cache->lock);
}

const void *cache_entry_bytes(const struct cache_entry *entry, size_t *ret_length)
{
    if (ret_length != NULL) {
        *ret_length = entry->length;
    }
    return entry->bytes;
}

void cache_entry_unref(struct cache_entry *entry)
{
    if (entry != NULL &&
        atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel) == 1) {
        entry->free(entry);
    }
}

/* An entry that was never in the engine: the result of a load whose key was dropped meanwhile. */
static void free_loose(struct cache_entry *entry)
{
    free((void *)(uintptr_t)entry->bytes);
    free(entry);
}

/* Takes the bytes over. */
static struct cache_entry *loose_entry(void *bytes, size_t length)
{
    struct cache_entry *entry = malloc(sizeof *entry);
    if (entry == NULL) {
        free(bytes);
        return NULL;
    }
    *entry = (struct cache_entry){.length = length, .free = free_loose, .bytes = bytes};
    atomic_init(&entry->references, 1);
    return entry;
}

static int wait_for(struct cache *cache, struct flight *flight, struct cache_entry **ret_entry)
{
    metric_add(cache->joined, 1);
    flight->waiters++;
    while (!flight->done) {
        (void)pthread_cond_wait(&flight->landed, &cache->lock);
    }
    int error = flight->error;
    if (error == 0) {
        atomic_fetch_add_explicit(&flight->entry->references, 1, memory_order_relaxed);
        *ret_entry = flight->entry;
    }
    if (--flight->waiters == 0) {
        (void)pthread_cond_signal(&flight->landed);
    }
    return error;
}

/* Publishes the result and waits until every waiter has taken its share; the flight lives on the
 * loader's stack. Called with the lock held. */
static void land(struct cache *cache, struct flight *flight)
{
    struct flight **link = &cache->flights;
    while (*link != flight) {
        link = &(*link)->next;
    }
    *link = flight->next;
    flight->done = true;
    (void)pthread_cond_broadcast(&flight->landed);
    while (flight->waiters > 0) {
        (void)pthread_cond_wait(&flight->landed, &cache->lock);
    }
}

static int fly(struct cache *cache, struct flight *flight, int64_t ttl_ms,
               cache_load_function *load, void *argument)
{
    void *bytes = NULL;
    size_t length = 0;
    int error = load(argument, &bytes, &length);
    (void)pthread_mutex_lock(&cache->lock);
    if (error == 0 && !flight->dropped) {
        flight->entry = keep(cache, flight->key, bytes, length, ttl_ms);
        free(bytes);
    } else if (error == 0) {
        flight->entry = loose_entry(bytes, length);
    }
    flight->error = error == 0 && flight->entry == NULL ? ERR_NO_MEMORY : error;
    land(cache, flight);
    (void)pthread_mutex_unlock(&cache->lock);
    return flight->error;
}

int cache_load(struct cache *cache, const char *key, int64_t ttl_ms, cache_load_function *load,
               void *argument, struct cache_entry **ret_entry)
{
    struct cache_entry *entry = cache_get(cache, key);
    if (entry != NULL) {
        *ret_entry = entry;
        return 0;
    }
    (void)pthread_mutex_lock(&cache->lock);
    struct flight *other = find_flight(cache, key);
    if (other != NULL) {
        int error = wait_for(cache, other, ret_entry);
        (void)pthread_mutex_unlock(&cache->lock);
        return error;
    }
    struct flight flight = {.next = cache->flights, .key = key, .landed = PTHREAD_COND_INITIALIZER};
    cache->flights = &flight;
    (void)pthread_mutex_unlock(&cache->lock);
    int error = fly(cache, &flight, ttl_ms, load, argument);
    (void)pthread_cond_destroy(&flight.landed);
    if (error == 0) {
        *ret_entry = flight.entry;
    }
    return error;
}
