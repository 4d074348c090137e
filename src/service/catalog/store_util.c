/* Small helpers of the …_store.c files (store_util.h). */
#include "service/catalog/store_util.h"

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

static int ids_grow(struct arena *arena, int64_t **ids, unsigned count, unsigned *capacity)
{
    if (count < *capacity) {
        return 0;
    }
    unsigned wider = *capacity == 0 ? 64 : *capacity * 2;
    int64_t *copy = arena_array(arena, wider, sizeof *copy);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    if (count > 0) {
        memcpy(copy, *ids, count * sizeof *copy);
    }
    *ids = copy;
    *capacity = wider;
    return 0;
}

int rows_ids(struct db_rows *rows, struct arena *arena, int64_t **ret_ids, unsigned *ret_count)
{
    DB_ROWS open = rows;
    int64_t *ids = NULL;
    unsigned count = 0, capacity = 0;
    int more;
    while ((more = db_next(open)) > 0) {
        int error = ids_grow(arena, &ids, count, &capacity);
        if (error != 0) {
            return error;
        }
        ids[count++] = db_get_int(open, 0);
    }
    if (more < 0) {
        return more;
    }
    *ret_ids = ids;
    *ret_count = count;
    return 0;
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
