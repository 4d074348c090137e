/* MP3 and Ogg files by libavformat, onto a descriptor.
 *
 * The descriptor must be seekable: libavformat writes MP3's LAME header (delay and padding) last,
 * and leaves it out silently where it can't go back. Called by encode.c; one thread at a time; all
 * memory is its own.
 */
#pragma once

#include "media/codec.h"

struct mux;

/* ERR_UNSUPPORTED, ERR_NO_MEMORY, ERR_IO. The codec's context is borrowed. */
int mux_new(enum encode_format format, int fd, const AVCodecContext *context, struct mux **ret_mux);
void mux_free(struct mux *mux); /* NULL is fine */
int mux_packet(struct mux *mux, AVPacket *packet);
/* Writes what comes last, for a track of so many samples; *ret_bytes is the file's size. */
int mux_finish(struct mux *mux, int64_t samples, int64_t *ret_bytes);
