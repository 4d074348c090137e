/* The contract of db.h, for every engine. */
#include "contract.h"

#include "backend/db/db.h"
#include "base/call.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct db_migration tables[] = {
    {1, "test",
     "CREATE TABLE parent (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE);\n"
     "CREATE TABLE child (id BIGINT PRIMARY KEY, parent_id BIGINT NOT NULL REFERENCES parent "
     "(id),\n"
     "  size BIGINT NOT NULL CHECK (size >= 0), data BYTEA, weight DOUBLE PRECISION);\n"},
    {2, "test", "ALTER TABLE parent ADD COLUMN note TEXT;\n"},
};

static struct db *open_db(const struct place *place)
{
    struct db *db = NULL;
    struct problem problem = {0};
    if (open_place(place->url, "test", &db, &problem) < 0 ||
        db_migrate(db, tables, COUNT_OF(tables), &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return db;
}

struct parent {
    int64_t id;
    const char *name;
};

static int add_parent(struct db_session *session, void *argument)
{
    const struct parent *parent = argument;
    return db_exec(session, "INSERT INTO parent (id, name) VALUES ($1, $2)",
                   DB_BIND(db_int(parent->id), db_text(parent->name)));
}

static int count_parents(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT COUNT(*) FROM parent", DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) < 0) {
        return r;
    }
    *(int64_t *)argument = db_get_int(rows, 0);
    return 0;
}

static int64_t parents(struct db *db)
{
    int64_t count = -1;
    assert_int_equal(db_read(db, count_parents, &count), 0);
    return count;
}

static void bad_urls_are_refused_with_words(void **state)
{
    (void)state;
    struct db *db = NULL;
    struct problem problem = {0};
    assert_int_equal(db_open("oracle:scott", "test", &db, &problem), ERR_INVALID);
    assert_non_null(strstr(problem.detail, "test"));
    assert_int_equal(db_open("nothing", "test", &db, &problem), ERR_INVALID);
    assert_int_equal(db_open("sqlite:", "test", &db, &problem), ERR_INVALID);
    problem_reset(&problem);
    assert_int_equal(db_open("sqlite:/nowhere/at/all.db", "test", &db, &problem), ERR_UNAVAILABLE);
    assert_non_null(strstr(problem.detail, "/nowhere/at/all.db"));
    assert_null(db);
}

struct values {
    int64_t big;
    double real;
    char text[32];
    unsigned char blob[4];
    size_t blob_length, empty_length;
    bool null_is_null, empty_is_null;
};

static int put_values(struct db_session *session, void *argument)
{
    const struct values *values = argument;
    int r = db_exec(session, "INSERT INTO parent (id, note, name) VALUES ($2, $3, $1)",
                    DB_BIND(db_text(values->text), db_int(values->big), db_text(NULL)));
    if (r < 0) {
        return r;
    }
    return db_exec(session,
                   "INSERT INTO child (id, parent_id, size, data, weight)"
                   " VALUES (1, $1, 0, $2, $3), (2, $1, 0, $4, $3)",
                   DB_BIND(db_int(values->big), db_blob(values->blob, 4), db_real(values->real),
                           db_blob(NULL, 0)));
}

static int get_values(struct db_session *session, void *argument)
{
    struct values *values = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT p.id, p.name, p.note, c.weight, c.data FROM parent p"
                     " JOIN child c ON c.parent_id = p.id ORDER BY c.id",
                     DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) != 1) {
        return r < 0 ? r : ERR_NOT_FOUND;
    }
    values->big = db_get_int(rows, 0);
    (void)snprintf(values->text, sizeof values->text, "%s", db_get_text(rows, 1));
    values->null_is_null = db_is_null(rows, 2) && db_get_text(rows, 2) == NULL;
    values->real = db_get_real(rows, 3);
    const void *blob = db_get_blob(rows, 4, &values->blob_length);
    memcpy(values->blob, blob, values->blob_length < 4 ? values->blob_length : 4);
    if ((r = db_next(rows)) != 1) {
        return r < 0 ? r : ERR_NOT_FOUND;
    }
    values->empty_is_null = db_is_null(rows, 4);
    assert_non_null(db_get_blob(rows, 4, &values->empty_length));
    return db_next(rows);
}

