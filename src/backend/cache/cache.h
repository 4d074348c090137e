/* The cache: bytes under a key, bounded in bytes, in process (cache_memory.c): sharded; admission
 * resists scans (W-TinyLFU: Einziger, Friedman, Manes 2017); an entry's life is jittered by ±10 %
 * so that neighbours don't expire together. With a Redis behind it (cache_shared.c) processes share
 * what they load. A loss is never an error.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cache;
struct cache_entry; /* a reference to immutable bytes */
struct problem;
struct redis;

struct cache_config {
    const char *name; /* for metrics too: tutti_cache_hits_total{cache="name"} */
    size_t bytes_max; /* of this process's level */
    /* Borrowed, NULL for none: caches of one name and secret share what they load. */
    struct redis *redis;
    const char *secret;
    unsigned lag_ms; /* how far behind what a load reads may be (replicas); 0: it reads what is */
};
int cache_new(const struct cache_config *config, struct cache **ret_cache, struct problem *problem);
/* url "memory:", or "redis://…" (redis_address.h) for a cache that has a Redis of its own. */
int cache_open(const char *url, const char *name, size_t bytes_max, struct cache **ret_cache,
               struct problem *problem);
void cache_close(struct cache *cache);

/* NULL: not there. The reference is the caller's; cache_entry_unref gives it back. Looks at this
 * process's level alone and never blocks. Any thread. */
struct cache_entry *cache_get(struct cache *cache, const char *key);
/* Copies bytes, for this process alone. ttl_ms 0: until evicted. */
void cache_put(struct cache *cache, const char *key, const void *bytes, size_t length,
               int64_t ttl_ms);
/* Forgets it, here and in Redis, after the change was committed. May block for a round trip. Other
 * processes' own levels hear of the change by themselves. */
void cache_drop(struct cache *cache, const char *key);
void cache_drop_all(struct cache *cache, const char *const *keys, unsigned count);
const void *cache_entry_bytes(const struct cache_entry *entry, size_t *ret_length);
void cache_entry_unref(struct cache_entry *entry); /* NULL is fine */

/* One load for many waiters: the first caller of a missing key runs load, others wait for it. load
 * returns 0 with malloc'ed bytes (taken over by the cache), or an error, which all waiters get and
 * which is not kept. A drop during the load makes its result be returned but not kept. With a
 * Redis, what another process has loaded is taken, and one that is loading is waited for a little;
 * it lives at most life_ms of the address there. May block. */
typedef int cache_load_function(void *argument, void **ret_bytes, size_t *ret_length);
int cache_load(struct cache *cache, const char *key, int64_t ttl_ms, cache_load_function *load,
               void *argument, struct cache_entry **ret_entry);
