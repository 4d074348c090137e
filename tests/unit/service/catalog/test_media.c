/* service/catalog: what the media pipeline reports changes tracks by version, once. */
#include "support.h"

#include "backend/cache/cache.h"
#include "base/error.h"
#include "base/mem.h"
#include "service/catalog/catalog_internal.h"
#include "service/catalog/loudness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <endian.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

/* `blocks` gating blocks in one bin. */
static json_t *histogram_json(unsigned bin, uint32_t blocks)
{
    uint32_t counts[LOUDNESS_BINS] = {0};
    char text[LOUDNESS_HISTOGRAM_BYTES * 2];
    counts[bin] = htole32(blocks);
    return json_string(sodium_bin2base64(text, sizeof text, (const unsigned char *)counts,
                                         sizeof counts, sodium_base64_VARIANT_ORIGINAL));
}

static json_t *probed(int version, int64_t duration_ms, unsigned bin, uint32_t blocks)
{
    return json_pack("{s:i, s:I, s:i, s:i, s:i, s:s, s:b, s:f, s:f, s:i, s:o}", "version", version,
                     "durationMs", (json_int_t)duration_ms, "samples", 44100, "rate", 44100,
                     "channels", 2, "codec", "flac", "lossless", 1, "trackLufs", -14.25,
                     "truePeakDb", -1.5, "expected", 10, "histogram", histogram_json(bin, blocks));
}

static json_t *rendition(int version, const char *format, int bitrate, const char *file)
{
    return json_pack("{s:i, s:{s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:[[i,i],[i,i]]}}", "version",
                     version, "rendition", "format", format, "bitrate", bitrate, "file", file,
                     "mime", "audio/mp4", "codecs", "mp4a.40.2", "bytes", 1000, "samples",
                     175104 + 900, "fragments", 400, 175104, 600, 900);
}

static json_t *of_version(int version)
{
    return json_pack("{s:i}", "version", version);
}

static void becomes_ready(void **state)
{
    struct world *world = *state;
    int64_t id = world_add_track(world, "One");
    assert_string_equal(world_track(world, id).status, "uploaded");
    world_emit(world, "media.probed", id, probed(1, 5000, 550, 100));
    struct track_row row = world_track(world, id);
    assert_string_equal(row.status, "processing");
    assert_int_equal(row.duration_ms, 5000);
    assert_int_equal(row.expected, 10);
    int64_t revision = row.revision;

    world_emit(world, "media.rendition", id, rendition(1, "opus", 160, "opus-160.opus"));
    assert_string_equal(world_track(world, id).status, "processing");
    world_emit(world, "media.rendition", id, rendition(1, "aac", 160, "aac-160.mp4"));
    world_emit(world, "media.rendition", id, rendition(1, "aac", 160, "aac-160.mp4"));
    row = world_track(world, id);
    assert_string_equal(row.status, "ready");
    assert_int_equal(row.done, 2);
    assert_true(row.working);
    world_emit(world, "media.complete", id, of_version(1));
    row = world_track(world, id);
    assert_false(row.working);
    assert_int_equal(row.revision, revision); /* a worker's progress breaks no edit */
    assert_int_equal(world_album(world).duration_ms, 5000);
    assert_int_equal(world_album(world).working, 0);
}

static void a_new_file_waits_for_its_turn(void **state)
{
    struct world *world = *state;
    int64_t id = world_add_track(world, "One");
    world_emit(world, "media.probed", id, probed(1, 5000, 550, 100));
    world_emit(world, "media.rendition", id, rendition(1, "aac", 160, "aac-160.mp4"));
    assert_int_equal(world_replace(world, id), 2);
    world_emit(world, "media.probed", id, probed(2, 7000, 560, 100));
    struct track_row row = world_track(world, id);
    assert_int_equal(row.version, 1);
    assert_int_equal(row.pending_version, 2);
    assert_string_equal(row.status, "ready");
    assert_int_equal(row.duration_ms, 5000);

    world_emit(world, "media.rendition", id, rendition(2, "aac", 160, "aac-160.mp4"));
    row = world_track(world, id);
    assert_int_equal(row.version, 2);
    assert_int_equal(row.pending_version, 0);
    assert_int_equal(row.duration_ms, 7000);

    /* Late words about the version that was replaced. */
    world_emit(world, "media.failed", id,
               json_pack("{s:i, s:s, s:s}", "version", 1, "code", "x", "reason", "late"));
    world_emit(world, "media.probed", id, probed(1, 9999, 550, 100));
    row = world_track(world, id);
    assert_string_equal(row.status, "ready");
    assert_int_equal(row.duration_ms, 7000);
    assert_string_equal(row.failure_code, "");
}

