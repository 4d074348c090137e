/* How often keys were asked for lately: TinyLFU's frequency sketch (Einziger, Friedman, Manes:
 * "TinyLFU: A Highly Efficient Cache Admission Policy", ACM TOS 2017). Not thread-safe.
 *
 * A count-min sketch of four rows with counters of four bits, behind a doorkeeper (a Bloom filter)
 * that holds back what was seen only once: most keys, and all of a scan. After ten times as many
 * samples as there are entries all counters are halved and the doorkeeper emptied, so that the past
 * fades.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cache_sketch {
    uint64_t *words;      /* 16 counters each; as many words as entries are expected */
    uint64_t *doorkeeper; /* 8 bits for each entry */
    size_t count;         /* of words, a power of two */
    size_t samples;
};

enum { CACHE_SKETCH_MAX = 16 }; /* the highest estimate: 15 and the doorkeeper's one */

/* 0 or ERR_NO_MEMORY. */
int cache_sketch_init(struct cache_sketch *sketch);
void cache_sketch_done(struct cache_sketch *sketch);
/* Makes room for that many entries, keeping what is known. Without memory it stays as it is. */
void cache_sketch_grow(struct cache_sketch *sketch, size_t entries);
void cache_sketch_add(struct cache_sketch *sketch, uint64_t hash);
unsigned cache_sketch_estimate(const struct cache_sketch *sketch, uint64_t hash);
size_t cache_sketch_bytes(const struct cache_sketch *sketch);
