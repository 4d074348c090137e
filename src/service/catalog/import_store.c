/* SQL of what imports alone write (import_store.h). */
#include "service/catalog/import_store.h"

#include "service/store_util.h"

int import_artist_set(struct db_session *session, int64_t id, const char *mbid, int64_t shelf_id)
{
    return changed_one(
        db_exec(session,
                "UPDATE artist SET imported = 1, mbid = $2, shelf_id = $3, shelved = "
                "(SELECT COUNT(*) FROM shelf s WHERE s.id = $3 AND s.seen_by = 'some') "
                "WHERE id = $1",
                DB_BIND(db_int(id), db_text(mbid), db_int(shelf_id))));
}

int import_artist_owner_set(struct db_session *session, int64_t id, int64_t user_id, int64_t now_ms)
{
    return changed_one(db_exec(session,
                               "UPDATE artist SET owner_user_id = $2, revision = revision + 1, "
                               "updated_at = $3 WHERE id = $1 AND deleted_at IS NULL",
                               DB_BIND(db_int(id), db_int(user_id), db_int(now_ms))));
}

int import_files_owner_set(struct db_session *session, int64_t artist_id, int64_t user_id)
{
    return changed_any(db_exec(session,
                               "UPDATE track_version SET owner_user_id = $2 WHERE track_id IN "
                               "(SELECT t.id FROM track t JOIN album a ON a.id = t.album_id "
                               "WHERE a.artist_id = $1)",
                               DB_BIND(db_int(artist_id), db_int(user_id))));
}

int import_artist_is_bare(struct db_session *session, int64_t id, bool *ret_bare)
{
    struct db_rows *rows = NULL;
    bool any = false;
    int error = db_query(
        session, &rows,
        "SELECT 1 FROM artist r WHERE r.id = $1 AND (EXISTS (SELECT 1 FROM album a "
        "WHERE a.artist_id = r.id AND a.deleted_at IS NULL) OR EXISTS (SELECT 1 FROM track t "
        "WHERE t.artist_id = r.id AND t.deleted_at IS NULL) OR EXISTS (SELECT 1 "
        "FROM track_artist c JOIN track t ON t.id = c.track_id WHERE c.artist_id = r.id "
        "AND t.deleted_at IS NULL))",
        DB_BIND(db_int(id)));
    error = error != 0 ? error : rows_exist(rows, &any);
    *ret_bare = !any;
    return error;
}

int import_album_set(struct db_session *session, const struct album_row *row)
{
    return changed_one(
        db_exec(session,
                "UPDATE album SET sort_title = $2, original_date = $3, mbid = $4, "
                "group_mbid = $5, disc_titles = $6 WHERE id = $1",
                DB_BIND(db_int(row->id), db_text(row->sort_title), db_text(row->original_date),
                        db_text(row->mbid), db_text(row->group_mbid), db_text(row->disc_titles))));
}

int import_track_set(struct db_session *session, int64_t id, const char *details,
                     const char *title_key, const char *recording_mbid)
{
    return changed_one(db_exec(
        session, "UPDATE track SET details = $2, title_key = $3, recording_mbid = $4 WHERE id = $1",
        DB_BIND(db_int(id), db_text(details), db_text(title_key), db_text(recording_mbid))));
}

int import_details_set(struct db_session *session, int64_t id, const char *details)
{
    return changed_one(db_exec(session, "UPDATE track SET details = $2, stale = 1 WHERE id = $1",
                               DB_BIND(db_int(id), db_text(details))));
}

int import_version_insert(struct db_session *session, const struct version_row *row, bool outside)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO track_version (track_id, version, owner_user_id, source_key, source_bytes, "
        "filename, codec, rate, channels, lossless, samples, duration_ms, expected, done, summary, "
        "playable, complete, created_at, outside) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
        "0, $11, 1, 1, $12, 0, 0, $13, $14)",
        DB_BIND(db_int(row->track_id), db_int(row->version), db_int(row->owner_user_id),
                db_text(row->source_key), db_int(row->source_bytes), db_text(row->filename),
                db_text(row->codec), db_int(row->rate), db_int(row->channels),
                db_int(row->lossless), db_int(row->duration_ms), db_text(row->summary),
                db_int(row->created_at), db_int(outside))));
}

int import_version_file(struct db_session *session, int64_t track_id, int64_t version,
                        const char *filename, int64_t bytes)
{
    return changed_one(
        db_exec(session,
                "UPDATE track_version SET source_bytes = $3, filename = $4 "
                "WHERE track_id = $1 AND version = $2",
                DB_BIND(db_int(track_id), db_int(version), db_int(bytes), db_text(filename))));
}

int import_rendition_bytes(struct db_session *session, int64_t track_id, int64_t version,
                           int64_t bytes)
{
    return changed_any(db_exec(session,
                               "UPDATE rendition SET bytes = $3 WHERE track_id = $1 "
                               "AND version = $2 AND format = 'original'",
                               DB_BIND(db_int(track_id), db_int(version), db_int(bytes))));
}

static int original_again(struct db_session *session, const struct version_row *row,
                          int64_t new_version)
{
    return changed_any(db_exec(
        session,
        "INSERT INTO rendition (track_id, version, file, format, bitrate, mime, codecs, bytes, "
        "samples, timescale, channels, init_bytes, index_bytes, first_fragment_end, "
        "bandwidth_peak, bandwidth_average) SELECT track_id, $3, file, format, bitrate, mime, "
        "codecs, bytes, samples, timescale, channels, init_bytes, index_bytes, "
        "first_fragment_end, bandwidth_peak, bandwidth_average FROM rendition "
        "WHERE track_id = $1 AND version = $2 AND format = 'original'",
        DB_BIND(db_int(row->track_id), db_int(row->version), db_int(new_version))));
}

