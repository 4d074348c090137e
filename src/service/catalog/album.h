/* What is computed of an album from its tracks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct db_session;
struct db_rows;

struct album_tally {
    int64_t tracks, duration_ms, working;
    bool has_lufs, has_peak;
    double lufs, peak_db;
};

/* Statements (album_store.c). */
int album_tally(struct db_session *session, int64_t id, struct album_tally *ret_tally);
/* Rows (histogram, true_peak_db) of the versions that play. The caller closes the cursor. */
int album_histograms(struct db_session *session, int64_t id, struct db_rows **ret_rows);
/* The tracks with nothing under way are stale if the album's loudness changes with this tally, or
 * is going to (track_store.c). */
int track_stale_of_tally(struct db_session *session, int64_t album_id,
                         const struct album_tally *tally);
int album_set_tally(struct db_session *session, int64_t id, const struct album_tally *tally);
