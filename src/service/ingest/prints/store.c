/* SQL of fingerprints (store.h). */
#include "service/ingest/prints/store.h"

#include "base/error.h"
#include "service/store_util.h"

#include <string.h>

/* --- what is to be done --- */

#define WANTED_SELECT                                                                              \
    "SELECT f.id, f.track_id, f.version, v.source_key, v.duration_ms FROM import_file f "          \
    "JOIN track_version v ON v.track_id = f.track_id AND v.version = f.version "

static int wanted_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct print_wanted *row = ret_row;
    *row = (struct print_wanted){.file_id = db_get_int(rows, 0),
                                 .track_id = db_get_int(rows, 1),
                                 .version = db_get_int(rows, 2),
                                 .key = row_text(arena, rows, 3),
                                 .duration_ms = db_get_int(rows, 4)};
    return row->key != NULL ? 0 : ERR_NO_MEMORY;
}

static int wanted_collect(struct db_rows *rows, struct arena *arena, unsigned limit,
                          struct print_wanted **ret_rows, unsigned *ret_count)
{
    void *list = NULL;
    int error = rows_collect(rows, arena, limit, sizeof **ret_rows, wanted_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

int print_wanted_list(struct db_session *session, struct arena *arena, int64_t after_file_id,
                      int64_t stale_ms, unsigned limit, struct print_wanted **ret_rows,
                      unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows,
                 WANTED_SELECT
                 "LEFT JOIN import_print p ON p.track_id = f.track_id AND p.version = f.version "
                 "WHERE f.state = 'present' AND f.track_id <> 0 AND f.id > $1 "
                 "AND (p.track_id IS NULL OR (p.state = 'working' AND p.updated_at < $2)) "
                 "ORDER BY f.id LIMIT $3",
                 DB_BIND(db_int(after_file_id), db_int(stale_ms), db_int(limit)));
    return error != 0 ? error : wanted_collect(rows, arena, limit, ret_rows, ret_count);
}

int print_returned_list(struct db_session *session, struct arena *arena,
                        const struct library_row *library, int64_t after_file_id, int64_t apart_ms,
                        unsigned limit, struct print_wanted **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(
        session, &rows,
        WANTED_SELECT
        "WHERE f.library_id = $1 AND f.id > $2 AND f.state = 'present' AND f.track_id <> 0 "
        "AND EXISTS (SELECT 1 FROM import_file m JOIN import_library l ON l.id = m.library_id "
        "AND l.owner_user_id = $3 JOIN import_print p ON p.track_id = m.track_id "
        "AND p.version = m.version AND p.state = 'done' "
        "WHERE m.state <> 'present' AND m.state = 'missing' "
        "AND p.duration_ms BETWEEN v.duration_ms - $4 AND v.duration_ms + $4) "
        "ORDER BY f.id LIMIT $5",
        DB_BIND(db_int(library->id), db_int(after_file_id), db_int(library->owner_user_id),
                db_int(apart_ms), db_int(limit)));
    return error != 0 ? error : wanted_collect(rows, arena, limit, ret_rows, ret_count);
}

int print_take(struct db_session *session, const struct print_wanted *wanted, int64_t stale_ms,
               int64_t now_ms)
{
    int changed = db_exec(
        session,
        "INSERT INTO import_print (track_id, version, state, duration_ms, group_id, updated_at) "
        "VALUES ($1, $2, 'working', $3, 0, $4) ON CONFLICT (track_id) DO UPDATE SET version = $2, "
        "state = 'working', duration_ms = $3, group_id = 0, updated_at = $4 "
        "WHERE import_print.version <> $2 "
        "OR (import_print.state = 'working' AND import_print.updated_at < $5)",
        DB_BIND(db_int(wanted->track_id), db_int(wanted->version), db_int(wanted->duration_ms),
                db_int(now_ms), db_int(stale_ms)));
    return changed < 0 ? changed : changed == 0 ? ERR_CONFLICT : 0;
}

int print_runs_mark(struct db_session *session, int64_t *ret_mark)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT COALESCE(MAX(r.updated_at), 0) FROM (SELECT updated_at "
                         "FROM import_run ORDER BY id DESC LIMIT 16) r",
                         DB_NO_BIND);
    return error != 0 ? error : rows_number(rows, ret_mark);
}

/* --- prints --- */

int print_put(struct db_session *session, const struct print_row *row, const char *state,
              int64_t now_ms)
{
    return changed_one(db_exec(
        session,
        "UPDATE import_print SET state = $3, words = $4, group_id = $5, updated_at = $6 "
        "WHERE track_id = $1 AND version = $2",
        DB_BIND(db_int(row->track_id), db_int(row->version), db_text(state),
                db_blob(row->words, row->words_bytes), db_int(row->group_id), db_int(now_ms))));
}

static int print_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct print_row *row = ret_row;
    const void *words = db_get_blob(rows, 2, &row->words_bytes);
    row->version = db_get_int(rows, 0);
    row->duration_ms = db_get_int(rows, 1);
    row->group_id = db_get_int(rows, 3);
    void *copy = arena_alloc(arena, row->words_bytes + 1);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    if (row->words_bytes > 0) {
        memcpy(copy, words, row->words_bytes);
    }
    row->words = copy;
    return 0;
}

