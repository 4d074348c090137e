/* Buckets shared by tables (net/rates_shared.c), over a store in memory that can fail. */
#include "net/rates.h"

#include "base/clock.h"
#include "base/error.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum { KEYS = 4096, THREADS = 4 };

/* What Redis does, in short. */
struct store {
    pthread_mutex_t lock;
    int64_t full_us[KEYS];
    int64_t spent_us; /* by all, ever */
    unsigned most;    /* buckets in one exchange */
    _Atomic int calls, failures_left;
};

static int exchange(void *context, struct rates_spent *spent, unsigned count)
{
    struct store *store = context;
    (void)atomic_fetch_add(&store->calls, 1);
    if (atomic_load(&store->failures_left) > 0) {
        (void)atomic_fetch_sub(&store->failures_left, 1);
        return ERR_UNAVAILABLE;
    }
    int64_t now_us = clock_monotonic_us();
    (void)pthread_mutex_lock(&store->lock);
    store->most = count > store->most ? count : store->most;
    for (unsigned i = 0; i < count; i++) {
        int64_t *full_us = &store->full_us[(spent[i].key >> 20) % KEYS];
        assert_true(spent[i].spent_us > 0);
        store->spent_us += spent[i].spent_us;
        *full_us = (*full_us > now_us ? *full_us : now_us) + spent[i].spent_us;
        spent[i].debt_us = *full_us - now_us;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return 0;
}

static struct rate_verdict take(struct rates *rates, uint64_t key, unsigned burst)
{
    const struct rate rate = {1, burst}; /* one a minute: nothing comes back while we look */
    return rates_take(rates, key, &rate, RATES_WHOLE, clock_monotonic_us());
}

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static int64_t spent_us(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    int64_t sum_us = store->spent_us;
    (void)pthread_mutex_unlock(&store->lock);
    return sum_us;
}

/* What refills until it is told is not told. */
static void wait_for_spent(struct store *store, int64_t us)
{
    for (int i = 0; i < 5000 && spent_us(store) < us / 100 * 99; i++) {
        pause_ms(2);
    }
    assert_in_range(spent_us(store), us / 100 * 99, us);
}

enum { MINUTE = 60000000 };

static void what_others_took_is_known(void **state)
{
    (void)state;
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct rates *one = rates_new(64), *other = rates_new(64);
    assert_int_equal(rates_join(one, exchange, &store), 0);
    assert_int_equal(rates_join(other, exchange, &store), 0);
    for (int i = 0; i < 7; i++) {
        assert_true(take(one, 5, 10).allowed);
    }
    wait_for_spent(&store, (int64_t)7 * MINUTE);
    /* Not known there yet: the first is let in blindly, and then it is. */
    assert_true(take(other, 5, 10).allowed);
    wait_for_spent(&store, (int64_t)8 * MINUTE);
    int more = 0;
    for (int i = 0; i < 200; i++) {
        struct rate_verdict verdict = take(other, 5, 10);
        if (!verdict.allowed && verdict.remaining == 0) {
            break;
        }
        more += verdict.allowed;
        pause_ms(10);
    }
    assert_in_range(more, 2, 6); /* 10 in all, and what goes before it is told; alone it were 9 */
    assert_false(take(other, 5, 10).allowed);
    assert_true(take(other, 5, 10).reset_s > 60 * 9);
    rates_free(one);
    rates_free(other);
}

static void a_store_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER, .failures_left = 3};
    struct rates *rates = rates_new(64);
    assert_int_equal(rates_join(rates, exchange, &store), 0);
    for (int i = 0; i < 10; i++) {
        struct rate_verdict verdict = take(rates, 5, 10);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, 9 - i);
    }
    assert_false(take(rates, 5, 10).allowed);
    /* Told once it is back, once. */
    for (int i = 0; i < 5000 && spent_us(&store) == 0; i++) {
        pause_ms(2);
    }
    int64_t told_us = spent_us(&store);
    assert_in_range(told_us, (int64_t)10 * MINUTE - 10 * 1000000, (int64_t)10 * MINUTE);
    assert_false(take(rates, 5, 10).allowed);
    rates_free(rates);
    assert_int_equal(spent_us(&store), told_us);
}

struct taker {
    struct rates *rates;
    pthread_t thread;
    unsigned seed;
    int taken;
};

static void *take_many(void *argument)
{
    struct taker *taker = argument;
    for (int i = 0; i < 20000; i++) {
        taker->seed = taker->seed * 1664525 + 1013904223;
        uint64_t key = (uint64_t)(1 + (taker->seed >> 12) % 1000) << 20;
        taker->taken += take(taker->rates, key, 1000).allowed;
    }
    return NULL;
}

/* Whatever threads and the exchange do at once, each token is told exactly once. */
static void nothing_is_told_twice_or_lost(void **state)
{
    (void)state;
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER, .failures_left = 2};
    struct rates *rates = rates_new(64 * 1024);
    struct taker takers[THREADS];
    int taken = 0;
    assert_int_equal(rates_join(rates, exchange, &store), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){.rates = rates, .seed = i};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_many, &takers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(takers[i].thread, NULL);
        taken += takers[i].taken;
    }
    assert_int_equal(taken, THREADS * 20000);
    wait_for_spent(&store, (int64_t)taken * MINUTE);
    pause_ms(50);
    wait_for_spent(&store, (int64_t)taken * MINUTE);
    assert_true(store.most <= RATES_EXCHANGE_MAX);
    assert_true(atomic_load(&store.calls) < taken);
    rates_free(rates);
}

static void a_table_nobody_uses_tells_nothing(void **state)
{
    (void)state;
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct rates *rates = rates_new(64);
    assert_int_equal(rates_join(rates, exchange, &store), 0);
    pause_ms(20);
    rates_free(rates);
    assert_int_equal(atomic_load(&store.calls), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_took_is_known),
        cmocka_unit_test(a_store_that_fails_changes_nothing),
        cmocka_unit_test(nothing_is_told_twice_or_lost),
        cmocka_unit_test(a_table_nobody_uses_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
