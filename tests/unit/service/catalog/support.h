/* A catalog on real engines, gone at the end of the test: objects in a directory of its own, and a
 * database there or on the PostgreSQL server that TUTTI_TEST_POSTGRES names. */
#pragma once

#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/arena.h"
#include "service/catalog/catalog.h"
#include "service/catalog/catalog_rows.h"

#include <jansson.h>
#include <stdint.h>

struct world {
    char path[64], url[256]; /* of the folder, of the database */
    struct db *db;
    struct bus *bus;
    struct cache *cache;
    struct blob_store *blobs;
    struct catalog *catalog;
    struct call call; /* by the artist, user 1 */
    int64_t artist_id, album_id;
};

int world_new(void **state);  /* cmocka's setup: *state is a struct world */
int world_free(void **state); /* its teardown */

/* A track of the album, its version 1 uploaded. */
int64_t world_add_track(struct world *world, const char *title);
/* Reserves and replaces; the new version's number. */
int world_replace(struct world *world, int64_t track_id);
struct track_row world_track(struct world *world, int64_t track_id);
struct album_row world_album(struct world *world);
/* Emits an event of the pipeline and waits until it was handled. Takes the reference. */
void world_emit(struct world *world, const char *type, int64_t track_id, json_t *payload);
/* Runs work in a write; the test fails when it does. */
void world_write(struct world *world, db_work *work, void *argument);
void world_read(struct world *world, db_work *work, void *argument);
