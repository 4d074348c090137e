/* Hedged reads: what has not been answered for longer than nearly all others is asked a second
 * time, elsewhere, and the first answer counts (J. Dean, L. A. Barroso, "The Tail at Scale", CACM
 * 56(2), 2013). This knows when to ask again and whether it may; asking is the engine's.
 *
 * When: after the 95th percentile of the last thousand or so answers, but not before least_us,
 * where a second question would cost more than it saves. Whether: every answer earns 5 % of a
 * second question, and no more than ten are saved up, so a server that is slow as a whole is not
 * asked twice as much.
 *
 * Any thread; a mutex that is held for nanoseconds.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { HEDGE_PERCENT = 5, HEDGE_QUANTILE = 95, HEDGE_BUCKETS = 160 };

struct hedge {
    pthread_mutex_t lock;
    int64_t least_us, after_us;
    unsigned credit;       /* in hundredths of a question */
    unsigned count, since; /* notes in the buckets; since after_us was worked out */
    uint32_t buckets[HEDGE_BUCKETS];
};

void hedge_init(struct hedge *hedge, int64_t least_us);
void hedge_done(struct hedge *hedge);
/* How long to wait for the first answer; INT64_MAX while too little is known. */
int64_t hedge_after_us(struct hedge *hedge);
/* Whether a second question may be asked now; it is then spent. */
bool hedge_take(struct hedge *hedge);
/* A question was answered, by whomever, after took_us. */
void hedge_note(struct hedge *hedge, int64_t took_us);
