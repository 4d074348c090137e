/* Many encoders on all cores (ladder.h).
 *
 * ladder_write ─► feed 44.1 kHz (convert) ─► blocks ─► queue ─► encoder aac-320 ┐
 *              ├► feed 48 kHz   (convert) ─► blocks ─► queue ─► encoder opus-96 ├ workers
 *              └► feed of the source      ─► blocks ─► queue ─► encoder flac    ┘
 *
 * A feed is one target format: it converts once and cuts the result into blocks, which all its
 * encoders share. A block is counted; it returns to the feed's spares when the last encoder is done
 * with it. A queue holds QUEUE_BLOCKS at most; the writer waits for the slowest encoder.
 *
 * Each encoder runs on one worker at a time, any of them. A free worker takes the encoder with the
 * most work waiting, by the time that its blocks have taken so far: so the slow ones go first, and
 * all reach the end nearly together, whatever the number of cores.
 *
 * Invariants, under the lock:
 *   1. an encoder's state is touched by the worker that set `busy`, else by nobody;
 *   2. a block is written by the writer before it is in a queue, and only read after;
 *   3. `error` is set once, by the first that fails, and its words are in `problem`.
 */
#include "media/ladder.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "media/convert.h"
#include "media/crew.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_FRAMES = 16384,
    QUEUE_BLOCKS = 16,
    BATCH_BLOCKS = 4, /* that a worker takes at once */
    FEEDS_MAX = 3,
    CLEAN_FRAMES = 4096,
};

struct block {
    struct block *next; /* among the spares */
    unsigned references, frames;
    float *planes[ENCODE_CHANNELS_MAX];
    float samples[];
};

struct feed {
    struct ladder *ladder;
    struct pcm_format pcm;
    struct convert *convert;
    struct block *filling; /* the writer's, not in any queue yet */
    struct block *spares;
    unsigned users; /* encoders that take from it */
};

struct slot {
    struct encoder *encoder;
    struct feed *feed;
    struct block *queue[QUEUE_BLOCKS]; /* a ring */
    unsigned first, waiting;
    bool busy, told;
    int64_t spent_us, blocks_done; /* what its blocks have taken */
    struct problem problem;
    const struct rendition_info *info; /* once it is finished */
};

struct ladder {
    struct ladder_config config;
    struct feed feeds[FEEDS_MAX];
    unsigned feed_count;
    struct slot slots[LADDER_RENDITIONS_MAX];
    unsigned slot_count;
    float *clean[ENCODE_CHANNELS_MAX]; /* CLEAN_FRAMES each: input with what isn't finite zeroed */
    struct hand *workers[LADDER_RENDITIONS_MAX];
    unsigned worker_count;
    pthread_mutex_t lock;
    pthread_cond_t work, progress; /* for workers; for the writer */
    bool ended, stopped;           /* no more blocks will come; leave everything */
    int error;
    struct problem problem;
};

static unsigned cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : (unsigned)count;
}

unsigned ladder_workers_max(void)
{
    unsigned count = cores();
    return count < LADDER_RENDITIONS_MAX ? count : LADDER_RENDITIONS_MAX;
}

unsigned ladder_pass(void)
{
    return cores() + 1;
}

/* ---- blocks ---- */

static struct block *block_new(unsigned channels)
{
    struct block *block =
        malloc(sizeof *block + (size_t)channels * BLOCK_FRAMES * sizeof *block->samples);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){0};
    for (unsigned i = 0; i < channels; i++) {
        block->planes[i] = block->samples + (size_t)i * BLOCK_FRAMES;
    }
    return block;
}

/* Under the lock. */
static void block_unref(struct feed *feed, struct block *block)
{
    assert(block->references > 0);
    if (--block->references == 0) {
        block->next = feed->spares;
        feed->spares = block;
    }
}

