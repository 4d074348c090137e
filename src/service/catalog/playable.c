/* A track as somebody may play it (catalog.h: catalog_playable), through the cache.
 *
 * The cached form is one block without pointers, so that it may live in another process's cache as
 * well: a head, the renditions, the texts and the fragments behind it, each fragment list at the
 * offset that its rendition's `fragments` member holds instead of an address.
 */
#include "service/catalog/catalog_internal.h"

#include "backend/cache/cache.h"
#include "base/error.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/gone.h"
#include "service/catalog/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAYABLE_TTL_MS = 5000 }; /* bounds what a change in another process leaves stale here */

struct playable_head {
    struct sight sight;
    struct playable playable; /* pointers are meaningless here */
    uint64_t title_at, album_title_at, artist_name_at, renditions_at;
};

static enum track_status status_of(const char *name)
{
    for (int status = TRACK_CREATED; status <= TRACK_FAILED; status++) {
        if (strcmp(name, track_status_name((enum track_status)status)) == 0) {
            return (enum track_status)status;
        }
    }
    return TRACK_CREATED;
}

/* The version that plays, or will. */
static int load_version(struct db_session *session, struct arena *arena,
                        const struct track_row *row, struct playable *playable)
{
    struct version_row file;
    int error = version_get(session, arena, row->id, row->version, &file);
    if (error != 0) {
        return error;
    }
    *playable = (struct playable){
        .track_id = row->id,
        .album_id = row->album_id,
        .artist_id = row->artist_id,
        .version = (int)row->version,
        .status = status_of(row->status),
        .title = row->title,
        .album_title = row->album_title,
        .artist_name = row->artist_name,
        .duration_ms = file.duration_ms,
        .complete = file.complete,
        .working = row->working,
        .failed = !row->working && row->failure_code[0] != '\0',
    };
    return rendition_list(session, arena, row->id, row->version, &playable->renditions,
                          &playable->rendition_count);
}

struct load {
    struct catalog *catalog;
    int64_t track_id;
    struct arena *arena;
    struct track_row row;
    struct playable playable;
};

static int load_work(struct db_session *session, void *argument)
{
    struct load *load = argument;
    int error = track_get(session, load->arena, load->track_id, &load->row);
    return error != 0 ? error : load_version(session, load->arena, &load->row, &load->playable);
}

/* Appends bytes to the block at *at, which moves on to the next multiple of 8. */
static uint64_t pack(char *block, size_t *at, const void *bytes, size_t length)
{
    uint64_t where = *at;
    if (block != NULL && length > 0) {
        memcpy(block + where, bytes, length);
    }
    *at += (length + 7) & ~(size_t)7;
    return where;
}

/* Fills block, or with NULL only says how long it would be. */
static size_t pack_all(const struct load *load, char *block)
{
    const struct playable *playable = &load->playable;
    const struct track_row *row = &load->row;
    struct playable_head head = {
        .sight = {row->owner_user_id, row->published, row->shelved ? row->shelf_id : 0},
        .playable = *playable};
    size_t at = (sizeof head + 7) & ~(size_t)7;
    head.title_at = pack(block, &at, playable->title, strlen(playable->title) + 1);
    head.album_title_at =
        pack(block, &at, playable->album_title, strlen(playable->album_title) + 1);
    head.artist_name_at =
        pack(block, &at, playable->artist_name, strlen(playable->artist_name) + 1);
    size_t renditions_bytes = playable->rendition_count * sizeof *playable->renditions;
    head.renditions_at = pack(block, &at, playable->renditions, renditions_bytes);
    for (unsigned i = 0; i < playable->rendition_count; i++) {
        const struct rendition *rendition = &playable->renditions[i];
        size_t bytes = (size_t)rendition->fragment_count * 2 * sizeof *rendition->fragments;
        uint64_t where = pack(block, &at, rendition->fragments, bytes);
        if (block != NULL) {
            struct rendition *packed = (struct rendition *)(block + head.renditions_at) + i;
            packed->fragments = (const uint32_t *)(uintptr_t)where;
        }
    }
    if (block != NULL) {
        memcpy(block, &head, sizeof head);
    }
    return at;
}

