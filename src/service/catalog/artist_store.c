/* SQL of artists (catalog_rows.h). */
#include "service/catalog/catalog_rows.h"

#include "service/catalog/index_key.h"
#include "service/store_util.h"

#define ARTIST_SELECT                                                                              \
    "SELECT id, owner_user_id, name, name_key, bio, image_art_id, pending_art_id, revision, "      \
    "created_at, updated_at, sort_name, mbid, imported, index_key, shelf_id, "                     \
    "shelved FROM artist "                                                                         \
    "WHERE deleted_at IS NULL "

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
        .sort_name = row_text(arena, rows, 10),
        .mbid = row_text(arena, rows, 11),
        .imported = db_get_int(rows, 12) != 0,
        .index_key = row_text(arena, rows, 13),
        .shelf_id = db_get_int(rows, 14),
        .shelved = db_get_int(rows, 15) != 0,
    };
    if (db_is_null(rows, 13) && row->name != NULL && row->sort_name != NULL) {
        row->index_key = index_key(arena, row->name, row->sort_name);
    }
    bool whole = row->name != NULL && row->name_key != NULL && row->bio != NULL &&
                 row->sort_name != NULL && row->mbid != NULL && row->index_key != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
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
                "updated_at, sort_name, index_key) VALUES ($1, $2, $3, $4, $5, 1, $6, $6, $7, $8)",
                DB_BIND(db_int(row->id), db_int(row->owner_user_id), db_text(row->name),
                        db_text(row->name_key), db_text(row->bio), db_int(row->created_at),
                        db_text(row->sort_name), db_text(row->index_key))));
}

int artist_get(struct db_session *session, struct arena *arena, int64_t id,
               struct artist_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, ARTIST_SELECT "AND id = $1", DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, artist_read, ret_row);
}

int artist_list_of_ids(struct db_session *session, struct arena *arena, const int64_t *ids,
                       struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, ARTIST_SELECT "AND id IN" ROWS_IN_16, ROWS_BIND_16(ids));
    return error != 0 ? error : artist_collect(rows, arena, IDS_AT_ONCE, ret_list);
}

int artist_update(struct db_session *session, const struct artist_row *row)
{
    return changed_one(db_exec(
        session,
        "UPDATE artist SET name = $2, name_key = $3, bio = $4, image_art_id = $5, "
        "pending_art_id = $6, revision = $7, updated_at = $8, sort_name = $9, index_key = $10 "
        "WHERE id = $1 AND deleted_at IS NULL",
        DB_BIND(db_int(row->id), db_text(row->name), db_text(row->name_key), db_text(row->bio),
                db_int_or_null(row->image_art_id), db_int_or_null(row->pending_art_id),
                db_int(row->revision), db_int(row->updated_at), db_text(row->sort_name),
                db_text(row->index_key))));
}

