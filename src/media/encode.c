/* One encoder, one file (encode.h): edges → codec → muxer.
 *
 *   AAC           edges lead the track in and out; the packets of the lead-in and those behind the
 *                 track are dropped here; cmaf writes the rest
 *   FLAC          codec → cmaf, with the STREAMINFO that comes with the last, empty packet
 *   MP3 Opus …    codec → libavformat's muxer
 */
#include "media/encode.h"

#include "base/error.h"
#include "base/problem.h"
#include "media/cmaf.h"
#include "media/codec.h"
#include "media/edges.h"
#include "media/mux.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    AAC_FRAME = 1024,
    AAC_PRIMING = 1024, /* the native encoder's, at every bitrate */
    AAC_LEAD_PACKETS = EDGES_LEAD / AAC_FRAME,
    SETUP_MAX = 64,
};

struct encoder {
    struct encode_spec spec;
    struct pcm_format pcm;
    struct codec *codec;
    struct edges *edges; /* AAC */
    struct cmaf *cmaf;   /* AAC, FLAC */
    struct mux *mux;     /* the others */
    int64_t samples;     /* N so far */
    int64_t packets;     /* out of the codec so far */
    int64_t packets_end; /* AAC: the first one that is not kept */
    uint8_t setup[SETUP_MAX];
    size_t setup_length;
    struct rendition_info info;
};

static bool is_cmaf(enum encode_format format)
{
    return format == ENCODE_AAC || format == ENCODE_FLAC;
}

static int take_setup(struct encoder *encoder, const uint8_t *bytes, size_t length)
{
    if (length == 0 || length > SETUP_MAX) {
        return ERR_INTERNAL;
    }
    memcpy(encoder->setup, bytes, length);
    encoder->setup_length = length;
    return 0;
}

static int open_cmaf(struct encoder *encoder)
{
    const AVCodecContext *context = codec_context(encoder->codec);
    bool aac = encoder->spec.format == ENCODE_AAC;
    if (aac && (context->frame_size != AAC_FRAME || context->initial_padding != AAC_PRIMING)) {
        return ERR_UNSUPPORTED;
    }
    const struct cmaf_config config = {
        .codec = aac ? CMAF_AAC : CMAF_FLAC,
        .fd = encoder->spec.fd,
        .rate = encoder->pcm.rate,
        .channels = encoder->pcm.channels,
        .bits = aac || encoder->pcm.bits <= 16 ? 16 : 24,
        .frame_samples = (unsigned)context->frame_size,
        .priming = aac ? AAC_PRIMING : 0,
        .channel_mask = aac ? 0 : encode_flac_mask(&encoder->pcm),
    };
    int error = cmaf_new(&config, &encoder->cmaf);
    if (error != 0) {
        return error;
    }
    if (aac && (encoder->edges = edges_new(encoder->pcm.channels)) == NULL) {
        return ERR_NO_MEMORY;
    }
    return take_setup(encoder, context->extradata, (size_t)context->extradata_size);
}

int encoder_new(const struct encode_spec *spec, const struct pcm_format *pcm,
                struct problem *problem, struct encoder **ret_encoder)
{
    struct pcm_format wanted = encode_target(spec->format, pcm);
    if (!encode_can(spec->format, pcm) || pcm->rate != wanted.rate ||
        pcm->channels != wanted.channels) {
        return problem_set(problem, ERR_INVALID, "%s can't hold %u bits at %d Hz in %u channels",
                           encode_format_name(spec->format), pcm->bits, pcm->rate, pcm->channels);
    }
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL) {
        return ERR_NO_MEMORY;
    }
    encoder->spec = *spec;
    encoder->pcm = wanted;
    encoder->packets_end = INT64_MAX;
    int error = codec_new(spec, &wanted, problem, &encoder->codec);
    if (error == 0) {
        error = is_cmaf(spec->format)
                    ? open_cmaf(encoder)
                    : mux_new(spec->format, spec->fd, codec_context(encoder->codec), &encoder->mux);
    }
    if (error != 0) {
        encoder_free(encoder);
        return error;
    }
    *ret_encoder = encoder;
    return 0;
}

void encoder_free(struct encoder *encoder)
{
    if (encoder == NULL) {
        return;
    }
    mux_free(encoder->mux);
    cmaf_free(encoder->cmaf);
    edges_free(encoder->edges);
    codec_free(encoder->codec);
    free(encoder);
}

/* FLAC's last packet is empty and carries the STREAMINFO with the length and the checksum. */
static int take_streaminfo(struct encoder *encoder, const AVPacket *packet)
{
    size_t length = 0;
    const uint8_t *bytes = av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, &length);
    return bytes != NULL ? take_setup(encoder, bytes, length) : 0;
}

