/* A job in a worker's hands: its named steps, the lease it stands on, and how it ends. Called by
 * worker.c; the steps themselves are in steps_sound.c and steps_cover.c.
 *
 *   first   FETCH → DECODE (probe, decode, encode, package: one pass in the child) → ART → STORE →
 * ANNOUNCE ladder  FETCH → RESUME → ENCODE (each rendition is stored and announced as it is whole)
 * → ANNOUNCE cover   FETCH → SCALE → STORE → ANNOUNCE
 *
 * A kill between any two of them is made good by running the job again: objects are written whole
 * and would come out the same, and what was announced is recorded in the same transaction.
 */
#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/trace.h"
#include "media/job.h"
#include "service/transcode/transcode_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    SILENCE_MS_MAX = 120000,
    WALL_MS_MAX = 6 * 3600 * 1000,
    CPU_SOUND_S_MAX = 2 * 3600,
    CPU_COVER_S_MAX = 60,
};

static const struct step *const steps_of[] = {
    [JOB_COVER] = cover_steps, [JOB_FIRST] = first_steps, [JOB_LADDER] = ladder_steps};

int work_fail(struct work *work, bool final, const char *code, const char *reason)
{
    (void)snprintf(work->failure.code, sizeof work->failure.code, "%s", code);
    (void)snprintf(work->failure.reason, sizeof work->failure.reason, "%s", reason);
    work->failure.final = final;
    return ERR_INVALID;
}

/* --- the lease --- */

struct fenced {
    struct work *work;
    int (*body)(struct db_session *session, struct work *work);
};

static int hold_then(struct db_session *session, void *argument)
{
    const struct fenced *fenced = argument;
    int64_t now_ms = clock_wall_ms();
    int result =
        job_hold(session, &fenced->work->job, fenced->work->step, now_ms, now_ms + LEASE_MS);
    if (fenced->body == NULL) {
        db_quiet(session);
        return result;
    }
    return result == 0 ? fenced->body(session, fenced->work) : result;
}

int work_write(struct work *work, int (*body)(struct db_session *session, struct work *work))
{
    struct fenced fenced = {.work = work, .body = body};
    int result = db_write(work->transcode->db, hold_then, &fenced);
    if (result == 0) {
        work->renewed_ms = clock_monotonic_ms();
    }
    return result;
}

int work_hold(struct work *work)
{
    return work_write(work, NULL);
}

int work_tick(struct work *work)
{
    unsigned looked = atomic_load(&work->transcode->look_again);
    if (atomic_load(&work->transcode->stopping)) {
        return ERR_CANCELLED;
    }
    if (looked == work->looked && clock_monotonic_ms() - work->renewed_ms < RENEW_MS) {
        return 0;
    }
    work->looked = looked;
    int result = work_hold(work);
    /* A database in trouble is no reason to drop the work while the lease still lasts. */
    bool lasts = clock_monotonic_ms() - work->renewed_ms < LEASE_MS - RENEW_MS;
    return result == ERR_CANCELLED || !lasts ? result : 0;
}

static int tick(void *context)
{
    return work_tick(context);
}

/* --- what all kinds do --- */

int work_fetch(struct work *work)
{
    struct blob_stat stat;
    int result =
        blob_open(work->transcode->blobs, work->job.bucket, work->job.key, &work->source, &stat);
    if (result == ERR_NOT_FOUND) {
        return work_fail(work, true, "missing", "The uploaded file is no longer there.");
    }
    if (result == 0) {
        work->source_bytes = (int64_t)stat.bytes;
        result = blob_source_local(&work->source); /* the child reads a descriptor */
    }
    return result;
}

int work_child(struct work *work, struct child_job *job, const struct blob_source *const *files,
               json_t **ret_answer)
{
    int fds[MEDIA_JOB_FDS_MAX];
    bool sealed = false;
    assert(job->fd_count <= MEDIA_JOB_FDS_MAX);
    for (unsigned i = 0; i < job->fd_count; i++) {
        fds[i] = files[i]->fd;
        sealed |= files[i]->sealed;
    }
    if (sealed && child_add_keys(job->request, files, job->fd_count) != 0) {
        return ERR_NO_MEMORY;
    }
    job->fds = fds;
    job->tick = tick;
    job->context = work;
    job->silence_ms_max = SILENCE_MS_MAX;
    job->wall_ms_max = WALL_MS_MAX;
    job->cpu_s_max = work->job.kind == JOB_COVER ? CPU_COVER_S_MAX : CPU_SOUND_S_MAX;
    return child_run(work->child, job, ret_answer, &work->failure);
}

/* As a part of the job's trace, where that is recorded. */
static int run_step(struct work *work, const struct step *step)
{
    if (trace_current() == NULL) {
        return step->run(work);
    }
    struct span span;
    span_begin(&span, trace_current(), SPAN_INTERNAL, step->name);
    const char *before = trace_enter(span.self);
    int result = step->run(work);
    (void)trace_enter(before);
    span_end(&span, result < 0 && result != ERR_CANCELLED);
    return result;
}

