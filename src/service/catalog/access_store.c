/* SQL behind the rule of access (access_store.h). */
#include "service/catalog/access_store.h"

#include "service/catalog/catalog_internal.h"
#include "service/store_util.h"

static int find_artist(struct db_session *session, struct db_rows **ret_rows, int64_t id)
{
    return db_query(session, ret_rows,
                    "SELECT owner_user_id, 1, CASE WHEN shelved = 1 THEN shelf_id ELSE 0 END "
                    "FROM artist WHERE id = $1 AND deleted_at IS NULL",
                    DB_BIND(db_int(id)));
}

static int find_album(struct db_session *session, struct db_rows **ret_rows, int64_t id)
{
    return db_query(session, ret_rows,
                    "SELECT r.owner_user_id, "
                    "CASE WHEN a.status IN ('draft', 'empty') THEN 0 ELSE 1 END, "
                    "CASE WHEN a.status = 'shelved' THEN a.shelf_id ELSE 0 END FROM album a "
                    "JOIN artist r ON r.id = a.artist_id WHERE a.id = $1 AND a.deleted_at IS NULL",
                    DB_BIND(db_int(id)));
}

static int find_track(struct db_session *session, struct db_rows **ret_rows, int64_t id)
{
    return db_query(session, ret_rows,
                    "SELECT r.owner_user_id, t.published, "
                    "CASE WHEN t.published = 2 THEN t.shelf_id ELSE 0 END FROM track t "
                    "JOIN artist r ON r.id = t.artist_id WHERE t.id = $1 AND t.deleted_at IS NULL",
                    DB_BIND(db_int(id)));
}

int access_find(struct db_session *session, enum catalog_kind kind, int64_t id,
                struct sight *ret_sight)
{
    DB_ROWS rows = NULL;
    int error = kind == CATALOG_ARTIST  ? find_artist(session, &rows, id)
                : kind == CATALOG_ALBUM ? find_album(session, &rows, id)
                                        : find_track(session, &rows, id);
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_NOT_FOUND;
    }
    *ret_sight = (struct sight){.owner_user_id = db_get_int(rows, 0),
                                .published = db_get_int(rows, 1) != 0,
                                .shelf_id = db_get_int(rows, 2)};
    return 0;
}
