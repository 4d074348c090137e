/* SQL of imports (store.h). */
#include "service/ingest/import/store.h"

#include "base/error.h"
#include "service/store_util.h"

#define FILE_SELECT                                                                                \
    "SELECT f.id, f.library_id, f.folder_id, f.name, f.bytes, f.mtime_ns, f.hash, f.track_id, "    \
    "f.version, f.state, f.code, f.reason, d.path, l.path, l.owner_user_id, d.shelf_id "           \
    "FROM import_file f JOIN import_folder d ON d.id = f.folder_id "                               \
    "JOIN import_library l ON l.id = f.library_id "

#define RUN_SELECT                                                                                 \
    "SELECT r.id, r.library_id, r.state, r.reason, r.counts, r.started_at, r.updated_at, "         \
    "r.ended_at, l.path FROM import_run r JOIN import_library l ON l.id = r.library_id "

#define LIST_SELECT                                                                                \
    "SELECT i.id, i.library_id, i.path, i.bytes, i.mtime_ns, i.state, i.reason, i.entries, "       \
    "i.found, i.unfound, i.playlist_id, l.path FROM import_list i "                                \
    "JOIN import_library l ON l.id = i.library_id "

/* --- libraries and folders --- */

static int library_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct library_row *row = ret_row;
    *row = (struct library_row){.id = db_get_int(rows, 0),
                                .path = row_text(arena, rows, 1),
                                .owner_user_id = db_get_int(rows, 2),
                                .created_at = db_get_int(rows, 3)};
    return row->path != NULL ? 0 : ERR_NO_MEMORY;
}

int library_insert(struct db_session *session, const struct library_row *row)
{
    return changed_any(db_exec(session,
                               "INSERT INTO import_library (id, path, owner_user_id, created_at) "
                               "VALUES ($1, $2, $3, $4)",
                               DB_BIND(db_int(row->id), db_text(row->path),
                                       db_int(row->owner_user_id), db_int(row->created_at))));
}

int library_find(struct db_session *session, struct arena *arena, const char *path,
                 struct library_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id, path, owner_user_id, created_at FROM import_library "
                         "WHERE path = $1",
                         DB_BIND(db_text(path)));
    return error != 0 ? error : rows_first(rows, arena, library_read, ret_row);
}

int library_list(struct db_session *session, struct arena *arena, struct library_row **ret_rows,
                 unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows,
                         "SELECT id, path, owner_user_id, created_at FROM import_library "
                         "ORDER BY id",
                         DB_NO_BIND);
    error = error != 0 ? error
                       : rows_all(rows, arena, sizeof **ret_rows, library_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

static int folder_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct folder_row *row = ret_row;
    *row = (struct folder_row){.id = db_get_int(rows, 0),
                               .path = row_text(arena, rows, 1),
                               .shelf_id = db_get_int(rows, 2)};
    return row->path != NULL ? 0 : ERR_NO_MEMORY;
}

int folder_insert(struct db_session *session, int64_t library_id, const struct folder_row *row)
{
    return changed_any(db_exec(
        session,
        "INSERT INTO import_folder (id, library_id, path, shelf_id) "
        "VALUES ($1, $2, $3, $4)",
        DB_BIND(db_int(row->id), db_int(library_id), db_text(row->path), db_int(row->shelf_id))));
}

int folder_shelf_set(struct db_session *session, int64_t id, int64_t shelf_id)
{
    return changed_any(db_exec(session, "UPDATE import_folder SET shelf_id = $2 WHERE id = $1",
                               DB_BIND(db_int(id), db_int(shelf_id))));
}

