/* Renditions beside originals that stay outside (catalog.h, catalog_rungs_…): what they take, their
 * removal, and another try where they could not be made. The objects of a version never change and
 * its jobs run once, so in both cases the track goes on as another version of the same file;
 * catalog_track_want has that one's made. */
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

static const char *original_mime(struct db_session *session, struct arena *arena,
                                 const struct version_row *file)
{
    struct rendition *list = NULL;
    unsigned count = 0;
    int error = rendition_list(session, arena, file->track_id, file->version, &list, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        if (strcmp(list[i].format, "original") == 0) {
            return list[i].mime;
        }
    }
    return NULL;
}

static bool is_cut(const struct version_row *file)
{
    int64_t from = 0, to = 0;
    return catalog_cut_read(file->source_key, &from, &to);
}

/* The version's row, as the one that it goes on as: the same file under that one's key, with its
 * original alone, which a part of a file does not have. */
static int describe(struct db_session *session, struct arena *arena, const struct track_row *row,
                    int64_t version, struct version_row *ret_file)
{
    int error = version_get(session, arena, row->id, row->version, ret_file);
    if (error != 0) {
        return error;
    }
    const char *mime = original_mime(session, arena, ret_file);
    const char *slash = strrchr(ret_file->source_key, '/');
    if (slash == NULL || (mime == NULL && !is_cut(ret_file))) {
        return ERR_CONFLICT;
    }
    ret_file->source_key =
        arena_printf(arena, "m/%" PRId64 "/%" PRId64 "%s", row->id, version, slash);
    ret_file->summary =
        mime != NULL ? catalog_original_summary(arena, ret_file->source_bytes, mime) : "[]";
    return ret_file->source_key != NULL && ret_file->summary != NULL ? 0 : ERR_NO_MEMORY;
}

/* What plays of a part of a file goes on until the other version plays; else that one takes over at
 * once, by its original. */
static int take_over(struct db_session *session, struct track_row *row, struct version_row *file,
                     int64_t version)
{
    bool ready = strcmp(row->status, track_status_name(TRACK_READY)) == 0;
    int error = import_version_again(session, file, version);
    file->version = row->version_last = version;
    if (is_cut(file) && ready) {
        row->pending_version = version;
        return error;
    }
    error = error != 0 ? error
                       : remove_version_objects(session, row->id, row->version, clock_wall_ms());
    row->version = version;
    row->status = track_status_name(is_cut(file) ? TRACK_UPLOADED : TRACK_READY);
    return error;
}

static int go_on(struct db_session *session, struct call *call, struct track_row *row, bool at_once)
{
    struct version_row file;
    int64_t version = row->version_last + 1;
    int error = describe(session, call->arena, row, version, &file);
    error = error != 0 ? error : take_over(session, row, &file, version);
    if (error != 0) {
        return error;
    }
    row->failure_code = row->failure_reason = "";
    row->working = at_once || is_cut(&file);
    row->updated_at = clock_wall_ms();
    error = track_update_state(session, row);
    error = error != 0 ? error : track_update(session, row);
    error = error != 0 ? error : album_refresh(session, row->album_id);
    if (error == 0 && row->working) {
        error = change_emit_uploaded(session, &file);
    }
    return error != 0 ? error : change_emit(session, CATALOG_TRACK, row->id, "track.changed");
}

/* A number that is reserved (version_last) is of a file on its way. */
static bool may_go(const struct track_row *row, const struct catalog_rungs *rungs)
{
    return row->version == rungs->version && row->version_last == row->version &&
           row->pending_version == 0 && !row->working &&
           strcmp(row->status, track_status_name(TRACK_READY)) == 0;
}

int catalog_rungs_remove(struct db_session *session, struct call *call,
                         const struct catalog_rungs *rungs, int64_t *ret_version)
{
    struct track_row row;
    int error = track_get(session, call->arena, rungs->track_id, &row);
    if (error != 0 || !may_go(&row, rungs)) {
        return error != 0 ? error : ERR_CONFLICT;
    }
    error = go_on(session, call, &row, false);
    *ret_version = row.version;
    return error;
}

/* --- another try --- */

int catalog_failed_list(struct db_session *session, struct arena *arena, int64_t after_id,
                        unsigned limit, struct catalog_failed **ret_list, unsigned *ret_count)
{
    return import_failed_list(session, arena, after_id, limit, ret_list, ret_count);
}

int catalog_track_again(struct db_session *session, struct call *call,
                        const struct catalog_failed *failed, bool at_once, int64_t *ret_version)
{
    struct track_row row;
    struct version_row file;
    int error = track_get(session, call->arena, failed->track_id, &row);
    error = error != 0 ? error : version_get(session, call->arena, row.id, row.version, &file);
    if (error != 0) {
        return error;
    }
    bool may = row.failure_code[0] != '\0' && row.version == failed->version && !row.working &&
               row.pending_version == 0 && !file.complete && file.outside;
    error = may ? go_on(session, call, &row, at_once) : ERR_CONFLICT;
    *ret_version = row.version_last;
    return error;
}
