/* When to ask a second time (hedge.h).
 *
 * Times are counted in buckets of an eighth of a power of two, so that a percentile is right to an
 * eighth whatever its size. When there are KEPT notes all counts are halved: older answers fade.
 */
#include "base/hedge.h"

#include <string.h>

enum { KEPT = 2048, KNOWN_MIN = 100, EACH = 32, CREDIT_MAX = 10 * 100, PARTS_SHIFT = 3 };

/* 0 … 7 us one by one, then eight buckets for each power of two. */
static unsigned bucket_of(int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;
    if (value < 1U << PARTS_SHIFT) {
        return (unsigned)value;
    }
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    unsigned part = (unsigned)(value >> (power - PARTS_SHIFT)) & ((1U << PARTS_SHIFT) - 1);
    unsigned bucket = ((power - PARTS_SHIFT + 1) << PARTS_SHIFT) + part;
    return bucket < HEDGE_BUCKETS ? bucket : HEDGE_BUCKETS - 1;
}

/* The first time behind a bucket. */
static int64_t end_of(unsigned bucket)
{
    if (bucket < 1U << PARTS_SHIFT) {
        return bucket + 1;
    }
    unsigned power = (bucket >> PARTS_SHIFT) + PARTS_SHIFT - 1;
    int64_t part = bucket & ((1U << PARTS_SHIFT) - 1);
    return ((INT64_C(1) << PARTS_SHIFT) + part + 1) << (power - PARTS_SHIFT);
}

void hedge_init(struct hedge *hedge, int64_t least_us)
{
    memset(hedge, 0, sizeof *hedge);
    pthread_mutex_init(&hedge->lock, NULL);
    hedge->least_us = least_us;
    hedge->after_us = INT64_MAX;
}

void hedge_done(struct hedge *hedge)
{
    pthread_mutex_destroy(&hedge->lock);
}

/* Under the lock. */
static void halve(struct hedge *hedge)
{
    hedge->count = 0;
    for (unsigned i = 0; i < HEDGE_BUCKETS; i++) {
        hedge->buckets[i] /= 2;
        hedge->count += hedge->buckets[i];
    }
}

/* Under the lock. */
static int64_t percentile(const struct hedge *hedge)
{
    uint64_t below = 0, wanted = (uint64_t)hedge->count * HEDGE_QUANTILE / 100;
    unsigned bucket = 0;
    for (; bucket < HEDGE_BUCKETS - 1; bucket++) {
        below += hedge->buckets[bucket];
        if (below >= wanted) {
            break;
        }
    }
    int64_t us = end_of(bucket);
    return us > hedge->least_us ? us : hedge->least_us;
}

int64_t hedge_after_us(struct hedge *hedge)
{
    pthread_mutex_lock(&hedge->lock);
    int64_t after_us = hedge->after_us;
    pthread_mutex_unlock(&hedge->lock);
    return after_us;
}

bool hedge_take(struct hedge *hedge)
{
    pthread_mutex_lock(&hedge->lock);
    bool may = hedge->credit >= 100;
    hedge->credit -= may ? 100 : 0;
    pthread_mutex_unlock(&hedge->lock);
    return may;
}

void hedge_note(struct hedge *hedge, int64_t took_us)
{
    pthread_mutex_lock(&hedge->lock);
    hedge->credit += hedge->credit + HEDGE_PERCENT <= CREDIT_MAX ? HEDGE_PERCENT : 0;
    hedge->buckets[bucket_of(took_us)]++;
    if (++hedge->count >= KEPT) {
        halve(hedge);
    }
    if (++hedge->since >= EACH && hedge->count >= KNOWN_MIN) {
        hedge->since = 0;
        hedge->after_us = percentile(hedge);
    }
    pthread_mutex_unlock(&hedge->lock);
}