static void values_come_back_as_they_went(void **state)
{
    struct db *db = open_db(*state);
    struct values in = {.big = INT64_MAX, .real = 0.1, .text = "Ó Riada ⚘", .blob = {0, 255, 0, 7}};
    struct values out = {.empty_is_null = true, .empty_length = 9};
    assert_true(db_write(db, put_values, &in) >= 0);
    assert_int_equal(db_read(db, get_values, &out), 0);
    assert_true(out.big == INT64_MAX);
    assert_true(out.real == 0.1);
    assert_string_equal(out.text, in.text);
    assert_int_equal(out.blob_length, 4);
    assert_memory_equal(out.blob, in.blob, 4);
    assert_true(out.null_is_null);
    assert_false(out.empty_is_null);
    assert_int_equal(out.empty_length, 0);
    db_close(db);
}

static int break_check(struct db_session *session, void *argument)
{
    return db_exec(session, "INSERT INTO child (id, parent_id, size) VALUES ($1, 1, -1)",
                   DB_BIND(db_int((intptr_t)argument)));
}

static int break_foreign_key(struct db_session *session, void *argument)
{
    return db_exec(session, "INSERT INTO child (id, parent_id, size) VALUES ($1, 4711, 1)",
                   DB_BIND(db_int((intptr_t)argument)));
}

static void broken_constraints_have_names(void **state)
{
    struct db *db = open_db(*state);
    struct parent first = {1, "a"}, same_id = {1, "b"}, same_name = {2, "a"};
    assert_int_equal(db_write(db, add_parent, &first), 1);
    assert_int_equal(db_write(db, add_parent, &same_id), ERR_EXISTS);
    assert_int_equal(db_write(db, add_parent, &same_name), ERR_EXISTS);
    assert_true(strlen(db_words()) > 0);
    assert_int_equal(db_write(db, break_foreign_key, (void *)5), ERR_CONFLICT);
    assert_int_equal(db_write(db, break_check, (void *)5), ERR_CONFLICT);
    assert_int_equal(parents(db), 1);
    db_close(db);
}

static int add_two_then_fail(struct db_session *session, void *argument)
{
    struct parent one = {100, "one"}, two = {101, "two"};
    if (add_parent(session, &one) < 0 || add_parent(session, &two) < 0) {
        return ERR_INTERNAL;
    }
    return *(int *)argument;
}

static int swallow_a_failure(struct db_session *session, void *argument)
{
    (void)argument;
    struct parent one = {200, "one"}, two = {200, "two"}, three = {201, "three"};
    (void)add_parent(session, &one);
    (void)add_parent(session, &two);                           /* the same id */
    assert_int_equal(add_parent(session, &three), ERR_EXISTS); /* the session is spent */
    return 0;
}

static void a_failed_write_leaves_nothing(void **state)
{
    struct db *db = open_db(*state);
    int result = ERR_PRECONDITION;
    int64_t before = db_position(db);
    assert_int_equal(db_write(db, add_two_then_fail, &result), ERR_PRECONDITION);
    assert_int_equal(parents(db), 0);
    assert_int_equal(db_position(db), before);
    assert_int_equal(db_write(db, swallow_a_failure, NULL), ERR_EXISTS);
    assert_int_equal(parents(db), 0);
    result = 0;
    assert_int_equal(db_write(db, add_two_then_fail, &result), 0);
    assert_int_equal(parents(db), 2);
    assert_true(db_position(db) > before);
    db_close(db);
}

/* Many threads, each with writes that succeed and writes that fail, so that groups hold both. */
enum { WRITERS = 16, ROUNDS = 40 };
struct worker {
    struct db *db;
    int number, wrong;
};

static int add_or_fail(struct db_session *session, void *argument)
{
    const struct parent *parent = argument;
    int r = add_parent(session, argument);
    return r >= 0 && parent->id % 3 == 0 ? ERR_PRECONDITION : r;
}

static void *write_some(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < ROUNDS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%d-%d", worker->number, i);
        struct parent parent = {worker->number * 1000 + i + 1, name};
        int expected = parent.id % 3 == 0 ? ERR_PRECONDITION : 1;
        worker->wrong += db_write(worker->db, add_or_fail, &parent) != expected;
    }
    return NULL;
}

