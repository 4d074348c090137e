/* Covers (cover.h), by libavcodec and libswscale. Called by job_cover.c.
 *
 * Each size is scaled from the whole picture, not from the next larger size: swscale's bicubic
 * filter widens with the ratio, so nothing aliases, and one step loses less than five.
 */
#include "media/cover.h"

#include "base/error.h"
#include "media/io.h"
#include "media/picture.h"

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { JPEG_QUALITY = 3 /* qscale; about 90 in libjpeg's words */, WEBP_QUALITY = 84 };

static const int scaling = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;

struct cover {
    AVFrame *picture;
};

/* --- in --- */

static int check_header(const uint8_t *bytes, int64_t length, struct failure *failure,
                        struct picture *picture)
{
    int result = picture_read_header(bytes, (size_t)length, picture);
    if (result == ERR_MEDIA_TYPE) {
        return failure_final(
            failure, "not-image",
            "This is not a picture that can be read. JPEG, PNG, WebP and GIF are taken.");
    }
    if (result != 0) {
        return failure_final(failure, "damaged", "The picture is damaged.");
    }
    if (picture->width > COVER_SIDE_MAX || picture->height > COVER_SIDE_MAX ||
        (uint64_t)picture->width * picture->height > COVER_PIXELS_MAX) {
        return failure_final(failure, "too-many-pixels",
                             "The picture has %u × %u pixels; at most %d million are taken.",
                             picture->width, picture->height, COVER_PIXELS_MAX / 1000000);
    }
    return 0;
}

static int decode(const uint8_t *bytes, int64_t length, enum picture_type type, AVFrame *frame)
{
    static const enum AVCodecID ids[] = {[PICTURE_JPEG] = AV_CODEC_ID_MJPEG,
                                         [PICTURE_PNG] = AV_CODEC_ID_PNG,
                                         [PICTURE_WEBP] = AV_CODEC_ID_WEBP,
                                         [PICTURE_GIF] = AV_CODEC_ID_GIF};
    const AVCodec *codec = avcodec_find_decoder(ids[type]);
    AVCodecContext *context = avcodec_alloc_context3(codec);
    AVPacket *packet = av_packet_alloc();
    int result = AVERROR(ENOMEM);
    if (context != NULL && packet != NULL) {
        context->thread_count = 1;
        context->max_pixels =
            COVER_PIXELS_MAX;            /* the header may lie to us and not to the decoder */
        packet->data = (uint8_t *)bytes; /* not counted: the decoder copies or borrows */
        packet->size = (int)length;
        av_max_alloc(INT_MAX); /* pixels are counted; what was set for sounds is less */
        result = avcodec_open2(context, codec, NULL);
        result = result < 0 ? result : avcodec_send_packet(context, packet);
        result = result < 0 ? result : avcodec_send_packet(context, NULL);
        result = result < 0 ? result : avcodec_receive_frame(context, frame);
    }
    av_packet_free(&packet);
    avcodec_free_context(&context);
    return result;
}

static int open_bytes(uint8_t *bytes, int64_t length, struct cover *cover, struct failure *failure)
{
    struct picture picture;
    int result = check_header(bytes, length, failure, &picture);
    if (result != 0) {
        return result;
    }
    if (picture.type == PICTURE_PNG) {
        length = (int64_t)picture_strip_png(bytes, (size_t)length);
    }
    cover->picture = av_frame_alloc();
    if (cover->picture == NULL) {
        return failure_no_memory(failure);
    }
    result = decode(bytes, length, picture.type, cover->picture);
    if (result == AVERROR(ENOMEM)) {
        return failure_no_memory(failure);
    }
    return result < 0 ? failure_final(failure, "damaged", "The picture is damaged.") : 0;
}

int cover_open(int fd, int64_t bytes, struct failure *failure, struct cover **ret_cover)
{
    uint8_t *data = NULL;
    int result = io_read_all(fd, bytes, COVER_BYTES_MAX, AV_INPUT_BUFFER_PADDING_SIZE, &data);
    if (result == ERR_TOO_LARGE) {
        return failure_final(failure, "not-image", "The picture is larger than %d MB.",
                             COVER_BYTES_MAX >> 20);
    }
    if (result != 0) {
        return failure_passing(failure, "internal", "The picture could not be read.");
    }
    struct cover *cover = calloc(1, sizeof *cover);
    result = cover != NULL ? open_bytes(data, bytes, cover, failure) : failure_no_memory(failure);
    free(data);
    if (result != 0) {
        cover_free(cover);
        return result;
    }
    *ret_cover = cover;
    return 0;
}

void cover_free(struct cover *cover)
{
    if (cover != NULL) {
        av_frame_free(&cover->picture);
        free(cover);
    }
}

unsigned cover_width(const struct cover *cover)
{
    return (unsigned)cover->picture->width;
}

unsigned cover_height(const struct cover *cover)
{
    return (unsigned)cover->picture->height;
}

/* --- scaling --- */

static AVFrame *new_frame(int width, int height, enum AVPixelFormat format)
{
    AVFrame *frame = av_frame_alloc();
    if (frame == NULL) {
        return NULL;
    }
    frame->width = width;
    frame->height = height;
    frame->format = format;
    if (av_frame_get_buffer(frame, 0) < 0) {
        av_frame_free(&frame);
    }
    return frame;
}

