/* SQL of tracks and lyrics (catalog_rows.h). */
#include "service/catalog/catalog_rows.h"

#include "service/catalog/album.h"
#include "service/store_util.h"

/* v is the version that plays, w the one that workers are at. */
#define TRACK_SELECT                                                                               \
    "SELECT t.id, t.album_id, t.artist_id, r.owner_user_id, a.title, r.name, a.cover_art_id, "     \
    "t.title, t.title_key, t.track_number, t.disc_number, t.explicit, t.has_lyrics, t.published, " \
    "t.isrc, t.status, t.failure_code, t.failure_reason, t.version, t.pending_version, "           \
    "t.version_last, t.working, t.duration_ms, t.revision, t.created_at, t.updated_at, a.lufs, "   \
    "v.filename, v.codec, v.summary, v.source_bytes, v.rate, v.channels, v.lossless, "             \
    "v.track_lufs, v.true_peak_db, w.done, w.expected, "                                           \
    "CASE WHEN t.stale = 0 AND t.working = 0 AND a.working = 0 AND a.pending_art_id IS NULL "      \
    "THEN 1 ELSE 0 END, t.details, t.missing, t.shelf_id "                                         \
    "FROM track t JOIN album a ON a.id = t.album_id JOIN artist r ON r.id = t.artist_id "          \
    "LEFT JOIN track_version v ON v.track_id = t.id AND v.version = t.version "                    \
    "LEFT JOIN track_version w ON w.track_id = t.id AND w.version = "                              \
    "CASE WHEN t.pending_version <> 0 THEN t.pending_version ELSE t.version END "                  \
    "WHERE t.deleted_at IS NULL "

/* What stands in the row, of a track of album $2 that is published as $11 says. */
#define ON_SHELF                                                                                   \
    "(SELECT r.shelved FROM album a JOIN artist r ON r.id = a.artist_id WHERE a.id = $2) = 1"
#define PUBLISHED_WRITTEN                                                                          \
    "CASE WHEN CAST($11 AS BIGINT) = 1 AND " ON_SHELF " THEN 2 ELSE CAST($11 AS BIGINT) END"
#define SHELF_WRITTEN "COALESCE((SELECT a.shelf_id FROM album a WHERE a.id = $2), 0)"

static void track_read_version(struct db_rows *rows, struct arena *arena, struct track_row *row)
{
    row->filename = row_text(arena, rows, 27);
    row->codec = row_text(arena, rows, 28);
    row->summary = row_text(arena, rows, 29);
    row->source_bytes = db_get_int(rows, 30);
    row->rate = db_get_int(rows, 31);
    row->channels = db_get_int(rows, 32);
    row->lossless = db_get_int(rows, 33) != 0;
    row->has_track_lufs = !db_is_null(rows, 34);
    row->track_lufs = db_get_real(rows, 34);
    row->has_true_peak = !db_is_null(rows, 35);
    row->true_peak_db = db_get_real(rows, 35);
    row->done = db_get_int(rows, 36);
    row->expected = db_get_int(rows, 37);
    row->settled = db_get_int(rows, 38) != 0;
    row->details = row_text(arena, rows, 39);
    row->missing = db_get_int(rows, 40) != 0;
    row->shelf_id = db_get_int(rows, 41);
}

static int track_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct track_row *row = ret_row;
    *row = (struct track_row){
        .id = db_get_int(rows, 0),
        .album_id = db_get_int(rows, 1),
        .artist_id = db_get_int(rows, 2),
        .owner_user_id = db_get_int(rows, 3),
        .album_title = row_text(arena, rows, 4),
        .artist_name = row_text(arena, rows, 5),
        .cover_art_id = db_get_int(rows, 6),
        .title = row_text(arena, rows, 7),
        .title_key = row_text(arena, rows, 8),
        .track_number = db_get_int(rows, 9),
        .disc_number = db_get_int(rows, 10),
        .explicit = db_get_int(rows, 11) != 0,
        .has_lyrics = db_get_int(rows, 12) != 0,
        .published = db_get_int(rows, 13) != 0,
        .shelved = db_get_int(rows, 13) == 2,
        .isrc = row_text(arena, rows, 14),
        .status = row_text(arena, rows, 15),
        .failure_code = row_text(arena, rows, 16),
        .failure_reason = row_text(arena, rows, 17),
        .version = db_get_int(rows, 18),
        .pending_version = db_get_int(rows, 19),
        .version_last = db_get_int(rows, 20),
        .working = db_get_int(rows, 21) != 0,
        .duration_ms = db_get_int(rows, 22),
        .revision = db_get_int(rows, 23),
        .created_at = db_get_int(rows, 24),
        .updated_at = db_get_int(rows, 25),
        .has_album_lufs = !db_is_null(rows, 26),
        .album_lufs = db_get_real(rows, 26),
    };
    track_read_version(rows, arena, row);
    bool whole = row->album_title != NULL && row->artist_name != NULL && row->title != NULL &&
                 row->title_key != NULL && row->isrc != NULL && row->status != NULL &&
                 row->failure_code != NULL && row->failure_reason != NULL &&
                 row->filename != NULL && row->codec != NULL && row->summary != NULL &&
                 row->details != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

