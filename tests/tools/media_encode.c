/* media-encode: a sound file into renditions, without a server. For tests and bench/ladder.
 *
 *   media-encode [--threads N] IN OUTDIR [FORMAT[-KBPS]…]    e.g. aac-160 mp3-320 opus-96 flac;
 *                                                             without: the ladder's nine
 * Writes OUTDIR/FILE of each, and one JSON array of what they are on standard output.
 */
#include "base/mem.h"
#include "base/problem.h"
#include "media/ladder.h"

#include <fcntl.h>
#include <jansson.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const nine[] = {"aac-96",  "aac-160", "aac-320",  "mp3-96",  "mp3-160",
                                   "mp3-320", "opus-96", "opus-160", "opus-320"};

static void die(const char *what, const struct problem *problem)
{
    (void)fprintf(stderr, "media-encode: %s%s%s\n", what, problem != NULL ? ": " : "",
                  problem != NULL ? problem->detail : "");
    exit(1);
}

struct input {
    AVFormatContext *format;
    AVCodecContext *codec;
    struct SwrContext *planar; /* only sample formats: same rate and channels */
    int stream;
};

static struct pcm_format open_input(struct input *input, const char *path)
{
    const AVCodec *decoder = NULL;
    if (avformat_open_input(&input->format, path, NULL, NULL) < 0 ||
        avformat_find_stream_info(input->format, NULL) < 0 ||
        (input->stream =
             av_find_best_stream(input->format, AVMEDIA_TYPE_AUDIO, -1, -1, &decoder, 0)) < 0) {
        die("no sound in the input", NULL);
    }
    const AVCodecParameters *parameters = input->format->streams[input->stream]->codecpar;
    input->codec = avcodec_alloc_context3(decoder);
    if (avcodec_parameters_to_context(input->codec, parameters) < 0 ||
        avcodec_open2(input->codec, decoder, NULL) < 0) {
        die("no decoder for the input", NULL);
    }
    AVCodecContext *codec = input->codec;
    if (codec->ch_layout.order != AV_CHANNEL_ORDER_NATIVE) {
        av_channel_layout_default(&codec->ch_layout, codec->ch_layout.nb_channels);
    }
    if (swr_alloc_set_opts2(&input->planar, &codec->ch_layout, AV_SAMPLE_FMT_FLTP,
                            codec->sample_rate, &codec->ch_layout, codec->sample_fmt,
                            codec->sample_rate, 0, NULL) < 0 ||
        swr_init(input->planar) < 0) {
        die("the input's samples can't be read", NULL);
    }
    int bits = parameters->bits_per_raw_sample > 0 ? parameters->bits_per_raw_sample
                                                   : parameters->bits_per_coded_sample;
    return (struct pcm_format){
        .rate = codec->sample_rate,
        .channels = (unsigned)codec->ch_layout.nb_channels,
        .channel_mask = codec->ch_layout.u.mask,
        .bits = bits > 0 ? (unsigned)bits : 16,
    };
}

static void push_frames(struct input *input, AVFrame *frame, struct ladder *ladder)
{
    struct problem problem = {0};
    while (avcodec_receive_frame(input->codec, frame) >= 0) {
        uint8_t **planes = NULL;
        if (av_samples_alloc_array_and_samples(&planes, NULL, frame->ch_layout.nb_channels,
                                               frame->nb_samples, AV_SAMPLE_FMT_FLTP, 0) < 0) {
            die("out of memory", NULL);
        }
        int made = swr_convert(input->planar, planes, frame->nb_samples,
                               (const uint8_t **)frame->extended_data, frame->nb_samples);
        if (ladder_write(ladder, (const float *const *)planes, (unsigned)made, &problem) != 0) {
            die("encoding", &problem);
        }
        av_freep(&planes[0]);
        av_freep(&planes);
    }
}

