/* SQL of the streaming role (streaming_store.h). */
#include "service/streaming/streaming_store.h"

#include "backend/db/db.h"

int answers_add(struct db_session *session, int64_t day, const struct answer_count *count)
{
    int changed = db_exec(session,
                          "INSERT INTO streaming_answers (day, track_id, answers) "
                          "VALUES ($1, $2, $3) ON CONFLICT (day, track_id) DO UPDATE "
                          "SET answers = streaming_answers.answers + excluded.answers",
                          DB_BIND(db_int(day), db_int(count->track_id), db_int(count->answers)));
    return changed < 0 ? changed : 0;
}

int answers_top(struct db_session *session, int64_t since_day, unsigned limit, int64_t *ids,
                unsigned *ret_count)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT track_id FROM streaming_answers WHERE day >= $1 "
                         "GROUP BY track_id ORDER BY SUM(answers) DESC, track_id LIMIT $2",
                         DB_BIND(db_int(since_day), db_int(limit)));
    int more = error != 0 ? error : db_next(rows);
    for (*ret_count = 0; more == 1 && *ret_count < limit; more = db_next(rows)) {
        ids[(*ret_count)++] = db_get_int(rows, 0);
    }
    return more < 0 ? more : 0;
}

int answers_forget(struct db_session *session, int64_t before_day)
{
    int changed = db_exec(session, "DELETE FROM streaming_answers WHERE day < $1",
                          DB_BIND(db_int(before_day)));
    return changed < 0 ? changed : 0;
}

int turn_take(struct db_session *session, const char *name, int64_t now_ms, int64_t interval_ms,
              bool *ret_taken)
{
    /* A time ahead of ours was written before the clock was put back. */
    int changed = db_exec(session,
                          "INSERT INTO streaming_turn (name, taken_at) VALUES ($1, $2) "
                          "ON CONFLICT (name) DO UPDATE SET taken_at = excluded.taken_at "
                          "WHERE streaming_turn.taken_at <= $3 OR streaming_turn.taken_at > $2",
                          DB_BIND(db_text(name), db_int(now_ms), db_int(now_ms - interval_ms)));
    *ret_taken = changed > 0;
    return changed < 0 ? changed : 0;
}
