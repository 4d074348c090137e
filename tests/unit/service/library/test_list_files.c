/* library/formats: what is read of playlist files, and that what is written is read again. */
#include "base/error.h"
#include "service/library/formats/list_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define HERE "https://music.example.org"

static struct arena *arena;

static int begin(void **state)
{
    (void)state;
    arena = arena_new(0);
    return arena != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct list_file file;

/* Of a text, which must be good. */
static const struct list_entry *reads(enum list_format format, const char *text)
{
    struct problem problem;
    problem_reset(&problem);
    int error = list_file_read(arena, &problem, format, text, strlen(text), HERE, &file);
    assert_int_equal(error, 0);
    return file.entries;
}

static void check_names(const struct list_entry *entry, const char *artist, const char *title,
                        const char *album)
{
    assert_string_equal(entry->artist, artist);
    assert_string_equal(entry->title, title);
    assert_string_equal(entry->album, album);
}

static void words_come_before_paths(void **state)
{
    (void)state;
    const struct list_entry *list = reads(
        LIST_M3U8, "\xef\xbb\xbf#EXTM3U\r#playlist: Morning \r\n#EXTINF:12.5 a=\"x,y\",A - B - C\n"
                   "# a remark\nx/y/z.mp3\r#EXTINF:-1,Only\n#EXTART:Somebody\n#EXTALB:All\nz.mp3");
    assert_int_equal(file.count, 2);
    assert_string_equal(file.title, "Morning");
    check_names(&list[0], "A", "B - C", "");
    assert_int_equal(list[0].duration_ms, 12500);
    assert_int_equal(list[0].line, 5);
    check_names(&list[1], "Somebody", "Only", "All");
    assert_int_equal(list[1].duration_ms, 0);
}

static void names_are_read_from_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *artist, *title, *album;
    } cases[] = {
        {"Artist/Album/07 - Title.flac", "Artist", "Title", "Album"},
        {"D:\\M\\Artist\\Album\\1-07. Title.mp3", "Artist", "Title", "Album"},
        {"file:///m/Art%20ist/Al%2fbum/99 Luftballons.ogg", "Al", "Luftballons", "bum"},
        {"Artist - Title.mp3", "Artist", "Title", ""},
        {"x/12 - Artist - Title", "Artist", "Title", ""},
        {"1979.mp3", "", "1979", ""},
        {".mp3", "", ".mp3", ""},
        {"/", "", "", ""},
        {"http://h/%ff.mp3", "", "", ""},
        {"100%.mp3", "", "100%", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct list_entry *list = reads(LIST_M3U, cases[i].path);
        assert_int_equal(file.count, 1);
        check_names(&list[0], cases[i].artist, cases[i].title, cases[i].album);
    }
}

static void older_files_are_of_windows(void **state)
{
    (void)state;
    const struct list_entry *list =
        reads(LIST_M3U, "#EXTINF:1,Bj\xf6rk - \x93J\xf3ga\x94 \x81\nx\n");
    check_names(&list[0], "Bj\u00f6rk", "\u201cJ\u00f3ga\u201d", "");
}

static void identifiers_are_known(void **state)
{
    (void)state;
    const struct list_entry *list = reads(
        LIST_XSPF,
        "<x:playlist xmlns:x='http://xspf.org/ns/0/'><x:title> T </x:title><x:trackList><x:track>"
        "<x:location>" HERE "/api/v1/tracks/77</x:location><x:location>other</x:location>"
        "<x:identifier> https://musicbrainz.org/recording/"
        "B1A9C0E9-D987-4042-AE91-78D6A3267D69</x:identifier>"
        "<x:identifier>urn:isrc:gb-aye-6500521</x:identifier><x:duration> 1234 </x:duration>"
        "<x:extension application='y'><x:title>no</x:title></x:extension></x:track>"
        "<x:track><x:identifier>urn:isrc:GBAYE65005210</x:identifier>"
        "<x:location>" HERE "/api/v1/tracks/0</x:location></x:track></x:trackList></x:playlist>");
    assert_int_equal(file.count, 2);
    assert_string_equal(file.title, "T");
    assert_int_equal(list[0].track_id, 77);
    assert_string_equal(list[0].mbid, "B1A9C0E9-D987-4042-AE91-78D6A3267D69");
    assert_string_equal(list[0].isrc, "GBAYE6500521");
    assert_int_equal(list[0].duration_ms, 1234);
    assert_string_equal(list[0].title, "");
    assert_int_equal(list[1].track_id, 0);
    assert_string_equal(list[1].isrc, "");
}

