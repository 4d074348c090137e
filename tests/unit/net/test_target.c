/* Paths and queries. */
#include "net/target.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static const struct {
    const char *target;
    int error;
    const char *path;
    unsigned count;
} paths[] = {
    {"/", 0, "/", 1},
    {"/a/b", 0, "/a/b", 2},
    {"/a/b/?x=1", 0, "/a/b/", 3},
    {"/a%20b/%C3%A4", 0, "/a b/\xc3\xa4", 2},
    {"/a%2fb", 0, "/a/b", 1},
    {"/a+b", 0, "/a+b", 1},
    {"/...", 0, "/...", 1},
    {"//", 0, "//", 2},
    {"", ERR_MALFORMED, NULL, 0},
    {"a", ERR_MALFORMED, NULL, 0},
    {"?x", ERR_MALFORMED, NULL, 0},
    {"/%", ERR_MALFORMED, NULL, 0},
    {"/%4", ERR_MALFORMED, NULL, 0},
    {"/%4?4", ERR_MALFORMED, NULL, 0},
    {"/%gg", ERR_MALFORMED, NULL, 0},
    {"/%00", ERR_MALFORMED, NULL, 0},
    {"/%ff", ERR_MALFORMED, NULL, 0},
    {"/%c0%ae", ERR_MALFORMED, NULL, 0},
    {"/./a", ERR_MALFORMED, NULL, 0},
    {"/a/..", ERR_MALFORMED, NULL, 0},
    {"/a/%2e%2E/b", ERR_MALFORMED, NULL, 0},
};

static void paths_are_decoded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct target_path path;
        int error = target_path_decode(arena, paths[i].target, &path);
        if (error != paths[i].error ||
            (error == 0 && (strcmp(path.text, paths[i].path) != 0 || path.count != paths[i].count ||
                            path.length != strlen(path.text)))) {
            fail_msg("%s: %d", paths[i].target, error);
        }
    }
}

static void too_many_segments_are_refused(void **state)
{
    (void)state;
    char target[TARGET_SEGMENTS_MAX + 2];
    memset(target, '/', sizeof target);
    target[TARGET_SEGMENTS_MAX + 1] = '\0';
    struct target_path path;
    assert_int_equal(target_path_decode(arena, target, &path), ERR_URI_TOO_LONG);
    target[TARGET_SEGMENTS_MAX] = '\0';
    assert_int_equal(target_path_decode(arena, target, &path), 0);
}

static void what_came_before_a_bad_part_stays(void **state)
{
    (void)state;
    struct target_path path;
    assert_int_equal(target_path_decode(arena, "/s3/b%20c/../d", &path), ERR_MALFORMED);
    assert_int_equal(path.count, 2);
    assert_int_equal(path.length, strlen("/s3/b c"));
    assert_memory_equal(path.text, "/s3/b c", path.length);
    assert_int_equal(target_path_decode(arena, "s3", &path), ERR_MALFORMED);
    assert_int_equal(path.count, 0);
}

static void queries_are_decoded(void **state)
{
    (void)state;
    struct target_query query;
    assert_int_equal(target_query_decode(arena, "/a?x=1&y=b+c%2B&&z&=v&e=", &query), 0);
    static const char *const wanted[][2] = {
        {"x", "1"}, {"y", "b c+"}, {"z", ""}, {"", "v"}, {"e", ""}};
    assert_int_equal(query.count, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_string_equal(query.pairs[i].name, wanted[i][0]);
        assert_string_equal(query.pairs[i].value, wanted[i][1]);
    }
    assert_int_equal(target_query_decode(arena, "/a", &query), 0);
    assert_int_equal(query.count, 0);
    assert_int_equal(target_query_decode(arena, "/a?", &query), 0);
    assert_int_equal(query.count, 0);
    assert_int_equal(target_query_decode(arena, "/a?x=%", &query), ERR_MALFORMED);
    assert_int_equal(target_query_decode(arena, "/a?x=%ff", &query), ERR_MALFORMED);
    assert_int_equal(target_query_decode(arena, "/a?x%00=1", &query), ERR_MALFORMED);
    char many[2 * TARGET_QUERY_MAX + 4] = "?";
    memset(many + 1, '&', TARGET_QUERY_MAX);
    assert_int_equal(target_query_decode(arena, many, &query), ERR_MALFORMED);
}

static void absolute_forms_have_a_path(void **state)
{
    (void)state;
    static const char *const starts[][2] = {
        {"/a?x=http://t/b", "/a?x=http://t/b"},
        {"http://t/a?x=1", "/a?x=1"},
        {"https://t:1/", "/"},
        {"http://t", "/"},
        {"http://t?x=/healthz", "/"},
        {"http://", "/"},
        {"a?x=http://t/b", "a?x=http://t/b"}, /* none, and no path: refused when it is decoded */
        {"://t/a", "://t/a"},
        {"*", "*"},
        {"", ""},
    };
    for (unsigned i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        assert_string_equal(target_path_start(starts[i][0]), starts[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded),
        cmocka_unit_test(too_many_segments_are_refused),
        cmocka_unit_test(what_came_before_a_bad_part_stays),
        cmocka_unit_test(queries_are_decoded),
        cmocka_unit_test(absolute_forms_have_a_path),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