/* Full-range YUV as JPEG has it is a pixel format of its own here ("yuvj"): swscale then knows. */
static enum AVPixelFormat source_format(const AVFrame *picture)
{
    bool full = picture->color_range == AVCOL_RANGE_JPEG;
    switch (picture->format) {
    case AV_PIX_FMT_YUV420P:
        return full ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUV422P:
        return full ? AV_PIX_FMT_YUVJ422P : AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUV444P:
        return full ? AV_PIX_FMT_YUVJ444P : AV_PIX_FMT_YUV444P;
    default:
        return picture->format;
    }
}

/* picture → a new frame of the format and size. NULL: out of memory. */
static AVFrame *scaled(const AVFrame *picture, int width, int height, enum AVPixelFormat format)
{
    AVFrame *out = new_frame(width, height, format);
    struct SwsContext *context =
        sws_getContext(picture->width, picture->height, source_format(picture), width, height,
                       format, scaling, NULL, NULL, NULL);
    int rows = -1;
    if (out != NULL && context != NULL) {
        rows = sws_scale(context, (const uint8_t *const *)picture->data, picture->linesize, 0,
                         picture->height, out->data, out->linesize);
    }
    sws_freeContext(context);
    if (rows <= 0) {
        av_frame_free(&out);
    }
    return out;
}

/* BGRA over white, in place. */
static void flatten(AVFrame *frame)
{
    for (int row = 0; row < frame->height; row++) {
        uint8_t *at = frame->data[0] + (ptrdiff_t)row * frame->linesize[0];
        for (int column = 0; column < frame->width; column++, at += 4) {
            unsigned alpha = at[3];
            for (unsigned i = 0; i < 3; i++) {
                at[i] = (uint8_t)((at[i] * alpha + 255 * (255 - alpha) + 127) / 255);
            }
            at[3] = 255;
        }
    }
}

static bool has_alpha(const AVFrame *picture)
{
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(picture->format);
    return picture->format == AV_PIX_FMT_PAL8 ||
           (descriptor != NULL && (descriptor->flags & AV_PIX_FMT_FLAG_ALPHA) != 0);
}

/* The picture in BGRA, fitting into size × size. NULL: out of memory. */
static AVFrame *fit(const AVFrame *picture, unsigned size)
{
    int64_t longest = picture->width > picture->height ? picture->width : picture->height;
    int64_t side = longest < size ? longest : size;
    int width = (int)((picture->width * side + longest / 2) / longest);
    int height = (int)((picture->height * side + longest / 2) / longest);
    AVFrame *frame =
        scaled(picture, width > 0 ? width : 1, height > 0 ? height : 1, AV_PIX_FMT_BGRA);
    if (frame != NULL && has_alpha(picture)) {
        flatten(frame);
    }
    return frame;
}

/* --- out --- */

static AVCodecContext *open_encoder(enum cover_format format, const AVFrame *frame)
{
    const AVCodec *codec = format == COVER_JPEG ? avcodec_find_encoder(AV_CODEC_ID_MJPEG)
                                                : avcodec_find_encoder_by_name("libwebp");
    AVCodecContext *context = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
    if (context == NULL) {
        return NULL;
    }
    context->width = frame->width;
    context->height = frame->height;
    context->pix_fmt = frame->format;
    context->time_base = (AVRational){1, 1};
    context->thread_count = 1;
    if (format == COVER_JPEG) {
        context->flags |= AV_CODEC_FLAG_QSCALE;
        context->global_quality = JPEG_QUALITY * FF_QP2LAMBDA;
        (void)av_opt_set(context->priv_data, "huffman", "optimal", 0);
    } else {
        (void)av_opt_set_double(context->priv_data, "quality", WEBP_QUALITY, 0);
    }
    if (avcodec_open2(context, codec, NULL) < 0) {
        avcodec_free_context(&context);
    }
    return context;
}

static int encode(enum cover_format format, AVFrame *frame, int fd, int64_t *ret_bytes)
{
    AVCodecContext *context = open_encoder(format, frame);
    AVPacket *packet = av_packet_alloc();
    int result = ERR_NO_MEMORY;
    if (context != NULL && packet != NULL) {
        frame->quality = context->global_quality;
        frame->pts = 0;
        bool done = avcodec_send_frame(context, frame) >= 0 &&
                    avcodec_send_frame(context, NULL) >= 0 &&
                    avcodec_receive_packet(context, packet) >= 0;
        result = done ? io_write_all(fd, packet->data, packet->size) : ERR_INTERNAL;
        *ret_bytes = done ? packet->size : 0;
    }
    av_packet_free(&packet);
    avcodec_free_context(&context);
    return result;
}

int cover_write(struct cover *cover, unsigned size, enum cover_format format, int fd,
                struct failure *failure, int64_t *ret_bytes)
{
    AVFrame *frame = fit(cover->picture, size);
    if (frame != NULL && format == COVER_JPEG) {
        AVFrame *yuv = scaled(frame, frame->width, frame->height, AV_PIX_FMT_YUVJ420P);
        av_frame_free(&frame);
        frame = yuv;
    }
    int result = frame != NULL ? encode(format, frame, fd, ret_bytes) : ERR_NO_MEMORY;
    av_frame_free(&frame);
    if (result == ERR_NO_MEMORY) {
        return failure_no_memory(failure);
    }
    return result != 0 ? failure_passing(failure, "internal", "The picture could not be written.")
                       : 0;
}
