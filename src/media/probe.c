/* Probing sound files (probe.h). Called by decoder_open, on the job's thread, inside the sandbox.
 */
#include "media/probe.h"

#include "base/error.h"
#include "base/mem.h"
#include "media/mp4.h"
#include "media/ogg.h"

#include <assert.h>
#include <inttypes.h>
#include <libavcodec/codec_desc.h>
#include <libavformat/avformat.h>
#include <libavutil/mem.h>
#include <stdio.h>
#include <string.h>

enum {
    PROBE_BYTES_MAX = 1 << 20,
    PROBE_HEADER_BYTES_MAX = 5 << 20,
    /* Writers to a pipe don't know the length and put the largest there is into the header. */
    PROBE_STREAMED_BYTES_MIN = 0x7ffff000,
    PROBE_CHUNKS_MAX = 64,
    /* At once, by what a header says: libavformat makes room for a word of a gigabyte before it
     * sees that the file has none. */
    PROBE_MEMORY_BYTES_MAX = 256 << 20,
};

/* What is taken: libavformat's name → our word, and whether the header's length is a promise. */
static const struct {
    const char *libav, *word;
    bool promises;
} containers[] = {
    {"wav", "wav", true},
    {"w64", "wav", true},
    {"flac", "flac", true},
    {"aiff", "aiff", true},
    {"mov,mp4,m4a,3gp,3g2,mj2", "mp4", true},
    {"wv", "wavpack", true},
    {"mp3", "mp3", true},
    {"ogg", "ogg", false},
    {"aac", "aac", false},
    {"ape", "ape", true},
    {"mpc", "mpc", false},
    {"mpc8", "mpc", false},
    {"tta", "tta", true},
    {"asf", "asf", false},
};

