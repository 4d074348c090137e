/* Rate and channels (convert.h), over libswresample. */
#include "media/convert.h"

#include "base/error.h"
#include "base/problem.h"

#include <libavutil/channel_layout.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE = 4096,     /* frames of input at a time */
    BUFFER = 1 << 16, /* frames of output at a time: a slice at the largest ratio, and more */
};

struct convert {
    struct SwrContext *swr; /* NULL: nothing to do but double a mono plane */
    unsigned source_channels, swr_channels;
    int source_rate, target_rate;
    unsigned slice; /* frames of input at a time, so that the output fits BUFFER */
    int64_t frames_in, frames_out;
    float *planes[ENCODE_CHANNELS_MAX]; /* BUFFER frames each */
};

static int layout_of(const struct pcm_format *pcm, AVChannelLayout *ret_layout)
{
    bool known = av_channel_layout_from_mask(ret_layout, encode_speakers(pcm)) == 0;
    return known && ret_layout->nb_channels == (int)pcm->channels ? 0 : ERR_INVALID;
}

static int swr_open(struct convert *convert, AVChannelLayout *in, AVChannelLayout *out)
{
    if (swr_alloc_set_opts2(&convert->swr, out, AV_SAMPLE_FMT_FLTP, convert->target_rate, in,
                            AV_SAMPLE_FMT_FLTP, convert->source_rate, 0, NULL) < 0) {
        return ERR_NO_MEMORY;
    }
    /* Float would not be scaled by itself. */
    av_opt_set_double(convert->swr, "rematrix_maxval", 1.0, 0);
    return swr_init(convert->swr) < 0 ? ERR_UNSUPPORTED : 0;
}

/* The channels that go through swresample: all of them, or one mono plane that is doubled after. */
static int swr_prepare(struct convert *convert, const struct pcm_format *source,
                       const struct pcm_format *target)
{
    bool mixing = source->channels > 2;
    if (source->rate == target->rate && !mixing) {
        return 0;
    }
    AVChannelLayout in = AV_CHANNEL_LAYOUT_MONO, out = AV_CHANNEL_LAYOUT_MONO;
    if (source->channels == 2) {
        in = out = (AVChannelLayout)AV_CHANNEL_LAYOUT_STEREO;
    } else if (mixing) {
        out = (AVChannelLayout)AV_CHANNEL_LAYOUT_STEREO;
        if (layout_of(source, &in) != 0) {
            return ERR_UNSUPPORTED;
        }
    }
    convert->swr_channels = (unsigned)out.nb_channels;
    for (unsigned i = 0; i < convert->swr_channels; i++) {
        convert->planes[i] = av_malloc(BUFFER * sizeof(float));
        if (convert->planes[i] == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    return swr_open(convert, &in, &out);
}

static unsigned slice_for(int source_rate, int target_rate)
{
    int64_t fits = (int64_t)(BUFFER / 2) * source_rate / target_rate;
    return fits < 1 ? 1 : fits > SLICE ? SLICE : (unsigned)fits;
}

int convert_new(const struct pcm_format *source, const struct pcm_format *target,
                struct problem *problem, struct convert **ret_convert)
{
    bool same = source->rate == target->rate && source->channels == target->channels;
    if (!same && target->channels != 2) {
        return problem_set(problem, ERR_INVALID, "Only stereo can be made of other channels");
    }
    struct convert *convert = calloc(1, sizeof *convert);
    if (convert == NULL) {
        return ERR_NO_MEMORY;
    }
    convert->source_channels = source->channels;
    convert->source_rate = source->rate;
    convert->target_rate = target->rate;
    convert->slice = slice_for(source->rate, target->rate);
    int error = same ? 0 : swr_prepare(convert, source, target);
    if (error != 0) {
        convert_free(convert);
        return problem_set(problem, error, "Sound of %d Hz in %u channels can't be converted",
                           source->rate, source->channels);
    }
    *ret_convert = convert;
    return 0;
}

void convert_free(struct convert *convert)
{
    if (convert == NULL) {
        return;
    }
    swr_free(&convert->swr);
    for (unsigned i = 0; i < ENCODE_CHANNELS_MAX; i++) {
        av_freep(&convert->planes[i]);
    }
    free(convert);
}

/* Stereo out of planes of which there may be only one. */
static int emit(struct convert *convert, const float *const *planes, unsigned channels,
                unsigned frames, const struct pcm_sink *sink)
{
    const float *doubled[2] = {planes[0], planes[0]};
    convert->frames_out += frames;
    return pcm_sink_write(sink, channels == 1 ? doubled : planes, frames);
}

static int emit_buffer(struct convert *convert, unsigned frames, const struct pcm_sink *sink)
{
    return emit(convert, (const float *const *)convert->planes, convert->swr_channels, frames,
                sink);
}

static int run_slice(struct convert *convert, const float *const *planes, unsigned frames,
                     const struct pcm_sink *sink)
{
    int made = swr_convert(convert->swr, (uint8_t **)convert->planes, BUFFER,
                           (const uint8_t **)planes, (int)frames);
    return made < 0 ? ERR_INTERNAL : emit_buffer(convert, (unsigned)made, sink);
}

int convert_write(struct convert *convert, const float *const *planes, unsigned frames,
                  const struct pcm_sink *sink)
{
    convert->frames_in += frames;
    if (convert->swr == NULL) {
        return emit(convert, planes, convert->source_channels, frames, sink);
    }
    const float *at[ENCODE_CHANNELS_MAX];
    for (unsigned done = 0; done < frames;) {
        unsigned now = frames - done < convert->slice ? frames - done : convert->slice;
        for (unsigned i = 0; i < convert->source_channels; i++) {
            at[i] = planes[i] + done;
        }
        int error = run_slice(convert, at, now, sink);
        if (error != 0) {
            return error;
        }
        done += now;
    }
    return 0;
}

/* swresample may hold a few samples more or (for sound shorter than its filter) fewer than the
 * ratio says: the rest is cut or filled with silence. */
int convert_finish(struct convert *convert, const struct pcm_sink *sink)
{
    int64_t wanted = encode_length(convert->frames_in, convert->source_rate, convert->target_rate);
    bool flushed = convert->swr == NULL;
    while (convert->frames_out < wanted) {
        int64_t left = wanted - convert->frames_out;
        int room = left < BUFFER ? (int)left : BUFFER;
        int made =
            flushed ? 0 : swr_convert(convert->swr, (uint8_t **)convert->planes, room, NULL, 0);
        if (made < 0) {
            return ERR_INTERNAL;
        }
        flushed = made == 0;
        if (flushed) {
            for (unsigned i = 0; i < convert->swr_channels; i++) {
                memset(convert->planes[i], 0, (size_t)room * sizeof(float));
            }
            made = room;
        }
        int error = emit_buffer(convert, (unsigned)made, sink);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}
