/* Rate limits: token buckets in memory of a fixed size, lock-free, any thread.
 *
 * A bucket is one number, the time at which it would be full again (the generic cell rate
 * algorithm: ITU-T I.371, with the theoretical arrival time kept). A bucket whose time has passed
 * is full and its place is free, so nothing is ever swept. A store shared by several processes
 * takes this one's place behind rates_take.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rates;

struct rate_verdict {
    bool limited; /* a limit applies at all */
    bool allowed;
    unsigned limit; /* the burst: most requests at once */
    unsigned remaining;
    unsigned reset_s; /* until the bucket is full again */
    unsigned retry_after_s;
};

/* entries: how many buckets are remembered at once, rounded up to a power of two. Memory is taken
 * from the system only as buckets are used. NULL: out of memory. */
struct rates *rates_new(unsigned entries);
void rates_free(struct rates *rates);
/* Takes one token from key's bucket of burst tokens, refilled at per_minute. per_minute 0: no
 * limit. now_us: the monotonic clock. */
struct rate_verdict rates_take(struct rates *rates, uint64_t key, unsigned per_minute,
                               unsigned burst, int64_t now_us);
