/* How often each track's addresses are given out: counted on the loops, written in batches. Not
 * plays: nobody has said yet that anything was heard. It tells which tracks edges should have.
 * Any thread; the lock is held for a few instructions. */
#pragma once

#include <stdint.h>

struct answers;
struct db;

enum { ANSWERS_DAYS_TOP = 7, ANSWERS_DAYS_KEPT = 30 };

int answers_new(struct answers **ret_answers);
void answers_free(struct answers *answers); /* NULL is fine */
/* Never blocks. NULL is fine. */
void answers_count(struct answers *answers, int64_t track_id);
/* Adds what was counted to the day's rows. What can't be written is lost. */
int answers_write(struct answers *answers, struct db *db, int64_t now_ms);
