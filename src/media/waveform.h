/* The waveform that the player draws: the peaks of equal stretches of a track, as a small binary.
 *
 *   offset  0  "TWF1"
 *           4  sample rate, Hz          all integers 32 bits, little-endian
 *           8  frames a peak
 *          12  count of peaks, 1000 to 2000 (fewer for tracks of under 2000 frames)
 *          16  one byte a peak: the largest magnitude over all channels, 0 … 255 for 0 … 1
 *
 * The length of the sound need not be known before: when all peaks are used, neighbours are merged
 * and each stands for twice the time. One thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    WAVEFORM_HEADER_BYTES = 16,
    WAVEFORM_PEAKS_MAX = 2000,
    WAVEFORM_BYTES_MAX = WAVEFORM_HEADER_BYTES + WAVEFORM_PEAKS_MAX,
};

struct waveform {
    int rate;
    unsigned channels;
    uint32_t frames_per_peak;
    uint32_t filled; /* frames in the last peak */
    uint32_t count;  /* peaks, the last one included */
    float peaks[WAVEFORM_PEAKS_MAX];
};

void waveform_init(struct waveform *waveform, int rate, unsigned channels);
void waveform_write(struct waveform *waveform, const float *const *planes, unsigned frames);
/* Returns the bytes written. */
size_t waveform_finish(const struct waveform *waveform, uint8_t out[WAVEFORM_BYTES_MAX]);
