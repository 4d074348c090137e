/* base/json: what is refused, with words that say where. */
#include "base/error.h"
#include "base/json.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static int reads(const char *text, struct problem *problem)
{
    json_t *value CLEANUP_JSON = NULL;
    problem_reset(problem);
    return json_read(text, strlen(text), problem, &value);
}

static void good_and_bad(void **state)
{
    (void)state;
    struct problem problem;
    assert_int_equal(reads("{\"a\":[1,{\"b\":\"]]]]\"}]}", &problem), 0);
    assert_int_equal(reads("{\"a\":1,\"a\":2}", &problem), ERR_MALFORMED);
    assert_non_null(strstr(problem.detail, "line 1"));
    assert_int_equal(reads("{\"a\":1} x", &problem), ERR_MALFORMED);
    assert_int_equal(reads("{\"a\":\"\xff\"}", &problem), ERR_MALFORMED);
    assert_int_equal(reads("{\"a\":1e999}", &problem), ERR_MALFORMED);
    assert_int_equal(reads("{\"a\":99999999999999999999}", &problem), ERR_MALFORMED);
    assert_int_equal(reads("", &problem), ERR_MALFORMED);
}

static void depth(void **state)
{
    (void)state;
    struct problem problem;
    char text[2 * JSON_DEPTH_MAX + 3];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    text[2 * JSON_DEPTH_MAX] = '\0';
    assert_int_equal(reads(text, &problem), 0);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    text[2 * JSON_DEPTH_MAX + 2] = '\0';
    assert_int_equal(reads(text, &problem), ERR_MALFORMED);
    assert_non_null(strstr(problem.detail, "deeper"));
}

static void ids(void **state)
{
    (void)state;
    int64_t id = 0;
    json_t *value CLEANUP_JSON = json_pack("[s,I,i,s,b]", "12", (json_int_t)34, -5, "x", 1);
    assert_true(json_is_id(json_array_get(value, 0), &id));
    assert_int_equal(id, 12);
    assert_true(json_is_id(json_array_get(value, 1), &id));
    assert_int_equal(id, 34);
    for (size_t i = 2; i < 5; i++) {
        assert_false(json_is_id(json_array_get(value, i), &id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_and_bad),
        cmocka_unit_test(depth),
        cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
