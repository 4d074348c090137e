/* What caches follow (bus.h: bus_news): the outbox read without a consumer, so that every process
 * sees every event and nobody keeps a position. Runs inside the caller's read. */
#include "backend/bus/bus.h"

#include "backend/db/db.h"
#include "base/arena.h"
#include "base/error.h"

static int newest(struct db_session *session, int64_t settled, int64_t *ret_place)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT COALESCE(MAX(sequence), 0) FROM bus_outbox WHERE sequence < $1",
                         DB_BIND(db_int(settled)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_INTERNAL;
    }
    *ret_place = db_get_int(rows, 0);
    return 0;
}

int bus_news(struct db_session *session, struct arena *arena, int64_t *place,
             struct bus_news **ret_news, unsigned *ret_count)
{
    *ret_count = 0;
    int64_t settled;
    int error = db_place_settled(session, &settled);
    if (error != 0 || *place < 0) {
        return error != 0 ? error : newest(session, settled, place);
    }
    struct bus_news *news = arena_array(arena, BUS_NEWS_MAX, sizeof *news);
    DB_ROWS rows = NULL;
    error = news == NULL
                ? ERR_NO_MEMORY
                : db_query(session, &rows,
                           "SELECT sequence, type, entity_key FROM bus_outbox "
                           "WHERE sequence > $1 AND sequence < $3 ORDER BY sequence LIMIT $2",
                           DB_BIND(db_int(*place), db_int(BUS_NEWS_MAX), db_int(settled)));
    if (error != 0) {
        return error;
    }
    int64_t last = *place;
    unsigned count = 0;
    int more = 0;
    while (count < BUS_NEWS_MAX && (more = db_next(rows)) > 0) {
        last = db_get_int(rows, 0);
        news[count].type = arena_strdup(arena, db_get_text(rows, 1));
        news[count].key = arena_strdup(arena, db_get_text(rows, 2));
        if (news[count].type == NULL || news[count].key == NULL) {
            return ERR_NO_MEMORY;
        }
        count++;
    }
    if (more < 0) {
        return more;
    }
    *place = last;
    *ret_news = news;
    *ret_count = count;
    return 0;
}

int bus_news_left(struct db_session *session, int64_t place, int64_t *ret_left)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows, "SELECT COUNT(*) FROM bus_outbox WHERE sequence > $1",
                         DB_BIND(db_int(place)));
    if (error != 0) {
        return error;
    }
    int more = db_next(rows);
    if (more <= 0) {
        return more < 0 ? more : ERR_INTERNAL;
    }
    *ret_left = db_get_int(rows, 0);
    return 0;
}
