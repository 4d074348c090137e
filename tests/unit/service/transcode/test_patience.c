/* How often a job is tried: by what it failed of, and for how long it has been there. */
#include "service/transcode/transcode_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };

static struct child_failure failure_of(const char *code, bool final)
{
    struct child_failure failure = {.final = final};
    (void)snprintf(failure.code, sizeof failure.code, "%s", code);
    return failure;
}

/* After which try a job of that age is given up; 0: after none of many. */
static int64_t last_try(const char *code, bool final, int64_t age_ms)
{
    const struct child_failure failure = failure_of(code, final);
    for (int64_t tries = 0; tries < 2000; tries++) {
        const struct job_row job = {.tries = tries, .claims = tries + 1, .created_ms = 5000};
        if (patience_is_over(&job, &failure, 5000 + age_ms)) {
            return tries + 1;
        }
    }
    return 0;
}

static void test_a_files_own_fault_ends_soon(void **state)
{
    (void)state;
    for (int64_t age_ms = 0; age_ms <= 4 * (int64_t)DAY; age_ms += DAY) {
        assert_int_equal(last_try("not-audio", true, age_ms), 1);
        assert_int_equal(last_try("missing", true, age_ms), 1);
        assert_int_equal(last_try("out-of-limits", false, age_ms), 2);
        assert_int_equal(last_try("crashed", false, age_ms), 5);
    }
}

static void test_our_trouble_has_three_days(void **state)
{
    static const char *const codes[] = {"disk-full", "io", "unavailable", "timeout", "no-memory"};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_int_equal(last_try(codes[i], false, 0), 0);
        assert_int_equal(last_try(codes[i], false, 2 * DAY + 23 * HOUR), 0);
        assert_int_equal(last_try(codes[i], false, 3 * (int64_t)DAY + 1), 20); /* waited in line */
        assert_int_equal(last_try(codes[i], false, -DAY), 0); /* the clock was put back */
    }
    assert_int_equal(last_try("internal", false, 0), 20);
    assert_int_equal(last_try("corrupt", false, 0), 20);
}

/* Each try takes a claim: only those that nobody lived to tell of are held against the job. */
static void test_tries_are_no_deaths(void **state)
{
    (void)state;
    const struct job_row patient = {.tries = 800, .claims = 801};
    const struct job_row deadly = {.tries = 3, .claims = 54};
    assert_false(patience_with_deaths_is_over(&patient));
    assert_true(patience_with_deaths_is_over(&deadly));
}

static void test_waits_grow_to_minutes(void **state)
{
    (void)state;
    assert_in_range(patience_wait_ms(0), 1000, 1250);
    assert_in_range(patience_wait_ms(2), 16000, 20000);
    for (int64_t tries = 5; tries < 1000; tries++) {
        assert_in_range(patience_wait_ms(tries), 300000, 375000); /* transcode_store.c: FAR */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_files_own_fault_ends_soon),
        cmocka_unit_test(test_our_trouble_has_three_days),
        cmocka_unit_test(test_tries_are_no_deaths),
        cmocka_unit_test(test_waits_grow_to_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
