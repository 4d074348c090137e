/* SQL of marks (marks.h): the users database. */
#include "service/library/marks.h"

#include "service/page.h"
#include "service/store_util.h"

int mark_next_revision(struct db_session *session, int64_t user_id, int64_t *ret_revision)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "INSERT INTO library_person (user_id, revision) VALUES ($1, 1) "
                         "ON CONFLICT (user_id) DO UPDATE SET revision = library_person.revision + "
                         "1 RETURNING revision",
                         DB_BIND(db_int(user_id)));
    return error != 0 ? error : rows_number(rows, ret_revision);
}

int mark_put(struct db_session *session, const struct mark *mark)
{
    return db_exec(
        session,
        "INSERT INTO library_mark (user_id, what, kind, id, value, changed_at, device, revision) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (user_id, what, kind, id) DO UPDATE "
        "SET value = excluded.value, changed_at = excluded.changed_at, device = excluded.device, "
        "revision = excluded.revision WHERE (excluded.changed_at, excluded.device, excluded.value) "
        "> (library_mark.changed_at, library_mark.device, library_mark.value)",
        DB_BIND(db_int(mark->user_id), db_text(mark->what), db_text(mark->kind), db_int(mark->id),
                db_int(mark->value), db_int(mark->changed_at), db_text(mark->device),
                db_int(mark->revision)));
}

#define MARK_SELECT                                                                                \
    "SELECT what, kind, id, value, changed_at, device, revision FROM library_mark "                \
    "WHERE user_id = $1 "

static int mark_read_row(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct mark *row = ret_row;
    *row = (struct mark){.what = row_text(arena, rows, 0),
                         .kind = row_text(arena, rows, 1),
                         .id = db_get_int(rows, 2),
                         .value = db_get_int(rows, 3),
                         .changed_at = db_get_int(rows, 4),
                         .device = row_text(arena, rows, 5),
                         .revision = db_get_int(rows, 6)};
    return row->what != NULL && row->kind != NULL && row->device != NULL ? 0 : ERR_NO_MEMORY;
}

int mark_find(struct db_session *session, struct arena *arena, struct mark *mark)
{
    struct db_rows *rows = NULL;
    int64_t user_id = mark->user_id;
    int error = db_query(
        session, &rows, MARK_SELECT "AND what = $2 AND kind = $3 AND id = $4",
        DB_BIND(db_int(user_id), db_text(mark->what), db_text(mark->kind), db_int(mark->id)));
    error = error != 0 ? error : rows_first(rows, arena, mark_read_row, mark);
    mark->user_id = user_id;
    return error;
}

static int collect(struct db_rows *rows, struct arena *arena, unsigned limit,
                   struct mark_list *ret_list)
{
    void *list = NULL;
    int error = rows_collect(rows, arena, limit, sizeof *ret_list->rows, mark_read_row, &list,
                             &ret_list->count);
    ret_list->rows = list;
    return error;
}

int mark_list(struct db_session *session, struct arena *arena, const struct mark *of,
              const struct list_place *place, struct mark_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         MARK_SELECT "AND what = $2 AND kind = $3 AND value <> 0 "
                                     "AND (changed_at, id) < ($4, $5) "
                                     "ORDER BY changed_at DESC, id DESC LIMIT $6",
                         DB_BIND(db_int(of->user_id), db_text(of->what), db_text(of->kind),
                                 db_int(place->number), db_int(place->id), db_int(place->limit)));
    return error != 0 ? error : collect(rows, arena, place->limit, ret_list);
}

int mark_list_by_value(struct db_session *session, struct arena *arena, const struct mark *of,
                       const struct list_place *place, struct mark_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         MARK_SELECT "AND what = $2 AND kind = $3 AND value <> 0 "
                                     "AND (value, changed_at, id) < ($4, $5, $6) "
                                     "ORDER BY value DESC, changed_at DESC, id DESC LIMIT $7",
                         DB_BIND(db_int(of->user_id), db_text(of->what), db_text(of->kind),
                                 db_int(place->disc), db_int(place->number), db_int(place->id),
                                 db_int(place->limit)));
    return error != 0 ? error : collect(rows, arena, place->limit, ret_list);
}

int mark_changes(struct db_session *session, struct arena *arena, int64_t user_id, int64_t after,
                 unsigned limit, struct mark_list *ret_list)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, MARK_SELECT "AND revision > $2 ORDER BY revision LIMIT $3",
                         DB_BIND(db_int(user_id), db_int(after), db_int(limit)));
    return error != 0 ? error : collect(rows, arena, limit, ret_list);
}

int mark_values(struct db_session *session, int64_t user_id, const char *what,
                struct mark_value *rows, unsigned max, unsigned *ret_count)
{
    DB_ROWS cursor = NULL;
    unsigned count = 0;
    int error = db_query(session, &cursor,
                         "SELECT id, value FROM library_mark WHERE user_id = $1 AND what = $2 "
                         "AND kind = 'track' AND value <> 0 "
                         "ORDER BY changed_at DESC, id DESC LIMIT $3",
                         DB_BIND(db_int(user_id), db_text(what), db_int(max)));
    int more = error != 0 ? error : db_next(cursor);
    for (; more == 1 && count < max; more = db_next(cursor)) {
        rows[count++] =
            (struct mark_value){.id = db_get_int(cursor, 0), .value = db_get_int(cursor, 1)};
    }
    *ret_count = count;
    return more < 0 ? more : 0;
}

int mark_erase_person(struct db_session *session, int64_t user_id)
{
    int error = changed_any(
        db_exec(session, "DELETE FROM library_mark WHERE user_id = $1", DB_BIND(db_int(user_id))));
    return error != 0
               ? error
               : changed_any(db_exec(session, "DELETE FROM library_person WHERE user_id = $1",
                                     DB_BIND(db_int(user_id))));
}
