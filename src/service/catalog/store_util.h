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

/* Column 0 of all rows of an open cursor, ids. Closes it. */
int rows_ids(struct db_rows *rows, struct arena *arena, int64_t **ret_ids, unsigned *ret_count);
/* Column 0 of the first row. ERR_NOT_FOUND without one. Closes it. */
int rows_number(struct db_rows *rows, int64_t *ret_number);
/* Whether there is a row. Closes it. */
int rows_exist(struct db_rows *rows, bool *ret_exists);
