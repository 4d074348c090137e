/* Loudness by EBU R128 (ITU-R BS.1770-4), on libebur128: integrated loudness, true peak, and the
 * histogram of gating blocks from which an album's loudness can be computed without its sound.
 *
 * Measured is the source as it is: surround channels weigh 1.41, the LFE nothing. Mono counts as
 * played from two speakers (dual mono, +3.01 LU), because that is how its renditions sound.
 *
 * One thread at a time.
 */
#pragma once

#include "media/encode.h"

#include <stdbool.h>

enum { LOUDNESS_BINS = 1000 };

/* Bin i counts the 400 ms gating blocks (one each 100 ms) whose loudness is in
 * [-70 + 0.1 i, -70 + 0.1 (i + 1)) LUFS; louder ones are in the last. Quieter ones (the absolute
 * gate) are in none. */
struct loudness_result {
    double lufs;         /* integrated; -70 when nothing passes the gate (silence) */
    double true_peak_db; /* dBTP of the loudest channel; -120 for digital silence */
    uint32_t histogram[LOUDNESS_BINS];
};

struct loudness;

/* NULL: out of memory. */
struct loudness *loudness_new(const struct pcm_format *pcm);
/* planes[channel][frame], any number of frames. false: out of memory. */
bool loudness_write(struct loudness *loudness, const float *const *planes, unsigned frames);
bool loudness_finish(struct loudness *loudness, struct loudness_result *ret_result);
void loudness_free(struct loudness *loudness); /* NULL is fine */
