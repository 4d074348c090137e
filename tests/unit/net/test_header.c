/* Small header parsers. */
#include "net/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void bearer_tokens_are_cut_out(void **state)
{
    (void)state;
    assert_string_equal(header_bearer("Bearer abc"), "abc");
    assert_string_equal(header_bearer("bearer   a.b-c_d~e+f/g=="), "a.b-c_d~e+f/g==");
    static const char *const bad[] = {"",           "Bearer",     "Bearer ",    "Basic abc",
                                      "Bearer a b", "Bearer a=b", "Bearer ===", "Bearer ä"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(header_bearer(bad[i]));
    }
}

static void traceparents_are_checked(void **state)
{
    (void)state;
    assert_true(header_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    static const char *const bad[] = {"",
                                      "00",
                                      "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                      "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
                                      "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(header_traceparent(bad[i]));
    }
}

static void ids_and_keys_are_checked(void **state)
{
    (void)state;
    assert_true(header_request_id("a.B-9_"));
    assert_true(header_request_id("123456789012345678901234567890123456789"));
    assert_false(header_request_id("1234567890123456789012345678901234567890"));
    assert_false(header_request_id(""));
    assert_false(header_request_id("a b"));
    assert_false(header_request_id("a\"b"));
    assert_true(header_idempotency_key("!~"));
    assert_false(header_idempotency_key(""));
    assert_false(header_idempotency_key("a b"));
    assert_false(header_idempotency_key("\xc3\xa4"));
}

static void entity_tags_are_compared(void **state)
{
    (void)state;
    assert_true(header_etag_listed("\"a\"", "\"a\"", false));
    assert_true(header_etag_listed("\"b\", \"a\"", "\"a\"", false));
    assert_true(header_etag_listed("*", "\"a\"", false));
    assert_true(header_etag_listed("W/\"a\"", "\"a\"", true));
    assert_true(header_etag_listed("\"a\"", "W/\"a\"", true));
    assert_false(header_etag_listed("W/\"a\"", "\"a\"", false));
    assert_false(header_etag_listed("\"a\"", "W/\"a\"", false));
    assert_false(header_etag_listed("\"ab\"", "\"a\"", true));
    assert_false(header_etag_listed("\"a", "\"a\"", true));
    assert_false(header_etag_listed("a", "\"a\"", true));
    assert_false(header_etag_listed("", "\"a\"", true));
    assert_true(header_etag_listed("\"x,y\", \"a\"", "\"a\"", false));
}

static void dates_go_round(void **state)
{
    (void)state;
    int64_t ms;
    char text[HEADER_DATE_SIZE];
    assert_true(header_date_parse("Sun, 06 Nov 1994 08:49:37 GMT", &ms));
    assert_int_equal(ms, 784111777000);
    header_date_format(ms, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    static const char *const obsolete[] = {"Sunday, 06-Nov-94 08:49:37 GMT",
                                           "Sun Nov  6 08:49:37 1994"};
    for (unsigned i = 0; i < 2; i++) {
        ms = 0;
        assert_true(header_date_parse(obsolete[i], &ms));
        assert_int_equal(ms, 784111777000);
    }
    assert_true(header_date_parse("Sun Nov 16 08:49:37 2025", &ms));
    assert_int_equal(ms, 1763282977000);
    assert_false(header_date_parse("Sun Nov  6 08:49:37 1994 GMT", &ms));
    assert_false(header_date_parse("1994-11-06", &ms));
    assert_false(header_date_parse("Sun, 06 Nov 1994 08:49:37 GMTx", &ms));
    assert_false(header_date_parse("", &ms));
}

static void cookies_are_found(void **state)
{
    (void)state;
    size_t length;
    const char *value = header_cookie("a=1; bb=\"two\";c=", "bb", &length);
    assert_int_equal(length, 3);
    assert_memory_equal(value, "two", 3);
    assert_non_null(header_cookie("a=1; bb=2;c=", "c", &length));
    assert_int_equal(length, 0);
    assert_null(header_cookie("a=1; bb=2", "b", &length));
    assert_null(header_cookie("xa=1", "a", &length));
    assert_null(header_cookie("", "a", &length));
    assert_null(header_cookie("a", "a", &length));
}

static void lists_are_searched(void **state)
{
    (void)state;
    assert_true(header_list_holds("https://a, https://b", "https://b"));
    assert_true(header_list_holds(" GZIP ,br", "gzip"));
    assert_false(header_list_holds("https://ab", "https://a"));
    assert_false(header_list_holds("", "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bearer_tokens_are_cut_out),
        cmocka_unit_test(traceparents_are_checked),
        cmocka_unit_test(ids_and_keys_are_checked),
        cmocka_unit_test(entity_tags_are_compared),
        cmocka_unit_test(dates_go_round),
        cmocka_unit_test(cookies_are_found),
        cmocka_unit_test(lists_are_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