static void one_failure_does_not_undo_its_neighbours(void **state)
{
    struct db *db = open_db(*state);
    pthread_t threads[WRITERS];
    struct worker workers[WRITERS];
    int expected = 0;
    for (int i = 0; i < WRITERS; i++) {
        workers[i] = (struct worker){.db = db, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &workers[i]), 0);
        for (int j = 0; j < ROUNDS; j++) {
            expected += (i * 1000 + j + 1) % 3 != 0;
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(parents(db), expected);
    db_close(db);
}

static int two_looks(struct db_session *session, void *argument)
{
    atomic_int *steps = argument;
    int64_t first = 0, second = 0;
    int r = count_parents(session, &first);
    atomic_store(steps, 1);
    for (int i = 0; i < 2000 && atomic_load(steps) != 2; i++) {
        pause_ms(1);
    }
    return r < 0 || (r = count_parents(session, &second)) < 0 ? r : (int)(second - first);
}

static void *add_meanwhile(void *argument)
{
    struct worker *worker = argument;
    struct parent parent = {1, "meanwhile"};
    worker->wrong = db_write(worker->db, add_parent, &parent) != 1;
    return NULL;
}

struct reading {
    struct db *db;
    atomic_int steps;
    int result;
};

static void *read_twice(void *argument)
{
    struct reading *reading = argument;
    reading->result = db_read(reading->db, two_looks, &reading->steps);
    return NULL;
}

static void a_read_sees_one_moment_and_blocks_no_writer(void **state)
{
    struct reading reading = {.db = open_db(*state), .result = -1};
    pthread_t reader, writer;
    struct worker worker = {.db = reading.db};
    assert_int_equal(pthread_create(&reader, NULL, read_twice, &reading), 0);
    while (atomic_load(&reading.steps) != 1) {
        pause_ms(1);
    }
    assert_int_equal(pthread_create(&writer, NULL, add_meanwhile, &worker), 0);
    (void)pthread_join(writer, NULL);
    assert_int_equal(worker.wrong, 0);
    assert_int_equal(parents(reading.db), 1); /* another reader sees it at once */
    atomic_store(&reading.steps, 2);
    (void)pthread_join(reader, NULL);
    assert_int_equal(reading.result, 0); /* the old one does not */
    db_close(reading.db);
}

/* ---- deadlines ---- */

static int count_for_ever(struct db_session *session, void *argument)
{
    (void)argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                     "SELECT COUNT(*) FROM n",
                     DB_NO_BIND);
    return r < 0 ? r : db_next(rows);
}

static void a_read_ends_at_its_deadline(void **state)
{
    struct db *db = open_db(*state);
    (void)call_deadline_enter(clock_monotonic_ms() + 100);
    assert_int_equal(db_read(db, count_for_ever, NULL), ERR_TIMEOUT);
    (void)call_deadline_enter(0);
    assert_int_equal(parents(db), 0); /* its connection is as good as before */
    db_close(db);
}

static void what_is_late_is_not_begun(void **state)
{
    struct db *db = open_db(*state);
    struct parent parent = {1, "late"};
    int64_t count = 0;
    (void)call_deadline_enter(clock_monotonic_ms());
    assert_int_equal(db_write(db, add_parent, &parent), ERR_BUSY);
    assert_int_equal(db_read(db, count_parents, &count), ERR_BUSY);
    (void)call_deadline_enter(0);
    assert_int_equal(parents(db), 0);
    db_close(db);
}

static int write_in_read(struct db_session *session, void *argument)
{
    assert_false(db_session_writes(session));
    return add_parent(session, argument);
}

static void reads_cannot_write(void **state)
{
    struct db *db = open_db(*state);
    struct parent parent = {1, "x"};
    assert_int_equal(db_read(db, write_in_read, &parent), ERR_INTERNAL);
    assert_int_equal(parents(db), 0);
    db_close(db);
}

static int leave_rows_open(struct db_session *session, void *argument)
{
    (void)argument;
    for (int i = 0; i < 3; i++) { /* the same text three times at once */
        struct db_rows *rows = NULL;
        int r = db_query(session, &rows, "SELECT id FROM parent ORDER BY id", DB_NO_BIND);
        if (r < 0 || (r = db_next(rows)) != 1 || db_get_int(rows, 0) != 1) {
            return ERR_INTERNAL;
        }
    }
    return 0;
}

