/* base/arena: alignment, the maximum, what runs at the end. */
#include "base/arena.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void pieces_are_aligned_and_zeroed(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *piece = arena_alloc(arena, size);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % 16, 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(piece[i], 0);
        }
        memset(piece, 0xff, size);
    }
    arena_free(arena);
}

static void it_never_grows_past_its_maximum(void **state)
{
    (void)state;
    struct arena *arena = arena_new(10000);
    assert_null(arena_alloc(arena, 10001));
    assert_non_null(arena_alloc(arena, 9000));
    assert_null(arena_alloc(arena, 4096));
    assert_true(arena_bytes(arena) <= 10000);
    assert_null(arena_array(arena, SIZE_MAX / 2, 3));
    arena_free(arena);
}

static char order[8];

static void note(void *argument)
{
    strcat(order, argument);
}

static void callbacks_run_last_in_first_out(void **state)
{
    (void)state;
    order[0] = '\0';
    struct arena *arena = arena_new(0);
    assert_int_equal(arena_at_end(arena, note, "a"), 0);
    assert_int_equal(arena_at_end(arena, note, "b"), 0);
    arena_reset(arena);
    assert_string_equal(order, "ba");
    arena_free(arena);
    assert_string_equal(order, "ba");
}

static void printf_and_strings(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    assert_string_equal(arena_printf(arena, "%s-%d", "track", 7), "track-7");
    assert_string_equal(arena_strndup(arena, "chorus", 4), "chor");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_zeroed),
        cmocka_unit_test(it_never_grows_past_its_maximum),
        cmocka_unit_test(callbacks_run_last_in_first_out),
        cmocka_unit_test(printf_and_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
