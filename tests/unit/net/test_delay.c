/* The delay of a queue, by a clock of the test's own. */
#include "net/delay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MS = 1000, START_US = 1000 * 1000 * 1000 };

static void it_follows_what_was_waited(void **state)
{
    (void)state;
    struct delay delay = {0};
    assert_int_equal(delay_us(&delay, START_US), 0);
    int64_t now_us = START_US;
    for (int i = 0; i < 40; i++) {
        now_us += MS;
        delay_note(&delay, now_us - 100 * MS, now_us);
    }
    assert_in_range(delay_us(&delay, now_us), 95 * MS, 100 * MS);
    for (int i = 0; i < 40; i++) {
        now_us += MS;
        delay_note(&delay, now_us, now_us);
    }
    assert_in_range(delay_us(&delay, now_us), 0, 5 * MS);
}

/* One that waited long among many that did not is no load. */
static void one_is_an_eighth(void **state)
{
    (void)state;
    struct delay delay = {0};
    delay_note(&delay, START_US - 80 * MS, START_US);
    assert_int_equal(delay_us(&delay, START_US), 10 * MS);
}

static void it_fades_where_nobody_comes(void **state)
{
    (void)state;
    struct delay delay = {0};
    delay_note(&delay, START_US - 800 * MS, START_US);
    assert_int_equal(delay_us(&delay, START_US), 100 * MS);
    assert_int_equal(delay_us(&delay, START_US + 250 * MS), 75 * MS);
    assert_int_equal(delay_us(&delay, START_US + 500 * MS), 50 * MS);
    assert_int_equal(delay_us(&delay, START_US + 1000 * MS), 25 * MS);
    assert_int_equal(delay_us(&delay, START_US + 60 * 1000 * MS), 0);
    int64_t before_us = 100 * MS;
    for (int64_t age_us = 0; age_us < 3000 * MS; age_us += MS) {
        int64_t now = delay_us(&delay, START_US + age_us);
        assert_true(now <= before_us && before_us - now <= MS);
        before_us = now;
    }
}

/* A queue that is stuck serves nobody: then the first one's age tells. */
static void a_stuck_queue_is_seen(void **state)
{
    (void)state;
    struct delay delay = {0};
    delay_wait(&delay, START_US);
    assert_int_equal(delay_us(&delay, START_US + 700 * MS), 700 * MS);
    delay_wait(&delay, START_US + 600 * MS); /* the next one is first now */
    assert_int_equal(delay_us(&delay, START_US + 700 * MS), 100 * MS);
    delay_wait(&delay, 0);
    assert_int_equal(delay_us(&delay, START_US + 700 * MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_follows_what_was_waited),
        cmocka_unit_test(one_is_an_eighth),
        cmocka_unit_test(it_fades_where_nobody_comes),
        cmocka_unit_test(a_stuck_queue_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
