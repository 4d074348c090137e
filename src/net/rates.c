/* Rate limits (rates.h).
 *
 * The table has sets of WAYS places. A key lives in the set its hash names. If all places of a set
 * are taken by buckets that are not full, the one that is closest to full is forgotten: under a
 * flood of keys the table errs towards letting through, never towards growing.
 */
#include "net/rates.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { WAYS = 4, MINUTE_US = 60 * 1000 * 1000 };

struct place {
    _Atomic uint64_t key;    /* 0: never used */
    _Atomic int64_t full_us; /* when the bucket is full again */
};

struct rates {
    uint64_t set_mask;
    struct place places[];
};

struct rates *rates_new(unsigned entries)
{
    uint64_t sets = 1;
    while (sets * WAYS < entries) {
        sets *= 2;
    }
    struct rates *rates = calloc(1, sizeof *rates + sets * WAYS * sizeof(struct place));
    if (rates != NULL) {
        rates->set_mask = sets - 1;
    }
    return rates;
}

void rates_free(struct rates *rates)
{
    free(rates);
}

/* The key's place, taken from the fullest bucket of the set when it has none. */
static struct place *find(struct rates *rates, uint64_t key)
{
    key = key != 0 ? key : 1;
    struct place *set = &rates->places[((key >> 20) & rates->set_mask) * WAYS];
    struct place *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) {
            return &set[i];
        }
        if (atomic_load_explicit(&set[i].full_us, memory_order_relaxed) <
            atomic_load_explicit(&oldest->full_us, memory_order_relaxed)) {
            oldest = &set[i];
        }
    }
    atomic_store_explicit(&oldest->key, key, memory_order_relaxed);
    atomic_store_explicit(&oldest->full_us, 0, memory_order_relaxed);
    return oldest;
}

static unsigned seconds_up(int64_t us)
{
    return us > 0 ? (unsigned)((us + 999999) / 1000000) : 0;
}

static struct rate_verdict judge(int64_t full_us, int64_t now_us, int64_t interval_us,
                                 unsigned burst, bool *ret_allowed)
{
    int64_t debt_us = full_us > now_us ? full_us - now_us : 0;
    int64_t room_us = interval_us * burst - debt_us;
    *ret_allowed = room_us >= interval_us;
    return (struct rate_verdict){.limited = true,
                                 .allowed = *ret_allowed,
                                 .limit = burst,
                                 .remaining = room_us > 0 ? (unsigned)(room_us / interval_us) : 0,
                                 .reset_s = seconds_up(debt_us),
                                 .retry_after_s = seconds_up(interval_us - room_us)};
}

struct rate_verdict rates_take(struct rates *rates, uint64_t key, unsigned per_minute,
                               unsigned burst, int64_t now_us)
{
    if (per_minute == 0) {
        return (struct rate_verdict){.allowed = true};
    }
    burst = burst > 0 ? burst : 1;
    int64_t interval_us = MINUTE_US / per_minute > 0 ? MINUTE_US / per_minute : 1;
    struct place *place = find(rates, key);
    int64_t full_us = atomic_load_explicit(&place->full_us, memory_order_relaxed);
    for (;;) {
        bool allowed;
        struct rate_verdict verdict = judge(full_us, now_us, interval_us, burst, &allowed);
        if (!allowed) {
            return verdict;
        }
        int64_t after_us = (full_us > now_us ? full_us : now_us) + interval_us;
        if (atomic_compare_exchange_weak_explicit(&place->full_us, &full_us, after_us,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            verdict.remaining--;
            verdict.reset_s = seconds_up(after_us - now_us);
            return verdict;
        }
    }
}
