/* Libraries of the catalogue (catalog.h: catalog_shelf_folders) and folders: the longest path that
 * a folder is in says where its music belongs. Nothing is joined across libraries, so that an
 * artist or album of one shows nothing of another; where a folder is put into another, its albums
 * go with it, and what is left without music goes. On the import's thread, and inside its
 * transactions. */
#include "service/ingest/import/import.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

int import_shelves_load(struct db_session *session, struct import_run *run)
{
    return catalog_shelf_folders(session, run->arena, &run->shelves, &run->shelf_count);
}

/* How much of an absolute path the shelf's folder is; -1: it is not in it. */
static int covers(const char *shelf, const char *root, const char *folder)
{
    size_t length = strlen(shelf), of_root = strlen(root);
    if (length <= of_root) {
        bool in = strncmp(root, shelf, length) == 0 && (root[length] == '/' || length == of_root);
        return in ? (int)length : -1;
    }
    const char *rest = shelf + of_root + 1;
    size_t left = strlen(rest);
    bool in = strncmp(shelf, root, of_root) == 0 && shelf[of_root] == '/' &&
              strncmp(folder, rest, left) == 0 && (folder[left] == '/' || folder[left] == '\0');
    return in ? (int)length : -1;
}

int64_t import_shelf_of(const struct import_run *run, const char *folder)
{
    int64_t found = 0;
    int longest = -1;
    for (unsigned i = 0; i < run->shelf_count; i++) {
        int length = covers(run->shelves[i].path, run->library.path, folder);
        if (length > longest) {
            longest = length;
            found = run->shelves[i].shelf_id;
        }
    }
    return found;
}

static int keep_work(struct db_session *session, void *argument)
{
    const struct import_folder *folder = argument;
    return folder_shelf_set(session, folder->id, folder->shelf_id);
}

int import_shelf_keep(struct import_run *run, const struct import_folder *folder)
{
    struct import_folder copy = *folder;
    return folder->id == 0 || !folder->reshelved
               ? 0
               : db_write(run->ingest->config.db, keep_work, &copy);
}

const char *import_shelf_key(const struct import_folder *folder, const char *key)
{
    return key == NULL || folder->shelf_id == 0
               ? key
               : arena_printf(folder->arena, "l%" PRId64 "/%s", folder->shelf_id, key);
}

static void note(int64_t *list, unsigned *count, unsigned room, int64_t id)
{
    for (unsigned i = 0; i < *count; i++) {
        if (list[i] == id) {
            return;
        }
    }
    if (id != 0 && *count < room) {
        list[(*count)++] = id;
    }
}

int import_left_note(struct db_session *session, struct call *call, int64_t track_id,
                     int64_t shelf_id, struct import_left *left)
{
    json_t *object = NULL;
    int64_t revision = 0, album_id = 0, artist_id = 0, was = 0;
    int error = catalog_track_answer(session, call, track_id, &object, &revision, &album_id);
    error = error != 0 ? error : catalog_album_artist(session, call, album_id, &artist_id, &was);
    if (error == 0 && was != shelf_id) {
        const json_t *credits = json_object_get(object, "artists");
        note(left->albums, &left->album_count, COUNT_OF(left->albums), album_id);
        note(left->artists, &left->artist_count, COUNT_OF(left->artists), artist_id);
        for (size_t i = 0; i < json_array_size(credits); i++) {
            int64_t id = 0;
            (void)json_is_id(json_object_get(json_array_get(credits, i), "id"), &id);
            note(left->artists, &left->artist_count, COUNT_OF(left->artists), id);
        }
    }
    json_decref(object);
    return error == ERR_NOT_FOUND ? 0 : error;
}

int import_left_forsake(struct db_session *session, struct call *call,
                        const struct import_left *left)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < left->album_count; i++) {
        error = catalog_album_settle(session, left->albums[i]);
        error = error != 0 ? error : catalog_album_forsake(session, call, left->albums[i]);
    }
    for (unsigned i = 0; error == 0 && i < left->artist_count; i++) {
        error = catalog_artist_forsake(session, call, left->artists[i]);
    }
    return error;
}
