/* SQL of the queue (queue.h): the users database. */
#include "service/library/queue.h"

#include "service/store_util.h"

static int queue_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct queue *row = ret_row;
    *row = (struct queue){.items = row_text(arena, rows, 0),
                          .items_at = db_get_int(rows, 1),
                          .items_device = row_text(arena, rows, 2),
                          .place = db_get_int(rows, 3),
                          .position_ms = db_get_int(rows, 4),
                          .place_at = db_get_int(rows, 5),
                          .place_device = row_text(arena, rows, 6),
                          .revision = db_get_int(rows, 7)};
    bool whole = row->items != NULL && row->items_device != NULL && row->place_device != NULL;
    return whole ? 0 : ERR_NO_MEMORY;
}

int queue_find(struct db_session *session, struct arena *arena, int64_t user_id,
               struct queue *ret_queue)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT items, items_at, items_device, place, position_ms, place_at, "
                         "place_device, revision FROM library_queue WHERE user_id = $1",
                         DB_BIND(db_int(user_id)));
    error = error != 0 ? error : rows_first(rows, arena, queue_read, ret_queue);
    if (error == ERR_NOT_FOUND) {
        *ret_queue = (struct queue){.items = "[]", .items_device = "", .place_device = ""};
        error = 0;
    }
    ret_queue->user_id = user_id;
    return error;
}

int queue_save(struct db_session *session, const struct queue *queue)
{
    return changed_any(db_exec(
        session,
        "INSERT INTO library_queue (user_id, items, items_at, items_device, place, position_ms, "
        "place_at, place_device, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
        "ON CONFLICT (user_id) DO UPDATE SET items = excluded.items, items_at = excluded.items_at, "
        "items_device = excluded.items_device, place = excluded.place, "
        "position_ms = excluded.position_ms, place_at = excluded.place_at, "
        "place_device = excluded.place_device, revision = library_queue.revision + 1",
        DB_BIND(db_int(queue->user_id), db_text(queue->items), db_int(queue->items_at),
                db_text(queue->items_device), db_int(queue->place), db_int(queue->position_ms),
                db_int(queue->place_at), db_text(queue->place_device), db_int(queue->revision))));
}

int queue_erase_person(struct db_session *session, int64_t user_id)
{
    return changed_any(
        db_exec(session, "DELETE FROM library_queue WHERE user_id = $1", DB_BIND(db_int(user_id))));
}
