/* MP3 and Ogg files by libavformat (mux.h). */
#include "media/mux.h"

#include "base/error.h"
#include "media/output.h"

#include <libavformat/avformat.h>
#include <libavutil/intreadwrite.h>
#include <stdio.h>

enum {
    BUFFER_BYTES = 1 << 16,
    MP3_FRAME = 1152,
    SKIP_BYTES = 10, /* AV_PKT_DATA_SKIP_SAMPLES: skip, discard (32 bits each), reasons */
};

struct mux {
    AVFormatContext *format;
    AVIOContext *io;
    AVPacket *held; /* MP3: the last packet so far, for its side data says the padding */
    int64_t packets;
    AVRational time_base; /* of the packets */
    int fd;
    int64_t position, bytes; /* where the next write goes; the file's size */
    int error;               /* the first of the descriptor's, enum error */
};

static int write_packet(void *context, uint8_t *bytes, int length)
{
    struct mux *mux = context;
    int error = output_write(mux->fd, mux->position, bytes, (size_t)length);
    if (error != 0) {
        mux->error = mux->error != 0 ? mux->error : error;
        return AVERROR(EIO);
    }
    mux->position += length;
    mux->bytes = mux->position > mux->bytes ? mux->position : mux->bytes;
    return length;
}

static int64_t seek(void *context, int64_t offset, int whence)
{
    struct mux *mux = context;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return mux->bytes;
    case SEEK_SET:
        return mux->position = offset;
    case SEEK_CUR:
        return mux->position += offset;
    case SEEK_END:
        return mux->position = mux->bytes + offset;
    default:
        return AVERROR(EINVAL);
    }
}

static int open_io(struct mux *mux)
{
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    if (buffer == NULL) {
        return ERR_NO_MEMORY;
    }
    mux->io = avio_alloc_context(buffer, BUFFER_BYTES, 1, mux, NULL, write_packet, seek);
    if (mux->io == NULL) {
        av_free(buffer);
        return ERR_NO_MEMORY;
    }
    mux->format->pb = mux->io;
    mux->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    return 0;
}

/* The descriptor's own error says more than libavformat's. */
static int outcome(const struct mux *mux, int status)
{
    return status >= 0 ? 0 : mux->error != 0 ? mux->error : ERR_INTERNAL;
}

static int write_header(struct mux *mux, const AVCodecContext *context)
{
    AVStream *stream = avformat_new_stream(mux->format, NULL);
    if (stream == NULL || avcodec_parameters_from_context(stream->codecpar, context) < 0) {
        return ERR_NO_MEMORY;
    }
    stream->time_base = mux->time_base = context->time_base;
    if (context->codec_id == AV_CODEC_ID_MP3 && (mux->held = av_packet_alloc()) == NULL) {
        return ERR_NO_MEMORY;
    }
    AVDictionary *options = NULL;
    av_dict_set(&options, "id3v2_version", "0", 0); /* MP3: no tag before the first frame */
    int status = avformat_write_header(mux->format, &options);
    av_dict_free(&options);
    return outcome(mux, status);
}

int mux_new(enum encode_format format, int fd, const AVCodecContext *context, struct mux **ret_mux)
{
    struct mux *mux = calloc(1, sizeof *mux);
    if (mux == NULL) {
        return ERR_NO_MEMORY;
    }
    mux->fd = fd;
    const char *name = format == ENCODE_MP3 ? "mp3" : format == ENCODE_OPUS ? "opus" : "ogg";
    int error =
        avformat_alloc_output_context2(&mux->format, NULL, name, NULL) < 0 ? ERR_UNSUPPORTED : 0;
    if (error == 0) {
        error = open_io(mux);
    }
    if (error == 0) {
        error = write_header(mux, context);
    }
    if (error != 0) {
        mux_free(mux);
        return error;
    }
    *ret_mux = mux;
    return 0;
}

void mux_free(struct mux *mux)
{
    if (mux == NULL) {
        return;
    }
    avformat_free_context(mux->format);
    av_packet_free(&mux->held);
    if (mux->io != NULL) {
        av_freep(&mux->io->buffer);
        avio_context_free(&mux->io);
    }
    free(mux);
}

static int write_one(struct mux *mux, AVPacket *packet)
{
    av_packet_rescale_ts(packet, mux->time_base, mux->format->streams[0]->time_base);
    packet->stream_index = 0;
    return outcome(mux, av_write_frame(mux->format, packet));
}

int mux_packet(struct mux *mux, AVPacket *packet)
{
    mux->packets++;
    if (mux->held == NULL) {
        return write_one(mux, packet);
    }
    int error = mux->packets > 1 ? write_one(mux, mux->held) : 0;
    av_packet_unref(mux->held);
    return error != 0 ? error : av_packet_ref(mux->held, packet) < 0 ? ERR_NO_MEMORY : 0;
}

/* The LAME header's padding is what the last packet is said to discard. libavcodec counts no more
 * than one frame there, which is too little for tracks of less than 48 samples. */
static int write_held(struct mux *mux, int64_t samples)
{
    int delay = mux->format->streams[0]->codecpar->initial_padding; /* a decoder's included */
    int64_t discard = mux->packets * MP3_FRAME - delay - samples;
    av_packet_free_side_data(mux->held);
    uint8_t *skip = av_packet_new_side_data(mux->held, AV_PKT_DATA_SKIP_SAMPLES, SKIP_BYTES);
    if (skip == NULL) {
        return ERR_NO_MEMORY;
    }
    AV_WL32(skip + 4, (uint32_t)discard);
    return write_one(mux, mux->held);
}

int mux_finish(struct mux *mux, int64_t samples, int64_t *ret_bytes)
{
    int error = mux->held != NULL && mux->packets > 0 ? write_held(mux, samples) : 0;
    if (error == 0) {
        error = outcome(mux, av_write_trailer(mux->format));
    }
    *ret_bytes = mux->bytes;
    return error != 0 ? error : mux->error;
}
