/* Loudness against ffmpeg's ebur128 filter, the waveform and the fingerprint, on the sounds that
 * the real decoder gives. */
#include "base/mem.h"
#include "media/analysis.h"
#include "media/decode.h"
#include "media/fingerprint.h"

#include "support.h"

#include <libavutil/log.h>
#include <math.h>

static struct analysis *analyse(const char *name, const struct analysis_result **ret_result)
{
    int64_t bytes;
    int fd CLEANUP_CLOSE = support_open(name, &bytes);
    struct failure failure = {0};
    struct decoder *decoder = NULL;
    struct analysis *analysis = NULL;
    assert_int_equal(decoder_open(fd, bytes, &failure, &decoder), 0);
    assert_int_equal(analysis_new(&decoder_sound(decoder)->pcm, &failure, &analysis), 0);
    const float *const *planes;
    unsigned frames;
    int result;
    while ((result = decoder_next(decoder, &planes, &frames, &failure)) > 0) {
        analysis_write(analysis, planes, frames);
    }
    assert_int_equal(result, 0);
    decoder_free(decoder);
    assert_int_equal(analysis_finish(analysis, &failure, ret_result), 0);
    return analysis;
}

/* The integrated loudness by the histogram's bins alone, as an album's is computed: blocks above
 * the absolute gate, then those above 10 LU below their mean. */
static double by_histogram(const uint32_t histogram[LOUDNESS_BINS])
{
    double gate = -1000;
    for (unsigned round = 0; round < 2; round++) {
        double energy = 0, count = 0;
        for (unsigned i = 0; i < LOUDNESS_BINS; i++) {
            double lufs = -70 + 0.1 * i + 0.05;
            if (lufs >= gate) {
                energy += histogram[i] * pow(10, lufs / 10);
                count += histogram[i];
            }
        }
        gate = 10 * log10(energy / count) - (round == 0 ? 10 : 0);
    }
    return gate;
}

static const struct {
    const char *name, *make, *filter;
} sounds[] = {
    {"chord.flac", "-f lavfi -i \"" SUPPORT_CHORD "12\"", "ebur128=peak=true"},
    {"swell.flac", "-f lavfi -i \"" SUPPORT_CHORD "30\" -af volume='0.02+t/30':eval=frame",
     "ebur128=peak=true"},
    {"noise.mp3", "-f lavfi -i anoisesrc=seed=7:d=12:c=pink:a=0.4:r=48000 -ac 2 -b:a 256k",
     "ebur128=peak=true"},
    {"quiet.wav", "-f lavfi -i \"" SUPPORT_CHORD "12\" -af volume=-40dB -c:a pcm_s24le",
     "ebur128=peak=true"},
    {"surround.flac",
     "-f lavfi -i anoisesrc=seed=7:d=8:c=brown:r=48000 -filter_complex "
     "[0:a]pan=5.1\\|FL=c0\\|FR=0.5*c0\\|FC=0.7*c0\\|LFE=c0\\|BL=0.8*c0\\|BR=0.9*c0",
     "ebur128=peak=true"},
    {"low.wav", "-f lavfi -i anoisesrc=seed=7:d=12:c=pink:r=8000 -ac 2", "ebur128=peak=true"},
    {"mono.flac", "-f lavfi -i anoisesrc=seed=7:d=8:c=pink:r=44100",
     "ebur128=dualmono=true:peak=true"},
};

