/* What search knows of things (catalog.h: catalog_names): their names, and on which shelf they are.
 * Inside a read. */
#include "service/catalog/catalog_rows.h"

#include "service/catalog/lrc.h"
#include "service/store_util.h"

/* Of lyrics the beginning is enough to be found by; times of lines are no words. */
#define TRACK_NAMES                                                                                \
    "SELECT t.id, t.title, r.name, a.title, a.genres, a.release_date, "                            \
    "COALESCE(SUBSTR(l.text, 1, 8000), ''), t.shelf_id, a.original_date FROM track t JOIN album "  \
    "a ON a.id = "                                                                                 \
    "t.album_id "                                                                                  \
    "JOIN artist r ON r.id = t.artist_id LEFT JOIN track_lyrics l ON l.track_id = t.id "           \
    "WHERE t.deleted_at IS NULL AND t.published IN (1, 2) AND t.status = 'ready' "
#define ALBUM_NAMES                                                                                \
    "SELECT a.id, a.title, r.name, '', a.genres, a.release_date, '', a.shelf_id, "                 \
    "a.original_date FROM album a JOIN artist r ON r.id = a.artist_id WHERE a.deleted_at IS NULL " \
    "AND a.status IN "                                                                             \
    "('published', 'shelved') "
#define ARTIST_NAMES                                                                               \
    "SELECT id, name, '', '', '[]', '', '', shelf_id, '' FROM artist WHERE deleted_at IS NULL "    \
    "AND (index_key IS NULL OR index_key <> '') "

static int name_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct catalog_name *name = ret_row;
    const char *lyrics = row_text(arena, rows, 6);
    struct lrc lrc;
    if (lyrics == NULL || lrc_read(arena, lyrics, &lrc) != 0) {
        return ERR_NO_MEMORY;
    }
    *name = (struct catalog_name){
        .id = db_get_int(rows, 0),
        .name = row_text(arena, rows, 1),
        .artist = row_text(arena, rows, 2),
        .album = row_text(arena, rows, 3),
        .genres = row_text(arena, rows, 4),
        .release_date = row_text(arena, rows, 5),
        .lyrics = lrc.text,
        .shelf_id = db_get_int(rows, 7),
        .original_date = row_text(arena, rows, 8),
    };
    bool whole = name->name != NULL && name->artist != NULL && name->album != NULL &&
                 name->genres != NULL && name->release_date != NULL && name->original_date != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

int catalog_names_after(struct db_session *session, struct arena *arena, enum catalog_kind kind,
                        int64_t after_id, unsigned limit, struct catalog_name **ret_names,
                        unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = 0;
    switch (kind) {
    case CATALOG_TRACK:
        error = db_query(session, &rows, TRACK_NAMES "AND t.id > $1 ORDER BY t.id LIMIT $2",
                         DB_BIND(db_int(after_id), db_int(limit)));
        break;
    case CATALOG_ALBUM:
        error = db_query(session, &rows, ALBUM_NAMES "AND a.id > $1 ORDER BY a.id LIMIT $2",
                         DB_BIND(db_int(after_id), db_int(limit)));
        break;
    case CATALOG_ARTIST:
        error = db_query(session, &rows, ARTIST_NAMES "AND id > $1 ORDER BY id LIMIT $2",
                         DB_BIND(db_int(after_id), db_int(limit)));
        break;
    }
    void *names = NULL;
    error = error != 0 ? error
                       : rows_collect(rows, arena, limit, sizeof **ret_names, name_read, &names,
                                      ret_count);
    *ret_names = names;
    return error;
}

int catalog_name_find(struct db_session *session, struct arena *arena, enum catalog_kind kind,
                      int64_t id, struct catalog_name *ret_name)
{
    struct db_rows *rows = NULL;
    int error = 0;
    switch (kind) {
    case CATALOG_TRACK:
        error = db_query(session, &rows, TRACK_NAMES "AND t.id = $1", DB_BIND(db_int(id)));
        break;
    case CATALOG_ALBUM:
        error = db_query(session, &rows, ALBUM_NAMES "AND a.id = $1", DB_BIND(db_int(id)));
        break;
    case CATALOG_ARTIST:
        error = db_query(session, &rows, ARTIST_NAMES "AND id = $1", DB_BIND(db_int(id)));
        break;
    }
    return error != 0 ? error : rows_first(rows, arena, name_read, ret_name);
}

int catalog_ids_under(struct db_session *session, struct arena *arena, enum catalog_kind kind,
                      int64_t id, int64_t **ret_ids, unsigned *ret_count)
{
    *ret_count = 0;
    return kind == CATALOG_ARTIST  ? album_ids_of_artist(session, arena, id, ret_ids, ret_count)
           : kind == CATALOG_ALBUM ? track_ids_of_album(session, arena, id, ret_ids, ret_count)
                                   : 0;
}
