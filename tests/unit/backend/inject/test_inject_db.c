/* Databases on SQLite when any call fails (inject.h): a write is wholly there or wholly not, what
 * was acknowledged stays, and the same can be done afterwards: at once, or, where a commit may not
 * have reached the disk, after the database was opened anew (db.h: db_ping says which). */
#include "backend/db/db.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"

#include "inject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WRITES = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_FULL) | INJECT_BIT(INJECT_WRITE) |
             INJECT_BIT(INJECT_SYNC),
    PARTS = 4,
    BULK_BYTES = 5 << 20, /* more than the writer lets its log grow to, or a page cache holds */
};

static const struct db_migration tables[] = {
    {1, "test",
     "CREATE TABLE item (id BIGINT PRIMARY KEY, data TEXT NOT NULL);\n"
     "CREATE TABLE bulk (id BIGINT PRIMARY KEY, data BYTEA NOT NULL);\n"
     "CREATE TABLE part (item BIGINT NOT NULL, number BIGINT NOT NULL, data BYTEA NOT NULL);\n"},
    {2, "test", "CREATE INDEX part_item ON part (item, number);\n"}};

static struct db *db;
static unsigned runs;
static int64_t id, acknowledged; /* of the newest item; how many items are surely there */

/* ---- The database ---- */

static int open_at(unsigned number, struct db **ret_db)
{
    char url[128];
    struct problem problem = {0};
    (void)snprintf(url, sizeof url, "sqlite:%s/%u.db", inject_folder(), number);
    int r = db_open(url, "test", ret_db, &problem);
    return r < 0 ? r : db_migrate(*ret_db, tables, COUNT_OF(tables), &problem);
}

static void open_again(void)
{
    db_close(db);
    db = NULL;
    assert_int_equal(open_at(0, &db), 0);
}

/* An item and its parts: all or nothing. */
static int add_item(struct db_session *session, void *argument)
{
    int64_t item = *(int64_t *)argument;
    int r = db_exec(session, "INSERT INTO item (id, data) VALUES ($1, $2)",
                    DB_BIND(db_int(item), db_text("some text")));
    for (int64_t i = 0; i < PARTS && r >= 0; i++) {
        r = db_exec(session, "INSERT INTO part (item, number, data) VALUES ($1, $2, $3)",
                    DB_BIND(db_int(item), db_int(i), db_blob(&i, sizeof i)));
    }
    return r < 0 ? r : 0;
}

struct counts {
    int64_t items, parts;
};

static int count(struct db_session *session, void *argument)
{
    struct counts *counts = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT (SELECT COUNT(*) FROM item), (SELECT COUNT(*) FROM part)", DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) <= 0) {
        return r < 0 ? r : ERR_INTERNAL;
    }
    counts->items = db_get_int(rows, 0);
    counts->parts = db_get_int(rows, 1);
    return 0;
}

static int64_t items(struct db *of)
{
    struct counts counts = {-1, -1};
    assert_int_equal(db_read(of, count, &counts), 0);
    assert_int_equal(counts.parts, counts.items * PARTS);
    return counts.items;
}

static int make_database(void **state)
{
    log_init(LOG_ERROR, true);
    id = acknowledged = 0;
    return inject_setup(state) == 0 ? open_at(0, &db) : -1;
}

static int close_database(void **state)
{
    db_close(db);
    db = NULL;
    return inject_teardown(state);
}

/* ---- Opening ---- */

static struct db *opened;

static int run_open(void)
{
    opened = NULL;
    return open_at(runs, &opened);
}

static void close_opened(void)
{
    db_close(opened);
    opened = NULL;
}

static void next_file(void)
{
    runs++;
}

static void check_open(int result)
{
    if (result < 0) {
        close_opened();
        assert_int_equal(run_open(), 0);
    }
    id++;
    int64_t before = items(opened);
    assert_int_equal(db_write(opened, add_item, &id), 0);
    assert_int_equal(items(opened), before + 1);
    close_opened();
}

static void opening(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "db_open, a new file",
         .hits = WRITES | INJECT_BIT(INJECT_OPEN) | INJECT_BIT(INJECT_THREAD),
         .thin = true,
         .prepare = next_file,
         .run = run_open,
         .check = check_open},
        {.name = "db_open",
         .hits = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_READ) | INJECT_BIT(INJECT_OPEN),
         .thin = true,
         .run = run_open,
         .check = check_open},
    };
    inject_each(cases, COUNT_OF(cases));
}

/* ---- Writing ---- */

static int run_write(void)
{
    return db_write(db, add_item, &id);
}

static void next_item(void)
{
    id++;
}

/* With nothing prepared and nothing cached. */
static void next_item_cold(void)
{
    open_again();
    id++;
}

/* The writer stops where a commit may not have reached the disk, and for nothing else. */
static void reopen_if_stopped(void)
{
    if (db_ping(db) == ERR_UNAVAILABLE) {
        enum inject_kind kind = inject_kind_now();
        assert_true(kind == INJECT_WRITE || kind == INJECT_SYNC || kind == INJECT_READ);
        open_again();
    }
}

static void check_write(int result)
{
    bool stopped = db_ping(db) == ERR_UNAVAILABLE;
    reopen_if_stopped();
    int64_t there = items(db);
    if (result < 0 && !stopped) {
        assert_int_equal(there, acknowledged);
    }
    assert_in_range(there, acknowledged + (result < 0 ? 0 : 1), acknowledged + 1);
    if (there == acknowledged) {
        assert_int_equal(run_write(), 0);
    } else {
        assert_int_equal(run_write(), ERR_EXISTS);
    }
    acknowledged++;
    assert_int_equal(items(db), acknowledged);
}

