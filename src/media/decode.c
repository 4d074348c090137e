/* Decoding sound files (decode.h). Called by the job handlers (job_sound.c) on the job's thread.
 *
 * Frames go through two AVFrames in turn: one frame is always held back, because only at the end of
 * the file is it known where the last one must be cut (MP4: the last packet is shorter than what
 * its frame decodes to, and libavformat 5.1 leaves that to us; all other cuts, at the start and by
 * LAME header or granule, libavcodec makes itself from the packets' skip side data).
 *
 * Errors in single frames are counted, not obeyed: people have MP3s with a broken frame somewhere.
 * Lossless sound must be whole, a master with a hole in it is nobody's wish.
 */
#include "media/decode.h"

#include "base/error.h"
#include "media/io.h"
#include "media/probe.h"
#include "media/samples.h"

#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DECODE_BAD_RUN_MAX = 64,   /* bad frames in a row, then it is no sound */
    DECODE_BAD_SHARE = 100,    /* lossy: at most one bad frame of so many */
    DECODE_BAD_FREE = 4,       /* and so many are forgiven in any case */
    DECODE_LOSSY_SLACK = 4608, /* frames: what LAME's delay and padding can add up to */
};

struct decoder {
    struct io_source *io;
    AVFormatContext *container;
    AVStream *stream;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *current, *held; /* held is valid while held->nb_samples > 0 */
    struct sound sound;
    float *planes[MEDIA_CHANNELS_MAX];
    unsigned capacity; /* frames in each plane */
    int64_t frames_out;
    int64_t media_end; /* end of the last packet, stream time base; AV_NOPTS_VALUE: unknown */
    int64_t length;    /* exact length told by iTunSMPB; 0: not told */
    int64_t good, bad, bad_run;
    bool drained, ended;
    bool cut;
    int64_t cut_from, cut_to, given; /* frames; cut_to INT64_MAX: to the end */
    const float *cut_planes[MEDIA_CHANNELS_MAX];
};

const struct sound *decoder_sound(const struct decoder *decoder)
{
    return &decoder->sound;
}

AVFormatContext *decoder_container(struct decoder *decoder)
{
    return decoder->container;
}

int64_t decoder_frames(const struct decoder *decoder)
{
    return decoder->cut ? decoder->given : decoder->frames_out;
}

int decoder_progress(const struct decoder *decoder)
{
    int64_t bytes = avio_size(decoder->container->pb);
    int64_t at = avio_tell(decoder->container->pb);
    return bytes > 0 && at > 0 ? (int)(at >= bytes ? 1000 : at * 1000 / bytes) : 0;
}

/* Notes where the media ends, to cut the last frame there. */
static void note_packet(struct decoder *decoder)
{
    const AVPacket *packet = decoder->packet;
    if (packet->pts != AV_NOPTS_VALUE && packet->duration > 0) {
        int64_t end = packet->pts + packet->duration;
        if (decoder->media_end == AV_NOPTS_VALUE || end > decoder->media_end) {
            decoder->media_end = end;
        }
    }
}

/* Feeds the codec one packet, or tells it that no more come. */
static int feed(struct decoder *decoder)
{
    int result;
    do {
        av_packet_unref(decoder->packet);
        result = av_read_frame(decoder->container, decoder->packet);
    } while (result >= 0 && decoder->packet->stream_index != decoder->stream->index);
    if (result == AVERROR(ENOMEM)) {
        return result;
    }
    if (result < 0) {
        decoder->drained =
            true; /* a read error is an end too: the length tells whether too early */
        (void)avcodec_send_packet(decoder->codec, NULL);
        return 0;
    }
    note_packet(decoder);
    return avcodec_send_packet(decoder->codec, decoder->packet);
}

/* The next decoded frame into `frame`. 1, 0 at the end, or a failure. */
static int decode_frame(struct decoder *decoder, AVFrame *frame, struct failure *failure)
{
    for (;;) {
        int result = avcodec_receive_frame(decoder->codec, frame);
        if (result >= 0) {
            decoder->good++;
            decoder->bad_run = 0;
            if (frame->nb_samples > 0) {
                return 1;
            }
            continue;
        }
        if (result == AVERROR_EOF || (result == AVERROR(EAGAIN) && decoder->drained)) {
            return 0;
        }
        if (result == AVERROR(EAGAIN)) {
            result = feed(decoder);
        }
        if (result == AVERROR(ENOMEM)) {
            return failure_no_memory(failure);
        }
        if (result < 0) {
            decoder->bad++;
            if (++decoder->bad_run > DECODE_BAD_RUN_MAX) {
                return decoder->good < DECODE_BAD_RUN_MAX
                           ? failure_final(
                                 failure, "not-audio",
                                 "This is not a sound file: hardly a frame of it decodes.")
                           : failure_final(failure, "damaged",
                                           "The file is damaged after %" PRId64 " s.",
                                           decoder->frames_out / decoder->sound.pcm.rate);
            }
        }
    }
}

