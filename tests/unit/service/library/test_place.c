/* Fractions between fractions (service/library/playlists/place.h). */
#include "service/library/playlists/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const struct place_key nowhere = {.length = 0};

/* As databases do. */
static int compare(const struct place_key *left, const struct place_key *right)
{
    size_t shorter = left->length < right->length ? left->length : right->length;
    int order = memcmp(left->bytes, right->bytes, shorter);
    return order != 0 ? order : (left->length > right->length) - (left->length < right->length);
}

static void assert_between(const struct place_key *after, const struct place_key *place,
                           const struct place_key *before)
{
    assert_true(place->length > 0 && place->length <= PLACE_MAX);
    assert_int_not_equal(place->bytes[place->length - 1], 0);
    assert_true(compare(after, place) < 0);
    assert_true(before->length == 0 || compare(place, before) < 0);
}

static void test_many_at_the_end_stay_short(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct place_key *places = calloc(COUNT, sizeof *places), last = nowhere;
    assert_non_null(places);
    assert_true(place_spread(&nowhere, &nowhere, COUNT, places));
    for (unsigned i = 0; i < COUNT; i++) {
        assert_between(&last, &places[i], &nowhere);
        assert_true(places[i].length <= 6);
        last = places[i];
    }
    struct place_key next;
    assert_true(place_spread(&last, &nowhere, 1, &next));
    assert_between(&last, &next, &nowhere);
    free(places);
}

/* Always behind the first, always before the first, always in the last gap. */
static void test_the_same_gap_over_and_over(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        struct place_key ends[2], middle;
        assert_true(place_spread(&nowhere, &nowhere, 2, ends));
        struct place_key after = way == 1 ? nowhere : ends[0];
        struct place_key before = way == 1 ? ends[0] : ends[1];
        unsigned count = 0;
        while (place_spread(&after, &before, 1, &middle)) {
            assert_between(&after, &middle, &before);
            *(way == 2 ? &after : &before) = middle;
            assert_true(++count < 100000);
        }
        assert_true(count >= 300);
    }
}

static void test_many_at_once_in_a_gap(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct place_key ends[2], places[COUNT];
    assert_true(place_spread(&nowhere, &nowhere, 2, ends));
    assert_true(place_spread(&ends[0], &ends[1], COUNT, places));
    for (unsigned i = 0; i < COUNT; i++) {
        assert_between(i > 0 ? &places[i - 1] : &ends[0], &places[i],
                       i < COUNT - 1 ? &places[i + 1] : &ends[1]);
        assert_true(places[i].length <= 8);
    }
}

static void test_random_insertions_keep_their_order(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    static struct place_key list[COUNT];
    unsigned seed = 7, count = 0;
    while (count < COUNT) {
        seed = seed * 1103515245 + 12345;
        unsigned at = (seed >> 8) % (count + 1);
        struct place_key place;
        assert_true(place_spread(at > 0 ? &list[at - 1] : &nowhere,
                                 at < count ? &list[at] : &nowhere, 1, &place));
        memmove(&list[at + 1], &list[at], (count - at) * sizeof *list);
        list[at] = place;
        count++;
    }
    for (unsigned i = 1; i < COUNT; i++) {
        assert_true(compare(&list[i - 1], &list[i]) < 0);
    }
}

static void test_no_room_and_no_place(void **state)
{
    (void)state;
    struct place_key ends[2], out;
    assert_true(place_spread(&nowhere, &nowhere, 2, ends));
    assert_false(place_spread(&ends[0], &ends[0], 1, &out));
    assert_false(place_spread(&ends[1], &ends[0], 1, &out));
    assert_false(place_of_bytes("", 0, &out));
    assert_false(place_of_bytes("a\0", 2, &out));
    unsigned char long_[PLACE_MAX + 1];
    memset(long_, 1, sizeof long_);
    assert_false(place_of_bytes(long_, sizeof long_, &out));
    assert_true(place_of_bytes(long_, PLACE_MAX, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_at_the_end_stay_short),
        cmocka_unit_test(test_the_same_gap_over_and_over),
        cmocka_unit_test(test_many_at_once_in_a_gap),
        cmocka_unit_test(test_random_insertions_keep_their_order),
        cmocka_unit_test(test_no_room_and_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
