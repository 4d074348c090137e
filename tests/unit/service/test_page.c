/* service/catalog/page: cursors come back as they went, and nothing else is one. */
#include "service/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void come_back(void **state)
{
    (void)state;
    static const struct list_place places[] = {
        {.key = "", .id = INT64_MAX},
        {.key = "a.b.c", .id = 1, .disc = 2, .number = 3},
        {.key = "стра\xc3\x9f", .id = 77},
    };
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct list_place read = {.limit = 51};
        const char *text = cursor_write(arena, 'n', &places[i]);
        assert_non_null(text);
        assert_true(cursor_read(arena, 'n', text, &read));
        assert_string_equal(read.key, places[i].key);
        assert_true(read.id == places[i].id);
        assert_int_equal(read.disc, places[i].disc);
        assert_int_equal(read.number, places[i].number);
        assert_int_equal(read.limit, 51);
        assert_false(cursor_read(arena, 't', text, &read)); /* another list's */
    }
    arena_free(arena);
}

static void others_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "!",
        "bi4x",
        "bi4xLjAuMA",   /* n.1, n.1.0.0 */
        "bi4wMS4wLjAu", /* n.01.0.0. : not as we would write it */
        "bi4tMS4wLjAu", /* n.-1.0.0. */
        "bi4xLjAuMC7_", /* not UTF-8 */
        "bi4xLjAuMC4=", /* padded */
    };
    struct arena *arena = arena_new(0);
    struct list_place place = {.key = "kept", .id = 5};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cursor_read(arena, 'n', bad[i], &place)) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_int_equal(place.id, 5);
    }
    char large[CURSOR_TEXT_MAX + 2];
    memset(large, 'A', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_false(cursor_read(arena, 'n', large, &place));
    assert_true(cursor_read(arena, 'n', "bi4xLjAuMC4", &place)); /* n.1.0.0. is good */
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_back),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
