/* media/target: what the file of a format will be. */
#include "media/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void lossy_rates_follow_the_family(void **state)
{
    (void)state;
    static const int pairs[][2] = {{44100, 44100}, {88200, 44100}, {176400, 44100}, {22050, 44100},
                                   {11025, 44100}, {48000, 48000}, {96000, 48000},  {8000, 48000},
                                   {37800, 48000}, {32000, 48000}, {192000, 48000}};
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct pcm_format source = {.rate = pairs[i][0], .channels = 1, .bits = 16};
        const struct pcm_format aac = encode_target(ENCODE_AAC, &source);
        assert_int_equal(aac.rate, pairs[i][1]);
        assert_int_equal(aac.channels, 2);
        assert_int_equal(encode_target(ENCODE_MP3, &source).rate, pairs[i][1]);
        assert_int_equal(encode_target(ENCODE_OPUS, &source).rate, 48000);
        assert_int_equal(encode_target(ENCODE_FLAC, &source).rate, pairs[i][0]);
        assert_int_equal(encode_target(ENCODE_FLAC, &source).channels, 1);
    }
}

static void lengths_are_rounded(void **state)
{
    (void)state;
    assert_int_equal(encode_length(1, 44100, 48000), 1);  /* 1.088 */
    assert_int_equal(encode_length(6, 44100, 48000), 7);  /* 6.53 */
    assert_int_equal(encode_length(1, 96000, 48000), 1);  /* a half: up */
    assert_int_equal(encode_length(1, 192000, 48000), 0); /* a quarter */
    assert_int_equal(encode_length(441, 44100, 44100), 441);
    assert_int_equal(encode_length(INT64_C(1) << 40, 1, 192000), (INT64_C(1) << 40) * 192000);
}

static void flac_holds_what_it_can_name(void **state)
{
    (void)state;
    const struct pcm_format stereo = {.rate = 44100, .channels = 2, .bits = 24};
    const struct pcm_format floats = {.rate = 44100, .channels = 2, .bits = 32};
    const struct pcm_format surround = {.rate = 44100, .channels = 6, .bits = 16};
    const struct pcm_format eight = {.rate = 44100, .channels = 8, .bits = 16};
    const struct pcm_format nine = {.rate = 44100, .channels = 9, .bits = 16};
    const struct pcm_format none = {.rate = 0, .channels = 2, .bits = 16};
    const struct pcm_format odd = {.rate = 96001, .channels = 2, .bits = 16};
    const struct pcm_format high = {.rate = 176400, .channels = 2, .bits = 16};
    assert_true(encode_can(ENCODE_FLAC, &stereo));
    assert_true(encode_can(ENCODE_FLAC, &surround));
    assert_true(encode_can(ENCODE_FLAC, &floats));
    assert_true(encode_can(ENCODE_FLAC, &eight));
    assert_true(encode_can(ENCODE_FLAC, &high));
    assert_false(encode_can(ENCODE_FLAC, &odd));
    assert_true(encode_can(ENCODE_AAC, &odd));
    assert_true(encode_can(ENCODE_AAC, &eight));
    assert_true(encode_can(ENCODE_AAC, &floats));
    assert_false(encode_can(ENCODE_AAC, &nine));
    assert_false(encode_can(ENCODE_AAC, &none));
    assert_int_equal(encode_target(ENCODE_FLAC, &floats).bits, 24);
}

/* Bits of WAVEFORMATEXTENSIBLE: FL 1, FR 2, FC 4, LFE 8, BL 10, BR 20, FLC 40, FRC 80, BC 100,
 * SL 200, SR 400. */
static void flac_is_told_the_speakers_it_does_not_mean(void **state)
{
    (void)state;
    static const struct {
        unsigned channels;
        uint64_t mask, speakers;
        uint32_t told;
    } rows[] = {
        {1, 0, 0x4, 0},        {2, 0, 0x3, 0},
        {3, 0, 0x7, 0},        {4, 0, 0x33, 0},
        {5, 0x607, 0x607, 0},  {5, 0x37, 0x37, 0},
        {6, 0, 0x3f, 0},       {6, 0x60f, 0x60f, 0},
        {7, 0, 0x70f, 0},      {8, 0, 0x63f, 0},
        {3, 0xb, 0xb, 0xb},    {4, 0x107, 0x107, 0x107},
        {8, 0xff, 0xff, 0xff}, {7, 0x13f, 0x13f, 0x13f},
        {9, 0, 0, 0},          {2, 3U << 29, 3U << 29, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pcm_format pcm = {
            .rate = 48000, .channels = rows[i].channels, .channel_mask = rows[i].mask};
        assert_int_equal(encode_speakers(&pcm), rows[i].speakers);
        if (rows[i].channels <= ENCODE_CHANNELS_MAX) {
            assert_int_equal(encode_flac_mask(&pcm), rows[i].told);
        }
    }
}

static void words_are_formats_and_back(void **state)
{
    (void)state;
    enum encode_format format;
    for (unsigned i = ENCODE_AAC; i <= ENCODE_FLAC; i++) {
        assert_true(encode_format_parse(encode_format_name((enum encode_format)i), &format));
        assert_int_equal(format, i);
    }
    assert_false(encode_format_parse("original", &format));
    assert_false(encode_format_parse("", &format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lossy_rates_follow_the_family),
        cmocka_unit_test(lengths_are_rounded),
        cmocka_unit_test(flac_holds_what_it_can_name),
        cmocka_unit_test(flac_is_told_the_speakers_it_does_not_mean),
        cmocka_unit_test(words_are_formats_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