int folder_list(struct db_session *session, struct arena *arena, int64_t library_id,
                struct folder_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows,
                         "SELECT id, path, shelf_id FROM import_folder WHERE library_id = $1",
                         DB_BIND(db_int(library_id)));
    error = error != 0 ? error
                       : rows_all(rows, arena, sizeof **ret_rows, folder_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

/* --- files --- */

static int file_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct file_row *row = ret_row;
    *row = (struct file_row){
        .id = db_get_int(rows, 0),
        .library_id = db_get_int(rows, 1),
        .folder_id = db_get_int(rows, 2),
        .name = row_text(arena, rows, 3),
        .bytes = db_get_int(rows, 4),
        .mtime_ns = db_get_int(rows, 5),
        .hash = row_text(arena, rows, 6),
        .track_id = db_get_int(rows, 7),
        .version = db_get_int(rows, 8),
        .state = row_text(arena, rows, 9),
        .code = row_text(arena, rows, 10),
        .reason = row_text(arena, rows, 11),
        .folder_path = row_text(arena, rows, 12),
        .library_path = row_text(arena, rows, 13),
        .owner_user_id = db_get_int(rows, 14),
        .shelf_id = db_get_int(rows, 15),
    };
    bool whole = row->name != NULL && row->hash != NULL && row->state != NULL &&
                 row->code != NULL && row->reason != NULL && row->folder_path != NULL &&
                 row->library_path != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

int file_insert(struct db_session *session, const struct file_row *row, int64_t now_ms)
{
    return changed_any(db_exec(
        session,
        "INSERT INTO import_file (id, library_id, folder_id, name, bytes, mtime_ns, hash, "
        "track_id, version, state, code, reason, updated_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        DB_BIND(db_int(row->id), db_int(row->library_id), db_int(row->folder_id),
                db_text(row->name), db_int(row->bytes), db_int(row->mtime_ns), db_text(row->hash),
                db_int(row->track_id), db_int(row->version), db_text(row->state),
                db_text(row->code), db_text(row->reason), db_int(now_ms))));
}

int file_update(struct db_session *session, const struct file_row *row, int64_t now_ms)
{
    int changed = db_exec(
        session,
        "UPDATE import_file SET library_id = $2, folder_id = $3, name = $4, bytes = $5, "
        "mtime_ns = $6, hash = $7, track_id = $8, "
        "version = CASE WHEN track_id = $8 AND version > $9 THEN version ELSE $9 END, "
        "same_from = CASE WHEN track_id = $8 AND version >= $9 THEN same_from ELSE 0 END, "
        "state = $10, code = $11, reason = $12, updated_at = $13 WHERE id = $1",
        DB_BIND(db_int(row->id), db_int(row->library_id), db_int(row->folder_id),
                db_text(row->name), db_int(row->bytes), db_int(row->mtime_ns), db_text(row->hash),
                db_int(row->track_id), db_int(row->version), db_text(row->state),
                db_text(row->code), db_text(row->reason), db_int(now_ms)));
    return changed_one(changed);
}

int file_get(struct db_session *session, struct arena *arena, int64_t id, struct file_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, FILE_SELECT "WHERE f.id = $1", DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, file_read, ret_row);
}

int file_of_hash(struct db_session *session, struct arena *arena, const char *hash,
                 struct file_row *list, unsigned *ret_count)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         FILE_SELECT "WHERE f.hash = $1 AND f.hash <> '' AND f.track_id <> 0 "
                                     "ORDER BY f.id LIMIT 8",
                         DB_BIND(db_text(hash)));
    int more = error != 0 ? error : db_next(rows);
    for (*ret_count = 0; more > 0 && *ret_count < FILES_OF_SOUND_MAX; more = db_next(rows)) {
        error = file_read(rows, arena, &list[*ret_count]);
        if (error != 0) {
            return error;
        }
        ++*ret_count;
    }
    return more < 0 ? more : 0;
}

int file_of_track(struct db_session *session, struct arena *arena, int64_t track_id,
                  int64_t version, struct file_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         FILE_SELECT "WHERE f.track_id = $1 AND f.track_id <> 0 "
                                     "AND f.version >= $2 AND f.state = 'present' AND (f.version "
                                     "= $2 OR (f.same_from <> 0 AND f.same_from <= $2))",
                         DB_BIND(db_int(track_id), db_int(version)));
    return error != 0 ? error : rows_first(rows, arena, file_read, ret_row);
}