static int container_index(const AVInputFormat *format)
{
    for (unsigned i = 0; i < sizeof containers / sizeof containers[0]; i++) {
        if (strcmp(format->name, containers[i].libav) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static bool is_ogg(const AVInputFormat *format)
{
    return strcmp(format->name, "ogg") == 0;
}

static const struct {
    enum AVCodecID id;
    const char *word;
    bool lossless;
} codecs[] = {
    {AV_CODEC_ID_FLAC, "flac", true},       {AV_CODEC_ID_ALAC, "alac", true},
    {AV_CODEC_ID_WAVPACK, "wavpack", true}, {AV_CODEC_ID_MP3, "mp3", false},
    {AV_CODEC_ID_AAC, "aac", false},        {AV_CODEC_ID_VORBIS, "vorbis", false},
    {AV_CODEC_ID_OPUS, "opus", false},      {AV_CODEC_ID_APE, "ape", true},
    {AV_CODEC_ID_TTA, "tta", true},         {AV_CODEC_ID_MUSEPACK7, "musepack", false},
    {AV_CODEC_ID_WMAV1, "wma", false},      {AV_CODEC_ID_MUSEPACK8, "musepack", false},
    {AV_CODEC_ID_WMAV2, "wma", false},      {AV_CODEC_ID_WMAPRO, "wma", false},
    {AV_CODEC_ID_WMALOSSLESS, "wma", true},
};

#define TAKEN                                                                                      \
    "WAV, FLAC, ALAC, AIFF, MP3, AAC, Ogg Vorbis, Opus, WavPack, Monkey's Audio, Musepack, TTA "   \
    "and WMA"

static int not_audio(struct failure *failure)
{
    return failure_final(failure, "not-audio",
                         "This is not a sound file that can be read. " TAKEN " are taken.");
}

/* libavformat must never open a second file, whatever a header names. */
static int refuse_open(AVFormatContext *container, AVIOContext **ret_io, const char *url, int flags,
                       AVDictionary **options)
{
    (void)container, (void)ret_io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

/* The first sound stream (av_find_best_stream sees none before frames were parsed). The others are
 * not even demuxed. */
static AVStream *sound_stream(AVFormatContext *container)
{
    assert(container != NULL);
    AVStream *found = NULL;
    for (unsigned i = 0; i < container->nb_streams; i++) {
        AVStream *stream = container->streams[i];
        bool taken = found == NULL && stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        found = taken ? stream : found;
        stream->discard = taken ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    }
    return found;
}

/* Frames by the header as libavformat reads it, 0 where it does not say. */
static int64_t promised(const AVStream *stream, int rate)
{
    if (stream->duration == AV_NOPTS_VALUE || stream->duration <= 0) {
        return 0;
    }
    return av_rescale_q(stream->duration, stream->time_base, (AVRational){1, rate});
}

static int ogg_cut(const AVStream *stream, struct failure *failure)
{
    int rate = stream != NULL ? stream->codecpar->sample_rate : 0;
    int64_t seconds = rate > 0 ? promised(stream, rate) / rate : 0;
    if (seconds == 0) {
        return failure_final(failure, "truncated", "The file was cut off: it has no end mark.");
    }
    return failure_final(failure, "truncated",
                         "The file was cut off after about %" PRId64 " s: it has no end mark.",
                         seconds);
}

/* Out of memory too: a header that asks for gigabytes is a damaged one. */
static int open_failed(const AVInputFormat *format, AVIOContext *io, struct failure *failure)
{
    if (is_ogg(format) && ogg_is_cut(io)) {
        return ogg_cut(NULL, failure);
    }
    if (strcmp(containers[container_index(format)].word, "mp4") == 0 && mp4_is_cut(io)) {
        return failure_final(failure, "truncated",
                             "The file was cut off: the index that an MP4 file needs is missing.");
    }
    return failure_final(failure, "damaged", "The header of the file is damaged.");
}

static int open_container(AVIOContext *io, const AVInputFormat *format, struct failure *failure,
                          AVFormatContext **ret_container)
{
    AVFormatContext *container = avformat_alloc_context();
    if (container == NULL) {
        return failure_no_memory(failure);
    }
    container->pb = io;
    container->io_open = refuse_open;
    container->probesize = PROBE_HEADER_BYTES_MAX;
    container->max_streams = 64;
    av_max_alloc(PROBE_MEMORY_BYTES_MAX);
    int result = avformat_open_input(&container, NULL, format, NULL); /* frees it on failure */
    if (result < 0) {
        return open_failed(format, io, failure);
    }
    *ret_container = container;
    return 0;
}

/* Frames that a WAV's header promises: libavformat gives those that are there. 0: it is no WAV, or
 * written by somebody who did not know the length. Leaves the position at the start. */
static int64_t wav_promised(AVIOContext *io)
{
    int64_t frame_bytes = 0, frames = 0;
    if (avio_rl32(io) == MKTAG('R', 'I', 'F', 'F')) {
        (void)avio_skip(io, 8); /* size, "WAVE" */
        for (unsigned chunk = 0; chunk < PROBE_CHUNKS_MAX && !avio_feof(io); chunk++) {
            uint32_t name = avio_rl32(io);
            uint32_t bytes = avio_rl32(io);
            int64_t next = avio_tell(io) + bytes + (bytes & 1);
            if (name == MKTAG('f', 'm', 't', ' ')) {
                (void)avio_skip(io, 12);
                frame_bytes = avio_rl16(io);
            } else if (name == MKTAG('d', 'a', 't', 'a')) {
                bool known = frame_bytes > 0 && bytes < PROBE_STREAMED_BYTES_MIN;
                frames = known ? bytes / frame_bytes : 0;
                break;
            }
            (void)avio_seek(io, next, SEEK_SET);
        }
    }
    (void)avio_seek(io, 0, SEEK_SET);
    return frames;
}

/* Whether there is sound, whole as far as its frame tells. */
static int check_stream(AVFormatContext *container, AVStream *stream, struct failure *failure)
{
    if (is_ogg(container->iformat) && ogg_is_cut(container->pb)) {
        return ogg_cut(stream, failure);
    }
    if (stream == NULL) {
        return failure_final(failure, "not-audio", "The file holds no sound.");
    }
    /* A rate or channel count that no one can mean is told before the decoder stumbles. */
    const AVCodecParameters *parameters = stream->codecpar;
    int result =
        parameters->sample_rate > 0 && parameters->ch_layout.nb_channels > 0
            ? probe_limits(parameters->sample_rate, parameters->ch_layout.nb_channels, failure)
            : 0;
    return result == 0 && avformat_find_stream_info(container, NULL) < 0 ? not_audio(failure)
                                                                         : result;
}

int probe_open(AVIOContext *io, struct failure *failure, AVFormatContext **ret_container,
               AVStream **ret_stream, int64_t *ret_wav_frames)
{
    const AVInputFormat *format = NULL;
    int score = av_probe_input_buffer2(io, &format, NULL, NULL, 0, PROBE_BYTES_MAX);
    if (score < 0 || container_index(format) < 0) {
        return not_audio(failure);
    }
    *ret_wav_frames = wav_promised(io);
    AVFormatContext *container = NULL;
    int result = open_container(io, format, failure, &container);
    if (result < 0) {
        return result;
    }
    AVStream *stream = sound_stream(container);
    result = check_stream(container, stream, failure);
    if (result < 0) {
        avformat_close_input(&container);
        return result;
    }
    *ret_stream = stream;
    *ret_container = container;
    return 0;
}

int probe_limits(int rate, int channels, struct failure *failure)
{
    if (rate < MEDIA_RATE_MIN || rate > MEDIA_RATE_MAX) {
        return failure_final(failure, "bad-rate",
                             "The sample rate is %d Hz; %d to %d Hz are taken.", rate,
                             MEDIA_RATE_MIN, MEDIA_RATE_MAX);
    }
    if (channels < 1 || channels > MEDIA_CHANNELS_MAX) {
        return failure_final(failure, "bad-channels",
                             "The file has %d channels; 1 (mono) to %d (7.1) are taken.", channels,
                             MEDIA_CHANNELS_MAX);
    }
    return 0;
}

int probe_too_long(int64_t frames, int rate, struct failure *failure)
{
    if (frames / rate <= MEDIA_DURATION_S_MAX) {
        return 0;
    }
    return failure_final(failure, "too-long", "The file is longer than %d hours.",
                         MEDIA_DURATION_S_MAX / 3600);
}

static int name_codec(const AVCodecParameters *parameters, struct sound *sound,
                      struct failure *failure)
{
    const AVCodecDescriptor *descriptor = avcodec_descriptor_get(parameters->codec_id);
    if (descriptor != NULL && strncmp(descriptor->name, "pcm_", 4) == 0) {
        (void)snprintf(sound->codec, sizeof sound->codec, "pcm");
        sound->lossless = (descriptor->props & AV_CODEC_PROP_LOSSLESS) != 0;
        return 0;
    }
    for (unsigned i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (codecs[i].id == parameters->codec_id) {
            (void)snprintf(sound->codec, sizeof sound->codec, "%s", codecs[i].word);
            sound->lossless = codecs[i].lossless;
            return 0;
        }
    }
    return failure_final(failure, "not-audio",
                         "The file holds sound as %s, which is not taken. " TAKEN " are.",
                         descriptor != NULL ? descriptor->long_name : "something unknown");
}

int probe_sound(AVFormatContext *container, AVStream *stream, int64_t wav_frames,
                struct sound *ret_sound, struct failure *failure)
{
    int index = container_index(container->iformat);
    const AVCodecParameters *parameters = stream->codecpar;
    struct sound sound = {0};
    (void)snprintf(sound.container, sizeof sound.container, "%s", containers[index].word);
    int result = name_codec(parameters, &sound, failure);
    if (result == 0) {
        result = probe_limits(parameters->sample_rate, parameters->ch_layout.nb_channels, failure);
    }
    if (result < 0) {
        return result;
    }
    bool known = strcmp(sound.codec, "pcm") == 0 && wav_frames > 0;
    int64_t frames = known ? wav_frames : promised(stream, parameters->sample_rate);
    bool estimated = !known && container->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE;
    int64_t frame_bytes = (int64_t)parameters->ch_layout.nb_channels *
                          av_get_exact_bits_per_sample(parameters->codec_id) / 8;
    bool streamed = frame_bytes > 0 && frames >= PROBE_STREAMED_BYTES_MIN / frame_bytes &&
                    avio_size(container->pb) < PROBE_STREAMED_BYTES_MIN;
    if (containers[index].promises && !estimated && !streamed) {
        sound.expected = frames;
    }
    result = streamed ? 0
                      : probe_too_long(estimated ? frames / 2 : frames, /* a bit rate misleads */
                                       parameters->sample_rate, failure);
    if (result == 0) {
        *ret_sound = sound;
    }
    return result;
}
