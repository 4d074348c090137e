/* SQL of track versions and their renditions (catalog_rows.h). */
#include "service/catalog/catalog_rows.h"

#include "service/store_util.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

int version_insert(struct db_session *session, const struct version_row *row)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO track_version (track_id, version, owner_user_id, source_key, source_bytes, "
        "filename, codec, rate, channels, lossless, samples, duration_ms, expected, done, summary, "
        "playable, complete, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, '', 0, 0, 0, 0, 0, 0, 0, '[]', 0, 0, $7)",
        DB_BIND(db_int(row->track_id), db_int(row->version), db_int(row->owner_user_id),
                db_text(row->source_key), db_int(row->source_bytes), db_text(row->filename),
                db_int(row->created_at))));
}

static int version_read(struct db_rows *rows, struct arena *arena, struct version_row *row)
{
    *row = (struct version_row){
        .track_id = db_get_int(rows, 0),
        .version = db_get_int(rows, 1),
        .owner_user_id = db_get_int(rows, 2),
        .source_key = row_text(arena, rows, 3),
        .source_bytes = db_get_int(rows, 4),
        .filename = row_text(arena, rows, 5),
        .codec = row_text(arena, rows, 6),
        .rate = db_get_int(rows, 7),
        .channels = db_get_int(rows, 8),
        .lossless = db_get_int(rows, 9) != 0,
        .samples = db_get_int(rows, 10),
        .duration_ms = db_get_int(rows, 11),
        .has_track_lufs = !db_is_null(rows, 12),
        .track_lufs = db_get_real(rows, 12),
        .has_true_peak = !db_is_null(rows, 13),
        .true_peak_db = db_get_real(rows, 13),
        .expected = db_get_int(rows, 14),
        .done = db_get_int(rows, 15),
        .summary = row_text(arena, rows, 16),
        .playable = db_get_int(rows, 17) != 0,
        .complete = db_get_int(rows, 18) != 0,
        .created_at = db_get_int(rows, 19),
        .outside = db_get_int(rows, 20) != 0,
    };
    bool whole = row->source_key != NULL && row->filename != NULL && row->codec != NULL &&
                 row->summary != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

int version_get(struct db_session *session, struct arena *arena, int64_t track_id, int64_t version,
                struct version_row *ret_row)
{
    DB_ROWS rows = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT track_id, version, owner_user_id, source_key, source_bytes, filename, "
                 "codec, rate, channels, lossless, samples, duration_ms, track_lufs, "
                 "true_peak_db, expected, done, summary, playable, complete, created_at, outside "
                 "FROM track_version WHERE track_id = $1 AND version = $2 AND removed_at IS NULL",
                 DB_BIND(db_int(track_id), db_int(version)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    return more > 0 ? version_read(rows, arena, ret_row) : more < 0 ? more : ERR_NOT_FOUND;
}

int version_set_probe(struct db_session *session, const struct version_row *row)
{
    return changed_one(db_exec(
        session,
        "UPDATE track_version SET codec = $3, rate = $4, channels = $5, lossless = $6, "
        "samples = $7, duration_ms = $8, track_lufs = $9, true_peak_db = $10, histogram = $11, "
        "expected = $12 WHERE track_id = $1 AND version = $2",
        DB_BIND(db_int(row->track_id), db_int(row->version), db_text(row->codec), db_int(row->rate),
                db_int(row->channels), db_int(row->lossless), db_int(row->samples),
                db_int(row->duration_ms),
                row->has_track_lufs ? db_real(row->track_lufs) : db_null(),
                row->has_true_peak ? db_real(row->true_peak_db) : db_null(),
                row->histogram != NULL ? db_blob(row->histogram, row->histogram_bytes) : db_null(),
                db_int(row->expected))));
}

int version_set_progress(struct db_session *session, int64_t track_id, int64_t version,
                         int64_t done, const char *summary, bool playable)
{
    return changed_one(db_exec(session,
                               "UPDATE track_version SET done = $3, summary = $4, playable = $5 "
                               "WHERE track_id = $1 AND version = $2",
                               DB_BIND(db_int(track_id), db_int(version), db_int(done),
                                       db_text(summary), db_int(playable))));
}

int version_set_complete(struct db_session *session, int64_t track_id, int64_t version,
                         int64_t now_ms)
{
    return changed_one(db_exec(session,
                               "UPDATE track_version SET complete = 1, completed_at = $3 "
                               "WHERE track_id = $1 AND version = $2",
                               DB_BIND(db_int(track_id), db_int(version), db_int(now_ms))));
}

int version_remove(struct db_session *session, int64_t track_id, int64_t version, int64_t now_ms)
{
    return changed_any(db_exec(session,
                               "UPDATE track_version SET removed_at = $3, filename = '', "
                               "histogram = NULL, summary = '[]' "
                               "WHERE track_id = $1 AND version = $2 AND removed_at IS NULL",
                               DB_BIND(db_int(track_id), db_int(version), db_int(now_ms))));
}

int version_remove_all(struct db_session *session, int64_t track_id, int64_t now_ms)
{
    return changed_any(db_exec(session,
                               "UPDATE track_version SET removed_at = $2, filename = '', "
                               "histogram = NULL, summary = '[]' "
                               "WHERE track_id = $1 AND removed_at IS NULL",
                               DB_BIND(db_int(track_id), db_int(now_ms))));
}

int version_exists(struct db_session *session, int64_t track_id, int64_t version,
                   int64_t removed_since_ms, bool *ret_exists)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT version FROM track_version WHERE track_id = $1 AND version = $2 "
                         "AND (removed_at IS NULL OR removed_at > $3)",
                         DB_BIND(db_int(track_id), db_int(version), db_int(removed_since_ms)));
    if (error != 0) {
        return error;
    }
    return rows_exist(rows, ret_exists);
}