static int load_playable(void *argument, void **ret_bytes, size_t *ret_length)
{
    struct load *load = argument;
    db_view_need(load->catalog->db, watch_position(load->catalog->watch));
    int error = db_read(load->catalog->db, load_work, load);
    if (error != 0) {
        return error;
    }
    size_t length = pack_all(load, NULL);
    char *block = calloc(1, length);
    if (block == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pack_all(load, block);
    *ret_bytes = block;
    *ret_length = length;
    return 0;
}

/* The block copied into the arena, its offsets made addresses again. */
static int unpack(struct catalog *catalog, struct call *call, const void *bytes, size_t length,
                  bool try, struct playable **ret_playable)
{
    char *block = arena_alloc(call->arena, length);
    if (block == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(block, bytes, length);
    struct playable_head *head = (struct playable_head *)block;
    enum seen seen = catalog_sees(&call->actor, &head->sight);
    int error = seen == SIGHT_YES          ? 0
                : seen == SIGHT_ASK && try ? ERR_BUSY
                : seen == SIGHT_ASK        ? catalog_enters(catalog, &call->actor, &head->sight)
                                           : ERR_NOT_FOUND;
    if (error != 0) {
        return error;
    }
    struct playable *playable = &head->playable;
    playable->title = block + head->title_at;
    playable->album_title = block + head->album_title_at;
    playable->artist_name = block + head->artist_name_at;
    playable->renditions = (struct rendition *)(block + head->renditions_at);
    for (unsigned i = 0; i < playable->rendition_count; i++) {
        struct rendition *rendition = &playable->renditions[i];
        rendition->fragments = rendition->fragment_count > 0
                                   ? (const uint32_t *)(block + (uintptr_t)rendition->fragments)
                                   : NULL;
    }
    *ret_playable = playable;
    return 0;
}

/* For who has written what the caches have not heard of. */
static int uncached(struct catalog *catalog, struct call *call, int64_t track_id,
                    struct playable **ret_playable)
{
    struct load load = {.catalog = catalog, .track_id = track_id, .arena = arena_new(0)};
    void *bytes = NULL;
    size_t length = 0;
    int error = load.arena != NULL ? load_playable(&load, &bytes, &length) : ERR_NO_MEMORY;
    arena_free(load.arena);
    error = error != 0 ? error : unpack(catalog, call, bytes, length, false, ret_playable);
    free(bytes);
    return error;
}

int catalog_playable(struct catalog *catalog, struct call *call, int64_t track_id, bool try,
                     struct playable **ret_playable)
{
    if (watch_is_behind(catalog->watch)) {
        return try ? ERR_BUSY : uncached(catalog, call, track_id, ret_playable);
    }
    char key[40];
    (void)snprintf(key, sizeof key, PLAYABLE_KEY, track_id);
    struct cache_entry *entry = cache_get(catalog->cache, key);
    if (entry == NULL && try) {
        return ERR_BUSY;
    }
    if (entry == NULL) {
        struct load load = {.catalog = catalog, .track_id = track_id, .arena = arena_new(0)};
        int error = load.arena != NULL ? cache_load(catalog->cache, key, PLAYABLE_TTL_MS,
                                                    load_playable, &load, &entry)
                                       : ERR_NO_MEMORY;
        arena_free(load.arena);
        if (error != 0) {
            return error;
        }
    }
    size_t length = 0;
    const void *bytes = cache_entry_bytes(entry, &length);
    int error = unpack(catalog, call, bytes, length, try, ret_playable);
    cache_entry_unref(entry);
    return error;
}

bool catalog_media_gone(struct catalog *catalog, int64_t track_id)
{
    return gone_has(catalog->gone, track_id);
}
