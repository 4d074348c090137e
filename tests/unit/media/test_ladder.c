/* media/ladder (and encode under it): the same bytes on any number of threads, every file reported
 * once, what goes wrong said once, nothing left behind when it is abandoned.
 */
#include "base/error.h"
#include "base/problem.h"
#include "media/ladder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FRAMES = 200000, KINDS = 7 };

static const struct encode_spec kinds[KINDS] = {
    {ENCODE_AAC, 96, -1}, {ENCODE_AAC, 320, -1},    {ENCODE_MP3, 160, -1}, {ENCODE_OPUS, 96, -1},
    {ENCODE_FLAC, 0, -1}, {ENCODE_VORBIS, 160, -1}, {ENCODE_AAC, 160, -1},
};
static const struct pcm_format cd = {.rate = 44100, .channels = 2, .bits = 16};

static float left[FRAMES], right[FRAMES];

static int make_sound(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (unsigned i = 0; i < FRAMES; i++) {
        seed = seed * 1664525U + 1013904223U;
        left[i] = (float)(0.3 * sin(0.05 * i)) + (float)(int32_t)seed * 0x1p-36F;
        right[i] = (float)(0.3 * sin(0.031 * i));
    }
    return 0;
}

struct run {
    struct encode_spec specs[KINDS];
    struct ladder_config config;
    unsigned told[KINDS];
    int answer; /* of the callback */
};

static int told(void *context, unsigned index, const struct rendition_info *info)
{
    struct run *run = context;
    assert_true(index < KINDS && info->bytes > 0);
    run->told[index]++;
    return run->answer;
}

static void run_init(struct run *run, unsigned threads)
{
    *run = (struct run){0};
    memcpy(run->specs, kinds, sizeof kinds);
    for (unsigned i = 0; i < KINDS; i++) {
        run->specs[i].fd = memfd_create("test", MFD_CLOEXEC);
    }
    run->config = (struct ladder_config){
        .source = cd,
        .specs = run->specs,
        .spec_count = KINDS,
        .threads = threads,
        .finished = told,
        .context = run,
    };
}

static void run_done(struct run *run)
{
    for (unsigned i = 0; i < KINDS; i++) {
        close(run->specs[i].fd);
    }
}

static int write_all(struct ladder *ladder, unsigned piece, struct problem *problem)
{
    int error = 0;
    for (unsigned done = 0; done < FRAMES && error == 0; done += piece) {
        const float *planes[2] = {left + done, right + done};
        error =
            ladder_write(ladder, planes, FRAMES - done < piece ? FRAMES - done : piece, problem);
    }
    return error;
}

static void run_whole(struct run *run, unsigned threads, unsigned piece, struct ladder **ret_ladder)
{
    struct problem problem = {0};
    run_init(run, threads);
    assert_int_equal(ladder_new(&run->config, &problem, ret_ladder), 0);
    assert_int_equal(write_all(*ret_ladder, piece, &problem), 0);
    assert_int_equal(ladder_finish(*ret_ladder, &problem), 0);
}

static void assert_same_file(int one, int other, int64_t bytes)
{
    char *map = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, one, 0);
    char *other_map = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, other, 0);
    assert_true(map != MAP_FAILED && other_map != MAP_FAILED);
    assert_int_equal(lseek(one, 0, SEEK_END), bytes);
    assert_int_equal(lseek(other, 0, SEEK_END), bytes);
    assert_memory_equal(map, other_map, (size_t)bytes);
    munmap(map, (size_t)bytes);
    munmap(other_map, (size_t)bytes);
}

static void threads_and_pieces_do_not_change_a_byte(void **state)
{
    (void)state;
    struct run one, many;
    struct ladder *ladder, *parallel;
    run_whole(&one, 1, FRAMES, &ladder);
    run_whole(&many, 5, 777, &parallel);
    for (unsigned i = 0; i < KINDS; i++) {
        const struct rendition_info *info = ladder_info(ladder, i);
        assert_int_equal(one.told[i], 1);
        assert_int_equal(many.told[i], 1);
        assert_same_file(one.specs[i].fd, many.specs[i].fd, info->bytes);
        assert_int_equal(info->bytes, ladder_info(parallel, i)->bytes);
    }
    assert_null(ladder_info(ladder, KINDS));
    ladder_free(ladder);
    ladder_free(parallel);
    run_done(&one);
    run_done(&many);
}

static void each_rendition_says_what_it_is(void **state)
{
    (void)state;
    static const char *const files[KINDS] = {"aac-96.mp4",   "aac-320.mp4", "mp3-160.mp3",
                                             "opus-96.opus", "flac.mp4",    "vorbis-160.ogg",
                                             "aac-160.mp4"};
    struct run run;
    struct ladder *ladder;
    run_whole(&run, 0, 5000, &ladder);
    for (unsigned i = 0; i < KINDS; i++) {
        const struct rendition_info *info = ladder_info(ladder, i);
        bool opus = kinds[i].format == ENCODE_OPUS;
        bool fragmented = kinds[i].format == ENCODE_AAC || kinds[i].format == ENCODE_FLAC;
        assert_string_equal(info->file, files[i]);
        assert_int_equal(info->bitrate, kinds[i].bitrate_kbps);
        assert_int_equal(info->timescale, opus ? 48000 : 44100);
        assert_int_equal(info->samples, opus ? 217687 : FRAMES); /* 217687.07 */
        assert_int_equal(info->channels, 2);
        assert_int_equal(info->init_bytes > 0, fragmented);
        assert_int_equal(info->fragment_count, fragmented ? 1 : 0);
        assert_true(info->bandwidth_average > 0 && info->bandwidth_peak >= info->bandwidth_average);
    }
    ladder_free(ladder);
    run_done(&run);
}