int version_bytes_of_owner(struct db_session *session, int64_t user_id, int64_t *ret_bytes)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT CAST(COALESCE(SUM(source_bytes), 0) AS BIGINT) FROM track_version "
                         "WHERE owner_user_id = $1 AND removed_at IS NULL AND outside = 0",
                         DB_BIND(db_int(user_id)));
    return error != 0 ? error : rows_number(rows, ret_bytes);
}

/* Fragments are kept as pairs of little-endian uint32 (bytes, duration). */
static uint32_t *fragments_swap(struct arena *arena, const uint32_t *words, size_t count)
{
    uint32_t *copy = arena_array(arena, count, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = htole32(words[i]);
    }
    return copy;
}

int rendition_insert(struct db_session *session, int64_t track_id, int64_t version,
                     const struct rendition *rendition)
{
    struct arena *arena = arena_new(0);
    if (arena == NULL) {
        return ERR_NO_MEMORY;
    }
    size_t words = (size_t)rendition->fragment_count * 2;
    const uint32_t *fragments =
        words > 0 ? fragments_swap(arena, rendition->fragments, words) : NULL;
    int changed = ERR_NO_MEMORY;
    if (words == 0 || fragments != NULL) {
        changed = db_exec(
            session,
            "INSERT INTO rendition (track_id, version, file, format, bitrate, mime, codecs, bytes, "
            "samples, timescale, channels, init_bytes, index_bytes, first_fragment_end, "
            "bandwidth_peak, bandwidth_average, fragments) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
            "$9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING",
            DB_BIND(db_int(track_id), db_int(version), db_text(rendition->file),
                    db_text(rendition->format), db_int(rendition->bitrate),
                    db_text(rendition->mime), db_text(rendition->codecs), db_int(rendition->bytes),
                    db_int(rendition->samples), db_int(rendition->timescale),
                    db_int(rendition->channels), db_int(rendition->init_bytes),
                    db_int(rendition->index_bytes), db_int(rendition->first_fragment_end),
                    db_int(rendition->bandwidth_peak), db_int(rendition->bandwidth_average),
                    words > 0 ? db_blob(fragments, words * sizeof *fragments) : db_null()));
    }
    arena_free(arena);
    return changed_any(changed);
}

static void copy_column(char *out, size_t out_size, struct db_rows *rows, unsigned column)
{
    const char *text = db_get_text(rows, column);
    (void)snprintf(out, out_size, "%s", text != NULL ? text : "");
}

static int rendition_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct rendition *row = ret_row;
    copy_column(row->file, sizeof row->file, rows, 0);
    copy_column(row->format, sizeof row->format, rows, 1);
    row->bitrate = (unsigned)db_get_int(rows, 2);
    copy_column(row->mime, sizeof row->mime, rows, 3);
    copy_column(row->codecs, sizeof row->codecs, rows, 4);
    row->bytes = db_get_int(rows, 5);
    row->samples = db_get_int(rows, 6);
    row->timescale = db_get_int(rows, 7);
    row->channels = (unsigned)db_get_int(rows, 8);
    row->init_bytes = db_get_int(rows, 9);
    row->index_bytes = db_get_int(rows, 10);
    row->first_fragment_end = db_get_int(rows, 11);
    row->bandwidth_peak = db_get_int(rows, 12);
    row->bandwidth_average = db_get_int(rows, 13);
    size_t length = 0;
    const unsigned char *bytes = db_get_blob(rows, 14, &length);
    size_t words = bytes != NULL ? length / 8 * 2 : 0;
    if (words == 0) {
        return 0;
    }
    uint32_t *fragments = arena_array(arena, words, sizeof *fragments);
    if (fragments == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(fragments, bytes, words * sizeof *fragments);
    for (size_t i = 0; i < words; i++) {
        fragments[i] = le32toh(fragments[i]);
    }
    row->fragments = fragments;
    row->fragment_count = (unsigned)(words / 2);
    return 0;
}

int rendition_list(struct db_session *session, struct arena *arena, int64_t track_id,
                   int64_t version, struct rendition **ret_rows, unsigned *ret_count)
{
    enum { RENDITIONS_MAX = 32 }; /* nine, FLAC, the original, and room */
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT file, format, bitrate, mime, codecs, bytes, samples, timescale, channels, "
                 "init_bytes, index_bytes, first_fragment_end, bandwidth_peak, bandwidth_average, "
                 "fragments FROM rendition WHERE track_id = $1 AND version = $2 "
                 "ORDER BY format, bitrate, file LIMIT 32",
                 DB_BIND(db_int(track_id), db_int(version)));
    if (error != 0) {
        return error;
    }
    void *list = NULL;
    error = rows_collect(rows, arena, RENDITIONS_MAX, sizeof **ret_rows, rendition_read, &list,
                         ret_count);
    *ret_rows = list;
    return error;
}

int rendition_delete_all(struct db_session *session, int64_t track_id, int64_t version)
{
    return changed_any(db_exec(session,
                               "DELETE FROM rendition WHERE track_id = $1 AND version = $2",
                               DB_BIND(db_int(track_id), db_int(version))));
}

int rendition_delete_of_track(struct db_session *session, int64_t track_id)
{
    return changed_any(
        db_exec(session, "DELETE FROM rendition WHERE track_id = $1", DB_BIND(db_int(track_id))));
}
