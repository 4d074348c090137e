/* Rate limits: token buckets in memory of a fixed size, lock-free, any thread.
 *
 * A bucket is one number, the time at which it would be full again (the generic cell rate
 * algorithm: ITU-T I.371, with the theoretical arrival time kept). A bucket whose time has passed
 * is full and its place is free, so nothing is ever swept. Several processes share their buckets
 * by telling each other what they took (rates_join); each decides by what it knows.
 *
 * Limits tighten as the queue's delay rises (rates_share): a request then costs more of the bucket,
 * which refills as before. So rate, burst and what is left shrink together and grow back together,
 * and nobody gains by a change in between.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rates;

/* Requests a minute, 0: no limit; and how many at once. */
struct rate {
    unsigned per_minute, burst;
};

struct rate_verdict {
    bool limited; /* a limit applies at all */
    bool allowed;
    unsigned limit; /* the burst: most requests at once */
    unsigned remaining;
    unsigned reset_s; /* until the bucket is full again */
    unsigned retry_after_s;
};

enum { RATES_WHOLE = 1024 }; /* the share that is all of a limit */

/* What is left of limits, of RATES_WHOLE: all of them while the delay is at most full_us; beyond,
 * full_us / delay, so that twice the delay lets in half (what lets a queue, whose length is rate
 * times delay, return to full_us); never less than an eighth. full_us 0: always all. */
unsigned rates_share(int64_t full_us, int64_t delay_us);

/* entries: how many buckets are remembered at once, rounded up to a power of two. Memory is taken
 * from the system only as buckets are used. NULL: out of memory. */
struct rates *rates_new(unsigned entries);
void rates_free(struct rates *rates);
/* Takes one token from key's bucket. share: of rates_share. now_us: the monotonic clock. */
struct rate_verdict rates_take(struct rates *rates, uint64_t key, const struct rate *rate,
                               unsigned share, int64_t now_us);

/* What was taken from a bucket here since the last exchange, and what it lacks in all. */
struct rates_spent {
    uint64_t key;
    int64_t spent_us;
    int64_t debt_us; /* out: how long from now until it is full, by what all processes took */
};
enum { RATES_EXCHANGE_MAX = 256 };
/* Adds what was spent to the shared buckets and fills in their debts: one round trip. May block; 0
 * or an error, after which it is tried again. */
typedef int rates_exchange(void *context, struct rates_spent *spent, unsigned count);
/* From now on these buckets are shared, by a thread that calls exchange (rates_shared.c). Until
 * rates_free. */
int rates_join(struct rates *rates, rates_exchange *exchange, void *context);