static void a_failure_has_words(void **state)
{
    struct world *world = *state;
    int64_t id = world_add_track(world, "One");
    world_emit(world, "media.failed", id,
               json_pack("{s:i, s:s, s:s}", "version", 1, "code", "truncated", "reason",
                         "The file ends after 12 s"));
    struct track_row row = world_track(world, id);
    assert_string_equal(row.status, "failed");
    assert_string_equal(row.failure_reason, "The file ends after 12 s");
    assert_false(row.working);

    /* Nothing plays, so a new file takes over at once. */
    assert_int_equal(world_replace(world, id), 2);
    row = world_track(world, id);
    assert_int_equal(row.version, 2);
    assert_int_equal(row.pending_version, 0);
    assert_string_equal(row.status, "uploaded");
    assert_string_equal(row.failure_code, "");
}

static void a_failed_replacement_leaves_what_plays(void **state)
{
    struct world *world = *state;
    int64_t id = world_add_track(world, "One");
    world_emit(world, "media.probed", id, probed(1, 5000, 550, 100));
    world_emit(world, "media.rendition", id, rendition(1, "aac", 160, "aac-160.mp4"));
    world_emit(world, "media.complete", id, of_version(1));
    (void)world_replace(world, id);
    world_emit(world, "media.failed", id,
               json_pack("{s:i, s:s, s:s}", "version", 2, "code", "no-audio", "reason", "None"));
    struct track_row row = world_track(world, id);
    assert_string_equal(row.status, "ready");
    assert_int_equal(row.version, 1);
    assert_int_equal(row.pending_version, 0);
    assert_string_equal(row.failure_code, "no-audio");
    assert_false(row.working);
}

static void album_loudness_is_of_all_tracks(void **state)
{
    struct world *world = *state;
    int64_t first = world_add_track(world, "One"), second = world_add_track(world, "Two");
    world_emit(world, "media.probed", first, probed(1, 5000, 550, 100));  /* -14.95 LUFS */
    world_emit(world, "media.probed", second, probed(1, 5000, 500, 100)); /* -19.95 LUFS */
    double mean = (pow(10, -1.495) + pow(10, -1.995)) / 2;
    struct album_row album = world_album(world);
    assert_true(album.has_lufs);
    assert_true(fabs(album.lufs - 10 * log10(mean)) < 0.001);
    assert_int_equal(album.track_count, 2);
    assert_int_equal(album.duration_ms, 10000);
}

/* Loads it, and finds it in the cache; from elsewhere the news of the last change may come behind
 * the first load, and take it out again. */
static void load(struct world *world, int64_t id, struct playable **ret_playable)
{
    int error = ERR_BUSY;
    for (unsigned tries = 0; tries < 100 && error == ERR_BUSY; tries++) {
        assert_int_equal(catalog_playable(world->catalog, &world->call, id, false, ret_playable),
                         0);
        error = catalog_playable(world->catalog, &world->call, id, true, ret_playable);
    }
    assert_int_equal(error, 0);
}

static void playable_has_its_renditions(void **state)
{
    struct world *world = *state;
    struct playable *playable = NULL;
    int64_t id = world_add_track(world, "One");
    world_emit(world, "media.probed", id, probed(1, 5000, 550, 100));
    assert_int_equal(catalog_playable(world->catalog, &world->call, id, true, &playable), ERR_BUSY);
    world_emit(world, "media.rendition", id, rendition(1, "aac", 160, "aac-160.mp4"));
    load(world, id, &playable);
    assert_int_equal(playable->status, TRACK_READY);
    assert_string_equal(playable->title, "One");
    assert_string_equal(playable->album_title, "First");
    assert_string_equal(playable->artist_name, "Ada");
    assert_int_equal(playable->rendition_count, 1);
    assert_string_equal(playable->renditions[0].file, "aac-160.mp4");
    assert_int_equal(playable->renditions[0].fragment_count, 2);
    assert_int_equal(playable->renditions[0].fragments[1], 175104);
    assert_int_equal(playable->renditions[0].fragments[2], 600);
    /* What the pipeline reports is seen at once. */
    world_emit(world, "media.complete", id, of_version(1));
    assert_int_equal(catalog_playable(world->catalog, &world->call, id, false, &playable), 0);
    assert_true(playable->complete);
    assert_int_equal(catalog_playable(world->catalog, &world->call, 12345, false, &playable),
                     ERR_NOT_FOUND);
}

/* Such an event is parked; what it says comes into no row. */
static void no_number_is_below_nought(void **state)
{
    static const char *const names[] = {"durationMs", "samples", "rate", "channels", "expected"};
    struct world *world = *state;
    int64_t id = world_add_track(world, "One");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        json_t *payload = probed(1, 5000, 550, 100);
        assert_int_equal(json_object_set_new(payload, names[i], json_integer(-1)), 0);
        world_emit(world, "media.probed", id, payload);
        struct track_row row = world_track(world, id);
        assert_string_equal(row.status, "uploaded");
        assert_int_equal(row.duration_ms, 0);
        assert_int_equal(row.expected, 0);
    }
}

