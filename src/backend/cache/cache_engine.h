/* What a cache's level in process fills in. Included by cache*.c alone. */
#pragma once

#include "backend/cache/cache.h"

#include <stdatomic.h>
#include <stdbool.h>

struct metric;
struct cache_store; /* the engine's own */

/* Immutable bytes with a count of references. */
struct cache_entry {
    atomic_uint references;
    size_t length;
    void *bytes; /* owned; malloc'ed */
};

struct cache_metrics {
    struct metric *hits, *misses, *loads, *evicted, *refused, *bytes, *entries;
};

struct cache_engine {
    int (*open)(size_t bytes_max, const struct cache_metrics *metrics,
                struct cache_store **ret_store, struct problem *problem);
    void (*close)(struct cache_store *store);
    /* asked: somebody wants it, so it counts for its popularity (a second look does not). */
    struct cache_entry *(*get)(struct cache_store *store, const char *key, bool asked);
    /* Takes a reference of its own if it keeps the entry. */
    void (*put)(struct cache_store *store, const char *key, struct cache_entry *entry,
                int64_t ttl_ms);
    void (*drop)(struct cache_store *store, const char *key);
};

extern const struct cache_engine cache_engine_memory;
