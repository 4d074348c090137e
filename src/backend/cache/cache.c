/* The cache (cache.h): picks the engine by the URL's scheme, keeps entries' references, and makes
 * one load serve all who wait for its key. Any thread.
 *
 * Loads in flight hang in FLIGHT_LISTS lists by hash of the key. The loader's put and a drop of its
 * key both happen under the list's lock, so either the drop comes first and the result is not kept,
 * or it comes second and removes it.
 */
#include "backend/cache/cache.h"

#include "backend/cache/cache_engine.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLIGHT_LISTS = 16, CACHE_MAGIC = 0x63616301 };

static const struct cache_engine *const engines[] = {&cache_engine_memory};

/* A load in progress; freed by the last who waits for it. */
struct flight {
    struct flight *next;
    const char *key; /* the loader's, valid until landed */
    unsigned users;
    bool landed, dropped;
    int result;
    struct cache_entry *entry;
};

struct flight_list {
    pthread_mutex_t lock;
    pthread_cond_t landed;
    struct flight *first;
};

struct cache {
    unsigned magic;
    const struct cache_engine *engine;
    struct cache_store *store;
    struct cache_metrics metrics;
    unsigned char hash_key[crypto_shorthash_KEYBYTES];
    struct flight_list lists[FLIGHT_LISTS];
};

static void register_metrics(struct cache_metrics *metrics, const char *name)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "cache=\"%s\"", name);
    metrics->hits = metric_get(METRIC_COUNTER, "tutti_cache_hits_total", "Found", labels);
    metrics->misses = metric_get(METRIC_COUNTER, "tutti_cache_misses_total", "Not found", labels);
    metrics->loads = metric_get(METRIC_COUNTER, "tutti_cache_loads_total",
                                "Loads run on behalf of all who waited", labels);
    metrics->evicted =
        metric_get(METRIC_COUNTER, "tutti_cache_evicted_total", "Entries that made room", labels);
    metrics->refused = metric_get(METRIC_COUNTER, "tutti_cache_refused_total",
                                  "Entries not worth the room", labels);
    metrics->bytes = metric_get(METRIC_GAUGE, "tutti_cache_bytes", "Memory held", labels);
    metrics->entries = metric_get(METRIC_GAUGE, "tutti_cache_entries", "Entries held", labels);
}

int cache_open(const char *url, const char *name, size_t bytes_max, struct cache **ret_cache,
               struct problem *problem)
{
    const struct cache_engine *engine = NULL;
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        if (strncmp(url, engines[i]->scheme, strlen(engines[i]->scheme)) == 0 &&
            url[strlen(engines[i]->scheme)] == ':') {
            engine = engines[i];
        }
    }
    if (engine == NULL) {
        return problem_set(problem, ERR_INVALID,
                           "The cache %s has an unknown store; use memory:", name);
    }
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't open the cache %s: out of memory", name);
    }
    cache->magic = CACHE_MAGIC;
    cache->engine = engine;
    register_metrics(&cache->metrics, name);
    crypto_shorthash_keygen(cache->hash_key);
    int r = engine->open(url, bytes_max, &cache->metrics, &cache->store, problem);
    if (r < 0) {
        free(cache);
        return r;
    }
    for (unsigned i = 0; i < FLIGHT_LISTS; i++) {
        (void)pthread_mutex_init(&cache->lists[i].lock, NULL);
        (void)pthread_cond_init(&cache->lists[i].landed, NULL);
    }
    *ret_cache = cache;
    return 0;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL) {
        return;
    }
    assert(cache->magic == CACHE_MAGIC);
    cache->engine->close(cache->store);
    for (unsigned i = 0; i < FLIGHT_LISTS; i++) {
        assert(cache->lists[i].first == NULL);
        (void)pthread_cond_destroy(&cache->lists[i].landed);
        (void)pthread_mutex_destroy(&cache->lists[i].lock);
    }
    cache->magic = 0;
    free(cache);
}

/* Takes bytes over; frees them when it fails. */
static struct cache_entry *entry_new(void *bytes, size_t length)
{
    struct cache_entry *entry = bytes != NULL ? malloc(sizeof *entry) : NULL;
    if (entry == NULL) {
        free(bytes);
        return NULL;
    }
    *entry = (struct cache_entry){.references = 1, .length = length, .bytes = bytes};
    return entry;
}

const void *cache_entry_bytes(const struct cache_entry *entry, size_t *ret_length)
{
    *ret_length = entry->length;
    return entry->bytes;
}

void cache_entry_unref(struct cache_entry *entry)
{
    if (entry != NULL && atomic_fetch_sub(&entry->references, 1) == 1) {
        free(entry->bytes);
        free(entry);
    }
}

