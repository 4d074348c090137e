/* SQL of the items of playlists (playlists.h): the users database. */
#include "service/library/playlists/playlists.h"

#include "base/id.h"
#include "service/store_util.h"

static struct db_value bind_place(const struct place_key *place)
{
    return db_blob(place->bytes, place->length);
}

int item_insert(struct db_session *session, int64_t playlist_id, const struct item_row *row)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO playlist_item (playlist_id, item_id, place, track_id, added_by, added_at) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        DB_BIND(db_int(playlist_id), db_int(row->id), bind_place(&row->place),
                db_int(row->track_id), db_int(row->added_by), db_int(row->added_at))));
}

int item_insert_all(struct db_session *session, int64_t playlist_id, const struct item_row *like,
                    const int64_t *tracks, unsigned count, const struct place_key *places)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        struct item_row item = *like;
        item.id = id_next();
        item.track_id = tracks[i];
        item.place = places[i];
        error = item_insert(session, playlist_id, &item);
    }
    return error;
}

#define ITEM_SELECT "SELECT item_id, track_id, added_by, added_at, place, removed_at "

static int item_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct item_row *row = ret_row;
    size_t length = 0;
    (void)arena;
    *row = (struct item_row){.id = db_get_int(rows, 0),
                             .track_id = db_get_int(rows, 1),
                             .added_by = db_get_int(rows, 2),
                             .added_at = db_get_int(rows, 3),
                             .removed = !db_is_null(rows, 5)};
    const void *bytes = db_get_blob(rows, 4, &length);
    return place_of_bytes(bytes, length, &row->place) ? 0 : ERR_CORRUPT;
}

int item_get(struct db_session *session, int64_t playlist_id, int64_t item_id,
             struct item_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         ITEM_SELECT "FROM playlist_item WHERE playlist_id = $1 AND item_id = $2",
                         DB_BIND(db_int(playlist_id), db_int(item_id)));
    return error != 0 ? error : rows_first(rows, NULL, item_read, ret_row);
}

int item_set_place(struct db_session *session, int64_t playlist_id, int64_t item_id,
                   const struct place_key *place)
{
    return changed_one(db_exec(
        session, "UPDATE playlist_item SET place = $3 WHERE playlist_id = $1 AND item_id = $2",
        DB_BIND(db_int(playlist_id), db_int(item_id), bind_place(place))));
}

int item_remove(struct db_session *session, int64_t playlist_id, int64_t item_id, int64_t now_ms)
{
    return changed_one(db_exec(session,
                               "UPDATE playlist_item SET removed_at = $3 WHERE playlist_id = $1 "
                               "AND item_id = $2 AND removed_at IS NULL",
                               DB_BIND(db_int(playlist_id), db_int(item_id), db_int(now_ms))));
}

static int place_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    size_t length = 0;
    (void)arena;
    const void *bytes = db_get_blob(rows, 0, &length);
    return place_of_bytes(bytes, length, ret_row) ? 0 : ERR_CORRUPT;
}

static int first_place(struct db_rows *rows, struct place_key *ret_place)
{
    int error = rows_first(rows, NULL, place_read, ret_place);
    if (error == ERR_NOT_FOUND) {
        *ret_place = (struct place_key){.length = 0};
        return 0;
    }
    return error;
}

int item_next(struct db_session *session, int64_t playlist_id, const struct place_key *place,
              int64_t except_id, struct place_key *ret_place)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT place FROM playlist_item WHERE playlist_id = $1 AND place > $2 "
                         "AND removed_at IS NULL AND item_id <> $3 ORDER BY place, item_id LIMIT 1",
                         DB_BIND(db_int(playlist_id), bind_place(place), db_int(except_id)));
    return error != 0 ? error : first_place(rows, ret_place);
}

int item_last(struct db_session *session, int64_t playlist_id, int64_t except_id,
              struct place_key *ret_place)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT place FROM playlist_item WHERE playlist_id = $1 "
                         "AND removed_at IS NULL AND item_id <> $2 "
                         "ORDER BY place DESC, item_id DESC LIMIT 1",
                         DB_BIND(db_int(playlist_id), db_int(except_id)));
    return error != 0 ? error : first_place(rows, ret_place);
}

static int collect(struct db_rows *rows, struct arena *arena, unsigned limit,
                   struct item_list *ret_list)
{
    void *list = NULL;
    int error = rows_collect(rows, arena, limit, sizeof *ret_list->rows, item_read, &list,
                             &ret_list->count);
    ret_list->rows = list;
    return error;
}

int item_count_numbering(struct db_session *session, int64_t playlist_id)
{
    return changed_one(db_exec(session, "UPDATE playlist SET numbered = numbered + 1 WHERE id = $1",
                               DB_BIND(db_int(playlist_id))));
}

static int times_numbered(struct db_session *session, int64_t playlist_id, int64_t *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, "SELECT numbered FROM playlist WHERE id = $1",
                         DB_BIND(db_int(playlist_id)));
    return error != 0 ? error : rows_number(rows, ret_count);
}

/* An item that is long gone tells nothing: its old place has to do. */
static int cursor_renew(struct db_session *session, int64_t playlist_id, struct item_cursor *cursor)
{
    int64_t numbered = 0;
    struct item_row row;
    int error = times_numbered(session, playlist_id, &numbered);
    if (error == 0 && cursor->id != 0 && cursor->numbered != numbered) {
        error = item_get(session, playlist_id, cursor->id, &row);
        if (error == 0) {
            cursor->place = row.place;
        }
    }
    cursor->numbered = numbered;
    return error == ERR_NOT_FOUND ? 0 : error;
}

int item_list(struct db_session *session, struct arena *arena, int64_t playlist_id,
              struct item_cursor *cursor, unsigned limit, struct item_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = cursor_renew(session, playlist_id, cursor);
    error = error != 0
                ? error
                : db_query(session, &rows,
                           ITEM_SELECT
                           "FROM playlist_item WHERE playlist_id = $1 AND removed_at IS NULL "
                           "AND (place, item_id) > ($2, $3) ORDER BY place, item_id LIMIT $4",
                           DB_BIND(db_int(playlist_id), bind_place(&cursor->place),
                                   db_int(cursor->id), db_int(limit)));
    return error != 0 ? error : collect(rows, arena, limit, ret_list);
}

int item_list_all(struct db_session *session, struct arena *arena, int64_t playlist_id,
                  unsigned limit, struct item_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         ITEM_SELECT "FROM playlist_item WHERE playlist_id = $1 "
                                     "ORDER BY place, item_id LIMIT $2",
                         DB_BIND(db_int(playlist_id), db_int(limit)));
    return error != 0 ? error : collect(rows, arena, limit, ret_list);
}

int item_forget_removed(struct db_session *session, int64_t playlist_id, int64_t before_ms)
{
    return changed_any(
        db_exec(session, "DELETE FROM playlist_item WHERE playlist_id = $1 AND removed_at < $2",
                DB_BIND(db_int(playlist_id), db_int(before_ms))));
}
