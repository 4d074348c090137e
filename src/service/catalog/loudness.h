/* Integrated loudness from histograms of gating blocks (ITU-R BS.1770-4 section 2.8, as libebur128
 * does in its histogram mode). Bin i of 1000 counts the 400 ms blocks whose loudness lies in
 * [-70 + 0.1 i, -70 + 0.1 (i + 1)) LUFS; a bin's energy is that of its centre. Blocks under the
 * absolute gate of -70 LUFS are in no bin. Histograms add up, so that an album's loudness needs no
 * second look at the sound. Any thread; no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOUDNESS_BINS = 1000, LOUDNESS_HISTOGRAM_BYTES = LOUDNESS_BINS * 4 };

struct loudness_histogram {
    uint64_t counts[LOUDNESS_BINS];
};

/* Adds a stored histogram: 1000 little-endian uint32. False, and nothing added, for another length.
 */
bool loudness_add(struct loudness_histogram *histogram, const void *bytes, size_t length);
/* LUFS over all blocks above the relative gate (10 LU below their mean). False for silence. */
bool loudness_integrated(const struct loudness_histogram *histogram, double *ret_lufs);
