/* Probing: is this a sound file that we take, and what does its header promise? Used by decode.c.
 *
 * libavformat's own probing is lenient (a text file can pass for MP3) and knows hundreds of
 * formats; here a closed list counts, found by content alone. */
#pragma once

#include "media/decode.h"

struct AVFormatContext;
struct AVIOContext;
struct AVStream;

/* Opens the container and finds its sound stream. On failure nothing is left open. *ret_wav_frames:
 * what a WAV's header promises, else 0. */
int probe_open(struct AVIOContext *io, struct failure *failure,
               struct AVFormatContext **ret_container, struct AVStream **ret_stream,
               int64_t *ret_wav_frames);
/* Fills container, codec, lossless and expected, and checks rate, channels and length as the header
 * gives them. */
int probe_sound(struct AVFormatContext *container, struct AVStream *stream, int64_t wav_frames,
                struct sound *ret_sound, struct failure *failure);
/* Rate and channels within limits: asked of the header and again of the first frame. */
int probe_limits(int rate, int channels, struct failure *failure);
int probe_too_long(int64_t frames, int rate, struct failure *failure);
