/* Chromaprint (fingerprint.h). Called by analysis.c on its own thread and by
 * job_fingerprint.c. Chromaprint mixes to mono
 * and resamples by itself; it wants 16-bit integers of at most two channels. */
#include "media/fingerprint.h"

#include "base/error.h"

#include <chromaprint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_FRAMES = 1024 };

struct fingerprint {
    ChromaprintContext *context;
    unsigned channels; /* that are used: the first two */
    int64_t frames_left;
    int16_t piece[PIECE_FRAMES * 2];
};

struct fingerprint *fingerprint_new(const struct pcm_format *pcm)
{
    struct fingerprint *fingerprint = calloc(1, sizeof *fingerprint);
    if (fingerprint == NULL) {
        return NULL;
    }
    fingerprint->channels = pcm->channels < 2 ? 1 : 2;
    fingerprint->frames_left = (int64_t)FINGERPRINT_S_MAX * pcm->rate;
    fingerprint->context = chromaprint_new(CHROMAPRINT_ALGORITHM_DEFAULT);
    if (fingerprint->context == NULL ||
        !chromaprint_start(fingerprint->context, pcm->rate, (int)fingerprint->channels)) {
        fingerprint_free(fingerprint);
        return NULL;
    }
    return fingerprint;
}

void fingerprint_free(struct fingerprint *fingerprint)
{
    if (fingerprint == NULL) {
        return;
    }
    if (fingerprint->context != NULL) {
        chromaprint_free(fingerprint->context);
    }
    free(fingerprint);
}

static int16_t to_integer(float sample)
{
    float scaled = isfinite(sample) ? sample * 32768 : 0;
    return (int16_t)lrintf(fminf(fmaxf(scaled, -32768), 32767));
}

int fingerprint_write(struct fingerprint *fingerprint, const float *const *planes, unsigned frames)
{
    unsigned channels = fingerprint->channels;
    if (frames > fingerprint->frames_left) {
        frames = (unsigned)fingerprint->frames_left;
    }
    fingerprint->frames_left -= frames;
    for (unsigned done = 0; done < frames;) {
        unsigned count = frames - done < PIECE_FRAMES ? frames - done : PIECE_FRAMES;
        for (unsigned channel = 0; channel < channels; channel++) {
            for (unsigned i = 0; i < count; i++) {
                fingerprint->piece[i * channels + channel] = to_integer(planes[channel][done + i]);
            }
        }
        if (!chromaprint_feed(fingerprint->context, fingerprint->piece, (int)(count * channels))) {
            return ERR_NO_MEMORY;
        }
        done += count;
    }
    return 0;
}

int fingerprint_finish(struct fingerprint *fingerprint, char **ret_text)
{
    char *text = NULL;
    if (!chromaprint_finish(fingerprint->context)) {
        return ERR_NO_MEMORY;
    }
    bool has = chromaprint_get_fingerprint(fingerprint->context, &text) && text != NULL;
    char *copy = strdup(has ? text : "");
    if (text != NULL) {
        chromaprint_dealloc(text);
    }
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_text = copy;
    return 0;
}

int fingerprint_words(struct fingerprint *fingerprint, uint32_t words[FINGERPRINT_WORDS_MAX],
                      unsigned *ret_count)
{
    uint32_t *found = NULL;
    int count = 0;
    if (!chromaprint_finish(fingerprint->context)) {
        return ERR_NO_MEMORY;
    }
    bool has = chromaprint_get_raw_fingerprint(fingerprint->context, &found, &count) && count > 0;
    *ret_count = !has ? 0 : count < FINGERPRINT_WORDS_MAX ? (unsigned)count : FINGERPRINT_WORDS_MAX;
    if (has) {
        memcpy(words, found, *ret_count * sizeof *words);
    }
    if (found != NULL) {
        chromaprint_dealloc(found);
    }
    return 0;
}

bool fingerprint_is_full(const struct fingerprint *fingerprint)
{
    return fingerprint->frames_left == 0;
}
