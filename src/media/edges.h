/* The edges of an AAC file: what is fed to the encoder before the first and after the last sample.
 *
 * An AAC encoder that starts or ends on silence codes the step badly: −14 dBFS of error in the
 * first 1024 samples of a sine where the middle has −37. So the track is led in and out by what
 * linear prediction makes of its first and last 4096 samples (Burg's method, order 32), faded by a
 * raised cosine over 2048 samples. Every file is then exact to itself and needs no neighbour.
 *
 *   fed   2048 zeros | 2048 predicted backwards, fading in | the track | 2048 predicted, fading out
 *         | 2048 zeros
 *
 * The packets of the first EDGES_LEAD samples are dropped, those after the track too: encode.c.
 * One thread at a time; all memory is its own. Burg: "Maximum Entropy Spectral Analysis", 1975.
 */
#pragma once

#include "media/pcm.h"

#include <stdint.h>

enum {
    EDGES_LEAD = 4096,  /* frames fed before the first of the track, and after the last */
    EDGES_FADE = 2048,  /* of them predicted */
    EDGES_KNOWN = 4096, /* frames that the prediction looks at */
    EDGES_ORDER = 32,
    EDGES_KNOWN_MIN = 4 * EDGES_ORDER, /* with fewer frames known: plain zeros */
};

struct edges;

/* NULL: out of memory. */
struct edges *edges_new(unsigned channels);
void edges_free(struct edges *edges); /* NULL is fine */
/* The track's frames, any number at a time; the sink gets them behind the lead-in (after the first
 * EDGES_KNOWN are known). 0 or what the sink returned. */
int edges_write(struct edges *edges, const float *const *planes, unsigned frames,
                const struct pcm_sink *sink);
/* The end: the sink gets what is left and the lead-out. */
int edges_finish(struct edges *edges, const struct pcm_sink *sink);

/* Predicts how known (count samples) goes on: EDGES_FADE samples, fading out. Zeros if there is too
 * little to go by. */
void edges_predict(const float *known, unsigned count, float ret_next[EDGES_FADE]);
