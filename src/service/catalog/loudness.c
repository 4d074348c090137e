/* Integrated loudness from histograms (loudness.h). */
#include "service/catalog/loudness.h"

#include <endian.h>
#include <math.h>
#include <string.h>

static const double OFFSET_DB = -0.691;  /* BS.1770: loudness = OFFSET + 10 log10(energy) */
static const double GATE_RELATIVE = 0.1; /* -10 LU, as a ratio of energies */

bool loudness_add(struct loudness_histogram *histogram, const void *bytes, size_t length)
{
    if (length != LOUDNESS_HISTOGRAM_BYTES) {
        return false;
    }
    for (unsigned i = 0; i < LOUDNESS_BINS; i++) {
        uint32_t count;
        memcpy(&count, (const char *)bytes + i * sizeof count, sizeof count);
        histogram->counts[i] += le32toh(count);
    }
    return true;
}

static double bin_energy(unsigned bin)
{
    return pow(10.0, (-69.95 + 0.1 * bin - OFFSET_DB) / 10.0);
}

/* Mean energy of the blocks in bins whose energy reaches `least`. False without any. */
static bool mean_energy(const struct loudness_histogram *histogram, double least, double *ret_mean)
{
    double sum = 0;
    uint64_t blocks = 0;
    for (unsigned i = 0; i < LOUDNESS_BINS; i++) {
        double energy = bin_energy(i);
        if (energy >= least) {
            sum += energy * (double)histogram->counts[i];
            blocks += histogram->counts[i];
        }
    }
    if (blocks == 0) {
        return false;
    }
    *ret_mean = sum / (double)blocks;
    return true;
}

bool loudness_integrated(const struct loudness_histogram *histogram, double *ret_lufs)
{
    double mean = 0;
    if (!mean_energy(histogram, 0, &mean) || !mean_energy(histogram, mean * GATE_RELATIVE, &mean)) {
        return false;
    }
    *ret_lufs = 10.0 * log10(mean) + OFFSET_DB;
    return true;
}
