/* The tracks that were deleted while tokens for them may live: their media stops at once in every
 * process that knows. A small set of ids; entries leave after the grace. Any thread; the lock is
 * held for a few instructions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { GONE_MAX = 1 << 20 }; /* beyond it the oldest are forgotten; tokens then end by themselves */

struct gone_set;

struct gone_set *gone_new(void);
void gone_free(struct gone_set *set);
/* now_ms: when it was deleted. */
void gone_add(struct gone_set *set, int64_t track_id, int64_t now_ms);
bool gone_has(struct gone_set *set, int64_t track_id);
