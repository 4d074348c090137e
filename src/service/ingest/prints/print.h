/* Acoustic fingerprints compared (media/fingerprint.h: a word of 32 bits for each eighth of a
 * second of the first two minutes). Two encodings of one recording have words that differ in few
 * bits, another recording's in about half of them. Pure; any thread.
 *
 * They are found among millions by a sketch: of the distinct words, mixed by a hash, the smallest
 * few. Two prints that share words choose the same ones, wherever in the sound they stand.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    PRINT_WORDS_MAX = 1024,
    PRINT_SKETCH = 20,
    PRINT_SHARED_MIN = 2,    /* of two sketches, for two prints to be compared */
    PRINT_DISTINCT_MIN = 40, /* fewer distinct words say too little: silence, a tone */
    PRINT_KEPT_MAX = PRINT_WORDS_MAX / 2,
    PRINT_SHIFT_MAX = 64,            /* words by which one may begin later: 8 s */
    PRINT_DURATION_APART_MS = 10000, /* two sounds further apart in length are two recordings */
};

struct print {
    uint32_t words[PRINT_WORDS_MAX];
    unsigned count;
};

/* The smallest first; the number of them: PRINT_SKETCH, or 0 where the print says too little. */
unsigned print_sketch(const struct print *print, uint32_t out[PRINT_SKETCH]);
/* What is kept of it: each second word. */
unsigned print_keep(const struct print *print, uint32_t out[PRINT_KEPT_MAX]);
/* The share of bits that differ where the two fit best, 0 … 1; 1 where they overlap too little. */
double print_distance(const struct print *print, const uint32_t *kept, unsigned count);
/* Whether they are one recording. */
bool print_is_same(const struct print *print, const uint32_t *kept, unsigned count);