static struct block *block_take(struct feed *feed)
{
    struct ladder *ladder = feed->ladder;
    pthread_mutex_lock(&ladder->lock);
    struct block *block = feed->spares;
    if (block != NULL) {
        feed->spares = block->next;
    }
    pthread_mutex_unlock(&ladder->lock);
    if (block == NULL) {
        block = block_new(feed->pcm.channels);
    }
    if (block != NULL) {
        block->frames = 0;
    }
    return block;
}

/* ---- the workers ---- */

/* Under the lock. */
static void fail(struct ladder *ladder, int error, const struct problem *problem)
{
    if (ladder->error == 0) {
        ladder->error = error;
        ladder->problem = *problem;
    }
    ladder->stopped = true;
    pthread_cond_broadcast(&ladder->work);
    pthread_cond_broadcast(&ladder->progress);
}

static bool is_runnable(const struct ladder *ladder, const struct slot *slot)
{
    return !slot->busy && slot->info == NULL && (slot->waiting > 0 || ladder->ended);
}

/* The microseconds that a slot's waiting blocks will take; new ones count as slow. */
static int64_t backlog_us(const struct slot *slot)
{
    int64_t each = slot->blocks_done > 0 ? slot->spent_us / slot->blocks_done + 1 : 1000000;
    return each * (slot->waiting + 1);
}

/* Under the lock. */
static struct slot *choose(struct ladder *ladder)
{
    struct slot *best = NULL;
    for (unsigned i = 0; i < ladder->slot_count; i++) {
        struct slot *slot = &ladder->slots[i];
        if (is_runnable(ladder, slot) && (best == NULL || backlog_us(slot) > backlog_us(best))) {
            best = slot;
        }
    }
    return best;
}

/* Without the lock: encodes a batch, or ends the file where there is nothing more to come. */
static int run(struct slot *slot, struct block *const *batch, unsigned count,
               const struct rendition_info **ret_info)
{
    for (unsigned i = 0; i < count; i++) {
        int error = encoder_write(slot->encoder, (const float *const *)batch[i]->planes,
                                  batch[i]->frames, &slot->problem);
        if (error != 0) {
            return error;
        }
    }
    return count > 0 ? 0 : encoder_finish(slot->encoder, &slot->problem, ret_info);
}

/* Takes the lock's protection off for the encoding itself. */
static void work_on(struct ladder *ladder, struct slot *slot)
{
    struct block *batch[BATCH_BLOCKS];
    const struct rendition_info *info = NULL;
    unsigned count = slot->waiting < BATCH_BLOCKS ? slot->waiting : BATCH_BLOCKS;
    for (unsigned i = 0; i < count; i++) {
        batch[i] = slot->queue[(slot->first + i) % QUEUE_BLOCKS];
    }
    slot->first = (slot->first + count) % QUEUE_BLOCKS;
    slot->waiting -= count;
    slot->busy = true;
    pthread_mutex_unlock(&ladder->lock);
    int64_t begin = clock_monotonic_us();
    int error = run(slot, batch, count, &info);
    int64_t spent = clock_monotonic_us() - begin;
    pthread_mutex_lock(&ladder->lock);
    slot->spent_us += spent;
    slot->blocks_done += count;
    slot->busy = false;
    slot->info = info;
    for (unsigned i = 0; i < count; i++) {
        block_unref(slot->feed, batch[i]);
    }
    if (error != 0) {
        fail(ladder, error, &slot->problem);
    }
    pthread_cond_signal(&ladder->progress);
}

static bool is_done(const struct ladder *ladder)
{
    for (unsigned i = 0; i < ladder->slot_count; i++) {
        if (ladder->slots[i].info == NULL) {
            return false;
        }
    }
    return true;
}

static void worker(void *context)
{
    struct ladder *ladder = context;
    pthread_mutex_lock(&ladder->lock);
    while (!ladder->stopped && !is_done(ladder)) {
        struct slot *slot = choose(ladder);
        if (slot != NULL) {
            work_on(ladder, slot);
            pthread_cond_signal(&ladder->work); /* this slot may be runnable for another */
        } else {
            pthread_cond_wait(&ladder->work, &ladder->lock);
        }
    }
    pthread_cond_broadcast(&ladder->work);
    pthread_mutex_unlock(&ladder->lock);
}