struct cache_entry *cache_get(struct cache *cache, const char *key)
{
    assert(cache->magic == CACHE_MAGIC);
    struct cache_entry *entry = cache->engine->get(cache->store, key, true);
    metric_add(entry != NULL ? cache->metrics.hits : cache->metrics.misses, 1);
    return entry;
}

void cache_put(struct cache *cache, const char *key, const void *bytes, size_t length,
               int64_t ttl_ms)
{
    void *copy = malloc(length > 0 ? length : 1);
    if (copy != NULL && length > 0) {
        memcpy(copy, bytes, length);
    }
    struct cache_entry *entry = entry_new(copy, length);
    if (entry == NULL) {
        cache->engine->drop(cache->store, key); /* what was there is not true any more */
        return;
    }
    cache->engine->put(cache->store, key, entry, ttl_ms);
    cache_entry_unref(entry);
}

static struct flight_list *list_of(struct cache *cache, const char *key)
{
    uint64_t hash;
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, strlen(key),
                           cache->hash_key);
    return &cache->lists[hash % FLIGHT_LISTS];
}

static struct flight *find_flight(const struct flight_list *list, const char *key)
{
    struct flight *flight = list->first;
    while (flight != NULL && strcmp(flight->key, key) != 0) {
        flight = flight->next;
    }
    return flight;
}

void cache_drop(struct cache *cache, const char *key)
{
    struct flight_list *list = list_of(cache, key);
    (void)pthread_mutex_lock(&list->lock);
    struct flight *flight = find_flight(list, key);
    if (flight != NULL) {
        flight->dropped = true;
    }
    cache->engine->drop(cache->store, key);
    (void)pthread_mutex_unlock(&list->lock);
}

/* Takes the flight's result; the last one frees it. With the list locked. */
static int leave(struct flight *flight, struct cache_entry **ret_entry)
{
    int r = flight->result;
    if (r >= 0) {
        (void)atomic_fetch_add(&flight->entry->references, 1);
        *ret_entry = flight->entry;
    }
    if (--flight->users == 0) {
        cache_entry_unref(flight->entry);
        free(flight);
    }
    return r;
}

static int wait_for(struct flight_list *list, struct flight *flight, struct cache_entry **ret_entry)
{
    flight->users++;
    while (!flight->landed) {
        (void)pthread_cond_wait(&list->landed, &list->lock);
    }
    return leave(flight, ret_entry);
}

static void take_off_list(struct flight_list *list, const struct flight *flight)
{
    struct flight **link = &list->first;
    while (*link != flight) {
        link = &(*link)->next;
    }
    *link = flight->next;
}

/* Runs the load with the list unlocked, keeps what it brings, wakes all. */
static int fly(struct cache *cache, struct flight_list *list, struct flight *flight, int64_t ttl_ms,
               cache_load_function *load, void *argument, struct cache_entry **ret_entry)
{
    (void)pthread_mutex_unlock(&list->lock);
    void *bytes = NULL;
    size_t length = 0;
    int r = load(argument, &bytes, &length);
    metric_add(cache->metrics.loads, 1);
    struct cache_entry *entry = NULL;
    if (r >= 0) {
        entry = entry_new(bytes != NULL ? bytes : malloc(1), length);
        r = entry != NULL ? 0 : ERR_NO_MEMORY;
    }
    (void)pthread_mutex_lock(&list->lock);
    if (r >= 0 && !flight->dropped) {
        cache->engine->put(cache->store, flight->key, entry, ttl_ms);
    }
    take_off_list(list, flight);
    flight->entry = entry;
    flight->result = r;
    flight->landed = true;
    (void)pthread_cond_broadcast(&list->landed);
    return leave(flight, ret_entry);
}

int cache_load(struct cache *cache, const char *key, int64_t ttl_ms, cache_load_function *load,
               void *argument, struct cache_entry **ret_entry)
{
    struct cache_entry *entry = cache_get(cache, key);
    if (entry != NULL) {
        *ret_entry = entry;
        return 0;
    }
    struct flight_list *list = list_of(cache, key);
    (void)pthread_mutex_lock(&list->lock);
    int r;
    struct flight *flight = find_flight(list, key);
    if (flight != NULL && !flight->dropped) {
        r = wait_for(list, flight, ret_entry);
    } else if ((entry = cache->engine->get(cache->store, key, false)) != NULL) {
        *ret_entry = entry; /* it landed between the look and the lock */
        r = 0;
    } else if ((flight = calloc(1, sizeof *flight)) == NULL) {
        r = ERR_NO_MEMORY;
    } else {
        *flight = (struct flight){.next = list->first, .key = key, .users = 1};
        list->first = flight;
        r = fly(cache, list, flight, ttl_ms, load, argument, ret_entry);
    }
    (void)pthread_mutex_unlock(&list->lock);
    return r;
}
