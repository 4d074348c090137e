/* Whose write was last: the position of a user's newest write in each database, so that a process
 * which has not heard of it by Tutti-Seen still reads it back from a replica that has it. Kept for
 * SEEN_MS, longer than any replica that is asked may lag. May block for a round trip; not on loop
 * threads. */
#pragma once

#include <stdint.h>

struct redis;

enum { SEEN_MS = 60000 };

/* After a write was committed. database: its word ("catalog"). Positions only grow: of two writes
 * told in the wrong order the later one stays. A failure is no error here: seen_ask then says so.
 */
int seen_note(struct redis *redis, const char *database, int64_t user_id, int64_t position);
/* 0 with the position (0: the user has not written for SEEN_MS), else ERR_UNAVAILABLE and the like:
 * it is not known, so ask the primary. A NULL redis knows nothing. */
int seen_ask(struct redis *redis, const char *database, int64_t user_id, int64_t *ret_position);
