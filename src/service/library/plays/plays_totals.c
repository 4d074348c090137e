/* What other roles ask of plays (library.h): how popular things are, and what somebody hears. */
#include "service/library/library_internal.h"

#include "base/error.h"
#include "service/store_util.h"

static const char *kind_word(enum catalog_kind kind)
{
    return kind == CATALOG_TRACK ? "track" : kind == CATALOG_ALBUM ? "album" : "artist";
}

struct totals {
    enum catalog_kind kind;
    int64_t after_id, user_id;
    unsigned limit;
    struct library_total *rows;
    unsigned count;
    const int64_t *ids;
    int64_t *plays;
};

static int totals_work(struct db_session *session, void *argument)
{
    struct totals *totals = argument;
    DB_ROWS rows = NULL;
    int error = db_query(
        session, &rows,
        "SELECT id, plays FROM play_total WHERE kind = $1 AND id > $2 "
        "ORDER BY id LIMIT $3",
        DB_BIND(db_text(kind_word(totals->kind)), db_int(totals->after_id), db_int(totals->limit)));
    totals->count = 0;
    int more = 0;
    while (error == 0 && totals->count < totals->limit && (more = db_next(rows)) > 0) {
        totals->rows[totals->count++] =
            (struct library_total){.id = db_get_int(rows, 0), .plays = db_get_int(rows, 1)};
    }
    return error != 0 ? error : more < 0 ? more : 0;
}

int library_totals(struct library *library, enum catalog_kind kind, int64_t after_id,
                   unsigned limit, struct library_total *ret_rows, unsigned *ret_count)
{
    struct totals totals = {.kind = kind, .after_id = after_id, .limit = limit, .rows = ret_rows};
    int error = db_read(library->activity, totals_work, &totals);
    *ret_count = totals.count;
    return error;
}

static int own_one(struct db_session *session, const struct totals *totals, unsigned at)
{
    DB_ROWS rows = NULL;
    int error = db_query(
        session, &rows, "SELECT plays FROM play_tally WHERE user_id = $1 AND kind = $2 AND id = $3",
        DB_BIND(db_int(totals->user_id), db_text(kind_word(totals->kind)),
                db_int(totals->ids[at])));
    int more = error == 0 ? db_next(rows) : error;
    totals->plays[at] = more > 0 ? db_get_int(rows, 0) : 0;
    return more < 0 ? more : 0;
}

static int own_work(struct db_session *session, void *argument)
{
    const struct totals *totals = argument;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < totals->count; i++) {
        error = own_one(session, totals, i);
    }
    return error;
}

int library_own_plays(struct library *library, int64_t user_id, enum catalog_kind kind,
                      const int64_t *ids, unsigned count, int64_t *ret_plays)
{
    struct totals totals = {
        .kind = kind, .user_id = user_id, .ids = ids, .count = count, .plays = ret_plays};
    return db_read(library->activity, own_work, &totals);
}

static int last_one(struct db_session *session, const struct totals *totals, unsigned at)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows, "SELECT last_at FROM play_total WHERE kind = $1 AND id = $2",
                 DB_BIND(db_text(kind_word(totals->kind)), db_int(totals->ids[at])));
    totals->plays[at] = 0;
    error = error != 0 ? error : rows_number(rows, &totals->plays[at]);
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int last_work(struct db_session *session, void *argument)
{
    const struct totals *totals = argument;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < totals->count; i++) {
        error = last_one(session, totals, i);
    }
    return error;
}

int library_last_plays(struct library *library, enum catalog_kind kind, const int64_t *ids,
                       unsigned count, int64_t *ret_times_ms)
{
    struct totals totals = {.kind = kind, .ids = ids, .count = count, .plays = ret_times_ms};
    return db_read(library->activity, last_work, &totals);
}
