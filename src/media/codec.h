/* A libavcodec encoder fed with planar float of any length: PCM in, packets out.
 *
 * Called by encode.c; one thread at a time; all memory is its own. Packets are borrowed for the
 * call; their times are in samples.
 */
#pragma once

#include "media/encode.h"

#include <libavcodec/avcodec.h>

struct packet_sink {
    int (*write)(void *context, AVPacket *packet);
    void *context;
};

struct codec;

/* ERR_UNSUPPORTED (not in this libavcodec, or it refuses such sound), ERR_NO_MEMORY. */
int codec_new(const struct encode_spec *spec, const struct pcm_format *pcm, struct problem *problem,
              struct codec **ret_codec);
void codec_free(struct codec *codec); /* NULL is fine */
/* 0, ERR_INTERNAL, ERR_NO_MEMORY or what the sink returned. */
int codec_write(struct codec *codec, const float *const *planes, unsigned frames,
                const struct packet_sink *sink);
/* The last, shorter frame and what the encoder still holds. */
int codec_finish(struct codec *codec, const struct packet_sink *sink);
/* Parameters for a muxer; the codec's. */
const AVCodecContext *codec_context(const struct codec *codec);
