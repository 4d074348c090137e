/* Opening, closing, and the state of the client (redis.h). */
#include "backend/redis/redis.h"

#include "backend/redis/redis_inside.h"
#include "base/breaker.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROBE_MS = 100,      /* first wait of the breaker */
    PROBE_MS_MAX = 2000, /* a second process must not wait much longer for what is back */
    FAILURES_IN_A_ROW = 3,
};

void redis_reply_free(struct redisReply *reply)
{
    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

uint64_t redis_epoch(struct redis *redis)
{
    return atomic_load(&redis->epoch);
}

int64_t redis_epoch_age_ms(struct redis *redis)
{
    return clock_monotonic_ms() - atomic_load(&redis->epoch_ms);
}

const struct redis_address *redis_address(const struct redis *redis)
{
    return &redis->address;
}

void redis_next_epoch(struct redis *redis)
{
    atomic_store(&redis->epoch_ms, clock_monotonic_ms());
    (void)atomic_fetch_add(&redis->epoch, 1);
    metric_add(redis->metrics.epochs, 1);
}

void redis_wake_minder(struct redis *redis)
{
    (void)pthread_mutex_lock(&redis->wake_lock);
    redis->news = true;
    (void)pthread_cond_signal(&redis->wake);
    (void)pthread_mutex_unlock(&redis->wake_lock);
}

void redis_keep_words(struct redis *redis, const struct problem *problem)
{
    (void)pthread_mutex_lock(&redis->lock);
    redis->problem = *problem;
    (void)pthread_mutex_unlock(&redis->lock);
}

bool redis_is_up(struct redis *redis, struct problem *problem)
{
    bool up = atomic_load(&redis->up);
    if (!up && problem != NULL) {
        (void)pthread_mutex_lock(&redis->lock);
        *problem = redis->problem;
        (void)pthread_mutex_unlock(&redis->lock);
    }
    return up;
}

/* ---- opening ---- */

static void register_metrics(struct redis *redis)
{
    redis->metrics.calls =
        metric_get(METRIC_COUNTER, "tutti_redis_calls_total", "Calls made to Redis.", "");
    redis->metrics.failed = metric_get(METRIC_COUNTER, "tutti_redis_failed_calls_total",
                                       "Calls to Redis that failed.", "");
    redis->metrics.refused = metric_get(METRIC_COUNTER, "tutti_redis_refused_calls_total",
                                        "Calls not made because Redis was known to be away.", "");
    redis->metrics.seconds =
        metric_get(METRIC_HISTOGRAM, "tutti_redis_call_duration_seconds", "Calls to Redis.", "");
    redis->metrics.epochs =
        metric_get(METRIC_COUNTER, "tutti_redis_epochs_total",
                   "Lost connections, outages and new primaries: what was there may be gone.", "");
}

static void init_locks(struct redis *redis)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&redis->lock, NULL);
    (void)pthread_mutex_init(&redis->wake_lock, NULL);
    (void)pthread_cond_init(&redis->spare, &monotonic);
    (void)pthread_cond_init(&redis->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

/* The first look, on the opener's thread: what can only be a mistake in the address stops it. */
static int first_look(struct redis *redis, struct problem *problem)
{
    struct problem first = {0};
    int error;
    unsigned tries = 0;
    do {
        error = redis_look(redis, &first);
    } while (error == ERR_UNAVAILABLE && ++tries < redis->address_count);
    if (error == ERR_INVALID || error == ERR_FORBIDDEN) {
        return problem_set(problem, error, "%s", first.detail);
    }
    redis->problem = first;
    atomic_store(&redis->up, error == 0);
    for (unsigned i = 0; error != 0 && i < FAILURES_IN_A_ROW; i++) {
        struct breaker_pass pass;
        if (breaker_enter(redis->breaker, &pass) == 0) {
            breaker_leave(redis->breaker, &pass, BREAKER_FAILED);
        }
    }
    return 0;
}

int redis_open(const char *url, struct redis **ret_redis, struct problem *problem)
{
    struct redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL) {
        return ERR_NO_MEMORY;
    }
    redis->magic = REDIS_MAGIC;
    atomic_init(&redis->epoch_ms, clock_monotonic_ms());
    init_locks(redis);
    register_metrics(redis);
    const struct breaker_config breaker = {.name = "redis",
                                           .failures_in_a_row = FAILURES_IN_A_ROW,
                                           .wait_ms = PROBE_MS,
                                           .wait_ms_max = PROBE_MS_MAX,
                                           .probes = 1};
    int error = redis_address_parse(url, &redis->address, problem);
    error = error != 0 ? error : breaker_new(&breaker, &redis->breaker);
    error = error != 0 ? error : first_look(redis, problem);
    if (error == 0) {
        int failure = pthread_create(&redis->minder, NULL, redis_mind, redis);
        redis->minding = failure == 0;
        error = failure == 0 ? 0 : error_from_errno(failure);
    }
    if (error != 0) {
        redis_close(redis);
        return error;
    }
    *ret_redis = redis;
    return 0;
}

static void end_minder(struct redis *redis)
{
    (void)pthread_mutex_lock(&redis->wake_lock);
    redis->ending = true;
    (void)pthread_cond_signal(&redis->wake);
    (void)pthread_mutex_unlock(&redis->wake_lock);
    (void)pthread_join(redis->minder, NULL);
}

void redis_close(struct redis *redis)
{
    if (redis == NULL) {
        return;
    }
    assert(redis->magic == REDIS_MAGIC);
    if (redis->minding) {
        end_minder(redis);
    }
    redis_link_close(redis->own);
    while (redis->idle != NULL) {
        struct redis_link *link = redis->idle;
        redis->idle = link->next;
        redis_link_close(link);
    }
    breaker_free(redis->breaker);
    (void)pthread_cond_destroy(&redis->wake);
    (void)pthread_cond_destroy(&redis->spare);
    (void)pthread_mutex_destroy(&redis->wake_lock);
    (void)pthread_mutex_destroy(&redis->lock);
    sodium_memzero(redis->address.password, sizeof redis->address.password);
    redis->magic = 0;
    free(redis);
}
