/* service/streaming/streaming: ceilings, and what the answer says. */
#include "base/error.h"
#include "base/problem.h"
#include "folder.h"
#include "service/streaming/streaming_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

static struct rendition renditions[] = {
    {.format = "aac",
     .bitrate = 96,
     .file = "aac-96.mp4",
     .mime = "audio/mp4",
     .bytes = 1000,
     .samples = 44100,
     .init_bytes = 934,
     .first_fragment_end = 990},
    {.format = "aac", .bitrate = 320, .file = "aac-320.mp4", .mime = "audio/mp4", .bytes = 3000},
    {.format = "aac", .bitrate = 160, .file = "aac-160.mp4", .mime = "audio/mp4", .bytes = 2000},
    {.format = "mp3", .bitrate = 320, .file = "mp3-320.mp3", .mime = "audio/mpeg", .bytes = 4000},
    {.format = "flac", .file = "flac.mp4", .mime = "audio/mp4", .bytes = 9000},
};

static struct playable playable_of(unsigned count)
{
    return (struct playable){.track_id = 7,
                             .album_id = 8,
                             .version = 2,
                             .status = TRACK_READY,
                             .title = "Largo",
                             .duration_ms = 1000,
                             .renditions = renditions,
                             .rendition_count = count};
}

static enum manifest_ceiling wanted(const char *text)
{
    struct call call = {0};
    enum manifest_ceiling ceiling = MANIFEST_CEILING_96;
    assert_int_equal(streaming_wanted_ceiling(&call, text, &ceiling), 0);
    return ceiling;
}

static void a_wish_becomes_the_ceiling_below(void **state)
{
    (void)state;
    assert_int_equal(wanted(NULL), MANIFEST_CEILING_LOSSLESS);
    assert_int_equal(wanted("lossless"), MANIFEST_CEILING_LOSSLESS);
    assert_int_equal(wanted("1411"), MANIFEST_CEILING_LOSSLESS);
    assert_int_equal(wanted("1410"), MANIFEST_CEILING_320);
    assert_int_equal(wanted("320"), MANIFEST_CEILING_320);
    assert_int_equal(wanted("319"), MANIFEST_CEILING_160);
    assert_int_equal(wanted("160"), MANIFEST_CEILING_160);
    assert_int_equal(wanted("1"), MANIFEST_CEILING_96);
    static const char *const bad[] = {"", "0", "-1", "160k", "1e3", "99999999999999999999"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct call call = {0};
        enum manifest_ceiling ceiling;
        assert_int_equal(streaming_wanted_ceiling(&call, bad[i], &ceiling), ERR_MALFORMED);
        assert_non_null(strstr(call.problem.detail, "maxBitrate"));
    }
}

static void plans_have_ceilings(void **state)
{
    (void)state;
    assert_int_equal(streaming_plan_ceiling("premium"), MANIFEST_CEILING_LOSSLESS);
    assert_int_equal(streaming_plan_ceiling("free"), MANIFEST_CEILING_160);
    assert_int_equal(streaming_plan_ceiling(""), MANIFEST_CEILING_160);
}

static void ready_means_something_to_hear(void **state)
{
    (void)state;
    struct playable playable = playable_of(5);
    assert_true(streaming_is_ready(&playable, MANIFEST_CEILING_96));
    playable.renditions = &renditions[1]; /* 320 is the lowest there is so far */
    playable.rendition_count = 1;
    assert_false(streaming_is_ready(&playable, MANIFEST_CEILING_160));
    assert_true(streaming_is_ready(&playable, MANIFEST_CEILING_320));
    playable.status = TRACK_PROCESSING;
    assert_false(streaming_is_ready(&playable, MANIFEST_CEILING_320));
}

