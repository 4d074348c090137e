/* The bus's rows (bus_store.h): the outbox, positions and waiting events. In sessions, on whichever
 * thread runs them. */
#include "backend/bus/bus_store.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"

#include <string.h>

int bus_store_row(struct db_session *session, const char *sql, const struct db_value *binds,
                  unsigned count, int64_t *ret_numbers, unsigned numbers)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, sql, binds, count);
    if (r < 0 || (r = db_next(rows)) <= 0) {
        return r;
    }
    for (unsigned i = 0; i < numbers; i++) {
        ret_numbers[i] = db_get_int(rows, i);
    }
    return 1;
}

int bus_store_look(struct db_session *session, struct bus_look *ret_look)
{
    int64_t numbers[3], settled;
    int r = db_place_settled(session, &settled);
    if (r < 0) {
        return r;
    }
    r = bus_store_row(session,
                      "SELECT (SELECT COALESCE(MAX(sequence), 0) FROM bus_outbox"
                      "  WHERE sequence < $1),"
                      " (SELECT COALESCE(MIN(next_at), 9223372036854775807) FROM bus_waiting),"
                      " (SELECT COUNT(*) FROM bus_waiting"
                      "  WHERE parked_at IS NOT NULL AND told_at IS NULL)",
                      DB_BIND(db_int(settled)), numbers, 3);
    if (r < 0) {
        return r;
    }
    *ret_look = (struct bus_look){.newest = numbers[0], .due = numbers[1], .untold = numbers[2]};
    return 0;
}

int bus_store_last(struct db_session *session, int64_t *ret_sequence)
{
    int r = bus_store_row(session, "SELECT COALESCE(MAX(sequence), 0) FROM bus_outbox", DB_NO_BIND,
                          ret_sequence, 1);
    return r < 0 ? r : 0;
}

int bus_store_standing(struct db_session *session, const char *consumer,
                       struct bus_standing *ret_standing)
{
    int64_t numbers[6], settled;
    int r = db_place_settled(session, &settled);
    if (r < 0) {
        return r;
    }
    r = bus_store_row(session,
                      "SELECT c.position, c.owner, c.lease_until,"
                      " (SELECT COALESCE(MAX(sequence), 0) FROM bus_outbox WHERE sequence < $2),"
                      " (SELECT COALESCE(MIN(next_at), 9223372036854775807) FROM bus_waiting"
                      "  WHERE consumer = $1),"
                      " (SELECT COUNT(*) FROM bus_waiting"
                      "  WHERE consumer = $1 AND parked_at IS NOT NULL)"
                      " FROM bus_consumer c WHERE c.name = $1",
                      DB_BIND(db_text(consumer), db_int(settled)), numbers, 6);
    if (r <= 0) {
        return r < 0 ? r : ERR_NOT_FOUND;
    }
    *ret_standing = (struct bus_standing){.position = numbers[0],
                                          .owner = numbers[1],
                                          .lease_until = numbers[2],
                                          .newest = numbers[3],
                                          .due = numbers[4],
                                          .parked = numbers[5]};
    return 0;
}

int bus_store_oldest(struct db_session *session, const char *consumer, int64_t seen,
                     int64_t *ret_created_ms)
{
    int r = bus_store_row(session,
                          "SELECT created_at FROM bus_outbox WHERE sequence >"
                          " (SELECT CASE WHEN position > $1 THEN position ELSE $1 END"
                          "  FROM bus_consumer WHERE name = $2) ORDER BY sequence LIMIT 1",
                          DB_BIND(db_int(seen), db_text(consumer)), ret_created_ms, 1);
    return r < 0 ? r : r > 0 ? 0 : ERR_NOT_FOUND;
}

/* Where there is one writer: the newest row is never pruned, so MAX + 1 never gives a number again,
 * and numbers come in the order of commits. */
static int emit_counted(struct db_session *session, const struct event *event)
{
    return db_exec(session,
                   "INSERT INTO bus_outbox (sequence, id, type, entity_key, payload, created_at)"
                   " VALUES ((SELECT COALESCE(MAX(sequence), 0) + 1 FROM bus_outbox),"
                   " $1, $2, $3, $4, $5)",
                   DB_BIND(db_int(event->id), db_text(event->type), db_text(event->key),
                           db_text(event->payload), db_int(event->created_ms)));
}

