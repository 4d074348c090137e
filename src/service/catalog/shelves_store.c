/* SQL of shelves (shelves.h). */
#include "service/catalog/shelves.h"

#include "base/call.h"
#include "service/catalog/catalog.h"
#include "service/store_util.h"

#define SHELF_SELECT                                                                               \
    "SELECT id, name, name_key, seen_by, roles, revision, created_at, updated_at FROM shelf "      \
    "WHERE deleted_at IS NULL "

/* Whose it is where not everybody sees it: $2 has roles, $3 the person. */
#define SHELF_READ                                                                                 \
    "((roles & CAST($2 AS BIGINT)) <> 0 OR EXISTS (SELECT 1 FROM shelf_reader "                    \
    "WHERE shelf_id = shelf.id AND user_id = $3)) "

enum { ADMINS = ROLE_ADMIN | ROLE_SYSTEM };

static int shelf_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct shelf_row *row = ret_row;
    const char *seen_by = db_get_text(rows, 3);
    *row = (struct shelf_row){.id = db_get_int(rows, 0),
                              .name = row_text(arena, rows, 1),
                              .name_key = row_text(arena, rows, 2),
                              .some = seen_by != NULL && seen_by[0] == 's',
                              .roles = db_get_int(rows, 4),
                              .revision = db_get_int(rows, 5),
                              .created_at = db_get_int(rows, 6),
                              .updated_at = db_get_int(rows, 7)};
    return row->name != NULL && row->name_key != NULL ? 0 : ERR_NO_MEMORY;
}

int shelf_is_open(struct db_session *session, int64_t id, const struct actor *actor, bool *ret_open)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id FROM shelf WHERE id = $1 AND deleted_at IS NULL "
                         "AND (seen_by = 'everybody' OR " SHELF_READ ")",
                         DB_BIND(db_int(id), db_int(actor->roles), db_int(actor->user_id)));
    return error != 0 ? error : rows_exist(rows, ret_open);
}

static int read_ids(struct db_rows *rows, struct shelves *ret_shelves)
{
    int more = db_next(rows);
    for (ret_shelves->count = 0; more > 0 && ret_shelves->count < SHELVES_MAX;
         more = db_next(rows)) {
        ret_shelves->ids[ret_shelves->count++] = db_get_int(rows, 0);
    }
    return more < 0 ? more : 0;
}

int shelves_open_to(struct db_session *session, const struct actor *actor,
                    struct shelves *ret_shelves)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id FROM shelf WHERE seen_by = 'some' AND deleted_at IS NULL "
                         "AND (CAST($1 AS BIGINT) <> 0 OR " SHELF_READ ") ORDER BY id LIMIT 32",
                         DB_BIND(db_int((actor->roles & ADMINS) != 0), db_int(actor->roles),
                                 db_int(actor->user_id)));
    return error != 0 ? error : read_ids(rows, ret_shelves);
}

int shelves_seen_by(struct db_session *session, const struct actor *actor,
                    struct shelves *ret_shelves)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id FROM shelf WHERE deleted_at IS NULL "
                         "AND (CAST($1 AS BIGINT) <> 0 OR seen_by = 'everybody' OR " SHELF_READ
                         "OR id IN (SELECT shelf_id FROM artist WHERE owner_user_id = $3 "
                         "AND deleted_at IS NULL AND shelf_id <> 0)) ORDER BY id LIMIT 32",
                         DB_BIND(db_int((actor->roles & ADMINS) != 0), db_int(actor->roles),
                                 db_int(actor->user_id)));
    return error != 0 ? error : read_ids(rows, ret_shelves);
}

int shelves_any(struct db_session *session, bool *ret_any)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id FROM shelf WHERE seen_by = 'some' AND deleted_at IS NULL "
                         "LIMIT 1",
                         DB_NO_BIND);
    return error != 0 ? error : rows_exist(rows, ret_any);
}

int shelf_insert(struct db_session *session, const struct shelf_row *row)
{
    return changed_one(
        db_exec(session,
                "INSERT INTO shelf (id, name, name_key, seen_by, roles, revision, created_at, "
                "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                DB_BIND(db_int(row->id), db_text(row->name), db_text(row->name_key),
                        db_text(row->some ? "some" : "everybody"), db_int(row->roles),
                        db_int(row->revision), db_int(row->created_at), db_int(row->updated_at))));
}

