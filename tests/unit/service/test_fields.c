/* service/catalog/fields: members of a body, limits named. */
#include "service/fields.h"

#include "base/error.h"
#include "service/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static int setup(void **state)
{
    static struct call call;
    memset(&call, 0, sizeof call);
    call.arena = arena_new(0);
    *state = &call;
    return 0;
}

static int teardown(void **state)
{
    struct call *call = *state;
    arena_free(call->arena);
    return 0;
}

static json_t *body_of(const char *text)
{
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    return body;
}

static int date(struct call *call, const char *text, const char **ret_date)
{
    json_t *body = body_of(text);
    bool there = false;
    int error = field_date(call, body, "d", ret_date, &there);
    *ret_date = error == 0 && there ? arena_strdup(call->arena, *ret_date) : NULL;
    json_decref(body);
    return error;
}

static void dates_exist(void **state)
{
    struct call *call = *state;
    const char *text = NULL;
    assert_int_equal(date(call, "{\"d\":\"2024-02-29\"}", &text), 0);
    assert_string_equal(text, "2024-02-29");
    assert_int_equal(date(call, "{\"d\":null}", &text), 0);
    assert_string_equal(text, "");
    static const char *const bad[] = {
        "{\"d\":\"2023-02-29\"}",  "{\"d\":\"2023-13-01\"}", "{\"d\":\"2023-1-01\"}",
        "{\"d\":\"0999-01-01\"}",  "{\"d\":\"2023-01-00\"}", "{\"d\":20230101}",
        "{\"d\":\"2023-01-01T\"}", "{\"d\":\"\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(date(call, bad[i], &text), ERR_INVALID);
    }
    assert_string_equal(call->problem.fields[0].name, "d");
}

static int isrc(struct call *call, const char *text, const char **ret_isrc)
{
    json_t *body = body_of(text);
    bool there = false;
    int error = field_isrc(call, body, "isrc", ret_isrc, &there);
    json_decref(body);
    return error;
}

static void isrcs_are_normal(void **state)
{
    struct call *call = *state;
    const char *text = NULL;
    assert_int_equal(isrc(call, "{\"isrc\":\"de-a12-34-56789\"}", &text), 0);
    assert_string_equal(text, "DEA123456789");
    static const char *const bad[] = {"{\"isrc\":\"DEA12345678\"}", "{\"isrc\":\"1EA123456789\"}",
                                      "{\"isrc\":\"DEA1234567890\"}", "{\"isrc\":5}",
                                      "{\"isrc\":\"DEA12345678\xc3\xa4\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(isrc(call, bad[i], &text), ERR_INVALID);
    }
}

static void all_that_is_wrong_is_told(void **state)
{
    struct call *call = *state;
    struct track_fields fields = {0};
    json_t *body = body_of("{\"albumId\":\"x\",\"title\":\"\",\"trackNumber\":0,\"explicit\":1,"
                           "\"discNumber\":1e3}");
    assert_int_equal(catalog_track_fields(call, body, true, &fields), ERR_INVALID);
    json_decref(body);
    assert_int_equal(call->problem.field_count, 6);
    static const char *const names[] = {"albumId",    "title",    "trackNumber",
                                        "discNumber", "explicit", "trackUrl"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_string_equal(call->problem.fields[i].name, names[i]);
    }
}

static void sort_keys_have_a_limit(void **state)
{
    struct call *call = *state;
    assert_string_equal(field_sort_key(call->arena, "\xc3\x84"
                                                    "B"),
                        "\xc3\xa4"
                        "b");
    char title[300 * 3 + 1] = "";
    for (int i = 0; i < 300; i++) {
        strcat(title, "\xef\xb7\xba"); /* U+FDFA folds to 18 characters */
    }
    const char *key = field_sort_key(call->arena, title);
    assert_in_range(strlen(key), SORT_KEY_BYTES_MAX - 3, SORT_KEY_BYTES_MAX);
    assert_true(text_is_utf8(key, strlen(key)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(dates_exist),
        TEST(isrcs_are_normal),
        TEST(all_that_is_wrong_is_told),
        TEST(sort_keys_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
