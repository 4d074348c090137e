/* What the first pass learns of a sound while it is encoded: loudness, waveform, fingerprint, each
 * on a thread of its own beside the encoder's, fed through bounded queues.
 *
 * analysis_new, _write, _finish and _free belong to one thread. */
#pragma once

#include "media/encode.h"
#include "media/failure.h"
#include "media/loudness.h"
#include "media/waveform.h"

enum { ANALYSIS_READERS = 2 }; /* hands of the crew (crew.h) that one uses */

struct analysis_result {
    struct loudness_result loudness;
    uint8_t waveform[WAVEFORM_BYTES_MAX];
    size_t waveform_bytes;
    char *fingerprint; /* owned by the analysis */
};

struct analysis;

int analysis_new(const struct pcm_format *pcm, struct failure *failure,
                 struct analysis **ret_analysis);
/* Copies the block; waits while the threads are behind. */
void analysis_write(struct analysis *analysis, const float *const *planes, unsigned frames);
/* Waits for the threads. The result belongs to the analysis. */
int analysis_finish(struct analysis *analysis, struct failure *failure,
                    const struct analysis_result **ret_result);
void analysis_free(struct analysis *analysis); /* NULL is fine; ends the threads */
