/* Orders of albums that no column holds: by the date of the music, and random (catalog_rows.h).
 * SQL, inside a read; memory from the arena given.
 *
 * An index of an expression serves `expression > ?`, but SQLite doesn't take a pair with an
 * expression in it for a range. So a page is read in two steps: what is left of the date it goes on
 * at (by id), then what is behind that date. Each walks the index from a place in it, so that the
 * last page costs what the first does.
 *
 * Random: albums stand on a ring of 2^31 places, each where a multiplication scatters its id to. A
 * seed says where on the ring a list starts; it ends where it started. So pages neither repeat nor
 * miss, whatever is added meanwhile, and no state is kept.
 */
#include "service/catalog/album_store.h"

#include "service/store_util.h"

#include <stdlib.h>
#include <string.h>

/* Odd, so that no two of 2^31 ids after each other share a place; glibc's, for its spectrum. */
#define RING_FACTOR 1103515245
#define RING_PLACE  "(a.id % 2147483648 * 1103515245 % 2147483648)"
#define OF_TYPE     "AND ($3 = '' OR a.type = $3) "

static const int64_t ring_size = (int64_t)1 << ALBUM_RING_BITS;

int64_t album_ring_place(int64_t id)
{
    return id % ring_size * RING_FACTOR % ring_size;
}

const char *album_date(const struct album_row *row)
{
    return row->original_date[0] != '\0' ? row->original_date : row->release_date;
}

/* Puts what a statement found behind what is in the list already. */
static int add(struct db_rows *rows, struct arena *arena, unsigned limit, struct album_list *list)
{
    struct album_list more;
    int error = album_collect(rows, arena, limit, &more);
    if (error != 0 || list->count == 0) {
        *list = error == 0 ? more : *list;
        return error;
    }
    struct album_row *both = arena_array(arena, limit + list->count, sizeof *both);
    if (both == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(both, list->rows, list->count * sizeof *both);
    if (more.count > 0) {
        memcpy(both + list->count, more.rows, more.count * sizeof *both);
    }
    *list = (struct album_list){.rows = both, .count = list->count + more.count};
    return 0;
}

static int same_date(struct db_session *session, const struct album_filter *filter,
                     const struct list_place *place, struct db_rows **ret_rows)
{
    const struct db_value values[] = {db_text(place->key), db_int(place->id), db_text(filter->type),
                                      db_int(place->limit), db_int(filter->shelf_id)};
    return filter->descending ? db_query(session, ret_rows,
                                         ALBUM_ON(filter->shelf_id, 5,
                                                  "AND " ALBUM_DATE " = $1 AND a.id < $2 " OF_TYPE
                                                  "ORDER BY a.id DESC LIMIT $4"),
                                         values, COUNT_OF(values))
                              : db_query(session, ret_rows,
                                         ALBUM_ON(filter->shelf_id, 5,
                                                  "AND " ALBUM_DATE " = $1 AND a.id > $2 " OF_TYPE
                                                  "ORDER BY a.id LIMIT $4"),
                                         values, COUNT_OF(values));
}

static int other_dates(struct db_session *session, const struct album_filter *filter,
                       const char *beyond, unsigned limit, struct db_rows **ret_rows)
{
    const struct db_value down[] = {db_text(filter->since), db_text(beyond), db_text(filter->type),
                                    db_int(limit), db_int(filter->shelf_id)};
    const struct db_value up[] = {db_text(beyond), db_text(filter->until), db_text(filter->type),
                                  db_int(limit), db_int(filter->shelf_id)};
    return filter->descending
               ? db_query(session, ret_rows,
                          ALBUM_ON(filter->shelf_id, 5,
                                   "AND " ALBUM_DATE " >= $1 AND " ALBUM_DATE " < $2 " OF_TYPE
                                   "ORDER BY " ALBUM_DATE " DESC, a.id DESC LIMIT $4"),
                          down, COUNT_OF(down))
               : db_query(session, ret_rows,
                          ALBUM_ON(filter->shelf_id, 5,
                                   "AND " ALBUM_DATE " > $1 AND " ALBUM_DATE " < $2 " OF_TYPE
                                   "ORDER BY " ALBUM_DATE ", a.id LIMIT $4"),
                          up, COUNT_OF(up));
}

int album_list_by_year(struct db_session *session, struct arena *arena,
                       const struct album_filter *filter, const struct list_place *place,
                       struct album_list *ret_list)
{
    struct album_list list = {0};
    struct db_rows *rows = NULL;
    int error = same_date(session, filter, place, &rows);
    error = error != 0 ? error : add(rows, arena, place->limit, &list);
    if (error == 0 && list.count < place->limit) {
        rows = NULL;
        error = other_dates(session, filter, place->key, place->limit - list.count, &rows);
        error = error != 0 ? error : add(rows, arena, place->limit - list.count, &list);
    }
    *ret_list = list;
    return error;
}

/* Places from number to before end, those at number only with higher ids. */
static int arc(struct db_session *session, const struct album_filter *filter,
               const struct list_place *from, int64_t end, unsigned limit,
               struct db_rows **ret_rows)
{
    const struct db_value values[] = {db_int(from->number),  db_int(from->id),
                                      db_text(filter->type), db_int(end),
                                      db_int(limit),         db_int(filter->shelf_id)};
    return db_query(session, ret_rows,
                    ALBUM_ON(filter->shelf_id, 6,
                             "AND " RING_PLACE " >= $1 AND (" RING_PLACE " > $1 OR a.id > $2) "
                             "AND " RING_PLACE " < $4 " OF_TYPE "ORDER BY " RING_PLACE
                             ", a.id LIMIT $5"),
                    values, COUNT_OF(values));
}

int album_list_by_ring(struct db_session *session, struct arena *arena,
                       const struct album_filter *filter, const struct list_place *place,
                       struct album_list *ret_list)
{
    static const struct list_place beginning = {.key = ""};
    int64_t start = strtoll(place->key, NULL, 10);
    struct album_list list = {0};
    struct db_rows *rows = NULL;
    int error =
        arc(session, filter, place, place->disc == 0 ? ring_size : start, place->limit, &rows);
    error = error != 0 ? error : add(rows, arena, place->limit, &list);
    if (error == 0 && place->disc == 0 && list.count < place->limit) {
        rows = NULL;
        error = arc(session, filter, &beginning, start, place->limit - list.count, &rows);
        error = error != 0 ? error : add(rows, arena, place->limit - list.count, &list);
    }
    *ret_list = list;
    return error;
}