/* --- opening --- */

static int open_codec(struct decoder *decoder, struct failure *failure)
{
    const AVCodec *codec = avcodec_find_decoder(decoder->stream->codecpar->codec_id);
    decoder->codec = avcodec_alloc_context3(codec);
    decoder->packet = av_packet_alloc();
    decoder->current = av_frame_alloc();
    decoder->held = av_frame_alloc();
    if (decoder->codec == NULL || decoder->packet == NULL || decoder->current == NULL ||
        decoder->held == NULL) {
        return failure_no_memory(failure);
    }
    decoder->codec->thread_count = 1; /* decoding is a hundredth of the work */
    decoder->codec->pkt_timebase = decoder->stream->time_base;
    if (decoder->sound.lossless) {
        decoder->codec->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    }
    if (avcodec_parameters_to_context(decoder->codec, decoder->stream->codecpar) < 0 ||
        avcodec_open2(decoder->codec, codec, NULL) < 0) {
        return failure_final(failure, "damaged", "The header of the file is damaged.");
    }
    return 0;
}

/* Bits of a sample, of which FLAC keeps 16 or 24; a float has more than those, whatever its width.
 */
static unsigned source_bits(const struct decoder *decoder)
{
    int bits = decoder->codec->bits_per_raw_sample;
    if (bits == 0) {
        bits = av_get_exact_bits_per_sample(decoder->stream->codecpar->codec_id);
    }
    if (bits == 0) {
        bits = 8 * av_get_bytes_per_sample(decoder->codec->sample_fmt);
    }
    int sample = av_get_packed_sample_fmt(decoder->codec->sample_fmt);
    bool floating = sample == AV_SAMPLE_FMT_FLT || sample == AV_SAMPLE_FMT_DBL;
    return floating && bits < 32 ? 32 : bits > 0 ? (unsigned)bits : 16;
}

/* What the first frame says counts, not the header: an HE-AAC header may name half the rate. */
static int take_format(struct decoder *decoder, const AVFrame *frame, struct failure *failure)
{
    int result = probe_limits(frame->sample_rate, frame->ch_layout.nb_channels, failure);
    if (result < 0) {
        return result;
    }
    if (!samples_known(frame->format)) {
        return failure_final(failure, "not-audio", "The samples have a format that is not taken.");
    }
    struct pcm_format *pcm = &decoder->sound.pcm;
    int header_rate = decoder->stream->codecpar->sample_rate;
    pcm->rate = frame->sample_rate;
    pcm->channels = (unsigned)frame->ch_layout.nb_channels;
    pcm->channel_mask =
        frame->ch_layout.order == AV_CHANNEL_ORDER_NATIVE ? frame->ch_layout.u.mask : 0;
    pcm->bits = source_bits(decoder);
    decoder->sound.expected = av_rescale(decoder->sound.expected, pcm->rate, header_rate);
    return 0;
}

/* iTunSMPB: " 00000000 PRIMING PADDING LENGTH …", hexadecimal; LENGTH is exact. */
static int64_t itunes_length(const AVFormatContext *container)
{
    const AVDictionaryEntry *entry = av_dict_get(container->metadata, "iTunSMPB", NULL, 0);
    unsigned zero, priming, padding;
    uint64_t length;
    if (entry == NULL ||
        sscanf(entry->value, " %8x %8x %8x %16" SCNx64, &zero, &priming, &padding, &length) != 4) {
        return 0;
    }
    return length <= INT64_MAX ? (int64_t)length : 0;
}

static int no_sound(const struct decoder *decoder, struct failure *failure)
{
    if (decoder->bad > 0) {
        return failure_final(failure, "not-audio",
                             "This is not a sound file: no frame of it decodes.");
    }
    if (decoder->sound.expected > 0) {
        return failure_final(
            failure, "truncated",
            "The file ends before its first sample although its header says %" PRId64 " samples.",
            decoder->sound.expected);
    }
    return failure_final(failure, "no-samples", "The file holds no sound: it has 0 samples.");
}

