/* Warming edges (warm.h).
 *
 *   each WRITE_MS   counts → rows
 *   each interval   turn_take → announced and top tracks → for each its manifests and AAC rungs
 *
 * What an edge has already costs it a hit; so a round says nothing of what was warmed before, and
 * an edge that came back empty is full again after the next one. FLAC and originals are left to
 * those who ask: they are most of the bytes and few of the plays.
 */
#include "service/streaming/warm.h"

#include "backend/db/db.h"
#include "backend/edge/edge.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/problem.h"
#include "service/streaming/streaming_internal.h"
#include "service/streaming/streaming_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WRITE_MS = 5000,
    NEW_DAYS = 7, /* how long an album counts as new */
    DAY_S = 24 * 3600,
    PATH_BYTES = 512,
};

struct warmer {
    struct streaming *streaming;
    struct edges *edges;
    unsigned tracks_max;
    int64_t interval_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;
};

static bool is_ending(struct warmer *warmer)
{
    (void)pthread_mutex_lock(&warmer->lock);
    bool ending = warmer->ending;
    (void)pthread_mutex_unlock(&warmer->lock);
    return ending;
}

struct round {
    struct warmer *warmer;
    int64_t now_ms;
    bool taken;
    int64_t *ids; /* 2 * tracks_max */
    unsigned count, warmed;
};

static int take_turn(struct db_session *session, void *argument)
{
    struct round *round = argument;
    int error =
        turn_take(session, "edges.warm", round->now_ms, round->warmer->interval_ms, &round->taken);
    int64_t day = round->now_ms / 1000 / DAY_S;
    return error != 0 || !round->taken ? error : answers_forget(session, day - ANSWERS_DAYS_KEPT);
}

static int find_tracks(struct db_session *session, void *argument)
{
    struct round *round = argument;
    unsigned max = round->warmer->tracks_max, top = 0;
    time_t since = (time_t)(round->now_ms / 1000 - NEW_DAYS * DAY_S);
    struct tm parts;
    char since_day[16];
    (void)strftime(since_day, sizeof since_day, "%Y-%m-%d", gmtime_r(&since, &parts));
    int error = catalog_announced_tracks(session, since_day, max, round->ids, &round->count);
    if (error == 0) {
        error = answers_top(session, round->now_ms / 1000 / DAY_S - ANSWERS_DAYS_TOP, max,
                            round->ids + round->count, &top);
    }
    round->count += top;
    return error;
}

static int warm_file(struct warmer *warmer, const struct playable *playable, const char *file,
                     int64_t bytes)
{
    const struct edge_grant grant = {playable->track_id, playable->version,
                                     MANIFEST_CEILING_LOSSLESS, edge_token_expiry(clock_wall_ms())};
    char token[EDGE_TOKEN_SIZE];
    char digits[ID_TEXT_SIZE];
    char path[PATH_BYTES];
    edge_token_sign(warmer->streaming->keys, &grant, token);
    (void)snprintf(path, sizeof path, "/m/%s/%s/%d/%s", token,
                   id_format(playable->track_id, digits), playable->version, file);
    return is_ending(warmer) ? ERR_CANCELLED : edges_warm(warmer->edges, path, bytes);
}

static int warm_playable(struct warmer *warmer, const struct playable *playable)
{
    struct manifest manifests[MANIFESTS_MAX];
    unsigned count = manifest_names(playable->renditions, playable->rendition_count,
                                    playable->complete, manifests);
    int error = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = warm_file(warmer, playable, manifests[i].name, 0);
    }
    for (unsigned i = 0; error == 0 && i < playable->rendition_count; i++) {
        const struct rendition *rendition = &playable->renditions[i];
        if (strcmp(rendition->format, "aac") == 0) {
            error = warm_file(warmer, playable, rendition->file, rendition->bytes);
        }
    }
    return error;
}

