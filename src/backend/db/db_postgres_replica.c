/* PostgreSQL's read replicas (db_postgres.h). Reads whose view allows it go to them in turn.
 *
 * 1. A replica is asked how far it has replayed before the read's transaction takes its snapshot,
 * on the same connection; so whatever is asked for is in that snapshot. An answer is kept with the
 *    connection: replay only goes on. An address must lead to one server for the life of a
 *    connection, as it does without a pooler that has several behind it.
 * 2. One that is not there yet is passed over; one that breaks is left out until the minder has
 * seen it again.
 * 3. The minder looks at each every MIND_MS and leaves out who has not replayed what was committed
 *    lag_ms ago. Who has not answered it yet is passed over, too: the connection it waits on is not
 *    idle, and to open another one to a server that has stalled would delay the read.
 */
#include "backend/db/db_postgres.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEDGE_LEAST_US = 2000, MIND_MS = 500, SAMPLES = 128, STACK_BYTES = 128 * 1024 };

static const char replayed_sql[] = "SELECT CASE WHEN pg_is_in_recovery() THEN"
                                   " pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END";

/* What was committed when: one sample a look. */
struct postgres_minder {
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;
    struct {
        int64_t at_ms, position;
    } samples[SAMPLES];
    unsigned sample_count;
};