int print_get(struct db_session *session, struct arena *arena, int64_t track_id,
              struct print_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT version, duration_ms, words, group_id FROM import_print "
                         "WHERE track_id = $1 AND state = 'done'",
                         DB_BIND(db_int(track_id)));
    *ret_row = (struct print_row){.track_id = track_id};
    return error != 0 ? error : rows_first(rows, arena, print_read, ret_row);
}

int print_prune(struct db_session *session)
{
    int changed = db_exec(session,
                          "DELETE FROM import_print WHERE track_id IN (SELECT p.track_id "
                          "FROM import_print p LEFT JOIN track t ON t.id = p.track_id "
                          "AND t.deleted_at IS NULL WHERE t.id IS NULL)",
                          DB_NO_BIND);
    if (changed <= 0) {
        return changed_any(changed);
    }
    return changed_any(db_exec(session,
                               "DELETE FROM import_print_sketch WHERE track_id NOT IN "
                               "(SELECT track_id FROM import_print)",
                               DB_NO_BIND));
}

/* --- groups --- */

int print_group_set(struct db_session *session, int64_t track_id, int64_t group_id)
{
    return changed_any(db_exec(session, "UPDATE import_print SET group_id = $2 WHERE track_id = $1",
                               DB_BIND(db_int(track_id), db_int(group_id))));
}

int print_group_merge(struct db_session *session, int64_t from, int64_t to)
{
    return changed_any(db_exec(session,
                               "UPDATE import_print SET group_id = $2 "
                               "WHERE group_id = $1 AND group_id <> 0",
                               DB_BIND(db_int(from), db_int(to))));
}

int print_group_list(struct db_session *session, struct arena *arena, int64_t after_id,
                     unsigned limit, int64_t **ret_ids, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT p.group_id FROM import_print p JOIN import_file f "
                         "ON f.track_id = p.track_id AND f.version = p.version "
                         "AND f.state = 'present' WHERE p.group_id > $1 AND p.group_id <> 0 "
                         "GROUP BY p.group_id HAVING COUNT(*) > 1 ORDER BY p.group_id LIMIT $2",
                         DB_BIND(db_int(after_id), db_int(limit)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}

static int group_file_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct print_file *row = ret_row;
    *row = (struct print_file){.track_id = db_get_int(rows, 0),
                               .bytes = db_get_int(rows, 1),
                               .duration_ms = db_get_int(rows, 2),
                               .rate = db_get_int(rows, 3),
                               .channels = db_get_int(rows, 4),
                               .lossless = db_get_int(rows, 5) != 0,
                               .codec = row_text(arena, rows, 6),
                               .name = row_text(arena, rows, 7),
                               .folder_path = row_text(arena, rows, 8),
                               .library_path = row_text(arena, rows, 9),
                               .title = row_text(arena, rows, 10)};
    bool whole = row->codec != NULL && row->name != NULL && row->folder_path != NULL &&
                 row->library_path != NULL && row->title != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

int print_group_files(struct db_session *session, struct arena *arena, int64_t group_id,
                      unsigned limit, struct print_file **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(
        session, &rows,
        "SELECT p.track_id, f.bytes, v.duration_ms, v.rate, v.channels, v.lossless, v.codec, "
        "f.name, d.path, l.path, t.title FROM import_print p "
        "JOIN import_file f ON f.track_id = p.track_id AND f.version = p.version "
        "AND f.state = 'present' JOIN track t ON t.id = p.track_id "
        "JOIN track_version v ON v.track_id = p.track_id AND v.version = p.version "
        "JOIN import_folder d ON d.id = f.folder_id JOIN import_library l ON l.id = f.library_id "
        "WHERE p.group_id = $1 AND p.group_id <> 0 "
        "ORDER BY v.lossless DESC, f.bytes DESC, p.track_id LIMIT $2",
        DB_BIND(db_int(group_id), db_int(limit)));
    error = error != 0 ? error
                       : rows_collect(rows, arena, limit, sizeof **ret_rows, group_file_read, &list,
                                      ret_count);
    *ret_rows = list;
    return error;
}

/* --- sketches --- */

int print_sketch_put(struct db_session *session, uint32_t word, int64_t track_id)
{
    return changed_any(db_exec(session,
                               "INSERT INTO import_print_sketch (word, track_id) VALUES ($1, $2) "
                               "ON CONFLICT DO NOTHING",
                               DB_BIND(db_int(word), db_int(track_id))));
}

int print_sketch_delete(struct db_session *session, int64_t track_id)
{
    return changed_any(db_exec(session, "DELETE FROM import_print_sketch WHERE track_id = $1",
                               DB_BIND(db_int(track_id))));
}

int print_sketch_find(struct db_session *session, uint32_t word, int64_t *ids, unsigned limit,
                      unsigned *ret_count)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT track_id FROM import_print_sketch WHERE word = $1 "
                         "ORDER BY track_id LIMIT $2",
                         DB_BIND(db_int(word), db_int(limit)));
    int more = error != 0 ? error : db_next(rows);
    for (*ret_count = 0; more > 0 && *ret_count < limit; more = db_next(rows)) {
        ids[(*ret_count)++] = db_get_int(rows, 0);
    }
    return more < 0 ? more : 0;
}
