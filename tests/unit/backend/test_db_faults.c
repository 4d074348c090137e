/* backend/db on SQLite when the disk fails under it (inject/inject.h), where several writes meet:
 * the writer stops or goes on, a failure costs one write and not its neighbours, and nothing
 * acknowledged is lost. */
#include "backend/db/db.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include "inject/inject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct db_migration tables[] = {
    {1, "test", "CREATE TABLE item (id BIGINT PRIMARY KEY, data TEXT NOT NULL);\n"}};

static char url[128];

static int make_folder(void **state)
{
    int r = inject_setup(state);
    (void)snprintf(url, sizeof url, "sqlite:%s/test.db", inject_folder());
    return r;
}

static struct db *open_db(void)
{
    struct db *db = NULL;
    struct problem problem = {0};
    if (db_open(url, "test", &db, &problem) < 0 ||
        db_migrate(db, tables, COUNT_OF(tables), &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return db;
}

static int add_item(struct db_session *session, void *argument)
{
    static const char data[] = "some text that fills its page a little, so that pages are written";
    return db_exec(session, "INSERT INTO item (id, data) VALUES ($1, $2)",
                   DB_BIND(db_int(*(int64_t *)argument), db_text(data)));
}

static int count_items(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT COUNT(*) FROM item", DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) < 0) {
        return r;
    }
    *(int64_t *)argument = db_get_int(rows, 0);
    return 0;
}

static int64_t items(struct db *db)
{
    int64_t count = -1;
    assert_int_equal(db_read(db, count_items, &count), 0);
    return count;
}

static void a_failed_fsync_stops_the_writer(void **state)
{
    (void)state;
    struct db *db = open_db();
    int64_t id = 1;
    assert_int_equal(db_write(db, add_item, &id), 1);
    assert_int_equal(db_ping(db), 0);
    inject_start(INJECT_SYNC, 1, true);
    id = 2;
    assert_int_equal(db_write(db, add_item, &id), ERR_IO);
    (void)inject_stop(); /* the disk says all is well again: it is not believed */
    id = 3;
    assert_int_equal(db_write(db, add_item, &id), ERR_UNAVAILABLE);
    assert_non_null(strstr(db_words(), "did not reach the disk"));
    assert_int_equal(db_ping(db), ERR_UNAVAILABLE);
    assert_in_range(items(db), 1, 2); /* reading goes on */
    db_close(db);
    db = open_db();
    assert_in_range(items(db), 1, 2); /* 2 was never told as done, and may be there all the same */
    id = 3;
    assert_int_equal(db_write(db, add_item, &id), 1);
    db_close(db);
}

static void any_write_may_fail(void **state)
{
    (void)state;
    struct db *db = open_db();
    int64_t acknowledged = 0, id = 0;
    unsigned refused = 0;
    for (int fail_at = 1; fail_at <= 60; fail_at++) {
        inject_start(INJECT_FULL, (unsigned)fail_at % 12 + 1, false);
        for (int i = 0; i < 6; i++) {
            id++;
            int r = db_write(db, add_item, &id);
            assert_true(r == 1 || r == ERR_DISK_FULL);
            acknowledged += r == 1;
            refused += r != 1;
        }
        (void)inject_stop();
        assert_int_equal(items(db), acknowledged);
    }
    assert_in_range(refused, 30, 60); /* each failure cost one write, not its neighbours */
    db_close(db);
    db = open_db();
    assert_int_equal(items(db), acknowledged);
    db_close(db);
}

/* ---- A group in which one request makes the engine end the whole transaction ---- */

enum { WRITERS = 8, ROUNDS = 30, BULKY = 1500 };

/* More than a page cache holds, so that pages are written before the commit and can fail there. */
static int add_many(struct db_session *session, void *argument)
{
    int64_t id = *(int64_t *)argument * 100000;
    int r = 0;
    char data[2001];
    memset(data, 'x', 2000);
    data[2000] = '\0';
    for (int i = 0; i < BULKY && r >= 0; i++) {
        int64_t next = id + i;
        r = db_exec(session, "INSERT INTO item (id, data) VALUES ($1, $2)",
                    DB_BIND(db_int(next), db_text(data)));
    }
    return r;
}

struct worker {
    struct db *db;
    int number;
    int64_t acknowledged;
    unsigned other;
};

static void *write_small(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t id = worker->number * 1000 + i + 1;
        int r = db_write(worker->db, add_item, &id);
        worker->acknowledged += r == 1;
        worker->other += r != 1 && r != ERR_DISK_FULL;
    }
    return NULL;
}

static void *write_bulky(void *argument)
{
    struct worker *worker = argument;
    for (int64_t i = 0; i < 6; i++) {
        int64_t id = 1000 + i;
        inject_start(INJECT_FULL, 200, false);
        int r = db_write(worker->db, add_many, &id);
        worker->acknowledged += r == 1 ? BULKY : 0;
        worker->other += r != 1 && r != ERR_DISK_FULL;
    }
    (void)inject_stop();
    return NULL;
}

static void neighbours_of_a_lost_transaction_run_again(void **state)
{
    (void)state;
    struct db *db = open_db();
    pthread_t threads[WRITERS + 1];
    struct worker workers[WRITERS + 1];
    int64_t acknowledged = 0;
    for (int i = 0; i <= WRITERS; i++) {
        workers[i] = (struct worker){.db = db, .number = i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < WRITERS ? write_small : write_bulky, &workers[i]),
            0);
    }
    for (int i = 0; i <= WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].other, 0);
        acknowledged += workers[i].acknowledged;
    }
    assert_int_equal(items(db), acknowledged);
    assert_true(acknowledged > WRITERS * ROUNDS / 2);
    int64_t id = 999999999;
    assert_int_equal(db_write(db, add_item, &id), 1);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failed_fsync_stops_the_writer, make_folder,
                                        inject_teardown),
        cmocka_unit_test_setup_teardown(any_write_may_fail, make_folder, inject_teardown),
        cmocka_unit_test_setup_teardown(neighbours_of_a_lost_transaction_run_again, make_folder,
                                        inject_teardown),
    };
    return cmocka_run_group_tests(tests, inject_install, NULL);
}
