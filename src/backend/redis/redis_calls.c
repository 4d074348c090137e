/* Calls to Redis over a pool of links (redis.h). While the breaker is not closed callers are
 * refused at once: only the minder probes, so nobody's request pays for finding out.
 */
#include "backend/redis/redis_inside.h"
#include "base/breaker.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <assert.h>
#include <nettle/sha1.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINKS_MAX = 64 };

/* ---- links ---- */

static void drop_link(struct redis *redis, struct redis_link *link)
{
    redis_link_close(link);
    (void)pthread_mutex_lock(&redis->lock);
    redis->link_count--;
    (void)pthread_cond_signal(&redis->spare);
    (void)pthread_mutex_unlock(&redis->lock);
}

static void give_link(struct redis *redis, struct redis_link *link)
{
    (void)pthread_mutex_lock(&redis->lock);
    bool current = link->generation == redis->generation;
    if (current) {
        link->next = redis->idle;
        redis->idle = link;
        (void)pthread_cond_signal(&redis->spare);
    }
    (void)pthread_mutex_unlock(&redis->lock);
    if (!current) {
        drop_link(redis, link);
    }
}

/* An idle link, or with NULL the place of a new one, once there is room. ERR_BUSY after the
 * timeout. */
static int claim_link(struct redis *redis, struct redis_link **ret_link)
{
    const struct timespec end = clock_monotonic_after(redis->address.timeout_ms);
    int error = 0;
    (void)pthread_mutex_lock(&redis->lock);
    while (redis->idle == NULL && redis->link_count >= LINKS_MAX && error == 0) {
        error = pthread_cond_timedwait(&redis->spare, &redis->lock, &end) != 0 ? ERR_BUSY : 0;
    }
    if (redis->idle != NULL) {
        error = 0;
        *ret_link = redis->idle;
        redis->idle = redis->idle->next;
    } else if (error == 0) {
        redis->link_count++;
        *ret_link = NULL;
    }
    (void)pthread_mutex_unlock(&redis->lock);
    return error;
}

int redis_open_link(struct redis *redis, struct redis_link **ret_link, struct problem *problem)
{
    (void)pthread_mutex_lock(&redis->lock);
    struct redis_place place = redis->primary;
    uint64_t generation = redis->generation;
    (void)pthread_mutex_unlock(&redis->lock);
    if (place.port == 0) {
        return problem_set(problem, ERR_UNAVAILABLE, "no Sentinel has named the primary \"%s\" yet",
                           redis->address.sentinel);
    }
    int error = redis_link_open(&redis->address, &place, ret_link, problem);
    if (error == 0) {
        (*ret_link)->generation = generation;
    }
    return error;
}

bool redis_link_is_current(struct redis *redis, const struct redis_link *link)
{
    (void)pthread_mutex_lock(&redis->lock);
    bool current = link->generation == redis->generation;
    (void)pthread_mutex_unlock(&redis->lock);
    return current;
}

/* A link that works as far as one can see without asking. */
static int take_link(struct redis *redis, struct redis_link **ret_link, struct problem *problem)
{
    for (;;) {
        struct redis_link *link = NULL;
        int error = claim_link(redis, &link);
        if (error != 0) {
            return error;
        }
        if (link != NULL && redis_link_is_current(redis, link) && redis_link_is_quiet(link)) {
            *ret_link = link;
            return 0;
        }
        if (link != NULL) {
            if (redis_link_is_current(redis, link)) {
                redis_next_epoch(redis); /* closed from the other side */
            }
            drop_link(redis, link);
            continue;
        }
        error = redis_open_link(redis, ret_link, problem);
        if (error != 0) {
            drop_link(redis, NULL);
        }
        return error;
    }
}

int redis_dial(struct redis *redis, struct redis_link **ret_link)
{
    struct problem problem = {0};
    return atomic_load(&redis->up) ? redis_open_link(redis, ret_link, &problem) : ERR_UNAVAILABLE;
}

/* ---- calls ---- */

/* One command over one link. What an answer of kind error says is the result. */
static int exchange(struct redis_link *link, const char *command, size_t length,
                    redisReply **ret_reply)
{
    redisReply *reply = NULL;
    if (redisAppendFormattedCommand(link->context, command, length) != REDIS_OK) {
        return ERR_NO_MEMORY;
    }
    if (redisGetReply(link->context, (void **)&reply) != REDIS_OK) {
        return link->context->err == REDIS_ERR_OOM ? ERR_NO_MEMORY : ERR_UNAVAILABLE;
    }
    int error = redis_answer_error(reply);
    if (error != 0 || ret_reply == NULL) {
        freeReplyObject(reply);
        return error;
    }
    *ret_reply = reply;
    return 0;
}