/* Where there are many: the number is the place of the write, which makes no two wait for each
 * other. Readers stop at what is settled. */
static int emit_placed(struct db_session *session, const struct event *event, int64_t place)
{
    return db_exec(session,
                   "INSERT INTO bus_outbox (sequence, id, type, entity_key, payload, created_at)"
                   " VALUES ($1, $2, $3, $4, $5, $6)",
                   DB_BIND(db_int(place), db_int(event->id), db_text(event->type),
                           db_text(event->key), db_text(event->payload),
                           db_int(event->created_ms)));
}

int bus_store_emit(struct db_session *session, const struct event *event)
{
    int64_t place;
    int r = db_place_next(session, &place);
    if (r >= 0) {
        r = place == 0 ? emit_counted(session, event) : emit_placed(session, event, place);
    }
    return r < 0 ? r : 0;
}

int bus_store_subscribe(struct db_session *session, const char *consumer, int from_start)
{
    int64_t settled;
    int r = db_place_settled(session, &settled);
    if (r >= 0) {
        r = db_exec(session,
                    "INSERT INTO bus_consumer (name, position, owner, lease_until)"
                    " VALUES ($1, CASE WHEN CAST($2 AS BIGINT) = 1 THEN 0 ELSE"
                    " (SELECT COALESCE(MAX(sequence), 0) FROM bus_outbox WHERE sequence < $3) END,"
                    " 0, 0) ON CONFLICT (name) DO NOTHING",
                    DB_BIND(db_text(consumer), db_int(from_start != 0), db_int(settled)));
    }
    return r < 0 ? r : 0;
}

int bus_store_read_items(struct db_rows *rows, struct bus_batch *batch)
{
    int r;
    batch->count = 0;
    while ((r = db_next(rows)) == 1 && batch->count < BUS_BATCH_MAX) {
        struct bus_item *item = &batch->items[batch->count++];
        item->sequence = db_get_int(rows, 0);
        item->event.id = db_get_int(rows, 1);
        item->event.type = arena_strdup(batch->arena, db_get_text(rows, 2));
        item->event.key = arena_strdup(batch->arena, db_get_text(rows, 3));
        item->event.payload = arena_strdup(batch->arena, db_get_text(rows, 4));
        item->event.created_ms = db_get_int(rows, 5);
        item->tries = db_get_int(rows, 6);
        item->behind = db_get_int(rows, 7) != 0;
        if (item->event.type == NULL || item->event.key == NULL || item->event.payload == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    return r < 0 ? r : 0;
}

int bus_store_events(struct db_session *session, const char *consumer, int64_t after,
                     struct bus_batch *batch)
{
    int64_t settled;
    int r = db_place_settled(session, &settled);
    if (r < 0) {
        return r;
    }
    DB_ROWS rows = NULL;
    r = db_query(session, &rows,
                 "SELECT o.sequence, o.id, o.type, o.entity_key, o.payload, o.created_at, 0,"
                 " CASE WHEN EXISTS (SELECT 1 FROM bus_waiting w WHERE w.consumer = $1"
                 "  AND w.entity_key = o.entity_key) THEN 1 ELSE 0 END"
                 " FROM bus_outbox o WHERE o.sequence > $2 AND o.sequence < $4"
                 " ORDER BY o.sequence LIMIT $3",
                 DB_BIND(db_text(consumer), db_int(after), db_int(BUS_BATCH_MAX), db_int(settled)));
    return r < 0 ? r : bus_store_read_items(rows, batch);
}

int bus_store_due(struct db_session *session, const char *consumer, int64_t now_ms,
                  struct bus_batch *batch)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT o.sequence, o.id, o.type, o.entity_key, o.payload, o.created_at,"
                     " w.tries, 0"
                     " FROM bus_waiting w JOIN bus_outbox o ON o.sequence = w.sequence"
                     " WHERE w.consumer = $1 AND w.next_at <= $2 ORDER BY w.next_at, w.sequence"
                     " LIMIT $3",
                     DB_BIND(db_text(consumer), db_int(now_ms), db_int(BUS_BATCH_MAX)));
    return r < 0 ? r : bus_store_read_items(rows, batch);
}

