/* What the media process says of a file, taken only if it can be true: one member changed at a
 * time. */
#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "service/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const char sound[] =
    "{\"format\":\"aac\",\"bitrate\":160,\"file\":\"aac-160.mp4\",\"mime\":\"audio/mp4\","
    "\"codecs\":\"mp4a.40.2\",\"bytes\":1000,\"samples\":500,\"timescale\":48000,"
    "\"channels\":2,\"initBytes\":80,\"indexBytes\":20,\"firstFragmentEnd\":600,"
    "\"bandwidthPeak\":1,\"bandwidthAverage\":1,\"fragments\":[[500,300],[400,200]]}";

/* The sound one with the member of that name set to a JSON value. */
static int read_with(const char *name, const char *value)
{
    struct arena *arena = arena_new(0);
    struct rendition rendition;
    json_t *object CLEANUP_JSON = json_loads(sound, 0, NULL);
    if (name != NULL) {
        json_t *member = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(member);
        assert_int_equal(json_object_set_new(object, name, member), 0);
    }
    int error = catalog_rendition_read(arena, object, &rendition);
    arena_free(arena);
    return error;
}

static void what_can_be_true_is_taken(void **state)
{
    (void)state;
    assert_int_equal(read_with(NULL, NULL), 0);
    assert_int_equal(read_with("codecs", "\"\""), 0);
    assert_int_equal(read_with("file", "\"original.WAV\""), 0);
}

static void what_can_not_is_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"file", "\"\""},
        {"file", "\"../aac-160.mp4\""},
        {"file", "\"a\\n#EXTINF:1\""},
        {"file", "7"},
        {"format", "null"},
        {"codecs", "\"\\\"/><BaseURL>http://elsewhere\""},
        {"mime", "\"text/html; x\""},
        {"bytes", "-1"},
        {"bytes", "1001"},
        {"bytes", "9223372036854775807"},
        {"bytes", "1000.5"},
        {"samples", "501"},
        {"initBytes", "9223372036854775807"},
        {"indexBytes", "-20"},
        {"timescale", "4294967296"},
        {"channels", "-1"},
        {"bitrate", "4294967456"},
        {"firstFragmentEnd", "1001"},
        {"fragments", "[[500,300],[400]]"},
        {"fragments", "[[4294967796,300],[400,200]]"},
        {"fragments", "[[900,500],[0,\"0\"]]"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (read_with(rows[i][0], rows[i][1]) != ERR_CORRUPT) {
            fail_msg("%s %s was taken", rows[i][0], rows[i][1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_true_is_taken),
        cmocka_unit_test(what_can_not_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
