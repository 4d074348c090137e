/* Rate limits (rates.h).
 *
 * The table has sets of WAYS places. A key lives in the set its hash names. If all places of a set
 * are taken by buckets that are not full, the one that is closest to full is forgotten: under a
 * flood of keys the table errs towards letting through, never towards growing.
 */
#include "net/rates.h"

#include "net/rates_places.h"

#include <assert.h>
#include <stdlib.h>

enum { WAYS = 4, MINUTE_US = 60 * 1000 * 1000, SHARE_LEAST = RATES_WHOLE / 8 };

struct rates *rates_new(unsigned entries)
{
    uint64_t sets = 1;
    while (sets * WAYS < entries) {
        sets *= 2;
    }
    struct rates *rates = calloc(1, sizeof *rates + sets * WAYS * sizeof(struct rates_place));
    if (rates != NULL) {
        rates->set_mask = sets - 1;
        rates->place_count = (uint32_t)(sets * WAYS);
    }
    return rates;
}

void rates_free(struct rates *rates)
{
    if (rates != NULL) {
        rates_part(rates);
        free(rates);
    }
}

/* The key's place, taken from the fullest bucket of the set when it has none. */
static struct rates_place *find(struct rates *rates, uint64_t key)
{
    key = key != 0 ? key : 1;
    struct rates_place *set = &rates->places[((key >> 20) & rates->set_mask) * WAYS];
    struct rates_place *oldest = set;
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
    if (rates->shared != NULL) {
        rates_shared_forget(rates->shared, (uint32_t)(oldest - rates->places));
    }
    return oldest;
}

static unsigned seconds_up(int64_t us)
{
    return us > 0 ? (unsigned)((us + 999999) / 1000000) : 0;
}

/* A bucket in time: it holds holds_us, a request takes cost_us. */
struct bucket {
    int64_t holds_us, cost_us;
};

static struct bucket bucket_of(const struct rate *rate, unsigned share)
{
    int64_t interval_us = MINUTE_US / rate->per_minute > 0 ? MINUTE_US / rate->per_minute : 1;
    int64_t holds_us = interval_us * (rate->burst > 0 ? rate->burst : 1);
    int64_t cost_us = interval_us * RATES_WHOLE / share;
    return (struct bucket){holds_us, cost_us < holds_us ? cost_us : holds_us};
}

static struct rate_verdict judge(const struct bucket *bucket, int64_t full_us, int64_t now_us)
{
    int64_t debt_us = full_us > now_us ? full_us - now_us : 0;
    int64_t room_us = bucket->holds_us - debt_us;
    return (struct rate_verdict){
        .limited = true,
        .allowed = room_us >= bucket->cost_us,
        .limit = (unsigned)(bucket->holds_us / bucket->cost_us),
        .remaining = room_us > 0 ? (unsigned)(room_us / bucket->cost_us) : 0,
        .reset_s = seconds_up(debt_us),
        .retry_after_s = seconds_up(bucket->cost_us - room_us),
    };
}

struct rate_verdict rates_take(struct rates *rates, uint64_t key, const struct rate *rate,
                               unsigned share, int64_t now_us)
{
    if (rate->per_minute == 0) {
        return (struct rate_verdict){.allowed = true};
    }
    assert(share > 0 && share <= RATES_WHOLE);
    struct bucket bucket = bucket_of(rate, share);
    struct rates_place *place = find(rates, key);
    int64_t full_us = atomic_load_explicit(&place->full_us, memory_order_relaxed);
    for (;;) {
        struct rate_verdict verdict = judge(&bucket, full_us, now_us);
        if (!verdict.allowed) {
            return verdict;
        }
        int64_t after_us = (full_us > now_us ? full_us : now_us) + bucket.cost_us;
        if (atomic_compare_exchange_weak_explicit(&place->full_us, &full_us, after_us,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            if (rates->shared != NULL) {
                rates_shared_note(rates->shared, (uint32_t)(place - rates->places), bucket.cost_us);
            }
            verdict.remaining--;
            verdict.reset_s = seconds_up(after_us - now_us);
            return verdict;
        }
    }
}

unsigned rates_share(int64_t full_us, int64_t delay_us)
{
    if (full_us == 0 || delay_us <= full_us) {
        return RATES_WHOLE;
    }
    int64_t share = full_us * RATES_WHOLE / delay_us;
    return share > SHARE_LEAST ? (unsigned)share : SHARE_LEAST;
}
