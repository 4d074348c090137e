/* Small helpers of the …_store.c files (store_util.h). */
#include "service/store_util.h"

#include <string.h>

int rows_first(struct db_rows *rows, struct arena *arena, row_reader *read, void *ret_row)
{
    DB_ROWS open = rows;
    int more = db_next(open);
    return more > 0 ? read(open, arena, ret_row) : more < 0 ? more : ERR_NOT_FOUND;
}

int rows_collect(struct db_rows *rows, struct arena *arena, unsigned limit, size_t row_bytes,
                 row_reader *read, void **ret_rows, unsigned *ret_count)
{
    DB_ROWS open = rows;
    char *list = arena_array(arena, limit, row_bytes);
    if (list == NULL) {
        return ERR_NO_MEMORY;
    }
    unsigned count = 0;
    int more = 0;
    while (count < limit && (more = db_next(open)) > 0) {
        int error = read(open, arena, list + count * row_bytes);
        if (error != 0) {
            return error;
        }
        count++;
    }
    if (more < 0) {
        return more;
    }
    *ret_rows = list;
    *ret_count = count;
    return 0;
}

static int grow(struct arena *arena, void **rows, unsigned count, size_t row_bytes,
                unsigned *capacity)
{
    unsigned wider = *capacity == 0 ? 64 : *capacity * 2;
    void *copy = arena_array(arena, wider, row_bytes);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    if (count > 0) {
        memcpy(copy, *rows, count * row_bytes);
    }
    *rows = copy;
    *capacity = wider;
    return 0;
}

int rows_all(struct db_rows *rows, struct arena *arena, size_t row_bytes, row_reader *read,
             void **ret_rows, unsigned *ret_count)
{
    DB_ROWS open = rows;
    void *list = NULL;
    unsigned count = 0, capacity = 0;
    int more;
    while ((more = db_next(open)) > 0) {
        int error = count == capacity ? grow(arena, &list, count, row_bytes, &capacity) : 0;
        error = error != 0 ? error : read(open, arena, (char *)list + count * row_bytes);
        if (error != 0) {
            return error;
        }
        count++;
    }
    if (more < 0) {
        return more;
    }
    *ret_rows = list;
    *ret_count = count;
    return 0;
}

static int id_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    (void)arena;
    *(int64_t *)ret_row = db_get_int(rows, 0);
    return 0;
}

int rows_ids(struct db_rows *rows, struct arena *arena, int64_t **ret_ids, unsigned *ret_count)
{
    void *ids = NULL;
    int error = rows_all(rows, arena, sizeof **ret_ids, id_read, &ids, ret_count);
    if (error == 0) {
        *ret_ids = ids;
    }
    return error;
}

int rows_number(struct db_rows *rows, int64_t *ret_number)
{
    DB_ROWS open = rows;
    int more = db_next(open);
    if (more <= 0) {
        return more < 0 ? more : ERR_NOT_FOUND;
    }
    *ret_number = db_get_int(open, 0);
    return 0;
}

int rows_exist(struct db_rows *rows, bool *ret_exists)
{
    int64_t number = 0;
    int error = rows_number(rows, &number);
    if (error != 0 && error != ERR_NOT_FOUND) {
        return error;
    }
    *ret_exists = error == 0;
    return 0;
}
