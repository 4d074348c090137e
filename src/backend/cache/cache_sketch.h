/* How often keys were asked for lately: a count-min sketch of 4-bit counters behind a doorkeeper,
 * aged by halving (TinyLFU: Einziger, Friedman, Manes, ACM ToS 2017, sections 3.2 to 3.4). Not
 * thread-safe; a shard's lock covers it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cache_sketch {
    uint8_t *counters;    /* SKETCH_ROWS × width, one a byte, at most SKETCH_COUNT_MAX */
    uint64_t *doorkeeper; /* width bits: seen once since the last ageing */
    size_t width;         /* a power of two, 0 before the first growth */
    size_t additions;
};

enum { SKETCH_ROWS = 4, SKETCH_COUNT_MAX = 15 };

void cache_sketch_done(struct cache_sketch *sketch);
/* Makes room for `entries` keys; counts are forgotten when it grows. Without memory it stays as it
 * is. */
void cache_sketch_grow(struct cache_sketch *sketch, size_t entries);
void cache_sketch_add(struct cache_sketch *sketch, uint64_t hash);
unsigned cache_sketch_estimate(const struct cache_sketch *sketch, uint64_t hash);
