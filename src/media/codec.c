/* A libavcodec encoder fed with planar float of any length (codec.h). */
#include "media/codec.h"

#include "base/error.h"
#include "base/problem.h"

#include <libavutil/channel_layout.h>
#include <math.h>
#include <string.h>

struct codec {
    AVCodecContext *context;
    AVFrame *frame; /* being filled */
    AVPacket *packet;
    int filled;   /* samples in it */
    int64_t next; /* time of its first */
};

struct choice {
    const char *encoder;
    enum AVSampleFormat sample;
};

/* The encoders and what they take; the native AAC encoder keeps its default coder (two-loop). */
static struct choice choose(enum encode_format format, unsigned bits)
{
    switch (format) {
    case ENCODE_AAC:
        return (struct choice){"aac", AV_SAMPLE_FMT_FLTP};
    case ENCODE_MP3:
        return (struct choice){"libmp3lame", AV_SAMPLE_FMT_FLTP};
    case ENCODE_OPUS:
        return (struct choice){"libopus", AV_SAMPLE_FMT_FLT};
    case ENCODE_VORBIS:
        return (struct choice){"libvorbis", AV_SAMPLE_FMT_FLTP};
    case ENCODE_FLAC:
        return (struct choice){"flac", bits <= 16 ? AV_SAMPLE_FMT_S16 : AV_SAMPLE_FMT_S32};
    }
    return (struct choice){NULL, AV_SAMPLE_FMT_NONE};
}

static int set_layout(AVChannelLayout *layout, const struct pcm_format *pcm)
{
    int error = av_channel_layout_from_mask(layout, encode_speakers(pcm));
    return error < 0 || layout->nb_channels != (int)pcm->channels ? ERR_INVALID : 0;
}

static int open_context(struct codec *codec, const struct encode_spec *spec,
                        const struct pcm_format *pcm)
{
    struct choice choice = choose(spec->format, pcm->bits);
    const AVCodec *encoder = avcodec_find_encoder_by_name(choice.encoder);
    if (encoder == NULL) {
        return ERR_UNSUPPORTED;
    }
    AVCodecContext *context = codec->context = avcodec_alloc_context3(encoder);
    if (context == NULL) {
        return ERR_NO_MEMORY;
    }
    context->sample_fmt = choice.sample;
    context->sample_rate = pcm->rate;
    context->time_base = (AVRational){1, pcm->rate};
    context->bit_rate = spec->format == ENCODE_FLAC ? 0 : (int64_t)spec->bitrate_kbps * 1000;
    context->bits_per_raw_sample = spec->format == ENCODE_FLAC ? (pcm->bits <= 16 ? 16 : 24) : 0;
    context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    context->thread_count = 1;
    int error = set_layout(&context->ch_layout, pcm);
    if (error != 0) {
        return error;
    }
    return avcodec_open2(context, encoder, NULL) < 0 ? ERR_UNSUPPORTED : 0;
}

static int make_frame(struct codec *codec)
{
    const AVCodecContext *context = codec->context;
    codec->packet = av_packet_alloc();
    codec->frame = av_frame_alloc();
    if (codec->packet == NULL || codec->frame == NULL) {
        return ERR_NO_MEMORY;
    }
    codec->frame->format = context->sample_fmt;
    codec->frame->sample_rate = context->sample_rate;
    codec->frame->nb_samples = context->frame_size;
    if (av_channel_layout_copy(&codec->frame->ch_layout, &context->ch_layout) < 0 ||
        av_frame_get_buffer(codec->frame, 0) < 0) {
        return ERR_NO_MEMORY;
    }
    return 0;
}

