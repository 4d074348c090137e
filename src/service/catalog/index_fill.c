/* Keys of the index for rows that a version before wrote (catalog_internal.h): in small steps, so
 * that writers wait for none of them long. Any thread that may block. */
#include "service/catalog/catalog_internal.h"

#include "base/error.h"
#include "service/catalog/catalog_rows.h"

enum { ROWS_AT_ONCE = 500 };

struct fill {
    struct arena *arena;
    struct artist_list list;
};

static int find_work(struct db_session *session, void *argument)
{
    struct fill *fill = argument;
    return artist_list_unindexed(session, fill->arena, ROWS_AT_ONCE, &fill->list);
}

static int fill_work(struct db_session *session, void *argument)
{
    const struct fill *fill = argument;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < fill->list.count; i++) {
        error = artist_index_fill(session, &fill->list.rows[i]);
    }
    return error;
}

static int fill_some(struct db *db, unsigned *ret_count)
{
    struct fill fill = {.arena = arena_new(0)};
    int error = fill.arena != NULL ? db_read(db, find_work, &fill) : ERR_NO_MEMORY;
    if (error == 0 && fill.list.count > 0) {
        error = db_write(db, fill_work, &fill);
    }
    *ret_count = error == 0 ? fill.list.count : 0;
    arena_free(fill.arena);
    return error;
}

int catalog_index_fill(struct db *db)
{
    unsigned count = 0;
    int error;
    do {
        error = fill_some(db, &count);
    } while (error == 0 && count == ROWS_AT_ONCE);
    return error;
}