static void push_all(struct input *input, struct ladder *ladder)
{
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    while (av_read_frame(input->format, packet) >= 0) {
        if (packet->stream_index == input->stream) {
            (void)avcodec_send_packet(input->codec, packet);
            push_frames(input, frame, ladder);
        }
        av_packet_unref(packet);
    }
    (void)avcodec_send_packet(input->codec, NULL);
    push_frames(input, frame, ladder);
    av_frame_free(&frame);
    av_packet_free(&packet);
}

static void parse_spec(const char *word, struct encode_spec *spec)
{
    char name[16] = "";
    spec->bitrate_kbps = 0;
    if (sscanf(word, "%15[a-z0-9]-%u", name, &spec->bitrate_kbps) < 1 ||
        !encode_format_parse(name, &spec->format)) {
        die("no such rendition", NULL);
    }
}

/* Into a file without a name first: what it is called is known when it is done. */
static int open_output(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0) {
        die("the output directory can't be written to", NULL);
    }
    return fd;
}

static void name_output(int fd, const char *directory, const char *name)
{
    char from[64], to[4096];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    (void)snprintf(to, sizeof to, "%s/%s", directory, name);
    (void)unlink(to);
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0) {
        die("a file can't be named", NULL);
    }
}

static json_t *to_json(const struct rendition_info *info)
{
    json_t *fragments = json_array();
    for (unsigned i = 0; i < info->fragment_count; i++) {
        json_array_append_new(fragments, json_pack("[I, I]", (json_int_t)info->fragments[2 * i],
                                                   (json_int_t)info->fragments[2 * i + 1]));
    }
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "format", info->format, "bitrate", (int)info->bitrate, "file", info->file,
                     "mime", info->mime, "codecs", info->codecs, "bytes", (json_int_t)info->bytes,
                     "samples", (json_int_t)info->samples, "timescale", (json_int_t)info->timescale,
                     "channels", (int)info->channels, "initBytes", (json_int_t)info->init_bytes,
                     "indexBytes", (json_int_t)info->index_bytes, "firstFragmentEnd",
                     (json_int_t)info->first_fragment_end, "bandwidthPeak",
                     (json_int_t)info->bandwidth_peak, "bandwidthAverage",
                     (json_int_t)info->bandwidth_average, "fragments", fragments);
}

int main(int argc, char **argv)
{
    struct encode_spec specs[LADDER_RENDITIONS_MAX];
    struct ladder_config config = {.specs = specs};
    if (argc > 2 && strcmp(argv[1], "--threads") == 0) {
        config.threads = (unsigned)atoi(argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (argc < 3 || argc - 3 > LADDER_RENDITIONS_MAX) {
        die("usage: media-encode [--threads N] IN OUTDIR [FORMAT[-KBPS]…]", NULL);
    }
    const char *const *words = argc > 3 ? (const char *const *)argv + 3 : nine;
    config.spec_count = argc > 3 ? (unsigned)argc - 3 : COUNT_OF(nine);
    for (unsigned i = 0; i < config.spec_count; i++) {
        parse_spec(words[i], &specs[i]);
        specs[i].fd = open_output(argv[2]);
    }
    av_log_set_level(AV_LOG_ERROR);
    struct input input = {0};
    config.source = open_input(&input, argv[1]);
    struct ladder *ladder = NULL;
    struct problem problem = {0};
    if (ladder_new(&config, &problem, &ladder) != 0) {
        die("starting", &problem);
    }
    push_all(&input, ladder);
    if (ladder_finish(ladder, &problem) != 0) {
        die("finishing", &problem);
    }
    json_t *renditions = json_array();
    for (unsigned i = 0; i < config.spec_count; i++) {
        const struct rendition_info *info = ladder_info(ladder, i);
        name_output(specs[i].fd, argv[2], info->file);
        (void)close(specs[i].fd);
        json_array_append_new(renditions, to_json(info));
    }
    json_dumpf(renditions, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(renditions);
    ladder_free(ladder);
    swr_free(&input.planar);
    avcodec_free_context(&input.codec);
    avformat_close_input(&input.format);
    return 0;
}
