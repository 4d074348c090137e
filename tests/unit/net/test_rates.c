/* Token buckets. */
#include "net/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { SECOND_US = 1000000 };

static void buckets_empty_and_refill(void **state)
{
    (void)state;
    struct rates *rates = rates_new(64);
    int64_t now_us = 5 * SECOND_US;
    for (unsigned i = 0; i < 5; i++) {
        struct rate_verdict verdict = rates_take(rates, 7, 60, 5, now_us);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, 4 - i);
        assert_int_equal(verdict.limit, 5);
    }
    struct rate_verdict verdict = rates_take(rates, 7, 60, 5, now_us);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_s, 1);
    assert_int_equal(verdict.reset_s, 5);
    assert_true(rates_take(rates, 8, 60, 5, now_us).allowed); /* another's */
    assert_false(rates_take(rates, 7, 60, 5, now_us + SECOND_US - 1).allowed);
    assert_true(rates_take(rates, 7, 60, 5, now_us + SECOND_US).allowed);
    assert_false(rates_take(rates, 7, 60, 5, now_us + SECOND_US).allowed);
    /* Full again after a rest, and not fuller. */
    now_us += 100 * SECOND_US;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(rates_take(rates, 7, 60, 5, now_us).allowed);
    }
    assert_false(rates_take(rates, 7, 60, 5, now_us).allowed);
    rates_free(rates);
}

static void no_limit_is_no_limit(void **state)
{
    (void)state;
    struct rates *rates = rates_new(64);
    for (unsigned i = 0; i < 1000; i++) {
        struct rate_verdict verdict = rates_take(rates, 7, 0, 0, SECOND_US);
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
    while (rates_take(rates, victim, 60, 100, SECOND_US).allowed) {
    }
    for (uint64_t key = 1; key < 10000; key++) {
        if (key != victim) {
            assert_true(rates_take(rates, key, 60, 100, SECOND_US).allowed);
        }
    }
    assert_false(rates_take(rates, victim, 60, 100, SECOND_US).allowed);
    rates_free(rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_empty_and_refill),
        cmocka_unit_test(no_limit_is_no_limit),
        cmocka_unit_test(floods_of_keys_forget_the_fullest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