int bus_store_lease(struct db_session *session, const char *consumer, int64_t owner, int64_t now_ms,
                    int64_t until_ms)
{
    return db_exec(session,
                   "UPDATE bus_consumer SET owner = $2, lease_until = $4"
                   " WHERE name = $1 AND (owner = $2 OR lease_until <= $3)",
                   DB_BIND(db_text(consumer), db_int(owner), db_int(now_ms), db_int(until_ms)));
}

int bus_store_inherit(struct db_session *session, const char *consumer, int64_t dead, int64_t owner,
                      int64_t until_ms)
{
    return db_exec(session,
                   "UPDATE bus_consumer SET owner = $3, lease_until = $4"
                   " WHERE name = $1 AND owner = $2",
                   DB_BIND(db_text(consumer), db_int(dead), db_int(owner), db_int(until_ms)));
}

int bus_store_release(struct db_session *session, const char *consumer, int64_t owner)
{
    return db_exec(session,
                   "UPDATE bus_consumer SET owner = 0, lease_until = 0"
                   " WHERE name = $1 AND owner = $2",
                   DB_BIND(db_text(consumer), db_int(owner)));
}

int bus_store_move(struct db_session *session, const char *consumer, int64_t owner,
                   int64_t position, int64_t until_ms)
{
    int r = db_exec(session,
                    "UPDATE bus_consumer SET lease_until = $4, position ="
                    " CASE WHEN position < $3 THEN $3 ELSE position END"
                    " WHERE name = $1 AND owner = $2",
                    DB_BIND(db_text(consumer), db_int(owner), db_int(position), db_int(until_ms)));
    return r == 0 ? ERR_CANCELLED : r < 0 ? r : 0;
}

static int put_aside(struct db_session *session, const char *consumer, const struct bus_item *item,
                     int64_t tries, int64_t next_at, const char *error)
{
    int r =
        db_exec(session,
                "INSERT INTO bus_waiting (consumer, sequence, entity_key, tries, next_at, error)"
                " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (consumer, sequence) DO NOTHING",
                DB_BIND(db_text(consumer), db_int(item->sequence), db_text(item->event.key),
                        db_int(tries), db_int(next_at), db_text(error)));
    return r < 0 ? r : 0;
}

int bus_store_put_aside(struct db_session *session, const char *consumer,
                        const struct bus_item *item, int64_t next_at, const char *error)
{
    return put_aside(session, consumer, item, 1, next_at, error);
}

/* The first of a key that waits, unless it failed before. */
static int make_next_due(struct db_session *session, const char *consumer, const char *key)
{
    int r = db_exec(session,
                    "UPDATE bus_waiting SET next_at = 0 WHERE consumer = $1 AND sequence ="
                    " (SELECT MIN(sequence) FROM bus_waiting WHERE consumer = $1"
                    "  AND entity_key = $2) AND parked_at IS NULL AND tries = 0",
                    DB_BIND(db_text(consumer), db_text(key)));
    return r < 0 ? r : 0;
}

/* What stood before it may be gone since that was read: a person gave it up. */
int bus_store_put_behind(struct db_session *session, const char *consumer,
                         const struct bus_item *item)
{
    int r = put_aside(session, consumer, item, 0, BUS_NEVER, NULL);
    return r < 0 ? r : make_next_due(session, consumer, item->event.key);
}

int bus_store_try_later(struct db_session *session, const char *consumer, int64_t sequence,
                        int64_t tries, int64_t next_at, const char *error)
{
    int r = db_exec(session,
                    "UPDATE bus_waiting SET tries = $3, next_at = $4, error = $5"
                    " WHERE consumer = $1 AND sequence = $2",
                    DB_BIND(db_text(consumer), db_int(sequence), db_int(tries), db_int(next_at),
                            db_text(error)));
    return r < 0 ? r : 0;
}

