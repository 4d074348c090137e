/* SQL of the objects that rows need (objects_store.h). */
#include "service/catalog/objects_store.h"

#include "service/store_util.h"

/* Columns: id, version, name, bytes, ready. */
static int object_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct object_row *row = ret_row;
    *row = (struct object_row){.id = db_get_int(rows, 0),
                               .version = db_get_int(rows, 1),
                               .name = row_text(arena, rows, 2),
                               .bytes = db_get_int(rows, 3),
                               .ready = db_get_int(rows, 4) != 0};
    return row->name != NULL ? 0 : ERR_NO_MEMORY;
}

static int collect(int error, struct db_rows *rows, struct arena *arena, unsigned limit,
                   struct object_row **ret_rows, unsigned *ret_count)
{
    void *list = NULL;
    if (error == 0) {
        error = rows_collect(rows, arena, limit, sizeof **ret_rows, object_read, &list, ret_count);
    }
    if (error == 0) {
        *ret_rows = list;
    }
    return error;
}

int objects_originals(struct db_session *session, struct arena *arena,
                      const struct object_place *place, unsigned limit,
                      struct object_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(
        session, &rows,
        "SELECT track_id, version, source_key, source_bytes, 0 "
        "FROM track_version WHERE removed_at IS NULL AND outside <= $4 "
        "AND (track_id, version) > ($1, $2) ORDER BY track_id, version LIMIT $3",
        DB_BIND(db_int(place->id), db_int(place->version), db_int(limit), db_int(place->outside)));
    return collect(error, rows, arena, limit, ret_rows, ret_count);
}

int objects_renditions(struct db_session *session, struct arena *arena,
                       const struct object_place *place, unsigned limit,
                       struct object_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(
        session, &rows,
        "SELECT r.track_id, r.version, r.file, r.bytes, 0 FROM rendition r "
        "JOIN track_version v ON v.track_id = r.track_id AND v.version = r.version "
        "WHERE v.removed_at IS NULL AND (v.outside = 0 OR r.format <> 'original') "
        "AND (r.track_id, r.version, r.file) > ($1, $2, $3) "
        "ORDER BY r.track_id, r.version, r.file LIMIT $4",
        DB_BIND(db_int(place->id), db_int(place->version), db_text(place->file), db_int(limit)));
    return collect(error, rows, arena, limit, ret_rows, ret_count);
}

int objects_pictures(struct db_session *session, struct arena *arena,
                     const struct object_place *place, unsigned limit, struct object_row **ret_rows,
                     unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id, 0, object_key, bytes, "
                         "CASE WHEN status = 'ready' THEN 1 ELSE 0 END FROM art "
                         "WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
                         DB_BIND(db_int(place->id), db_int(limit)));
    return collect(error, rows, arena, limit, ret_rows, ret_count);
}
