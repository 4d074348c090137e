/* SQL of uploads (ingest_internal.h). */
#include "service/ingest/ingest_internal.h"

#include "base/error.h"
#include "service/store_util.h"

#define UPLOAD_SELECT                                                                              \
    "SELECT id, user_id, filename, bytes, part_bytes, object_key, multipart_id, track_url, "       \
    "state, track_id, created_at, expires_at FROM upload "

static int upload_read(struct db_rows *rows, struct arena *arena, struct upload_row *row)
{
    *row = (struct upload_row){
        .id = db_get_int(rows, 0),
        .user_id = db_get_int(rows, 1),
        .filename = row_text(arena, rows, 2),
        .bytes = db_get_int(rows, 3),
        .part_bytes = db_get_int(rows, 4),
        .object_key = row_text(arena, rows, 5),
        .multipart_id = row_text(arena, rows, 6),
        .track_url = row_text(arena, rows, 7),
        .state = row_text(arena, rows, 8),
        .track_id = db_get_int(rows, 9),
        .created_at = db_get_int(rows, 10),
        .expires_at = db_get_int(rows, 11),
    };
    bool whole = row->filename != NULL && row->object_key != NULL && row->multipart_id != NULL &&
                 row->track_url != NULL && row->state != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

static int upload_first(struct db_rows *cursor, struct arena *arena, struct upload_row *ret_row)
{
    DB_ROWS rows = cursor;
    int more = db_next(rows);
    return more > 0 ? upload_read(rows, arena, ret_row) : more < 0 ? more : ERR_NOT_FOUND;
}

int upload_insert(struct db_session *session, const struct upload_row *row)
{
    int changed = db_exec(
        session,
        "INSERT INTO upload (id, user_id, filename, bytes, part_bytes, object_key, multipart_id, "
        "track_url, state, track_id, created_at, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10, $11)",
        DB_BIND(db_int(row->id), db_int(row->user_id), db_text(row->filename), db_int(row->bytes),
                db_int(row->part_bytes), db_text(row->object_key), db_text(row->multipart_id),
                db_text(row->track_url), db_int_or_null(row->track_id), db_int(row->created_at),
                db_int(row->expires_at)));
    return changed_any(changed);
}

int upload_get(struct db_session *session, struct arena *arena, int64_t id, int64_t user_id,
               struct upload_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, UPLOAD_SELECT "WHERE id = $1 AND user_id = $2",
                         DB_BIND(db_int(id), db_int(user_id)));
    return error != 0 ? error : upload_first(rows, arena, ret_row);
}

int upload_find_url(struct db_session *session, struct arena *arena, const char *track_url,
                    int64_t user_id, struct upload_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, UPLOAD_SELECT "WHERE track_url = $1 AND user_id = $2",
                         DB_BIND(db_text(track_url), db_int(user_id)));
    return error != 0 ? error : upload_first(rows, arena, ret_row);
}

int upload_set_state(struct db_session *session, int64_t id, const char *state, int64_t track_id)
{
    int changed = db_exec(session,
                          "UPDATE upload SET state = $2, track_id = COALESCE($3, track_id) "
                          "WHERE id = $1 AND state IN ('open', 'complete')",
                          DB_BIND(db_int(id), db_text(state), db_int_or_null(track_id)));
    return changed < 0 ? changed : changed == 0 ? ERR_CONFLICT : 0;
}

int upload_open_sums(struct db_session *session, int64_t user_id, int64_t unsaid_bytes,
                     int64_t *ret_count, int64_t *ret_bytes)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN bytes = 0 THEN $2 "
                         "ELSE bytes END), 0) AS BIGINT) FROM upload "
                         "WHERE user_id = $1 AND state IN ('open', 'complete')",
                         DB_BIND(db_int(user_id), db_int(unsaid_bytes)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_INTERNAL;
    }
    *ret_count = db_get_int(rows, 0);
    *ret_bytes = db_get_int(rows, 1);
    return 0;
}

int upload_expired(struct db_session *session, struct arena *arena, int64_t now_ms, unsigned limit,
                   struct upload_row **ret_rows, unsigned *ret_count)
{
    struct upload_row *list = arena_array(arena, limit, sizeof *list);
    if (list == NULL) {
        return ERR_NO_MEMORY;
    }
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         UPLOAD_SELECT "WHERE expires_at <= $1 AND state IN ('open', 'complete') "
                                       "ORDER BY expires_at LIMIT $2",
                         DB_BIND(db_int(now_ms), db_int(limit)));
    if (error != 0) {
        return error;
    }
    unsigned count = 0;
    int more = 0;
    while (count < limit && (more = db_next(rows)) > 0) {
        error = upload_read(rows, arena, &list[count]);
        if (error != 0) {
            return error;
        }
        count++;
    }
    if (more < 0) {
        return more;
    }
    *ret_rows = list;
    *ret_count = count;
    return 0;
}

int upload_forget_ended(struct db_session *session, int64_t before_ms)
{
    int changed = db_exec(session,
                          "DELETE FROM upload WHERE expires_at < $1 "
                          "AND state IN ('used', 'aborted')",
                          DB_BIND(db_int(before_ms)));
    return changed_any(changed);
}

int upload_key_lives(struct db_session *session, const char *object_key, bool *ret_lives)
{
    DB_ROWS rows = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT id FROM upload WHERE object_key = $1 AND state IN ('open', 'complete')",
                 DB_BIND(db_text(object_key)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    *ret_lives = more > 0;
    return more < 0 ? more : 0;
}
