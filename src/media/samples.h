/* Samples of whatever format a decoder gives, as planar float: nominal −1 … 1, integers of up to 24
 * bits exactly n / 2^(bits−1), floats as they are, wider integers and doubles rounded to the
 * nearest n / 2^23. What is louder than SAMPLES_PEAK_MAX is cut there, what is no number becomes 0.
 * Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SAMPLES_PEAK_MAX = 64 }; /* 36 dB above full scale: nobody means more */

struct AVFrame;

/* Whether samples_to_float knows the AVSampleFormat. */
bool samples_known(int sample_format);
/* Copies frames [first, first + count) of the frame's channels into planes[channel][0 …]. */
void samples_to_float(const struct AVFrame *frame, unsigned first, unsigned count,
                      float *const *planes);
