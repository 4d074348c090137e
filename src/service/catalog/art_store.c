/* SQL of pictures and of objects that wait for their removal (catalog_rows.h). */
#include "service/catalog/catalog_rows.h"

#include "service/store_util.h"

int art_insert(struct db_session *session, const struct art_row *row)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO art (id, owner_kind, owner_id, status, mime, object_key, bytes, width, "
        "height, reason, created_at) VALUES ($1, $2, $3, 'uploaded', $4, $5, $6, $7, $8, '', $9)",
        DB_BIND(db_int(row->id), db_text(row->owner_kind), db_int(row->owner_id),
                db_text(row->mime), db_text(row->object_key), db_int(row->bytes),
                db_int(row->width), db_int(row->height), db_int(row->created_at))));
}

int art_get(struct db_session *session, struct arena *arena, int64_t id, struct art_row *ret_row)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id, owner_kind, owner_id, status, mime, object_key, reason, "
                         "bytes, width, height, created_at FROM art "
                         "WHERE id = $1 AND deleted_at IS NULL",
                         DB_BIND(db_int(id)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_NOT_FOUND;
    }
    struct art_row row = {
        .id = db_get_int(rows, 0),
        .owner_kind = row_text(arena, rows, 1),
        .owner_id = db_get_int(rows, 2),
        .status = row_text(arena, rows, 3),
        .mime = row_text(arena, rows, 4),
        .object_key = row_text(arena, rows, 5),
        .reason = row_text(arena, rows, 6),
        .bytes = db_get_int(rows, 7),
        .width = db_get_int(rows, 8),
        .height = db_get_int(rows, 9),
        .created_at = db_get_int(rows, 10),
    };
    if (row.owner_kind == NULL || row.status == NULL || row.mime == NULL ||
        row.object_key == NULL || row.reason == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_row = row;
    return 0;
}

int art_set_state(struct db_session *session, int64_t id, const char *status, int64_t width,
                  int64_t height, const char *reason)
{
    return changed_one(db_exec(
        session,
        "UPDATE art SET status = $2, width = $3, height = $4, reason = $5 "
        "WHERE id = $1 AND deleted_at IS NULL",
        DB_BIND(db_int(id), db_text(status), db_int(width), db_int(height), db_text(reason))));
}

int art_exists(struct db_session *session, int64_t id, int64_t removed_since_ms, bool *ret_exists)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT id FROM art WHERE id = $1 AND (deleted_at IS NULL OR deleted_at > $2)",
                 DB_BIND(db_int(id), db_int(removed_since_ms)));
    return error != 0 ? error : rows_exist(rows, ret_exists);
}

int art_bury(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_any(
        db_exec(session, "UPDATE art SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(now_ms))));
}

int cleanup_insert(struct db_session *session, const char *bucket, const char *prefix,
                   int64_t due_at)
{
    return changed_any(db_exec(session,
                               "INSERT INTO cleanup (bucket, prefix, due_at) VALUES ($1, $2, $3) "
                               "ON CONFLICT DO NOTHING",
                               DB_BIND(db_text(bucket), db_text(prefix), db_int(due_at))));
}

static int cleanup_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct cleanup_row *row = ret_row;
    *row = (struct cleanup_row){.bucket = row_text(arena, rows, 0),
                                .prefix = row_text(arena, rows, 1),
                                .due_at = db_get_int(rows, 2)};
    return row->bucket != NULL && row->prefix != NULL ? 0 : ERR_NO_MEMORY;
}

int cleanup_due(struct db_session *session, struct arena *arena, int64_t now_ms, unsigned limit,
                struct cleanup_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows,
                         "SELECT bucket, prefix, due_at FROM cleanup WHERE due_at <= $1 "
                         "ORDER BY due_at LIMIT $2",
                         DB_BIND(db_int(now_ms), db_int(limit)));
    if (error == 0) {
        error = rows_collect(rows, arena, limit, sizeof **ret_rows, cleanup_read, &list, ret_count);
    }
    *ret_rows = list;
    return error;
}

int cleanup_delete(struct db_session *session, const char *bucket, const char *prefix)
{
    return changed_any(db_exec(session, "DELETE FROM cleanup WHERE bucket = $1 AND prefix = $2",
                               DB_BIND(db_text(bucket), db_text(prefix))));
}

int tracks_deleted_since(struct db_session *session, struct arena *arena, int64_t since_ms,
                         int64_t **ret_ids, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, "SELECT id FROM track WHERE deleted_at > $1",
                         DB_BIND(db_int(since_ms)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}
