/* The table of jobs, without the work: who gets which job, and what a worker may still write. */
#include "contract.h"

#include "backend/db/db.h"
#include "base/arena.h"
#include "base/id.h"
#include "service/transcode/owner.h"
#include "service/transcode/transcode_store.h"

#include <pthread.h>
#include <sys/wait.h>

extern const struct db_migration transcode_migrations[];
extern const unsigned transcode_migration_count;

enum { LEASE = 1000, MANY = 200, THREADS = 4 };

static struct db *open_db(const struct place *place)
{
    struct db *db = NULL;
    struct problem problem = {0};
    if (open_place(place->url, "catalog", &db, &problem) < 0 ||
        db_migrate(db, transcode_migrations, transcode_migration_count, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return db;
}

/* One call of the store, as a write of its own. */
struct call_of {
    enum {
        INSERT,
        CLAIM,
        HOLD,
        FINISH,
        RETRY,
        RELEASE,
        CANCEL,
        ORPHAN,
        NEXT_DUE,
        COUNT,
        PRUNE
    } what;
    enum lane lane;
    struct job_row job;
    int64_t lease, now_ms, until_ms, number;
    const char *text;
    struct arena *arena;
    int result;
};

static int count_jobs(struct db_session *session, const char *state, int64_t *ret_count)
{
    DB_ROWS rows = NULL;
    int result = db_query(session, &rows, "SELECT COUNT(*) FROM transcode_job WHERE state = $1",
                          DB_BIND(db_text(state)));
    result = result < 0 ? result : db_next(rows);
    *ret_count = result > 0 ? db_get_int(rows, 0) : 0;
    return result < 0 ? result : 0;
}

static int run(struct db_session *session, void *argument)
{
    struct call_of *call = argument;
    switch (call->what) {
    case INSERT:
        call->result = job_insert(session, &call->job, call->now_ms);
        break;
    case CLAIM:
        call->result = job_claim(session, call->lane, call->arena, call->lease, call->text,
                                 call->now_ms, call->until_ms, &call->job);
        break;
    case HOLD:
        call->result = job_hold(session, &call->job, "STORE", call->now_ms, call->until_ms);
        break;
    case FINISH:
        call->result = job_finish(session, &call->job, "done", "", "", call->now_ms);
        break;
    case RETRY:
        call->result =
            job_retry(session, &call->job, "crashed", "It did", call->now_ms, call->until_ms);
        break;
    case RELEASE:
        call->result = job_release(session, &call->job, call->now_ms);
        break;
    case CANCEL:
        call->result =
            job_cancel(session, call->job.subject_id, call->job.version, call->job.kind, 1);
        break;
    case ORPHAN:
        call->result = job_orphan(session, call->text);
        break;
    case NEXT_DUE:
        call->result = job_next_due(session, call->lane, call->now_ms, &call->number);
        break;
    case COUNT:
        call->result = count_jobs(session, call->text, &call->number);
        break;
    case PRUNE:
        call->result = job_prune(session, call->now_ms);
        break;
    }
    return call->result < 0 ? call->result : 0;
}

static int write_call(struct db *db, struct call_of *call)
{
    int result = db_write(db, run, call);
    return result < 0 ? result : call->result;
}

static void insert(struct db *db, enum job_kind kind, int64_t subject, int64_t version)
{
    struct call_of call = {.what = INSERT,
                           .now_ms = 100,
                           .job = {.id = id_next(),
                                   .kind = kind,
                                   .subject_id = subject,
                                   .version = version,
                                   .bucket = "media",
                                   .key = "k"}};
    assert_int_equal(write_call(db, &call), 0);
}

/* The claimed job; id 0: none. */
static struct job_row claim(struct db *db, enum lane lane, int64_t lease, int64_t now_ms)
{
    struct arena *arena = arena_new(0);
    struct call_of call = {.what = CLAIM,
                           .lane = lane,
                           .lease = lease,
                           .now_ms = now_ms,
                           .until_ms = now_ms + LEASE,
                           .text = "me",
                           .arena = arena};
    int result = write_call(db, &call);
    arena_free(arena);
    assert_true(result >= 0);
    call.job.bucket = call.job.key = NULL;
    return result > 0 ? call.job : (struct job_row){0};
}

static int with(struct db *db, int what, const struct job_row *job, int64_t now_ms,
                int64_t until_ms)
{
    struct call_of call = {.job = *job, .now_ms = now_ms, .until_ms = until_ms};
    call.what = what;
    return write_call(db, &call);
}

static int64_t count(struct db *db, const char *state)
{
    struct call_of call = {.what = COUNT, .text = state};
    assert_int_equal(write_call(db, &call), 0);
    return call.number;
}

static int64_t next_due(struct db *db, enum lane lane, int64_t now_ms)
{
    struct call_of call = {.what = NEXT_DUE, .lane = lane, .now_ms = now_ms};
    assert_int_equal(write_call(db, &call), 0);
    return call.number;
}

/* Covers, then first rungs in the order of their coming; a ladder only when no first rung waits. */
static void test_order(void **state)
{
    struct db *db = open_db(*state);
    insert(db, JOB_LADDER, 1, 1);
    insert(db, JOB_FIRST, 2, 1);
    insert(db, JOB_FIRST, 3, 1);
    insert(db, JOB_COVER, 4, 0);
    insert(db, JOB_FIRST, 2, 1); /* told again */
    assert_int_equal(count(db, "waiting"), 4);
    assert_int_equal(claim(db, LANE_LADDER, 10, 200).id, 0);
    assert_int_equal(claim(db, LANE_FIRST, 11, 200).subject_id, 4);
    assert_int_equal(claim(db, LANE_FIRST, 12, 200).subject_id, 2);
    assert_int_equal(claim(db, LANE_LADDER, 13, 200).id, 0);
    assert_int_equal(claim(db, LANE_FIRST, 14, 200).subject_id, 3);
    assert_int_equal(claim(db, LANE_LADDER, 15, 200).subject_id, 1); /* beside running ones */
    assert_int_equal(claim(db, LANE_FIRST, 16, 200).id, 0);
    db_close(db);
}

/* Who has lost its lease changes nothing, whatever it tries. */
static void test_lost_leases_write_nothing(void **state)
{
    struct db *db = open_db(*state);
    insert(db, JOB_FIRST, 5, 1);
    struct job_row slow = claim(db, LANE_FIRST, 21, 1000);
    assert_int_equal(claim(db, LANE_FIRST, 22, 1000 + LEASE).id, 0); /* it lasts to the end */
    assert_int_equal(with(db, HOLD, &slow, 1500, 1500 + LEASE), 0);  /* and longer when renewed */
    assert_int_equal(claim(db, LANE_FIRST, 23, 1100 + LEASE).id, 0);
    struct job_row next = claim(db, LANE_FIRST, 24, 1501 + LEASE);
    assert_int_equal(next.id, slow.id);
    assert_int_equal(next.claims, 2);
    assert_int_equal(next.tries, 0);
    static const int writes[] = {HOLD, FINISH, RETRY, RELEASE};
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        assert_int_equal(with(db, writes[i], &slow, 3000, 9000), ERR_CANCELLED);
    }
    assert_int_equal(with(db, FINISH, &next, 3000, 0), 0);
    assert_int_equal(with(db, FINISH, &next, 3000, 0), ERR_CANCELLED);
    assert_int_equal(count(db, "done"), 1);
    insert(db, JOB_FIRST, 5, 1); /* the event comes again: it is done already */
    assert_int_equal(claim(db, LANE_FIRST, 25, 9000).id, 0);
    db_close(db);
}

static void test_retries_wait(void **state)
{
    struct db *db = open_db(*state);
    insert(db, JOB_FIRST, 6, 1);
    struct job_row job = claim(db, LANE_FIRST, 31, 1000);
    assert_int_equal(job.created_ms, 100);
    assert_int_equal(with(db, RETRY, &job, 1000, 5000), 0);
    assert_int_equal(claim(db, LANE_FIRST, 32, 4999).id, 0);
    assert_int_equal(next_due(db, LANE_FIRST, 1000), 5000);
    job = claim(db, LANE_FIRST, 33, 5000);
    assert_int_equal(job.tries, 1);
    assert_int_equal(with(db, RELEASE, &job, 5000, 0), 0); /* we stop: at once, and no try */
    job = claim(db, LANE_FIRST, 34, 5000);
    assert_int_equal(job.tries, 1);
    db_close(db);
}

/* What was written before the clock was put back by hours does not wait for hours. */
static void test_a_clock_put_back(void **state)
{
    enum { HOURS = 30 * 3600 * 1000 };
    struct db *db = open_db(*state);
    insert(db, JOB_FIRST, 7, 1); /* at 100 */
    struct job_row job = claim(db, LANE_FIRST, 41, 50);
    assert_int_equal(job.subject_id, 7); /* new ones wait for no time at all */
    assert_int_equal(with(db, RETRY, &job, HOURS, HOURS + 5000), 0);
    assert_int_equal(next_due(db, LANE_FIRST, HOURS), HOURS + 5000);
    assert_int_equal(next_due(db, LANE_FIRST, 1000), 0); /* who looks takes it now */
    job = claim(db, LANE_FIRST, 42, 1000);
    assert_int_equal(job.subject_id, 7);
    assert_int_equal(with(db, HOLD, &job, HOURS, HOURS + LEASE), 0);
    assert_int_equal(next_due(db, LANE_FIRST, HOURS), HOURS + LEASE);
    assert_int_equal(next_due(db, LANE_FIRST, 1000), 0);
    assert_int_equal(claim(db, LANE_FIRST, 43, 1000).subject_id, 7);
    assert_int_equal(with(db, FINISH, &job, 1000, 0), ERR_CANCELLED);
    insert(db, JOB_LADDER, 8, 1);
    job = claim(db, LANE_LADDER, 44, 1000);
    assert_int_equal(with(db, RETRY, &job, HOURS, HOURS + 5000), 0);
    assert_int_equal(next_due(db, LANE_LADDER, 1000), 0);
    assert_int_equal(claim(db, LANE_LADDER, 45, 1000).subject_id, 8);
    db_close(db);
}

static void test_cancelling(void **state)
{
    struct db *db = open_db(*state);
    insert(db, JOB_FIRST, 7, 1);
    insert(db, JOB_LADDER, 7, 1);
    insert(db, JOB_FIRST, 7, 2);
    struct job_row held = claim(db, LANE_FIRST, 41, 1000);
    struct job_row older = {.subject_id = 7, .version = 2, .kind = JOB_FIRST};
    assert_int_equal(with(db, CANCEL, &older, 0, 0), 0);
    assert_int_equal(count(db, "cancelled"), 1); /* the ladder of what plays goes on */
    assert_int_equal(with(db, HOLD, &held, 1001, 2000), ERR_CANCELLED);
    struct job_row all = {.subject_id = 7, .version = INT64_MAX, .kind = JOB_KINDS_};
    assert_int_equal(with(db, CANCEL, &all, 0, 0), 0);
    assert_int_equal(count(db, "cancelled"), 3);
    struct job_row none = {0};
    assert_int_equal(with(db, PRUNE, &none, INT64_MAX, 0), 0);
    assert_int_equal(count(db, "cancelled"), 0);
    db_close(db);
}

struct racer {
    struct db *db;
    pthread_t thread;
    int64_t first_lease;
    int64_t got[MANY];
    unsigned count;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    for (;;) {
        struct job_row job = claim(racer->db, LANE_FIRST, racer->first_lease + racer->count, 1000);
        if (job.id == 0) {
            return NULL;
        }
        racer->got[racer->count++] = job.subject_id;
    }
}

static void test_each_job_goes_to_one_worker(void **state)
{
    struct db *db = open_db(*state);
    static struct racer racers[THREADS];
    static unsigned times[MANY + 1];
    for (int64_t i = 1; i <= MANY; i++) {
        insert(db, JOB_FIRST, i, 1);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.db = db, .first_lease = 1000 * (i + 1)};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        for (unsigned k = 0; k < racers[i].count; k++) {
            times[racers[i].got[k]]++;
        }
    }
    for (unsigned i = 1; i <= MANY; i++) {
        assert_int_equal(times[i], 1);
    }
    db_close(db);
}