static int track_collect(struct db_rows *rows, struct arena *arena, unsigned limit,
                         struct track_list *ret_list)
{
    void *list = NULL;
    int error = rows_collect(rows, arena, limit, sizeof *ret_list->rows, track_read, &list,
                             &ret_list->count);
    ret_list->rows = list;
    return error;
}

int track_insert(struct db_session *session, const struct track_row *row)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO track (id, album_id, artist_id, title, title_key, track_number, disc_number, "
        "explicit, isrc, has_lyrics, published, status, failure_code, failure_reason, version, "
        "pending_version, version_last, working, duration_ms, revision, created_at, updated_at, "
        "shelf_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, " PUBLISHED_WRITTEN
        ", $12, '', '', $13, 0, $13, 1, 0, 1, $14, $14, " SHELF_WRITTEN ")",
        DB_BIND(db_int(row->id), db_int(row->album_id), db_int(row->artist_id), db_text(row->title),
                db_text(row->title_key), db_int(row->track_number), db_int(row->disc_number),
                db_int(row->explicit), db_text(row->isrc), db_int(row->has_lyrics),
                db_int(row->published), db_text(row->status), db_int(row->version),
                db_int(row->created_at))));
}

int track_get(struct db_session *session, struct arena *arena, int64_t id,
              struct track_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, TRACK_SELECT "AND t.id = $1", DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, track_read, ret_row);
}

int track_list_of_ids(struct db_session *session, struct arena *arena, const int64_t *ids,
                      struct track_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, TRACK_SELECT "AND t.id IN" ROWS_IN_16, ROWS_BIND_16(ids));
    return error != 0 ? error : track_collect(rows, arena, IDS_AT_ONCE, ret_list);
}

int track_update(struct db_session *session, const struct track_row *row)
{
    return changed_one(
        db_exec(session,
                "UPDATE track SET album_id = $2, artist_id = $3, title = $4, title_key = $5, "
                "track_number = $6, disc_number = $7, explicit = $8, isrc = $9, has_lyrics = $10, "
                "published = " PUBLISHED_WRITTEN ", shelf_id = " SHELF_WRITTEN
                ", updated_at = $12, revision = revision + 1, stale = 0 "
                "WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(row->id), db_int(row->album_id), db_int(row->artist_id),
                        db_text(row->title), db_text(row->title_key), db_int(row->track_number),
                        db_int(row->disc_number), db_int(row->explicit), db_text(row->isrc),
                        db_int(row->has_lyrics), db_int(row->published), db_int(row->updated_at))));
}

int track_update_state(struct db_session *session, const struct track_row *row)
{
    return changed_one(db_exec(
        session,
        "UPDATE track SET status = $2, failure_code = $3, failure_reason = $4, version = $5, "
        "pending_version = $6, version_last = $7, working = $8, duration_ms = $9 "
        "WHERE id = $1 AND deleted_at IS NULL",
        DB_BIND(db_int(row->id), db_text(row->status), db_text(row->failure_code),
                db_text(row->failure_reason), db_int(row->version), db_int(row->pending_version),
                db_int(row->version_last), db_int(row->working), db_int(row->duration_ms))));
}

