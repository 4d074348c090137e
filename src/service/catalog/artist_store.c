/* SQL of artists (catalog_rows.h). */
#include "service/catalog/catalog_rows.h"

#include "service/catalog/store_util.h"

#define ARTIST_SELECT                                                                              \
    "SELECT id, owner_user_id, name, name_key, bio, image_art_id, pending_art_id, revision, "      \
    "created_at, updated_at FROM artist WHERE deleted_at IS NULL "

static int artist_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct artist_row *row = ret_row;
    *row = (struct artist_row){
        .id = db_get_int(rows, 0),
        .owner_user_id = db_get_int(rows, 1),
        .name = row_text(arena, rows, 2),
        .name_key = row_text(arena, rows, 3),
        .bio = row_text(arena, rows, 4),
        .image_art_id = db_get_int(rows, 5),
        .pending_art_id = db_get_int(rows, 6),
        .revision = db_get_int(rows, 7),
        .created_at = db_get_int(rows, 8),
        .updated_at = db_get_int(rows, 9),
    };
    return row->name != NULL && row->name_key != NULL && row->bio != NULL ? 0 : ERR_NO_MEMORY;
}

static int artist_collect(struct db_rows *rows, struct arena *arena, unsigned limit,
                          struct artist_list *ret_list)
{
    void *list = NULL;
    int error = rows_collect(rows, arena, limit, sizeof *ret_list->rows, artist_read, &list,
                             &ret_list->count);
    ret_list->rows = list;
    return error;
}

int artist_insert(struct db_session *session, const struct artist_row *row)
{
    return changed_one(
        db_exec(session,
                "INSERT INTO artist (id, owner_user_id, name, name_key, bio, revision, created_at, "
                "updated_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $6)",
                DB_BIND(db_int(row->id), db_int(row->owner_user_id), db_text(row->name),
                        db_text(row->name_key), db_text(row->bio), db_int(row->created_at))));
}

int artist_get(struct db_session *session, struct arena *arena, int64_t id,
               struct artist_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, ARTIST_SELECT "AND id = $1", DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, artist_read, ret_row);
}

int artist_update(struct db_session *session, const struct artist_row *row)
{
    return changed_one(db_exec(
        session,
        "UPDATE artist SET name = $2, name_key = $3, bio = $4, image_art_id = $5, "
        "pending_art_id = $6, revision = $7, updated_at = $8 WHERE id = $1 AND deleted_at IS NULL",
        DB_BIND(db_int(row->id), db_text(row->name), db_text(row->name_key), db_text(row->bio),
                db_int_or_null(row->image_art_id), db_int_or_null(row->pending_art_id),
                db_int(row->revision), db_int(row->updated_at))));
}

int artist_bury(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_one(
        db_exec(session,
                "UPDATE artist SET name = '', name_key = '', bio = '', image_art_id = NULL, "
                "pending_art_id = NULL, revision = revision + 1, updated_at = $2, deleted_at = $2 "
                "WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(now_ms))));
}

int artist_list_by_name(struct db_session *session, struct arena *arena,
                        const struct list_place *place, struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows,
                 ARTIST_SELECT "AND (name_key, id) > ($1, $2) ORDER BY name_key, id LIMIT $3",
                 DB_BIND(db_text(place->key), db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : artist_collect(rows, arena, place->limit, ret_list);
}

int artist_list_newest(struct db_session *session, struct arena *arena,
                       const struct list_place *place, struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, ARTIST_SELECT "AND id < $1 ORDER BY id DESC LIMIT $2",
                         DB_BIND(db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : artist_collect(rows, arena, place->limit, ret_list);
}

int artist_list_owned(struct db_session *session, struct arena *arena, int64_t owner_user_id,
                      const struct list_place *place, struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows,
                 ARTIST_SELECT "AND owner_user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                 DB_BIND(db_int(owner_user_id), db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : artist_collect(rows, arena, place->limit, ret_list);
}
