/* Byte ranges: a table of headers and what they mean for 1000 bytes. */
#include "net/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *header;
    int count; /* or RANGE_IGNORE, RANGE_UNSATISFIABLE */
    struct range ranges[3];
} rows[] = {
    {"bytes=0-0", 1, {{0, 1}}},
    {"bytes=0-499", 1, {{0, 500}}},
    {"bytes=500-", 1, {{500, 500}}},
    {"bytes=-1", 1, {{999, 1}}},
    {"bytes=-5000", 1, {{0, 1000}}},
    {"bytes=999-5000", 1, {{999, 1}}},
    {"Bytes=1-2", 1, {{1, 2}}},
    {"bytes=0-1,5-6", 2, {{0, 2}, {5, 2}}},
    {"bytes= 0-1 , ,\t5-6 ,", 2, {{0, 2}, {5, 2}}},
    {"bytes=900-,0-9,-1", 3, {{900, 100}, {0, 10}, {999, 1}}},
    {"bytes=0-1,2000-3000", 1, {{0, 2}}}, /* the satisfiable one is left */
    {"bytes=1000-", RANGE_UNSATISFIABLE, {{0}}},
    {"bytes=-0", RANGE_UNSATISFIABLE, {{0}}},
    {"bytes=1000-,2000-", RANGE_UNSATISFIABLE, {{0}}},
    {"bytes=", RANGE_IGNORE, {{0}}},
    {"bytes=-", RANGE_IGNORE, {{0}}},
    {"bytes=5-4", RANGE_IGNORE, {{0}}},
    {"bytes=a-b", RANGE_IGNORE, {{0}}},
    {"bytes=1-2x", RANGE_IGNORE, {{0}}},
    {"bytes=1 -2", RANGE_IGNORE, {{0}}},
    {"bytes=1", RANGE_IGNORE, {{0}}},
    {"items=0-1", RANGE_IGNORE, {{0}}},
    {"bytes=99999999999999999999-", RANGE_IGNORE, {{0}}},
    {"bytes=0-99999999999999999999", RANGE_IGNORE, {{0}}},
    {"bytes=0-,0-", RANGE_IGNORE, {{0}}}, /* more than the whole */
    {"bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0",
     RANGE_IGNORE,
     {{0}}},
};

static void headers_mean_ranges(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct range ranges[RANGES_MAX];
        int count = range_parse(rows[i].header, 1000, ranges);
        if (count != rows[i].count ||
            (count > 0 && memcmp(ranges, rows[i].ranges, (size_t)count * sizeof ranges[0]) != 0)) {
            fail_msg("%s → %d", rows[i].header, count);
        }
    }
}

/* Sixteen times half of all that 64 bits count: a sum that wraps is no sum. */
static void lengths_are_not_added_past_64_bits(void **state)
{
    (void)state;
    struct range ranges[RANGES_MAX];
    assert_int_equal(range_parse("bytes=0-,0-,0-,0-", (uint64_t)1 << 62, ranges), RANGE_IGNORE);
    assert_int_equal(range_parse("bytes=0-", (uint64_t)1 << 62, ranges), 1);
}

static void nothing_is_satisfiable_in_nothing(void **state)
{
    (void)state;
    struct range ranges[RANGES_MAX];
    assert_int_equal(range_parse("bytes=0-", 0, ranges), RANGE_UNSATISFIABLE);
    assert_int_equal(range_parse("bytes=-5", 0, ranges), RANGE_UNSATISFIABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_mean_ranges),
        cmocka_unit_test(lengths_are_not_added_past_64_bits),
        cmocka_unit_test(nothing_is_satisfiable_in_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
