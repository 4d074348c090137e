/* The analyses of the first pass (analysis.h). Called by job_sound.c.
 *
 * A ring of blocks, written by the decoding thread, read by READERS threads, each at its own pace;
 * a slot is free again once the slowest has read it. One mutex guards the counters, never the
 * samples: a slot between the slowest reader and the writer is not written to.
 */
#include "media/analysis.h"

#include "base/error.h"
#include "base/mem.h"
#include "media/crew.h"
#include "media/fingerprint.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 8, SLOT_FRAMES = 8192, READERS = ANALYSIS_READERS };

struct slot {
    float *samples; /* channels × SLOT_FRAMES, planar */
    unsigned frames;
};

struct reader {
    struct analysis *analysis;
    struct hand *hand; /* NULL: not started, or done */
    uint64_t read;     /* slots */
    int result;
    int (*take)(struct analysis *analysis, const float *const *planes, unsigned frames);
};

struct analysis {
    struct pcm_format pcm;
    struct slot slots[SLOTS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t written; /* slots, under lock, as the readers' `read` */
    bool ended, abandoned;
    struct reader readers[READERS];
    struct loudness *loudness;
    struct fingerprint *fingerprint;
    struct waveform waveform;
    struct analysis_result result;
};

static int take_loudness(struct analysis *analysis, const float *const *planes, unsigned frames)
{
    return loudness_write(analysis->loudness, planes, frames) ? 0 : ERR_NO_MEMORY;
}

static int take_shape(struct analysis *analysis, const float *const *planes, unsigned frames)
{
    waveform_write(&analysis->waveform, planes, frames);
    return fingerprint_write(analysis->fingerprint, planes, frames);
}

/* Waits for the reader's next slot; NULL at the end. */
static const struct slot *next_slot(struct reader *reader)
{
    struct analysis *analysis = reader->analysis;
    pthread_mutex_lock(&analysis->lock);
    while (reader->read == analysis->written && !analysis->ended && !analysis->abandoned) {
        pthread_cond_wait(&analysis->changed, &analysis->lock);
    }
    bool more = reader->read < analysis->written && !analysis->abandoned;
    const struct slot *slot = more ? &analysis->slots[reader->read % SLOTS] : NULL;
    pthread_mutex_unlock(&analysis->lock);
    return slot;
}

static void slot_read(struct reader *reader)
{
    pthread_mutex_lock(&reader->analysis->lock);
    reader->read++;
    pthread_cond_broadcast(&reader->analysis->changed);
    pthread_mutex_unlock(&reader->analysis->lock);
}

static void reader_run(void *argument)
{
    struct reader *reader = argument;
    const struct slot *slot;
    while ((slot = next_slot(reader)) != NULL) {
        const float *planes[MEDIA_CHANNELS_MAX] = {NULL};
        for (unsigned channel = 0; channel < reader->analysis->pcm.channels; channel++) {
            planes[channel] = slot->samples + (size_t)channel * SLOT_FRAMES;
        }
        if (reader->result == 0) { /* after a failure it only drains */
            reader->result = reader->take(reader->analysis, planes, slot->frames);
        }
        slot_read(reader);
    }
}

static bool start_readers(struct analysis *analysis)
{
    static int (*const takes[READERS])(struct analysis *, const float *const *,
                                       unsigned) = {take_loudness, take_shape};
    for (unsigned i = 0; i < READERS; i++) {
        struct reader *reader = &analysis->readers[i];
        reader->analysis = analysis;
        reader->take = takes[i];
        reader->hand = crew_start(reader_run, reader);
        if (reader->hand == NULL) {
            return false;
        }
    }
    return true;
}

int analysis_new(const struct pcm_format *pcm, struct failure *failure,
                 struct analysis **ret_analysis)
{
    struct analysis *analysis = calloc(1, sizeof *analysis);
    if (analysis == NULL) {
        return failure_no_memory(failure);
    }
    analysis->pcm = *pcm;
    pthread_mutex_init(&analysis->lock, NULL);
    pthread_cond_init(&analysis->changed, NULL);
    waveform_init(&analysis->waveform, pcm->rate, pcm->channels);
    analysis->loudness = loudness_new(pcm);
    analysis->fingerprint = fingerprint_new(pcm);
    bool whole = analysis->loudness != NULL && analysis->fingerprint != NULL;
    for (unsigned i = 0; i < SLOTS; i++) {
        analysis->slots[i].samples = calloc((size_t)pcm->channels * SLOT_FRAMES, sizeof(float));
        whole = whole && analysis->slots[i].samples != NULL;
    }
    if (!whole || !start_readers(analysis)) {
        analysis_free(analysis);
        return failure_no_memory(failure);
    }
    *ret_analysis = analysis;
    return 0;
}

static uint64_t slowest(const struct analysis *analysis)
{
    uint64_t least = analysis->written;
    for (unsigned i = 0; i < READERS; i++) {
        least = analysis->readers[i].read < least ? analysis->readers[i].read : least;
    }
    return least;
}

static struct slot *free_slot(struct analysis *analysis)
{
    pthread_mutex_lock(&analysis->lock);
    while (analysis->written - slowest(analysis) == SLOTS) {
        pthread_cond_wait(&analysis->changed, &analysis->lock);
    }
    struct slot *slot = &analysis->slots[analysis->written % SLOTS];
    pthread_mutex_unlock(&analysis->lock);
    return slot;
}

static void publish_slot(struct analysis *analysis)
{
    pthread_mutex_lock(&analysis->lock);
    analysis->written++;
    pthread_cond_broadcast(&analysis->changed);
    pthread_mutex_unlock(&analysis->lock);
}

void analysis_write(struct analysis *analysis, const float *const *planes, unsigned frames)
{
    for (unsigned done = 0; done < frames;) {
        struct slot *slot = free_slot(analysis);
        slot->frames = frames - done < SLOT_FRAMES ? frames - done : SLOT_FRAMES;
        for (unsigned channel = 0; channel < analysis->pcm.channels; channel++) {
            memcpy(slot->samples + (size_t)channel * SLOT_FRAMES, planes[channel] + done,
                   slot->frames * sizeof(float));
        }
        done += slot->frames;
        publish_slot(analysis);
    }
}

static void join(struct analysis *analysis, bool abandoned)
{
    pthread_mutex_lock(&analysis->lock);
    analysis->ended = true;
    analysis->abandoned = abandoned;
    pthread_cond_broadcast(&analysis->changed);
    pthread_mutex_unlock(&analysis->lock);
    for (unsigned i = 0; i < READERS; i++) {
        if (analysis->readers[i].hand != NULL) {
            crew_wait(TAKE_PTR(analysis->readers[i].hand));
        }
    }
}

int analysis_finish(struct analysis *analysis, struct failure *failure,
                    const struct analysis_result **ret_result)
{
    join(analysis, false);
    struct analysis_result *result = &analysis->result;
    if (analysis->readers[0].result != 0 || analysis->readers[1].result != 0 ||
        !loudness_finish(analysis->loudness, &result->loudness) ||
        fingerprint_finish(analysis->fingerprint, &result->fingerprint) != 0) {
        return failure_no_memory(failure);
    }
    result->waveform_bytes = waveform_finish(&analysis->waveform, result->waveform);
    *ret_result = result;
    return 0;
}

void analysis_free(struct analysis *analysis)
{
    if (analysis == NULL) {
        return;
    }
    join(analysis, true);
    loudness_free(analysis->loudness);
    fingerprint_free(analysis->fingerprint);
    for (unsigned i = 0; i < SLOTS; i++) {
        free(analysis->slots[i].samples);
    }
    free(analysis->result.fingerprint);
    pthread_cond_destroy(&analysis->changed);
    pthread_mutex_destroy(&analysis->lock);
    free(analysis);
}