/* A link that failed: what was said over it may be lost. */
static void lose_link(struct redis *redis, struct redis_link *link)
{
    struct problem problem = {0};
    (void)pthread_mutex_lock(&redis->lock);
    struct redis_place place = redis->primary;
    (void)pthread_mutex_unlock(&redis->lock);
    (void)redis_link_broken(link, &place, &problem);
    redis_keep_words(redis, &problem);
    redis_next_epoch(redis);
    drop_link(redis, link);
}

static int call_over(struct redis *redis, const char *command, size_t length,
                     redisReply **ret_reply)
{
    struct redis_link *link = NULL;
    struct problem problem = {0};
    int error = take_link(redis, &link, &problem);
    if (error != 0) {
        if (error != ERR_BUSY) {
            redis_keep_words(redis, &problem);
            redis_wake_minder(redis);
        }
        return error;
    }
    error = exchange(link, command, length, ret_reply);
    if (error == ERR_UNAVAILABLE) {
        redis_wake_minder(redis); /* it may have become a replica */
    }
    if (link->context->err == 0) {
        give_link(redis, link);
    } else {
        lose_link(redis, link);
    }
    return error;
}

static int call(struct redis *redis, const char *command, size_t length, redisReply **ret_reply)
{
    assert(redis->magic == REDIS_MAGIC);
    struct breaker_pass pass;
    if (!atomic_load(&redis->up) || breaker_enter(redis->breaker, &pass) != 0) {
        metric_add(redis->metrics.refused, 1);
        return ERR_UNAVAILABLE;
    }
    int64_t began_us = clock_monotonic_us();
    int error = call_over(redis, command, length, ret_reply);
    enum breaker_outcome outcome = error == ERR_BUSY ? BREAKER_NEUTRAL : breaker_outcome(error);
    breaker_leave(redis->breaker, &pass, outcome);
    metric_add(redis->metrics.calls, 1);
    metric_add(redis->metrics.failed, error != 0 && error != ERR_NOT_FOUND);
    metric_observe_us(redis->metrics.seconds, clock_monotonic_us() - began_us);
    if (outcome == BREAKER_FAILED) {
        struct breaker_view view;
        breaker_look(redis->breaker, &view);
        if (view.state != BREAKER_CLOSED) {
            atomic_store(&redis->up, false);
            redis_wake_minder(redis);
        }
    }
    return error;
}

int redis_ask(struct redis *redis, struct redisReply **ret_reply, const char *format, ...)
{
    char *command = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = redisvFormatCommand(&command, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return ERR_NO_MEMORY;
    }
    int error = call(redis, command, (size_t)length, ret_reply);
    redisFreeCommand(command);
    return error;
}

int redis_ask_words(struct redis *redis, struct redisReply **ret_reply,
                    const struct redis_words *words)
{
    char *command = NULL;
    int length = redisFormatCommandArgv(&command, (int)words->count, words->words, words->lengths);
    if (length < 0) {
        return ERR_NO_MEMORY;
    }
    int error = call(redis, command, (size_t)length, ret_reply);
    redisFreeCommand(command);
    return error;
}

static void script_sha(const char *text, char out[2 * SHA1_DIGEST_SIZE + 1])
{
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx context;
    sha1_init(&context);
    sha1_update(&context, strlen(text), (const uint8_t *)text);
    sha1_digest(&context, sizeof digest, digest);
    (void)sodium_bin2hex(out, 2 * SHA1_DIGEST_SIZE + 1, digest, sizeof digest);
}

enum { SCRIPT_WORDS_MAX = 1024 };

int redis_run(struct redis *redis, struct redisReply **ret_reply, const struct redis_script *script,
              unsigned key_count, const struct redis_words *words)
{
    assert(words->count + 3 <= SCRIPT_WORDS_MAX && key_count <= words->count);
    const char *texts[SCRIPT_WORDS_MAX];
    size_t lengths[SCRIPT_WORDS_MAX];
    char sha[2 * SHA1_DIGEST_SIZE + 1], keys[16];
    script_sha(script->text, sha);
    (void)snprintf(keys, sizeof keys, "%u", key_count);
    texts[0] = "EVALSHA", lengths[0] = 7;
    texts[1] = sha, lengths[1] = sizeof sha - 1;
    texts[2] = keys, lengths[2] = strlen(keys);
    for (unsigned i = 0; i < words->count; i++) {
        texts[3 + i] = words->words[i];
        lengths[3 + i] = words->lengths[i];
    }
    const struct redis_words all = {texts, lengths, words->count + 3};
    int error = redis_ask_words(redis, ret_reply, &all);
    if (error == ERR_NOT_FOUND) {
        texts[0] = "EVAL", lengths[0] = 4;
        texts[1] = script->text, lengths[1] = strlen(script->text);
        error = redis_ask_words(redis, ret_reply, &all);
    }
    return error;
}
