/* The transcode role's life: open, start the workers, close (transcode.h). Called by boot.
 *
 * Two lanes. The first lane makes first rungs and covers, a core each, so that what was uploaded
 * plays soon. The ladder lane is one worker whose child encodes on all cores, at a lower priority
 * of the system's, so that a first rung that comes in meanwhile has the cores at once; it takes no
 * job while a first rung waits. Workers sleep until something is committed that may concern them.
 */
#include "backend/db/db.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "service/transcode/transcode_internal.h"

#include <sched.h>
#include <string.h>

extern const struct db_migration transcode_migrations[];
extern const unsigned transcode_migration_count;

static unsigned cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}

static void init_wakes(struct transcode *transcode)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    for (unsigned lane = 0; lane < LANES_; lane++) {
        (void)pthread_cond_init(&transcode->wake[lane], &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&transcode->lock, NULL);
}

int transcode_open(const struct transcode_config *config, struct transcode **ret_transcode,
                   struct problem *problem)
{
    int result = db_migrate(config->db, transcode_migrations, transcode_migration_count, problem);
    if (result != 0) {
        return result;
    }
    struct transcode *transcode = calloc(1, sizeof *transcode);
    char *path = strdup(config->media_path);
    if (transcode == NULL || path == NULL) {
        free(transcode);
        free(path);
        return problem_set(problem, ERR_NO_MEMORY, "No memory for the transcode role");
    }
    transcode->db = config->db;
    transcode->bus = config->bus;
    transcode->blobs = config->blobs;
    transcode->media_path = path;
    transcode->first_workers = config->workers != 0 ? config->workers : cores();
    if (transcode->first_workers > WORKERS_MAX) {
        transcode->first_workers = WORKERS_MAX;
    }
    owner_self(transcode->owner);
    init_wakes(transcode);
    transcode_metrics_begin(transcode);
    *ret_transcode = transcode;
    return 0;
}

/* --- waking --- */

static void wake_lanes(struct transcode *transcode)
{
    pthread_mutex_lock(&transcode->lock);
    for (unsigned lane = 0; lane < LANES_; lane++) {
        transcode->look[lane] = true;
        pthread_cond_signal(&transcode->wake[lane]); /* one: who finds a job wakes the next */
    }
    pthread_mutex_unlock(&transcode->lock);
}

static void committed(void *argument)
{
    wake_lanes(argument);
}

void transcode_look_again(struct transcode *transcode)
{
    atomic_fetch_add(&transcode->look_again, 1);
}

/* --- what the last process left --- */

struct owners {
    char dead[WORKERS_MAX][OWNER_SIZE];
    unsigned count;
};

static void note_dead(void *argument, const char *owner)
{
    struct owners *owners = argument;
    if (owners->count < WORKERS_MAX && owner_is_dead(owner)) {
        (void)strncpy(owners->dead[owners->count++], owner, OWNER_SIZE - 1);
    }
}

static int find_owners(struct db_session *session, void *argument)
{
    struct owners *owners = argument;
    *owners = (struct owners){0};
    return job_owners(session, note_dead, owners);
}

static int end_leases(struct db_session *session, void *argument)
{
    const struct owners *owners = argument;
    int result = 0;
    for (unsigned i = 0; result == 0 && i < owners->count; i++) {
        result = job_orphan(session, owners->dead[i]);
    }
    return result;
}

static int take_over(struct transcode *transcode)
{
    struct owners *owners CLEANUP_FREE = calloc(1, sizeof *owners);
    int result = owners != NULL ? db_read(transcode->db, find_owners, owners) : ERR_NO_MEMORY;
    return result == 0 && owners->count > 0 ? db_write(transcode->db, end_leases, owners) : result;
}

/* --- workers --- */

static int start_worker(struct transcode *transcode, enum lane lane)
{
    struct worker *worker = &transcode->workers[transcode->worker_count];
    worker->transcode = transcode;
    worker->lane = lane;
    worker->child =
        child_new(transcode->media_path, lane == LANE_LADDER ? LADDER_NICENESS : FIRST_NICENESS);
    if (worker->child == NULL) {
        return ERR_NO_MEMORY;
    }
    worker->started = pthread_create(&worker->thread, NULL, worker_run, worker) == 0;
    transcode->worker_count++;
    return worker->started ? 0 : ERR_NO_MEMORY;
}

int transcode_start(struct transcode *transcode, struct problem *problem)
{
    if (access(transcode->media_path, X_OK) != 0) {
        return problem_set(problem, ERR_UNAVAILABLE,
                           "%s is not there or can't be run; set [transcode] media_program",
                           transcode->media_path);
    }
    int result = take_over(transcode);
    for (unsigned i = 0; result == 0 && i <= transcode->first_workers; i++) {
        result = start_worker(transcode, i < transcode->first_workers ? LANE_FIRST : LANE_LADDER);
    }
    if (result != 0) {
        return problem_set(problem, result, "The transcode workers can't be started");
    }
    transcode_metrics_workers(transcode->worker_count);
    db_on_commit(transcode->db, committed, transcode);
    return 0;
}

static void stop_workers(struct transcode *transcode)
{
    pthread_mutex_lock(&transcode->lock);
    atomic_store(&transcode->stopping, true);
    for (unsigned lane = 0; lane < LANES_; lane++) {
        pthread_cond_broadcast(&transcode->wake[lane]);
    }
    pthread_mutex_unlock(&transcode->lock);
    for (unsigned i = 0; i < transcode->worker_count; i++) {
        if (transcode->workers[i].started) {
            (void)pthread_join(transcode->workers[i].thread, NULL);
        }
        child_free(transcode->workers[i].child);
    }
}

void transcode_close(struct transcode *transcode)
{
    if (transcode == NULL) {
        return;
    }
    transcode_metrics_end(transcode);
    db_off_commit(transcode->db, committed, transcode);
    stop_workers(transcode);
    for (unsigned lane = 0; lane < LANES_; lane++) {
        (void)pthread_cond_destroy(&transcode->wake[lane]);
    }
    (void)pthread_mutex_destroy(&transcode->lock);
    free(transcode->media_path);
    free(transcode);
}