static void rows_left_open_are_closed(void **state)
{
    struct db *db = open_db(*state);
    struct parent parent = {1, "x"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(db_read(db, leave_rows_open, NULL), 0);
        assert_int_equal(db_write(db, leave_rows_open, NULL), 0);
    }
    parent = (struct parent){2, "y"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    db_close(db);
}

static int count_by_changing_text(struct db_session *session, void *argument)
{
    char sql[64]; /* against the rule: one address, two texts */
    int64_t sum = 0;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(sql, sizeof sql, i == 0 ? "SELECT 1" : "SELECT 20");
        DB_ROWS rows = NULL;
        int r = db_query(session, &rows, sql, DB_NO_BIND);
        if (r < 0 || (r = db_next(rows)) < 0) {
            return r;
        }
        sum += db_get_int(rows, 0);
    }
    *(int64_t *)argument = sum;
    return 0;
}

static void a_kept_statement_is_never_the_wrong_one(void **state)
{
    struct db *db = open_db(*state);
    int64_t sum = 0;
    assert_int_equal(db_read(db, count_by_changing_text, &sum), 0);
    assert_int_equal(sum, 21);
    db_close(db);
}

static void everything_is_there_after_reopening(void **state)
{
    struct db *db = open_db(*state);
    struct parent parent = {7, "kept"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    int64_t position = db_position(db);
    db_close(db);
    db = open_db(*state);
    assert_int_equal(parents(db), 1);
    assert_true(db_position(db) >= position);
    assert_int_equal(db_ping(db), 0);
    db_close(db);
}

static void migrations_are_applied_once_and_watched(void **state)
{
    struct db *db = open_db(*state);
    struct problem problem = {0};
    assert_int_equal(db_migrate(db, tables, COUNT_OF(tables), &problem), 0);

    struct db_migration changed[] = {tables[0], tables[1]};
    changed[1].sql = "ALTER TABLE parent ADD COLUMN remark TEXT;\n";
    assert_int_equal(db_migrate(db, changed, 2, &problem), ERR_CORRUPT);
    assert_non_null(strstr(problem.detail, "Migration 2 of test"));

    assert_int_equal(db_migrate(db, tables, 1, &problem), ERR_VERSION);
    assert_non_null(strstr(problem.detail, "newer version"));

    const struct db_migration other[] = {{1, "other", "CREATE TABLE other (id BIGINT);\n"}};
    assert_int_equal(db_migrate(db, other, 1, &problem), 0);
    db_close(db);
}

static void a_broken_migration_leaves_nothing(void **state)
{
    struct db *db = open_db(*state);
    struct problem problem = {0};
    const struct db_migration broken[] = {
        {1, "more", "CREATE TABLE half (id BIGINT);\nINSERT INTO nowhere VALUES (1);\n"}};
    assert_int_equal(db_migrate(db, broken, 1, &problem), ERR_INTERNAL);
    assert_non_null(strstr(problem.detail, "nowhere"));
    const struct db_migration mended[] = {{1, "more", "CREATE TABLE half (id BIGINT);\n"}};
    assert_int_equal(db_migrate(db, mended, 1, &problem), 0);
    db_close(db);
}

static void count_wake(void *argument)
{
    (void)atomic_fetch_add((atomic_int *)argument, 1);
}

static bool woken(atomic_int *wakes, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (atomic_load(wakes) == 0 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    return atomic_exchange(wakes, 0) > 0;
}

static void commits_wake_the_listeners(void **state)
{
    struct db *db = open_db(*state);
    atomic_int wakes = 0;
    db_on_commit(db, count_wake, &wakes);
    struct parent parent = {1, "x"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    assert_true(woken(&wakes, 1000));
    pause_ms(120);
    (void)atomic_exchange(&wakes, 0);
    assert_false(woken(&wakes, 200)); /* nothing written, nothing told */
    db_off_commit(db, count_wake, &wakes);
    parent = (struct parent){2, "y"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    assert_false(woken(&wakes, 150));
    db_close(db);
}

static int add_parent_quietly(struct db_session *session, void *argument)
{
    db_quiet(session);
    return add_parent(session, argument);
}

/* PostgreSQL's watcher looks once a second whether anything moved, whoever told or did not. */
static void a_quiet_write_wakes_nobody(void **state)
{
    enum { WRITES = 200 };
    const struct place *place = *state;
    struct db *db = open_db(*state);
    atomic_int wakes = 0;
    db_on_commit(db, count_wake, &wakes);
    int64_t began_ms = clock_monotonic_ms();
    for (int i = 0; i < WRITES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "quiet %d", i);
        struct parent parent = {i, name};
        assert_int_equal(db_write(db, add_parent_quietly, &parent), 1);
    }
    int64_t looks = 2 + (clock_monotonic_ms() - began_ms) / 1000;
    db_off_commit(db, count_wake, &wakes);
    assert_int_equal(parents(db), WRITES);
    if (strncmp(place->url, "sqlite:", 7) != 0) {
        assert_true(atomic_load(&wakes) <= looks);
    }
    db_close(db);
}

/* Starts another process with the same database; returns its pid. */
static pid_t fork_with(void (*run)(const struct place *place), const struct place *place)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        run(place);
        _exit(0);
    }
    return pid;
}

static void write_one(const struct place *place)
{
    struct db *db = NULL;
    struct parent parent = {99, "from another process"};
    if (open_place(place->url, "test", &db, NULL) < 0) {
        _exit(1);
    }
    pause_ms(300); /* the parent has begun to listen */
    int r = db_write(db, add_parent, &parent);
    db_close(db);
    _exit(r == 1 ? 0 : 2);
}

static void commits_of_another_process_are_seen(void **state)
{
    db_close(open_db(*state));
    pid_t pid = fork_with(write_one, *state); /* before this process has threads */
    struct db *db = open_db(*state);
    int64_t before = db_position(db);
    atomic_int wakes = 0;
    db_on_commit(db, count_wake, &wakes);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(woken(&wakes, 100));
    assert_true(db_position(db) > before);
    assert_int_equal(parents(db), 1);
    db_close(db);
}

/* Tells by a pipe each id whose write was acknowledged, until killed. */
static int told = -1;

static void write_until_killed(const struct place *place)
{
    struct db *db = NULL;
    if (open_place(place->url, "test", &db, NULL) < 0) {
        _exit(1);
    }
    for (int64_t id = (int64_t)getpid() * 1000000;; id++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%lld", (long long)id);
        struct parent parent = {id, name};
        if (db_write(db, add_parent, &parent) == 1 && write(told, &id, sizeof id) != sizeof id) {
            _exit(1);
        }
    }
}

static int find_parent(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT 1 FROM parent WHERE id = $1",
                     DB_BIND(db_int(*(int64_t *)argument)));
    return r < 0 ? r : db_next(rows);
}

