/* Who tracks are credited to, where that changes without the track (credits.h). */
#include "service/catalog/credits.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/catalog/import_store.h"

/* Its entry in the list gets the name, or goes for NULL. A list that would be empty goes, too: the
 * track's own artist stands for it then. */
static void edit_artists(json_t *details, int64_t artist_id, const char *name)
{
    json_t *artists = json_object_get(details, "artists");
    for (size_t i = json_array_size(artists); i > 0; i--) {
        json_t *artist = json_array_get(artists, i - 1);
        int64_t id = 0;
        bool found = json_is_id(json_object_get(artist, "id"), &id) && id == artist_id;
        if (found && name != NULL) {
            (void)json_object_set_new(artist, "name", json_string(name));
        } else if (found) {
            (void)json_array_remove(artists, i - 1);
        }
    }
    if (json_array_size(artists) == 0) {
        (void)json_object_del(details, "artists");
    }
}

static int edit_track(struct db_session *session, struct change *change, int64_t id,
                      int64_t artist_id, const char *name)
{
    struct track_row row;
    int error = track_get(session, change->call->arena, id, &row);
    if (error != 0) {
        return error;
    }
    CLEANUP_JSON json_t *details = json_loads(row.details, 0, NULL);
    edit_artists(details, artist_id, name);
    char *text CLEANUP_FREE = json_dumps(details, JSON_COMPACT);
    error = text != NULL ? import_details_set(session, id, text) : ERR_NO_MEMORY;
    error = error != 0 ? error : change_emit(session, CATALOG_TRACK, id, "track.changed");
    return error != 0 ? error : change_touch(change, CATALOG_TRACK, id);
}

int credits_rename(struct db_session *session, struct change *change, int64_t artist_id,
                   const char *name)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = track_ids_credited(session, change->call->arena, artist_id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = edit_track(session, change, ids[i], artist_id, name);
    }
    return error;
}

int credits_remove(struct db_session *session, struct change *change, int64_t artist_id)
{
    int error = credits_rename(session, change, artist_id, NULL);
    return error != 0 ? error : track_artist_leave(session, artist_id);
}
