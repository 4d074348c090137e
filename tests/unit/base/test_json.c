/* base/json: what is refused, with words that say where. */
#include "base/error.h"
#include "base/json.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
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

/* What jansson holds, in blocks as glibc makes them: 8 bytes more, by 16, at least 32. */
static size_t held;

static void *counting_malloc(size_t bytes)
{
    size_t *block = malloc(16 + bytes);
    assert_non_null(block);
    *block = bytes + 8 <= 32 ? 32 : (bytes + 8 + 15) / 16 * 16;
    held += *block;
    return block + 2;
}

static void counting_free(void *bytes)
{
    size_t *block = bytes != NULL ? (size_t *)bytes - 2 : NULL;
    held -= block != NULL ? *block : 0;
    free(block);
}

/* One part again and again, each time with another number where it has a %d. */
static char *repeat(const char *head, const char *part, const char *tail, int times)
{
    char *text = malloc(strlen(head) + strlen(tail) + (size_t)times * (strlen(part) + 8) + 1);
    assert_non_null(text);
    char *at = stpcpy(text, head);
    for (int i = 0; i < times; i++) {
        const char *number = strstr(part, "%d");
        at += number == NULL ? sprintf(at, "%s", part)
                             : sprintf(at, "%.*s%d%s", (int)(number - part), part, i, number + 2);
    }
    (void)stpcpy(at, tail);
    return text;
}

static void what_a_text_weighs(void **state)
{
    (void)state;
    static const struct {
        const char *head, *part, *tail;
    } rows[] = {
        {"[", "[],", "0]"},
        {"[", "[ \n],", "0]"},
        {"[", "{},", "0]"},
        {"[", "0,", "0]"},
        {"[", "\"\",", "0]"},
        {"[", "1.5,", "0]"},
        {"[", "[[[]]],", "0]"},
        {"[", "[0,0,0,0,0,0,0,0,0],", "0]"},
        {"{", "\"%d\":0,", "\"x\":0}"},
        {"{", "\"%d\":\"\\\"{[,:\",", "\"x\":{}}"},
        {"[", "{\"title\":\"A track\",\"artists\":[\"One\",\"Two\"],\"length\":1000},", "0]"},
    };
    json_set_alloc_funcs(counting_malloc, counting_free);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = repeat(rows[i].head, rows[i].part, rows[i].tail, 5000);
        struct problem problem = {0};
        json_t *value = NULL;
        assert_int_equal(json_read(text, strlen(text), &problem, &value), 0);
        size_t weight = json_weigh(text, strlen(text)).bytes;
        if (weight < held || weight > 2 * held) {
            fail_msg("%s: %zu weighed, %zu held", rows[i].part, weight, held);
        }
        json_decref(value);
        assert_int_equal(held, 0);
        free(text);
    }
    json_set_alloc_funcs(malloc, free);
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
        cmocka_unit_test(what_a_text_weighs),
        cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
