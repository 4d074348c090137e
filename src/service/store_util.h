/* Small helpers of the …_store.c files. */
#pragma once

#include "backend/db/db.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"

/* Column as text in the arena; "" for NULL. NULL only when out of memory. */
static inline const char *row_text(struct arena *arena, struct db_rows *rows, unsigned column)
{
    const char *text = db_get_text(rows, column);
    return text != NULL ? arena_strdup(arena, text) : "";
}

/* The number a statement changed, as success or ERR_NOT_FOUND where it found no row. */
static inline int changed_one(int changed)
{
    return changed < 0 ? changed : changed == 0 ? ERR_NOT_FOUND : 0;
}

/* The number a statement changed, where none is fine too. */
static inline int changed_any(int changed)
{
    return changed < 0 ? changed : 0;
}

/* Sixteen values of a list, $1 to $16, for "… IN" ROWS_IN_16. */
#define ROWS_IN_16 " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
#define ROWS_BIND_16(ids)                                                                          \
    DB_BIND(db_int((ids)[0]), db_int((ids)[1]), db_int((ids)[2]), db_int((ids)[3]),                \
            db_int((ids)[4]), db_int((ids)[5]), db_int((ids)[6]), db_int((ids)[7]),                \
            db_int((ids)[8]), db_int((ids)[9]), db_int((ids)[10]), db_int((ids)[11]),              \
            db_int((ids)[12]), db_int((ids)[13]), db_int((ids)[14]), db_int((ids)[15]))
/* Reads the row a cursor stands at into a struct of the store's own. */
typedef int row_reader(struct db_rows *rows, struct arena *arena, void *ret_row);
/* The first row. ERR_NOT_FOUND without one. Closes the cursor. */
int rows_first(struct db_rows *rows, struct arena *arena, row_reader *read, void *ret_row);
/* Up to limit rows, each a struct of row_bytes, as an array in the arena. Closes the cursor. */
int rows_collect(struct db_rows *rows, struct arena *arena, unsigned limit, size_t row_bytes,
                 row_reader *read, void **ret_rows, unsigned *ret_count);
/* The same of all rows there are; NULL for none. */
int rows_all(struct db_rows *rows, struct arena *arena, size_t row_bytes, row_reader *read,
             void **ret_rows, unsigned *ret_count);
/* Column 0 of all rows of an open cursor, ids. Closes it. */
int rows_ids(struct db_rows *rows, struct arena *arena, int64_t **ret_ids, unsigned *ret_count);
/* Column 0 of the first row. ERR_NOT_FOUND without one. Closes it. */
int rows_number(struct db_rows *rows, int64_t *ret_number);
/* Whether there is a row. Closes it. */
int rows_exist(struct db_rows *rows, bool *ret_exists);
