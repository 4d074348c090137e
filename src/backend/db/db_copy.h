/* Copying a database of SQLite, row by row, into another one of whatever engine (db.h), which has
 * the same tables already: how an installation moves from one process to many. The calling thread
 * waits; memory is a batch of rows. */
#pragma once

#include <stdint.h>

struct arena;
struct db;
struct problem;

struct db_copy {
    const char *path; /* the SQLite file; it must not be in use, and is only read */
    struct db *to;
    /* Tables that are a database's own and no data: named "a", "b", NULL. */
    const char *const *passed_over;
    struct arena *statements; /* must outlive `to` */
    /* After each batch: so many of the table's rows were looked at. May be NULL. */
    void (*show)(void *argument, const char *table, int64_t rows, int64_t of);
    void *argument;
};

/* Rows that are there already are passed over, so that a copy which was cut goes on. 0: every table
 * of `to` has exactly as many rows as the file's, and `to` is as old (db_born). ERR_CONFLICT: `to`
 * holds others; ERR_NOT_FOUND; ERR_IO. Words in problem. *ret_rows: in all tables. */
int db_copy_sqlite(const struct db_copy *copy, int64_t *ret_rows, struct problem *problem);
/* Whether a SQLite file has that table. */
int db_sqlite_has_table(const char *path, const char *table, int *ret_has, struct problem *problem);
