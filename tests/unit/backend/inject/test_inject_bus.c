/* Events and node numbers when any call fails (inject.h): an event is there if and only if its
 * change is; it is handled once where the effect is in the database, at least once elsewhere; and
 * after the failure all goes on. */
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "backend/node/node_lease.h"
#include "base/clock.h"
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
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WRITES = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_FULL) | INJECT_BIT(INJECT_WRITE) |
             INJECT_BIT(INJECT_SYNC),
    ITEMS_MAX = 20000,
    WINDOW_MS = 30,    /* in which handlers meet the failures */
    SETTLE_MS = 60000, /* a bound, never waited for in full by a bus that works */
};

static const struct db_migration tables[] = {
    {1, "test",
     "CREATE TABLE item (id BIGINT PRIMARY KEY);\n"
     "CREATE TABLE handled (id BIGINT PRIMARY KEY, ordinal BIGINT NOT NULL);\n"}};

static struct db *db;
static struct bus *bus;
static int64_t id;                   /* the newest item */
static atomic_uchar told[ITEMS_MAX]; /* how often the handler outside saw an item */

/* ---- Changes with events ---- */

static int add_item(struct db_session *session, void *argument)
{
    int64_t item = *(int64_t *)argument;
    int r = db_exec(session, "INSERT INTO item (id) VALUES ($1)", DB_BIND(db_int(item)));
    if (r < 0) {
        return r;
    }
    return bus_emit(session, "item.added", "item", json_pack("{s:I}", "id", (json_int_t)item));
}

static int64_t item_of(const struct event *event)
{
    json_t *payload = json_loads(event->payload, 0, NULL);
    int64_t item = payload != NULL ? json_integer_value(json_object_get(payload, "id")) : 0;
    json_decref(payload);
    return item;
}

/* The order in which items are handled is kept too. */
static int handle_inside(struct db_session *session, void *context, const struct event *event)
{
    (void)context;
    int64_t item = item_of(event);
    return item == 0 ? ERR_NO_MEMORY
                     : db_exec(session,
                               "INSERT INTO handled (id, ordinal)"
                               " VALUES ($1, (SELECT COUNT(*) FROM handled))",
                               DB_BIND(db_int(item)));
}

static int handle_outside(void *context, const struct event *event)
{
    (void)context;
    int64_t item = item_of(event);
    if (item == 0) {
        return ERR_NO_MEMORY;
    }
    (void)atomic_fetch_add(&told[item], 1);
    return 0;
}

static const struct bus_consumer consumers[] = {
    {.name = "inside", .from_start = 1, .handle_in = handle_inside},
    {.name = "outside", .from_start = 1, .handle = handle_outside},
};

/* ---- The rig ---- */

static int open_database(void)
{
    char url[128];
    struct problem problem = {0};
    (void)snprintf(url, sizeof url, "sqlite:%s/test.db", inject_folder());
    int r = db_open(url, "test", &db, &problem);
    return r < 0 ? r : db_migrate(db, tables, COUNT_OF(tables), &problem);
}

static int open_bus(void)
{
    struct problem problem = {0};
    int r = bus_open("local:?retry_ms=40&retry_max_ms=40&lease_ms=400", &bus, &problem);
    if (r < 0) {
        return r;
    }
    r = bus_attach(bus, db, &problem);
    for (unsigned i = 0; i < COUNT_OF(consumers) && r >= 0; i++) {
        r = bus_subscribe(bus, db, &consumers[i]);
    }
    return r < 0 ? r : bus_start(bus);
}

static void close_rig(void)
{
    bus_close(bus);
    db_close(db);
    bus = NULL;
    db = NULL;
}

static void open_rig(void)
{
    assert_int_equal(open_database(), 0);
    assert_int_equal(open_bus(), 0);
}

static int make_rig(void **state)
{
    log_init(LOG_ERROR, true);
    id = 0;
    memset((void *)told, 0, sizeof told);
    if (inject_setup(state) != 0) {
        return -1;
    }
    open_rig();
    return 0;
}

static int remove_rig(void **state)
{
    (void)inject_stop();
    close_rig();
    return inject_teardown(state);
}

static void reopen_if_stopped(void)
{
    if (db_ping(db) == ERR_UNAVAILABLE) {
        assert_int_not_equal(inject_kind_now(), INJECT_MEMORY);
        assert_int_not_equal(inject_kind_now(), INJECT_FULL);
        close_rig();
        open_rig();
    }
}

struct counts {
    int64_t items, events, handled, disorder;
};

static int count(struct db_session *session, void *argument)
{
    struct counts *counts = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT (SELECT COUNT(*) FROM item), (SELECT COUNT(*) FROM bus_outbox),"
                     " (SELECT COUNT(*) FROM handled), (SELECT COUNT(*) FROM handled a"
                     "  JOIN handled b ON b.ordinal = a.ordinal + 1 WHERE b.id < a.id)",
                     DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) <= 0) {
        return r < 0 ? r : ERR_INTERNAL;
    }
    *counts = (struct counts){db_get_int(rows, 0), db_get_int(rows, 1), db_get_int(rows, 2),
                              db_get_int(rows, 3)};
    return 0;
}

static int is_there(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT 1 FROM item WHERE id = $1",
                     DB_BIND(db_int(*(int64_t *)argument)));
    return r < 0 ? r : db_next(rows);
}

static int64_t count_told(void)
{
    int64_t items = 0;
    for (int64_t item = 1; item <= id; item++) {
        items += atomic_load(&told[item]) > 0 ? 1 : 0;
    }
    return items;
}