static int open_sound(struct decoder *decoder, struct failure *failure)
{
    int64_t wav_frames = 0;
    int result = probe_open(io_source_context(decoder->io), failure, &decoder->container,
                            &decoder->stream, &wav_frames);
    if (result == 0) {
        result =
            probe_sound(decoder->container, decoder->stream, wav_frames, &decoder->sound, failure);
    }
    if (result == 0) {
        decoder->sound.pcm.rate = decoder->stream->codecpar->sample_rate;
        result = open_codec(decoder, failure);
    }
    if (result < 0) {
        return result;
    }
    if (strcmp(decoder->sound.container, "mp4") == 0) {
        decoder->length = itunes_length(decoder->container);
    }
    result = decode_frame(decoder, decoder->held, failure);
    if (result <= 0) {
        return result < 0 ? result : no_sound(decoder, failure);
    }
    return take_format(decoder, decoder->held, failure);
}

int decoder_open(int fd, int64_t bytes, struct failure *failure, struct decoder **ret_decoder)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL) {
        return failure_no_memory(failure);
    }
    decoder->media_end = AV_NOPTS_VALUE;
    decoder->io = io_source_new(fd, bytes);
    int result = decoder->io != NULL ? open_sound(decoder, failure) : failure_no_memory(failure);
    if (result < 0) {
        decoder_free(decoder);
        return result;
    }
    *ret_decoder = decoder;
    return 0;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL) {
        return;
    }
    av_frame_free(&decoder->current);
    av_frame_free(&decoder->held);
    av_packet_free(&decoder->packet);
    avcodec_free_context(&decoder->codec);
    avformat_close_input(&decoder->container);
    io_source_free(decoder->io);
    for (unsigned i = 0; i < MEDIA_CHANNELS_MAX; i++) {
        free(decoder->planes[i]);
    }
    free(decoder);
}

/* --- the end --- */

/* Where the sound ends, in frames; INT64_MAX where all that decodes is sound. */
static int64_t sound_end(const struct decoder *decoder)
{
    if (decoder->length > 0) {
        return decoder->length;
    }
    bool mp4 = strcmp(decoder->sound.container, "mp4") == 0;
    AVRational unit = decoder->stream->time_base;
    if (!mp4 || decoder->media_end == AV_NOPTS_VALUE || unit.num != 1 ||
        unit.den % decoder->sound.pcm.rate != 0) {
        return INT64_MAX; /* a time scale coarser than samples can't say */
    }
    int64_t end = av_rescale_q(decoder->media_end, unit, (AVRational){1, decoder->sound.pcm.rate});
    /* The cut is within the last frame or it is no cut but an odd file. */
    int64_t last = decoder->held->nb_samples;
    return end > decoder->frames_out && end < decoder->frames_out + last ? end : INT64_MAX;
}

static int truncated(const struct decoder *decoder, struct failure *failure)
{
    double rate = decoder->sound.pcm.rate;
    double has = (double)decoder->frames_out / rate;
    double says = (double)decoder->sound.expected / rate;
    int decimals = says - has >= 2 ? 0 : 3;
    return failure_final(failure, "truncated",
                         "The file ends after %.*f s although its header says %.*f s.", decimals,
                         has, decimals, says);
}

/* Bad frames that are overlooked. PCM has none but a torn last one. */
static int64_t bad_allowed(const struct decoder *decoder)
{
    if (strcmp(decoder->sound.codec, "pcm") == 0) {
        return INT64_MAX;
    }
    return decoder->sound.lossless ? 0 : DECODE_BAD_FREE + decoder->good / DECODE_BAD_SHARE;
}

/* All is read: was it what the header promised, and whole? What is missing is a cut-off end unless
 * bad frames explain it (a parser may lose two frames in one). */
static int judge(const struct decoder *decoder, struct failure *failure)
{
    const struct sound *sound = &decoder->sound;
    if (decoder->frames_out == 0) {
        return no_sound(decoder, failure);
    }
    bool exact = sound->lossless && strcmp(sound->codec, "pcm") != 0;
    int64_t missing = sound->expected - decoder->frames_out;
    int64_t per_frame = decoder->frames_out / decoder->good + 1;
    int64_t explained = (exact ? 0 : DECODE_LOSSY_SLACK) +
                        (decoder->bad > 0 ? 2 * (decoder->bad + 1) * per_frame : 0);
    if (missing > explained) {
        return truncated(decoder, failure);
    }
    bool complete = sound->lossless && missing == 0; /* what is broken comes after the sound */
    if (decoder->bad > bad_allowed(decoder) && !complete) {
        return failure_final(failure, "damaged",
                             "The file is damaged: %" PRId64 " of its %" PRId64
                             " frames can't be decoded.",
                             decoder->bad, decoder->bad + decoder->good);
    }
    return 0;
}

/* --- blocks --- */

