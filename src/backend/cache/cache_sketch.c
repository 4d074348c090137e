/* The frequency sketch (cache_sketch.h). */
#include "backend/cache/cache_sketch.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH_MIN = 256, ADDITIONS_PER_COUNTER = 10 };

void cache_sketch_done(struct cache_sketch *sketch)
{
    free(sketch->counters);
    free(sketch->doorkeeper);
    *sketch = (struct cache_sketch){.width = 0};
}

void cache_sketch_grow(struct cache_sketch *sketch, size_t entries)
{
    size_t width = WIDTH_MIN;
    while (width < entries) {
        width *= 2;
    }
    if (width <= sketch->width) {
        return;
    }
    uint8_t *counters = calloc(SKETCH_ROWS, width);
    uint64_t *doorkeeper = calloc(width / 64, sizeof *doorkeeper);
    if (counters == NULL || doorkeeper == NULL) {
        free(counters);
        free(doorkeeper);
        return;
    }
    cache_sketch_done(sketch);
    *sketch = (struct cache_sketch){.counters = counters, .doorkeeper = doorkeeper, .width = width};
}

/* The row's counter of a hash: rows mix the two halves differently (Kirsch, Mitzenmacher 2006). */
static size_t place(const struct cache_sketch *sketch, uint64_t hash, unsigned row)
{
    uint64_t mixed = (hash & 0xffffffffu) + (row + 1) * ((hash >> 32) | 1);
    mixed ^= mixed >> 17;
    return row * sketch->width + (size_t)(mixed & (sketch->width - 1));
}

static void age(struct cache_sketch *sketch)
{
    for (size_t i = 0; i < SKETCH_ROWS * sketch->width; i++) {
        sketch->counters[i] = (uint8_t)(sketch->counters[i] / 2);
    }
    memset(sketch->doorkeeper, 0, sketch->width / 8);
    sketch->additions = 0;
}

void cache_sketch_add(struct cache_sketch *sketch, uint64_t hash)
{
    if (sketch->width == 0) {
        return;
    }
    size_t door = (size_t)(hash >> 7) & (sketch->width - 1);
    uint64_t bit = (uint64_t)1 << (door % 64);
    if ((sketch->doorkeeper[door / 64] & bit) == 0) {
        sketch->doorkeeper[door / 64] |= bit;
    } else {
        for (unsigned row = 0; row < SKETCH_ROWS; row++) {
            uint8_t *counter = &sketch->counters[place(sketch, hash, row)];
            *counter = (uint8_t)(*counter + (*counter < SKETCH_COUNT_MAX));
        }
    }
    if (++sketch->additions >= ADDITIONS_PER_COUNTER * sketch->width) {
        age(sketch);
    }
}

unsigned cache_sketch_estimate(const struct cache_sketch *sketch, uint64_t hash)
{
    if (sketch->width == 0) {
        return 0;
    }
    unsigned least = SKETCH_COUNT_MAX;
    for (unsigned row = 0; row < SKETCH_ROWS; row++) {
        unsigned count = sketch->counters[place(sketch, hash, row)];
        least = count < least ? count : least;
    }
    size_t door = (size_t)(hash >> 7) & (sketch->width - 1);
    return least + (unsigned)((sketch->doorkeeper[door / 64] >> (door % 64)) & 1);
}
