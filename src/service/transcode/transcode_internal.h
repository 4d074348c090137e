/* Shared by the files of the transcode role, and by nobody else. */
#pragma once

#include "backend/blob/blob.h"
#include "service/transcode/child.h"
#include "service/transcode/owner.h"
#include "service/transcode/transcode.h"
#include "service/transcode/transcode_store.h"

#include <pthread.h>
#include <stdatomic.h>

struct blob_writer;
struct rendition;

enum {
    LEASE_MS = 30000,
    RENEW_MS = 10000,
    POLL_MS_MAX = 30000,
    FIRST_NICENESS = 3, /* who plays goes before what is made, the first rung before the others */
    LADDER_NICENESS = 10,
    PRUNE_EVERY_MS = 3600 * 1000,
    JOBS_KEPT_MS = 8 * 86400 * 1000, /* longer than the bus keeps events (7 days) */
    WORKERS_MAX = 64,
};

struct worker {
    struct transcode *transcode;
    enum lane lane;
    pthread_t thread;
    bool started;
    struct child *child;
};

struct transcode {
    struct db *db;
    struct bus *bus;
    struct blob_store *blobs;
    char *media_path;
    char owner[OWNER_SIZE];
    pthread_mutex_t lock;
    pthread_cond_t wake[LANES_];
    bool look[LANES_]; /* under lock: something was committed since a worker looked */
    atomic_bool stopping;
    atomic_uint look_again; /* grows: who holds a lease shall ask whether it still does */
    struct worker workers[WORKERS_MAX + 1];
    unsigned worker_count, first_workers;
};

/* Any thread. */
void transcode_look_again(struct transcode *transcode);

/* What is told to /metrics (transcode_metrics.c). */
void transcode_metrics_begin(struct transcode *transcode);
void transcode_metrics_end(struct transcode *transcode);
void transcode_metrics_workers(unsigned count);
/* A run of a job is over: done, failed, retried, released, cancelled or abandoned. */
void transcode_metrics_run(enum job_kind kind, const char *how, int64_t took_ms);

/* How long a job that failed waits for its next try, after so many (patience.c); ms. */
int64_t patience_wait_ms(int64_t tries);
/* Whether a job that just failed has had its tries. */
bool patience_is_over(const struct job_row *job, const struct child_failure *failure,
                      int64_t now_ms);
/* Whether it takes the whole process with it, each time. */
bool patience_with_deaths_is_over(const struct job_row *job);

/* The loop of a worker (worker.c); argument: its struct worker. */
void *worker_run(void *argument);

/* --- a job in hand (work.c) --- */

enum { OUTPUTS_MAX = 16 };

struct output {
    const char *file, *mime;
    struct blob_writer *writer; /* NULL once committed or given up */
    struct blob_source target;  /* the writer's descriptor, and its key */
};

struct work {
    struct transcode *transcode;
    struct child *child;
    struct arena *arena; /* ends with the job */
    struct job_row job;
    const char *step;
    struct blob_source source;
    int64_t source_bytes;
    int64_t renewed_ms; /* monotonic */
    unsigned looked;
    struct output outputs[OUTPUTS_MAX];
    unsigned output_count;
    json_t *renditions; /* array: stored ones of the version, as media/job.h has them */
    json_t *facts;      /* the child's answer */
    struct child_failure failure;
};

struct step {
    const char *name;
    int (*run)(struct work *work);
};

/* The named steps of each kind, ended by a NULL name. */
extern const struct step first_steps[], ladder_steps[], cover_steps[];

/* Does the job's steps and settles how it ended. Logs once. */
void work_run(struct transcode *transcode, struct child *child, struct arena *arena,
              const struct job_row *job);

/* Opens the original: the step FETCH of all kinds. */
int work_fetch(struct work *work);
/* Renews the lease when it is time or somebody said to look. ERR_CANCELLED: it is lost, or we stop.
 */
int work_tick(struct work *work);
/* Renews it now. */
int work_hold(struct work *work);
/* Fills in tick, limits, context and the descriptors of files (job->fd_count of them, with the keys
 * of those that are sealed), and runs the child. */
int work_child(struct work *work, struct child_job *job, const struct blob_source *const *files,
               json_t **ret_answer);
/* One write, behind the fence: hold, then body. */
int work_write(struct work *work, int (*body)(struct db_session *session, struct work *work));
int work_fail(struct work *work, bool final, const char *code, const char *reason);

/* --- objects (objects.c) --- */

/* Opens an output of the job under m/{track}/{version}/{file} (or art/{id}/{file}). file and mime
 * must live as long as the work. */
int output_open(struct work *work, const char *file, const char *mime);
int output_commit(struct work *work, struct output *output, int64_t *ret_bytes);
void outputs_abort(struct work *work);
/* An object from memory. cache_control as blob.h has it. */
int object_write(struct work *work, const char *file, const char *mime, const char *cache_control,
                 const void *bytes, size_t length);
/* The manifests over work->renditions. fresh: the file just stored, whose own playlist is written
 * too; NULL: none. */
int manifests_write(struct work *work, const char *fresh, bool complete);

/* --- events (announce.c): all inside the session of a write --- */

int announce_started(struct db_session *session, struct work *work);
int announce_probed(struct db_session *session, struct work *work);
int announce_rendition(struct db_session *session, struct work *work, const json_t *rendition);
int announce_complete(struct db_session *session, struct work *work);
int announce_art_found(struct db_session *session, struct work *work, const char *key,
                       const char *type);
int announce_art_ready(struct db_session *session, struct work *work);
/* media.failed or art.failed, by the job's kind. */
int announce_failed(struct db_session *session, struct work *work);
/* The original as a rendition object; NULL: out of memory. */
json_t *original_rendition(const struct work *work);
/* Whether the track is a part of its file. */
bool work_is_cut(const struct work *work);