static void the_answer_names_nothing_above_the_ceiling(void **state)
{
    (void)state;
    char path[64];
    struct problem problem = {0};
    struct streaming streaming = {.media_url = (char[]){"http://m.example.org"}};
    (void)snprintf(path, sizeof path, "%s/keys", test_folder);
    assert_int_equal(edge_keys_open(path, &streaming.keys, &problem), 0);
    const struct playable playable = playable_of(5);
    json_t *answer = streaming_answer(&streaming, &playable, MANIFEST_CEILING_160, 1763708400000);
    const char *url = json_string_value(json_object_get(answer, "trackUrl"));
    assert_memory_equal(url, "http://m.example.org/m/1763733600~7.2.160~", 42);
    assert_string_equal(url + 42 + 64, "/7/2/aac-160.mp4");
    assert_string_equal(json_string_value(json_object_get(answer, "hls")) + 42 + 64,
                        "/7/2/hls-160.m3u8");
    assert_string_equal(json_string_value(json_object_get(answer, "dash")) + 42 + 64,
                        "/7/2/dash-160.mpd");
    assert_string_equal(json_string_value(json_object_get(answer, "albumId")), "8");
    assert_int_equal(json_integer_value(json_object_get(answer, "expiresAt")), 1763733600000);
    const json_t *files = json_object_get(answer, "files");
    assert_int_equal(json_array_size(files), 2);
    const json_t *first = json_array_get(files, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "bitrate")), 96);
    assert_int_equal(json_integer_value(json_object_get(first, "initBytes")), 934);
    assert_int_equal(json_integer_value(json_object_get(first, "firstFragmentEnd")), 990);
    assert_int_equal(json_integer_value(json_object_get(first, "samples")), 44100);
    json_decref(answer);

    answer = streaming_answer(&streaming, &playable, MANIFEST_CEILING_LOSSLESS, 1763708400000);
    assert_int_equal(json_array_size(json_object_get(answer, "files")), 5);
    assert_non_null(strstr(json_string_value(json_object_get(answer, "trackUrl")), "/aac-320.mp4"));
    json_decref(answer);
    edge_keys_close(streaming.keys);
}

/* It is asked for once: not while it is under way, nor when it could not be made. */
static void what_is_unmade_is_asked_for_once(void **state)
{
    struct playable playable = playable_of(5);
    (void)state;
    assert_false(streaming_is_unmade(&playable));
    playable.rendition_count = 0;
    assert_true(streaming_is_unmade(&playable));
    playable.working = true;
    assert_false(streaming_is_unmade(&playable));
    playable.working = false;
    playable.failed = true;
    assert_false(streaming_is_unmade(&playable));
}

static void an_original_is_never_a_page(void **state)
{
    (void)state;
    assert_string_equal(streaming_media_type("aac-96.mp4", "audio/mp4"), "audio/mp4");
    assert_string_equal(streaming_media_type("hls-96.m3u8", "x/y"), "x/y");
    assert_string_equal(streaming_media_type("original.FLAC", "text/html"), "audio/flac");
    assert_string_equal(streaming_media_type("original.html", "text/html"),
                        "application/octet-stream");
    assert_string_equal(streaming_media_type("original", "text/html"), "application/octet-stream");
    assert_string_equal(streaming_cache_control("original.wav", "no-store"),
                        MANIFEST_CACHE_IMMUTABLE);
    assert_string_equal(streaming_cache_control("hls-96.m3u8", MANIFEST_CACHE_GROWING),
                        MANIFEST_CACHE_GROWING);
}

static void a_grant_is_for_one_track_and_version(void **state)
{
    (void)state;
    const struct edge_grant grant = {7, 2, MANIFEST_CEILING_96, 0};
    assert_true(streaming_grants(&grant, "7", "2"));
    assert_false(streaming_grants(&grant, "7", "3"));
    assert_false(streaming_grants(&grant, "8", "2"));
    assert_false(streaming_grants(&grant, "07", "2"));
    assert_false(streaming_grants(&grant, "7", "+2"));
    assert_false(streaming_grants(&grant, "", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_becomes_the_ceiling_below),
        cmocka_unit_test(plans_have_ceilings),
        cmocka_unit_test(ready_means_something_to_hear),
        cmocka_unit_test(the_answer_names_nothing_above_the_ceiling),
        cmocka_unit_test(what_is_unmade_is_asked_for_once),
        cmocka_unit_test(an_original_is_never_a_page),
        cmocka_unit_test(a_grant_is_for_one_track_and_version),
    };
    if (sodium_init() < 0 || test_folder_make() != 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_folder_remove();
    return failed;
}