/* ---- the writer ---- */

static bool has_room(const struct ladder *ladder, const struct feed *feed)
{
    for (unsigned i = 0; i < ladder->slot_count; i++) {
        if (ladder->slots[i].feed == feed && ladder->slots[i].waiting == QUEUE_BLOCKS) {
            return false;
        }
    }
    return true;
}

/* The block being filled goes to every encoder of the feed; waits for room. */
static int hand_over(struct feed *feed)
{
    struct ladder *ladder = feed->ladder;
    struct block *block = feed->filling;
    feed->filling = NULL;
    pthread_mutex_lock(&ladder->lock);
    while (!ladder->stopped && !has_room(ladder, feed)) {
        pthread_cond_wait(&ladder->progress, &ladder->lock);
    }
    block->references = feed->users;
    for (unsigned i = 0; i < ladder->slot_count && !ladder->stopped; i++) {
        struct slot *slot = &ladder->slots[i];
        if (slot->feed == feed) {
            slot->queue[(slot->first + slot->waiting++) % QUEUE_BLOCKS] = block;
        }
    }
    int error = ladder->error;
    if (ladder->stopped) {
        block->references = 1;
        block_unref(feed, block);
    }
    pthread_cond_broadcast(&ladder->work);
    pthread_mutex_unlock(&ladder->lock);
    return error;
}