/* Pages are written before the commit, and the log is long enough for a checkpoint. */
static int add_bulk(struct db_session *session, void *argument)
{
    static char bulk[BULK_BYTES];
    memset(bulk, (int)id & 0xff, sizeof bulk);
    int r = add_item(session, argument);
    return r < 0 ? r
                 : db_exec(session,
                           "INSERT INTO bulk (id, data) VALUES (1, $1)"
                           " ON CONFLICT (id) DO UPDATE SET data = excluded.data",
                           DB_BIND(db_blob(bulk, sizeof bulk)));
}

static int do_nothing(struct db_session *session, void *argument)
{
    (void)session;
    (void)argument;
    return 0;
}

/* The checkpoint comes after the answer and before the next write. */
static int run_bulk(void)
{
    int r = db_write(db, add_bulk, &id);
    (void)db_write(db, do_nothing, NULL);
    return r < 0 ? r : 0;
}

static void writing(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "db_write",
         .hits = WRITES,
         .prepare = next_item,
         .run = run_write,
         .check = check_write},
        {.name = "db_write, the first",
         .hits = WRITES | INJECT_BIT(INJECT_READ),
         .prepare = next_item_cold,
         .run = run_write,
         .check = check_write},
        {.name = "db_write of much, and the checkpoint",
         .hits = WRITES,
         .thin = true,
         .prepare = next_item,
         .run = run_bulk,
         .check = check_write},
    };
    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        inject_each(&cases[i], 1);
        open_again();
        assert_int_equal(items(db), acknowledged);
    }
}

/* ---- Reading ---- */

static char long_text[20001]; /* of several pages */

/* Every column that may be given is given: never NULL for want of memory. */
static int read_texts(struct db_session *session, void *argument)
{
    (void)argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT i.data, p.data FROM item i JOIN part p ON p.item = i.id"
                     " ORDER BY i.data, p.number DESC",
                     DB_NO_BIND);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        size_t length = 0;
        if (db_get_text(rows, 0) == NULL || db_get_blob(rows, 1, &length) == NULL || length != 8) {
            return ERR_CORRUPT;
        }
    }
    return r;
}

static int change_text(struct db_session *session, void *argument)
{
    (void)argument;
    return db_exec(session, "UPDATE item SET data = $1 WHERE id = 2", DB_BIND(db_text(long_text)));
}

static int run_read(void)
{
    struct counts counts = {0, 0};
    int r = db_read(db, count, &counts);
    r = r < 0 ? r : db_read(db, read_texts, NULL);
    return r == 0 && counts.items != acknowledged ? ERR_CORRUPT : r;
}

static void check_read(int result)
{
    assert_int_not_equal(result, ERR_CORRUPT);
    assert_int_equal(run_read(), 0);
    assert_int_equal(db_ping(db), 0);
}

static void reading(void **state)
{
    (void)state;
    for (id = 1; id <= 3; id++) {
        assert_int_equal(run_write(), 0);
        acknowledged++;
    }
    memset(long_text, 'x', sizeof long_text - 1);
    assert_int_equal(db_write(db, change_text, NULL), 1);
    const struct inject_case cases[] = {
        {.name = "db_read", .run = run_read, .check = check_read},
        {.name = "db_read, the first",
         .hits = INJECT_BIT(INJECT_MEMORY),
         .prepare = open_again,
         .run = run_read,
         .check = check_read},
    };
    inject_each(cases, COUNT_OF(cases));
}

/* ---- Copies and marks ---- */

static char copy_path[128];

static void next_copy(void)
{
    runs++;
    (void)snprintf(copy_path, sizeof copy_path, "%s/%u.db", inject_folder(), runs);
}

static int run_backup(void)
{
    struct problem problem = {0};
    return db_backup(db, copy_path, &problem);
}

static void check_backup(int result)
{
    char part[160];
    (void)snprintf(part, sizeof part, "%s.part", copy_path);
    assert_int_not_equal(access(part, F_OK), 0);
    if (access(copy_path, F_OK) != 0) {
        assert_true(result < 0);
        assert_int_equal(run_backup(), 0);
    }
    assert_int_equal(open_at(runs, &opened), 0);
    assert_int_equal(items(opened), acknowledged);
    close_opened();
    (void)unlink(copy_path);
}

static int64_t mark = 1000;

static int run_mark(void)
{
    return db_alive_mark(db, mark);
}

static void check_mark(int result)
{
    assert_int_equal(result < 0 ? run_mark() : 0, 0);
    assert_true(db_is_alive(db, mark));
    open_again();
    assert_false(db_is_alive(db, mark));
    mark++;
}

static void copies_and_marks(void **state)
{
    (void)state;
    id = 1;
    assert_int_equal(run_write(), 0);
    acknowledged = 1;
    const struct inject_case cases[] = {
        {.name = "db_backup",
         .hits = WRITES | INJECT_BIT(INJECT_OPEN) | INJECT_BIT(INJECT_NAME),
         .thin = true,
         .prepare = next_copy,
         .run = run_backup,
         .check = check_backup},
        {.name = "db_alive_mark",
         .hits = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_OPEN),
         .run = run_mark,
         .check = check_mark},
    };
    inject_each(cases, COUNT_OF(cases));
}

#define in_database(test) cmocka_unit_test_setup_teardown(test, make_database, close_database)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_database(opening),
        in_database(writing),
        in_database(reading),
        in_database(copies_and_marks),
    };
    return cmocka_run_group_tests(tests, inject_install, NULL);
}
