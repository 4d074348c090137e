/* Sample formats to planar float (samples.h). Called by decode.c for every frame, so the inner
 * loops are one per type and strided, to let the compiler unroll them.
 *
 * What has more than 24 bits is rounded to 24 here: rounded to float's 24 significant bits first
 * and to FLAC's grid later, a sample could land half a step further away. */
#include "media/samples.h"

#include <libavutil/frame.h>
#include <libavutil/samplefmt.h>
#include <math.h>
#include <stddef.h>

/* Damaged floats may be anything; encoders fail on what is not finite or beyond all measure. */
static double tame(double sample)
{
    return sample > SAMPLES_PEAK_MAX    ? SAMPLES_PEAK_MAX
           : sample < -SAMPLES_PEAK_MAX ? -SAMPLES_PEAK_MAX
           : isnan(sample)              ? 0
                                        : sample;
}

/* One plane's worth: source[i × stride] → out[i]. */
#define CONVERT(name, type, expression)                                                            \
    static void name(const void *source, size_t stride, unsigned count, float *out)                \
    {                                                                                              \
        const type *in = source;                                                                   \
        for (unsigned i = 0; i < count; i++, in += stride) {                                       \
            out[i] = (float)(expression);                                                          \
        }                                                                                          \
    }

CONVERT(from_u8, uint8_t, (*in - 128) * (1.0F / 128))
CONVERT(from_s16, int16_t, *in *(1.0F / 32768))
CONVERT(from_s32, int32_t, (float)(((int64_t)*in + 128) >> 8) * 0x1p-23F)
CONVERT(from_float, float, tame(*in))
CONVERT(from_double, double, rint(tame(*in) * 0x1p23) * 0x1p-23)

static const struct {
    int packed, planar;
    size_t bytes;
    void (*convert)(const void *source, size_t stride, unsigned count, float *out);
} formats[] = {
    {AV_SAMPLE_FMT_U8, AV_SAMPLE_FMT_U8P, 1, from_u8},
    {AV_SAMPLE_FMT_S16, AV_SAMPLE_FMT_S16P, 2, from_s16},
    {AV_SAMPLE_FMT_S32, AV_SAMPLE_FMT_S32P, 4, from_s32},
    {AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP, 4, from_float},
    {AV_SAMPLE_FMT_DBL, AV_SAMPLE_FMT_DBLP, 8, from_double},
};

static int format_index(int sample_format)
{
    for (unsigned i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i].packed == sample_format || formats[i].planar == sample_format) {
            return (int)i;
        }
    }
    return -1;
}

bool samples_known(int sample_format)
{
    return format_index(sample_format) >= 0;
}

void samples_to_float(const AVFrame *frame, unsigned first, unsigned count, float *const *planes)
{
    int index = format_index(frame->format);
    unsigned channels = (unsigned)frame->ch_layout.nb_channels;
    bool planar = frame->format == formats[index].planar;
    size_t bytes = formats[index].bytes;
    for (unsigned channel = 0; channel < channels; channel++) {
        const uint8_t *start = planar
                                   ? frame->extended_data[channel] + first * bytes
                                   : frame->extended_data[0] + (first * channels + channel) * bytes;
        formats[index].convert(start, planar ? 1 : channels, count, planes[channel]);
    }
}
