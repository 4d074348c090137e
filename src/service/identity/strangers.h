/* Addresses that bring access tokens which don't verify: the owner of each (of IPv6 the /64) may
 * cost us 20 signature checks a second (about 1 ms of a core), then its unknown tokens are refused
 * unread. Tokens that are cached are not touched by this. Lock-free, bounded; two addresses may
 * share a row. Loop threads. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct strangers;

enum { STRANGER_CHECKS_PER_SECOND = 20 };

int strangers_new(struct strangers **ret_strangers);
void strangers_free(struct strangers *strangers); /* NULL is fine */
bool strangers_may_try(struct strangers *strangers, const char *address, int64_t now_ms);
void strangers_failed(struct strangers *strangers, const char *address, int64_t now_ms);