/* The converter's sink: cuts its output into blocks. */
static int take_converted(void *context, const float *const *planes, unsigned frames)
{
    struct feed *feed = context;
    for (unsigned done = 0; done < frames;) {
        if (feed->filling == NULL && (feed->filling = block_take(feed)) == NULL) {
            return ERR_NO_MEMORY;
        }
        struct block *block = feed->filling;
        unsigned room = BLOCK_FRAMES - block->frames, left = frames - done;
        unsigned count = left < room ? left : room;
        for (unsigned i = 0; i < feed->pcm.channels; i++) {
            memcpy(block->planes[i] + block->frames, planes[i] + done, count * sizeof(float));
        }
        block->frames += count;
        done += count;
        int error = block->frames == BLOCK_FRAMES ? hand_over(feed) : 0;
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* The words of the encoder that failed, or the error's own. */
static int explain(struct ladder *ladder, int error, struct problem *problem)
{
    if (error == 0 || problem == NULL) {
        return error;
    }
    pthread_mutex_lock(&ladder->lock);
    bool known = ladder->error == error;
    if (known) {
        *problem = ladder->problem;
    }
    pthread_mutex_unlock(&ladder->lock);
    return known ? error : problem_set(problem, error, "%s", error_title(error));
}

static void clean(struct ladder *ladder, const float *const *planes, unsigned from, unsigned count)
{
    for (unsigned channel = 0; channel < ladder->config.source.channels; channel++) {
        const float *plane = planes[channel] + from;
        for (unsigned i = 0; i < count; i++) {
            ladder->clean[channel][i] = isfinite(plane[i]) ? plane[i] : 0;
        }
    }
}

int ladder_write(struct ladder *ladder, const float *const *planes, unsigned frames,
                 struct problem *problem)
{
    for (unsigned done = 0; done < frames;) {
        unsigned left = frames - done, count = left < CLEAN_FRAMES ? left : CLEAN_FRAMES;
        clean(ladder, planes, done, count);
        for (unsigned i = 0; i < ladder->feed_count; i++) {
            struct feed *feed = &ladder->feeds[i];
            const struct pcm_sink sink = {take_converted, feed};
            int error =
                convert_write(feed->convert, (const float *const *)ladder->clean, count, &sink);
            if (error != 0) {
                return explain(ladder, error, problem);
            }
        }
        done += count;
    }
    return 0;
}

static int flush_feeds(struct ladder *ladder)
{
    for (unsigned i = 0; i < ladder->feed_count; i++) {
        struct feed *feed = &ladder->feeds[i];
        const struct pcm_sink sink = {take_converted, feed};
        int error = convert_finish(feed->convert, &sink);
        if (error == 0 && feed->filling != NULL) {
            error = hand_over(feed);
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static unsigned untold(const struct ladder *ladder)
{
    unsigned i = 0;
    while (i < ladder->slot_count && (ladder->slots[i].told || ladder->slots[i].info == NULL)) {
        i++;
    }
    return i;
}

static bool all_told(const struct ladder *ladder)
{
    unsigned told = 0;
    for (unsigned i = 0; i < ladder->slot_count; i++) {
        told += ladder->slots[i].told;
    }
    return told == ladder->slot_count;
}

/* Waits for the files, telling of each outside the lock. */
static int tell_all(struct ladder *ladder)
{
    int error = 0;
    pthread_mutex_lock(&ladder->lock);
    while (error == 0 && ladder->error == 0 && !all_told(ladder)) {
        unsigned index = untold(ladder);
        if (index == ladder->slot_count) {
            pthread_cond_wait(&ladder->progress, &ladder->lock);
            continue;
        }
        ladder->slots[index].told = true;
        pthread_mutex_unlock(&ladder->lock);
        if (ladder->config.finished != NULL) {
            error =
                ladder->config.finished(ladder->config.context, index, ladder->slots[index].info);
        }
        pthread_mutex_lock(&ladder->lock);
    }
    error = error != 0 ? error : ladder->error;
    pthread_mutex_unlock(&ladder->lock);
    return error;
}

int ladder_finish(struct ladder *ladder, struct problem *problem)
{
    int error = flush_feeds(ladder);
    if (error == 0) {
        pthread_mutex_lock(&ladder->lock);
        ladder->ended = true;
        pthread_cond_broadcast(&ladder->work);
        pthread_mutex_unlock(&ladder->lock);
        error = tell_all(ladder);
    }
    return explain(ladder, error, problem);
}

const struct rendition_info *ladder_info(const struct ladder *ladder, unsigned index)
{
    return index < ladder->slot_count && ladder->slots[index].told ? ladder->slots[index].info
                                                                   : NULL;
}

/* ---- life ---- */

static bool same_pcm(const struct pcm_format *left, const struct pcm_format *right)
{
    return left->rate == right->rate && left->channels == right->channels;
}

static int feed_for(struct ladder *ladder, const struct pcm_format *pcm, struct problem *problem,
                    struct feed **ret_feed)
{
    for (unsigned i = 0; i < ladder->feed_count; i++) {
        if (same_pcm(&ladder->feeds[i].pcm, pcm)) {
            *ret_feed = &ladder->feeds[i];
            return 0;
        }
    }
    assert(ladder->feed_count < FEEDS_MAX);
    struct feed *feed = &ladder->feeds[ladder->feed_count];
    int error = convert_new(&ladder->config.source, pcm, problem, &feed->convert);
    if (error != 0) {
        return error;
    }
    feed->ladder = ladder;
    feed->pcm = *pcm;
    ladder->feed_count++;
    *ret_feed = feed;
    return 0;
}

static int open_slots(struct ladder *ladder, struct problem *problem)
{
    for (unsigned i = 0; i < ladder->config.spec_count; i++) {
        const struct encode_spec *spec = &ladder->config.specs[i];
        struct slot *slot = &ladder->slots[i];
        if (!encode_can(spec->format, &ladder->config.source)) {
            return problem_set(problem, ERR_UNSUPPORTED, "%s can't hold this sound",
                               encode_format_name(spec->format));
        }
        const struct pcm_format pcm = encode_target(spec->format, &ladder->config.source);
        int error = feed_for(ladder, &pcm, problem, &slot->feed);
        if (error == 0) {
            error = encoder_new(spec, &pcm, problem, &slot->encoder);
        }
        if (error != 0) {
            return error;
        }
        slot->feed->users++;
        ladder->slot_count++;
    }
    return 0;
}

static int start_workers(struct ladder *ladder)
{
    unsigned wanted = ladder->config.threads > 0 ? ladder->config.threads : cores();
    wanted = wanted < ladder->slot_count ? wanted : ladder->slot_count;
    while (ladder->worker_count < wanted) {
        struct hand *hand = crew_start(worker, ladder);
        if (hand == NULL) {
            return ladder->worker_count > 0 ? 0 : ERR_NO_MEMORY; /* fewer will do */
        }
        ladder->workers[ladder->worker_count++] = hand;
    }
    return 0;
}

int ladder_new(const struct ladder_config *config, struct problem *problem,
               struct ladder **ret_ladder)
{
    if (config->spec_count < 1 || config->spec_count > LADDER_RENDITIONS_MAX ||
        config->source.channels < 1 || config->source.channels > ENCODE_CHANNELS_MAX) {
        return problem_set(problem, ERR_INVALID,
                           "A ladder has 1 to %d renditions of 1 to %d channels",
                           LADDER_RENDITIONS_MAX, ENCODE_CHANNELS_MAX);
    }
    struct ladder *ladder = calloc(1, sizeof *ladder);
    if (ladder == NULL) {
        return ERR_NO_MEMORY;
    }
    ladder->config = *config;
    pthread_mutex_init(&ladder->lock, NULL);
    pthread_cond_init(&ladder->work, NULL);
    pthread_cond_init(&ladder->progress, NULL);
    int error = 0;
    for (unsigned i = 0; i < config->source.channels; i++) {
        ladder->clean[i] = malloc(CLEAN_FRAMES * sizeof(float));
        error = ladder->clean[i] == NULL ? ERR_NO_MEMORY : error;
    }
    if (error == 0) {
        error = open_slots(ladder, problem);
    }
    if (error == 0) {
        error = start_workers(ladder);
    }
    ladder->config.specs = NULL; /* the caller's */
    if (error != 0) {
        ladder_free(ladder);
        return error;
    }
    *ret_ladder = ladder;
    return 0;
}

static void stop_workers(struct ladder *ladder)
{
    pthread_mutex_lock(&ladder->lock);
    ladder->stopped = true;
    pthread_cond_broadcast(&ladder->work);
    pthread_mutex_unlock(&ladder->lock);
    for (unsigned i = 0; i < ladder->worker_count; i++) {
        crew_wait(ladder->workers[i]);
    }
}

static void free_blocks(struct ladder *ladder)
{
    for (unsigned i = 0; i < ladder->slot_count; i++) {
        struct slot *slot = &ladder->slots[i];
        for (; slot->waiting > 0; slot->waiting--, slot->first++) {
            block_unref(slot->feed, slot->queue[slot->first % QUEUE_BLOCKS]);
        }
    }
    for (unsigned i = 0; i < ladder->feed_count; i++) {
        struct feed *feed = &ladder->feeds[i];
        free(feed->filling);
        while (feed->spares != NULL) {
            struct block *block = feed->spares;
            feed->spares = block->next;
            free(block);
        }
        convert_free(feed->convert);
    }
}

void ladder_free(struct ladder *ladder)
{
    if (ladder == NULL) {
        return;
    }
    stop_workers(ladder);
    free_blocks(ladder);
    for (unsigned i = 0; i < LADDER_RENDITIONS_MAX; i++) {
        encoder_free(ladder->slots[i].encoder);
    }
    for (unsigned i = 0; i < ENCODE_CHANNELS_MAX; i++) {
        free(ladder->clean[i]);
    }
    pthread_cond_destroy(&ladder->progress);
    pthread_cond_destroy(&ladder->work);
    pthread_mutex_destroy(&ladder->lock);
    free(ladder);
}
