/* One connection to a Redis or a Sentinel: opened, logged in, its database chosen, its kind looked
 * at. Blocking, with the address's timeout on every read and write. One thread at a time. Shared by
 * the files of this folder.
 */
#pragma once

#include "backend/redis/redis_address.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

struct redis_link {
    redisContext *context;
    uint64_t generation; /* of the primary it leads to (redis.c) */
    struct redis_link *next;
};

/* What a login is refused for is ERR_FORBIDDEN, something else than Redis 7 or its replica
 * ERR_INVALID or ERR_UNAVAILABLE (a replica: it may become the primary in a moment). */
int redis_link_open(const struct redis_address *address, const struct redis_place *place,
                    struct redis_link **ret_link, struct problem *problem);
void redis_link_close(struct redis_link *link); /* NULL is fine */
/* True while the other side has neither closed it nor said what nobody asked for. */
bool redis_link_is_quiet(const struct redis_link *link);
/* It still leads to a primary that can be written to. */
int redis_link_check(struct redis_link *link, const struct redis_place *place,
                     struct problem *problem);

/* The words of a link whose connection failed; returns ERR_UNAVAILABLE, or ERR_INVALID for what is
 * no Redis. */
int redis_link_broken(const struct redis_link *link, const struct redis_place *place,
                      struct problem *problem);

/* Asks the address's Sentinels, the one at *hint first, for the primary; *hint becomes the one that
 * knew it. ERR_UNAVAILABLE: none knows. */
int redis_sentinel_ask(const struct redis_address *address, unsigned *hint,
                       struct redis_place *ret_primary, struct problem *problem);

/* 0, or what an answer of kind error says: ERR_FORBIDDEN, ERR_UNAVAILABLE (not now, or not here),
 * ERR_INTERNAL. */
int redis_answer_error(const redisReply *reply);
