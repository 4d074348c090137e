/* Removing objects whose grace is over (catalog.h: catalog_cleanup_sweep). A row stays until all
 * keys with its prefix are gone, so a kill in between only makes the next sweep go on. */
#include "service/catalog/catalog_internal.h"

#include "backend/blob/blob.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "service/catalog/catalog_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KEYS_AT_ONCE = 256 };

struct keys {
    struct arena *arena;
    const char *names[KEYS_AT_ONCE];
    unsigned count;
};

static int keep_key(void *argument, const char *key, const struct blob_stat *stat)
{
    (void)stat;
    struct keys *keys = argument;
    const char *name = arena_strdup(keys->arena, key);
    if (name == NULL) {
        return ERR_NO_MEMORY;
    }
    keys->names[keys->count++] = name;
    return 0;
}

/* All objects with the prefix, in portions. */
static int remove_prefix(struct catalog *catalog, const struct cleanup_row *row,
                         unsigned *ret_removed)
{
    for (;;) {
        struct keys keys = {.arena = arena_new(0)};
        int error = keys.arena != NULL ? blob_list(catalog->blobs, row->bucket, row->prefix, "",
                                                   KEYS_AT_ONCE, keep_key, &keys)
                                       : ERR_NO_MEMORY;
        error = error != 0 ? error
                           : blob_delete_many(catalog->blobs, row->bucket, keys.names, keys.count);
        *ret_removed += error == 0 ? keys.count : 0;
        bool last = keys.count < KEYS_AT_ONCE;
        arena_free(keys.arena);
        if (error != 0 || last) {
            return error;
        }
    }
}

int catalog_track_objects_remove(struct catalog *catalog, int64_t track_id)
{
    char prefix[64];
    unsigned removed = 0;
    (void)snprintf(prefix, sizeof prefix, "m/%" PRId64 "/", track_id);
    const struct cleanup_row row = {.bucket = BLOB_MEDIA, .prefix = prefix};
    return remove_prefix(catalog, &row, &removed);
}

struct sweep {
    struct arena *arena;
    unsigned limit;
    struct cleanup_row *rows;
    unsigned count;
    const struct cleanup_row *done;
};

static int sweep_find(struct db_session *session, void *argument)
{
    struct sweep *sweep = argument;
    return cleanup_due(session, sweep->arena, clock_wall_ms(), sweep->limit, &sweep->rows,
                       &sweep->count);
}

/* "m/1/2/" names a version, whose rendition rows go with its objects. */
static int forget_renditions(struct db_session *session, const char *prefix)
{
    char text[64];
    if (strncmp(prefix, "m/", 2) != 0 || !text_copy(text, sizeof text, prefix + 2)) {
        return 0;
    }
    char *slash = strchr(text, '/');
    int64_t track_id = 0, version = 0;
    if (slash == NULL) {
        return 0;
    }
    *slash = '\0';
    char *end = strchr(slash + 1, '/');
    if (end == NULL) {
        return id_parse(text, &track_id) ? rendition_delete_of_track(session, track_id) : 0;
    }
    *end = '\0';
    return id_parse(text, &track_id) && id_parse(slash + 1, &version)
               ? rendition_delete_all(session, track_id, version)
               : 0;
}

static int sweep_done(struct db_session *session, void *argument)
{
    const struct sweep *sweep = argument;
    int error = forget_renditions(session, sweep->done->prefix);
    return error != 0 ? error : cleanup_delete(session, sweep->done->bucket, sweep->done->prefix);
}

int catalog_cleanup_sweep(struct catalog *catalog, unsigned limit, unsigned *ret_removed)
{
    struct sweep sweep = {.arena = arena_new(0), .limit = limit};
    unsigned removed = 0;
    int error = catalog_index_fill(catalog->db);
    if (error == 0) {
        error = sweep.arena != NULL ? db_read(catalog->db, sweep_find, &sweep) : ERR_NO_MEMORY;
    }
    for (unsigned i = 0; error == 0 && i < sweep.count; i++) {
        sweep.done = &sweep.rows[i];
        error = remove_prefix(catalog, sweep.done, &removed);
        if (error == 0) {
            error = db_write(catalog->db, sweep_done, &sweep);
        }
    }
    arena_free(sweep.arena);
    *ret_removed = removed;
    return error;
}

/* Keys: m/{track}/{version}/{file} and art/{id}/{file}. */
int catalog_object_named(struct db_session *session, const char *key, bool *ret_named)
{
    char text[BLOB_KEY_MAX + 1];
    if (!text_copy(text, sizeof text, key)) {
        *ret_named = false;
        return 0;
    }
    char *parts[4] = {NULL}, *rest = NULL;
    unsigned count = 0;
    for (char *part = strtok_r(text, "/", &rest); part != NULL && count < 4;
         part = strtok_r(NULL, "/", &rest)) {
        parts[count++] = part;
    }
    int64_t id = 0, version = 0;
    int64_t since_ms = clock_wall_ms() - 2 * (int64_t)CATALOG_OBJECT_GRACE_MS;
    if (count == 4 && strcmp(parts[0], "m") == 0 && id_parse(parts[1], &id) &&
        id_parse(parts[2], &version)) {
        return version_exists(session, id, version, since_ms, ret_named);
    }
    if (count == 3 && strcmp(parts[0], "art") == 0 && id_parse(parts[1], &id)) {
        return art_exists(session, id, since_ms, ret_named);
    }
    *ret_named = false;
    return 0;
}
