/* TinyLFU's frequency sketch (cache_sketch.h).
 *
 * Positions are the low bits of fixed mixtures of the hash, so a table of twice the size can be
 * filled by copying the old one twice: each key then finds its old counters in both halves.
 */
#include "backend/cache/cache_sketch.h"

#include "base/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4, COUNT_MIN = 64, SAMPLES_PER_ENTRY = 10, COUNTER_MAX = 15, DOOR_BITS = 8 };

static const uint64_t seeds[ROWS] = {UINT64_C(0xc3a5c85c97cb3127), UINT64_C(0xb492b66fbe98f273),
                                     UINT64_C(0x9ae16a3b2f90404f), UINT64_C(0xcbf29ce484222325)};

static uint64_t mix(uint64_t hash, unsigned row)
{
    uint64_t value = (hash + seeds[row]) * seeds[row];
    return value ^ (value >> 32);
}

struct counter {
    uint64_t *word;
    unsigned shift;
};

static struct counter counter_of(const struct cache_sketch *sketch, uint64_t hash, unsigned row)
{
    uint64_t mixed = mix(hash, row);
    /* Each row has its own four of a word's sixteen counters. */
    unsigned slot = row * 4 + (unsigned)(mixed >> 62);
    return (struct counter){&sketch->words[mixed & (sketch->count - 1)], slot * 4};
}

static unsigned value_of(struct counter counter)
{
    return (unsigned)(*counter.word >> counter.shift) & COUNTER_MAX;
}

int cache_sketch_init(struct cache_sketch *sketch)
{
    *sketch = (struct cache_sketch){.count = COUNT_MIN};
    sketch->words = calloc(COUNT_MIN, sizeof *sketch->words);
    sketch->doorkeeper = calloc(COUNT_MIN, DOOR_BITS / 8);
    if (sketch->words == NULL || sketch->doorkeeper == NULL) {
        cache_sketch_done(sketch);
        return ERR_NO_MEMORY;
    }
    return 0;
}

void cache_sketch_done(struct cache_sketch *sketch)
{
    free(sketch->words);
    free(sketch->doorkeeper);
    *sketch = (struct cache_sketch){0};
}

static bool grow_twofold(struct cache_sketch *sketch)
{
    size_t bytes = sketch->count * sizeof *sketch->words;
    size_t door_bytes = sketch->count * DOOR_BITS / 8;
    uint64_t *words = malloc(2 * bytes);
    uint64_t *doorkeeper = malloc(2 * door_bytes);
    if (words == NULL || doorkeeper == NULL) {
        free(words);
        free(doorkeeper);
        return false;
    }
    memcpy(words, sketch->words, bytes);
    memcpy((char *)words + bytes, sketch->words, bytes);
    memcpy(doorkeeper, sketch->doorkeeper, door_bytes);
    memcpy((char *)doorkeeper + door_bytes, sketch->doorkeeper, door_bytes);
    free(sketch->words);
    free(sketch->doorkeeper);
    sketch->words = words;
    sketch->doorkeeper = doorkeeper;
    sketch->count *= 2;
    return true;
}

void cache_sketch_grow(struct cache_sketch *sketch, size_t entries)
{
    while (sketch->count < entries && grow_twofold(sketch)) {
    }
}

/* True when the key was there already; two bits a key. */
static bool door_knock(struct cache_sketch *sketch, uint64_t hash, bool enter)
{
    uint64_t mask = sketch->count * DOOR_BITS - 1;
    bool there = true;
    for (unsigned row = 0; row < 2; row++) {
        uint64_t bit = (mix(hash, row) >> 20 ^ mix(hash, row + 2)) & mask;
        uint64_t *word = &sketch->doorkeeper[bit / 64];
        there = there && (*word >> (bit % 64) & 1) != 0;
        if (enter) {
            *word |= UINT64_C(1) << (bit % 64);
        }
    }
    return there;
}

static void fade(struct cache_sketch *sketch)
{
    for (size_t i = 0; i < sketch->count; i++) {
        sketch->words[i] = (sketch->words[i] >> 1) & UINT64_C(0x7777777777777777);
    }
    memset(sketch->doorkeeper, 0, sketch->count * DOOR_BITS / 8);
    sketch->samples /= 2;
}

void cache_sketch_add(struct cache_sketch *sketch, uint64_t hash)
{
    if (door_knock(sketch, hash, true)) {
        /* Conservative update: only the smallest counters grow. */
        unsigned least = cache_sketch_estimate(sketch, hash) - 1;
        for (unsigned row = 0; row < ROWS && least < COUNTER_MAX; row++) {
            struct counter counter = counter_of(sketch, hash, row);
            if (value_of(counter) == least) {
                *counter.word += UINT64_C(1) << counter.shift;
            }
        }
    }
    if (++sketch->samples >= sketch->count * SAMPLES_PER_ENTRY) {
        fade(sketch);
    }
}

unsigned cache_sketch_estimate(const struct cache_sketch *sketch, uint64_t hash)
{
    unsigned least = COUNTER_MAX;
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned value = value_of(counter_of(sketch, hash, row));
        least = value < least ? value : least;
    }
    return least + (door_knock((struct cache_sketch *)sketch, hash, false) ? 1 : 0);
}

size_t cache_sketch_bytes(const struct cache_sketch *sketch)
{
    return sketch->count * (sizeof *sketch->words + DOOR_BITS / 8);
}
