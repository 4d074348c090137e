/* service/catalog/watch: a second process on the database hears of what the first one changes. The
 * second one is a catalog with a database handle and a cache of its own. */
#include "support.h"

#include "backend/cache/cache.h"
#include "base/clock.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HEARD_WITHIN_MS = 3000 }; /* below the 5 s that a cached answer lives */

struct other {
    struct db *db;
    struct cache *cache;
    struct catalog *catalog;
};

static struct other other_open(struct world *world)
{
    struct other other = {0};
    struct problem problem = {0};
    assert_int_equal(db_open(world->url, "catalog", &other.db, &problem), 0);
    assert_int_equal(cache_open("memory:", "other", 1 << 20, &other.cache, &problem), 0);
    const struct catalog_config config = {
        .db = other.db, .bus = world->bus, .cache = other.cache, .blobs = world->blobs};
    assert_int_equal(catalog_open(&config, &other.catalog, &problem), 0);
    return other;
}

static void other_close(struct other *other)
{
    catalog_close(other->catalog);
    cache_close(other->cache);
    db_close(other->db);
}

struct edit {
    struct world *world;
    int64_t track_id;
};

static int retitle(struct db_session *session, void *argument)
{
    struct edit *edit = argument;
    const struct track_fields fields = {.has_title = true, .title = "Renamed"};
    return catalog_track_edit(session, &edit->world->call, edit->track_id, &fields);
}

static bool is_renamed(struct world *world, struct other *other, int64_t track_id)
{
    struct playable *playable = NULL;
    assert_int_equal(catalog_playable(other->catalog, &world->call, track_id, false, &playable), 0);
    return strcmp(playable->title, "Renamed") == 0;
}

static bool is_gone(struct world *world, struct other *other, int64_t track_id)
{
    (void)world;
    return catalog_media_gone(other->catalog, track_id);
}

static void becomes(bool (*is)(struct world *, struct other *, int64_t), struct world *world,
                    struct other *other, int64_t track_id)
{
    static const struct timespec pause = {.tv_nsec = 5000000};
    int64_t deadline_ms = clock_monotonic_ms() + HEARD_WITHIN_MS;
    while (!is(world, other, track_id)) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)nanosleep(&pause, NULL);
    }
}

static void others_changes_are_heard(void **state)
{
    struct world *world = *state;
    struct other other = other_open(world);
    struct edit edit = {.world = world, .track_id = world_add_track(world, "One")};
    assert_false(is_renamed(world, &other, edit.track_id)); /* and now it is cached */
    world_write(world, retitle, &edit);
    becomes(is_renamed, world, &other, edit.track_id);

    assert_false(catalog_media_gone(other.catalog, edit.track_id));
    world_emit(world, "track.deleted", edit.track_id, json_object());
    becomes(is_gone, world, &other, edit.track_id);
    other_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(others_changes_are_heard, world_new, world_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