static void texts_are_clean_and_cut(void **state)
{
    (void)state;
    char text[LIST_TEXT_BYTES_MAX + 32] = "";
    const char *clean = list_text(arena,
                                  " a\tb\x7f\xc2\x85"
                                  "e\xcc\x81 ",
                                  12, 100);
    assert_string_equal(clean, "a b   \xc3\xa9");
    memset(text, 'x', LIST_TEXT_BYTES_MAX - 1);
    (void)strcat(text, "\xc3\xa9");
    clean = list_text(arena, text, strlen(text), LIST_TEXT_BYTES_MAX);
    assert_int_equal(strlen(clean), LIST_TEXT_BYTES_MAX - 1);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    char location[LIST_LOCATION_SIZE];
    const struct list_entry entry = {.location = list_location(location, HERE, 5),
                                     .artist = "A & <B>",
                                     .title = "\"C\" \\ d",
                                     .album = "E\xef\xbf\xbf"
                                              "F",
                                     .mbid = "b1a9c0e9-d987-4042-ae91-78d6a3267d69",
                                     .isrc = "GBAYE6500521",
                                     .duration_ms = 2000,
                                     .track_number = 3};
    const struct list_file head = {.title = "T & t", .description = "many\nlines"};
    static const enum list_format formats[] = {LIST_M3U8, LIST_XSPF, LIST_JSPF};
    for (size_t i = 0; i < 3; i++) {
        struct buffer out;
        buffer_init(&out, 1 << 16);
        struct list_writer writer = {.out = &out, .format = formats[i]};
        list_write_begin(&writer, &head);
        list_write_entry(&writer, &entry);
        list_write_entry(&writer, &entry);
        list_write_end(&writer);
        assert_int_equal(buffer_error(&out), 0);
        const struct list_entry *list = reads(formats[i], out.data);
        assert_int_equal(file.count, 2);
        assert_string_equal(file.title, head.title);
        assert_string_equal(list[1].artist, entry.artist);
        assert_string_equal(list[1].title, entry.title);
        assert_int_equal(list[1].track_id, 5);
        assert_int_equal(list[1].duration_ms, 2000);
        assert_string_equal(list[1].isrc, formats[i] == LIST_M3U8 ? "" : entry.isrc);
        assert_string_equal(list[1].album, formats[i] == LIST_XSPF ? "EF" : entry.album);
        buffer_done(&out);
    }
}

static void formats_have_names(void **state)
{
    (void)state;
    enum list_format format;
    assert_true(list_format_of_type("Audio/MPEGURL; charset=x", &format) && format == LIST_M3U);
    assert_true(list_format_of_type("application/json", &format) && format == LIST_JSPF);
    assert_false(list_format_of_type("application/jso", &format));
    for (int i = 0; i < LIST_FORMATS_; i++) {
        assert_true(list_format_of_word(list_format_word((enum list_format)i), &format));
        assert_int_equal(format, i);
        assert_true(list_format_of_type(list_format_type((enum list_format)i), &format));
        assert_int_equal(format, i);
    }
    assert_false(list_format_of_word("", &format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_come_before_paths, begin, end),
        cmocka_unit_test_setup_teardown(names_are_read_from_paths, begin, end),
        cmocka_unit_test_setup_teardown(older_files_are_of_windows, begin, end),
        cmocka_unit_test_setup_teardown(identifiers_are_known, begin, end),
        cmocka_unit_test_setup_teardown(texts_are_clean_and_cut, begin, end),
        cmocka_unit_test_setup_teardown(what_is_written_is_read_again, begin, end),
        cmocka_unit_test(formats_have_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
