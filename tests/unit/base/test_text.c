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

static void percents(void **state)
{
    (void)state;
    char out[8] = "";
    assert_int_equal(text_percent_byte("%fF", 3), 255);
    assert_int_equal(text_percent_byte("%00", 3), 0);
    assert_int_equal(text_percent_byte("%41", 2), -1);
    assert_int_equal(text_percent_byte("%g1", 3), -1);
    assert_int_equal(text_percent_byte("%+1", 3), -1);
    assert_int_equal(text_percent_byte("a41", 3), -1);
    assert_true(text_percent_decode("a%2Fb%c3%A4+", 12, out, sizeof out));
    assert_string_equal(out, "a/b\303\244+");
    assert_true(text_percent_decode("%41%42", 3, out, sizeof out)); /* no more than was asked for */
    assert_string_equal(out, "A");
    assert_true(text_percent_decode("", 0, out, sizeof out));
    static const char *const wrong[] = {"a%", "a%4", "a%zz", "a%00", "%0a", "%7f", "12345678"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(text_percent_decode(wrong[i], strlen(wrong[i]), out, sizeof out));
        assert_string_equal(out, "");
    }
    assert_true(text_percent_decode("1234567", 7, out, sizeof out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleaned),         cmocka_unit_test(refused), cmocka_unit_test(numbers),
        cmocka_unit_test(copies_that_fit), cmocka_unit_test(folding), cmocka_unit_test(base64),
        cmocka_unit_test(percents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
