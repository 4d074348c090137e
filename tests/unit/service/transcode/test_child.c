/* The child process seen from the server: what a media process may do wrong, and that none of it
 * hurts more than its own job. The program is fake_media.c, whose path is the argument. */
#include "base/clock.h"
#include "base/error.h"
#include "service/transcode/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char *program;

/* Far off, so that a machine with much else to do reaches only the one that a test sets. */
enum { FAR_MS = 60000, FILE_BYTES_MAX = 4096 /* as fake_media.c has it */ };

struct heard {
    unsigned done, ticks;
    int stop_at;                         /* tick that cancels; 0: none */
    int64_t silence_ms_max, wall_ms_max; /* 0: far */
};

static int tick(void *context)
{
    struct heard *heard = context;
    heard->ticks++;
    return heard->stop_at != 0 && heard->ticks >= (unsigned)heard->stop_at ? ERR_CANCELLED : 0;
}

static int done(void *context, unsigned output, const json_t *rendition)
{
    struct heard *heard = context;
    assert_int_equal(output, 0);
    assert_string_equal(json_string_value(json_object_get(rendition, "file")), "x");
    heard->done++;
    return 0;
}

static int run(struct child *child, const char *what, struct heard *heard, json_t **ret_answer,
               struct child_failure *failure)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    json_t *request = json_pack("{s:s}", "job", what);
    const struct child_job job = {
        .request = request,
        .fds = &fd,
        .fd_count = 1,
        .cpu_s_max = 1,
        .file_bytes_max = FILE_BYTES_MAX,
        .silence_ms_max = heard->silence_ms_max != 0 ? heard->silence_ms_max : FAR_MS,
        .wall_ms_max = heard->wall_ms_max != 0 ? heard->wall_ms_max : FAR_MS,
        .tick = tick,
        .done = done,
        .context = heard};
    *failure = (struct child_failure){0};
    *ret_answer = NULL;
    int result = child_run(child, &job, ret_answer, failure);
    json_decref(request);
    (void)close(fd);
    return result;
}

static void test_a_job_and_the_next(void **state)
{
    struct child *child = child_new(program, 0);
    struct child_failure failure;
    (void)state;
    assert_false(child_runs(child)); /* on demand */
    for (unsigned i = 0; i < 3; i++) {
        struct heard heard = {0};
        json_t *answer;
        assert_int_equal(run(child, "fine", &heard, &answer, &failure), 0);
        assert_int_equal(heard.done, 1);
        assert_true(child_runs(child)); /* for the whole batch */
        json_decref(answer);
    }
    child_end(child);
    assert_false(child_runs(child));
    child_free(child);
}

/* An empty environment, and no descriptor of ours but the socket and the three of /dev/null (which
 * can be sought, as the job's own, which is the fifth). */
static void test_it_is_born_with_nothing(void **state)
{
    struct child *child = child_new(program, 0);
    struct child_failure failure;
    struct heard heard = {0};
    json_t *answer;
    (void)state;
    int leak = open("/dev/zero", O_RDONLY); /* not close-on-exec */
    assert_int_equal(run(child, "environment", &heard, &answer, &failure), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "variables")), 0);
    assert_in_range(json_integer_value(json_object_get(answer, "descriptors")), 4, 5);
    json_decref(answer);
    (void)close(leak);
    child_free(child);
}

static void test_files_may_be_as_long_as_their_limit(void **state)
{
    struct child *child = child_new(program, 0);
    struct child_failure failure;
    struct heard heard = {0};
    json_t *answer;
    (void)state;
    assert_int_equal(run(child, "write", &heard, &answer, &failure), 0);
    json_decref(answer);
    child_free(child);
}

static const struct {
    const char *what, *code;
    bool final, lives;
    int64_t silence_ms_max, wall_ms_max;
    const char *words; /* of the reason; NULL: any */
} wrongs[] = {
    {"refuse", "truncated", true, true, 0, 0, NULL},
    {"exit", "crashed", false, false, 0, 0, NULL},
    {"crash", "crashed", false, false, 0, 0, NULL},
    {"nonsense", "crashed", false, false, 0, 0, NULL},
    {"array", "crashed", false, false, 0, 0, NULL},
    {"far", "crashed", false, false, 0, 0, NULL},
    {"silence", "out-of-limits", false, false, 400, 0, NULL},
    {"chatter", "out-of-limits", false, false, 0, 700, "halt"},
    {"write on", "out-of-limits", false, false, 0, 0, "longer"},
    {"burn", "out-of-limits", false, false, 0, 0, "computing time"},
    /* The kernel's signal is ignored, and the process need not be silent. */
    {"burn on", "out-of-limits", false, false, 0, 0, "computing time"},
    {"burn and chatter", "out-of-limits", false, false, 0, 0, "computing time"},
};

static void test_what_goes_wrong_has_a_word(void **state)
{
    struct child *child = child_new(program, 5);
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct child_failure failure;
        struct heard heard = {.silence_ms_max = wrongs[i].silence_ms_max,
                              .wall_ms_max = wrongs[i].wall_ms_max};
        json_t *answer;
        int result = run(child, wrongs[i].what, &heard, &answer, &failure);
        if (result != ERR_INVALID || strcmp(failure.code, wrongs[i].code) != 0 ||
            failure.final != wrongs[i].final || failure.reason[0] == '\0' || answer != NULL ||
            (wrongs[i].words != NULL && strstr(failure.reason, wrongs[i].words) == NULL) ||
            child_runs(child) != wrongs[i].lives) {
            fail_msg("%s: %s %s %s", wrongs[i].what, error_name(result), failure.code,
                     failure.reason);
        }
    }
    struct child_failure failure; /* and the next job finds a new process */
    struct heard heard = {0};
    json_t *answer;
    assert_int_equal(run(child, "fine", &heard, &answer, &failure), 0);
    json_decref(answer);
    child_free(child);
}

static void test_cancelling_ends_it_soon(void **state)
{
    struct child *child = child_new(program, 0);
    struct child_failure failure;
    struct heard heard = {.stop_at = 1};
    json_t *answer;
    (void)state;
    int64_t begin_ms = clock_monotonic_ms();
    assert_int_equal(run(child, "silence", &heard, &answer, &failure), ERR_CANCELLED);
    assert_true(clock_monotonic_ms() - begin_ms < FAR_MS / 2);
    assert_false(child_runs(child));
    child_free(child);
}

static void test_no_program(void **state)
{
    struct child *child = child_new("/nonexistent/tutti-media", 0);
    struct child_failure failure;
    struct heard heard = {0};
    json_t *answer;
    (void)state;
    assert_int_equal(run(child, "fine", &heard, &answer, &failure), ERR_INVALID);
    assert_string_equal(failure.code, "internal");
    assert_false(failure.final);
    child_free(child);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_and_the_next),
        cmocka_unit_test(test_it_is_born_with_nothing),
        cmocka_unit_test(test_files_may_be_as_long_as_their_limit),
        cmocka_unit_test(test_what_goes_wrong_has_a_word),
        cmocka_unit_test(test_cancelling_ends_it_soon),
        cmocka_unit_test(test_no_program),
    };
    program = argv[argc - 1];
    return argc == 2 ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
