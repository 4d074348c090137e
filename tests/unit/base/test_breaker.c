/* Circuit breakers, by a clock of the test's own. */
#include "base/breaker.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static _Atomic int64_t clock_ms;

static int64_t read_clock(void *clock)
{
    (void)clock;
    return atomic_load(&clock_ms);
}

static struct breaker *make(unsigned slow_ms)
{
    const struct breaker_config config = {
        .name = "engine",
        .failures_in_a_row = 3,
        .calls_min = 10,
        .slow_ms = slow_ms,
        .wait_ms = 1000,
        .wait_ms_max = 8000,
        .probe_ms_max = 5000,
        .now_ms = read_clock,
    };
    struct breaker *breaker = NULL;
    atomic_store(&clock_ms, 1000000);
    assert_int_equal(breaker_new(&config, &breaker), 0);
    return breaker;
}

static int call_for(struct breaker *breaker, enum breaker_outcome outcome, int64_t took_ms)
{
    struct breaker_pass pass;
    int error = breaker_enter(breaker, &pass);
    if (error == 0) {
        atomic_fetch_add(&clock_ms, took_ms);
        breaker_leave(breaker, &pass, outcome);
    }
    return error;
}

static int call(struct breaker *breaker, enum breaker_outcome outcome)
{
    return call_for(breaker, outcome, 1);
}

static struct breaker_view view_of(struct breaker *breaker)
{
    struct breaker_view view;
    breaker_look(breaker, &view);
    return view;
}

static void open_it(struct breaker *breaker)
{
    while (view_of(breaker).state == BREAKER_CLOSED) {
        assert_int_equal(call(breaker, BREAKER_FAILED), 0);
    }
}

static void wait_over(struct breaker *breaker)
{
    atomic_fetch_add(&clock_ms, view_of(breaker).next_probe_ms);
}

static void failures_in_a_row_open_it(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(call(breaker, BREAKER_FAILED), 0);
        assert_int_equal(call(breaker, BREAKER_FAILED), 0);
        assert_int_equal(call(breaker, BREAKER_OK), 0);
    }
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call(breaker, BREAKER_FAILED), 0);
    }
    assert_int_equal(view_of(breaker).state, BREAKER_OPEN);
    assert_false(breaker_lets_in(breaker));
    assert_int_equal(call(breaker, BREAKER_OK), ERR_UNAVAILABLE);
    struct breaker_view view = view_of(breaker);
    assert_int_equal(view.refused, 1);
    assert_int_equal(view.opened, 1);
    assert_in_range(view.next_probe_ms, 740, 1260);
    breaker_free(breaker);
}

static void a_share_of_the_window_opens_it(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    for (int i = 0; i < 4; i++) { /* every other one: never three in a row */
        assert_int_equal(call(breaker, BREAKER_OK), 0);
        assert_int_equal(call(breaker, BREAKER_FAILED), 0);
    }
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    assert_int_equal(call(breaker, BREAKER_FAILED), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_OPEN);
    breaker_free(breaker);
}

static void a_window_forgets(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(call(breaker, i % 2 == 0 ? BREAKER_OK : BREAKER_FAILED), 0);
    }
    assert_int_equal(view_of(breaker).calls, 9);
    atomic_fetch_add(&clock_ms, 11000);
    assert_int_equal(view_of(breaker).calls, 0);
    assert_int_equal(call(breaker, BREAKER_FAILED), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    assert_int_equal(view_of(breaker).failed, 1);
    breaker_free(breaker);
}

static void slow_calls_open_it(void **state)
{
    (void)state;
    struct breaker *breaker = make(200);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(call_for(breaker, BREAKER_OK, 200), 0);
    }
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    assert_int_equal(view_of(breaker).slow, 9);
    assert_int_equal(call_for(breaker, BREAKER_OK, 200), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_OPEN);
    breaker_free(breaker);
}

static void good_probes_close_it(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    open_it(breaker);
    wait_over(breaker);
    assert_true(breaker_lets_in(breaker));
    struct breaker_pass probe, other;
    assert_int_equal(breaker_enter(breaker, &probe), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_HALF_OPEN);
    assert_int_equal(breaker_enter(breaker, &other), ERR_UNAVAILABLE); /* one at a time */
    assert_false(breaker_lets_in(breaker));
    breaker_leave(breaker, &probe, BREAKER_OK);
    assert_int_equal(view_of(breaker).state, BREAKER_HALF_OPEN);
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    assert_int_equal(view_of(breaker).calls, 0); /* what was before is forgotten */
    breaker_free(breaker);
}