int codec_new(const struct encode_spec *spec, const struct pcm_format *pcm, struct problem *problem,
              struct codec **ret_codec)
{
    struct codec *codec = calloc(1, sizeof *codec);
    if (codec == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = open_context(codec, spec, pcm);
    if (error == 0) {
        error = make_frame(codec);
    }
    if (error != 0) {
        codec_free(codec);
        return problem_set(problem, error, "The %s encoder refuses %d Hz, %u channels, %u kbit/s",
                           encode_format_name(spec->format), pcm->rate, pcm->channels,
                           spec->bitrate_kbps);
    }
    *ret_codec = codec;
    return 0;
}

void codec_free(struct codec *codec)
{
    if (codec == NULL) {
        return;
    }
    av_frame_free(&codec->frame);
    av_packet_free(&codec->packet);
    avcodec_free_context(&codec->context);
    free(codec);
}

/* Every packet that is ready; the encoder then has no hold on the frame. */
static int drain(struct codec *codec, const struct packet_sink *sink)
{
    for (;;) {
        int status = avcodec_receive_packet(codec->context, codec->packet);
        if (status == AVERROR(EAGAIN) || status == AVERROR_EOF) {
            return 0;
        }
        if (status < 0) {
            return status == AVERROR(ENOMEM) ? ERR_NO_MEMORY : ERR_INTERNAL;
        }
        int error = sink->write(sink->context, codec->packet);
        av_packet_unref(codec->packet);
        if (error != 0) {
            return error;
        }
    }
}

static int send(struct codec *codec, const struct packet_sink *sink)
{
    codec->frame->nb_samples = codec->filled;
    codec->frame->pts = codec->next;
    if (avcodec_send_frame(codec->context, codec->frame) < 0) {
        return ERR_INTERNAL;
    }
    codec->next += codec->filled;
    codec->filled = 0;
    codec->frame->nb_samples = codec->context->frame_size;
    return drain(codec, sink);
}

/* n / 2^15 and n / 2^23 come back as n: scaling by a power of two is exact. */
static int32_t quantise(float sample, float scale)
{
    float value = rintf(sample * scale);
    return value >= scale ? (int32_t)scale - 1 : value <= -scale ? -(int32_t)scale : (int32_t)value;
}

static void fill(struct codec *codec, const float *const *planes, unsigned from, int count)
{
    AVFrame *frame = codec->frame;
    int channels = codec->context->ch_layout.nb_channels;
    for (int channel = 0; channel < channels; channel++) {
        const float *plane = planes[channel] + from;
        int at = codec->filled * channels + channel;
        switch (codec->context->sample_fmt) {
        case AV_SAMPLE_FMT_FLTP:
            memcpy((float *)frame->extended_data[channel] + codec->filled, plane,
                   (size_t)count * sizeof *plane);
            break;
        case AV_SAMPLE_FMT_FLT:
            for (int i = 0; i < count; i++, at += channels) {
                ((float *)frame->data[0])[at] = plane[i];
            }
            break;
        case AV_SAMPLE_FMT_S16:
            for (int i = 0; i < count; i++, at += channels) {
                ((int16_t *)frame->data[0])[at] = (int16_t)quantise(plane[i], 0x1p15F);
            }
            break;
        default: /* S32 with 24 bits, in the upper ones */
            for (int i = 0; i < count; i++, at += channels) {
                ((int32_t *)frame->data[0])[at] = quantise(plane[i], 0x1p23F) * 256;
            }
        }
    }
    codec->filled += count;
}

int codec_write(struct codec *codec, const float *const *planes, unsigned frames,
                const struct packet_sink *sink)
{
    int whole = codec->context->frame_size;
    for (unsigned done = 0; done < frames;) {
        if (codec->filled == 0 && av_frame_make_writable(codec->frame) < 0) {
            return ERR_NO_MEMORY;
        }
        unsigned left = frames - done, room = (unsigned)(whole - codec->filled);
        unsigned count = left < room ? left : room;
        fill(codec, planes, done, (int)count);
        done += count;
        int error = codec->filled == whole ? send(codec, sink) : 0;
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int codec_finish(struct codec *codec, const struct packet_sink *sink)
{
    int error = codec->filled > 0 ? send(codec, sink) : 0;
    if (error != 0) {
        return error;
    }
    return avcodec_send_frame(codec->context, NULL) < 0 ? ERR_INTERNAL : drain(codec, sink);
}

const AVCodecContext *codec_context(const struct codec *codec)
{
    return codec->context;
}
