/* Node leases, on every engine of db.h. */
#include "contract.h"

#include "backend/db/db.h"
#include "backend/node/node_lease.h"
#include "base/id.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static struct db *open_db(const struct place *place)
{
    struct db *db = NULL;
    struct problem problem = {0};
    if (open_place(place->url, "test", &db, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return db;
}

static void count_loss(void *argument)
{
    (void)atomic_fetch_add((atomic_int *)argument, 1);
}

static struct node_lease *take(struct db *db, int64_t lease_ms, atomic_int *losses)
{
    struct node_lease *lease = NULL;
    struct problem problem = {0};
    if (node_lease_take_for(db, lease_ms, lease_ms / 4, count_loss, losses, &lease, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return lease;
}

/* The node's bits of an id, as base/id.h says. */
static unsigned node_of(int64_t id)
{
    return (unsigned)(id >> 12) % ID_NODES;
}

static void numbers_are_not_shared(void **state)
{
    struct db *db = open_db(*state);
    atomic_int losses = 0;
    struct node_lease *first = take(db, 10000, &losses);
    assert_int_equal(node_lease_number(first), 0);
    struct node_lease *second = take(db, 10000, &losses);
    assert_int_equal(node_lease_number(second), 1);
    assert_int_equal(node_of(id_next()), 1);
    node_lease_release(first);
    struct node_lease *third = take(db, 10000, &losses);
    assert_int_equal(node_lease_number(third), 0); /* given back, so free at once */
    node_lease_release(second);
    node_lease_release(third);
    node_lease_release(NULL);
    assert_int_equal(atomic_load(&losses), 0);
    db_close(db);
}

/* In a process of its own, which has no memory of earlier ids: 0 if the next one is above. */
static int take_after(const struct place *place, int from)
{
    int64_t last = 0;
    if (read(from, &last, sizeof last) != sizeof last || id_next() > last) {
        return 1; /* the clock is back, so without a lease it would be below */
    }
    atomic_int losses = 0;
    struct node_lease *lease = take(open_db(place), 10000, &losses);
    return node_lease_number(lease) == 0 && id_next() > last ? 0 : 2;
}

static void ids_go_on_above_those_of_the_last_holder(void **state)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(take_after(*state, pipes[0]));
    }
    struct db *db = open_db(*state);
    atomic_int losses = 0;
    clock_wall_skew_ms(3600 * 1000);
    struct node_lease *lease = take(db, 10000, &losses);
    int64_t last = id_next();
    node_lease_release(lease);
    clock_wall_skew_ms(-3600 * 1000);
    assert_int_equal(write(pipes[1], &last, sizeof last), sizeof last);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    db_close(db);
}

static void a_held_lease_outlasts_its_time(void **state)
{
    struct db *db = open_db(*state);
    atomic_int losses = 0;
    struct node_lease *held = take(db, 200, &losses);
    pause_ms(500);
    assert_true(node_lease_is_held(held));
    struct node_lease *other = take(db, 200, &losses);
    assert_int_equal(node_lease_number(other), 1);
    node_lease_release(held);
    node_lease_release(other);
    assert_int_equal(atomic_load(&losses), 0);
    db_close(db);
}

static void a_killed_holder_s_number_comes_free(void **state)
{
    db_close(open_db(*state));
    int pipes[2];
    char byte;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        atomic_int losses = 0;
        (void)take(open_db(*state), 300, &losses);
        (void)!write(pipes[1], "x", 1);
        pause_ms(60000);
        _exit(0);
    }
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    struct db *db = open_db(*state);
    atomic_int losses = 0;
    struct node_lease *early = take(db, 300, &losses);
    assert_int_equal(node_lease_number(early), 1); /* the dead one's is not free yet */
    pause_ms(400);
    struct node_lease *late = take(db, 300, &losses);
    assert_int_equal(node_lease_number(late), 0);
    node_lease_release(early);
    node_lease_release(late);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    db_close(db);
}

static int steal(struct db_session *session, void *argument)
{
    (void)argument;
    return db_exec(session, "UPDATE node_lease SET owner = 4711", DB_NO_BIND);
}

static void who_lost_it_is_told_once(void **state)
{
    struct db *db = open_db(*state);
    atomic_int losses = 0;
    struct node_lease *lease = take(db, 200, &losses);
    assert_int_equal(db_write(db, steal, NULL), 1);
    pause_ms(400);
    assert_false(node_lease_is_held(lease));
    assert_int_equal(atomic_load(&losses), 1);
    node_lease_release(lease);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(numbers_are_not_shared),
        in_place(ids_go_on_above_those_of_the_last_holder),
        in_place(a_held_lease_outlasts_its_time),
        in_place(a_killed_holder_s_number_comes_free),
        in_place(who_lost_it_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
