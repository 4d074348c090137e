/* Lyrics with times (lrc.h). */
#include "service/catalog/lrc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    return arena != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void check(const char *text, const char *words, unsigned count,
                  const struct lrc_line *expected)
{
    struct lrc lrc;
    assert_int_equal(lrc_read(arena, text, &lrc), 0);
    assert_string_equal(lrc.text, words);
    assert_int_equal(lrc.count, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(lrc.lines[i].at_ms, expected[i].at_ms);
        assert_string_equal(lrc.lines[i].text, expected[i].text);
    }
}

static void words_without_times_stay(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "one\ntwo",
        "[Chorus]\nla la",
        "[ar: nobody]\nwords",
        "at [01:02]",
        "[01:60]no such time",
        "[1:2:3:4]",
        "[00:01.2345]x",
        "[:01]",
        "[00:01",
        "\n\n",
        "[9999:00]x",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check(texts[i], texts[i], 0, NULL);
    }
}

static void lines_have_their_times(void **state)
{
    (void)state;
    check("[00:01.50]one\n[01:01.02] two \r\n[02:00]\n", "one\ntwo", 3,
          (const struct lrc_line[]){{1500, "one"}, {61020, "two"}, {120000, ""}});
    check("[00:02:5]b\n[00:01.123]a", "b\na", 2,
          (const struct lrc_line[]){{1123, "a"}, {2500, "b"}});
    check("[ti:A song]\n[00:05.00]here\n[by:me]", "here", 1,
          (const struct lrc_line[]){{5000, "here"}});
    check("[00:10.00][00:30.00]again\n[00:20.00]once\n[00:20.00]both", "again\nonce\nboth", 4,
          (const struct lrc_line[]){
              {10000, "again"}, {20000, "once"}, {20000, "both"}, {30000, "again"}});
    check("[00:01.00]<00:01.00>word <00:01.40>by <x> word", "word by <x> word", 1,
          (const struct lrc_line[]){{1000, "word by <x> word"}});
    check("not timed\n[00:01]timed", "not timed\ntimed", 1,
          (const struct lrc_line[]){{1000, "timed"}});
}

static void an_offset_lets_all_come_earlier(void **state)
{
    (void)state;
    check("[offset:+500]\n[00:00.20]a\n[00:02]b", "a\nb", 2,
          (const struct lrc_line[]){{0, "a"}, {1500, "b"}});
    check("[offset:-250]\n[00:02]b", "b", 1, (const struct lrc_line[]){{2250, "b"}});
    check("[offset:99999999999999999999]\n[00:02]b", "b", 1,
          (const struct lrc_line[]){{2000, "b"}});
}

/* A chorus that is told of ten thousand times. */
static void nothing_grows_without_end(void **state)
{
    (void)state;
    enum { TIMES = 10000, WORDS = 2000 };
    char *text = arena_alloc(arena, TIMES * 7 + WORDS + 1), *end = text;
    struct lrc lrc;
    for (unsigned i = 0; i < TIMES; i++) {
        end = stpcpy(end, "[00:01]");
    }
    memset(end, 'x', WORDS);
    assert_int_equal(lrc_read(arena, text, &lrc), 0);
    assert_in_range(lrc.count, 1, LRC_LINES_MAX);
    assert_true((size_t)lrc.count * WORDS <= LRC_BYTES_MAX + WORDS);
    assert_int_equal(strlen(lrc.text), WORDS);
}

/* A word's time that parts a line's: the line's is one as soon as the word's is gone. */
static void times_that_come_together_have_room(void **state)
{
    (void)state;
    enum { TIMES = 4000 };
    static const char parted[] = "[0<0:07>0:01]";
    char *text = arena_alloc(arena, sizeof "[0:2]" + TIMES * sizeof parted), *end = text;
    struct lrc lrc;
    check("[0:02][0<0:07>0:01]x", "x", 2, (const struct lrc_line[]){{1000, "x"}, {2000, "x"}});
    end = stpcpy(end, "[0:2]");
    for (unsigned i = 0; i < TIMES; i++) {
        end = stpcpy(end, parted);
    }
    assert_int_equal(lrc_read(arena, text, &lrc), 0);
    assert_int_equal(lrc.count, TIMES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_without_times_stay),
        cmocka_unit_test(lines_have_their_times),
        cmocka_unit_test(an_offset_lets_all_come_earlier),
        cmocka_unit_test(nothing_grows_without_end),
        cmocka_unit_test(times_that_come_together_have_room),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