/* Asks how far the server has replayed. */
static int ask_replayed(struct postgres_connection *connection)
{
    PGresult *result = NULL;
    int r = postgres_send(connection, replayed_sql, STEP_RESULT);
    r = r < 0 ? r : postgres_flush(connection, &result);
    if (r == 0) {
        connection->replayed = postgres_position_parse(PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return r;
}

static bool is_readable(struct postgres_replica *replica)
{
    return atomic_load(&replica->up) && !atomic_load(&replica->asked);
}

static void leave_out(struct postgres_replica *replica)
{
    atomic_store(&replica->up, false);
    metric_set(replica->up_metric, 0);
    postgres_pool_drop(&replica->pool);
}

/* True: read (well or not) at this one. */
static bool read_at(struct postgres_db *db, struct postgres_replica *replica, db_work *work,
                    void *argument, int *ret_result)
{
    uint64_t seen = (uint64_t)db_view_seen(&db->base);
    struct postgres_connection *connection = NULL;
    int failure = postgres_take(db, &replica->pool, 0, &connection);
    if (failure < 0) {
        if (failure == POSTGRES_LOST) {
            leave_out(replica);
        }
        return false;
    }
    if (connection->replayed < seen) {
        failure = ask_replayed(connection); /* (1) */
    }
    bool there = failure == 0 && connection->replayed >= seen;
    struct postgres_second second = {.first = replica};
    if (there) {
        *ret_result = postgres_read_once(db, connection, db->replica_count > 1 ? &second : NULL,
                                         work, argument, &failure);
    }
    postgres_give_back(&replica->pool, connection);
    if (second.connection != NULL) {
        postgres_give_back(&second.replica->pool, second.connection);
    }
    if (failure == POSTGRES_LOST) {
        leave_out(replica);
    }
    metric_add(replica->reads, there && failure == 0);
    return there && failure == 0;
}

bool postgres_read_replica(struct postgres_db *db, db_work *work, void *argument, int *ret_result)
{
    const struct db_view *view = db_view_current();
    if (db->replica_count == 0 || view == NULL || !view->replicas) {
        return false;
    }
    unsigned first = atomic_fetch_add(&db->turn, 1);
    for (unsigned i = 0; i < db->replica_count; i++) {
        struct postgres_replica *replica = &db->replicas[(first + i) % db->replica_count];
        if (is_readable(replica) && read_at(db, replica, work, argument, ret_result)) {
            return true;
        }
    }
    return false;
}

struct postgres_replica *postgres_other_replica(struct postgres_db *db,
                                                const struct postgres_replica *replica)
{
    unsigned at = (unsigned)(replica - db->replicas);
    for (unsigned i = 1; i < db->replica_count; i++) {
        struct postgres_replica *other = &db->replicas[(at + i) % db->replica_count];
        if (atomic_load(&other->up)) {
            return other;
        }
    }
    return NULL;
}

bool postgres_is_degraded(struct db *base, struct problem *problem)
{
    struct postgres_db *db = (struct postgres_db *)base;
    for (unsigned i = 0; i < db->replica_count; i++) {
        struct postgres_replica *replica = &db->replicas[i];
        if (!atomic_load(&replica->up)) {
            (void)pthread_mutex_lock(&db->minder->lock);
            (void)problem_set(problem, ERR_UNAVAILABLE, "the replica %s is not read: %s",
                              replica->pool.address.shown,
                              replica->words[0] != '\0' ? replica->words : "no answer yet");
            (void)pthread_mutex_unlock(&db->minder->lock);
            return true;
        }
    }
    return false;
}

/* ---- The minder ---- */

/* Why a replica is not read, "" if it is: kept for who asks, and each change once in the log. */
static void keep_words(struct postgres_db *db, struct postgres_replica *replica, const char *words)
{
    bool away = words[0] != '\0';
    (void)pthread_mutex_lock(&db->minder->lock);
    bool news = away != (replica->words[0] != '\0');
    (void)snprintf(replica->words, sizeof replica->words, "%s", words);
    (void)pthread_mutex_unlock(&db->minder->lock);
    if (news) {
        log_event(away ? LOG_WARNING : LOG_INFO, away ? "db.replica.away" : "db.replica.back",
                  log_text("replica", replica->pool.address.shown), log_text("words", words));
    }
}

/* The newest position that was known lag_ms ago, 0 at first. */
static uint64_t expected(struct postgres_db *db, int64_t now_ms)
{
    struct postgres_minder *minder = db->minder;
    unsigned at = minder->sample_count++ % SAMPLES;
    minder->samples[at].at_ms = now_ms;
    minder->samples[at].position = db_position(&db->base);
    int64_t newest = 0;
    for (unsigned i = 0; i < SAMPLES; i++) {
        if (minder->samples[i].at_ms <= now_ms - (int64_t)db->lag_ms &&
            minder->samples[i].position > newest) {
            newest = minder->samples[i].position;
        }
    }
    return (uint64_t)newest;
}

static void look_at(struct postgres_db *db, struct postgres_replica *replica, uint64_t least)
{
    struct postgres_connection *connection = NULL;
    int r = postgres_take(db, &replica->pool, 0, &connection);
    if (r == ERR_BUSY) {
        return; /* it is at work */
    }
    if (r == 0) {
        r = ask_replayed(connection);
        bool near = r == 0 && connection->replayed >= least;
        postgres_give_back(&replica->pool, connection);
        if (r == 0) {
            keep_words(db, replica, near ? "" : "it is too far behind (database.replica_lag_ms)");
        }
        atomic_store(&replica->up, near);
        metric_set(replica->up_metric, near);
        postgres_pool_trim(&replica->pool);
    }
    if (r < 0) {
        const char *words = db_words();
        keep_words(db, replica, words[0] != '\0' ? words : "the server does not answer");
        leave_out(replica);
    }
}

static void look_at_all(struct postgres_db *db)
{
    uint64_t least = expected(db, clock_monotonic_ms());
    for (unsigned i = 0; i < db->replica_count; i++) {
        atomic_store(&db->replicas[i].asked, true);
        look_at(db, &db->replicas[i], least);
        atomic_store(&db->replicas[i].asked, false);
    }
}

static void *minder_main(void *argument)
{
    struct postgres_db *db = argument;
    struct postgres_minder *minder = db->minder;
    (void)pthread_mutex_lock(&minder->lock);
    while (!minder->ending) {
        (void)pthread_mutex_unlock(&minder->lock);
        look_at_all(db);
        (void)pthread_mutex_lock(&minder->lock);
        const struct timespec until = clock_monotonic_after(MIND_MS);
        while (!minder->ending &&
               pthread_cond_timedwait(&minder->wake, &minder->lock, &until) == 0) {
        }
    }
    (void)pthread_mutex_unlock(&minder->lock);
    return NULL;
}

static int start_minder(struct postgres_db *db)
{
    struct postgres_minder *minder = calloc(1, sizeof *minder);
    if (minder == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < SAMPLES; i++) {
        minder->samples[i].at_ms = INT64_MAX;
    }
    pthread_condattr_t clock;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&minder->lock, NULL);
    (void)pthread_cond_init(&minder->wake, &clock);
    (void)pthread_condattr_destroy(&clock);
    db->minder = minder;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    minder->running = pthread_create(&minder->thread, &attributes, minder_main, db) == 0;
    (void)pthread_attr_destroy(&attributes);
    return minder->running ? 0 : ERR_UNAVAILABLE;
}

/* ---- Life ---- */

static unsigned count_words(const char *words)
{
    unsigned count = 0;
    for (words += strspn(words, " "); *words != '\0'; words += strspn(words, " ")) {
        words += strcspn(words, " ");
        count++;
    }
    return count;
}

static int open_replica(struct postgres_db *db, const char *url, size_t length,
                        unsigned connections_max, struct problem *problem)
{
    char labels[DB_NAME_MAX + 64];
    char *copy CLEANUP_FREE = strndup(url, length);
    struct postgres_replica *replica = &db->replicas[db->replica_count];
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    int r =
        postgres_pool_init(&replica->pool, copy, db->base.name, connections_max, false, problem);
    if (r < 0) {
        return r;
    }
    (void)snprintf(labels, sizeof labels, "database=\"%s\",replica=\"%u\"", db->base.name,
                   db->replica_count);
    replica->up_metric = metric_get(METRIC_GAUGE, "tutti_db_replica_up",
                                    "1: the replica is read, 0: away or too far behind", labels);
    replica->reads = metric_get(METRIC_COUNTER, "tutti_db_replica_reads_total",
                                "Reads that a replica answered", labels);
    db->replica_count++;
    return 0;
}

static void prepare_hedges(struct postgres_db *db)
{
    char labels[DB_NAME_MAX + 16];
    (void)snprintf(labels, sizeof labels, "database=\"%s\"", db->base.name);
    hedge_init(&db->hedge, HEDGE_LEAST_US);
    db->hedged = metric_get(METRIC_COUNTER, "tutti_db_hedged_reads_total",
                            "Reads that a second replica was asked for", labels);
    db->hedges_won = metric_get(METRIC_COUNTER, "tutti_db_hedges_won_total",
                                "Of those, the ones it answered first", labels);
}

int postgres_replicas_open(struct postgres_db *db, const char *urls, unsigned connections_max,
                           struct problem *problem)
{
    unsigned count = urls != NULL ? count_words(urls) : 0;
    if (count == 0) {
        return 0;
    }
    if (count > POSTGRES_REPLICAS_MAX) {
        return problem_set(problem, ERR_INVALID, "The database %s has more than %d replicas",
                           db->base.name, (int)POSTGRES_REPLICAS_MAX);
    }
    db->replicas = calloc(count, sizeof *db->replicas);
    int r = db->replicas != NULL ? 0 : ERR_NO_MEMORY;
    prepare_hedges(db);
    while (r == 0 && db->replica_count < count) {
        urls += strspn(urls, " ");
        size_t length = strcspn(urls, " ");
        r = open_replica(db, urls, length, connections_max, problem);
        urls += length;
    }
    db->base.replicated = r == 0;
    return r < 0 ? r : start_minder(db);
}

void postgres_replicas_close(struct postgres_db *db)
{
    struct postgres_minder *minder = db->minder;
    if (minder != NULL) {
        (void)pthread_mutex_lock(&minder->lock);
        minder->ending = true;
        (void)pthread_cond_signal(&minder->wake);
        (void)pthread_mutex_unlock(&minder->lock);
        if (minder->running) {
            (void)pthread_join(minder->thread, NULL);
        }
        (void)pthread_cond_destroy(&minder->wake);
        (void)pthread_mutex_destroy(&minder->lock);
        free(minder);
    }
    for (unsigned i = 0; i < db->replica_count; i++) {
        postgres_pool_done(&db->replicas[i].pool);
    }
    if (db->replicas != NULL) {
        hedge_done(&db->hedge);
    }
    free(db->replicas);
}
