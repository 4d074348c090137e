/* Rate and channels: PCM of a source becomes PCM of a target, exactly encode_length() frames of it.
 *
 * Called by the ladder, once per target rate for all encoders. One thread at a time; all memory is
 * the converter's. Resampling is libswresample's, which puts the first output sample on the first
 * input sample; what its filter still holds at the end is flushed. Mono is resampled as mono and
 * doubled. More than two channels are mixed down by ITU-R BS.775 (centre and surrounds at −3 dB, no
 * LFE), the matrix scaled so that full scale on all channels does not clip.
 */
#pragma once

#include "media/encode.h"
#include "media/pcm.h"

struct convert;

/* target: the source's own format, or stereo at any rate. */
int convert_new(const struct pcm_format *source, const struct pcm_format *target,
                struct problem *problem, struct convert **ret_convert);
void convert_free(struct convert *convert); /* NULL is fine */
/* Any number of frames in; what is ready goes to the sink, in pieces. ERR_INTERNAL, ERR_NO_MEMORY,
 * or what the sink returned. */
int convert_write(struct convert *convert, const float *const *planes, unsigned frames,
                  const struct pcm_sink *sink);
/* The rest: afterwards the sink has got encode_length(all frames in) frames. */
int convert_finish(struct convert *convert, const struct pcm_sink *sink);
