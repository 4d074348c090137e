/* SQL of what names a track from outside (match_store.h): the catalog database. */
#include "service/catalog/match_store.h"

#include "service/store_util.h"

#define MATCH_SELECT                                                                               \
    "SELECT t.id, t.duration_ms, r.name, a.title, t.details FROM track t "                         \
    "JOIN album a ON a.id = t.album_id JOIN artist r ON r.id = t.artist_id "                       \
    "WHERE t.deleted_at IS NULL "

static int candidate_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct match_candidate *row = ret_row;
    *row = (struct match_candidate){.id = db_get_int(rows, 0),
                                    .duration_ms = db_get_int(rows, 1),
                                    .artist = row_text(arena, rows, 2),
                                    .album = row_text(arena, rows, 3),
                                    .details = row_text(arena, rows, 4)};
    return row->artist != NULL && row->album != NULL && row->details != NULL ? 0 : ERR_NO_MEMORY;
}

static int collect(struct db_rows *rows, struct arena *arena, struct match_list *ret_list)
{
    void *list = NULL;
    int error = rows_collect(rows, arena, MATCH_CANDIDATES_MAX, sizeof *ret_list->rows,
                             candidate_read, &list, &ret_list->count);
    ret_list->rows = list;
    return error;
}

int match_by_recording(struct db_session *session, struct arena *arena, const char *mbid,
                       struct match_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         MATCH_SELECT "AND t.recording_mbid <> '' AND t.recording_mbid = $1 "
                                      "ORDER BY t.id LIMIT $2",
                         DB_BIND(db_text(mbid), db_int(MATCH_CANDIDATES_MAX)));
    return error != 0 ? error : collect(rows, arena, ret_list);
}

int match_by_isrc(struct db_session *session, struct arena *arena, const char *isrc,
                  struct match_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         MATCH_SELECT "AND t.isrc <> '' AND t.isrc = $1 ORDER BY t.id LIMIT $2",
                         DB_BIND(db_text(isrc), db_int(MATCH_CANDIDATES_MAX)));
    return error != 0 ? error : collect(rows, arena, ret_list);
}

int match_by_title(struct db_session *session, struct arena *arena, const char *title_key,
                   const char *artist, const char *artist_key, struct match_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(
        session, &rows,
        MATCH_SELECT "AND t.published = 1 AND t.title_key = $1 "
                     "ORDER BY CASE WHEN r.name = $2 OR r.name_key = $3 THEN 0 ELSE 1 END, t.id "
                     "LIMIT $4",
        DB_BIND(db_text(title_key), db_text(artist), db_text(artist_key),
                db_int(MATCH_CANDIDATES_MAX)));
    return error != 0 ? error : collect(rows, arena, ret_list);
}
