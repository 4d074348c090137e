/* Rows of topics and lanes (bus_lane_store.h). In sessions, on whichever thread runs them. */
#include "backend/bus/bus_lane_store.h"

#include "base/error.h"

enum { READ_MAX = 500 };

/* ---- Topics and relays ---- */

int bus_lane_store_topic(struct db_session *session, const char *topic, int64_t partitions,
                         int64_t *ret_partitions)
{
    int r = db_exec(session,
                    "INSERT INTO bus_topic (name, partitions) VALUES ($1, $2)"
                    " ON CONFLICT (name) DO NOTHING",
                    DB_BIND(db_text(topic), db_int(partitions)));
    if (r < 0) {
        return r;
    }
    r = bus_store_row(session, "SELECT partitions FROM bus_topic WHERE name = $1",
                      DB_BIND(db_text(topic)), ret_partitions, 1);
    return r < 0 ? r : r > 0 ? 0 : ERR_NOT_FOUND;
}

int bus_lane_store_rewind(struct db_session *session, const char *relay)
{
    int r = db_exec(session,
                    "UPDATE bus_consumer SET position ="
                    " (SELECT COALESCE(MIN(position), 0) FROM bus_consumer WHERE name NOT LIKE $2)"
                    " WHERE name = $1 AND position >"
                    " (SELECT COALESCE(MIN(position), 0) FROM bus_consumer WHERE name NOT LIKE $2)",
                    DB_BIND(db_text(relay), db_text(BUS_RELAY "%")));
    return r < 0 ? r : 0;
}

/* ---- Lanes ---- */

int bus_lane_store_claim(struct db_session *session, const char *consumer, const char *topic,
                         unsigned lane, int64_t owner, int64_t *ret_position)
{
    int r = db_exec(session,
                    "INSERT INTO bus_lane (consumer, topic, lane, position, owner)"
                    " VALUES ($1, $2, $3, 0, $4)"
                    " ON CONFLICT (consumer, topic, lane) DO UPDATE SET owner = excluded.owner",
                    DB_BIND(db_text(consumer), db_text(topic), db_int(lane), db_int(owner)));
    if (r < 0) {
        return r;
    }
    r = bus_store_row(session,
                      "SELECT CASE WHEN l.position > c.position THEN l.position ELSE c.position END"
                      " FROM bus_lane l JOIN bus_consumer c ON c.name = l.consumer"
                      " WHERE l.consumer = $1 AND l.topic = $2 AND l.lane = $3",
                      DB_BIND(db_text(consumer), db_text(topic), db_int(lane)), ret_position, 1);
    return r < 0 ? r : r > 0 ? 0 : ERR_NOT_FOUND;
}

int bus_lane_store_move(struct db_session *session, const char *consumer, const char *topic,
                        unsigned lane, int64_t owner, int64_t position)
{
    int r = db_exec(
        session,
        "UPDATE bus_lane SET position ="
        " CASE WHEN position < $5 THEN $5 ELSE position END"
        " WHERE consumer = $1 AND topic = $2 AND lane = $3 AND owner = $4",
        DB_BIND(db_text(consumer), db_text(topic), db_int(lane), db_int(owner), db_int(position)));
    return r == 0 ? ERR_CANCELLED : r < 0 ? r : 0;
}

int bus_lane_store_positions(struct db_session *session, const char *consumer, const char *topic,
                             int64_t *positions, unsigned count, int64_t *ret_whole)
{
    int64_t whole;
    int r = bus_store_row(session, "SELECT position FROM bus_consumer WHERE name = $1",
                          DB_BIND(db_text(consumer)), &whole, 1);
    if (r <= 0) {
        return r < 0 ? r : ERR_NOT_FOUND;
    }
    *ret_whole = whole;
    for (unsigned i = 0; i < count; i++) {
        positions[i] = whole;
    }
    DB_ROWS rows = NULL;
    r = db_query(session, &rows,
                 "SELECT lane, position FROM bus_lane WHERE consumer = $1 AND topic = $2",
                 DB_BIND(db_text(consumer), db_text(topic)));
    while (r >= 0 && (r = db_next(rows)) > 0) {
        int64_t lane = db_get_int(rows, 0), position = db_get_int(rows, 1);
        if (lane >= 0 && lane < count && position > whole) {
            positions[lane] = position;
        }
    }
    return r;
}

int bus_lane_store_advance(struct db_session *session, const char *consumer, int64_t position)
{
    int r =
        db_exec(session, "UPDATE bus_consumer SET position = $2 WHERE name = $1 AND position < $2",
                DB_BIND(db_text(consumer), db_int(position)));
    return r < 0 ? r : 0;
}

/* ---- The outbox, and what waits ---- */

int bus_lane_store_read(struct db_session *session, const struct bus_reading *reading)
{
    int64_t settled;
    int r = db_place_settled(session, &settled);
    if (r < 0) {
        return r;
    }
    DB_ROWS rows = NULL;
    unsigned count = 0;
    r = db_query(session, &rows,
                 "SELECT sequence, entity_key FROM bus_outbox WHERE sequence > $1"
                 " AND sequence < $3 ORDER BY sequence LIMIT $2",
                 DB_BIND(db_int(reading->after), db_int(READ_MAX), db_int(settled)));
    while (r >= 0 && (r = db_next(rows)) > 0) {
        count++;
        if (!reading->take(reading->argument, db_get_int(rows, 0), db_get_text(rows, 1))) {
            return 0;
        }
    }
    return r < 0 ? r : count == READ_MAX;
}

int bus_lane_store_waiting(struct db_session *session, const char *consumer, int64_t now_ms,
                           int64_t *ret_count, int64_t *ret_due_ms)
{
    int64_t numbers[2];
    int r = bus_store_row(session,
                          "SELECT COUNT(*), COALESCE(MIN(CASE WHEN next_at > $2 THEN next_at END),"
                          " 9223372036854775807) FROM bus_waiting WHERE consumer = $1",
                          DB_BIND(db_text(consumer), db_int(now_ms)), numbers, 2);
    if (r <= 0) {
        return r < 0 ? r : ERR_INTERNAL;
    }
    *ret_count = numbers[0];
    *ret_due_ms = numbers[1];
    return 0;
}

int bus_lane_store_waits(struct db_session *session, const char *consumer, const char *key)
{
    int64_t one;
    return bus_store_row(
        session, "SELECT 1 FROM bus_waiting WHERE consumer = $1 AND entity_key = $2 LIMIT 1",
        DB_BIND(db_text(consumer), db_text(key)), &one, 1);
}

int bus_lane_store_due(struct db_session *session, const char *consumer, int64_t now_ms,
                       int64_t after, struct bus_batch *batch)
{
    DB_ROWS rows = NULL;
    int r =
        db_query(session, &rows,
                 "SELECT o.sequence, o.id, o.type, o.entity_key, o.payload, o.created_at,"
                 " w.tries, 0"
                 " FROM bus_waiting w JOIN bus_outbox o ON o.sequence = w.sequence"
                 " WHERE w.consumer = $1 AND w.next_at <= $2 AND w.sequence > $3"
                 " ORDER BY w.sequence LIMIT $4",
                 DB_BIND(db_text(consumer), db_int(now_ms), db_int(after), db_int(BUS_BATCH_MAX)));
    return r < 0 ? r : bus_store_read_items(rows, batch);
}