static void a_kill_loses_nothing_acknowledged(void **state)
{
    db_close(open_db(*state));
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    told = pipes[1];
    pid_t writers[2];
    for (int i = 0; i < 2; i++) { /* two processes on one file */
        writers[i] = fork_with(write_until_killed, *state);
    }
    (void)close(pipes[1]);
    pause_ms(600);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kill(writers[i], SIGKILL), 0);
        assert_int_equal(waitpid(writers[i], NULL, 0), writers[i]);
    }
    struct db *db = open_db(*state);
    int64_t id, acknowledged = 0;
    while (read(pipes[0], &id, sizeof id) == sizeof id) {
        assert_int_equal(db_read(db, find_parent, &id), 1);
        acknowledged++;
    }
    assert_true(acknowledged > 4);
    assert_true(parents(db) <= acknowledged + 2); /* at most one in flight each */
    (void)close(pipes[0]);
    db_close(db);
}

static void mark_until_killed(const struct place *place)
{
    struct db *db = NULL;
    if (open_place(place->url, "test", &db, NULL) < 0 || db_alive_mark(db, 4711) < 0 ||
        write(told, "x", 1) != 1) {
        _exit(1);
    }
    pause_ms(60000);
}

static void the_database_knows_who_is_alive(void **state)
{
    int pipes[2];
    char byte;
    assert_int_equal(pipe(pipes), 0);
    told = pipes[1];
    pid_t pid = fork_with(mark_until_killed, *state);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    struct db *db = open_db(*state), *again = open_db(*state);
    assert_true(db_is_alive(db, 4711));
    assert_int_equal(db_alive_mark(db, 4711), ERR_EXISTS);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (int i = 0; i < 1000 && db_is_alive(db, 4711); i++) {
        pause_ms(5); /* a server sees the end of a session by and by */
    }
    assert_false(db_is_alive(db, 4711));
    assert_int_equal(db_alive_mark(db, 4712), 0);
    assert_int_equal(db_alive_mark(db, 4713), 0);
    assert_true(db_is_alive(db, 4712)); /* one's own too */
    assert_true(db_is_alive(again, 4713));
    assert_false(db_is_alive(again, 4714));
    db_close(db);
    assert_false(db_is_alive(again, 4712));
    db_close(again);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void a_backup_is_a_database(void **state)
{
    struct place *place = *state;
    if (postgres_server() != NULL) {
        skip(); /* no file */
    }
    struct db *db = open_db(place);
    struct parent parent = {7, "kept"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/copy.db", place->folder);
    struct problem problem = {0};
    assert_int_equal(db_backup(db, path, &problem), 0);
    assert_int_equal(db_backup(db, "/nowhere/copy.db", &problem), ERR_UNAVAILABLE);
    parent = (struct parent){8, "later"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    db_close(db);

    struct place copy = {0};
    (void)snprintf(copy.url, sizeof copy.url, "sqlite:%s", path);
    db = open_db(&copy);
    assert_int_equal(parents(db), 1);
    db_close(db);
}

struct both {
    struct db *other;
    struct db_snapshot *snapshot, *other_snapshot;
};

static int take_other(struct db_session *session, void *argument)
{
    (void)session;
    struct both *both = argument;
    return db_snapshot_take(both->other, &both->other_snapshot, NULL);
}

static void a_snapshot_stays_at_its_moment(void **state)
{
    struct place *place = *state;
    struct place second = {0};
    if (postgres_server() != NULL) {
        skip(); /* no file */
    }
    fresh_url(place->folder, "second", second.url);
    struct db *db = open_db(place), *other = open_db(&second);
    struct parent parent = {1, "before"};
    assert_int_equal(db_write(other, add_parent, &parent), 1);
    struct both both = {.other = other};
    assert_int_equal(db_write(db, take_other, &both), 0); /* inside of a write of the first one */
    parent = (struct parent){2, "after"};
    assert_int_equal(db_write(other, add_parent, &parent), 1);

    char path[96];
    (void)snprintf(path, sizeof path, "%s/moment.db", place->folder);
    struct problem problem = {0};
    assert_int_equal(db_snapshot_copy(both.other_snapshot, path, NULL, &problem), 0);
    db_snapshot_free(both.other_snapshot);
    assert_int_equal(parents(other), 2);
    db_close(db);
    db_close(other);
    struct place copy = {0};
    (void)snprintf(copy.url, sizeof copy.url, "sqlite:%s", path);
    db = open_db(&copy);
    assert_int_equal(parents(db), 1);
    db_close(db);
}

/* More than the log holds before it is to start over, in one commit. */
static int add_much(struct db_session *session, void *argument)
{
    enum { ROWS = 1100, ROW_BYTES = 1 << 16 };
    static const char row[ROW_BYTES];
    int r = add_parent(session, argument);
    for (int64_t i = 0; i < ROWS && r >= 0; i++) {
        r = db_exec(
            session, "INSERT INTO child (id, parent_id, size, data) VALUES ($1, $2, 0, $3)",
            DB_BIND(db_int(i), db_int(((struct parent *)argument)->id), db_blob(row, sizeof row)));
    }
    return r;
}

static int64_t log_bytes(const struct place *place)
{
    char path[sizeof place->url + 8];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s-wal", place->url + strlen("sqlite:"));
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void a_long_read_holds_up_no_writer(void **state)
{
    enum { WRITES = 3, ENGINES_WAIT_MS = 10000, LOG_BYTES_KEPT = 16 << 20, TRIES_MAX = 2000 };
    struct place *place = *state;
    if (postgres_server() != NULL) {
        skip(); /* no log that a reader could hold */
    }
    struct db *db = open_db(place);
    struct db_snapshot *snapshot = NULL;
    assert_int_equal(db_snapshot_take(db, &snapshot, NULL), 0);
    struct parent parent = {1, "first"};
    assert_true(db_write(db, add_much, &parent) >= 0);
    assert_true(log_bytes(place) > LOG_BYTES_KEPT);
    int64_t began_ms = clock_monotonic_ms();
    char name[32];
    for (int i = 2; i < 2 + WRITES; i++) { /* each after the checkpoint of the one before */
        (void)snprintf(name, sizeof name, "beside %d", i);
        parent = (struct parent){i, name};
        assert_int_equal(db_write(db, add_parent, &parent), 1);
    }
    assert_true(clock_monotonic_ms() - began_ms < ENGINES_WAIT_MS);
    db_snapshot_free(snapshot);
    for (int i = 100; log_bytes(place) > LOG_BYTES_KEPT && i < TRIES_MAX; i++) {
        (void)snprintf(name, sizeof name, "later %d", i);
        parent = (struct parent){i, name};
        assert_int_equal(db_write(db, add_parent, &parent), 1);
    }
    assert_true(log_bytes(place) <= LOG_BYTES_KEPT); /* it started over */
    db_close(db);
}

static void damage_is_found(void **state)
{
    struct place *place = *state;
    if (postgres_server() != NULL) {
        skip(); /* no file */
    }
    struct db *db = open_db(place);
    for (int i = 1; i <= 300; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "name %d, which takes its room in the pages of a file",
                       i);
        struct parent parent = {i, name};
        assert_int_equal(db_write(db, add_parent, &parent), 1);
    }
    struct problem problem = {0};
    assert_int_equal(db_check(db, &problem), 0);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/damaged.db", place->folder);
    assert_int_equal(db_backup(db, path, &problem), 0);
    db_close(db);

    int fd = open(path, O_RDWR);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    char noise[4096];
    memset(noise, 0x5a, sizeof noise);
    assert_int_equal(pwrite(fd, noise, sizeof noise, status.st_size - 4096), sizeof noise);
    (void)close(fd);
    struct place copy = {0};
    (void)snprintf(copy.url, sizeof copy.url, "sqlite:%s", path);
    assert_int_equal(open_place(copy.url, "test", &db, &problem), 0);
    assert_int_equal(db_check(db, &problem), ERR_CORRUPT);
    assert_non_null(strstr(problem.detail, "damaged"));
    db_close(db);
}

static void a_database_in_use_is_known(void **state)
{
    struct place *place = *state;
    assert_false(db_in_use(place->url));
    struct db *db = open_db(place);
    assert_false(db_in_use(place->url));
    assert_int_equal(db_alive_mark(db, 4711), 0);
    assert_true(db_in_use(place->url));
    db_close(db);
    assert_false(db_in_use(place->url));
    assert_false(db_in_use("nonsense:x"));
}

static void memory_is_a_place_too(void **state)
{
    (void)state;
    struct place place = {.url = "sqlite::memory:"};
    struct db *db = open_db(&place), *other = open_db(&place);
    struct parent parent = {1, "x"};
    assert_int_equal(db_write(db, add_parent, &parent), 1);
    assert_int_equal(parents(db), 1);
    assert_int_equal(parents(other), 0);
    db_close(db);
    db_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_urls_are_refused_with_words),
        in_place(values_come_back_as_they_went),
        in_place(broken_constraints_have_names),
        in_place(a_failed_write_leaves_nothing),
        in_place(one_failure_does_not_undo_its_neighbours),
        in_place(a_read_sees_one_moment_and_blocks_no_writer),
        in_place(a_read_ends_at_its_deadline),
        in_place(what_is_late_is_not_begun),
        in_place(reads_cannot_write),
        in_place(rows_left_open_are_closed),
        in_place(a_kept_statement_is_never_the_wrong_one),
        in_place(everything_is_there_after_reopening),
        in_place(migrations_are_applied_once_and_watched),
        in_place(a_broken_migration_leaves_nothing),
        in_place(commits_wake_the_listeners),
        in_place(a_quiet_write_wakes_nobody),
        in_place(commits_of_another_process_are_seen),
        in_place(a_kill_loses_nothing_acknowledged),
        in_place(the_database_knows_who_is_alive),
        in_place(a_backup_is_a_database),
        in_place(a_snapshot_stays_at_its_moment),
        in_place(a_long_read_holds_up_no_writer),
        in_place(damage_is_found),
        in_place(a_database_in_use_is_known),
        cmocka_unit_test(memory_is_a_place_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
