/* backend/cache/cache_sketch: estimates, growth, fading. */
#include "backend/cache/cache_sketch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t key(uint64_t number)
{
    return (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ number << 40;
}

static void estimates_follow_what_was_asked(void **state)
{
    (void)state;
    struct cache_sketch sketch;
    assert_int_equal(cache_sketch_init(&sketch), 0);
    cache_sketch_grow(&sketch, 1024);
    assert_int_equal(cache_sketch_estimate(&sketch, key(1)), 0);
    cache_sketch_add(&sketch, key(1));
    assert_int_equal(cache_sketch_estimate(&sketch, key(1)), 1); /* the doorkeeper alone */
    for (int i = 0; i < 5; i++) {
        cache_sketch_add(&sketch, key(1));
    }
    assert_int_equal(cache_sketch_estimate(&sketch, key(1)), 6);
    for (int i = 0; i < 100; i++) {
        cache_sketch_add(&sketch, key(2));
    }
    assert_int_equal(cache_sketch_estimate(&sketch, key(2)), CACHE_SKETCH_MAX);
    cache_sketch_done(&sketch);
}

static void strangers_are_rarely_taken_for_others(void **state)
{
    (void)state;
    struct cache_sketch sketch;
    assert_int_equal(cache_sketch_init(&sketch), 0);
    cache_sketch_grow(&sketch, 1024);
    for (uint64_t i = 0; i < 1000; i++) {
        cache_sketch_add(&sketch, key(i));
        cache_sketch_add(&sketch, key(i));
    }
    unsigned wrong = 0;
    for (uint64_t i = 10000; i < 20000; i++) {
        wrong += cache_sketch_estimate(&sketch, key(i)) > 1;
    }
    assert_in_range(wrong, 0, 1500);
    cache_sketch_done(&sketch);
}

static void growing_keeps_what_is_known(void **state)
{
    (void)state;
    struct cache_sketch sketch;
    assert_int_equal(cache_sketch_init(&sketch), 0);
    for (uint64_t i = 0; i < 16; i++) {
        for (uint64_t times = 0; times <= i; times++) {
            cache_sketch_add(&sketch, key(i));
        }
    }
    size_t bytes = cache_sketch_bytes(&sketch);
    cache_sketch_grow(&sketch, 4000);
    assert_true(cache_sketch_bytes(&sketch) > bytes);
    for (uint64_t i = 0; i < 16; i++) {
        assert_true(cache_sketch_estimate(&sketch, key(i)) >= i + 1);
    }
    cache_sketch_done(&sketch);
}

static void the_past_fades(void **state)
{
    (void)state;
    struct cache_sketch sketch;
    assert_int_equal(cache_sketch_init(&sketch), 0);
    for (int i = 0; i < 16; i++) {
        cache_sketch_add(&sketch, key(1));
    }
    unsigned before = cache_sketch_estimate(&sketch, key(1));
    for (uint64_t i = 0; i < 1000; i++) { /* more than ten times 64 */
        cache_sketch_add(&sketch, key(100 + i % 3));
    }
    assert_true(cache_sketch_estimate(&sketch, key(1)) < before / 2 + 1);
    cache_sketch_done(&sketch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_follow_what_was_asked),
        cmocka_unit_test(strangers_are_rarely_taken_for_others),
        cmocka_unit_test(growing_keeps_what_is_known),
        cmocka_unit_test(the_past_fades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
