/* boot/renames: all are made or none, wherever it was cut off. */
#include "base/error.h"
#include "base/problem.h"
#include "boot/renames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tutti-renames-XXXXXX";
static struct problem problem;

static const char *at(const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

/* Of one letter; a letter that is '-' means that nothing must be there. */
static void put(const char *name, char letter)
{
    FILE *file = fopen(at(name), "w");
    assert_non_null(file);
    assert_int_equal(fputc(letter, file), letter);
    assert_int_equal(fclose(file), 0);
}

static char get(const char *name)
{
    FILE *file = fopen(at(name), "r");
    char letter = '-';
    if (file != NULL) {
        letter = (char)fgetc(file);
        (void)fclose(file);
    }
    return letter;
}

/* Two files that are there go aside, two that are staged come, of which one is new. */
static struct renames plan(void)
{
    static const char *const names[][2] = {{"one", "aside/one"},
                                           {"two", "aside/two"},
                                           {"one.staged", "one"},
                                           {"three.staged", "three"}};
    struct renames renames = {.count = 0};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(renames_add(&renames, at(names[i][0]), at(names[i][1]), &problem), 0);
    }
    return renames;
}

static int make_files(void **state)
{
    (void)state;
    (void)memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    put("one", 'a');
    put("two", 'b');
    put("one.staged", 'A');
    put("three.staged", 'C');
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    static const char *const names[] = {"one",          "two",       "three",     "one.staged",
                                        "three.staged", "aside/one", "aside/two", "journal"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unlink(at(names[i]));
    }
    (void)rmdir(at("aside"));
    return rmdir(folder);
}

static void assert_files(const char *letters)
{
    static const char *const names[] = {"one",          "two",       "three",    "one.staged",
                                        "three.staged", "aside/one", "aside/two"};
    char found[8] = "";
    for (unsigned i = 0; i < 7; i++) {
        found[i] = get(names[i]);
    }
    assert_string_equal(found, letters);
}

static const char before[] = "ab-AC--", after[] = "A-C--ab";

static void all_are_made(void **state)
{
    (void)state;
    struct renames renames = plan();
    assert_int_equal(renames_make(&renames, &problem), 0);
    assert_files(after);
    assert_int_equal(renames_undo(&renames, &problem), 0);
    assert_files(before);
    assert_int_equal(access(at("aside"), F_OK), -1);
    renames_done(&renames);
}

/* By another process, which has the journal alone, after each number of them. */
static void some_are_undone_by_the_journal(void **state)
{
    (void)state;
    for (unsigned made = 0; made <= 4; made++) {
        struct renames renames = plan(), found = {.count = 0};
        assert_int_equal(renames_write(&renames, at("journal"), "words", &problem), 0);
        struct renames some = renames;
        some.count = made;
        assert_int_equal(renames_make(&some, &problem), 0);
        renames_done(&renames);
        assert_int_equal(renames_read(&found, at("journal"), &problem), 0);
        assert_int_equal(found.count, 4);
        assert_int_equal(renames_undo(&found, &problem), 0);
        assert_files(before);
        renames_done(&found);
        assert_int_equal(renames_forget(at("journal"), &problem), 0);
    }
}

/* Who removes what was staged does not make what is there look like what came. */
static void what_is_not_made_is_not_undone(void **state)
{
    (void)state;
    struct renames renames = plan();
    assert_int_equal(unlink(at("one.staged")), 0);
    assert_int_equal(renames_undo(&renames, &problem), 0);
    assert_files("ab--C--");
    renames_done(&renames);
}

/* Where a restore was cut off, people take names back by hand, in whatever order. */
static void what_is_undone_by_hand_stays_so(void **state)
{
    (void)state;
    for (unsigned by_hand = 0; by_hand < 2; by_hand++) {
        struct renames renames = plan(), some = renames;
        some.count = 2;
        assert_int_equal(renames_make(&some, &problem), 0);
        assert_int_equal(rename(renames.to[by_hand], renames.from[by_hand]), 0);
        assert_int_equal(renames_undo(&renames, &problem), 0);
        assert_files(before);
        assert_int_equal(access(at("aside"), F_OK), -1);
        renames_done(&renames);
    }
}

/* A name that was copied back by hand is there twice. */
static void what_is_there_twice_stays(void **state)
{
    (void)state;
    struct renames renames = plan(), some = renames;
    some.count = 2;
    assert_int_equal(renames_make(&some, &problem), 0);
    put("one", 'o');
    assert_int_equal(renames_undo(&renames, &problem), 0);
    assert_files("ob-ACa-");
    renames_done(&renames);
}

static void what_is_lost_is_told(void **state)
{
    (void)state;
    struct renames renames = plan();
    assert_int_equal(renames_make(&renames, &problem), 0);
    assert_int_equal(unlink(at("aside/two")), 0);
    assert_int_equal(renames_undo(&renames, &problem), ERR_CONFLICT);
    assert_non_null(strstr(problem.detail, "aside/two"));
    assert_files("A-C--a-");
    put("two", 'b');
    assert_int_equal(renames_undo(&renames, &problem), 0);
    assert_files(before);
    renames_done(&renames);
}

static void nothing_is_written_over(void **state)
{
    (void)state;
    struct renames renames = plan();
    put("three", 'c');
    assert_int_not_equal(renames_make(&renames, &problem), 0);
    assert_non_null(strstr(problem.detail, "three"));
    assert_int_equal(unlink(at("three")), 0);
    assert_int_equal(renames_undo(&renames, &problem), 0);
    assert_files(before);
    renames_done(&renames);
}

static void lines_hold_what_they_must(void **state)
{
    (void)state;
    struct renames renames = {.count = 0};
    assert_int_equal(renames_add(&renames, "/a\nb", "/c", &problem), ERR_INVALID);
    assert_int_equal(renames_add(&renames, "a", "b", &problem), 0);
    assert_int_equal(renames.from[0][0], '/');
    for (unsigned i = 1; i < RENAMES_MAX; i++) {
        assert_int_equal(renames_add(&renames, "a", "b", &problem), 0);
    }
    assert_int_equal(renames_add(&renames, "a", "b", &problem), ERR_INVALID);
    renames_done(&renames);
    assert_int_equal(renames_read(&renames, at("journal"), &problem), ERR_NOT_FOUND);
    assert_int_equal(renames.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_are_made, make_files, drop_files),
        cmocka_unit_test_setup_teardown(some_are_undone_by_the_journal, make_files, drop_files),
        cmocka_unit_test_setup_teardown(what_is_not_made_is_not_undone, make_files, drop_files),
        cmocka_unit_test_setup_teardown(what_is_undone_by_hand_stays_so, make_files, drop_files),
        cmocka_unit_test_setup_teardown(what_is_there_twice_stays, make_files, drop_files),
        cmocka_unit_test_setup_teardown(what_is_lost_is_told, make_files, drop_files),
        cmocka_unit_test_setup_teardown(nothing_is_written_over, make_files, drop_files),
        cmocka_unit_test_setup_teardown(lines_hold_what_they_must, make_files, drop_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