static void all_aac_rungs_begin_with_the_same_bytes(void **state)
{
    (void)state;
    struct run run;
    struct ladder *ladder;
    char low[934], high[934];
    run_whole(&run, 0, 5000, &ladder);
    assert_int_equal(ladder_info(ladder, 0)->init_bytes, sizeof low);
    assert_int_equal(pread(run.specs[0].fd, low, sizeof low, 0), sizeof low);
    for (unsigned i = 1; i < KINDS; i += KINDS - 2) {
        assert_int_equal(pread(run.specs[i].fd, high, sizeof high, 0), sizeof high);
        assert_memory_equal(low, high, sizeof low);
    }
    ladder_free(ladder);
    run_done(&run);
}

static void a_full_disk_stops_all_and_says_so(void **state)
{
    (void)state;
    struct run run;
    struct ladder *ladder;
    struct problem problem = {0};
    run_init(&run, 2);
    close(run.specs[2].fd);
    run.specs[2].fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    int error = ladder_new(&run.config, &problem, &ladder);
    assert_int_equal(error, 0);
    error = write_all(ladder, 4096, &problem);
    assert_int_equal(error != 0 ? error : ladder_finish(ladder, &problem), ERR_DISK_FULL);
    assert_non_null(strstr(problem.detail, "mp3"));
    assert_int_equal(run.told[2], 0);
    ladder_free(ladder);
    run_done(&run);
}

static void the_callback_can_stop_it(void **state)
{
    (void)state;
    struct run run;
    struct ladder *ladder;
    struct problem problem = {0};
    run_init(&run, 2);
    run.answer = ERR_CANCELLED;
    assert_int_equal(ladder_new(&run.config, &problem, &ladder), 0);
    assert_int_equal(write_all(ladder, 4096, &problem), 0);
    assert_int_equal(ladder_finish(ladder, &problem), ERR_CANCELLED);
    unsigned calls = 0;
    for (unsigned i = 0; i < KINDS; i++) {
        calls += run.told[i];
    }
    assert_int_equal(calls, 1);
    ladder_free(ladder);
    run_done(&run);
}

static void it_can_be_abandoned(void **state)
{
    (void)state;
    struct run run;
    struct ladder *ladder;
    struct problem problem = {0};
    const float *planes[2] = {left, right};
    run_init(&run, 2);
    assert_int_equal(ladder_new(&run.config, &problem, &ladder), 0);
    assert_int_equal(ladder_write(ladder, planes, FRAMES, &problem), 0);
    ladder_free(ladder);
    ladder_free(NULL);
    run_done(&run);
}

static void silence_is_no_sound_but_a_sample_is(void **state)
{
    (void)state;
    struct run run;
    struct ladder *ladder;
    struct problem problem = {0};
    const float strange[1] = {NAN}, *planes[2] = {strange, strange};
    run_init(&run, 2);
    assert_int_equal(ladder_new(&run.config, &problem, &ladder), 0);
    assert_int_equal(ladder_finish(ladder, &problem), ERR_INVALID);
    ladder_free(ladder);
    run_done(&run);
    run_init(&run, 2);
    assert_int_equal(ladder_new(&run.config, &problem, &ladder), 0);
    assert_int_equal(ladder_write(ladder, planes, 1, &problem), 0);
    assert_int_equal(ladder_finish(ladder, &problem), 0);
    assert_int_equal(ladder_info(ladder, 0)->samples, 1);
    ladder_free(ladder);
    run_done(&run);
}

static void what_can_not_be_is_refused(void **state)
{
    (void)state;
    struct run run;
    struct ladder *ladder = NULL;
    struct problem problem = {0};
    run_init(&run, 2);
    run.config.source.rate = 96001; /* FLAC can't */
    assert_int_equal(ladder_new(&run.config, &problem, &ladder), ERR_UNSUPPORTED);
    run.config.source = (struct pcm_format){.rate = 44100, .channels = 65, .bits = 16};
    assert_int_equal(ladder_new(&run.config, &problem, &ladder), ERR_INVALID);
    run.config.source = cd;
    run.config.spec_count = 0;
    assert_int_equal(ladder_new(&run.config, &problem, &ladder), ERR_INVALID);
    assert_null(ladder);
    run_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_pieces_do_not_change_a_byte),
        cmocka_unit_test(each_rendition_says_what_it_is),
        cmocka_unit_test(all_aac_rungs_begin_with_the_same_bytes),
        cmocka_unit_test(a_full_disk_stops_all_and_says_so),
        cmocka_unit_test(the_callback_can_stop_it),
        cmocka_unit_test(it_can_be_abandoned),
        cmocka_unit_test(silence_is_no_sound_but_a_sample_is),
        cmocka_unit_test(what_can_not_be_is_refused),
    };
    return cmocka_run_group_tests(tests, make_sound, NULL);
}
