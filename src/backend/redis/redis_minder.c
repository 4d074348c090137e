/* The minder (redis.h): one thread that knows whether Redis is there, and who is the primary.
 *
 * Names are resolved here and nowhere else, so that no call waits for a name server. Of several
 * addresses the next is tried where one fails, and one that works is kept.
 */
#include "backend/redis/redis_inside.h"
#include "base/breaker.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { LOOK_MS = 1000 }; /* while all is well */

static void name_primary(struct redis *redis, const struct redis_place *place)
{
    (void)pthread_mutex_lock(&redis->lock);
    bool changed =
        place->port != redis->primary.port || strcmp(place->host, redis->primary.host) != 0;
    if (changed) {
        redis->primary = *place;
        redis->generation++;
    }
    (void)pthread_mutex_unlock(&redis->lock);
    if (changed) {
        redis_next_epoch(redis);
    }
}

/* The address of a name whose turn it is; that of the primary that was, while we have a link there.
 */
static int choose(struct redis *redis, const struct addrinfo *found, struct redis_place *place)
{
    char host[NI_MAXHOST];
    unsigned count = 0, at = 0;
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        count++;
    }
    redis->address_count = count;
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next, at++) {
        int failed =
            getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
        if (failed != 0) {
            return failed;
        }
        bool linked = redis->own != NULL && redis->primary.port == place->port &&
                      strcmp(host, redis->primary.host) == 0;
        if (linked || at == redis->address_turn % count) {
            (void)text_copy(place->host, sizeof place->host, host);
        }
        if (linked) {
            return 0;
        }
    }
    return 0;
}

/* The place with a numeric address. */
static int resolve(struct redis *redis, struct redis_place *place, struct problem *problem)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(place->host, NULL, &hints, &found);
    if (failed != 0) {
        return problem_set(problem, ERR_UNAVAILABLE, "the name of Redis, %s, is not known: %s",
                           place->host, gai_strerror(failed));
    }
    failed = choose(redis, found, place);
    freeaddrinfo(found);
    return failed == 0 ? 0 : problem_set(problem, ERR_INTERNAL, "%s", gai_strerror(failed));
}

static int look_for_primary(struct redis *redis, struct problem *problem)
{
    struct redis_place place = redis->address.places[0];
    int error = redis->address.sentinel[0] != '\0'
                    ? redis_sentinel_ask(&redis->address, &redis->sentinel_hint, &place, problem)
                    : 0;
    error = error != 0 ? error : resolve(redis, &place, problem);
    if (error == 0) {
        name_primary(redis, &place);
    }
    return error;
}

int redis_look(struct redis *redis, struct problem *problem)
{
    int error = look_for_primary(redis, problem);
    if (error != 0 && redis->primary.port != 0) {
        error = 0; /* Sentinels or name servers are away; the primary that was may be there */
    }
    if (error == 0 && redis->own != NULL &&
        (!redis_link_is_current(redis, redis->own) ||
         redis_link_check(redis->own, &redis->primary, problem) != 0)) {
        redis_link_close(TAKE_PTR(redis->own));
        redis_next_epoch(redis);
    }
    if (error == 0 && redis->own == NULL) {
        error = redis_open_link(redis, &redis->own, problem);
        redis->address_turn += error != 0;
    }
    return error;
}

static void tell(struct redis *redis, bool up, const struct problem *problem)
{
    char text[REDIS_TEXT_SIZE];
    redis_place_text(&redis->primary, text);
    if (up) {
        log_event(LOG_INFO, "redis.up", log_text("primary", text));
    } else {
        log_event(LOG_WARNING, "redis.lost", log_text("reason", problem->detail));
    }
}

/* A look that counts for the breaker, as its probe where it is not closed. */
static void look_and_judge(struct redis *redis)
{
    struct breaker_pass pass;
    if (breaker_enter(redis->breaker, &pass) != 0) {
        return; /* its wait is not over */
    }
    struct problem problem = {0};
    int error = redis_look(redis, &problem);
    breaker_leave(redis->breaker, &pass,
                  error == 0               ? BREAKER_OK
                  : error == ERR_NO_MEMORY ? BREAKER_NEUTRAL
                                           : BREAKER_FAILED);
    if (error != 0) {
        redis_keep_words(redis, &problem);
    }
    struct breaker_view view;
    breaker_look(redis->breaker, &view);
    bool up = view.state == BREAKER_CLOSED && (error == 0 || atomic_load(&redis->up));
    if (up != atomic_exchange(&redis->up, up)) {
        redis_next_epoch(redis);
    }
}

/* How long the minder sleeps when nobody wakes it. */
static int64_t pause_ms(struct redis *redis)
{
    struct breaker_view view;
    breaker_look(redis->breaker, &view);
    return view.state == BREAKER_CLOSED ? LOOK_MS : (int64_t)view.next_probe_ms + 1;
}

static bool sleep_until_due(struct redis *redis)
{
    const struct timespec end = clock_monotonic_after(pause_ms(redis));
    (void)pthread_mutex_lock(&redis->wake_lock);
    int late = 0;
    while (!redis->news && !redis->ending && late == 0) {
        late = pthread_cond_timedwait(&redis->wake, &redis->wake_lock, &end);
    }
    redis->news = false;
    bool goes_on = !redis->ending;
    (void)pthread_mutex_unlock(&redis->wake_lock);
    return goes_on;
}

void *redis_mind(void *argument)
{
    struct redis *redis = argument;
    bool told = true;
    do {
        look_and_judge(redis);
        struct problem problem = {0};
        bool up = redis_is_up(redis, &problem);
        if (up != told) {
            tell(redis, up, &problem);
            told = up;
        }
    } while (sleep_until_due(redis));
    return NULL;
}
