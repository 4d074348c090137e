/* Renditions beside originals that stay outside (catalog.h, catalog_rungs_…): what they take, and
 * their removal. The objects of a version never change and its jobs run once, so a track whose
 * renditions are taken away goes on as another version; catalog_track_want has that one's made. */
#include "service/catalog/catalog_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/change.h"
#include "service/catalog/import_store.h"
#include "service/catalog/removal.h"

#include <inttypes.h>
#include <string.h>

struct listing {
    struct arena *arena;
    unsigned limit, count;
    struct catalog_rungs *rows;
};

static int list_work(struct db_session *session, void *argument)
{
    struct listing *listing = argument;
    return import_rungs_list(session, listing->arena, listing->limit, &listing->rows,
                             &listing->count);
}

int catalog_rungs_list(struct catalog *catalog, struct arena *arena, unsigned limit,
                       struct catalog_rungs **ret_list, unsigned *ret_count)
{
    struct listing listing = {.arena = arena, .limit = limit};
    int error = db_read(catalog->db, list_work, &listing);
    *ret_list = listing.rows;
    *ret_count = listing.count;
    return error;
}

/* A number that is reserved (version_last) is of a file on its way. */
static bool may_go(const struct track_row *row, const struct catalog_rungs *rungs)
{
    return row->version == rungs->version && row->version_last == row->version &&
           row->pending_version == 0 && !row->working &&
           strcmp(row->status, track_status_name(TRACK_READY)) == 0;
}

static const char *original_mime(struct db_session *session, struct arena *arena,
                                 const struct catalog_rungs *rungs)
{
    struct rendition *list = NULL;
    unsigned count = 0;
    int error = rendition_list(session, arena, rungs->track_id, rungs->version, &list, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        if (strcmp(list[i].format, "original") == 0) {
            return list[i].mime;
        }
    }
    return NULL;
}

/* The row of the version that it goes on as; its key names the same file. */
static int describe(struct db_session *session, struct arena *arena,
                    const struct catalog_rungs *rungs, int64_t version, struct version_row *row)
{
    int error = version_get(session, arena, rungs->track_id, rungs->version, row);
    const char *mime = error == 0 ? original_mime(session, arena, rungs) : NULL;
    const char *slash = error == 0 ? strrchr(row->source_key, '/') : NULL;
    if (mime == NULL || slash == NULL) {
        return error != 0 ? error : ERR_CONFLICT;
    }
    row->source_key =
        arena_printf(arena, "m/%" PRId64 "/%" PRId64 "%s", rungs->track_id, version, slash);
    row->summary = catalog_original_summary(arena, row->source_bytes, mime);
    return row->source_key != NULL && row->summary != NULL ? 0 : ERR_NO_MEMORY;
}

int catalog_rungs_remove(struct db_session *session, struct call *call,
                         const struct catalog_rungs *rungs, int64_t *ret_version)
{
    struct track_row row;
    struct version_row file;
    int error = track_get(session, call->arena, rungs->track_id, &row);
    if (error != 0 || !may_go(&row, rungs)) {
        return error != 0 ? error : ERR_CONFLICT;
    }
    int64_t now_ms = clock_wall_ms(), version = row.version + 1;
    error = describe(session, call->arena, rungs, version, &file);
    error = error != 0 ? error : import_version_again(session, &file, version);
    error = error != 0 ? error : remove_version_objects(session, row.id, row.version, now_ms);
    row.version = row.version_last = *ret_version = version;
    row.updated_at = now_ms;
    error = error != 0 ? error : track_update_state(session, &row);
    error = error != 0 ? error : track_update(session, &row);
    return error != 0 ? error : change_emit(session, CATALOG_TRACK, row.id, "track.changed");
}
