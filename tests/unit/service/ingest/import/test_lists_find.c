/* Where entries of playlists lead (lists.h). */
#include "service/ingest/import/lists.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct listed_library library;

static int make(void **state)
{
    (void)state;
    library = (struct listed_library){.root = "/srv/music", .scratch = arena_new(0)};
    return library.scratch != NULL ? 0 : -1;
}

static int forget(void **state)
{
    (void)state;
    arena_free(library.scratch);
    return 0;
}

static void assert_leads(enum list_format format, const char *location, const char *expected)
{
    const char *reason = NULL;
    const char *place = listed_place(&library, format, "lists/mine", location, &reason);
    if (expected == NULL) {
        assert_null(place);
        assert_non_null(reason);
        return;
    }
    assert_non_null(place);
    assert_string_equal(place, expected);
}

static void a_path_is_relative_to_its_list(void **state)
{
    (void)state;
    assert_leads(LIST_M3U8, "a.mp3", "lists/mine/a.mp3");
    assert_leads(LIST_M3U8, "./b/./a.mp3", "lists/mine/b/a.mp3");
    assert_leads(LIST_M3U8, "../../x//a.mp3", "x/a.mp3");
    assert_leads(LIST_M3U8, "..\\..\\x\\a.mp3", "x/a.mp3");
    assert_leads(LIST_M3U8, "/srv/music/x/a.mp3", "x/a.mp3");
    assert_leads(LIST_M3U8, "../../../music/x/a.mp3", "x/a.mp3");
    assert_leads(LIST_M3U8, "../../../../../../srv/music/a.mp3", "a.mp3");
}

static void an_address_of_a_file_is_decoded(void **state)
{
    (void)state;
    assert_leads(LIST_M3U8, "file:///srv/music/x/a%20b.mp3", "x/a b.mp3");
    assert_leads(LIST_M3U8, "FILE://here/srv/music/%C3%A9.mp3", "é.mp3");
    assert_leads(LIST_M3U8, "a%20b.mp3", "lists/mine/a%2520b.mp3");
    assert_leads(LIST_XSPF, "a%20b.mp3", "lists/mine/a b.mp3");
    assert_leads(LIST_XSPF, "100%.mp3", "lists/mine/100%25.mp3");
    assert_leads(LIST_XSPF, "%", "lists/mine/%25");
    assert_leads(LIST_XSPF, "%4", "lists/mine/%254");
    assert_leads(LIST_XSPF, "%00%-1%+1% 1%0x.mp3", "lists/mine/%2500%25-1%25+1%25 1%250x.mp3");
    assert_leads(LIST_XSPF, "%ff.mp3", "lists/mine/%FF.mp3");
}

static void nothing_leads_out(void **state)
{
    (void)state;
    assert_leads(LIST_M3U8, "../../../a.mp3", NULL);
    assert_leads(LIST_M3U8, "/etc/passwd", NULL);
    assert_leads(LIST_M3U8, "/srv/musical/a.mp3", NULL);
    assert_leads(LIST_M3U8, "/srv/music/../a.mp3", NULL);
    assert_leads(LIST_M3U8, "/srv/music", NULL);
    assert_leads(LIST_XSPF, "%2e%2e/%2e%2e/%2e%2e/a.mp3", NULL);
    assert_leads(LIST_M3U8, "file:///etc/passwd", NULL);
    assert_leads(LIST_M3U8, "C:\\Music\\a.mp3", NULL);
    assert_leads(LIST_M3U8, "http://radio.example.org/a.mp3", NULL);
}

static void a_library_may_be_all_there_is(void **state)
{
    (void)state;
    library.root = "";
    assert_leads(LIST_M3U8, "/etc/a.mp3", "etc/a.mp3");
    assert_leads(LIST_M3U8, "a.mp3", "lists/mine/a.mp3");
    assert_leads(LIST_M3U8, "../../../../a.mp3", "a.mp3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_path_is_relative_to_its_list, make, forget),
        cmocka_unit_test_setup_teardown(an_address_of_a_file_is_decoded, make, forget),
        cmocka_unit_test_setup_teardown(nothing_leads_out, make, forget),
        cmocka_unit_test_setup_teardown(a_library_may_be_all_there_is, make, forget),
    };
    return cmocka_run_group_tests_name("service/ingest/import/lists_find", tests, NULL, NULL);
}