static void test_loudness_is_ffmpegs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sounds / sizeof sounds[0]; i++) {
        const struct analysis_result *result;
        support_run("ffmpeg -v error %s %s", sounds[i].make, sounds[i].name);
        struct analysis *analysis = analyse(sounds[i].name, &result);
        double lufs =
            support_number("ffmpeg -hide_banner -nostats -i %s -af %s:metadata=1,ametadata"
                           "=print:key=lavfi.r128.I:file=- -f null - 2>/dev/null "
                           "| grep r128.I= | tail -1 | cut -d= -f2",
                           sounds[i].name, sounds[i].filter);
        double peak = support_number("ffmpeg -hide_banner -nostats -i %s -af %s -f null - 2>&1 "
                                     "| grep 'Peak:' | tail -1 | tr -dc '0-9.\\n-'",
                                     sounds[i].name, sounds[i].filter);
        if (fabs(result->loudness.lufs - lufs) > 0.05 ||
            fabs(result->loudness.true_peak_db - peak) > 0.15 ||
            fabs(by_histogram(result->loudness.histogram) - lufs) > 0.1) {
            fail_msg("%s: %f %f %f, ffmpeg %f %f", sounds[i].name, result->loudness.lufs,
                     by_histogram(result->loudness.histogram), result->loudness.true_peak_db, lufs,
                     peak);
        }
        analysis_free(analysis);
    }
}

static void test_silence_has_the_floor(void **state)
{
    const struct analysis_result *result;
    (void)state;
    support_run("ffmpeg -v error -f lavfi -i anullsrc=r=44100:cl=stereo -t 3 silence.wav");
    struct analysis *analysis = analyse("silence.wav", &result);
    assert_true(result->loudness.lufs == -70);
    assert_true(result->loudness.true_peak_db == -120);
    for (unsigned i = 0; i < LOUDNESS_BINS; i++) {
        assert_int_equal(result->loudness.histogram[i], 0);
    }
    analysis_free(analysis);
}

static uint32_t get32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Half a second of full scale in eight seconds of quiet stands where it sounds. */
static void test_waveform_shows_where_it_is_loud(void **state)
{
    const struct analysis_result *result;
    (void)state;
    support_run("ffmpeg -v error -f lavfi -i \"aevalsrc='if(between(t,3,3.5),0.99,0.2)*sin(880*t)':"
                "s=44100:d=8\" bump.wav");
    struct analysis *analysis = analyse("bump.wav", &result);
    const uint8_t *bytes = result->waveform;
    uint32_t frames = get32(bytes + 8), count = get32(bytes + 12);
    assert_memory_equal(bytes, "TWF1", 4);
    assert_int_equal(get32(bytes + 4), 44100);
    assert_in_range(count, 1000, 2000);
    assert_int_equal(result->waveform_bytes, WAVEFORM_HEADER_BYTES + count);
    assert_int_equal(count, (8 * 44100 + frames - 1) / frames);
    for (uint32_t i = 0; i < count; i++) {
        double from = (double)i * frames / 44100, to = (double)(i + 1) * frames / 44100;
        uint8_t peak = bytes[WAVEFORM_HEADER_BYTES + i];
        if (from > 3.01 && to < 3.49) {
            assert_in_range(peak, 240, 255);
        } else if (to < 2.99 || from > 3.51) {
            assert_in_range(peak, 40, 52);
        }
    }
    analysis_free(analysis);
}

/* The same music from another encoding has nearly the same print: what AcoustID lives on. Short
 * sounds have none. */
static void test_fingerprints(void **state)
{
    const struct analysis_result *one, *other, *none;
    (void)state;
    support_run("ffmpeg -v error -f lavfi -i \"" SUPPORT_CHORD "15\" a.flac");
    support_run("ffmpeg -v error -i a.flac b.wav && ffmpeg -v error -i a.flac -t 1 short.wav");
    struct analysis *first = analyse("a.flac", &one), *second = analyse("b.wav", &other);
    struct analysis *third = analyse("short.wav", &none);
    assert_true(strlen(one->fingerprint) > 20);
    assert_string_equal(one->fingerprint, other->fingerprint);
    assert_true(strlen(none->fingerprint) < 12);
    analysis_free(first);
    analysis_free(second);
    analysis_free(third);
}

static int setup(void **state)
{
    av_log_set_level(AV_LOG_QUIET);
    return support_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loudness_is_ffmpegs),
        cmocka_unit_test(test_silence_has_the_floor),
        cmocka_unit_test(test_waveform_shows_where_it_is_loud),
        cmocka_unit_test(test_fingerprints),
    };
    return cmocka_run_group_tests(tests, setup, support_teardown);
}
