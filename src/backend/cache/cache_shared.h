/* The cache's second level, shared by processes over Redis: what one has loaded is a hit for the
 * others, and one load serves those who miss at the same time. Behind each process's own level,
 * which answers on loop threads; this one may block for a round trip. Included by cache.c alone.
 *
 *            find                     put (lease still there)
 *   nothing ──────► LEASE of one who loads ──────► ENTRY ──life──► nothing
 *      ▲                    │ release, 2 s              │
 *      └────────────────────┴────── drop ◄──────────────┘
 *
 * A lease (Nishtala et al.: "Scaling Memcache at Facebook", NSDI 2013) stands under the key itself:
 * whoever finds nothing leaves his own there, others see it and wait a little, and an entry is put
 * only where the loader's own lease still stands.
 *
 * Invariants
 *  1. After drop has returned, nobody finds what was loaded by a load that had begun before it: the
 *     drop took the entry or the lease with it, and without its lease a load's result is not put,
 *     however late it comes.
 *  2. Who knows of a drop that may not have reached Redis, or of a Redis that may have lost one (an
 *     epoch ended), finds nothing and leaves no lease for as long as an entry can live.
 *     Likewise, where loads may read from replicas that lag: a process that has not heard of a
 * change yet may put what was before it, so who has heard takes that key from nobody for as long.
 *  3. Builds of the program share nothing with each other: entries are memory as this build lays it
 *     out.
 *  4. An entry is taken only as it was put under its key by a process with the same secret: who can
 *     write to Redis can lose entries, not make them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cache_shared;

enum { CACHE_SHARED_BYTES_MAX = 1 << 20 };

enum cache_found {
    CACHE_NOTHING, /* load it, and keep it to yourself */
    CACHE_LEASE,   /* load it, then put or release it */
    CACHE_ENTRY,
};

struct cache_lease {
    char token[36];
};

struct cache_config;
int cache_shared_new(const struct cache_config *config, struct cache_shared **ret_shared);
void cache_shared_free(struct cache_shared *shared); /* NULL is fine */

/* CACHE_ENTRY: malloc'ed bytes, the caller's, and how much longer they live. */
struct cache_finding {
    struct cache_lease lease;
    void *bytes;
    size_t length;
    int64_t ttl_ms;
};
enum cache_found cache_shared_find(struct cache_shared *shared, const char *key,
                                   struct cache_finding *ret_finding);
void cache_shared_put(struct cache_shared *shared, const char *key, const struct cache_lease *lease,
                      const void *bytes, size_t length, int64_t ttl_ms);
void cache_shared_release(struct cache_shared *shared, const char *key,
                          const struct cache_lease *lease);
void cache_shared_drop(struct cache_shared *shared, const char *const *keys, unsigned count);
