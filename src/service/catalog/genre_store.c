/* SQL of genres (catalog_rows.h). */
#include "service/catalog/catalog_rows.h"

#include "service/store_util.h"

int genre_unlink_album(struct db_session *session, int64_t album_id)
{
    int changed = db_exec(session,
                          "UPDATE genre SET albums = albums - 1 WHERE name_key IN (SELECT name_key "
                          "FROM album_genre WHERE album_id = $1 AND published = 1)",
                          DB_BIND(db_int(album_id)));
    if (changed < 0) {
        return changed;
    }
    return changed_any(
        db_exec(session, "DELETE FROM album_genre WHERE album_id = $1", DB_BIND(db_int(album_id))));
}

/* The album's row is there, with its status as lists find it. */
int genre_link(struct db_session *session, const char *name_key, const char *name,
               const struct album_row *album)
{
    int changed = db_exec(session,
                          "INSERT INTO genre (name_key, name, albums) VALUES ($1, $2, "
                          "(SELECT COUNT(*) FROM album WHERE id = $3 AND status = 'published')) "
                          "ON CONFLICT (name_key) DO UPDATE SET albums = genre.albums + "
                          "(SELECT COUNT(*) FROM album WHERE id = $3 AND status = 'published')",
                          DB_BIND(db_text(name_key), db_text(name), db_int(album->id)));
    if (changed < 0) {
        return changed;
    }
    return changed_any(
        db_exec(session,
                "INSERT INTO album_genre (name_key, album_id, title_key, published) "
                "VALUES ($1, $2, $3, (SELECT CASE status WHEN 'published' THEN 1 "
                "WHEN 'shelved' THEN 2 ELSE 0 END FROM album WHERE id = $2))",
                DB_BIND(db_text(name_key), db_int(album->id), db_text(album->title_key))));
}

static int count_genres(struct db_session *session, int64_t album_id, int64_t by)
{
    return changed_any(db_exec(session,
                               "UPDATE genre SET albums = albums + $2 WHERE name_key IN (SELECT "
                               "name_key FROM album_genre WHERE album_id = $1 AND published = 1)",
                               DB_BIND(db_int(album_id), db_int(by))));
}

int genre_follow_status(struct db_session *session, int64_t album_id)
{
    int error = count_genres(session, album_id, -1);
    if (error == 0) {
        error = changed_any(db_exec(
            session,
            "UPDATE album_genre SET published = (SELECT CASE a.status WHEN 'published' THEN 1 "
            "WHEN 'shelved' THEN 2 ELSE 0 END FROM album a WHERE a.id = $1) WHERE album_id = $1",
            DB_BIND(db_int(album_id))));
    }
    return error != 0 ? error : count_genres(session, album_id, 1);
}

static int genre_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct genre_row *row = ret_row;
    *row = (struct genre_row){.name_key = row_text(arena, rows, 0),
                              .name = row_text(arena, rows, 1),
                              .albums = db_get_int(rows, 2)};
    return row->name_key != NULL && row->name != NULL ? 0 : ERR_NO_MEMORY;
}

int genre_list(struct db_session *session, struct arena *arena, const struct list_place *place,
               struct genre_row **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows,
                         "SELECT name_key, name, albums FROM genre WHERE albums > 0 "
                         "AND name_key > $1 ORDER BY name_key LIMIT $2",
                         DB_BIND(db_text(place->key), db_int(place->limit)));
    if (error == 0) {
        error = rows_collect(rows, arena, place->limit, sizeof **ret_rows, genre_read, &list,
                             ret_count);
    }
    *ret_rows = list;
    return error;
}
