/* backend/blob/blob_file_path: where a key's file lies. */
#include "backend/blob/blob.h"
#include "backend/blob/blob_file_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void assert_path(const char *key, const char *expected)
{
    char path[BLOB_PATH_MAX];
    blob_path_from_key(key, path);
    assert_string_equal(path, expected);
}

static void the_first_two_parts_fan_out(void **state)
{
    (void)state;
    assert_path("a", "a.obj");
    assert_path("m/117834520193024000/1/aac-160.mp4",
                "m.dir/117.top/834.top/520193024000.dir/1.dir/aac-160.mp4.obj");
    assert_path("abc/abc", "abc.dir/abc.obj");
    assert_path("abcd", "abc.top/d.obj");
    assert_path("abc-d", "abc.low/-d.obj");
    assert_path("abcdefg", "abc.top/def.top/g.obj");
    assert_path("a/b/longer than three", "a.dir/b.dir/longer than three.obj");
}

static void odd_names_are_names(void **state)
{
    (void)state;
    assert_path("a//b", "a.dir/.dir/b.obj");
    assert_path("a/", "a.dir/.obj");
    assert_path("./.", "..dir/..obj");
    assert_path("a/b/c.dir", "a.dir/b.dir/c.dir.obj");
}

static void the_longest_keys_fit(void **state)
{
    (void)state;
    char key[BLOB_KEY_MAX + 1];
    char path[BLOB_PATH_MAX];
    memset(key, 'k', BLOB_KEY_MAX);
    key[BLOB_KEY_MAX] = '\0';
    for (unsigned i = 0; i + 1 < BLOB_KEY_DEPTH_MAX; i++) {
        key[i * 16 + 8] = '/';
    }
    blob_path_from_key(key, path);
    for (const char *at = path; *at != '\0';) {
        size_t length = strcspn(at, "/");
        assert_true(length <= 255);
        at += length + (at[length] == '/');
    }
}

static void kinds_are_told_by_the_suffix(void **state)
{
    (void)state;
    assert_int_equal(blob_path_kind("x.obj"), BLOB_ENTRY_OBJECT);
    assert_int_equal(blob_path_kind(".dir"), BLOB_ENTRY_FOLDER);
    assert_int_equal(blob_path_kind("abc.low"), BLOB_ENTRY_LOW);
    assert_int_equal(blob_path_kind("abc.top"), BLOB_ENTRY_TOP);
    assert_int_equal(blob_path_kind("lost+found"), -1);
    assert_int_equal(blob_path_kind(".."), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_two_parts_fan_out),
        cmocka_unit_test(odd_names_are_names),
        cmocka_unit_test(the_longest_keys_fit),
        cmocka_unit_test(kinds_are_told_by_the_suffix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
