/* media/convert: exact lengths at every ratio, alignment, and the standard mix-down. */
#include "base/error.h"
#include "base/problem.h"
#include "media/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct collected {
    float *plane[2];
    size_t count, room;
};

static int collect(void *context, const float *const *planes, unsigned frames)
{
    struct collected *all = context;
    assert_true(all->count + frames <= all->room);
    for (unsigned i = 0; i < 2; i++) {
        memcpy(all->plane[i] + all->count, planes[i], frames * sizeof(float));
    }
    all->count += frames;
    return 0;
}

static void collected_init(struct collected *all, size_t room)
{
    *all = (struct collected){.room = room};
    all->plane[0] = calloc(room, sizeof(float));
    all->plane[1] = calloc(room, sizeof(float));
}

static void collected_done(struct collected *all)
{
    free(all->plane[0]);
    free(all->plane[1]);
}

/* Converts frames of channels planes to stereo at a rate, in pieces of 1000. */
static void convert_all(const struct pcm_format *source, int rate, const float *const *planes,
                        unsigned frames, struct collected *all)
{
    const struct pcm_format target = {.rate = rate, .channels = 2};
    const struct pcm_sink sink = {collect, all};
    struct convert *convert = NULL;
    struct problem problem = {0};
    assert_int_equal(convert_new(source, &target, &problem, &convert), 0);
    for (unsigned done = 0; done < frames; done += 1000) {
        const float *at[ENCODE_CHANNELS_MAX];
        for (unsigned i = 0; i < source->channels; i++) {
            at[i] = planes[i] + done;
        }
        unsigned count = frames - done < 1000 ? frames - done : 1000;
        assert_int_equal(convert_write(convert, at, count, &sink), 0);
    }
    assert_int_equal(convert_finish(convert, &sink), 0);
    convert_free(convert);
}

static double sine(double seconds)
{
    return 0.5 * sin(2 * M_PI * 500 * seconds);
}

static void lengths_and_times_are_exact_at_every_ratio(void **state)
{
    (void)state;
    static const int rates[] = {8000,  11025, 22050, 32000, 37800,
                                44100, 48000, 88200, 96000, 192000};
    static const unsigned lengths[] = {1, 2, 7, 31, 500, 1024, 4097, 20001};
    static float samples[20001];
    for (unsigned r = 0; r < sizeof rates / sizeof *rates; r++) {
        for (unsigned i = 0; i < 20001; i++) {
            samples[i] = (float)sine((double)i / rates[r]);
        }
        for (unsigned l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            const struct pcm_format source = {.rate = rates[r], .channels = 2};
            const float *planes[2] = {samples, samples};
            struct collected all;
            int64_t wanted = encode_length(lengths[l], rates[r], 48000);
            collected_init(&all, (size_t)wanted + 1);
            convert_all(&source, 48000, planes, lengths[l], &all);
            assert_int_equal(all.count, wanted);
            for (size_t i = 2000; i + 2000 < all.count; i++) {
                assert_true(fabs(all.plane[1][i] - sine((double)i / 48000)) < 0.001);
            }
            collected_done(&all);
        }
    }
}

static void mono_is_doubled_and_stereo_stays(void **state)
{
    (void)state;
    const float left[] = {0.5F, -1, 1}, right[] = {0.25F, 0, -0.125F};
    const float *planes[] = {left, right};
    struct collected all;
    collected_init(&all, 3);
    const struct pcm_format mono = {.rate = 44100, .channels = 1};
    convert_all(&mono, 44100, planes, 3, &all);
    assert_memory_equal(all.plane[0], left, sizeof left);
    assert_memory_equal(all.plane[1], left, sizeof left);
    all.count = 0;
    const struct pcm_format stereo = {.rate = 44100, .channels = 2};
    convert_all(&stereo, 44100, planes, 3, &all);
    assert_memory_equal(all.plane[1], right, sizeof right);
    collected_done(&all);
}

/* 5.1 by BS.775: L + 0.7071 C + 0.7071 Ls, divided by the sum 2.4142. */
static void surround_is_mixed_by_the_standard_and_can_not_clip(void **state)
{
    (void)state;
    static const double gains[6] = {1, 0,         M_SQRT1_2,
                                    0, M_SQRT1_2, 0}; /* to the left: FL FR FC LFE */
    static float one[4000], zero[4000];
    for (unsigned i = 0; i < 4000; i++) {
        one[i] = 1;
    }
    const struct pcm_format source = {.rate = 48000, .channels = 6};
    for (unsigned channel = 0; channel <= 6; channel++) {
        const float *planes[6];
        double left = channel == 6 ? 1 : gains[channel] / (1 + 2 * M_SQRT1_2);
        for (unsigned i = 0; i < 6; i++) {
            planes[i] = i == channel || channel == 6 ? one : zero;
        }
        struct collected all;
        collected_init(&all, 4000);
        convert_all(&source, 48000, planes, 4000, &all);
        assert_int_equal(all.count, 4000);
        for (unsigned i = 0; i < 4000; i++) {
            assert_true(fabs(all.plane[0][i] - left) < 1e-5);
        }
        collected_done(&all);
    }
}

static void what_can_not_be_is_refused(void **state)
{
    (void)state;
    struct convert *convert = NULL;
    struct problem problem = {0};
    const struct pcm_format stereo = {.rate = 48000, .channels = 2};
    const struct pcm_format mono = {.rate = 48000, .channels = 1};
    const struct pcm_format wrong_mask = {.rate = 48000, .channels = 4, .channel_mask = 3};
    assert_int_equal(convert_new(&stereo, &mono, &problem, &convert), ERR_INVALID);
    assert_int_equal(convert_new(&wrong_mask, &stereo, &problem, &convert), ERR_UNSUPPORTED);
    assert_string_not_equal(problem.detail, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_and_times_are_exact_at_every_ratio),
        cmocka_unit_test(mono_is_doubled_and_stereo_stays),
        cmocka_unit_test(surround_is_mixed_by_the_standard_and_can_not_clip),
        cmocka_unit_test(what_can_not_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