int bus_store_park(struct db_session *session, const char *consumer, int64_t sequence,
                   int64_t tries, int64_t now_ms, const char *error)
{
    int r = db_exec(session,
                    "UPDATE bus_waiting SET tries = $3, parked_at = $4, error = $5, told_at = NULL,"
                    " next_at = 9223372036854775807 WHERE consumer = $1 AND sequence = $2",
                    DB_BIND(db_text(consumer), db_int(sequence), db_int(tries), db_int(now_ms),
                            db_text(error)));
    return r < 0 ? r : 0;
}

int bus_store_told(struct db_session *session, const struct bus_letter *letter, int64_t now_ms)
{
    int r = db_exec(session,
                    "UPDATE bus_waiting SET told_at = $4"
                    " WHERE consumer = $1 AND sequence = $2 AND parked_at = $3",
                    DB_BIND(db_text(letter->parked.consumer), db_int(letter->sequence),
                            db_int(letter->parked.parked_ms), db_int(now_ms)));
    return r < 0 ? r : 0;
}

int bus_store_waited(struct db_session *session, const char *consumer, int64_t sequence,
                     const char *key)
{
    int r = db_exec(session, "DELETE FROM bus_waiting WHERE consumer = $1 AND sequence = $2",
                    DB_BIND(db_text(consumer), db_int(sequence)));
    return r < 0 ? r : make_next_due(session, consumer, key);
}

int bus_store_prune(struct db_session *session, int64_t before_ms, bool relays)
{
    return db_exec(session,
                   "DELETE FROM bus_outbox WHERE created_at < $1"
                   " AND sequence IN (SELECT sequence FROM bus_outbox ORDER BY sequence LIMIT 1000)"
                   " AND sequence < (SELECT MAX(sequence) FROM bus_outbox)"
                   " AND sequence <= (SELECT COALESCE(MIN(position), 9223372036854775807)"
                   "  FROM bus_consumer WHERE CAST($2 AS BIGINT) = 1 OR name NOT LIKE $3)"
                   " AND NOT EXISTS (SELECT 1 FROM bus_waiting w"
                   "  WHERE w.sequence = bus_outbox.sequence)",
                   DB_BIND(db_int(before_ms), db_int(relays), db_text(BUS_RELAY "%")));
}

static int read_parked(struct db_rows *rows, struct arena *arena, struct bus_parked *ret_parked)
{
    *ret_parked = (struct bus_parked){
        .consumer = arena_strdup(arena, db_get_text(rows, 0)),
        .event = {.id = db_get_int(rows, 1),
                  .type = arena_strdup(arena, db_get_text(rows, 2)),
                  .key = arena_strdup(arena, db_get_text(rows, 3)),
                  .payload = arena_strdup(arena, db_get_text(rows, 4)),
                  .created_ms = db_get_int(rows, 5)},
        .tries = db_get_int(rows, 6),
        .parked_ms = db_get_int(rows, 7),
        .error = arena_strdup(arena, db_is_null(rows, 8) ? "" : db_get_text(rows, 8)),
        .behind = db_get_int(rows, 9),
    };
    return ret_parked->consumer != NULL && ret_parked->event.type != NULL &&
                   ret_parked->event.key != NULL && ret_parked->event.payload != NULL &&
                   ret_parked->error != NULL
               ? 0
               : ERR_NO_MEMORY;
}

int bus_store_parked(struct db_session *session, struct arena *arena, unsigned limit,
                     struct bus_parked *ret_parked, unsigned *ret_count)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT w.consumer, o.id, o.type, o.entity_key, o.payload, o.created_at,"
                     " w.tries, w.parked_at, w.error,"
                     " (SELECT COUNT(*) FROM bus_waiting b WHERE b.consumer = w.consumer"
                     "  AND b.entity_key = w.entity_key AND b.sequence > w.sequence)"
                     " FROM bus_waiting w JOIN bus_outbox o ON o.sequence = w.sequence"
                     " WHERE w.parked_at IS NOT NULL ORDER BY w.parked_at, w.sequence LIMIT $1",
                     DB_BIND(db_int(limit)));
    unsigned count = 0;
    while (r >= 0 && count < limit && (r = db_next(rows)) == 1) {
        r = read_parked(rows, arena, &ret_parked[count++]);
    }
    *ret_count = count;
    return r < 0 ? r : 0;
}