int file_missing_of(struct db_session *session, struct arena *arena, int64_t track_id,
                    int64_t owner_user_id, int64_t shelf_id, struct file_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         FILE_SELECT "WHERE f.track_id = $1 AND f.track_id <> 0 "
                                     "AND f.state = 'missing' AND l.owner_user_id = $2 "
                                     "AND d.shelf_id = $3 AND f.name NOT LIKE '%/%'",
                         DB_BIND(db_int(track_id), db_int(owner_user_id), db_int(shelf_id)));
    return error != 0 ? error : rows_first(rows, arena, file_read, ret_row);
}

int file_delete(struct db_session *session, int64_t id)
{
    return changed_any(
        db_exec(session, "DELETE FROM import_file WHERE id = $1", DB_BIND(db_int(id))));
}

int file_again(struct db_session *session, int64_t track_id, int64_t version, int64_t new_version)
{
    int error = changed_any(db_exec(
        session,
        "UPDATE import_file SET same_from = CASE WHEN same_from = 0 THEN version ELSE same_from "
        "END, version = $3 WHERE track_id = $1 AND track_id <> 0 AND version = $2",
        DB_BIND(db_int(track_id), db_int(version), db_int(new_version))));
    return error != 0 ? error
                      : changed_any(db_exec(
                            session,
                            "UPDATE import_print SET version = $3 WHERE track_id = $1 "
                            "AND version = $2",
                            DB_BIND(db_int(track_id), db_int(version), db_int(new_version))));
}

int file_known(struct db_session *session, int64_t library_id, file_visit *visit, void *context)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id, folder_id, name, bytes, mtime_ns, state FROM import_file "
                         "WHERE library_id = $1",
                         DB_BIND(db_int(library_id)));
    int more = error != 0 ? error : db_next(rows);
    for (; more > 0; more = db_next(rows)) {
        const struct file_row row = {.id = db_get_int(rows, 0),
                                     .folder_id = db_get_int(rows, 1),
                                     .name = db_get_text(rows, 2),
                                     .bytes = db_get_int(rows, 3),
                                     .mtime_ns = db_get_int(rows, 4),
                                     .state = db_get_text(rows, 5)};
        error = visit(context, &row);
        if (error != 0) {
            return error;
        }
    }
    return more;
}

int file_troubled(struct db_session *session, struct arena *arena, int64_t after_id, unsigned limit,
                  struct file_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error =
        db_query(session, &rows,
                 FILE_SELECT "WHERE f.state <> 'present' AND f.id > $1 ORDER BY f.id LIMIT $2",
                 DB_BIND(db_int(after_id), db_int(limit)));
    error =
        error != 0 ? error : rows_all(rows, arena, sizeof **ret_rows, file_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

int file_collides(struct db_session *session, int64_t album_id, int64_t folder_id,
                  const int64_t disc_and_number[2], bool *ret_collides)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT t.id FROM track t JOIN import_file f ON f.track_id = t.id "
                         "WHERE t.album_id = $1 AND t.deleted_at IS NULL AND t.disc_number = $2 "
                         "AND t.track_number = $3 AND f.folder_id <> $4 "
                         "AND f.state = 'present' LIMIT 1",
                         DB_BIND(db_int(album_id), db_int(disc_and_number[0]),
                                 db_int(disc_and_number[1]), db_int(folder_id)));
    int more = error != 0 ? error : db_next(rows);
    *ret_collides = more > 0;
    return more < 0 ? more : 0;
}

static int bare_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct bare_file *row = ret_row;
    (void)arena;
    *row = (struct bare_file){.track_id = db_get_int(rows, 0), .version = (int)db_get_int(rows, 1)};
    return 0;
}

