/* service/gateway/app: finding files, what a path means, and the headers of the app's page. */
#include "base/arena.h"
#include "base/error.h"
#include "base/problem.h"
#include "service/gateway/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct embed_file files[] = {
    {"assets/app-AB12.js", "text/javascript", "1", 1, 0, "x", NULL},
    {"favicon.svg", "image/svg+xml", "2", 1, 0, "x", NULL},
    {"index.html", "text/html", "3", 31, 0, "<base href=\"{{base}}\">{{base}}!", NULL},
};

static void finds_files_by_their_whole_path(void **state)
{
    (void)state;
    assert_ptr_equal(app_find(files, 3, "assets/app-AB12.js"), &files[0]);
    assert_ptr_equal(app_find(files, 3, "index.html"), &files[2]);
    assert_null(app_find(files, 3, "assets/app"));
    assert_null(app_find(files, 3, ""));
}

static void leaves_the_paths_of_others_alone(void **state)
{
    (void)state;
    assert_true(app_path_reserved("api/v1"));
    assert_true(app_path_reserved("/m/token"));
    assert_true(app_path_reserved("metrics"));
    assert_false(app_path_reserved("album/7"));
    assert_false(app_path_reserved("apiary"));
    assert_false(app_path_reserved(""));
}

static void keeps_only_hashed_names_for_ever(void **state)
{
    (void)state;
    assert_true(app_name_hashed("assets/app-AB12.js"));
    assert_false(app_name_hashed("assets/licenses.txt"));
    assert_false(app_name_hashed("favicon.svg"));
}

static void reads_accept_encoding(void **state)
{
    (void)state;
    assert_true(app_takes_gzip("gzip, deflate, br"));
    assert_true(app_takes_gzip("br;q=1, GZIP;q=0.5"));
    assert_true(app_takes_gzip("*"));
    assert_false(app_takes_gzip("gzip;q=0"));
    assert_false(app_takes_gzip("gzip; q=0.000"));
    assert_false(app_takes_gzip("br, xgzip"));
    assert_false(app_takes_gzip(""));
    assert_false(app_takes_gzip(NULL));
}

static void policy_names_the_origins_alone(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct problem problem = {0};
    const char *policy = NULL;
    assert_int_equal(app_policy(arena, "https://media.example:8443/x", "", &problem, &policy), 0);
    assert_non_null(strstr(policy, "media-src 'self' blob: https://media.example:8443;"));
    assert_non_null(strstr(policy, "connect-src 'self' https://media.example:8443;"));
    assert_non_null(strstr(policy, "frame-ancestors 'none'"));
    assert_int_equal(app_policy(arena, "", "http://s3.example", &problem, &policy), 0);
    assert_non_null(strstr(policy, "connect-src 'self' http://s3.example;"));
    arena_free(arena);
}

static void policy_refuses_what_would_change_it(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "media.example",     "javascript://x", "https://",    "https://a; script-src *",
        "https://*.example", "https://a\x7f",  "https://a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena *arena = arena_new(0);
        struct problem problem = {0};
        const char *policy = NULL;
        assert_int_equal(app_policy(arena, bad[i], "", &problem, &policy), ERR_INVALID);
        assert_null(policy);
        arena_free(arena);
    }
}

static void page_knows_where_it_lives(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    assert_string_equal(app_page(arena, &files[2], "/tutti"), "<base href=\"/tutti/\">/tutti/!");
    assert_string_equal(app_page(arena, &files[2], ""), "<base href=\"/\">/!");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_files_by_their_whole_path),
        cmocka_unit_test(leaves_the_paths_of_others_alone),
        cmocka_unit_test(keeps_only_hashed_names_for_ever),
        cmocka_unit_test(reads_accept_encoding),
        cmocka_unit_test(policy_names_the_origins_alone),
        cmocka_unit_test(policy_refuses_what_would_change_it),
        cmocka_unit_test(page_knows_where_it_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