/* The leases of a process that is gone end at once; nobody else's do. */
static void test_the_dead_are_known(void **state)
{
    struct db *db = open_db(*state);
    char self[OWNER_SIZE], dead[OWNER_SIZE] = "";
    int pipes[2];
    owner_self(self);
    assert_false(owner_is_dead(self));
    assert_false(owner_is_dead("")); /* nobody knows */
    assert_false(owner_is_dead("another-boot/pid:[1]/1/1"));
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        owner_self(dead);
        _exit(write(pipes[1], dead, sizeof dead) == (ssize_t)sizeof dead ? 0 : 1);
    }
    assert_int_equal(read(pipes[0], dead, sizeof dead), sizeof dead);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(owner_is_dead(dead));
    insert(db, JOB_FIRST, 8, 1);
    assert_int_equal(claim(db, LANE_FIRST, 51, 1000).subject_id, 8); /* as "me" */
    struct call_of orphan = {.what = ORPHAN, .text = "you"};
    assert_int_equal(write_call(db, &orphan), 0);
    assert_int_equal(claim(db, LANE_FIRST, 52, 1001).id, 0);
    orphan.text = "me";
    assert_int_equal(write_call(db, &orphan), 0);
    assert_int_equal(claim(db, LANE_FIRST, 53, 1001).subject_id, 8);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    db_close(db);
}

int main(void)
{
    id_init(1, 0);
    const struct CMUnitTest tests[] = {
        in_place(test_order),
        in_place(test_lost_leases_write_nothing),
        in_place(test_retries_wait),
        in_place(test_a_clock_put_back),
        in_place(test_cancelling),
        in_place(test_each_job_goes_to_one_worker),
        in_place(test_the_dead_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
