/* Fingerprints compared (print.h). Called by prints.c. */
#include "service/ingest/prints/print.h"

#include <stddef.h>
#include <stdlib.h>

/* Chromaprint's word for silence. */
#define SILENCE UINT32_C(627964279)

/* The lower bits of a word change first. */
#define STABLE_BITS UINT32_C(0xfffffff0)

/* Measured (tests/media/test_prints.py): encodings, cuts and other loudness stay below 0.03; the
 * same piece played a twenty-fifth slower is at 0.26, otherwise at 0.36. */
static const double SAME_BELOW = 0.15;

/* MurmurHash3's finalizer: any word may come out smallest. */
static uint32_t mix(uint32_t word)
{
    word ^= word >> 16;
    word *= UINT32_C(0x85ebca6b);
    word ^= word >> 13;
    word *= UINT32_C(0xc2b2ae35);
    return word ^ word >> 16;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

unsigned print_sketch(const struct print *print, uint32_t out[PRINT_SKETCH])
{
    uint32_t mixed[PRINT_WORDS_MAX];
    unsigned count = 0, distinct = 0;
    for (unsigned i = 0; i < print->count; i++) {
        if (print->words[i] != SILENCE) {
            mixed[count++] = mix(print->words[i] & STABLE_BITS);
        }
    }
    if (count > 0) {
        qsort(mixed, count, sizeof *mixed, compare);
    }
    for (unsigned i = 0; i < count; i++) {
        if (i == 0 || mixed[i] != mixed[i - 1]) {
            if (distinct < PRINT_SKETCH) {
                out[distinct] = mixed[i];
            }
            distinct++;
        }
    }
    return distinct >= PRINT_DISTINCT_MIN ? PRINT_SKETCH : 0;
}

unsigned print_keep(const struct print *print, uint32_t out[PRINT_KEPT_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < print->count; i += 2) {
        out[count++] = print->words[i];
    }
    return count;
}

/* The kept words stand at each second place, shift later in the print. Silence that both have says
 * nothing. */
static double distance_at(const struct print *print, const uint32_t *kept, unsigned count,
                          int shift)
{
    unsigned pairs = 0, overlap = 0;
    uint64_t differing = 0;
    for (unsigned i = 0; i < count; i++) {
        int at = 2 * (int)i + shift;
        if (at < 0 || at >= (int)print->count) {
            continue;
        }
        overlap++;
        if (kept[i] != SILENCE || print->words[at] != SILENCE) {
            differing += (unsigned)__builtin_popcount(kept[i] ^ print->words[at]);
            pairs++;
        }
    }
    unsigned shorter = count < print->count / 2 ? count : print->count / 2;
    bool enough = overlap * 5 >= shorter * 4 && pairs * 2 >= PRINT_DISTINCT_MIN;
    return enough ? (double)differing / (32.0 * pairs) : 1;
}

double print_distance(const struct print *print, const uint32_t *kept, unsigned count)
{
    double least = 1;
    for (int shift = -PRINT_SHIFT_MAX; shift <= PRINT_SHIFT_MAX; shift++) {
        double distance = distance_at(print, kept, count, shift);
        least = distance < least ? distance : least;
    }
    return least;
}

bool print_is_same(const struct print *print, const uint32_t *kept, unsigned count)
{
    return print_distance(print, kept, count) < SAME_BELOW;
}
