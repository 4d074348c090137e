/* When to ask a second time. */
#include "base/hedge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MS = 1000 };

static void nothing_is_asked_twice_before_enough_is_known(void **state)
{
    (void)state;
    struct hedge hedge;
    hedge_init(&hedge, MS);
    assert_false(hedge_take(&hedge));
    for (int i = 0; i < 90; i++) {
        hedge_note(&hedge, 5 * MS);
        assert_true(hedge_after_us(&hedge) == INT64_MAX);
    }
    hedge_done(&hedge);
}

static void it_waits_as_long_as_nearly_all_take(void **state)
{
    (void)state;
    struct hedge hedge;
    hedge_init(&hedge, MS);
    for (int i = 0; i < 4000; i++) { /* 1 … 100 ms, each as often */
        hedge_note(&hedge, (i % 100 + 1) * MS);
    }
    assert_in_range(hedge_after_us(&hedge), 88 * MS, 108 * MS);
    for (int i = 0; i < 6000; i++) { /* a faster time: older answers fade */
        hedge_note(&hedge, 10 * MS);
    }
    assert_in_range(hedge_after_us(&hedge), 10 * MS, 12 * MS);
    hedge_done(&hedge);
}

static void what_is_fast_is_left_alone(void **state)
{
    (void)state;
    struct hedge hedge;
    hedge_init(&hedge, 2 * MS);
    for (int i = 0; i < 1000; i++) {
        hedge_note(&hedge, i % 300);
    }
    assert_int_equal(hedge_after_us(&hedge), 2 * MS);
    hedge_note(&hedge, -5);
    hedge_note(&hedge, INT64_MAX);
    assert_int_equal(hedge_after_us(&hedge), 2 * MS);
    hedge_done(&hedge);
}

/* However slow all of them are: one in twenty. */
static void the_budget_holds(void **state)
{
    (void)state;
    struct hedge hedge;
    hedge_init(&hedge, MS);
    unsigned taken = 0;
    for (int i = 0; i < 10000; i++) {
        hedge_note(&hedge, 100 * MS);
        taken += hedge_take(&hedge);
    }
    assert_in_range(taken, 499, 500);
    for (int i = 0; i < 10000; i++) {
        hedge_note(&hedge, MS); /* much is earned, little is saved up */
    }
    for (taken = 0; hedge_take(&hedge); taken++) {
    }
    assert_int_equal(taken, 10);
    hedge_done(&hedge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_twice_before_enough_is_known),
        cmocka_unit_test(it_waits_as_long_as_nearly_all_take),
        cmocka_unit_test(what_is_fast_is_left_alone),
        cmocka_unit_test(the_budget_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
