/* Jobs and steps in the database: one function a statement (transcode_store.c). All are for use
 * inside a session; those that change a held job take its lease and give ERR_CANCELLED, changing
 * nothing, when it is held no longer.
 *
 *                 claim                 job_finish("done")
 *   waiting ────────────────▶ running ────────────────────▶ done
 *      ▲ ▲                     │ │ │ └────────────────────▶ failed
 *      │ └──── job_retry ──────┘ │ │   job_finish("failed")
 *      └── lease runs out: claim ┘ └──────────────────────▶ cancelled (also from waiting)
 *
 * Invariants:
 *   1. a row is changed by its lease's holder, by who claims it after lease_until, or by a
 *      cancellation; each changes `lease`, so the former holder's writes find no row;
 *   2. what a worker did is seen only through a write that the lease stands behind;
 *   3. done, failed and cancelled are final.
 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct db_session;

/* The order is the priority: a cover is a tenth of a second's work. */
enum job_kind { JOB_COVER, JOB_FIRST, JOB_LADDER, JOB_KINDS_ };
const char *job_kind_name(enum job_kind kind);

struct job_row {
    int64_t id;
    enum job_kind kind;
    int64_t subject_id; /* track, or picture */
    int64_t version;
    const char *bucket, *key; /* of the original */
    const char *trace;        /* traceparent of what it came from; "" or NULL: not recorded */
    int64_t tries;            /* that failed */
    int64_t claims;
    int64_t lease;
    int64_t created_ms; /* only read */
};

/* There is one already: 0, nothing changes. */
int job_insert(struct db_session *session, const struct job_row *job, int64_t now_ms);

/* Which jobs a lane of workers takes. */
enum lane { LANE_FIRST, LANE_LADDER, LANES_ };

/* When the lane's next job is due, ms wall; 0: one is that another clock has put off; INT64_MAX: it
 * has none. */
int job_next_due(struct db_session *session, enum lane lane, int64_t now_ms, int64_t *ret_due_ms);
/* Takes the lane's next job. 1 with *ret_job (text from the arena), 0: there is none. */
int job_claim(struct db_session *session, enum lane lane, struct arena *arena, int64_t lease,
              const char *owner, int64_t now_ms, int64_t until_ms, struct job_row *ret_job);
/* Renews the lease: the fence behind every write of a step. */
int job_hold(struct db_session *session, const struct job_row *job, const char *step,
             int64_t now_ms, int64_t until_ms);
int job_finish(struct db_session *session, const struct job_row *job, const char *state,
               const char *code, const char *reason, int64_t now_ms);
/* Back to the queue: after a failure (tries grows) or because we stop (it does not). */
int job_retry(struct db_session *session, const struct job_row *job, const char *code,
              const char *reason, int64_t now_ms, int64_t due_ms);
int job_release(struct db_session *session, const struct job_row *job, int64_t now_ms);

/* Cancels the open jobs of a track's versions below `below`, of one kind or (JOB_KINDS_) of all. */
int job_cancel(struct db_session *session, int64_t track_id, int64_t below, enum job_kind kind,
               int64_t now_ms);
/* Leases of a process that is known to be dead end now. */
int job_orphan(struct db_session *session, const char *owner);
/* Owners of running jobs: visit(argument, owner). */
int job_owners(struct db_session *session, void (*visit)(void *argument, const char *owner),
               void *argument);
/* Of those that have not ended; state is waiting or running. */
int job_count_open(struct db_session *session, const char *state, int64_t *ret_count);
/* Of those: due, or their lease over, since before. */
int job_count_overdue(struct db_session *session, int64_t before_ms, int64_t *ret_count);
/* When the oldest one of the kind that has not ended was made. ERR_NOT_FOUND: all have. */
int job_oldest(struct db_session *session, enum job_kind kind, int64_t *ret_created_ms);
/* Forgets jobs that ended before: no event that old is told again. */
int job_prune(struct db_session *session, int64_t before_ms);

int step_put(struct db_session *session, int64_t track_id, int64_t version, const char *name,
             const char *detail, int64_t now_ms);
/* visit not 0 ends it and is returned. */
int step_list(struct db_session *session, int64_t track_id, int64_t version,
              int (*visit)(void *argument, const char *name, const char *detail), void *argument);
int step_delete(struct db_session *session, int64_t track_id, int64_t below_or_equal);
