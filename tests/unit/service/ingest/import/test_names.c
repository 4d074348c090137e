/* What paths tell of music (names.h). */
#include "service/ingest/import/names.h"

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

static void names_come_from_paths(void **state)
{
    static const struct {
        const char *folder, *file, *artist, *album, *title;
        int64_t disc, number;
        const char *year;
    } rows[] = {
        {"Rea/1987 - Left Bare", "03. Third.flac", "Rea", "Left Bare", "Third", 0, 3, "1987"},
        {"Rea/Left Bare (1987) [FLAC]", "03 Third.flac", "Rea", "Left Bare", "Third", 0, 3, "1987"},
        {"Rea/Left Bare/CD 2", "03 - Third.flac", "Rea", "Left Bare", "Third", 2, 3, ""},
        {"Rea - Left Bare", "2-03 Third.flac", "Rea", "Left Bare", "Third", 2, 3, ""},
        {"Rea/Rea - Left Bare", "203 Third.flac", "Rea", "Left Bare", "Third", 2, 3, ""},
        {"", "Rea - Third.mp3", "Rea", "Music", "Third", 0, 0, ""},
        {"", "Rea - 03 - Third.mp3", "Rea", "Music", "Third", 0, 3, ""},
        {"1984", "1984.mp3", "", "1984", "1984", 0, 0, ""},
        {"Rea - 1989 (2014)", "03 Third.flac", "Rea", "1989", "Third", 0, 3, "2014"},
        {"Rea/Rea - 1989 [FLAC]", "03 Third.flac", "Rea", "1989", "Third", 0, 3, ""},
        {"Rea/1989 [FLAC]", "03 Third.flac", "Rea", "1989", "Third", 0, 3, ""},
        {"Rea/1989 (Deluxe)", "03 Third.flac", "Rea", "1989 (Deluxe)", "Third", 0, 3, ""},
        {"Rea/1995 - (What) Else", "03 Third.flac", "Rea", "(What) Else", "Third", 0, 3, "1995"},
        {"Rea/(What)", "a_b.mp3", "Rea", "(What)", "a b", 0, 0, ""},
        {"Rea/X", "99 Luftballons.mp3", "Rea", "X", "Luftballons", 0, 99, ""},
        {"Discovery", "01.mp3", "", "Discovery", "01", 0, 0, ""},
        {"Rea/Left Bare CD2", "03 Third.flac", "Rea", "Left Bare", "Third", 2, 3, ""},
        {"Rea - Left Bare (Disc 1)", "03 Third.flac", "Rea", "Left Bare", "Third", 1, 3, ""},
        {"Rea/Left Bare", "03 - Rea - Third.mp3", "Rea", "Left Bare", "Third", 0, 3, ""},
        {"Rea/Left Bare", "03 - Third - Live.mp3", "Rea", "Left Bare", "Third - Live", 0, 3, ""},
        {"VA/Hits 8", "03 - Rea - Third.mp3", "Rea", "Hits 8", "Third", 0, 3, ""},
        {"Various Artists - Hits 7", "03 Third.mp3", "", "Hits 7", "Third", 0, 3, ""},
        {"Led_Zeppelin/Led_Zeppelin_IV", "04-Stairway_to_Heaven.mp3", "Led Zeppelin",
         "Led Zeppelin IV", "Stairway to Heaven", 0, 4, ""},
        {"50%25/K%F6ln", "05 - %C4rger%0A100%25.flac", "50%", "K\xc3\xb6ln", "\xc3\x84rger 100%", 0,
         5, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct path_names names;
        assert_int_equal(path_names(arena, "Music", rows[i].folder, rows[i].file, &names), 0);
        assert_string_equal(names.artist, rows[i].artist);
        assert_string_equal(names.album, rows[i].album);
        assert_string_equal(names.title, rows[i].title);
        assert_int_equal(names.disc, rows[i].disc);
        assert_int_equal(names.number, rows[i].number);
        assert_string_equal(names.year, rows[i].year);
    }
}

static void folders_say_that_many_made_an_album(void **state)
{
    struct path_names names;
    (void)state;
    assert_int_equal(path_names(arena, "Music", "VA/Hits 8", "01 - Rea - X.mp3", &names), 0);
    assert_true(names.various);
    assert_int_equal(path_names(arena, "Music", "Valerie/Hits", "01 - X.mp3", &names), 0);
    assert_false(names.various);
}

static void folders_of_discs_have_titles(void **state)
{
    static const char *const rows[][2] = {{"Rea/Both/CD 1 - Day", "Day"},
                                          {"Rea/Both/Disc 2", ""},
                                          {"Rea/Both/Disc 2: Night", "Night"},
                                          {"Rea/Both", ""},
                                          {"Rea/Both (Disc 2)", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct path_names names;
        assert_int_equal(path_names(arena, "Music", rows[i][0], "01 - X.mp3", &names), 0);
        assert_string_equal(names.disc_title, rows[i][1]);
        assert_string_equal(names.album, "Both");
    }
}

static void discs_are_told_by_the_end_of_a_title(void **state)
{
    static const struct {
        const char *title;
        size_t length;
        int64_t number;
        const char *subtitle;
    } rows[] = {
        {"Both (Disc 1)", 4, 1, ""},
        {"Both [CD02]", 4, 2, ""},
        {"Both (disc 2: By Night)", 4, 2, "By Night"},
        {"Both - Disc 12", 4, 12, ""},
        {"Both, CD 1", 4, 1, ""},
        {"Both_cd1", 4, 1, ""},
        {"Both (Disc 2 of all)", 0, 0, ""},
        {"Both (2 Discs)", 0, 0, ""},
        {"Both (Live)", 0, 0, ""},
        {"Abcd 1", 0, 0, ""},
        {"CD 1", 0, 0, ""},
        {"(Disc 1)", 0, 0, ""},
        {"Disc 100", 0, 0, ""},
        {"Hits 2", 0, 0, ""},
        {")", 0, 0, ""},
        {"", 0, 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct path_disc disc = {.subtitle = ""};
        assert_int_equal(path_disc_mark(rows[i].title, &disc), rows[i].length);
        assert_int_equal(disc.number, rows[i].number);
        assert_int_equal(disc.subtitle_length, strlen(rows[i].subtitle));
        assert_memory_equal(disc.subtitle, rows[i].subtitle, disc.subtitle_length);
    }
}

static void any_bytes_come_back(void **state)
{
    static const char *const paths[] = {"plain",        "Träume", "100%", "%41",
                                        "\xff\xfe\x01", "a\nb",   ""};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *text = path_escape(arena, paths[i]);
        assert_non_null(text);
        assert_string_equal(path_unescape(arena, text), paths[i]);
    }
    assert_string_equal(path_escape(arena, "\xff 5%"), "%FF 5%25");
}

static void kinds_are_told_by_extension(void **state)
{
    (void)state;
    assert_string_equal(path_sound_type("a.FLAC"), "audio/flac");
    assert_null(path_sound_type("a.txt"));
    assert_null(path_sound_type("flac"));
    assert_int_equal(path_cover_rank("Cover.JPG"), 1);
    assert_int_equal(path_cover_rank("folder.png"), 2);
    assert_int_equal(path_cover_rank("covers.jpg"), 0);
    assert_int_equal(path_cover_rank("cover.txt"), 0);
    assert_true(path_may_be_cover("Rea - Left Bare.jpg") && path_may_be_cover("cover.png"));
    assert_false(path_may_be_cover("Back.jpg") || path_may_be_cover("cover.txt"));
}

static void lyrics_are_clean_text(void **state)
{
    static const char marked[] = "\xef\xbb\xbf[00:01.00]\xc3\xa4\x01\n";
    (void)state;
    assert_string_equal(lrc_text(arena, marked, sizeof marked - 1), "[00:01.00]\xc3\xa4");
    assert_string_equal(lrc_text(arena, "\xe4", 1), "\xc3\xa4");
    assert_string_equal(lrc_text(arena, "\xff\xfe[\0\xe4\0]\0", 8), "[\xc3\xa4]");
    assert_null(lrc_text(arena, " \n", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_from_paths),
        cmocka_unit_test(folders_say_that_many_made_an_album),
        cmocka_unit_test(folders_of_discs_have_titles),
        cmocka_unit_test(discs_are_told_by_the_end_of_a_title),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(kinds_are_told_by_extension),
        cmocka_unit_test(lyrics_are_clean_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
