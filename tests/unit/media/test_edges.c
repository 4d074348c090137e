/* media/edges: prediction goes on where the sound stopped, fades, and never invents noise. */
#include "media/edges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 3 * EDGES_KNOWN };

static float sine(int64_t at)
{
    return (float)(0.5 * sin(2 * M_PI * 997 * (double)at / 44100));
}

static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (float)(int32_t)*seed * 0x1p-32F;
}

static double fade_out(unsigned i)
{
    return 0.5 + 0.5 * cos(M_PI * (i + 0.5) / EDGES_FADE);
}

static void a_sine_goes_on(void **state)
{
    (void)state;
    float known[EDGES_KNOWN], next[EDGES_FADE];
    for (unsigned i = 0; i < EDGES_KNOWN; i++) {
        known[i] = sine(i);
    }
    edges_predict(known, EDGES_KNOWN, next);
    for (unsigned i = 0; i < EDGES_FADE; i++) {
        assert_true(fabs(next[i] - sine(EDGES_KNOWN + i) * fade_out(i)) < 0.01);
    }
}

static void of_much_only_the_end_counts(void **state)
{
    (void)state;
    static float known[MANY];
    float of_all[EDGES_FADE], of_end[EDGES_FADE];
    uint32_t seed = 1;
    for (unsigned i = 0; i < MANY; i++) {
        known[i] = noise(&seed);
    }
    edges_predict(known, MANY, of_all);
    edges_predict(known + MANY - EDGES_KNOWN, EDGES_KNOWN, of_end);
    assert_memory_equal(of_all, of_end, sizeof of_all);
}

static void assert_bounded(const float *known, unsigned count, float bound)
{
    float next[EDGES_FADE];
    edges_predict(known, count, next);
    for (unsigned i = 0; i < EDGES_FADE; i++) {
        assert_true(fabsf(next[i]) <= bound); /* false for NaN too */
    }
}

static void hard_cases_stay_bounded(void **state)
{
    (void)state;
    float known[EDGES_KNOWN] = {0};
    assert_bounded(known, EDGES_KNOWN, 0); /* silence */
    known[17] = 1;
    assert_bounded(known, EDGES_KNOWN, 0.001F); /* a click long ago */
    known[EDGES_KNOWN - 1] = 1;
    assert_bounded(known, EDGES_KNOWN, 1);
    for (unsigned i = 0; i < EDGES_KNOWN; i++) {
        known[i] = 1; /* direct current */
    }
    assert_bounded(known, EDGES_KNOWN, 1.01F);
    for (unsigned i = 0; i < EDGES_KNOWN; i++) {
        known[i] = i % 2 == 0 ? 1 : -1; /* Nyquist */
    }
    assert_bounded(known, EDGES_KNOWN, 1.01F);
    assert_bounded(known, EDGES_KNOWN_MIN - 1, 0); /* too little to go by */
    uint32_t seed = 7;
    for (unsigned i = 0; i < EDGES_KNOWN; i++) {
        known[i] = noise(&seed);
    }
    assert_bounded(known, EDGES_KNOWN, 2);
}

/* What an encoder would be fed, put together. */
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

/* Feeds a track of so many samples (left a sine, right its negative) in pieces. */
static void feed(unsigned samples, unsigned piece, struct collected *all)
{
    static float left[MANY], right[MANY];
    const struct pcm_sink sink = {collect, all};
    struct edges *edges = edges_new(2);
    all->room = samples + 2 * EDGES_LEAD;
    all->plane[0] = calloc(all->room, sizeof(float));
    all->plane[1] = calloc(all->room, sizeof(float));
    all->count = 0;
    for (unsigned i = 0; i < samples; i++) {
        left[i] = sine(i);
        right[i] = -left[i];
    }
    for (unsigned done = 0; done < samples; done += piece) {
        const float *planes[2] = {left + done, right + done};
        unsigned count = samples - done < piece ? samples - done : piece;
        assert_int_equal(edges_write(edges, planes, count, &sink), 0);
    }
    assert_int_equal(edges_finish(edges, &sink), 0);
    assert_int_equal(all->count, all->room);
    edges_free(edges);
}

static void check_fed(unsigned samples, unsigned piece)
{
    struct collected all;
    feed(samples, piece, &all);
    const float *track = all.plane[0] + EDGES_LEAD;
    for (unsigned i = 0; i < samples; i++) {
        assert_true(track[i] == sine(i));
    }
    for (unsigned i = 0; i < EDGES_LEAD - EDGES_FADE; i++) {
        assert_true(all.plane[0][i] == 0 && track[(int64_t)samples + EDGES_LEAD - 1 - i] == 0);
    }
    for (unsigned i = 0; i < EDGES_FADE; i++) { /* seen from both edges */
        double before = samples < EDGES_KNOWN_MIN ? 0 : sine(-1 - (int64_t)i) * fade_out(i);
        double after = samples < EDGES_KNOWN_MIN ? 0 : sine((int64_t)samples + i) * fade_out(i);
        double margin = samples < EDGES_KNOWN ? 0.05 : 0.01;
        assert_true(fabs(track[-1 - (int64_t)i] - before) < margin);
        assert_true(fabs(track[samples + i] - after) < margin);
        assert_true(all.plane[1][EDGES_LEAD - 1 - i] == -track[-1 - (int64_t)i]);
    }
    free(all.plane[0]);
    free(all.plane[1]);
}

static void a_track_is_led_in_and_out_whatever_its_pieces(void **state)
{
    (void)state;
    check_fed(MANY, MANY);
    check_fed(MANY, 1000);
    check_fed(EDGES_KNOWN, 4096);
    check_fed(EDGES_KNOWN - 1, 7);
    check_fed(EDGES_KNOWN + 1, 1);
    check_fed(2048, 500);
    check_fed(100, 100);
    check_fed(1, 1);
}

static int refuse(void *context, const float *const *planes, unsigned frames)
{
    (void)context, (void)planes, (void)frames;
    return -7;
}

static void what_the_sink_says_comes_back(void **state)
{
    (void)state;
    float zeros[16] = {0};
    const float *planes[1] = {zeros};
    const struct pcm_sink sink = {refuse, NULL};
    struct edges *edges = edges_new(1);
    assert_int_equal(edges_write(edges, planes, 16, &sink), 0);
    assert_int_equal(edges_finish(edges, &sink), -7);
    edges_free(edges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sine_goes_on),
        cmocka_unit_test(of_much_only_the_end_counts),
        cmocka_unit_test(hard_cases_stay_bounded),
        cmocka_unit_test(a_track_is_led_in_and_out_whatever_its_pieces),
        cmocka_unit_test(what_the_sink_says_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
