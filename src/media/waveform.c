/* The waveform (waveform.h). Called by analysis.c on its own thread; allocates nothing. */
#include "media/waveform.h"

#include <math.h>
#include <string.h>

void waveform_init(struct waveform *waveform, int rate, unsigned channels)
{
    memset(waveform, 0, sizeof *waveform);
    waveform->rate = rate;
    waveform->channels = channels;
    waveform->frames_per_peak = 1;
    waveform->filled = 1; /* full: the first frame opens the first peak */
}

static void merge_neighbours(struct waveform *waveform)
{
    waveform->count = WAVEFORM_PEAKS_MAX / 2;
    for (uint32_t i = 0; i < waveform->count; i++) {
        waveform->peaks[i] = fmaxf(waveform->peaks[2 * i], waveform->peaks[2 * i + 1]);
    }
    waveform->frames_per_peak *= 2;
    waveform->filled = waveform->frames_per_peak;
}

static void open_peak(struct waveform *waveform)
{
    if (waveform->count == WAVEFORM_PEAKS_MAX) {
        merge_neighbours(waveform);
    }
    waveform->peaks[waveform->count++] = 0;
    waveform->filled = 0;
}

static float largest(const float *samples, unsigned count)
{
    float peak = 0;
    for (unsigned i = 0; i < count; i++) {
        float magnitude = fabsf(samples[i]);
        peak = magnitude > peak ? magnitude : peak; /* NaN is never larger */
    }
    return peak;
}

void waveform_write(struct waveform *waveform, const float *const *planes, unsigned frames)
{
    for (unsigned done = 0; done < frames;) {
        if (waveform->filled == waveform->frames_per_peak) {
            open_peak(waveform);
        }
        uint32_t room = waveform->frames_per_peak - waveform->filled;
        unsigned count = frames - done < room ? frames - done : room;
        float *peak = &waveform->peaks[waveform->count - 1];
        for (unsigned channel = 0; channel < waveform->channels; channel++) {
            *peak = fmaxf(*peak, largest(planes[channel] + done, count));
        }
        waveform->filled += count;
        done += count;
    }
}

static void put32(uint8_t *out, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

size_t waveform_finish(const struct waveform *waveform, uint8_t out[WAVEFORM_BYTES_MAX])
{
    memcpy(out, "TWF1", 4); /* NOLINT(bugprone-not-null-terminated-result): no string */
    put32(out + 4, (uint32_t)waveform->rate);
    put32(out + 8, waveform->frames_per_peak);
    put32(out + 12, waveform->count);
    for (uint32_t i = 0; i < waveform->count; i++) {
        float peak = fminf(waveform->peaks[i], 1);
        out[WAVEFORM_HEADER_BYTES + i] = (uint8_t)lrintf(peak * 255);
    }
    return WAVEFORM_HEADER_BYTES + waveform->count;
}
