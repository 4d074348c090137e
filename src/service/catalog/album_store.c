/* SQL of albums (catalog_rows.h). Each list is walked along an index, from a place in it, so that
 * its last page costs what its first does. */
#include "service/catalog/catalog_rows.h"

#include "service/catalog/album.h"
#include "service/catalog/album_store.h"
#include "service/store_util.h"

#include <string.h>

/* What stands in the row, of an album of artist $2 with status $6. */
#define STATUS_WRITTEN                                                                             \
    "CASE WHEN CAST($6 AS TEXT) = 'published' AND "                                                \
    "(SELECT r.shelved FROM artist r WHERE r.id = $2) = 1 THEN 'shelved' "                         \
    "ELSE CAST($6 AS TEXT) END"
#define SHELF_WRITTEN "COALESCE((SELECT r.shelf_id FROM artist r WHERE r.id = $2), 0)"

#define ALBUM_SELECT_GENRE                                                                         \
    ALBUM_COLUMNS "FROM album_genre g JOIN album a ON a.id = g.album_id "                          \
                  "JOIN artist r ON r.id = a.artist_id WHERE g.name_key = $1 "
#define ALBUM_OF_ARTIST                                                                            \
    ALBUM_SELECT                                                                                   \
    "AND a.artist_id = $1 AND a.status <> 'empty' "                                                \
    "AND (a.status <> 'draft' OR CAST($2 AS BIGINT) = 1) "                                         \
    "AND ($3 = '' OR EXISTS (SELECT 1 FROM album_genre g WHERE g.album_id = a.id "                 \
    "AND g.name_key = $3)) "
#define ALBUM_OF_YEARS                                                                             \
    "AND ($6 = '' OR a.type = $6) AND " ALBUM_DATE " >= $7 AND " ALBUM_DATE " < $8 "

static int album_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct album_row *row = ret_row;
    *row = (struct album_row){
        .id = db_get_int(rows, 0),
        .artist_id = db_get_int(rows, 1),
        .owner_user_id = db_get_int(rows, 2),
        .artist_name = row_text(arena, rows, 3),
        .title = row_text(arena, rows, 4),
        .title_key = row_text(arena, rows, 5),
        .type = row_text(arena, rows, 6),
        .status = row_text(arena, rows, 7),
        .release_date = row_text(arena, rows, 8),
        .genres = row_text(arena, rows, 9),
        .cover_art_id = db_get_int(rows, 10),
        .pending_art_id = db_get_int(rows, 11),
        .track_count = db_get_int(rows, 12),
        .duration_ms = db_get_int(rows, 13),
        .working = db_get_int(rows, 14),
        .has_lufs = !db_is_null(rows, 15),
        .lufs = db_get_real(rows, 15),
        .has_peak = !db_is_null(rows, 16),
        .peak_db = db_get_real(rows, 16),
        .revision = db_get_int(rows, 17),
        .created_at = db_get_int(rows, 18),
        .updated_at = db_get_int(rows, 19),
        .stale = db_get_int(rows, 20) != 0,
        .sort_title = row_text(arena, rows, 21),
        .original_date = row_text(arena, rows, 22),
        .mbid = row_text(arena, rows, 23),
        .group_mbid = row_text(arena, rows, 24),
        .disc_titles = row_text(arena, rows, 25),
        .shelf_id = db_get_int(rows, 26),
    };
    row->shelved = row->status != NULL && strcmp(row->status, "shelved") == 0;
    row->status = row->shelved ? "published" : row->status;
    bool whole = row->artist_name != NULL && row->title != NULL && row->title_key != NULL &&
                 row->type != NULL && row->status != NULL && row->release_date != NULL &&
                 row->genres != NULL && row->sort_title != NULL && row->original_date != NULL &&
                 row->mbid != NULL && row->group_mbid != NULL && row->disc_titles != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

int album_collect(struct db_rows *rows, struct arena *arena, unsigned limit,
                  struct album_list *ret_list)
{
    void *list = NULL;
    int error = rows_collect(rows, arena, limit, sizeof *ret_list->rows, album_read, &list,
                             &ret_list->count);
    ret_list->rows = list;
    return error;
}

