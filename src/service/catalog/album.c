/* What is computed of an album from its tracks (catalog_rows.h: album_refresh). Runs inside the
 * transaction that changes a track, so that an album never shows another sum than its list. */
#include "service/catalog/album.h"

#include "backend/db/db.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/emptied.h"
#include "service/catalog/loudness.h"

#include <math.h>

static int sum_loudness(struct db_session *session, int64_t id, struct album_tally *tally)
{
    struct loudness_histogram histogram = {{0}};
    double peak_db = -INFINITY;
    DB_ROWS rows = NULL;
    int error = album_histograms(session, id, &rows);
    if (error != 0) {
        return error;
    }
    int more;
    while ((more = db_next(rows)) > 0) {
        size_t length = 0;
        const void *bytes = db_get_blob(rows, 0, &length);
        if (bytes != NULL && loudness_add(&histogram, bytes, length) && !db_is_null(rows, 1)) {
            double track_db = db_get_real(rows, 1);
            peak_db = track_db > peak_db ? track_db : peak_db;
        }
    }
    if (more < 0) {
        return more;
    }
    tally->has_lufs = loudness_integrated(&histogram, &tally->lufs);
    tally->has_peak = isfinite(peak_db);
    tally->peak_db = tally->has_peak ? peak_db : 0;
    return 0;
}

int album_refresh(struct db_session *session, int64_t id)
{
    struct album_tally tally = {0};
    int error = album_tally(session, id, &tally);
    if (error == 0) {
        error = sum_loudness(session, id, &tally);
    }
    error = error != 0 ? error : track_stale_of_tally(session, id, &tally);
    error = error != 0 ? error : album_set_tally(session, id, &tally);
    return error != 0 || tally.tracks == 0 ? error : emptied_album_refill(session, id);
}
