/* Cue sheets (cue.h): as rippers write them, and as nobody should. */
#include "service/ingest/import/cue.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
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

static void a_sheet_is_read(void **state)
{
    static const char text[] =
        "REM GENRE \"Free Jazz\"\r\nREM DATE 1999\r\nREM DISCNUMBER 2\r\nPERFORMER "
        "\"Ana\"\r\nTITLE \"N\xe4"
        "chte \x96 "
        "\x93live\x94\"\r\nFILE \"C:\\My Rip\\Album.wav\" WAVE\r\n  TRACK 01 AUDIO\r\n"
        "    TITLE \"One \"two\" three\"\r\n    PERFORMER \"Bo\"\r\n    ISRC DEA123456789\r\n"
        "    INDEX 01 00:00:00\r\n  TRACK 02 AUDIO\r\n    TITLE Two\r\n    FLAGS DCP\r\n"
        "    INDEX 00 00:09:70\r\n    INDEX 01 00:10:01\r\n  TRACK 03 AUDIO\r\n"
        "    SONGWRITER \"Cy\"\r\n    INDEX 01 74:59:74\r\n    INDEX 02 75:00:00\r\n";
    struct cue cue;
    const char *reason;
    (void)state;
    assert_int_equal(cue_read(arena, text, sizeof text - 1, &cue, &reason), 0);
    assert_string_equal(cue.title, "N\xc3\xa4"
                                   "chte \xe2\x80\x93 \xe2\x80\x9clive\xe2\x80\x9d");
    assert_string_equal(cue.performer, "Ana");
    assert_string_equal(cue.genre, "Free Jazz");
    assert_string_equal(cue.date, "1999");
    assert_int_equal(cue.disc, 2);
    assert_int_equal(cue.count, 3);
    const struct cue_track *tracks = cue.tracks;
    assert_string_equal(tracks[0].file, "Album.wav");
    assert_string_equal(tracks[0].title, "One \"two\" three");
    assert_string_equal(tracks[0].performer, "Bo");
    assert_string_equal(tracks[0].isrc, "DEA123456789");
    assert_string_equal(tracks[1].title, "Two");
    assert_string_equal(tracks[2].songwriter, "Cy");
    assert_int_equal(tracks[0].from, 0);
    assert_int_equal(tracks[0].to, 751);
    assert_int_equal(tracks[1].from, 751);
    assert_int_equal(tracks[1].to, 337499);
    assert_int_equal(tracks[2].from, 337499);
    assert_int_equal(tracks[2].to, 0);
    assert_int_equal(tracks[2].number, 3);
}

static void files_are_told_apart(void **state)
{
    static const char text[] = "\xef\xbb\xbf"
                               "FILE ../a/b/\xc3\xa4.flac WAVE\nTRACK 1 AUDIO\nINDEX 01 0:0:0\n"
                               "TRACK 2 AUDIO\nINDEX 00 0:5:0\nFILE c.flac WAVE\nINDEX 01 0:0:0\n"
                               "TRACK 3 AUDIO\nINDEX 01 0:7:0";
    struct cue cue;
    const char *reason;
    (void)state;
    assert_int_equal(cue_read(arena, text, sizeof text - 1, &cue, &reason), 0);
    assert_int_equal(cue.count, 3);
    assert_string_equal(cue.tracks[0].file, "\xc3\xa4.flac");
    assert_int_equal(cue.tracks[0].to, 0);
    assert_string_equal(cue.tracks[1].file, "c.flac");
    assert_int_equal(cue.tracks[1].to, 525);
    assert_string_equal(cue.tracks[2].file, "c.flac");
}

static void what_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "no track"},
        {"\n\n\nhello", "no track"},
        {"FILE a.wav WAVE\n", "no track"},
        {"TRACK 1 AUDIO\nINDEX 01 0:0:0\n", "no file"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\n", "no time"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\nTRACK 2 AUDIO\nINDEX 01 0:0:0\n", "no time"},
        {"FILE a.wav WAVE\nTRACK x AUDIO\nINDEX 01 0:0:0\n", "no number"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\nINDEX 01 0:60:0\n", "a time is none (line 3)"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\nINDEX 01 0:0:75\n", "a time is none"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\nINDEX 01 -1:0:0\n", "a time is none"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\nINDEX 01 9999:0:0\n", "a time is none"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\nINDEX 01 99999999999:0:0\n", "a time is none"},
        {"FILE a.wav WAVE\nTRACK 1 AUDIO\nINDEX 01 0:9:0\nTRACK 2 AUDIO\nINDEX 01 0:9:0\n",
         "begins before"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cue cue;
        const char *reason = NULL;
        assert_int_equal(cue_read(arena, rows[i].text, strlen(rows[i].text), &cue, &reason),
                         ERR_INVALID);
        if (reason == NULL || strstr(reason, rows[i].words) == NULL) {
            fail_msg("%zu: %s", i, reason);
        }
    }
}

static void ten_thousand_tracks_are_refused(void **state)
{
    enum { TRACKS = 10000 };
    char *text = arena_alloc(arena, TRACKS * 48 + 32), *end = text;
    struct cue cue;
    const char *reason = NULL;
    (void)state;
    end = stpcpy(end, "FILE a.wav WAVE\n");
    for (unsigned i = 0; i < TRACKS; i++) {
        end += sprintf(end, "TRACK %u AUDIO\nINDEX 01 %u:%02u:00\n", i % 99 + 1, i / 60, i % 60);
    }
    assert_int_equal(cue_read(arena, text, (size_t)(end - text), &cue, &reason), ERR_INVALID);
    assert_non_null(strstr(reason, "more than 999"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sheet_is_read),
        cmocka_unit_test(files_are_told_apart),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(ten_thousand_tracks_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