static int add_imported(struct db_session *session, void *argument)
{
    struct world *world = argument;
    const struct catalog_track_facts facts = {
        .album_id = world->album_id, .artist_id = world->artist_id, .title = "Found"};
    const struct catalog_sound sound = {.key = "m/77/1/original.flac",
                                        .filename = "x.flac",
                                        .codec = "flac",
                                        .mime = "audio/flac",
                                        .bytes = 1000,
                                        .rate = 44100,
                                        .channels = 2,
                                        .duration_ms = 5000,
                                        .outside = true};
    return catalog_track_add(session, &world->call, 77, &facts, &sound);
}

static struct playable *play(struct world *world, int64_t id)
{
    struct playable *playable = NULL;
    assert_int_equal(catalog_playable(world->catalog, &world->call, id, false, &playable), 0);
    return playable;
}

/* How often lists have to be made anew since somebody asks many times. Some of it is another
 * thread's, which hears of the events so far. */
static uint64_t forgotten_by_asking(struct world *world, unsigned times)
{
    uint64_t before = atomic_load(&world->catalog->generation);
    for (unsigned i = 0; i < times; i++) {
        assert_int_equal(catalog_track_want(world->catalog, 77), 0);
    }
    return atomic_load(&world->catalog->generation) - before;
}

/* Asking for renditions changes something once; after that no list has to be made anew. */
static void wanting_changes_something_once(void **state)
{
    enum { TIMES = 200 }; /* more than there are events */
    struct world *world = *state;
    world_write(world, add_imported, world);
    assert_false(play(world, 77)->working || play(world, 77)->failed);
    assert_in_range(forgotten_by_asking(world, TIMES), 1, TIMES - 1);
    assert_true(play(world, 77)->working);
    world_emit(world, "media.failed", 77,
               json_pack("{s:i, s:s, s:s}", "version", 1, "code", "damaged", "reason", "Half."));
    assert_true(play(world, 77)->failed && !play(world, 77)->working);
    assert_in_range(forgotten_by_asking(world, TIMES), 0, TIMES - 1);
    assert_true(play(world, 77)->failed && !play(world, 77)->working);
}

struct again {
    struct world *world;
    int64_t version;
    int result;
};

static int try_again(struct db_session *session, void *argument)
{
    struct again *again = argument;
    const struct catalog_failed failed = {.track_id = 77, .version = again->version};
    again->result =
        catalog_track_again(session, &again->world->call, &failed, false, &again->version);
    return 0;
}

static int forget_outside(struct db_session *session, void *argument)
{
    (void)argument;
    return db_exec(session, "UPDATE track_version SET outside = 0", DB_NO_BIND) > 0 ? 0 : -1;
}

static void fail_track(struct world *world, int version)
{
    world_emit(world, "media.failed", 77,
               json_pack("{s:i, s:s, s:s}", "version", version, "code", "io", "reason", "Away."));
}

/* Only what failed, is of that version, and stays outside. */
static void a_failed_track_gets_another_try(void **state)
{
    struct world *world = *state;
    struct again again = {.world = world, .version = 1};
    world_write(world, add_imported, world);
    world_write(world, try_again, &again);
    assert_int_equal(again.result, ERR_CONFLICT);
    fail_track(world, 1);
    again.version = 2;
    world_write(world, try_again, &again);
    assert_int_equal(again.result, ERR_CONFLICT);
    again.version = 1;
    world_write(world, try_again, &again);
    assert_int_equal(again.result, 0);
    struct track_row row = world_track(world, 77);
    assert_int_equal(row.version, 2);
    assert_int_equal(again.version, 2);
    assert_string_equal(row.status, "ready");
    assert_string_equal(row.failure_code, "");
    assert_non_null(strstr(row.summary, "original"));
    fail_track(world, 1); /* late: it is the former version's */
    assert_string_equal(world_track(world, 77).failure_code, "");
    fail_track(world, 2);
    world_write(world, forget_outside, NULL);
    world_write(world, try_again, &again);
    assert_int_equal(again.result, ERR_CONFLICT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_new, world_free)
    const struct CMUnitTest tests[] = {
        TEST(becomes_ready),
        TEST(a_new_file_waits_for_its_turn),
        TEST(a_failure_has_words),
        TEST(a_failed_replacement_leaves_what_plays),
        TEST(album_loudness_is_of_all_tracks),
        TEST(playable_has_its_renditions),
        TEST(no_number_is_below_nought),
        TEST(wanting_changes_something_once),
        TEST(a_failed_track_gets_another_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
