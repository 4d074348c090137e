/* Log lines: one JSON object each, whatever the values hold. */
#include "base/log.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static json_t *line_of(const struct log_field *fields, unsigned count)
{
    char line[LOG_LINE_MAX];
    size_t length = log_format(line, LOG_INFO, "test", fields, count);
    assert_in_range(length, 1, LOG_LINE_MAX);
    assert_int_equal(line[length - 1], '\n');
    assert_null(memchr(line, '\n', length - 1));
    json_t *object = json_loadb(line, length, 0, NULL);
    assert_non_null(object);
    return object;
}

static void lines_are_json(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, -1, 10, INT64_MAX, INT64_MIN};
    static const char text[] = "a\"b\\c\n\x01\x7f ä";
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct log_field fields[] = {log_text("text", text), log_number("number", numbers[i]),
                                           log_text("none", NULL), log_real("real", 0.5)};
        json_t *object = line_of(fields, 4);
        assert_string_equal(json_string_value(json_object_get(object, "text")), text);
        assert_int_equal(json_integer_value(json_object_get(object, "number")), numbers[i]);
        assert_string_equal(json_string_value(json_object_get(object, "none")), "");
        assert_string_equal(json_string_value(json_object_get(object, "level")), "info");
        assert_string_equal(json_string_value(json_object_get(object, "event")), "test");
        assert_int_equal(strlen(json_string_value(json_object_get(object, "t"))), 24);
        json_decref(object);
    }
}

/* A reader of JSON refuses a line of which one byte is no UTF-8, and all its fields with it. */
static void what_is_no_utf8_is_replaced(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"G\xffT", "G\xef\xbf\xbdT"},
        {"caf\xe9", "caf\xef\xbf\xbd"},                               /* cut off at the end */
        {"\xed\xa0\x80 ä", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ä"}, /* half a pair */
        {"\xc0\xaf\xff\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* overlong */
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct log_field fields[] = {log_text("text", rows[i][0])};
        json_t *object = line_of(fields, 1);
        assert_string_equal(json_string_value(json_object_get(object, "text")), rows[i][1]);
        json_decref(object);
    }
}

static void long_lines_are_cut_and_say_so(void **state)
{
    (void)state;
    static char text[6000];
    memset(text, 'x', sizeof text - 1);
    const struct log_field fields[] = {log_text("a", "1"), log_text("long", text),
                                       log_text("b", "2")};
    json_t *object = line_of(fields, 3);
    assert_string_equal(json_string_value(json_object_get(object, "a")), "1");
    assert_null(json_object_get(object, "long"));
    assert_true(json_is_true(json_object_get(object, "cut")));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_json),
        cmocka_unit_test(what_is_no_utf8_is_replaced),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
