/* The loop of a worker thread (started by transcode.c): look for a job, take it, do it, until the
 * role ends. Each job has a process of its own (docs/decisions/0318). An idle worker sleeps until
 * something is committed or a job falls due. The top of its stack, so it logs.
 */
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "service/transcode/transcode_internal.h"

#include <time.h>

enum { JOB_BYTES_MAX = 64 << 20, TROUBLE_MS = 1000 };

struct look {
    struct worker *worker;
    struct arena *arena;
    int64_t due_ms;
    struct job_row job;
    bool found;
};

static int look_due(struct db_session *session, void *argument)
{
    struct look *look = argument;
    return job_next_due(session, look->worker->lane, clock_wall_ms(), &look->due_ms);
}

static int claim(struct db_session *session, void *argument)
{
    struct look *look = argument;
    int64_t now_ms = clock_wall_ms();
    arena_reset(look->arena);
    db_quiet(session);
    int result = job_claim(session, look->worker->lane, look->arena, id_next(),
                           look->worker->transcode->owner, now_ms, now_ms + LEASE_MS, &look->job);
    look->found = result > 0;
    return result < 0 ? result : 0;
}

/* A read first: a write that changes nothing would wake everybody again. */
static int find_job(struct look *look)
{
    struct db *db = look->worker->transcode->db;
    look->found = false;
    look->due_ms = INT64_MAX;
    int result = db_read(db, look_due, look);
    if (result == 0 && look->due_ms <= clock_wall_ms()) {
        result = db_write(db, claim, look);
    }
    return result;
}

static int prune(struct db_session *session, void *argument)
{
    const int64_t *before_ms = argument;
    return job_prune(session, *before_ms);
}

/* Now and then the ladder's worker, which there is one of, forgets what ended long ago. */
static int tidy(struct worker *worker, int64_t *tidied_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    if (worker->lane != LANE_LADDER || now_ms - *tidied_ms < PRUNE_EVERY_MS) {
        return 0;
    }
    *tidied_ms = now_ms;
    int64_t before_ms = clock_wall_ms() - JOBS_KEPT_MS;
    return db_write(worker->transcode->db, prune, &before_ms);
}

/* Until something was committed, the time is over or the role ends. */
static void sleep_until_wanted(struct worker *worker, int64_t wait_ms)
{
    struct transcode *transcode = worker->transcode;
    const struct timespec until = clock_monotonic_after(wait_ms);
    pthread_mutex_lock(&transcode->lock);
    while (!transcode->look[worker->lane] && !atomic_load(&transcode->stopping) &&
           pthread_cond_timedwait(&transcode->wake[worker->lane], &transcode->lock, &until) == 0) {
    }
    transcode->look[worker->lane] = false;
    pthread_mutex_unlock(&transcode->lock);
}

static void wake_next(struct worker *worker)
{
    struct transcode *transcode = worker->transcode;
    pthread_mutex_lock(&transcode->lock);
    transcode->look[worker->lane] = true;
    pthread_cond_signal(&transcode->wake[worker->lane]);
    pthread_mutex_unlock(&transcode->lock);
}

static void idle(struct worker *worker, const struct look *look)
{
    int64_t due_in_ms =
        look->due_ms == INT64_MAX ? POLL_MS_MAX : look->due_ms - clock_wall_ms() + 1;
    int64_t wait_ms = due_in_ms < POLL_MS_MAX ? due_in_ms : POLL_MS_MAX;
    sleep_until_wanted(worker, wait_ms > 0 ? wait_ms : 1);
}

void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct transcode *transcode = worker->transcode;
    struct look look = {.worker = worker, .arena = arena_new(JOB_BYTES_MAX)};
    int64_t tidied_ms = clock_monotonic_ms();
    while (look.arena != NULL && !atomic_load(&transcode->stopping)) {
        int result = tidy(worker, &tidied_ms);
        result = result == 0 ? find_job(&look) : result;
        if (result != 0) {
            log_event(LOG_ERROR, "transcode.queue", log_text("error", error_name(result)));
            sleep_until_wanted(worker, TROUBLE_MS);
        } else if (look.found) {
            wake_next(worker);
            work_run(transcode, worker->child, look.arena, &look.job);
            child_end(worker->child); /* whatever the file did to it ends with it */
            arena_reset(look.arena);
        } else {
            idle(worker, &look);
        }
    }
    arena_free(look.arena);
    return NULL;
}