static int reserve(struct decoder *decoder, unsigned frames, struct failure *failure)
{
    if (frames <= decoder->capacity) {
        return 0;
    }
    decoder->capacity = 0;
    for (unsigned i = 0; i < decoder->sound.pcm.channels; i++) {
        free(decoder->planes[i]);
        decoder->planes[i] = calloc(frames, sizeof(float));
        if (decoder->planes[i] == NULL) {
            return failure_no_memory(failure);
        }
    }
    decoder->capacity = frames;
    return 0;
}

static int same_format(const struct decoder *decoder, const AVFrame *frame, struct failure *failure)
{
    const struct pcm_format *pcm = &decoder->sound.pcm;
    if (frame->sample_rate == pcm->rate &&
        (unsigned)frame->ch_layout.nb_channels == pcm->channels && samples_known(frame->format)) {
        return 0;
    }
    return failure_final(failure, "damaged",
                         "The sound changes its sample rate or channels after %" PRId64 " s.",
                         decoder->frames_out / pcm->rate);
}

/* Gives out what `held` holds, up to `end`, and makes `current` the held one. */
static int give(struct decoder *decoder, int64_t end, unsigned *ret_frames, struct failure *failure)
{
    AVFrame *frame = decoder->held;
    int64_t room = end - decoder->frames_out;
    int64_t wanted = frame->nb_samples < room ? frame->nb_samples : room;
    unsigned frames = wanted > 0 ? (unsigned)wanted : 0;
    int result = reserve(decoder, frames, failure);
    if (result < 0) {
        return result;
    }
    samples_to_float(frame, 0, frames, decoder->planes);
    av_frame_unref(frame);
    decoder->held = decoder->current;
    decoder->current = frame;
    decoder->frames_out += frames;
    *ret_frames = frames;
    return probe_too_long(decoder->frames_out, decoder->sound.pcm.rate, failure);
}

static int next_block(struct decoder *decoder, const float *const **ret_planes,
                      unsigned *ret_frames, struct failure *failure)
{
    *ret_planes = (const float *const *)decoder->planes;
    *ret_frames = 0;
    while (*ret_frames == 0) {
        if (decoder->ended) {
            return judge(decoder, failure);
        }
        int result = decode_frame(decoder, decoder->current, failure);
        if (result > 0) {
            result = same_format(decoder, decoder->current, failure);
        } else if (result == 0) {
            decoder->ended = true;
        }
        if (result == 0) {
            int64_t limit = decoder->length > 0 ? decoder->length : INT64_MAX;
            result =
                give(decoder, decoder->ended ? sound_end(decoder) : limit, ret_frames, failure);
        }
        if (result < 0) {
            return result;
        }
    }
    return 1;
}

/* --- cuts --- */

enum { CUTS_A_SECOND = 75 };

void decoder_cut(struct decoder *decoder, int64_t from, int64_t to)
{
    int rate = decoder->sound.pcm.rate;
    decoder->cut = true;
    decoder->cut_from = av_rescale_rnd(from, rate, CUTS_A_SECOND, AV_ROUND_DOWN);
    decoder->cut_to = to > 0 ? av_rescale_rnd(to, rate, CUTS_A_SECOND, AV_ROUND_DOWN) : INT64_MAX;
}

static int cut_ended(const struct decoder *decoder, struct failure *failure)
{
    return decoder->given > 0 ? 0
                              : failure_final(failure, "no-samples",
                                              "The file ends before this track of it begins.");
}

/* What of a block that begins at `at` lies in the cut. */
static unsigned cut_block(struct decoder *decoder, const float *const *planes, int64_t at,
                          unsigned frames)
{
    int64_t first = decoder->cut_from > at ? decoder->cut_from - at : 0;
    int64_t last = decoder->cut_to - at < frames ? decoder->cut_to - at : frames;
    if (first >= last) {
        return 0;
    }
    for (unsigned i = 0; i < decoder->sound.pcm.channels; i++) {
        decoder->cut_planes[i] = planes[i] + first;
    }
    decoder->given += last - first;
    return (unsigned)(last - first);
}

int decoder_next(struct decoder *decoder, const float *const **ret_planes, unsigned *ret_frames,
                 struct failure *failure)
{
    if (!decoder->cut) {
        return next_block(decoder, ret_planes, ret_frames, failure);
    }
    unsigned frames = 0;
    int64_t at = decoder->frames_out;
    int result = at < decoder->cut_to ? next_block(decoder, ret_planes, &frames, failure) : 0;
    if (result <= 0) {
        return result < 0 ? result : cut_ended(decoder, failure);
    }
    *ret_frames = cut_block(decoder, *ret_planes, at, frames);
    *ret_planes = decoder->cut_planes;
    return 1;
}