static void a_bad_probe_doubles_the_wait(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    open_it(breaker);
    unsigned waits[5] = {1000, 2000, 4000, 8000, 8000};
    for (int i = 0; i < 5; i++) {
        unsigned wait_ms = view_of(breaker).next_probe_ms;
        assert_in_range(wait_ms, waits[i] * 3 / 4 - 10, waits[i] * 5 / 4 + 10);
        wait_over(breaker);
        assert_int_equal(call(breaker, BREAKER_FAILED), 0);
        assert_int_equal(view_of(breaker).state, BREAKER_OPEN);
    }
    wait_over(breaker);
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    open_it(breaker); /* after it was closed the first wait is due again */
    assert_in_range(view_of(breaker).next_probe_ms, 740, 1260);
    breaker_free(breaker);
}

static void a_slow_probe_is_a_bad_one(void **state)
{
    (void)state;
    struct breaker *breaker = make(200);
    open_it(breaker);
    wait_over(breaker);
    assert_int_equal(call_for(breaker, BREAKER_OK, 300), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_OPEN);
    breaker_free(breaker);
}

static void a_lost_probe_is_replaced(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    open_it(breaker);
    wait_over(breaker);
    struct breaker_pass lost, next;
    assert_int_equal(breaker_enter(breaker, &lost), 0);
    atomic_fetch_add(&clock_ms, 5000);
    assert_int_equal(breaker_enter(breaker, &next), 0);
    breaker_leave(breaker, &lost, BREAKER_FAILED); /* back after all: it says nothing any more */
    assert_int_equal(view_of(breaker).state, BREAKER_HALF_OPEN);
    breaker_leave(breaker, &next, BREAKER_OK);
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    breaker_free(breaker);
}

static void who_gave_up_says_nothing(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(call(breaker, BREAKER_NEUTRAL), 0);
    }
    assert_int_equal(view_of(breaker).calls, 0);
    open_it(breaker);
    wait_over(breaker);
    assert_int_equal(call(breaker, BREAKER_NEUTRAL), 0); /* its place is free for another */
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    breaker_free(breaker);
}

/* Calls that began before it opened come back after it closed. */
/* A call that fails as its caller's time ends, which was left_ms from now. */
static void fail_in_hurry(struct breaker *breaker, int64_t left_ms)
{
    struct breaker_pass pass;
    int64_t before = call_deadline_enter(clock_monotonic_ms() + left_ms);
    assert_int_equal(breaker_enter(breaker, &pass), 0);
    (void)call_deadline_enter(clock_monotonic_ms() - 1);
    breaker_leave(breaker, &pass, BREAKER_FAILED);
    (void)call_deadline_enter(before);
}

static void who_is_in_a_hurry_says_nothing(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    for (int i = 0; i < 100; i++) {
        fail_in_hurry(breaker, 60);
    }
    struct breaker_view view = view_of(breaker);
    assert_int_equal(view.state, BREAKER_CLOSED);
    assert_int_equal(view.failed, 0);
    /* An engine that does not answer for as long as one should is down, whatever the caller's time.
     */
    for (int i = 0; i < 3; i++) {
        fail_in_hurry(breaker, 10 * 1000);
    }
    assert_int_equal(view_of(breaker).state, BREAKER_OPEN);
    breaker_free(breaker);
}

/* What failed long before its caller's time was over was not the caller's. */
static void a_refusal_counts_in_a_hurry_too(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    int64_t before = call_deadline_enter(clock_monotonic_ms() + 1500);
    open_it(breaker);
    (void)call_deadline_enter(before);
    breaker_free(breaker);
}

static void late_failures_do_not_count(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    struct breaker_pass late[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(breaker_enter(breaker, &late[i]), 0);
    }
    open_it(breaker);
    wait_over(breaker);
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    assert_int_equal(call(breaker, BREAKER_OK), 0);
    for (int i = 0; i < 3; i++) {
        breaker_leave(breaker, &late[i], BREAKER_FAILED);
    }
    assert_int_equal(view_of(breaker).state, BREAKER_CLOSED);
    assert_int_equal(view_of(breaker).calls, 0);
    breaker_free(breaker);
}