int artist_bury(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_one(
        db_exec(session,
                "UPDATE artist SET name = '', name_key = '', bio = '', sort_name = '', mbid = '', "
                "index_key = '', image_art_id = NULL, "
                "pending_art_id = NULL, revision = revision + 1, updated_at = $2, deleted_at = $2 "
                "WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(now_ms))));
}

int artist_list_by_index(struct db_session *session, struct arena *arena, int64_t shelf_id,
                         const struct list_place *place, struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    const struct db_value values[] = {db_text(place->key), db_int(place->id), db_int(place->limit),
                                      db_int(shelf_id)};
    int error = shelf_id == 0 ? db_query(session, &rows,
                                         ARTIST_SELECT "AND index_key <> '' AND shelved = 0 "
                                                       "AND (index_key, id) > ($1, $2) "
                                                       "ORDER BY index_key, id LIMIT $3",
                                         values, COUNT_OF(values) - 1)
                              : db_query(session, &rows,
                                         ARTIST_SELECT
                                         "AND index_key <> '' AND shelved = 1 AND shelf_id = $4 "
                                         "AND (index_key, id) > ($1, $2) "
                                         "ORDER BY index_key, id LIMIT $3",
                                         values, COUNT_OF(values));
    return error != 0 ? error : artist_collect(rows, arena, place->limit, ret_list);
}

static int letter_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct letter_row *row = ret_row;
    *row = (struct letter_row){.letter = row_text(arena, rows, 0), .artists = db_get_int(rows, 1)};
    return row->letter != NULL ? 0 : ERR_NO_MEMORY;
}

int artist_letters(struct db_session *session, struct arena *arena, int64_t shelf_id,
                   struct letter_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error =
        shelf_id == 0
            ? db_query(session, &rows,
                       "SELECT SUBSTR(index_key, 1, 1), COUNT(*) FROM artist "
                       "WHERE deleted_at IS NULL AND index_key <> '' AND shelved = 0 "
                       "GROUP BY SUBSTR(index_key, 1, 1) ORDER BY 1 LIMIT $1",
                       DB_BIND(db_int(LETTERS_MAX)))
            : db_query(session, &rows,
                       "SELECT SUBSTR(index_key, 1, 1), COUNT(*) FROM artist "
                       "WHERE deleted_at IS NULL AND index_key <> '' AND shelved = 1 "
                       "AND shelf_id = $2 GROUP BY SUBSTR(index_key, 1, 1) ORDER BY 1 LIMIT $1",
                       DB_BIND(db_int(LETTERS_MAX), db_int(shelf_id)));
    if (error == 0) {
        error = rows_collect(rows, arena, LETTERS_MAX, sizeof **ret_rows, letter_read, &list,
                             ret_count);
    }
    *ret_rows = list;
    return error;
}

int artist_list_unindexed(struct db_session *session, struct arena *arena, unsigned limit,
                          struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, ARTIST_SELECT "AND index_key IS NULL ORDER BY id LIMIT $1",
                         DB_BIND(db_int(limit)));
    return error != 0 ? error : artist_collect(rows, arena, limit, ret_list);
}

int artist_index_set(struct db_session *session, const struct artist_row *row)
{
    return changed_one(db_exec(session,
                               "UPDATE artist SET index_key = $2, revision = revision + 1 "
                               "WHERE id = $1",
                               DB_BIND(db_int(row->id), db_text(row->index_key))));
}

int artist_index_fill(struct db_session *session, const struct artist_row *row)
{
    return changed_any(
        db_exec(session, "UPDATE artist SET index_key = $2 WHERE id = $1 AND index_key IS NULL",
                DB_BIND(db_int(row->id), db_text(row->index_key))));
}

int artist_list_newest(struct db_session *session, struct arena *arena, int64_t shelf_id,
                       const struct list_place *place, struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error =
        shelf_id == 0
            ? db_query(session, &rows,
                       ARTIST_SELECT "AND shelved = 0 AND id < $1 ORDER BY id DESC LIMIT $2",
                       DB_BIND(db_int(place->id), db_int(place->limit)))
            : db_query(session, &rows,
                       ARTIST_SELECT "AND shelved = 1 AND shelf_id = $1 AND shelf_id <> 0 "
                                     "AND id < $2 ORDER BY id DESC LIMIT $3",
                       DB_BIND(db_int(shelf_id), db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : artist_collect(rows, arena, place->limit, ret_list);
}

int artist_list_owned(struct db_session *session, struct arena *arena, int64_t owner_user_id,
                      bool all, const struct list_place *place, struct artist_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(
        session, &rows,
        ARTIST_SELECT "AND owner_user_id = $1 AND (shelved = 0 OR CAST($2 AS BIGINT) = 1) "
                      "AND id < $3 ORDER BY id DESC LIMIT $4",
        DB_BIND(db_int(owner_user_id), db_int(all), db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : artist_collect(rows, arena, place->limit, ret_list);
}