int file_bare(struct db_session *session, struct arena *arena, int64_t folder_id,
              struct bare_file **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT f.track_id, f.version FROM import_file f WHERE f.id IN ("
                 "SELECT MIN(i.id) FROM import_file i JOIN track t ON t.id = i.track_id "
                 "JOIN album a ON a.id = t.album_id WHERE i.folder_id = $1 AND i.state = 'present' "
                 "AND t.deleted_at IS NULL AND a.cover_art_id IS NULL AND a.pending_art_id IS NULL "
                 "GROUP BY a.id)",
                 DB_BIND(db_int(folder_id)));
    error =
        error != 0 ? error : rows_all(rows, arena, sizeof **ret_rows, bare_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

int file_elsewhere(struct db_session *session, int64_t album_id, int64_t folder_id,
                   bool *ret_elsewhere)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT t.id FROM track t JOIN import_file f ON f.track_id = t.id "
                         "WHERE t.album_id = $1 AND t.deleted_at IS NULL AND f.folder_id <> $2 "
                         "AND f.state = 'present' LIMIT 1",
                         DB_BIND(db_int(album_id), db_int(folder_id)));
    int more = error != 0 ? error : db_next(rows);
    *ret_elsewhere = more > 0;
    return more < 0 ? more : 0;
}

/* --- names --- */

int name_find(struct db_session *session, int64_t owner, const char *kind, const char *key,
              int64_t *ret_id)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT subject_id FROM import_name WHERE owner_user_id = $1 "
                         "AND kind = $2 AND name_key = $3",
                         DB_BIND(db_int(owner), db_text(kind), db_text(key)));
    int more = error != 0 ? error : db_next(rows);
    *ret_id = more > 0 ? db_get_int(rows, 0) : 0;
    return more < 0 ? more : more == 0 ? ERR_NOT_FOUND : 0;
}

int name_put(struct db_session *session, int64_t owner, const char *kind, const char *key,
             int64_t id)
{
    return changed_any(
        db_exec(session,
                "INSERT INTO import_name (owner_user_id, kind, name_key, subject_id) "
                "VALUES ($1, $2, $3, $4) ON CONFLICT (owner_user_id, kind, name_key) "
                "DO UPDATE SET subject_id = $4",
                DB_BIND(db_int(owner), db_text(kind), db_text(key), db_int(id))));
}

/* --- runs --- */

static int run_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct run_row *row = ret_row;
    *row = (struct run_row){
        .id = db_get_int(rows, 0),
        .library_id = db_get_int(rows, 1),
        .state = row_text(arena, rows, 2),
        .reason = row_text(arena, rows, 3),
        .counts = row_text(arena, rows, 4),
        .started_at = db_get_int(rows, 5),
        .updated_at = db_get_int(rows, 6),
        .ended_at = db_get_int(rows, 7),
        .library_path = row_text(arena, rows, 8),
    };
    bool whole = row->state != NULL && row->reason != NULL && row->counts != NULL &&
                 row->library_path != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

int run_insert(struct db_session *session, const struct run_row *row)
{
    return changed_any(db_exec(
        session,
        "INSERT INTO import_run (id, library_id, state, reason, counts, started_at, updated_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $6)",
        DB_BIND(db_int(row->id), db_int(row->library_id), db_text(row->state), db_text(row->reason),
                db_text(row->counts), db_int(row->started_at))));
}

int run_before(struct db_session *session, int64_t library_id, int64_t *ret_started_at)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT COALESCE(MAX(started_at), 0) FROM import_run "
                         "WHERE library_id = $1 AND state = 'done'",
                         DB_BIND(db_int(library_id)));
    return error != 0 ? error : rows_number(rows, ret_started_at);
}

int run_update(struct db_session *session, const struct run_row *row)
{
    return changed_any(db_exec(session,
                               "UPDATE import_run SET state = $2, reason = $3, counts = $4, "
                               "updated_at = $5, ended_at = $6 WHERE id = $1",
                               DB_BIND(db_int(row->id), db_text(row->state), db_text(row->reason),
                                       db_text(row->counts), db_int(row->updated_at),
                                       db_int_or_null(row->ended_at))));
}