int shelf_get(struct db_session *session, struct arena *arena, int64_t id,
              struct shelf_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, SHELF_SELECT "AND id = $1", DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, shelf_read, ret_row);
}

int shelf_update(struct db_session *session, const struct shelf_row *row)
{
    return changed_one(
        db_exec(session,
                "UPDATE shelf SET name = $2, name_key = $3, seen_by = $4, roles = $5, "
                "revision = $6, updated_at = $7 WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(row->id), db_text(row->name), db_text(row->name_key),
                        db_text(row->some ? "some" : "everybody"), db_int(row->roles),
                        db_int(row->revision), db_int(row->updated_at))));
}

int shelf_bury(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_one(db_exec(session,
                               "UPDATE shelf SET name = '', name_key = '', deleted_at = $2 "
                               "WHERE id = $1 AND deleted_at IS NULL",
                               DB_BIND(db_int(id), db_int(now_ms))));
}

int shelf_list(struct db_session *session, struct arena *arena, struct shelf_row **ret_rows,
               unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows, SHELF_SELECT "ORDER BY name_key, id", DB_NO_BIND);
    error = error != 0 ? error
                       : rows_collect(rows, arena, SHELVES_MAX, sizeof **ret_rows, shelf_read,
                                      &list, ret_count);
    *ret_rows = list;
    return error;
}

int shelf_named(struct db_session *session, const char *name_key, int64_t except_id,
                bool *ret_there)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, SHELF_SELECT "AND name_key = $1 AND id <> $2",
                         DB_BIND(db_text(name_key), db_int(except_id)));
    return error != 0 ? error : rows_exist(rows, ret_there);
}

/* --- readers and folders --- */

int shelf_readers(struct db_session *session, struct arena *arena, int64_t id, int64_t **ret_ids,
                  unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT user_id FROM shelf_reader WHERE shelf_id = $1 ORDER BY user_id",
                         DB_BIND(db_int(id)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}

int shelf_reader_insert(struct db_session *session, int64_t id, int64_t user_id)
{
    return changed_any(db_exec(session,
                               "INSERT INTO shelf_reader (shelf_id, user_id) VALUES ($1, $2) "
                               "ON CONFLICT DO NOTHING",
                               DB_BIND(db_int(id), db_int(user_id))));
}

int shelf_readers_delete(struct db_session *session, int64_t id)
{
    return changed_any(
        db_exec(session, "DELETE FROM shelf_reader WHERE shelf_id = $1", DB_BIND(db_int(id))));
}

static int path_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    const char **path = ret_row;
    *path = row_text(arena, rows, 0);
    return *path != NULL ? 0 : ERR_NO_MEMORY;
}

int shelf_folders(struct db_session *session, struct arena *arena, int64_t id,
                  const char ***ret_paths, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error =
        db_query(session, &rows, "SELECT path FROM shelf_folder WHERE shelf_id = $1 ORDER BY path",
                 DB_BIND(db_int(id)));
    error = error != 0 ? error
                       : rows_collect(rows, arena, SHELF_FOLDERS_MAX, sizeof **ret_paths, path_read,
                                      &list, ret_count);
    *ret_paths = list;
    return error;
}

int shelf_folder_insert(struct db_session *session, int64_t id, const char *path)
{
    int changed = db_exec(session,
                          "INSERT INTO shelf_folder (path, shelf_id) VALUES ($1, $2) "
                          "ON CONFLICT DO NOTHING",
                          DB_BIND(db_text(path), db_int(id)));
    return changed < 0 ? changed : changed == 0 ? ERR_EXISTS : 0;
}

int shelf_folders_delete(struct db_session *session, int64_t id)
{
    return changed_any(
        db_exec(session, "DELETE FROM shelf_folder WHERE shelf_id = $1", DB_BIND(db_int(id))));
}

static int folder_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct catalog_shelf_folder *row = ret_row;
    *row = (struct catalog_shelf_folder){.path = row_text(arena, rows, 0),
                                         .shelf_id = db_get_int(rows, 1)};
    return row->path != NULL ? 0 : ERR_NO_MEMORY;
}

int catalog_shelf_folders(struct db_session *session, struct arena *arena,
                          struct catalog_shelf_folder **ret_folders, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows, "SELECT path, shelf_id FROM shelf_folder ORDER BY path",
                         DB_NO_BIND);
    error = error != 0 ? error
                       : rows_collect(rows, arena, SHELVES_MAX * SHELF_FOLDERS_MAX,
                                      sizeof **ret_folders, folder_read, &list, ret_count);
    *ret_folders = list;
    return error;
}