static int run_steps(struct work *work)
{
    int result = 0;
    if (patience_with_deaths_is_over(&work->job)) {
        return work_fail(work, true, "internal", "The file could not be processed.");
    }
    for (const struct step *step = steps_of[work->job.kind]; result == 0 && step->name != NULL;
         step++) {
        work->step = step->name;
        result = work_tick(work);
        if (result == 0) {
            result = run_step(work, step);
        }
    }
    return result;
}

/* --- how it ends --- */

static int write_failed(struct db_session *session, struct work *work)
{
    int result = announce_failed(session, work);
    return result != 0 ? result
                       : job_finish(session, &work->job, "failed", work->failure.code,
                                    work->failure.reason, clock_wall_ms());
}

static int write_retry(struct db_session *session, struct work *work)
{
    int64_t now_ms = clock_wall_ms();
    return job_retry(session, &work->job, work->failure.code, work->failure.reason, now_ms,
                     now_ms + patience_wait_ms(work->job.tries));
}

static int write_release(struct db_session *session, void *argument)
{
    const struct work *work = argument;
    return job_release(session, &work->job, clock_wall_ms());
}

/* What is not the file's fault has patience of its own, and words that hide nothing and say little.
 */
static void take_trouble(struct work *work, int result)
{
    if (work->failure.code[0] == '\0') {
        char reason[160];
        (void)snprintf(reason, sizeof reason, "The server had trouble with the file (%s).",
                       error_name(result));
        (void)work_fail(work, false, error_name(result), reason);
    }
}

static const char *settle(struct work *work, int result)
{
    if (result == 0) {
        return "done";
    }
    if (result == ERR_CANCELLED) {
        bool stopping = atomic_load(&work->transcode->stopping);
        (void)(stopping ? db_write(work->transcode->db, write_release, work) : 0);
        return stopping ? "released" : "cancelled";
    }
    take_trouble(work, result);
    bool last = patience_is_over(&work->job, &work->failure, clock_wall_ms());
    result = work_write(work, last ? write_failed : write_retry);
    return result != 0 ? "abandoned" : last ? "failed" : "retried";
}

static void log_end(const struct work *work, const char *how, int64_t took_ms)
{
    bool bad = strcmp(how, "retried") == 0 || strcmp(how, "abandoned") == 0;
    log_event(bad ? LOG_WARNING : LOG_INFO, "transcode.job", log_text("how", how),
              log_text("kind", job_kind_name(work->job.kind)), log_number("id", work->job.id),
              log_number("subject", work->job.subject_id), log_number("version", work->job.version),
              log_text("step", work->step), log_text("code", work->failure.code),
              log_text("reason", work->failure.reason), log_number("ms", took_ms));
}

static void span_job(struct span *span, const struct job_row *job)
{
    char name[SPAN_NAME_SIZE];
    (void)snprintf(name, sizeof name, "transcode %s", job_kind_name(job->kind));
    span_begin(span, job->trace, SPAN_CONSUMER, name);
    span_text(span, "tutti.job.kind", job_kind_name(job->kind));
    span_number(span, "tutti.job.id", job->id);
    span_number(span, "tutti.job.subject", job->subject_id);
    span_number(span, "tutti.job.tries", job->tries);
}

void work_run(struct transcode *transcode, struct child *child, struct arena *arena,
              const struct job_row *job)
{
    struct work work = {
        .transcode = transcode,
        .child = child,
        .arena = arena,
        .job = *job,
        .step = "",
        .source.fd = -1,
        .renewed_ms = clock_monotonic_ms(),
        .looked = atomic_load(&transcode->look_again),
        .renditions = json_array(),
    };
    int64_t begin_ms = clock_monotonic_ms();
    struct span span;
    bool traced = trace_is_sampled(job->trace);
    if (traced) {
        span_job(&span, job);
    }
    const char *before = trace_enter(traced ? span.self : NULL);
    blob_on_wait(tick, &work); /* an object may take longer to come or go than the lease lasts */
    int result = work.renditions != NULL ? run_steps(&work) : ERR_NO_MEMORY;
    blob_on_wait(NULL, NULL);
    outputs_abort(&work);
    const char *how = settle(&work, result);
    (void)trace_enter(before);
    if (traced) {
        span_text(&span, "tutti.job.result", how);
        span_end(&span, strcmp(how, "done") != 0 && strcmp(how, "cancelled") != 0);
    }
    blob_source_close(&work.source);
    json_decref(work.renditions);
    json_decref(work.facts);
    int64_t took_ms = clock_monotonic_ms() - begin_ms;
    transcode_metrics_run(job->kind, how, took_ms);
    log_end(&work, how, took_ms);
}
