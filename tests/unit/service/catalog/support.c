/* A catalog on real engines (support.h). */
#include "support.h"

#include "../../../contract/contract.h"

#include "backend/blob/blob.h"
#include "backend/cache/cache.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

enum { OWNER = 1 };

static void good(int error, const char *what)
{
    if (error != 0) {
        fail_msg("%s: %s", what, error_name(error));
    }
}

void world_write(struct world *world, db_work *work, void *argument)
{
    good(db_write(world->db, work, argument), "write");
}

void world_read(struct world *world, db_work *work, void *argument)
{
    good(db_read(world->db, work, argument), "read");
}

static int add_album(struct db_session *session, void *argument)
{
    struct world *world = argument;
    const struct artist_row artist = {.id = world->artist_id,
                                      .owner_user_id = OWNER,
                                      .name = "Ada",
                                      .name_key = "ada",
                                      .bio = "",
                                      .sort_name = "",
                                      .index_key = "A ada",
                                      .created_at = 1};
    const struct album_row album = {.id = world->album_id,
                                    .artist_id = world->artist_id,
                                    .title = "First",
                                    .title_key = "first",
                                    .type = "album",
                                    .status = "published",
                                    .release_date = "",
                                    .genres = "[]",
                                    .created_at = 1};
    int error = artist_insert(session, &artist);
    return error != 0 ? error : album_insert(session, &album);
}

static void open_engines(struct world *world)
{
    char url[128];
    struct problem problem = {0};
    (void)snprintf(world->path, sizeof world->path, "/tmp/tutti-catalog-XXXXXX");
    assert_non_null(mkdtemp(world->path));
    fresh_url(world->path, "catalog", world->url);
    good(db_open(world->url, "catalog", &world->db, &problem), "db_open");
    good(bus_open("local:?retry_ms=5&retry_max_ms=20", &world->bus, &problem), "bus_open");
    good(bus_attach(world->bus, world->db, &problem), "bus_attach");
    good(cache_open("memory:", "test", 1 << 20, &world->cache, &problem), "cache_open");
    (void)snprintf(url, sizeof url, "file:%s/blobs", world->path);
    const struct blob_config blobs = {.url = url,
                                      .public_url = "http://localhost/s3",
                                      .key_id = "k",
                                      .secret = "s",
                                      .region = "local"};
    good(blob_store_open(&blobs, &world->blobs, &problem), "blob_store_open");
}

int world_new(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct problem problem = {0};
    assert_non_null(world);
    open_engines(world);
    const struct catalog_config config = {
        .db = world->db, .bus = world->bus, .cache = world->cache, .blobs = world->blobs};
    good(catalog_open(&config, &world->catalog, &problem), "catalog_open");
    good(catalog_subscribe(world->catalog), "catalog_subscribe");
    good(bus_start(world->bus), "bus_start");
    world->call.arena = arena_new(0);
    world->call.actor.user_id = OWNER;
    world->call.actor.roles = ROLE_LISTENER | ROLE_ARTIST;
    world->artist_id = id_next();
    world->album_id = id_next();
    world_write(world, add_album, world);
    *state = world;
    return 0;
}

int world_free(void **state)
{
    struct world *world = *state;
    char command[96];
    bus_close(world->bus);
    catalog_close(world->catalog);
    cache_close(world->cache);
    blob_store_close(world->blobs);
    db_close(world->db);
    arena_free(world->call.arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", world->path);
    free(world);
    return system(command);
}

struct track_make {
    struct world *world;
    const char *title;
    int64_t id;
    int version;
};

static struct catalog_source source_for(struct track_make *make)
{
    static char key[64];
    (void)snprintf(key, sizeof key, "m/%lld/%d/original.flac", (long long)make->id, make->version);
    return (struct catalog_source){.key = key, .filename = "x.flac", .bytes = 100};
}

static int make_track(struct db_session *session, void *argument)
{
    struct track_make *make = argument;
    struct track_fields fields = {.has_title = true,
                                  .title = make->title,
                                  .has_album_id = true,
                                  .album_id = make->world->album_id};
    const struct catalog_source source = source_for(make);
    return catalog_track_create(session, &make->world->call, &fields, make->id, &source);
}

int64_t world_add_track(struct world *world, const char *title)
{
    struct track_make make = {.world = world, .title = title, .id = id_next(), .version = 1};
    world_write(world, make_track, &make);
    return make.id;
}

static int replace_track(struct db_session *session, void *argument)
{
    struct track_make *make = argument;
    struct call *call = &make->world->call;
    int error = catalog_version_reserve(session, call, make->id, &make->version);
    const struct catalog_source source = source_for(make);
    return error != 0 ? error
                      : catalog_track_replace(session, call, make->id, make->version, &source);
}

int world_replace(struct world *world, int64_t track_id)
{
    struct track_make make = {.world = world, .id = track_id};
    world_write(world, replace_track, &make);
    return make.version;
}

struct row_read {
    struct world *world;
    int64_t id;
    struct track_row track;
    struct album_row album;
};

static int read_track(struct db_session *session, void *argument)
{
    struct row_read *read = argument;
    return track_get(session, read->world->call.arena, read->id, &read->track);
}

static int read_album(struct db_session *session, void *argument)
{
    struct row_read *read = argument;
    return album_get(session, read->world->call.arena, read->world->album_id, &read->album);
}

struct track_row world_track(struct world *world, int64_t track_id)
{
    struct row_read read = {.world = world, .id = track_id};
    world_read(world, read_track, &read);
    return read.track;
}

struct album_row world_album(struct world *world)
{
    struct row_read read = {.world = world};
    world_read(world, read_album, &read);
    return read.album;
}

struct emission {
    const char *type;
    char key[32];
    json_t *payload;
};

static int emit(struct db_session *session, void *argument)
{
    struct emission *emission = argument;
    return bus_emit(session, emission->type, emission->key, json_incref(emission->payload));
}

void world_emit(struct world *world, const char *type, int64_t track_id, json_t *payload)
{
    struct emission emission = {.type = type, .payload = payload};
    (void)snprintf(emission.key, sizeof emission.key, "track:%lld", (long long)track_id);
    assert_non_null(payload);
    assert_int_equal(json_object_set_new(payload, "trackId", json_id(track_id)), 0);
    world_write(world, emit, &emission);
    json_decref(payload);
    good(bus_settle(world->bus, 5000), "bus_settle");
}
