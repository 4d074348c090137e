/* What an engine of the cache gives to cache.c, which adds single flight, jitter and metrics. */
#pragma once

#include "backend/cache/cache.h"

#include <stdatomic.h>
#include <stdint.h>

/* Immutable bytes with a count of references; the last one to let go frees them. Key and bytes
 * stand behind the head. An engine embeds it as the first member of what it keeps. */
struct cache_entry {
    _Atomic unsigned references;
    size_t length;
    void (*free)(struct cache_entry *entry);
    const unsigned char *bytes;
};

struct cache_engine_rows {
    struct cache_entry *(*get)(void *engine, const char *key, int64_t now_ms);
    /* Returns a reference for the caller to the entry made of the bytes, kept or not; NULL only
     * when out of memory. expires_ms is monotonic, 0: never. */
    struct cache_entry *(*put)(void *engine, const char *key, const void *bytes, size_t length,
                               int64_t expires_ms, int64_t now_ms);
    void (*drop)(void *engine, const char *key);
    int64_t (*bytes)(void *engine);
    void (*close)(void *engine);
};

int cache_memory_open(size_t bytes_max, void **ret_engine,
                      const struct cache_engine_rows **ret_rows);