int bus_store_letters(struct db_session *session, struct arena *arena, unsigned limit,
                      struct bus_letter *ret_letters, unsigned *ret_count)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT w.consumer, o.id, o.type, o.entity_key, o.payload, o.created_at,"
                     " w.tries, w.parked_at, w.error, 0, w.sequence"
                     " FROM bus_waiting w JOIN bus_outbox o ON o.sequence = w.sequence"
                     " WHERE w.parked_at IS NOT NULL AND w.told_at IS NULL"
                     " ORDER BY w.parked_at, w.sequence LIMIT $1",
                     DB_BIND(db_int(limit)));
    unsigned count = 0;
    while (r >= 0 && count < limit && (r = db_next(rows)) == 1) {
        ret_letters[count].sequence = db_get_int(rows, 10);
        r = read_parked(rows, arena, &ret_letters[count++].parked);
    }
    *ret_count = count;
    return r < 0 ? r : 0;
}

int bus_store_unpark(struct db_session *session, const char *consumer, int64_t event_id)
{
    int r = db_exec(session,
                    "UPDATE bus_waiting SET parked_at = NULL, tries = 0, next_at = 0"
                    " WHERE consumer = $1 AND parked_at IS NOT NULL AND sequence ="
                    " (SELECT sequence FROM bus_outbox WHERE id = $2)",
                    DB_BIND(db_text(consumer), db_int(event_id)));
    return r == 0 ? ERR_NOT_FOUND : r < 0 ? r : 0;
}

int bus_store_drop(struct db_session *session, const char *consumer, int64_t event_id)
{
    int64_t sequence;
    char *key CLEANUP_FREE = NULL;
    {
        DB_ROWS rows = NULL;
        int r = db_query(session, &rows,
                         "SELECT w.sequence, w.entity_key FROM bus_waiting w"
                         " JOIN bus_outbox o ON o.sequence = w.sequence"
                         " WHERE w.consumer = $1 AND o.id = $2 AND w.parked_at IS NOT NULL",
                         DB_BIND(db_text(consumer), db_int(event_id)));
        if (r < 0 || (r = db_next(rows)) <= 0) {
            return r < 0 ? r : ERR_NOT_FOUND;
        }
        sequence = db_get_int(rows, 0);
        key = strdup(db_get_text(rows, 1));
    }
    return key != NULL ? bus_store_waited(session, consumer, sequence, key) : ERR_NO_MEMORY;
}

int bus_store_forget(struct db_session *session, const char *consumer)
{
    int r =
        db_exec(session, "DELETE FROM bus_waiting WHERE consumer = $1", DB_BIND(db_text(consumer)));
    if (r < 0) {
        return r;
    }
    r = db_exec(session, "DELETE FROM bus_lane WHERE consumer = $1", DB_BIND(db_text(consumer)));
    if (r < 0) {
        return r;
    }
    r = db_exec(session, "DELETE FROM bus_consumer WHERE name = $1", DB_BIND(db_text(consumer)));
    return r == 0 ? ERR_NOT_FOUND : r < 0 ? r : 0;
}

int bus_store_unseen(struct db_session *session, const char *consumer, const char *type,
                     struct bus_unseen *ret_unseen)
{
    int64_t numbers[2];
    int r = bus_store_row(session,
                          "SELECT (SELECT COUNT(*) FROM bus_outbox WHERE sequence > c.position"
                          " AND type = $2), (SELECT COALESCE(MIN(created_at), 0) FROM bus_outbox"
                          " WHERE sequence > c.position AND type = $2)"
                          " FROM bus_consumer c WHERE c.name = $1",
                          DB_BIND(db_text(consumer), db_text(type)), numbers, 2);
    if (r <= 0) {
        return r < 0 ? r : ERR_NOT_FOUND;
    }
    *ret_unseen = (struct bus_unseen){.count = numbers[0], .oldest_ms = numbers[1]};
    return 0;
}

int bus_store_newest_time(struct db_session *session, int64_t *ret_ms)
{
    int r = bus_store_row(session, "SELECT COALESCE(MAX(created_at), 0) FROM bus_outbox",
                          DB_NO_BIND, ret_ms, 1);
    return r < 0 ? r : 0;
}