/* 0 also for a track that is gone by now. */
static int warm_track(struct warmer *warmer, int64_t track_id)
{
    struct call call = {.arena = arena_new(0), .actor.roles = ROLE_SYSTEM};
    struct playable *playable = NULL;
    int error = call.arena != NULL ? catalog_playable(warmer->streaming->catalog, &call, track_id,
                                                      false, &playable)
                                   : ERR_NO_MEMORY;
    if (error == 0) {
        error = warm_playable(warmer, playable);
    }
    arena_free(call.arena);
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int go_round(struct warmer *warmer, struct round *round)
{
    struct db *db = warmer->streaming->db;
    int error = db_write(db, take_turn, round);
    if (error != 0 || !round->taken) {
        return error;
    }
    error = db_read(db, find_tracks, round);
    for (unsigned i = 0; error == 0 && i < round->count && !is_ending(warmer); i++) {
        int failed = warm_track(warmer, round->ids[i]);
        round->warmed += failed == 0 ? 1 : 0; /* one that failed is for the next round */
    }
    return error;
}

static void warm(struct warmer *warmer)
{
    struct round round = {.warmer = warmer,
                          .now_ms = clock_wall_ms(),
                          .ids = calloc(2 * (size_t)warmer->tracks_max, sizeof *round.ids)};
    int error = round.ids != NULL ? go_round(warmer, &round) : ERR_NO_MEMORY;
    free(round.ids);
    if (error != 0) {
        log_event(LOG_WARNING, "edges.not_warmed", log_text("error", error_name(error)));
    } else if (round.taken) {
        log_event(LOG_INFO, "edges.warmed", log_number("tracks", round.warmed),
                  log_number("of", round.count));
    }
}

static void write_answers(struct warmer *warmer)
{
    struct streaming *streaming = warmer->streaming;
    int error = answers_write(streaming->answers, streaming->db, clock_wall_ms());
    if (error != 0) {
        log_event(LOG_WARNING, "answers.lost", log_text("error", error_name(error)));
    }
}

/* Until it is time, or the end; false: the end. */
static bool wait_until(struct warmer *warmer, int64_t until_ms)
{
    const struct timespec until = clock_timespec(until_ms);
    (void)pthread_mutex_lock(&warmer->lock);
    while (!warmer->ending &&
           pthread_cond_timedwait(&warmer->wake, &warmer->lock, &until) != ETIMEDOUT) {
    }
    bool goes_on = !warmer->ending;
    (void)pthread_mutex_unlock(&warmer->lock);
    return goes_on;
}

static void *run(void *argument)
{
    struct warmer *warmer = argument;
    int64_t step_ms = warmer->interval_ms < WRITE_MS ? warmer->interval_ms : WRITE_MS;
    int64_t next_ms = clock_monotonic_ms();
    while (wait_until(warmer, clock_monotonic_ms() + step_ms)) {
        write_answers(warmer);
        if (clock_monotonic_ms() >= next_ms) {
            warm(warmer);
            next_ms = clock_monotonic_ms() + warmer->interval_ms;
        }
    }
    write_answers(warmer);
    return NULL;
}

static void warmer_free(struct warmer *warmer)
{
    edges_close(warmer->edges);
    (void)pthread_cond_destroy(&warmer->wake);
    (void)pthread_mutex_destroy(&warmer->lock);
    free(warmer);
}

int warmer_start(const struct warmer_config *config, struct warmer **ret_warmer)
{
    struct warmer *warmer = calloc(1, sizeof *warmer);
    struct problem problem = {0};
    if (warmer == NULL) {
        return ERR_NO_MEMORY;
    }
    warmer->streaming = config->streaming;
    warmer->tracks_max = config->tracks_max;
    warmer->interval_ms = config->interval_ms;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&warmer->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&warmer->lock, NULL);
    int error = edges_open(config->edge_urls, &warmer->edges, &problem);
    if (error == 0 && pthread_create(&warmer->thread, NULL, run, warmer) != 0) {
        error = ERR_NO_MEMORY;
    }
    if (error != 0) {
        warmer_free(warmer);
        return error;
    }
    *ret_warmer = warmer;
    return 0;
}

void warmer_stop(struct warmer *warmer)
{
    if (warmer == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&warmer->lock);
    warmer->ending = true;
    (void)pthread_cond_signal(&warmer->wake);
    (void)pthread_mutex_unlock(&warmer->lock);
    (void)pthread_join(warmer->thread, NULL);
    warmer_free(warmer);
}
