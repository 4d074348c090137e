/* Redis 7, for what processes share and can do without: the cache's second level, rate limits,
 * notices (revocations), whose write was last. Its loss slows the platform and breaks nothing, so
 * every call has a way out: it fails at once while Redis is known to be away, else within the
 * address's timeout, and the caller goes on alone.
 *
 *   callers ──► calls: a pool of links ──────────────► primary
 *                 ▲ refused while the breaker is open
 *   minder ───────┘ one thread: looks every second, asks the Sentinels, probes, names the primary
 *
 * An epoch is a time in which nothing was lost that was acknowledged: a lost connection, a new
 * primary or an outage begins the next one, because a replica that became the primary may lack the
 * last writes of the one before.
 *
 * Calls may block for the timeout, so never on a loop thread. Any other thread.
 */
#pragma once

#include "backend/redis/redis_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problem;
struct redis;
struct redis_link;
struct redisReply; /* hiredis' */

/* Connects once. A Redis that is not there is no error: the minder goes on looking. ERR_INVALID,
 * ERR_FORBIDDEN: an address that does not parse, a wrong password, something else than Redis 7;
 * one line of words, without the password. */
int redis_open(const char *url, struct redis **ret_redis, struct problem *problem);
void redis_close(struct redis *redis); /* nobody calls any more; NULL is fine */

/* One command, one round trip. The format is hiredis': %s, %b with a size_t, %u, %lld. 0 with its
 * answer, which is never one of kind error (redis_reply_free; NULL where it is not wanted);
 * ERR_UNAVAILABLE, ERR_BUSY: go on without; ERR_FORBIDDEN: an ACL lacks it. */
int redis_ask(struct redis *redis, struct redisReply **ret_reply, const char *format, ...);
struct redis_words {
    const char **words;
    const size_t *lengths;
    unsigned count;
};
int redis_ask_words(struct redis *redis, struct redisReply **ret_reply,
                    const struct redis_words *words);
/* A Lua script, known to Redis by its SHA-1, sent again where Redis has forgotten it. The first
 * key_count words are keys. Scripts are static; text is a literal. */
struct redis_script {
    const char *text;
};
int redis_run(struct redis *redis, struct redisReply **ret_reply, const struct redis_script *script,
              unsigned key_count, const struct redis_words *words);
void redis_reply_free(struct redisReply *reply); /* NULL is fine */
static inline void redis_reply_free_p(struct redisReply **reply)
{
    redis_reply_free(*reply);
}
#define REDIS_REPLY struct redisReply __attribute__((cleanup(redis_reply_free_p))) *

uint64_t redis_epoch(struct redis *redis);
int64_t redis_epoch_age_ms(struct redis *redis); /* since it began, or since redis_open */
const struct redis_address *redis_address(const struct redis *redis);
/* True while calls go through; else why, in words of one line. Never blocks. */
bool redis_is_up(struct redis *redis, struct problem *problem);

/* A link of one's own to the primary, for a subscription (redis_link.h). Errors as redis_ask. */
int redis_dial(struct redis *redis, struct redis_link **ret_link);
/* True while the primary is still the one that the link leads to. */
bool redis_link_is_current(struct redis *redis, const struct redis_link *link);