static void errors_of_engines_and_of_callers(void **state)
{
    (void)state;
    assert_int_equal(breaker_outcome(0), BREAKER_OK);
    assert_int_equal(breaker_outcome(ERR_NOT_FOUND), BREAKER_OK);
    assert_int_equal(breaker_outcome(ERR_TIMEOUT), BREAKER_FAILED);
    assert_int_equal(breaker_outcome(ERR_UNAVAILABLE), BREAKER_FAILED);
    assert_int_equal(breaker_outcome(ERR_NO_MEMORY), BREAKER_NEUTRAL);
}

static void none_lets_everything_pass(void **state)
{
    (void)state;
    struct breaker_pass pass;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(breaker_enter(NULL, &pass), 0);
        breaker_leave(NULL, &pass, BREAKER_FAILED);
    }
    assert_true(breaker_lets_in(NULL));
    breaker_free(NULL);
}

static enum breaker_state told[8];
static unsigned told_count;

static void note_change(const struct breaker_view *view)
{
    assert_string_equal(view->name, "engine");
    told[told_count++] = view->state;
}

static void count_one(void *argument, struct breaker *breaker)
{
    (void)breaker;
    ++*(unsigned *)argument;
}

static void changes_are_told_and_all_are_listed(void **state)
{
    (void)state;
    struct breaker *first = make(0), *second = make(0);
    breaker_on_change(note_change);
    open_it(first);
    wait_over(first);
    assert_int_equal(call(first, BREAKER_OK), 0);
    assert_int_equal(call(first, BREAKER_OK), 0);
    breaker_on_change(NULL);
    assert_int_equal(told_count, 3);
    assert_int_equal(told[0], BREAKER_OPEN);
    assert_int_equal(told[1], BREAKER_HALF_OPEN);
    assert_int_equal(told[2], BREAKER_CLOSED);
    unsigned count = 0;
    breaker_each(count_one, &count);
    assert_int_equal(count, 2);
    breaker_free(first);
    breaker_free(second);
    count = 0;
    breaker_each(count_one, &count);
    assert_int_equal(count, 0);
}

enum { THREADS = 8, ROUNDS = 20000 };

static _Atomic unsigned inside, let_in, kept_out;

/* While it is half open two are never inside. */
static void *probe_on(void *argument)
{
    struct breaker *breaker = argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct breaker_pass pass;
        if (breaker_enter(breaker, &pass) != 0) {
            atomic_fetch_add(&kept_out, 1);
            continue;
        }
        assert_int_equal(atomic_fetch_add(&inside, 1), 0);
        atomic_fetch_add(&let_in, 1);
        atomic_fetch_sub(&inside, 1);
        breaker_leave(breaker, &pass, BREAKER_NEUTRAL);
    }
    return NULL;
}

static void threads_probe_one_at_a_time(void **state)
{
    (void)state;
    struct breaker *breaker = make(0);
    open_it(breaker);
    wait_over(breaker);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, probe_on, breaker), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(atomic_load(&let_in) > 0);
    assert_int_equal(let_in + kept_out, THREADS * ROUNDS);
    assert_int_equal(view_of(breaker).refused, kept_out);
    breaker_free(breaker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_open_it),
        cmocka_unit_test(a_share_of_the_window_opens_it),
        cmocka_unit_test(a_window_forgets),
        cmocka_unit_test(slow_calls_open_it),
        cmocka_unit_test(good_probes_close_it),
        cmocka_unit_test(a_bad_probe_doubles_the_wait),
        cmocka_unit_test(a_slow_probe_is_a_bad_one),
        cmocka_unit_test(a_lost_probe_is_replaced),
        cmocka_unit_test(who_gave_up_says_nothing),
        cmocka_unit_test(who_is_in_a_hurry_says_nothing),
        cmocka_unit_test(a_refusal_counts_in_a_hurry_too),
        cmocka_unit_test(late_failures_do_not_count),
        cmocka_unit_test(errors_of_engines_and_of_callers),
        cmocka_unit_test(none_lets_everything_pass),
        cmocka_unit_test(changes_are_told_and_all_are_listed),
        cmocka_unit_test(threads_probe_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
