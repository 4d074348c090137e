/* SQL of what imports left empty (emptied_store.h, emptied.h). */
#include "service/catalog/emptied_store.h"

#include "service/catalog/emptied.h"
#include "service/store_util.h"

int emptied_album_set(struct db_session *session, int64_t album_id, bool empty)
{
    const struct db_value values[] = {db_int(album_id)};
    return empty ? db_exec(session,
                           "UPDATE album SET status = 'empty' WHERE id = $1 AND deleted_at IS NULL "
                           "AND status IN ('published', 'shelved') AND track_count = 0",
                           values, COUNT_OF(values))
                 : db_exec(session,
                           "UPDATE album SET status = CASE WHEN (SELECT r.shelved FROM artist r "
                           "WHERE r.id = album.artist_id) = 1 THEN 'shelved' ELSE 'published' END "
                           "WHERE id = $1 AND deleted_at IS NULL AND status = 'empty' "
                           "AND track_count > 0",
                           values, COUNT_OF(values));
}

int emptied_artist_of_album(struct db_session *session, int64_t album_id, int64_t *ret_artist_id)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, "SELECT artist_id FROM album WHERE id = $1",
                         DB_BIND(db_int(album_id)));
    return error != 0 ? error : rows_number(rows, ret_artist_id);
}

int emptied_artist_set(struct db_session *session, int64_t artist_id)
{
    return db_exec(
        session,
        "UPDATE artist SET index_key = '', revision = revision + 1 WHERE id = $1 AND imported = 1 "
        "AND deleted_at IS NULL "
        "AND (index_key IS NULL OR index_key <> '') "
        "AND NOT EXISTS (SELECT 1 FROM album WHERE artist_id = $1 AND deleted_at IS NULL "
        "AND status <> 'empty') "
        "AND NOT EXISTS (SELECT 1 FROM track WHERE artist_id = $1 AND deleted_at IS NULL) "
        "AND NOT EXISTS (SELECT 1 FROM track_artist WHERE artist_id = $1)",
        DB_BIND(db_int(artist_id)));
}

int emptied_artists_of_track(struct db_session *session, struct arena *arena, int64_t track_id,
                             struct emptied_artists *ret_artists)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT artist_id FROM track WHERE id = $1 UNION "
                         "SELECT artist_id FROM track_artist WHERE track_id = $1",
                         DB_BIND(db_int(track_id)));
    return error != 0 ? error : rows_ids(rows, arena, &ret_artists->ids, &ret_artists->count);
}

int emptied_artists_of_album(struct db_session *session, struct arena *arena, int64_t album_id,
                             struct emptied_artists *ret_artists)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT artist_id FROM album WHERE id = $1 UNION SELECT artist_id "
                         "FROM track WHERE album_id = $1 AND deleted_at IS NULL UNION "
                         "SELECT g.artist_id FROM track_artist g JOIN track t ON t.id = g.track_id "
                         "WHERE t.album_id = $1 AND t.deleted_at IS NULL",
                         DB_BIND(db_int(album_id)));
    return error != 0 ? error : rows_ids(rows, arena, &ret_artists->ids, &ret_artists->count);
}