int run_list(struct db_session *session, struct arena *arena, int64_t before_id, unsigned limit,
             struct run_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows, RUN_SELECT "WHERE r.id < $1 ORDER BY r.id DESC LIMIT $2",
                         DB_BIND(db_int(before_id), db_int(limit)));
    error =
        error != 0 ? error : rows_all(rows, arena, sizeof **ret_rows, run_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

/* --- playlists --- */

int list_put(struct db_session *session, const struct list_row *row, int64_t now_ms)
{
    return changed_any(db_exec(
        session,
        "INSERT INTO import_list (id, library_id, path, bytes, mtime_ns, state, reason, entries, "
        "found, unfound, playlist_id, updated_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
        "ON CONFLICT (id) DO UPDATE SET path = excluded.path, bytes = excluded.bytes, "
        "mtime_ns = excluded.mtime_ns, state = excluded.state, reason = excluded.reason, "
        "entries = excluded.entries, found = excluded.found, unfound = excluded.unfound, "
        "playlist_id = excluded.playlist_id, updated_at = excluded.updated_at",
        DB_BIND(db_int(row->id), db_int(row->library_id), db_text(row->path), db_int(row->bytes),
                db_int(row->mtime_ns), db_text(row->state), db_text(row->reason),
                db_int(row->entries), db_int(row->found), db_text(row->unfound),
                db_int(row->playlist_id), db_int(now_ms))));
}

static int list_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct list_row *row = ret_row;
    *row = (struct list_row){.id = db_get_int(rows, 0),
                             .library_id = db_get_int(rows, 1),
                             .path = row_text(arena, rows, 2),
                             .bytes = db_get_int(rows, 3),
                             .mtime_ns = db_get_int(rows, 4),
                             .state = row_text(arena, rows, 5),
                             .reason = row_text(arena, rows, 6),
                             .entries = db_get_int(rows, 7),
                             .found = db_get_int(rows, 8),
                             .unfound = row_text(arena, rows, 9),
                             .playlist_id = db_get_int(rows, 10),
                             .library_path = row_text(arena, rows, 11)};
    return row->path != NULL && row->state != NULL && row->reason != NULL && row->unfound != NULL &&
                   row->library_path != NULL
               ? 0
               : ERR_NO_MEMORY;
}

static int lists_collect(struct db_rows *rows, struct arena *arena, struct list_row **ret_rows,
                         unsigned *ret_count)
{
    void *list = NULL;
    int error = rows_all(rows, arena, sizeof **ret_rows, list_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

int list_known(struct db_session *session, struct arena *arena, int64_t library_id,
               struct list_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, LIST_SELECT "WHERE i.library_id = $1",
                         DB_BIND(db_int(library_id)));
    return error != 0 ? error : lists_collect(rows, arena, ret_rows, ret_count);
}

int list_page(struct db_session *session, struct arena *arena, int64_t after_id, unsigned limit,
              struct list_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, LIST_SELECT "WHERE i.id > $1 ORDER BY i.id LIMIT $2",
                         DB_BIND(db_int(after_id), db_int(limit)));
    return error != 0 ? error : lists_collect(rows, arena, ret_rows, ret_count);
}

static int listed_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct listed_file *row = ret_row;
    *row = (struct listed_file){.name = row_text(arena, rows, 0),
                                .state = row_text(arena, rows, 1),
                                .reason = row_text(arena, rows, 2),
                                .track_id = db_get_int(rows, 3)};
    return row->name != NULL && row->state != NULL && row->reason != NULL ? 0 : ERR_NO_MEMORY;
}

int file_list(struct db_session *session, struct arena *arena, int64_t folder_id,
              struct listed_file **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows,
                         "SELECT name, state, reason, track_id FROM import_file "
                         "WHERE folder_id = $1",
                         DB_BIND(db_int(folder_id)));
    error = error != 0 ? error
                       : rows_all(rows, arena, sizeof **ret_rows, listed_read, &list, ret_count);
    *ret_rows = list;
    return error;
}
