/* Decoding: a sound file behind a descriptor becomes planar float, exactly the samples that the
 * artist made.
 *
 * Taken are WAV (also RF64, W64), FLAC, AIFF, MP3, AAC (ADTS, M4A), ALAC, Ogg (Vorbis, Opus, FLAC),
 * WavPack, Monkey's Audio, Musepack, TTA and WMA. The encoder's delay and padding are cut where the
 * file tells of them: LAME header, iTunSMPB, edit list, Opus pre-skip, last granule. What the
 * header promises is compared with what came out, so that a truncated file is found.
 *
 * One thread at a time. All memory is the decoder's. Nothing is opened by name: works in the
 * sandbox.
 */
#pragma once

#include "media/encode.h"
#include "media/failure.h"

#include <stdbool.h>
#include <stdint.h>

struct AVFormatContext;
struct decoder;

struct sound {
    struct pcm_format pcm;
    /* "wav" "flac" "aiff" "mp3" "aac" "mp4" "ogg" "wavpack" "ape" "mpc" "tta" "asf" */
    char container[16];
    /* "pcm" "flac" "alac" "mp3" "aac" "vorbis" "opus" "wavpack" "ape" "musepack" "tta" "wma" */
    char codec[16];
    bool lossless;
    int64_t expected; /* frames (samples of one channel) by the header; 0: it does not say */
};

/* Reads the header and the first frame. Failures: not-audio, no-samples, truncated, damaged,
 * too-long, bad-rate, bad-channels, out-of-limits. */
int decoder_open(int fd, int64_t bytes, struct failure *failure, struct decoder **ret_decoder);
void decoder_free(struct decoder *decoder); /* NULL is fine */
const struct sound *decoder_sound(const struct decoder *decoder);
/* The open container, for tags.h and art.h. Borrowed. */
struct AVFormatContext *decoder_container(struct decoder *decoder);

/* The next block: channels × frames, planar, valid to the next call. 1: a block, 0: the end, all
 * is well; negative: failed. Blocks before a cut have 0 frames, so that its caller can say that it
 * goes on: skipping hours may take minutes. */
int decoder_next(struct decoder *decoder, const float *const **ret_planes, unsigned *ret_frames,
                 struct failure *failure);
/* Gives out only what lies from `from` to `to` (0: the end), in 75ths of a second, as cue sheets
 * count: exact to the sample, so that two cuts that touch lose and double none. Before the first
 * block. What comes behind `to` is not looked at. A cut that begins behind the sound's end fails:
 * no-samples. */
void decoder_cut(struct decoder *decoder, int64_t from, int64_t to);
/* Frames given out so far; after the end the sound's exact length. */
int64_t decoder_frames(const struct decoder *decoder);
/* How far into the file it has read, in thousandths. */
int decoder_progress(const struct decoder *decoder);
