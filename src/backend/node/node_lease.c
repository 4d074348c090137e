/* Node leases (node_lease.h).
 *
 * 1. A number is taken only when its lease ran out by the wall clock, and ids carry the wall
 * clock's time, so ids of the new holder come after those of the old one; and when the clock went
 * back meanwhile, the old lease has not run out yet.
 * 2. A lease given back has run out at once; what (1) does not cover then, floor_id does: the
 *    highest id when it was given back, or at the last heartbeat.
 * 3. Who cannot renew in time has lost it, by its own monotonic clock, before anybody else takes
 * it.
 */
#include "backend/node/node_lease.h"

#include "backend/node/node_store.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/problem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { STACK_BYTES = 128 * 1024, TRIES_MAX = 20 };

extern const struct db_migration node_migrations[];
extern const unsigned node_migration_count;

struct node_lease {
    struct db *db;
    int64_t owner, node, lease_ms, heartbeat_ms;
    void (*lost)(void *argument);
    void *argument;
    atomic_bool held;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;
};

struct take_work {
    struct node_lease *lease;
    int64_t floor_id;
};

/* 1: taken; 0: somebody was faster. */
static int take(struct db_session *session, void *argument)
{
    struct take_work *work = argument;
    struct node_lease *lease = work->lease;
    int64_t now_ms = clock_wall_ms(), until_ms = now_ms + lease->lease_ms;
    struct node_row row = {0};
    int r = node_store_free(session, now_ms, &row);
    if (r == 1) {
        lease->node = row.node;
        work->floor_id = row.floor_id;
        return node_store_take(session, &row, lease->owner, until_ms);
    }
    if (r < 0 || (r = node_store_unused(session, &lease->node)) < 0) {
        return r;
    }
    work->floor_id = 0;
    return lease->node < ID_NODES ? node_store_add(session, lease->node, lease->owner, until_ms)
                                  : ERR_UNAVAILABLE;
}

struct hold_work {
    struct node_lease *lease;
    int64_t until_ms;
};

static int hold(struct db_session *session, void *argument)
{
    const struct hold_work *work = argument;
    return node_store_hold(session, work->lease->node, work->lease->owner, work->until_ms,
                           id_next());
}

static int renew(struct node_lease *lease)
{
    struct hold_work work = {.lease = lease, .until_ms = clock_wall_ms() + lease->lease_ms};
    return db_write(lease->db, hold, &work);
}

/* Where this fails the number is free when its time is over. */
static void give_back(struct node_lease *lease)
{
    struct hold_work work = {.lease = lease, .until_ms = 0};
    (void)db_write(lease->db, hold, &work);
}

/* Sleeps until a monotonic time or the end; false at the end. */
static bool sleep_until(struct node_lease *lease, int64_t at_ms)
{
    const struct timespec until = clock_timespec(at_ms);
    (void)pthread_mutex_lock(&lease->lock);
    while (!lease->ending && clock_monotonic_ms() < at_ms) {
        (void)pthread_cond_timedwait(&lease->wake, &lease->lock, &until);
    }
    bool on = !lease->ending;
    (void)pthread_mutex_unlock(&lease->lock);
    return on;
}

/* Renews every heartbeat; after a failure ten times as often, until the lease has run out (3). */
static void *holder_main(void *argument)
{
    struct node_lease *lease = argument;
    int64_t renewed_ms = clock_monotonic_ms(), pause_ms = lease->heartbeat_ms;
    while (sleep_until(lease, clock_monotonic_ms() + pause_ms)) {
        int64_t began_ms = clock_monotonic_ms();
        int r = renew(lease);
        if (r == 1) {
            renewed_ms = began_ms;
            pause_ms = lease->heartbeat_ms;
            continue;
        }
        pause_ms = lease->heartbeat_ms / 10;
        if (r == 0 || clock_monotonic_ms() + pause_ms - renewed_ms >= lease->lease_ms) {
            atomic_store(&lease->held, false);
            lease->lost(lease->argument);
            break;
        }
    }
    return NULL;
}

static void done_waiting(struct node_lease *lease)
{
    (void)pthread_cond_destroy(&lease->wake);
    (void)pthread_mutex_destroy(&lease->lock);
}

static int start_holder(struct node_lease *lease)
{
    pthread_condattr_t clock;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&lease->lock, NULL);
    (void)pthread_cond_init(&lease->wake, &clock);
    (void)pthread_condattr_destroy(&clock);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&lease->thread, &attributes, holder_main, lease);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0) {
        done_waiting(lease);
        return ERR_UNAVAILABLE;
    }
    return 0;
}

static int take_number(struct node_lease *lease, struct problem *problem)
{
    struct take_work work = {.lease = lease};
    int r = 0;
    for (int tries = 0; tries < TRIES_MAX && r == 0; tries++) {
        r = db_write(lease->db, take, &work);
    }
    if (r == ERR_UNAVAILABLE && lease->node >= ID_NODES) {
        return problem_set(problem, r, "All %d node numbers are taken by running processes",
                           (int)ID_NODES);
    }
    if (r <= 0) {
        return problem_set(problem, r < 0 ? r : ERR_BUSY, "Can't lease a node number: %s",
                           db_words());
    }
    id_init((unsigned)lease->node, work.floor_id);
    return 0;
}

int node_lease_take_for(struct db *db, int64_t lease_ms, int64_t heartbeat_ms,
                        void (*lost)(void *argument), void *argument, struct node_lease **ret_lease,
                        struct problem *problem)
{
    int r = db_migrate(db, node_migrations, node_migration_count, problem);
    if (r < 0) {
        return r;
    }
    struct node_lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't lease a node number: out of memory");
    }
    lease->db = db;
    lease->lease_ms = lease_ms;
    lease->heartbeat_ms = heartbeat_ms;
    lease->lost = lost;
    lease->argument = argument;
    randombytes_buf(&lease->owner, sizeof lease->owner);
    lease->owner = (lease->owner & INT64_MAX) | 1;
    atomic_store(&lease->held, true);
    r = take_number(lease, problem);
    if (r >= 0 && (r = start_holder(lease)) < 0) {
        (void)problem_set(problem, r, "Can't hold a node number: no thread");
        give_back(lease);
    }
    if (r < 0) {
        free(lease);
        return r;
    }
    *ret_lease = lease;
    return 0;
}

int node_lease_take(struct db *db, void (*lost)(void *argument), void *argument,
                    struct node_lease **ret_lease, struct problem *problem)
{
    return node_lease_take_for(db, NODE_LEASE_MS, NODE_HEARTBEAT_MS, lost, argument, ret_lease,
                               problem);
}

unsigned node_lease_number(const struct node_lease *lease)
{
    return (unsigned)lease->node;
}

bool node_lease_is_held(const struct node_lease *lease)
{
    return atomic_load(&lease->held);
}

void node_lease_release(struct node_lease *lease)
{
    if (lease == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lease->lock);
    lease->ending = true;
    (void)pthread_cond_signal(&lease->wake);
    (void)pthread_mutex_unlock(&lease->lock);
    (void)pthread_join(lease->thread, NULL);
    give_back(lease);
    done_waiting(lease);
    free(lease);
}