int album_insert(struct db_session *session, const struct album_row *row)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO album (id, artist_id, title, title_key, type, status, release_date, genres, "
        "track_count, duration_ms, working, revision, created_at, updated_at, shelf_id) "
        "VALUES ($1, $2, $3, $4, $5, " STATUS_WRITTEN ", $7, $8, 0, 0, 0, 1, $9, $9, " SHELF_WRITTEN
        ")",
        DB_BIND(db_int(row->id), db_int(row->artist_id), db_text(row->title),
                db_text(row->title_key), db_text(row->type), db_text(row->status),
                db_text(row->release_date), db_text(row->genres), db_int(row->created_at))));
}

int album_get(struct db_session *session, struct arena *arena, int64_t id,
              struct album_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, ALBUM_SELECT "AND a.id = $1", DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, album_read, ret_row);
}

int album_list_of_ids(struct db_session *session, struct arena *arena, const int64_t *ids,
                      struct album_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, ALBUM_SELECT "AND a.id IN" ROWS_IN_16, ROWS_BIND_16(ids));
    return error != 0 ? error : album_collect(rows, arena, IDS_AT_ONCE, ret_list);
}

int album_update(struct db_session *session, const struct album_row *row)
{
    return changed_one(db_exec(
        session,
        "UPDATE album SET artist_id = $2, title = $3, title_key = $4, type = $5, "
        "status = " STATUS_WRITTEN ", shelf_id = " SHELF_WRITTEN ", "
        "release_date = $7, genres = $8, cover_art_id = $9, pending_art_id = $10, revision = $11, "
        "updated_at = $12, stale = CASE WHEN revision = $11 THEN stale ELSE 0 END "
        "WHERE id = $1 AND deleted_at IS NULL",
        DB_BIND(db_int(row->id), db_int(row->artist_id), db_text(row->title),
                db_text(row->title_key), db_text(row->type), db_text(row->status),
                db_text(row->release_date), db_text(row->genres), db_int_or_null(row->cover_art_id),
                db_int_or_null(row->pending_art_id), db_int(row->revision),
                db_int(row->updated_at))));
}

int album_bury(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_one(db_exec(
        session,
        "UPDATE album SET title = '', title_key = '', genres = '[]', release_date = '', "
        "sort_title = '', original_date = '', mbid = '', group_mbid = '', disc_titles = '{}', "
        "cover_art_id = NULL, pending_art_id = NULL, track_count = 0, duration_ms = 0, "
        "working = 0, lufs = NULL, peak_db = NULL, revision = revision + 1, updated_at = $2, "
        "deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
        DB_BIND(db_int(id), db_int(now_ms))));
}

int album_touch(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_any(
        db_exec(session,
                "UPDATE album SET revision = revision + 1, updated_at = $2, stale = 0 "
                "WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(now_ms))));
}

int album_stale(struct db_session *session, int64_t id)
{
    return changed_any(db_exec(session,
                               "UPDATE album SET stale = 1 WHERE id = $1 AND deleted_at IS NULL",
                               DB_BIND(db_int(id))));
}

int album_stale_of_artist(struct db_session *session, int64_t artist_id)
{
    return changed_any(db_exec(session,
                               "UPDATE album SET stale = 1 WHERE artist_id = $1 "
                               "AND deleted_at IS NULL",
                               DB_BIND(db_int(artist_id))));
}

int album_tally(struct db_session *session, int64_t id, struct album_tally *ret_tally)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT COUNT(*), COALESCE(SUM(duration_ms), 0), "
                         "COALESCE(SUM(working), 0) FROM track "
                         "WHERE album_id = $1 AND deleted_at IS NULL",
                         DB_BIND(db_int(id)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_INTERNAL;
    }
    ret_tally->tracks = db_get_int(rows, 0);
    ret_tally->duration_ms = db_get_int(rows, 1);
    ret_tally->working = db_get_int(rows, 2);
    return 0;
}

int album_histograms(struct db_session *session, int64_t id, struct db_rows **ret_rows)
{
    return db_query(session, ret_rows,
                    "SELECT v.histogram, v.true_peak_db FROM track t JOIN track_version v "
                    "ON v.track_id = t.id AND v.version = t.version "
                    "WHERE t.album_id = $1 AND t.deleted_at IS NULL AND v.histogram IS NOT NULL",
                    DB_BIND(db_int(id)));
}

int album_set_tally(struct db_session *session, int64_t id, const struct album_tally *tally)
{
    return changed_any(
        db_exec(session,
                "UPDATE album SET track_count = $2, duration_ms = $3, working = $4, lufs = $5, "
                "peak_db = $6 WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(tally->tracks), db_int(tally->duration_ms),
                        db_int(tally->working), tally->has_lufs ? db_real(tally->lufs) : db_null(),
                        tally->has_peak ? db_real(tally->peak_db) : db_null())));
}

