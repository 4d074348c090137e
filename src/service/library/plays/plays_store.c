/* SQL of plays (plays.h): the activity database. */
#include "service/library/plays/plays.h"

#include "service/page.h"
#include "service/store_util.h"

int play_seen_add(struct db_session *session, const struct play *play)
{
    return db_exec(session,
                   "INSERT INTO play_seen (user_id, play_id, received_at) VALUES ($1, $2, $3) "
                   "ON CONFLICT (user_id, play_id) DO NOTHING",
                   DB_BIND(db_int(play->user_id), db_text(play->id), db_int(play->received_at)));
}

/* 1: it was not there. */
static int history_add(struct db_session *session, const struct play *play)
{
    return db_exec(
        session,
        "INSERT INTO play_history (user_id, started_at, play_id, track_id, album_id, artist_id, "
        "played_ms, duration_ms, counted, source, source_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
        "ON CONFLICT (user_id, started_at, play_id) DO NOTHING",
        DB_BIND(db_int(play->user_id), db_int(play->started_at), db_text(play->id),
                db_int(play->track_id), db_int(play->album_id), db_int(play->artist_id),
                db_int(play->played_ms), db_int(play->duration_ms), db_int(play->counted),
                db_text(play->source), db_int_or_null(play->source_id)));
}

static int tally_add(struct db_session *session, const struct play *play, const char *kind,
                     int64_t id, bool *ret_first)
{
    struct db_rows *rows = NULL;
    int64_t plays = 0;
    int error = db_query(
        session, &rows,
        "INSERT INTO play_tally (user_id, kind, id, plays, played_ms, first_at, last_at) "
        "VALUES ($1, $2, $3, 1, $4, $5, $5) ON CONFLICT (user_id, kind, id) DO UPDATE SET "
        "plays = play_tally.plays + 1, played_ms = play_tally.played_ms + excluded.played_ms, "
        "first_at = CASE WHEN excluded.first_at < play_tally.first_at THEN excluded.first_at "
        "ELSE play_tally.first_at END, "
        "last_at = CASE WHEN excluded.last_at > play_tally.last_at THEN excluded.last_at "
        "ELSE play_tally.last_at END RETURNING plays",
        DB_BIND(db_int(play->user_id), db_text(kind), db_int(id), db_int(play->played_ms),
                db_int(play->started_at)));
    error = error != 0 ? error : rows_number(rows, &plays);
    *ret_first = plays == 1;
    return error;
}

static int total_add(struct db_session *session, const struct play *play, const char *kind,
                     int64_t id, bool first)
{
    return changed_any(db_exec(
        session,
        "INSERT INTO play_total (kind, id, plays, listeners, played_ms, last_at) "
        "VALUES ($1, $2, 1, $3, $4, $5) ON CONFLICT (kind, id) DO UPDATE SET "
        "plays = play_total.plays + 1, listeners = play_total.listeners + excluded.listeners, "
        "played_ms = play_total.played_ms + excluded.played_ms, "
        "last_at = CASE WHEN excluded.last_at > play_total.last_at THEN excluded.last_at "
        "ELSE play_total.last_at END",
        DB_BIND(db_text(kind), db_int(id), db_int(first), db_int(play->played_ms),
                db_int(play->started_at))));
}

static int count_one(struct db_session *session, const struct play *play, const char *kind,
                     int64_t id)
{
    bool first = false;
    int error = tally_add(session, play, kind, id, &first);
    return error != 0 ? error : total_add(session, play, kind, id, first);
}

static int is_erased(struct db_session *session, int64_t user_id, bool *ret_erased)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, "SELECT erased_at FROM play_erased WHERE user_id = $1",
                         DB_BIND(db_int(user_id)));
    return error != 0 ? error : rows_exist(rows, ret_erased);
}

int play_apply(struct db_session *session, const struct play *play)
{
    bool erased = false;
    int result = is_erased(session, play->user_id, &erased);
    if (result != 0 || erased) {
        return result;
    }
    result = history_add(session, play);
    if (result <= 0 || !play->counted) {
        return result < 0 ? result : 0;
    }
    int error = count_one(session, play, "track", play->track_id);
    error = error != 0 ? error : count_one(session, play, "album", play->album_id);
    return error != 0 ? error : count_one(session, play, "artist", play->artist_id);
}

int play_erase_person(struct db_session *session, int64_t user_id, int64_t now_ms)
{
    int error = changed_any(db_exec(session,
                                    "INSERT INTO play_erased (user_id, erased_at) VALUES ($1, $2) "
                                    "ON CONFLICT (user_id) DO NOTHING",
                                    DB_BIND(db_int(user_id), db_int(now_ms))));
    if (error == 0) {
        error = changed_any(
            db_exec(session, "DELETE FROM play_seen WHERE user_id = $1", DB_BIND(db_int(user_id))));
    }
    if (error == 0) {
        error = changed_any(db_exec(session, "DELETE FROM play_history WHERE user_id = $1",
                                    DB_BIND(db_int(user_id))));
    }
    if (error == 0) {
        error = changed_any(db_exec(session, "DELETE FROM play_tally WHERE user_id = $1",
                                    DB_BIND(db_int(user_id))));
    }
    return error != 0 ? error : playing_clear(session, user_id);
}

