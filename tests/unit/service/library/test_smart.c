/* library/smart: reading rules, what they match, and by what a search for it can be narrowed. */
#include "base/error.h"
#include "base/json.h"
#include "service/library/smart/smart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define ALL(rules)             "{\"match\":\"all\",\"rules\":[" rules "]}"
#define ANY(rules)             "{\"match\":\"any\",\"rules\":[" rules "]}"
#define RULE(field, op, value) "{\"field\":\"" field "\",\"op\":\"" op "\",\"value\":" value "}"

static struct call call;
static struct smart smart;

static int begin(void **state)
{
    (void)state;
    memset(&call, 0, sizeof call);
    call.arena = arena_new(0);
    return call.arena != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    arena_free(call.arena);
    return 0;
}

static int reads(const char *text)
{
    CLEANUP_JSON json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    problem_reset(&call.problem);
    return smart_read(&call, object, &smart);
}

static const int64_t day_ms = 86400000, now_ms = 1000 * INT64_C(86400000);

static bool matches(const char *text, const struct smart_personal *personal)
{
    const struct catalog_fact fact = {.id = 1,
                                      .duration_ms = 61999,
                                      .added_ms = now_ms - 10 * day_ms,
                                      .year = 1968,
                                      .title = "Stra\u00dfe",
                                      .artist = "A",
                                      .album = "B",
                                      .genres = "[\"Cool Jazz\",\"Rock\"]",
                                      .details =
                                          "{\"artists\":[{\"name\":\"A\"},{\"name\":\"Guest\"}]}"};
    assert_int_equal(reads(text), 0);
    return smart_matches(call.arena, &smart, &fact, personal, now_ms);
}

static void conditions_match(void **state)
{
    (void)state;
    const struct smart_personal nobody = {.id = 1};
    const struct smart_personal fan = {
        .id = 1, .rating = 4, .plays = 7, .last_played_ms = now_ms - day_ms, .favourite = true};
    static const char *const true_of_all[] = {
        ALL(RULE("title", "is", "\"STRASSE\"")),
        ALL(RULE("artist", "is", "\"guest\"")),
        ALL(RULE("artist", "isNot", "\"Gues\"")),
        ALL(RULE("genre", "is", "\"rock\"")),
        ALL(RULE("genre", "contains", "\"jazz\"")),
        ALL(RULE("genre", "isNot", "\"jazz\"")),
        ALL(RULE("year", "between", "[1968,1968]")),
        ALL(RULE("duration", "is", "61")),
        ALL(RULE("added", "withinDays", "11")),
        ALL(RULE("added", "notWithinDays", "10")),
        ANY(RULE("lastPlayed", "notWithinDays", "36500") "," RULE("lastPlayed", "withinDays", "3")),
        ANY(RULE("year", "is", "1") "," RULE("year", "is", "1968")),
    };
    static const char *const true_of_fans[] = {
        ALL(RULE("rating", "above", "3")),
        ALL(RULE("plays", "isNot", "0")),
        ALL(RULE("favourite", "is", "true")),
        ALL(RULE("lastPlayed", "withinDays", "2")),
        ALL(RULE("lastPlayed", "withinDays", "36500")), /* more than there were since 1970 */
        ALL(ANY(RULE("rating", "is", "4") "," RULE("plays", "is", "7"))),
    };
    for (size_t i = 0; i < sizeof true_of_all / sizeof *true_of_all; i++) {
        assert_true(matches(true_of_all[i], &nobody));
        assert_false(smart_needs_personal(&smart));
    }
    for (size_t i = 0; i < sizeof true_of_fans / sizeof *true_of_fans; i++) {
        assert_true(matches(true_of_fans[i], &fan));
        assert_true(smart_needs_personal(&smart));
        assert_false(matches(true_of_fans[i], &nobody));
    }
    assert_false(matches(ALL(RULE("title", "startsWith", "\"tra\"")), &nobody));
    assert_false(matches(ALL(RULE("year", "above", "1968")), &nobody));
    assert_false(matches(ALL(RULE("favourite", "is", "false")), &fan));
    assert_false(matches(ALL(RULE("year", "is", "1968") "," RULE("plays", "is", "1")), &fan));
}

static void a_search_is_narrowed_only_by_what_all_have(void **state)
{
    (void)state;
#define GENRE     RULE("genre", "is", "\"Rock\"")
#define FAVOURITE RULE("favourite", "is", "true")
    assert_int_equal(reads(ALL(FAVOURITE "," GENRE)), 0);
    assert_string_equal(smart_needs_genre(&smart), "rock");
    assert_true(smart_needs_personal(&smart));
    assert_int_equal(reads(ANY(GENRE)), 0);
    assert_string_equal(smart_needs_genre(&smart), "rock");
    assert_int_equal(reads(ANY(FAVOURITE "," GENRE)), 0);
    assert_null(smart_needs_genre(&smart));
    assert_false(smart_needs_personal(&smart));
    assert_int_equal(reads(ALL(RULE("genre", "isNot", "\"Rock\""))), 0);
    assert_null(smart_needs_genre(&smart));
    assert_int_equal(reads(ANY(FAVOURITE "," RULE("plays", "above", "0"))), 0);
    assert_true(smart_needs_personal(&smart));
}

static void defaults_and_refusals(void **state)
{
    (void)state;
    assert_int_equal(reads(ALL(RULE("year", "is", "1"))), 0);
    assert_int_equal(smart.limit, SMART_LIMIT_DEFAULT);
    assert_int_equal(smart.order, SMART_ADDED);
    assert_true(smart.descending && !smart.random);
    static const char *const bad[] = {
        "[]",
        "{}",
        ALL(""),
        ALL("7"),
        ALL(RULE("year", "is", "-1")),
        ALL(RULE("year", "is", "1.5")),
        ALL(RULE("year", "between", "[1]")),
        ALL(RULE("favourite", "above", "true")),
        ALL(RULE("added", "withinDays", "36501")),
        ALL(RULE("title", "is", "\"\\n\"")),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(reads(bad[i]), ERR_INVALID);
        assert_true(call.problem.field_count == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(conditions_match, begin, end),
        cmocka_unit_test_setup_teardown(a_search_is_narrowed_only_by_what_all_have, begin, end),
        cmocka_unit_test_setup_teardown(defaults_and_refusals, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