/* Whatever happened before: every item has its event, and each is handled. An event that failed
 * waits for its next try, also when all were seen. */
static void check_all(void)
{
    struct counts counts = {0};
    int64_t until_ms = clock_monotonic_ms() + SETTLE_MS;
    do {
        assert_int_equal(bus_settle(bus, SETTLE_MS), 0);
        assert_int_equal(db_read(db, count, &counts), 0);
    } while ((counts.handled < counts.items || count_told() < counts.items) &&
             clock_monotonic_ms() < until_ms);
    assert_int_equal(counts.events, counts.items);
    assert_int_equal(counts.handled, counts.items);
    assert_int_equal(counts.disorder, 0);
    for (int64_t item = 1; item <= id; item++) {
        int there = db_read(db, is_there, &item);
        assert_in_range(there, 0, 1);
        assert_int_equal(atomic_load(&told[item]) > 0, there);
    }
}

/* ---- Emitting and handling ---- */

static void next_item(void)
{
    id++;
    assert_in_range(id, 1, ITEMS_MAX - 2);
}

static bool all_handled(void)
{
    return atomic_load(&told[id]) > 0;
}

/* While the handlers meet the failures as well. */
static int run_emit(void)
{
    int r = db_write(db, add_item, &id);
    int64_t until_ms = clock_monotonic_ms() + WINDOW_MS;
    while (r >= 0 && clock_monotonic_ms() < until_ms && !all_handled()) {
        struct timespec pause = {.tv_nsec = 500000};
        (void)nanosleep(&pause, NULL);
    }
    return r < 0 ? r : 0;
}

static void check_emit(int result)
{
    bool stopped = db_ping(db) == ERR_UNAVAILABLE;
    reopen_if_stopped();
    int there = db_read(db, is_there, &id);
    assert_true(there == (result == 0) || (stopped && there == 1));
    next_item();
    assert_int_equal(db_write(db, add_item, &id), 0);
    check_all();
}

static void emitting_and_handling(void **state)
{
    (void)state;
    const struct inject_case what = {.name = "bus_emit, and the handlers",
                                     .hits = WRITES,
                                     .thin = true,
                                     .prepare = next_item,
                                     .run = run_emit,
                                     .check = check_emit};
    inject_each(&what, 1);
}

/* ---- Opening ---- */

static void close_bus(void)
{
    bus_close(bus);
    bus = NULL;
}

static int run_open(void)
{
    return open_bus();
}

static void check_open(int result)
{
    reopen_if_stopped();
    if (result < 0) {
        close_bus();
        assert_int_equal(open_bus(), 0);
    }
    next_item();
    assert_int_equal(db_write(db, add_item, &id), 0);
    check_all();
}

static void opening(void **state)
{
    (void)state;
    const struct inject_case what = {.name = "bus_open to bus_start",
                                     .hits = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_THREAD),
                                     .thin = true,
                                     .prepare = close_bus,
                                     .run = run_open,
                                     .check = check_open};
    inject_each(&what, 1);
}

/* ---- Node numbers ---- */

static struct node_lease *lease;

static void lose(void *argument)
{
    (void)argument;
}

static int run_take(void)
{
    struct problem problem = {0};
    lease = NULL;
    return node_lease_take(db, lose, NULL, &lease, &problem);
}

static void release(void)
{
    node_lease_release(lease);
    lease = NULL;
}

static int count_held(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT COUNT(*) FROM node_lease WHERE lease_until > 0",
                     DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) <= 0) {
        return r;
    }
    *(int64_t *)argument = db_get_int(rows, 0);
    return 0;
}

static int64_t held(void)
{
    int64_t count_of_held = -1;
    assert_int_equal(db_read(db, count_held, &count_of_held), 0);
    return count_of_held;
}

static int64_t held_before;

static void note_held(void)
{
    held_before = held();
}

static void check_take(int result)
{
    assert_int_equal(lease != NULL, result == 0);
    bool stopped = db_ping(db) == ERR_UNAVAILABLE;
    if (stopped) {
        release();
        reopen_if_stopped();
    } else {
        assert_int_equal(held(), held_before + (result == 0 ? 1 : 0));
        release();
    }
    assert_int_equal(run_take(), 0);
    assert_true(node_lease_is_held(lease));
    release();
}

static void take(void)
{
    assert_int_equal(run_take(), 0);
}

/* A number that could not be given back is free when its time is over. */
static int run_release(void)
{
    release();
    return 0;
}

static void check_release(int result)
{
    (void)result;
    reopen_if_stopped();
    take();
    release();
}

static void node_numbers(void **state)
{
    (void)state;
    take(); /* its tables */
    release();
    const struct inject_case cases[] = {
        {.name = "node_lease_take",
         .hits = WRITES | INJECT_BIT(INJECT_THREAD),
         .thin = true,
         .prepare = note_held,
         .run = run_take,
         .check = check_take},
        {.name = "node_lease_release",
         .hits = WRITES,
         .thin = true,
         .prepare = take,
         .run = run_release,
         .check = check_release},
    };
    inject_each(cases, COUNT_OF(cases));
}

#define in_rig(test) cmocka_unit_test_setup_teardown(test, make_rig, remove_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {in_rig(opening), in_rig(emitting_and_handling),
                                       in_rig(node_numbers)};
    return cmocka_run_group_tests(tests, inject_install, NULL);
}