static int history_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct play *row = ret_row;
    *row = (struct play){
        .started_at = db_get_int(rows, 0),
        .id = row_text(arena, rows, 1),
        .track_id = db_get_int(rows, 2),
        .album_id = db_get_int(rows, 3),
        .artist_id = db_get_int(rows, 4),
        .played_ms = db_get_int(rows, 5),
        .duration_ms = db_get_int(rows, 6),
        .counted = db_get_int(rows, 7) != 0,
        .source = row_text(arena, rows, 8),
        .source_id = db_get_int(rows, 9),
    };
    return row->id != NULL && row->source != NULL ? 0 : ERR_NO_MEMORY;
}

int play_history(struct db_session *session, struct arena *arena, int64_t user_id,
                 const struct list_place *place, struct play_list *ret_list)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(
        session, &rows,
        "SELECT started_at, play_id, track_id, album_id, artist_id, played_ms, "
        "duration_ms, counted, source, source_id FROM play_history "
        "WHERE user_id = $1 AND (started_at, play_id) < ($2, $3) "
        "ORDER BY started_at DESC, play_id DESC LIMIT $4",
        DB_BIND(db_int(user_id), db_int(place->id), db_text(place->key), db_int(place->limit)));
    error = error != 0 ? error
                       : rows_collect(rows, arena, place->limit, sizeof *ret_list->rows,
                                      history_read, &list, &ret_list->count);
    ret_list->rows = list;
    return error;
}

static int tally_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct tally_row *row = ret_row;
    (void)arena;
    *row = (struct tally_row){.id = db_get_int(rows, 0),
                              .plays = db_get_int(rows, 1),
                              .played_ms = db_get_int(rows, 2),
                              .first_at = db_get_int(rows, 3),
                              .last_at = db_get_int(rows, 4)};
    return 0;
}

#define TALLY_SELECT                                                                               \
    "SELECT id, plays, played_ms, first_at, last_at FROM play_tally WHERE user_id = $1 AND kind "  \
    "= $2 "

int play_tallies(struct db_session *session, struct arena *arena, int64_t user_id, const char *kind,
                 bool by_time, const struct list_place *place, struct tally_list *ret_list)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    const struct db_value values[] = {db_int(user_id), db_text(kind), db_int(place->number),
                                      db_int(place->id), db_int(place->limit)};
    int error = by_time ? db_query(session, &rows,
                                   TALLY_SELECT "AND (last_at, id) < ($3, $4) "
                                                "ORDER BY last_at DESC, id DESC LIMIT $5",
                                   values, COUNT_OF(values))
                        : db_query(session, &rows,
                                   TALLY_SELECT "AND (plays, id) < ($3, $4) "
                                                "ORDER BY plays DESC, id DESC LIMIT $5",
                                   values, COUNT_OF(values));
    error = error != 0 ? error
                       : rows_collect(rows, arena, place->limit, sizeof *ret_list->rows, tally_read,
                                      &list, &ret_list->count);
    ret_list->rows = list;
    return error;
}

int play_total(struct db_session *session, const char *kind, int64_t id, struct total_row *ret_row)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT plays, listeners FROM play_total WHERE kind = $1 AND id = $2",
                         DB_BIND(db_text(kind), db_int(id)));
    int more = error != 0 ? error : db_next(rows);
    *ret_row = (struct total_row){.plays = more > 0 ? db_get_int(rows, 0) : 0,
                                  .listeners = more > 0 ? db_get_int(rows, 1) : 0};
    return more < 0 ? more : 0;
}

int playing_set(struct db_session *session, int64_t user_id, const struct playing_row *row)
{
    return changed_any(
        db_exec(session,
                "INSERT INTO now_playing (user_id, track_id, position_ms, paused, updated_at, "
                "ends_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id) DO UPDATE SET "
                "track_id = excluded.track_id, position_ms = excluded.position_ms, "
                "paused = excluded.paused, updated_at = excluded.updated_at, "
                "ends_at = excluded.ends_at",
                DB_BIND(db_int(user_id), db_int(row->track_id), db_int(row->position_ms),
                        db_int(row->paused), db_int(row->updated_at), db_int(row->ends_at))));
}

int playing_find(struct db_session *session, int64_t user_id, struct playing_row *ret_row)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT track_id, position_ms, paused, updated_at, ends_at "
                         "FROM now_playing WHERE user_id = $1",
                         DB_BIND(db_int(user_id)));
    int more = error != 0 ? error : db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_NOT_FOUND;
    }
    *ret_row = (struct playing_row){.track_id = db_get_int(rows, 0),
                                    .position_ms = db_get_int(rows, 1),
                                    .paused = db_get_int(rows, 2) != 0,
                                    .updated_at = db_get_int(rows, 3),
                                    .ends_at = db_get_int(rows, 4)};
    return 0;
}

int playing_clear(struct db_session *session, int64_t user_id)
{
    return changed_any(
        db_exec(session, "DELETE FROM now_playing WHERE user_id = $1", DB_BIND(db_int(user_id))));
}
