/* The cache: bytes under a key, bounded in bytes, in process (cache_memory.c; Redis joins behind
 * the same). Sharded; admission resists scans (W-TinyLFU: Einziger, Friedman, Manes 2017); an
 * entry's life is jittered by ±10 % so that neighbours don't expire together. A loss is never an
 * error.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cache;
struct cache_entry; /* a reference to immutable bytes */
struct problem;

/* url "memory:". name is for metrics (tutti_cache_hits_total{cache="name"}). */
int cache_open(const char *url, const char *name, size_t bytes_max, struct cache **ret_cache,
               struct problem *problem);
void cache_close(struct cache *cache);

/* NULL: not there. The reference is the caller's; cache_entry_unref gives it back. Never blocks in
 * the memory engine. Any thread. */
struct cache_entry *cache_get(struct cache *cache, const char *key);
/* Copies bytes. ttl_ms 0: until evicted. */
void cache_put(struct cache *cache, const char *key, const void *bytes, size_t length,
               int64_t ttl_ms);
void cache_drop(struct cache *cache, const char *key);
const void *cache_entry_bytes(const struct cache_entry *entry, size_t *ret_length);
void cache_entry_unref(struct cache_entry *entry); /* NULL is fine */

/* One load for many waiters: the first caller of a missing key runs load, others wait for it. load
 * returns 0 with malloc'ed bytes (taken over by the cache), or an error, which all waiters get and
 * which is not kept. A drop during the load makes its result be returned but not kept. */
typedef int cache_load_function(void *argument, void **ret_bytes, size_t *ret_length);
int cache_load(struct cache *cache, const char *key, int64_t ttl_ms, cache_load_function *load,
               void *argument, struct cache_entry **ret_entry);
