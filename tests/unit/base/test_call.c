/* The deadline that a thread works under. */
#include "base/call.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void without_one_the_engines_limit_holds(void **state)
{
    (void)state;
    assert_int_equal(call_deadline_ms(), 0);
    assert_false(call_is_late());
    assert_int_equal(call_remaining_ms(5000), 5000);
    assert_int_equal(call_remaining_ms(0), 1);
}

static void it_cuts_what_is_waited(void **state)
{
    (void)state;
    int64_t deadline_ms = clock_monotonic_ms() + 60 * 1000;
    assert_int_equal(call_deadline_enter(deadline_ms), 0);
    assert_int_equal(call_deadline_ms(), deadline_ms);
    assert_false(call_is_late());
    assert_int_equal(call_remaining_ms(100), 100);
    assert_in_range(call_remaining_ms(600 * 1000), 1, 60 * 1000);
    assert_int_equal(call_deadline_enter(0), deadline_ms);
    assert_int_equal(call_remaining_ms(600 * 1000), 600 * 1000);
}

/* 0 would be "no limit" to an engine. */
static void past_it_a_millisecond_is_left(void **state)
{
    (void)state;
    int64_t before = call_deadline_enter(clock_monotonic_ms());
    assert_true(call_is_late());
    assert_int_equal(call_remaining_ms(5000), 1);
    (void)call_deadline_enter(before);
    assert_false(call_is_late());
}

static void *look_from_elsewhere(void *argument)
{
    *(int64_t *)argument = call_deadline_ms();
    return NULL;
}

static void it_is_of_one_thread(void **state)
{
    (void)state;
    int64_t seen = -1, before = call_deadline_enter(clock_monotonic_ms() + 1000);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, look_from_elsewhere, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen, 0);
    (void)call_deadline_enter(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_one_the_engines_limit_holds),
        cmocka_unit_test(it_cuts_what_is_waited),
        cmocka_unit_test(past_it_a_millisecond_is_left),
        cmocka_unit_test(it_is_of_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