int import_version_again(struct db_session *session, const struct version_row *row,
                         int64_t new_version)
{
    int error = changed_one(db_exec(
        session,
        "INSERT INTO track_version (track_id, version, owner_user_id, source_key, source_bytes, "
        "filename, codec, rate, channels, lossless, samples, duration_ms, track_lufs, "
        "true_peak_db, histogram, expected, done, summary, playable, complete, created_at, "
        "outside) SELECT track_id, $3, owner_user_id, $4, source_bytes, filename, codec, rate, "
        "channels, lossless, samples, duration_ms, track_lufs, true_peak_db, histogram, 1, 1, $5, "
        "0, 0, created_at, outside FROM track_version WHERE track_id = $1 AND version = $2",
        DB_BIND(db_int(row->track_id), db_int(row->version), db_int(new_version),
                db_text(row->source_key), db_text(row->summary))));
    return error != 0 ? error : original_again(session, row, new_version);
}

static int rungs_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    (void)arena;
    *(struct catalog_rungs *)ret_row = (struct catalog_rungs){.track_id = db_get_int(rows, 0),
                                                              .version = db_get_int(rows, 1),
                                                              .bytes = db_get_int(rows, 2),
                                                              .made_ms = db_get_int(rows, 3)};
    return 0;
}

int import_rungs_list(struct db_session *session, struct arena *arena, unsigned limit,
                      struct catalog_rungs **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(
        session, &rows,
        "SELECT r.track_id, r.version, CAST(SUM(r.bytes) AS BIGINT), MAX(v.completed_at) "
        "FROM rendition r JOIN track_version v ON v.track_id = r.track_id "
        "AND v.version = r.version JOIN track t ON t.id = r.track_id AND t.version = r.version "
        "WHERE v.outside = 1 AND v.removed_at IS NULL AND t.working = 0 "
        "AND (v.complete = 1 OR t.failure_code <> '') "
        "AND t.deleted_at IS NULL AND r.format <> 'original' AND EXISTS (SELECT 1 FROM rendition o "
        "WHERE o.track_id = r.track_id AND o.version = r.version AND o.format = 'original') "
        "GROUP BY r.track_id, r.version ORDER BY MAX(v.completed_at), r.track_id LIMIT $1",
        DB_BIND(db_int(limit)));
    error = error != 0
                ? error
                : rows_collect(rows, arena, limit, sizeof **ret_rows, rungs_read, &list, ret_count);
    *ret_rows = list;
    return error;
}

/* media/failure.h, and what has been tried for hours (transcode's out-of-limits and crashed). */
#define FILES_OWN                                                                                  \
    "('not-audio', 'no-samples', 'truncated', 'damaged', 'too-long', 'bad-rate', 'bad-channels', " \
    "'out-of-limits', 'crashed')"

static int failed_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    (void)arena;
    *(struct catalog_failed *)ret_row =
        (struct catalog_failed){.track_id = db_get_int(rows, 0), .version = db_get_int(rows, 1)};
    return 0;
}

int import_failed_list(struct db_session *session, struct arena *arena, int64_t after_id,
                       unsigned limit, struct catalog_failed **ret_rows, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT t.id, t.version FROM track t JOIN track_version v ON v.track_id = t.id "
                 "AND v.version = t.version WHERE t.failure_code <> '' "
                 "AND t.failure_code NOT IN " FILES_OWN " AND t.working = 0 "
                 "AND t.deleted_at IS NULL AND v.outside = 1 AND v.complete = 0 "
                 "AND t.id > $1 ORDER BY t.id LIMIT $2",
                 DB_BIND(db_int(after_id), db_int(limit)));
    error = error != 0 ? error
                       : rows_collect(rows, arena, limit, sizeof **ret_rows, failed_read, &list,
                                      ret_count);
    *ret_rows = list;
    return error;
}

int import_missing_set(struct db_session *session, int64_t track_id, bool missing)
{
    return changed_any(db_exec(session,
                               "UPDATE track SET missing = $2, stale = 1 WHERE id = $1 "
                               "AND missing <> $2 AND deleted_at IS NULL",
                               DB_BIND(db_int(track_id), db_int(missing))));
}

int import_working_set(struct db_session *session, int64_t track_id)
{
    return changed_one(db_exec(session, "UPDATE track SET working = 1, stale = 1 WHERE id = $1",
                               DB_BIND(db_int(track_id))));
}

int track_artist_insert(struct db_session *session, int64_t track_id, int64_t artist_id,
                        int64_t place)
{
    return changed_any(db_exec(session,
                               "INSERT INTO track_artist (track_id, artist_id, place) "
                               "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                               DB_BIND(db_int(track_id), db_int(artist_id), db_int(place))));
}

int track_artist_delete(struct db_session *session, int64_t track_id)
{
    return changed_any(db_exec(session, "DELETE FROM track_artist WHERE track_id = $1",
                               DB_BIND(db_int(track_id))));
}

int track_artist_leave(struct db_session *session, int64_t artist_id)
{
    return changed_any(db_exec(session, "DELETE FROM track_artist WHERE artist_id = $1",
                               DB_BIND(db_int(artist_id))));
}

int track_ids_credited(struct db_session *session, struct arena *arena, int64_t artist_id,
                       int64_t **ret_ids, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT g.track_id FROM track_artist g JOIN track t ON t.id = g.track_id "
                         "WHERE g.artist_id = $1 AND t.deleted_at IS NULL",
                         DB_BIND(db_int(artist_id)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}
