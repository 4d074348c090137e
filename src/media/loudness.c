/* Loudness (loudness.h). Called by analysis.c on its own thread.
 *
 * libebur128 keeps its gating blocks to itself, so the sound is fed in pieces of exactly one hop
 * (100 ms, rounded to samples as libebur128 rounds it): after each, its momentary loudness is the
 * loudness of the gating block that just ended.
 *
 * base/error.h can't be included here: ebur128.h has an `enum error` of its own. Hence bool.
 */
#include "media/loudness.h"

#include <ebur128.h>
#include <libavutil/channel_layout.h>
#include <math.h>
#include <stdlib.h>

enum { HOPS_PER_BLOCK = 4 };

struct loudness {
    ebur128_state *state;
    unsigned channels;
    unsigned hop, hop_filled; /* frames */
    float *interleaved;       /* hop × channels */
    uint64_t hops;
    uint32_t histogram[LOUDNESS_BINS];
};

static int speaker(uint64_t bit)
{
    switch (bit) {
    case AV_CH_FRONT_LEFT:
        return EBUR128_LEFT;
    case AV_CH_FRONT_RIGHT:
        return EBUR128_RIGHT;
    case AV_CH_FRONT_CENTER:
        return EBUR128_CENTER;
    case AV_CH_LOW_FREQUENCY:
        return EBUR128_UNUSED;
    case AV_CH_BACK_LEFT:
    case AV_CH_SIDE_LEFT:
        return EBUR128_LEFT_SURROUND;
    case AV_CH_BACK_RIGHT:
    case AV_CH_SIDE_RIGHT:
        return EBUR128_RIGHT_SURROUND;
    case AV_CH_BACK_CENTER:
        return EBUR128_Mp180;
    default:
        return EBUR128_CENTER; /* weight 1 */
    }
}

/* Planes come in the order of the mask's bits. */
static int set_speakers(struct loudness *loudness, const struct pcm_format *pcm)
{
    if (pcm->channels == 1) {
        return ebur128_set_channel(loudness->state, 0, EBUR128_DUAL_MONO);
    }
    uint64_t mask = encode_speakers(pcm);
    for (unsigned channel = 0; channel < pcm->channels; channel++) {
        uint64_t bit = mask & (~mask + 1);
        mask &= ~bit;
        if (ebur128_set_channel(loudness->state, channel, speaker(bit)) != EBUR128_SUCCESS) {
            return EBUR128_ERROR_INVALID_CHANNEL_INDEX;
        }
    }
    return EBUR128_SUCCESS;
}

struct loudness *loudness_new(const struct pcm_format *pcm)
{
    struct loudness *loudness = calloc(1, sizeof *loudness);
    if (loudness == NULL) {
        return NULL;
    }
    loudness->channels = pcm->channels;
    loudness->hop = ((unsigned)pcm->rate + 5) / 10;
    loudness->interleaved = calloc((size_t)loudness->hop * pcm->channels, sizeof(float));
    loudness->state = ebur128_init(pcm->channels, (unsigned long)pcm->rate,
                                   EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
    if (loudness->interleaved == NULL || loudness->state == NULL ||
        set_speakers(loudness, pcm) != EBUR128_SUCCESS) {
        loudness_free(loudness);
        return NULL;
    }
    return loudness;
}

void loudness_free(struct loudness *loudness)
{
    if (loudness == NULL) {
        return;
    }
    if (loudness->state != NULL) {
        ebur128_destroy(&loudness->state);
    }
    free(loudness->interleaved);
    free(loudness);
}

static void count_block(struct loudness *loudness)
{
    double lufs;
    if (++loudness->hops < HOPS_PER_BLOCK ||
        ebur128_loudness_momentary(loudness->state, &lufs) != EBUR128_SUCCESS || !(lufs >= -70)) {
        return;
    }
    int bin = (int)floor((lufs + 70) * 10);
    loudness->histogram[bin < LOUDNESS_BINS ? bin : LOUDNESS_BINS - 1]++;
}

static bool feed(struct loudness *loudness)
{
    if (ebur128_add_frames_float(loudness->state, loudness->interleaved, loudness->hop_filled) !=
        EBUR128_SUCCESS) {
        return false;
    }
    if (loudness->hop_filled == loudness->hop) {
        count_block(loudness);
    }
    loudness->hop_filled = 0;
    return true;
}

bool loudness_write(struct loudness *loudness, const float *const *planes, unsigned frames)
{
    unsigned channels = loudness->channels;
    for (unsigned done = 0; done < frames;) {
        unsigned room = loudness->hop - loudness->hop_filled;
        unsigned count = frames - done < room ? frames - done : room;
        for (unsigned channel = 0; channel < channels; channel++) {
            float *out = loudness->interleaved + (size_t)loudness->hop_filled * channels + channel;
            const float *in = planes[channel] + done;
            for (unsigned i = 0; i < count; i++) {
                out[(size_t)i * channels] = isfinite(in[i]) ? in[i] : 0;
            }
        }
        loudness->hop_filled += count;
        done += count;
        if (loudness->hop_filled == loudness->hop && !feed(loudness)) {
            return false;
        }
    }
    return true;
}

bool loudness_finish(struct loudness *loudness, struct loudness_result *ret_result)
{
    if (loudness->hop_filled > 0 && !feed(loudness)) { /* its peaks count; it ends no block */
        return false;
    }
    double lufs, peak = 0;
    if (ebur128_loudness_global(loudness->state, &lufs) != EBUR128_SUCCESS) {
        return false;
    }
    for (unsigned channel = 0; channel < loudness->channels; channel++) {
        double of_channel;
        if (ebur128_true_peak(loudness->state, channel, &of_channel) == EBUR128_SUCCESS) {
            peak = fmax(peak, of_channel);
        }
    }
    ret_result->lufs = isfinite(lufs) ? lufs : -70;
    ret_result->true_peak_db = peak > 1e-6 ? 20 * log10(peak) : -120;
    for (unsigned i = 0; i < LOUDNESS_BINS; i++) {
        ret_result->histogram[i] = loudness->histogram[i];
    }
    return true;
}
