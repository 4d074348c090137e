/* base/text: normal form, limits, control characters. */
#include "base/error.h"
#include "base/problem.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct text_rule title = {.field = "title", .characters_max = 10};

static void cleaned(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct problem problem = {0};
    const char *text = NULL;
    assert_int_equal(text_clean(arena, &title,
                                " \xc2\xa0"
                                "Cafe\xcc\x81\t",
                                &problem, &text),
                     0);
    assert_string_equal(text, "Caf\xc3\xa9");
    arena_free(arena);
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "   ",          "a\x01z",     "a\nb",
                                      "\xff", "\xed\xa0\x80", "01234567890"};
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct problem problem = {0};
        const char *text = NULL;
        assert_int_equal(text_clean(arena, &title, bad[i], &problem, &text), ERR_INVALID);
        assert_null(text);
        assert_int_equal(problem.field_count, 1);
        assert_string_equal(problem.fields[0].name, "title");
    }
    arena_free(arena);
}

static void numbers(void **state)
{
    (void)state;
    int64_t number = 0;
    assert_true(text_number("500", 1, 500, &number));
    assert_int_equal(number, 500);
    assert_false(text_number("501", 1, 500, &number));
    assert_false(text_number("99999999999999999999", 0, INT64_MAX, &number));
    assert_false(text_number("", 0, 9, &number));
    assert_false(text_number("-1", -5, 9, &number));
}

static void copies_that_fit(void **state)
{
    (void)state;
    char out[4];
    assert_true(text_copy(out, sizeof out, "abc"));
    assert_string_equal(out, "abc");
    assert_false(text_copy(out, sizeof out, "abcd"));
    assert_string_equal(out, "");
}

static void folding(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    assert_string_equal(text_fold(arena, "STRASSE"), text_fold(arena, "stra\xc3\x9f"
                                                                      "e"));
    arena_free(arena);
}

static bool decodes(const char *text, enum text_base64 form)
{
    unsigned char bytes[8];
    size_t length = 0;
    return text_base64_decode(text, strlen(text), form, bytes, sizeof bytes, &length);
}

static void base64(void **state)
{
    (void)state;
    unsigned char bytes[3] = {0};
    size_t length = 0;
    assert_true(text_base64_decode("_-8", 3, TEXT_BASE64_URL, bytes, sizeof bytes, &length));
    assert_int_equal(length, 2);
    assert_memory_equal(bytes, "\xff\xef", 2);
    assert_true(decodes("/+8=", TEXT_BASE64));
    assert_true(decodes("", TEXT_BASE64_URL));
    assert_false(decodes("_-8=", TEXT_BASE64_URL));
    assert_false(decodes("/+8", TEXT_BASE64));
    assert_false(decodes("_-9", TEXT_BASE64_URL));    /* bits behind the last byte */
    assert_false(decodes("\xff-8", TEXT_BASE64_URL)); /* no other text for the 63rd letter */
    assert_false(decodes("\x80+8=", TEXT_BASE64));
    assert_false(decodes("AAAAAAAAAAAAAAAA", TEXT_BASE64_URL)); /* 12 bytes don't fit */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleaned),         cmocka_unit_test(refused), cmocka_unit_test(numbers),
        cmocka_unit_test(copies_that_fit), cmocka_unit_test(folding), cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
