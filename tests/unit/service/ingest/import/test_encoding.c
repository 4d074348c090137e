/* Text of any encoding (encoding.h). */
#include "service/ingest/import/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void text_becomes_utf8(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *text;
    } rows[] = {
        {"plain", 5, "plain"},
        {"", 0, ""},
        {"\xef\xbb\xbfM\xc3\xb6", 6, "M\xc3\xb6"},
        {"M\xf6\x93", 3, "M\xc3\xb6\xe2\x80\x9c"},
        {"a\0\xc3\xb6", 4, "a \xc3\xb6"},
        {"a\0\xf6", 3, "a \xc3\xb6"},
        {"\xff\xfeM\0\xf6\0\0\0", 8, "M\xc3\xb6 "},
        {"\xfe\xff\0M\x30\x42", 6, "M\xe3\x81\x82"},
        {"\xff\xfe\x3d\xd8\x00\xde", 6, "\xf0\x9f\x98\x80"}, /* a pair */
        {"\xff\xfe\x3d\xd8"
         "A\0",
         6,
         "\xef\xbf\xbd"
         "A"}, /* halves */
        {"\xff\xfe\x00\xde\x3d\xd8", 6, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xff\xfe"
         "A",
         3, ""}, /* half of a character */
    };
    struct arena *arena = arena_new(0);
    (void)state;
    assert_non_null(arena);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = encoding_to_utf8(arena, rows[i].bytes, rows[i].length);
        assert_non_null(text);
        assert_string_equal(text, rows[i].text);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