/* --- what stands there --- */

int shelf_ids_after(struct db_session *session, struct arena *arena, int kind, int64_t id,
                    int64_t after_id, unsigned limit, int64_t **ret_ids, unsigned *ret_count)
{
    static const char *const texts[] = {
        [CATALOG_ARTIST] = "SELECT id FROM artist WHERE shelf_id = $1 AND shelf_id <> 0 "
                           "AND deleted_at IS NULL AND id > $2 ORDER BY id LIMIT $3",
        [CATALOG_ALBUM] = "SELECT id FROM album WHERE shelf_id = $1 AND shelf_id <> 0 "
                          "AND deleted_at IS NULL AND id > $2 ORDER BY id LIMIT $3",
        [CATALOG_TRACK] = "SELECT id FROM track WHERE shelf_id = $1 AND shelf_id <> 0 "
                          "AND deleted_at IS NULL AND id > $2 ORDER BY id LIMIT $3"};
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows, texts[kind], DB_BIND(db_int(id), db_int(after_id), db_int(limit)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}

/* Genres count the albums that everybody sees. */
int shelf_mark_genres(struct db_session *session, int64_t id, bool some)
{
    return changed_any(
        db_exec(session,
                "UPDATE genre SET albums = albums + CAST($2 AS BIGINT) * (SELECT COUNT(*) "
                "FROM album a JOIN album_genre g ON g.album_id = a.id WHERE a.shelf_id = $1 "
                "AND g.name_key = genre.name_key AND g.published = $3) WHERE name_key IN "
                "(SELECT g.name_key FROM album a JOIN album_genre g ON g.album_id = a.id "
                "WHERE a.shelf_id = $1)",
                DB_BIND(db_int(id), db_int(some ? -1 : 1), db_int(some ? 1 : 2))));
}

int shelf_mark_album_genres(struct db_session *session, int64_t id, bool some)
{
    return changed_any(db_exec(session,
                               "UPDATE album_genre SET published = $2 WHERE published = $3 "
                               "AND album_id IN (SELECT id FROM album WHERE shelf_id = $1)",
                               DB_BIND(db_int(id), db_int(some ? 2 : 1), db_int(some ? 1 : 2))));
}

int shelf_mark_albums(struct db_session *session, int64_t id, bool some)
{
    return changed_any(
        db_exec(session,
                "UPDATE album SET status = $2, stale = 1 WHERE shelf_id = $1 AND shelf_id <> 0 "
                "AND status = $3 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_text(some ? "shelved" : "published"),
                        db_text(some ? "published" : "shelved"))));
}

int shelf_mark_tracks(struct db_session *session, int64_t id, bool some)
{
    return changed_any(
        db_exec(session,
                "UPDATE track SET published = $2, stale = 1 WHERE shelf_id = $1 AND shelf_id <> 0 "
                "AND published = $3 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(some ? 2 : 1), db_int(some ? 1 : 2))));
}

int shelf_mark_artists(struct db_session *session, int64_t id, bool some)
{
    return changed_any(db_exec(session,
                               "UPDATE artist SET shelved = $2 WHERE shelf_id = $1 "
                               "AND shelf_id <> 0 AND deleted_at IS NULL",
                               DB_BIND(db_int(id), db_int(some))));
}

int shelf_empty_artists(struct db_session *session, int64_t id)
{
    return changed_any(
        db_exec(session,
                "UPDATE artist SET shelf_id = 0, revision = revision + 1 WHERE shelf_id = $1 "
                "AND deleted_at IS NULL",
                DB_BIND(db_int(id))));
}

int shelf_empty_albums(struct db_session *session, int64_t id)
{
    return changed_any(db_exec(session,
                               "UPDATE album SET shelf_id = 0, stale = 1 WHERE shelf_id = $1 "
                               "AND deleted_at IS NULL",
                               DB_BIND(db_int(id))));
}

int shelf_empty_tracks(struct db_session *session, int64_t id)
{
    return changed_any(db_exec(session,
                               "UPDATE track SET shelf_id = 0, stale = 1 WHERE shelf_id = $1 "
                               "AND deleted_at IS NULL",
                               DB_BIND(db_int(id))));
}
