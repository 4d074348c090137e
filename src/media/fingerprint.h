/* The acoustic fingerprint (Chromaprint, algorithm 2, of the first 120 s as AcoustID takes it), by
 * which duplicates are found. One thread at a time. */
#pragma once

#include "media/encode.h"

#include <stdbool.h>
#include <stdint.h>

enum { FINGERPRINT_S_MAX = 120 };

struct fingerprint;

struct fingerprint *fingerprint_new(const struct pcm_format *pcm); /* NULL: out of memory */
/* planes[channel][frame]; what comes after FINGERPRINT_S_MAX is ignored. 0 or ERR_NO_MEMORY. */
int fingerprint_write(struct fingerprint *fingerprint, const float *const *planes, unsigned frames);
/* *ret_text: compressed, base64url, as AcoustID takes it; "" when the sound is too short to have
 * one (under about 3 s). The caller frees it. */
int fingerprint_finish(struct fingerprint *fingerprint, char **ret_text);
/* Instead of fingerprint_finish: the fingerprint as it is compared, a word of 32 bits for each
 * eighth of a second or so, at most FINGERPRINT_WORDS_MAX. *ret_count 0: the sound is too short. */
enum { FINGERPRINT_WORDS_MAX = 1024 };
int fingerprint_words(struct fingerprint *fingerprint, uint32_t words[FINGERPRINT_WORDS_MAX],
                      unsigned *ret_count);
/* Whether FINGERPRINT_S_MAX have come: more changes nothing. */
bool fingerprint_is_full(const struct fingerprint *fingerprint);
void fingerprint_free(struct fingerprint *fingerprint); /* NULL is fine */
