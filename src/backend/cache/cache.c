/* The cache (cache.h): the level in process, behind it the shared one where there is a Redis; keeps
 * entries' references, and makes one load serve all who wait for its key. Any thread.
 *
 * Loads in flight hang in FLIGHT_LISTS lists by hash of the key. The loader's put and a drop of its
 * key both happen under the list's lock, so either the drop comes first and the result is not kept,
 * or it comes second and removes it. A drop reaches the shared level first: a load that begins in
 * between finds nothing old there.
 */
#include "backend/cache/cache.h"

#include "backend/cache/cache_engine.h"
#include "backend/cache/cache_shared.h"
#include "backend/redis/redis.h"
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
    struct cache_shared *shared; /* NULL: this process alone */
    struct redis *redis;         /* what cache_open opened for it */
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

int cache_new(const struct cache_config *config, struct cache **ret_cache, struct problem *problem)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't open the cache %s: out of memory",
                           config->name);
    }
    cache->magic = CACHE_MAGIC;
    cache->engine = &cache_engine_memory;
    register_metrics(&cache->metrics, config->name);
    crypto_shorthash_keygen(cache->hash_key);
    int r = config->redis != NULL ? cache_shared_new(config, &cache->shared) : 0;
    r = r < 0 ? r : cache->engine->open(config->bytes_max, &cache->metrics, &cache->store, problem);
    if (r < 0) {
        cache_shared_free(cache->shared);
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

int cache_open(const char *url, const char *name, size_t bytes_max, struct cache **ret_cache,
               struct problem *problem)
{
    struct redis *redis = NULL;
    int r = 0;
    if (strncmp(url, "redis:", 6) == 0) {
        r = redis_open(url, &redis, problem);
    } else if (strcmp(url, "memory:") != 0) {
        r = problem_set(problem, ERR_INVALID,
                        "The cache %s has an unknown store; it should be memory: or redis://HOST",
                        name);
    }
    const struct cache_config config = {name, bytes_max, redis, url, 0};
    r = r < 0 ? r : cache_new(&config, ret_cache, problem);
    if (r < 0) {
        redis_close(redis);
        return r;
    }
    (*ret_cache)->redis = redis;
    return 0;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL) {
        return;
    }
    assert(cache->magic == CACHE_MAGIC);
    cache->engine->close(cache->store);
    cache_shared_free(cache->shared);
    redis_close(cache->redis);
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

static void drop_here(struct cache *cache, const char *key)
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

void cache_drop_all(struct cache *cache, const char *const *keys, unsigned count)
{
    assert(cache->magic == CACHE_MAGIC);
    if (cache->shared != NULL) {
        cache_shared_drop(cache->shared, keys, count);
    }
    for (unsigned i = 0; i < count; i++) {
        drop_here(cache, keys[i]);
    }
}

void cache_drop(struct cache *cache, const char *key)
{
    cache_drop_all(cache, &key, 1);
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

/* What a load brings, and what is still to be said of it to the shared level. */
struct brought {
    struct cache_entry *entry;
    int64_t ttl_ms;
    bool leased;
    struct cache_lease lease;
};

static int run_load(struct cache *cache, cache_load_function *load, void *argument,
                    struct brought *brought)
{
    void *bytes = NULL;
    size_t length = 0;
    int r = load(argument, &bytes, &length);
    metric_add(cache->metrics.loads, 1);
    if (r < 0) {
        return r;
    }
    brought->entry = entry_new(bytes != NULL ? bytes : malloc(1), length);
    return brought->entry != NULL ? 0 : ERR_NO_MEMORY;
}

/* From another process's load, else from one's own. */
static int bring(struct cache *cache, const char *key, cache_load_function *load, void *argument,
                 struct brought *brought)
{
    struct cache_finding finding = {.ttl_ms = 0};
    enum cache_found found =
        cache->shared != NULL ? cache_shared_find(cache->shared, key, &finding) : CACHE_NOTHING;
    if (found == CACHE_ENTRY) {
        brought->entry = entry_new(finding.bytes, finding.length);
        brought->ttl_ms = finding.ttl_ms;
        return brought->entry != NULL ? 0 : ERR_NO_MEMORY;
    }
    brought->leased = found == CACHE_LEASE;
    brought->lease = finding.lease;
    return run_load(cache, load, argument, brought);
}

/* Told after the waiters here were woken. The entry is kept by nobody but its holders, so a
 * reference is held. */
static void tell_shared(struct cache *cache, const char *key, const struct brought *brought,
                        int64_t ttl_ms)
{
    if (brought->leased && brought->entry != NULL) {
        cache_shared_put(cache->shared, key, &brought->lease, brought->entry->bytes,
                         brought->entry->length, ttl_ms);
    } else if (brought->leased) {
        cache_shared_release(cache->shared, key, &brought->lease);
    }
}

/* Runs the load with the list unlocked, keeps what it brings, wakes all. */
static int fly(struct cache *cache, struct flight_list *list, struct flight *flight, int64_t ttl_ms,
               cache_load_function *load, void *argument, struct cache_entry **ret_entry)
{
    const char *key = flight->key; /* the caller's, so it outlives the flight */
    struct brought brought = {.ttl_ms = ttl_ms};
    (void)pthread_mutex_unlock(&list->lock);
    int r = bring(cache, key, load, argument, &brought);
    (void)pthread_mutex_lock(&list->lock);
    if (r >= 0 && !flight->dropped) {
        cache->engine->put(cache->store, key, brought.entry, brought.ttl_ms);
    }
    take_off_list(list, flight);
    flight->entry = brought.entry;
    flight->result = r;
    flight->landed = true;
    (void)pthread_cond_broadcast(&list->landed);
    r = leave(flight, ret_entry);
    if (brought.leased) {
        (void)pthread_mutex_unlock(&list->lock);
        brought.entry = r >= 0 ? *ret_entry : NULL;
        tell_shared(cache, key, &brought, ttl_ms);
        (void)pthread_mutex_lock(&list->lock);
    }
    return r;
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
