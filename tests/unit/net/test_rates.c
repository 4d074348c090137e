/* Token buckets. */
#include "net/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { SECOND_US = 1000000 };

static struct rate_verdict take(struct rates *rates, uint64_t key, unsigned per_minute,
                                unsigned burst, int64_t now_us)
{
    struct rate rate = {per_minute, burst};
    return rates_take(rates, key, &rate, RATES_WHOLE, now_us);
}

static void buckets_empty_and_refill(void **state)
{
    (void)state;
    struct rates *rates = rates_new(64);
    int64_t now_us = 5 * SECOND_US;
    for (unsigned i = 0; i < 5; i++) {
        struct rate_verdict verdict = take(rates, 7, 60, 5, now_us);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, 4 - i);
        assert_int_equal(verdict.limit, 5);
    }
    struct rate_verdict verdict = take(rates, 7, 60, 5, now_us);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_s, 1);
    assert_int_equal(verdict.reset_s, 5);
    assert_true(take(rates, 8, 60, 5, now_us).allowed); /* another's */
    assert_false(take(rates, 7, 60, 5, now_us + SECOND_US - 1).allowed);
    assert_true(take(rates, 7, 60, 5, now_us + SECOND_US).allowed);
    assert_false(take(rates, 7, 60, 5, now_us + SECOND_US).allowed);
    /* Full again after a rest, and not fuller. */
    now_us += 100 * SECOND_US;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(take(rates, 7, 60, 5, now_us).allowed);
    }
    assert_false(take(rates, 7, 60, 5, now_us).allowed);
    rates_free(rates);
}

static void no_limit_is_no_limit(void **state)
{
    (void)state;
    struct rates *rates = rates_new(64);
    for (unsigned i = 0; i < 1000; i++) {
        struct rate_verdict verdict = take(rates, 7, 0, 0, SECOND_US);
        assert_true(verdict.allowed);
        assert_false(verdict.limited);
    }
    rates_free(rates);
}

/* A flood of keys passes through a table that never grows; an empty bucket is kept as long as
 * there are fuller ones to forget. */
static void floods_of_keys_forget_the_fullest(void **state)
{
    (void)state;
    struct rates *rates = rates_new(4);
    uint64_t victim = 42;
    while (take(rates, victim, 60, 100, SECOND_US).allowed) {
    }
    for (uint64_t key = 1; key < 10000; key++) {
        if (key != victim) {
            assert_true(take(rates, key, 60, 100, SECOND_US).allowed);
        }
    }
    assert_false(take(rates, victim, 60, 100, SECOND_US).allowed);
    rates_free(rates);
}

static void the_share_falls_smoothly_with_the_delay(void **state)
{
    (void)state;
    assert_int_equal(rates_share(50000, 0), RATES_WHOLE);
    assert_int_equal(rates_share(50000, 50000), RATES_WHOLE);
    assert_int_equal(rates_share(50000, 100000), RATES_WHOLE / 2);
    assert_int_equal(rates_share(50000, 200000), RATES_WHOLE / 4);
    assert_int_equal(rates_share(50000, 400000), RATES_WHOLE / 8);
    assert_int_equal(rates_share(50000, INT64_MAX / 2), RATES_WHOLE / 8);
    assert_int_equal(rates_share(0, INT64_MAX / 2), RATES_WHOLE); /* tightening is off */
    unsigned before = RATES_WHOLE;
    for (int64_t delay_us = 0; delay_us < SECOND_US; delay_us += 100) {
        unsigned share = rates_share(50000, delay_us);
        assert_true(share <= before && before - share <= 4); /* no steps */
        before = share;
    }
}

/* Rate, burst and what is left shrink together; who had used half has half of what there is. */
static void tightened_buckets_are_smaller_and_slower(void **state)
{
    (void)state;
    struct rates *rates = rates_new(64);
    struct rate rate = {.per_minute = 60, .burst = 16};
    int64_t now_us = SECOND_US;
    for (unsigned i = 0; i < 8; i++) {
        assert_true(rates_take(rates, 7, &rate, RATES_WHOLE, now_us).allowed);
    }
    struct rate_verdict verdict = rates_take(rates, 7, &rate, RATES_WHOLE / 4, now_us);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.limit, 4);
    assert_int_equal(verdict.remaining, 1);
    assert_true(rates_take(rates, 7, &rate, RATES_WHOLE / 4, now_us).allowed);
    verdict = rates_take(rates, 7, &rate, RATES_WHOLE / 4, now_us);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_s, 4); /* a token in 4 s instead of 1 s */
    assert_int_equal(verdict.reset_s, 16);
    assert_false(rates_take(rates, 7, &rate, RATES_WHOLE / 4, now_us + 3 * SECOND_US).allowed);
    assert_true(rates_take(rates, 7, &rate, RATES_WHOLE / 4, now_us + 4 * SECOND_US).allowed);
    /* As before once the delay is gone. */
    assert_true(rates_take(rates, 7, &rate, RATES_WHOLE, now_us + 5 * SECOND_US).allowed);
    rates_free(rates);
}

static void a_full_bucket_lets_one_through_however_tight(void **state)
{
    (void)state;
    struct rates *rates = rates_new(64);
    struct rate rate = {.per_minute = 6, .burst = 2};
    struct rate_verdict verdict = rates_take(rates, 7, &rate, RATES_WHOLE / 8, SECOND_US);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.limit, 1);
    assert_int_equal(verdict.remaining, 0);
    assert_false(rates_take(rates, 7, &rate, RATES_WHOLE / 8, 2 * SECOND_US).allowed);
    rates_free(rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_empty_and_refill),
        cmocka_unit_test(no_limit_is_no_limit),
        cmocka_unit_test(floods_of_keys_forget_the_fullest),
        cmocka_unit_test(the_share_falls_smoothly_with_the_delay),
        cmocka_unit_test(tightened_buckets_are_smaller_and_slower),
        cmocka_unit_test(a_full_bucket_lets_one_through_however_tight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
