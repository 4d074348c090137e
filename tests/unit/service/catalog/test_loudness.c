/* service/catalog/loudness: gates and sums of BS.1770 over histograms. */
#include "service/catalog/loudness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <endian.h>
#include <math.h>
#include <string.h>

static void near(double value, double wanted)
{
    if (fabs(value - wanted) > 1e-6) {
        fail_msg("%.9f, not %.9f", value, wanted);
    }
}

static void one_bin_is_its_centre(void **state)
{
    (void)state;
    struct loudness_histogram histogram = {.counts = {[470] = 12}};
    double lufs = 0;
    assert_true(loudness_integrated(&histogram, &lufs));
    near(lufs, -22.95);
}

static void silence_has_none(void **state)
{
    (void)state;
    struct loudness_histogram histogram = {{0}};
    double lufs = 7;
    assert_false(loudness_integrated(&histogram, &lufs));
    near(lufs, 7);
}

/* EBU Tech 3341, case 3 in kind: long quiet parts under the relative gate don't pull it down. */
static void quiet_blocks_are_gated(void **state)
{
    (void)state;
    struct loudness_histogram histogram = {.counts = {[340] = 100, [470] = 600}};
    double lufs = 0;
    assert_true(loudness_integrated(&histogram, &lufs));
    near(lufs, -22.95);
    /* 5 LU below is within the gate, and counts. */
    struct loudness_histogram within = {.counts = {[420] = 300, [470] = 300}};
    assert_true(loudness_integrated(&within, &lufs));
    near(lufs, 10 * log10((pow(10, -2.295) + pow(10, -2.795)) / 2));
}

static void stored_histograms_add_up(void **state)
{
    (void)state;
    uint32_t counts[LOUDNESS_BINS] = {0};
    counts[0] = htole32(1);
    counts[999] = htole32(4000000000u);
    struct loudness_histogram histogram = {{0}};
    assert_true(loudness_add(&histogram, counts, sizeof counts));
    assert_true(loudness_add(&histogram, counts, sizeof counts));
    assert_int_equal(histogram.counts[0], 2);
    assert_true(histogram.counts[999] == 8000000000u);
    assert_false(loudness_add(&histogram, counts, sizeof counts - 4));
    assert_int_equal(histogram.counts[0], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_bin_is_its_centre),
        cmocka_unit_test(silence_has_none),
        cmocka_unit_test(quiet_blocks_are_gated),
        cmocka_unit_test(stored_histograms_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