static int list_of_all(struct db_session *session, const struct album_filter *filter,
                       const struct list_place *place, struct db_rows **ret_rows)
{
    const struct db_value values[] = {db_text(place->key), db_int(place->id), db_text(filter->type),
                                      db_int(place->limit), db_int(filter->shelf_id)};
    return filter->sort == ALBUM_BY_TITLE
               ? db_query(session, ret_rows,
                          ALBUM_ON(filter->shelf_id, 5,
                                   "AND (a.title_key, a.id) > ($1, $2) "
                                   "AND ($3 = '' OR a.type = $3) ORDER BY a.title_key, a.id "
                                   "LIMIT $4"),
                          values, COUNT_OF(values))
               : db_query(session, ret_rows,
                          ALBUM_ON(filter->shelf_id, 4,
                                   "AND a.id < $1 AND ($2 = '' OR a.type = $2) "
                                   "ORDER BY a.id DESC LIMIT $3"),
                          values + 1, COUNT_OF(values) - 1);
}

/* The newest first. What the artist is credited on is gone through for a page. */
static int list_of_guest(struct db_session *session, const struct album_filter *filter,
                         const struct list_place *place, struct db_rows **ret_rows)
{
    return db_query(session, ret_rows,
                    ALBUM_SELECT
                    "AND a.id IN (SELECT t.album_id FROM track t WHERE t.artist_id = $1 "
                    "AND t.deleted_at IS NULL UNION SELECT t.album_id FROM track_artist g "
                    "JOIN track t ON t.id = g.track_id WHERE g.artist_id = $1 "
                    "AND t.deleted_at IS NULL) AND a.artist_id <> $1 "
                    "AND (a.status = 'published' OR (a.status = 'shelved' AND a.shelf_id = "
                    "(SELECT o.shelf_id FROM artist o WHERE o.id = $1))) "
                    "AND a.id < $2 ORDER BY a.id DESC LIMIT $3",
                    DB_BIND(db_int(filter->artist_id), db_int(place->id), db_int(place->limit)));
}

/* All that the artist has is sorted for a page. */
static int list_of_artist_by_year(struct db_session *session, const struct album_filter *filter,
                                  const struct list_place *place, struct db_rows **ret_rows)
{
    const struct db_value values[] = {
        db_int(filter->artist_id), db_int(filter->drafts), db_text(filter->genre_key),
        db_text(place->key),       db_int(place->id),      db_text(filter->type),
        db_text(filter->since),    db_text(filter->until), db_int(place->limit)};
    return filter->descending
               ? db_query(session, ret_rows,
                          ALBUM_OF_ARTIST ALBUM_OF_YEARS "AND (" ALBUM_DATE ", a.id) < ($4, $5) "
                                                         "ORDER BY " ALBUM_DATE
                                                         " DESC, a.id DESC LIMIT $9",
                          values, COUNT_OF(values))
               : db_query(session, ret_rows,
                          ALBUM_OF_ARTIST ALBUM_OF_YEARS "AND (" ALBUM_DATE ", a.id) > ($4, $5) "
                                                         "ORDER BY " ALBUM_DATE ", a.id LIMIT $9",
                          values, COUNT_OF(values));
}