int track_touch(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_any(
        db_exec(session,
                "UPDATE track SET revision = revision + 1, updated_at = $2, stale = 0 "
                "WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(now_ms))));
}

int track_bury(struct db_session *session, int64_t id, int64_t now_ms)
{
    return changed_one(
        db_exec(session,
                "UPDATE track SET title = '', title_key = '', isrc = '', recording_mbid = '', "
                "failure_code = '', "
                "failure_reason = '', details = '{}', has_lyrics = 0, working = 0, "
                "revision = revision + 1, "
                "updated_at = $2, deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(now_ms))));
}

int track_publish_of_album(struct db_session *session, int64_t album_id, bool published)
{
    return changed_any(
        db_exec(session,
                "UPDATE track SET published = CASE WHEN CAST($2 AS BIGINT) = 1 "
                "AND (SELECT r.shelved FROM album a JOIN artist r "
                "ON r.id = a.artist_id WHERE a.id = $1) = 1 THEN 2 "
                "ELSE CAST($2 AS BIGINT) END, shelf_id = COALESCE((SELECT a.shelf_id "
                "FROM album a WHERE a.id = $1), 0) WHERE album_id = $1 "
                "AND deleted_at IS NULL",
                DB_BIND(db_int(album_id), db_int(published))));
}

int track_move_of_album(struct db_session *session, int64_t album_id, int64_t artist_id)
{
    return changed_any(db_exec(session,
                               "UPDATE track SET artist_id = $2 WHERE album_id = $1 "
                               "AND deleted_at IS NULL",
                               DB_BIND(db_int(album_id), db_int(artist_id))));
}

int track_stale_of_album(struct db_session *session, int64_t album_id)
{
    return changed_any(db_exec(session,
                               "UPDATE track SET stale = 1 WHERE album_id = $1 "
                               "AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM album a "
                               "WHERE a.id = $1 AND a.working = 0 AND a.pending_art_id IS NULL)",
                               DB_BIND(db_int(album_id))));
}

int track_stale_of_tally(struct db_session *session, int64_t album_id,
                         const struct album_tally *tally)
{
    return changed_any(db_exec(
        session,
        "UPDATE track SET stale = 1 WHERE album_id = $1 AND deleted_at IS NULL AND working = 0 "
        "AND EXISTS (SELECT 1 FROM album a WHERE a.id = $1 AND a.working = 0 "
        "AND a.pending_art_id IS NULL AND (CAST($2 AS BIGINT) > 0 "
        "OR a.lufs IS DISTINCT FROM CAST($3 AS DOUBLE PRECISION)))",
        DB_BIND(db_int(album_id), db_int(tally->working),
                tally->has_lufs ? db_real(tally->lufs) : db_null())));
}

int track_stale_of_artist(struct db_session *session, int64_t artist_id)
{
    return changed_any(db_exec(session,
                               "UPDATE track SET stale = 1 WHERE artist_id = $1 "
                               "AND deleted_at IS NULL",
                               DB_BIND(db_int(artist_id))));
}

int track_list_of_album(struct db_session *session, struct arena *arena, int64_t album_id,
                        const struct list_place *place, struct track_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         TRACK_SELECT "AND t.album_id = $1 "
                                      "AND (t.disc_number, t.track_number, t.id) > ($2, $3, $4) "
                                      "ORDER BY t.disc_number, t.track_number, t.id LIMIT $5",
                         DB_BIND(db_int(album_id), db_int(place->disc), db_int(place->number),
                                 db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : track_collect(rows, arena, place->limit, ret_list);
}

int track_list_newest(struct db_session *session, struct arena *arena, int64_t shelf_id,
                      const struct list_place *place, struct track_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error =
        shelf_id == 0
            ? db_query(session, &rows,
                       TRACK_SELECT "AND t.published = 1 AND t.id < $1 ORDER BY t.id DESC LIMIT $2",
                       DB_BIND(db_int(place->id), db_int(place->limit)))
            : db_query(session, &rows,
                       TRACK_SELECT "AND t.published = 2 AND t.shelf_id = $1 AND t.shelf_id <> 0 "
                                    "AND t.id < $2 ORDER BY t.id DESC LIMIT $3",
                       DB_BIND(db_int(shelf_id), db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : track_collect(rows, arena, place->limit, ret_list);
}

int track_list_by_title(struct db_session *session, struct arena *arena, int64_t shelf_id,
                        const struct list_place *place, struct track_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error =
        shelf_id == 0
            ? db_query(session, &rows,
                       TRACK_SELECT "AND t.published = 1 AND (t.title_key, t.id) > ($1, $2) "
                                    "ORDER BY t.title_key, t.id LIMIT $3",
                       DB_BIND(db_text(place->key), db_int(place->id), db_int(place->limit)))
            : db_query(session, &rows,
                       TRACK_SELECT "AND t.published = 2 AND t.shelf_id = $1 "
                                    "AND (t.title_key, t.id) > ($2, $3) "
                                    "ORDER BY t.title_key, t.id LIMIT $4",
                       DB_BIND(db_int(shelf_id), db_text(place->key), db_int(place->id),
                               db_int(place->limit)));
    return error != 0 ? error : track_collect(rows, arena, place->limit, ret_list);
}

/* Who sees artist $1 sees what is on the artist's shelf. */
#define ON_OWN_SHELF                                                                               \
    "OR (o.published = 2 AND o.shelf_id = (SELECT r.shelf_id FROM artist r WHERE r.id = $1))"

int track_list_of_artist(struct db_session *session, struct arena *arena, int64_t artist_id,
                         bool drafts, const struct list_place *place, struct track_list *ret_list)
{
    struct db_rows *rows = NULL;
    /* Each half is walked along its index; a draft of another's shows no guest. */
    int error = db_query(
        session, &rows,
        TRACK_SELECT
        "AND t.id IN (SELECT id FROM (SELECT o.id FROM track o WHERE o.artist_id = $1 "
        "AND o.deleted_at IS NULL AND (o.published = 1 OR CAST($2 AS BIGINT) = 1 " ON_OWN_SHELF
        ") AND o.id < $3 ORDER BY o.id DESC LIMIT $4) own "
        "UNION SELECT id FROM (SELECT g.track_id AS id "
        "FROM track_artist g JOIN track o ON o.id = g.track_id WHERE g.artist_id = $1 "
        "AND o.deleted_at IS NULL AND (o.published = 1 " ON_OWN_SHELF ") AND g.track_id < $3 "
        "ORDER BY g.track_id DESC LIMIT $4) guest) ORDER BY t.id DESC LIMIT $4",
        DB_BIND(db_int(artist_id), db_int(drafts), db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : track_collect(rows, arena, place->limit, ret_list);
}

int track_ids_of_album(struct db_session *session, struct arena *arena, int64_t album_id,
                       int64_t **ret_ids, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows, "SELECT id FROM track WHERE album_id = $1 AND deleted_at IS NULL",
                 DB_BIND(db_int(album_id)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}

int catalog_ids_elsewhere(struct db_session *session, struct arena *arena, int64_t artist_id,
                          int64_t **ret_ids, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT t.id FROM track t JOIN album a ON a.id = t.album_id "
                         "WHERE t.artist_id = $1 AND t.deleted_at IS NULL AND a.artist_id <> $1 "
                         "ORDER BY t.album_id, t.id",
                         DB_BIND(db_int(artist_id)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}

int track_number_next(struct db_session *session, int64_t album_id, int64_t disc_number,
                      int64_t *ret_number)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT COALESCE(MAX(track_number), 0) + 1 FROM track "
                         "WHERE album_id = $1 AND disc_number = $2 AND deleted_at IS NULL",
                         DB_BIND(db_int(album_id), db_int(disc_number)));
    return error != 0 ? error : rows_number(rows, ret_number);
}

int lyrics_get(struct db_session *session, struct arena *arena, int64_t track_id,
               const char **ret_text, int64_t *ret_updated_at)
{
    DB_ROWS rows = NULL;
    int error =
        db_query(session, &rows, "SELECT text, updated_at FROM track_lyrics WHERE track_id = $1",
                 DB_BIND(db_int(track_id)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_NOT_FOUND;
    }
    *ret_text = row_text(arena, rows, 0);
    *ret_updated_at = db_get_int(rows, 1);
    return *ret_text != NULL ? 0 : ERR_NO_MEMORY;
}

int lyrics_put(struct db_session *session, int64_t track_id, const char *text, int64_t now_ms)
{
    return changed_any(
        db_exec(session,
                "INSERT INTO track_lyrics (track_id, text, updated_at) VALUES ($1, $2, $3) "
                "ON CONFLICT (track_id) DO UPDATE SET text = $2, updated_at = $3",
                DB_BIND(db_int(track_id), db_text(text), db_int(now_ms))));
}

int lyrics_delete(struct db_session *session, int64_t track_id)
{
    return changed_any(db_exec(session, "DELETE FROM track_lyrics WHERE track_id = $1",
                               DB_BIND(db_int(track_id))));
}

int catalog_announced_tracks(struct db_session *session, const char *since_day, unsigned limit,
                             int64_t *ids, unsigned *ret_count)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT t.id FROM album a JOIN track t ON t.album_id = a.id "
                         "WHERE a.deleted_at IS NULL AND a.status = 'published' "
                         "AND a.release_date >= $1 AND t.deleted_at IS NULL "
                         "AND t.status = 'ready' "
                         "ORDER BY a.release_date, a.id, t.disc_number, t.track_number, t.id "
                         "LIMIT $2",
                         DB_BIND(db_text(since_day), db_int(limit)));
    int more = error != 0 ? error : db_next(rows);
    for (*ret_count = 0; more == 1 && *ret_count < limit; more = db_next(rows)) {
        ids[(*ret_count)++] = db_get_int(rows, 0);
    }
    return more < 0 ? more : 0;
}