static int keep_packet(void *context, AVPacket *packet)
{
    struct encoder *encoder = context;
    int64_t number = encoder->packets++;
    switch (encoder->spec.format) {
    case ENCODE_AAC:
        if (number < AAC_LEAD_PACKETS || number >= encoder->packets_end) {
            return 0;
        }
        return cmaf_packet(encoder->cmaf, packet->data, (size_t)packet->size, AAC_FRAME);
    case ENCODE_FLAC:
        if (packet->size == 0) {
            return take_streaminfo(encoder, packet);
        }
        return cmaf_packet(encoder->cmaf, packet->data, (size_t)packet->size,
                           (unsigned)packet->duration);
    default:
        return mux_packet(encoder->mux, packet);
    }
}

static int feed_codec(void *context, const float *const *planes, unsigned frames)
{
    struct encoder *encoder = context;
    const struct packet_sink sink = {keep_packet, encoder};
    return codec_write(encoder->codec, planes, frames, &sink);
}

static int explain(const struct encoder *encoder, int error, struct problem *problem)
{
    return error == 0 ? 0
                      : problem_set(problem, error, "The %s encoder failed: %s",
                                    encode_format_name(encoder->spec.format), error_title(error));
}

int encoder_write(struct encoder *encoder, const float *const *planes, unsigned frames,
                  struct problem *problem)
{
    const struct pcm_sink to_codec = {feed_codec, encoder};
    encoder->samples += frames;
    int error = encoder->edges != NULL ? edges_write(encoder->edges, planes, frames, &to_codec)
                                       : pcm_sink_write(&to_codec, planes, frames);
    return explain(encoder, error, problem);
}

/* The lead-out pushes the track's last packets out of the encoder, so it needs no flush. */
static int finish_aac(struct encoder *encoder)
{
    const struct pcm_sink to_codec = {feed_codec, encoder};
    int64_t kept = (encoder->samples + AAC_PRIMING + AAC_FRAME - 1) / AAC_FRAME;
    encoder->packets_end = AAC_LEAD_PACKETS + kept;
    int error = edges_finish(encoder->edges, &to_codec);
    return error != 0 ? error : encoder->packets < encoder->packets_end ? ERR_INTERNAL : 0;
}

static int finish_packets(struct encoder *encoder)
{
    const struct packet_sink sink = {keep_packet, encoder};
    return encoder->spec.format == ENCODE_AAC ? finish_aac(encoder)
                                              : codec_finish(encoder->codec, &sink);
}

static int finish_cmaf(struct encoder *encoder, struct rendition_info *info)
{
    struct cmaf_result result = {0};
    int error = cmaf_finish(encoder->cmaf, encoder->samples, encoder->setup, encoder->setup_length,
                            &result);
    info->bytes = result.bytes;
    info->init_bytes = result.init_bytes;
    info->index_bytes = result.index_bytes;
    info->first_fragment_end = result.first_fragment_end;
    info->bandwidth_peak = result.bandwidth_peak;
    info->bandwidth_average = result.bandwidth_average;
    info->fragments = result.fragments;
    info->fragment_count = result.fragment_count;
    return error;
}

static int finish_mux(struct encoder *encoder, struct rendition_info *info)
{
    int error = mux_finish(encoder->mux, encoder->samples, &info->bytes);
    info->bandwidth_average = info->bytes * 8 * encoder->pcm.rate / encoder->samples;
    info->bandwidth_peak = info->bandwidth_average;
    return error;
}

static void describe(const struct encoder *encoder, struct rendition_info *info)
{
    static const struct {
        const char *extension, *mime, *codecs;
    } kinds[] = {
        [ENCODE_AAC] = {"mp4", "audio/mp4", "mp4a.40.2"},
        [ENCODE_MP3] = {"mp3", "audio/mpeg", ""},
        [ENCODE_OPUS] = {"opus", "audio/ogg", ""},
        [ENCODE_VORBIS] = {"ogg", "audio/ogg", ""},
        [ENCODE_FLAC] = {"mp4", "audio/mp4", "fLaC"},
    };
    enum encode_format format = encoder->spec.format;
    bool flac = format == ENCODE_FLAC;
    info->format = encode_format_name(format);
    info->bitrate = flac ? 0 : encoder->spec.bitrate_kbps;
    info->mime = kinds[format].mime;
    info->codecs = kinds[format].codecs;
    info->samples = encoder->samples;
    info->timescale = encoder->pcm.rate;
    info->channels = encoder->pcm.channels;
    if (flac) {
        (void)snprintf(info->file, sizeof info->file, "flac.mp4");
    } else {
        (void)snprintf(info->file, sizeof info->file, "%s-%u.%s", info->format, info->bitrate,
                       kinds[format].extension);
    }
}

int encoder_finish(struct encoder *encoder, struct problem *problem,
                   const struct rendition_info **ret_info)
{
    if (encoder->samples == 0) {
        return problem_set(problem, ERR_INVALID, "There is no sound to encode");
    }
    describe(encoder, &encoder->info);
    int error = finish_packets(encoder);
    if (error == 0) {
        error = encoder->cmaf != NULL ? finish_cmaf(encoder, &encoder->info)
                                      : finish_mux(encoder, &encoder->info);
    }
    if (error != 0) {
        return explain(encoder, error, problem);
    }
    assert(encoder->info.bytes > 0 && encoder->info.samples == encoder->samples);
    *ret_info = &encoder->info;
    return 0;
}
