/* The inside of the client, as redis.c (opening), redis_calls.c and redis_minder.c see it.
 *
 * Locks: `lock` guards the idle links, the primary, the words of the last failure; it is never held
 * over a round trip. wake_lock is the minder's bed. The breaker has its own.
 */
#pragma once

#include "backend/redis/redis.h"
#include "backend/redis/redis_link.h"
#include "base/problem.h"

#include <pthread.h>
#include <stdatomic.h>

struct breaker;
struct metric;

enum { REDIS_MAGIC = 0x72656469 };

struct redis {
    unsigned magic; /* REDIS_MAGIC */
    struct redis_address address;
    struct breaker *breaker;
    _Atomic bool up;
    _Atomic uint64_t epoch;
    _Atomic int64_t epoch_ms; /* when it began */

    pthread_mutex_t lock;
    pthread_cond_t spare; /* a link came back */
    struct redis_link *idle;
    unsigned link_count; /* idle and in use */
    struct redis_place primary;
    uint64_t generation; /* of the primary */
    struct problem problem;

    pthread_t minder;
    bool minding;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    bool news, ending; /* under wake_lock */
    unsigned sentinel_hint;
    unsigned address_turn, address_count; /* of the primary's name */
    struct redis_link *own;               /* the minder's */

    struct {
        struct metric *calls, *failed, *refused, *seconds, *epochs;
    } metrics;
};

void redis_next_epoch(struct redis *redis);
void redis_keep_words(struct redis *redis, const struct problem *problem);
void redis_wake_minder(struct redis *redis);
/* A new link to the primary. */
int redis_open_link(struct redis *redis, struct redis_link **ret_link, struct problem *problem);
/* One look: who is the primary, and does it answer as one? On the minder's thread, or before it. */
int redis_look(struct redis *redis, struct problem *problem);
/* The minder's thread, until ending. */
void *redis_mind(void *redis);