static int list_of_artist(struct db_session *session, const struct album_filter *filter,
                          const struct list_place *place, struct db_rows **ret_rows)
{
    if (filter->sort == ALBUM_BY_YEAR) {
        return list_of_artist_by_year(session, filter, place, ret_rows);
    }
    if (filter->sort == ALBUM_BY_TITLE) {
        return db_query(session, ret_rows,
                        ALBUM_OF_ARTIST
                        "AND (a.title_key, a.id) > ($4, $5) AND ($6 = '' OR a.type = $6) "
                        "ORDER BY a.title_key, a.id LIMIT $7",
                        DB_BIND(db_int(filter->artist_id), db_int(filter->drafts),
                                db_text(filter->genre_key), db_text(place->key), db_int(place->id),
                                db_text(filter->type), db_int(place->limit)));
    }
    return db_query(session, ret_rows,
                    ALBUM_OF_ARTIST "AND a.id < $4 AND ($5 = '' OR a.type = $5) "
                                    "ORDER BY a.id DESC LIMIT $6",
                    DB_BIND(db_int(filter->artist_id), db_int(filter->drafts),
                            db_text(filter->genre_key), db_int(place->id), db_text(filter->type),
                            db_int(place->limit)));
}

static int list_of_genre(struct db_session *session, const struct album_filter *filter,
                         const struct list_place *place, struct db_rows **ret_rows)
{
    int64_t published = filter->shelf_id == 0 ? 1 : 2;
    if (filter->sort == ALBUM_BY_TITLE) {
        return db_query(session, ret_rows,
                        ALBUM_SELECT_GENRE
                        "AND (g.title_key, g.album_id) > ($2, $3) AND ($4 = '' OR a.type = $4) "
                        "AND g.published = $5 AND (g.published = 1 OR a.shelf_id = $6) "
                        "ORDER BY g.title_key, g.album_id LIMIT $7",
                        DB_BIND(db_text(filter->genre_key), db_text(place->key), db_int(place->id),
                                db_text(filter->type), db_int(published), db_int(filter->shelf_id),
                                db_int(place->limit)));
    }
    return db_query(session, ret_rows,
                    ALBUM_SELECT_GENRE "AND g.album_id < $2 AND ($3 = '' OR a.type = $3) "
                                       "AND g.published = $4 "
                                       "AND (g.published = 1 OR a.shelf_id = $5) "
                                       "ORDER BY g.album_id DESC LIMIT $6",
                    DB_BIND(db_text(filter->genre_key), db_int(place->id), db_text(filter->type),
                            db_int(published), db_int(filter->shelf_id), db_int(place->limit)));
}

int album_list(struct db_session *session, struct arena *arena, const struct album_filter *filter,
               const struct list_place *place, struct album_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error;
    if (filter->guest) {
        error = list_of_guest(session, filter, place, &rows);
        return error != 0 ? error : album_collect(rows, arena, place->limit, ret_list);
    }
    if (filter->artist_id == 0 && filter->sort == ALBUM_BY_YEAR) {
        return album_list_by_year(session, arena, filter, place, ret_list);
    }
    if (filter->sort == ALBUM_RANDOM) {
        return album_list_by_ring(session, arena, filter, place, ret_list);
    }
    if (filter->artist_id != 0) {
        error = list_of_artist(session, filter, place, &rows);
    } else if (filter->genre_key[0] != '\0') {
        error = list_of_genre(session, filter, place, &rows);
    } else {
        error = list_of_all(session, filter, place, &rows);
    }
    return error != 0 ? error : album_collect(rows, arena, place->limit, ret_list);
}

int album_ids_of_artist(struct db_session *session, struct arena *arena, int64_t artist_id,
                        int64_t **ret_ids, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows, "SELECT id FROM album WHERE artist_id = $1 AND deleted_at IS NULL",
                 DB_BIND(db_int(artist_id)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}
