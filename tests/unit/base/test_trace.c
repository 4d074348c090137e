/* Traces: who is chosen, how spans hang together, and that the queue is bounded. */
#include "base/clock.h"
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { QUEUE = 8 };

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static int on(void **state)
{
    (void)state;
    return trace_begin(0.25, QUEUE);
}

static int off(void **state)
{
    (void)state;
    trace_end();
    return 0;
}

static void spans_hang_below_their_parent(void **state)
{
    (void)state;
    struct span span, taken[2];
    span_begin(&span, PARENT, SPAN_CLIENT, "write");
    span_text(&span, "db.namespace", "catalog");
    span_number(&span, "n", -5);
    span_end(&span, true);
    assert_int_equal(trace_take(taken, 2, 0), 1);
    assert_string_equal(taken[0].parent, "00f067aa0ba902b7");
    assert_memory_equal(taken[0].self, PARENT, 36);
    assert_string_equal(taken[0].self + 52, "-01");
    assert_memory_not_equal(taken[0].self + 36, &PARENT[36], 16);
    assert_true(taken[0].failed && taken[0].ended_us >= taken[0].began_us);
    assert_int_equal(taken[0].attribute_count, 2);
    assert_string_equal(taken[0].attributes[0].text, "catalog");
    assert_int_equal(taken[0].attributes[1].number, -5);
}

static void a_full_queue_drops_and_counts(void **state)
{
    (void)state;
    struct span span, taken[2 * QUEUE];
    int64_t before = trace_dropped();
    for (int i = 0; i < QUEUE + 3; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "%d", i);
        span_begin(&span, PARENT, SPAN_INTERNAL, name);
        span_end(&span, false);
    }
    assert_int_equal(trace_dropped() - before, 3);
    assert_int_equal(trace_take(taken, 3, 0), 3);
    assert_string_equal(taken[2].name, "2");
    assert_int_equal(trace_take(taken, 2 * QUEUE, 0), QUEUE - 3);
    assert_string_equal(taken[QUEUE - 4].name, "7");
}

static void attributes_are_bounded(void **state)
{
    (void)state;
    struct span span;
    char text[2 * SPAN_TEXT_SIZE];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    span_begin(&span, PARENT, SPAN_INTERNAL, text);
    for (int i = 0; i < 2 * SPAN_ATTRIBUTES_MAX; i++) {
        span_text(&span, "a", text);
    }
    assert_int_equal(span.attribute_count, SPAN_ATTRIBUTES_MAX);
    assert_int_equal(strlen(span.attributes[0].text), SPAN_TEXT_SIZE - 1);
    assert_int_equal(strlen(span.name), SPAN_NAME_SIZE - 1);
}

static time_t put_back_s; /* the wall clock, meanwhile */

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    int failed = __real_clock_gettime(clock, ret_now);
    ret_now->tv_sec -= clock == CLOCK_REALTIME ? put_back_s : 0;
    return failed;
}

/* Who waits for spans waits as long by a wall clock that is put back. */
static void waiting_goes_by_no_wall_clock(void **state)
{
    (void)state;
    struct span taken[1];
    put_back_s = 3600;
    int64_t began_ms = clock_monotonic_ms();
    assert_int_equal(trace_take(taken, 1, 100), 0);
    assert_true(clock_monotonic_ms() - began_ms >= 100);
    put_back_s = 0;
}

static void a_ratio_chooses_by_the_id(void **state)
{
    (void)state;
    unsigned chosen = 0;
    for (uint32_t i = 0; i < 4096; i++) {
        char id[33];
        (void)snprintf(id, sizeof id, "%08x%08x%016x", 0x01020304, i * 2654435761u, i);
        chosen += trace_chooses(id);
        assert_int_equal(trace_chooses(id), trace_chooses(id));
    }
    assert_in_range(chosen, 1024 - 64, 1024 + 64); /* a quarter; the numbers are spread evenly */
}

static void a_thread_works_for_what_is_recorded_alone(void **state)
{
    (void)state;
    assert_true(trace_is_sampled(PARENT));
    assert_false(trace_is_sampled("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
    assert_false(trace_is_sampled("") || trace_is_sampled(NULL));
    assert_null(trace_enter(PARENT));
    assert_string_equal(trace_current(), PARENT);
    assert_string_equal(trace_enter("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
                        PARENT);
    assert_null(trace_current());
    trace_end();
    assert_false(trace_is_sampled(PARENT));
    struct span span;
    int64_t before = trace_dropped();
    span_begin(&span, PARENT, SPAN_INTERNAL, "late");
    span_end(&span, false); /* of a request that ends after the sender: dropped */
    assert_int_equal(trace_dropped() - before, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spans_hang_below_their_parent, on, off),
        cmocka_unit_test_setup_teardown(a_full_queue_drops_and_counts, on, off),
        cmocka_unit_test_setup_teardown(attributes_are_bounded, on, off),
        cmocka_unit_test_setup_teardown(waiting_goes_by_no_wall_clock, on, off),
        cmocka_unit_test_setup_teardown(a_ratio_chooses_by_the_id, on, off),
        cmocka_unit_test_setup_teardown(a_thread_works_for_what_is_recorded_alone, on, off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
