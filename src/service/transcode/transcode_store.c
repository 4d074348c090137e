/* SQL of the transcode role (transcode_store.h): one function a statement. */
#include "service/transcode/transcode_store.h"

#include "backend/db/db.h"
#include "base/error.h"

#include <string.h>

static const char *const kind_names[] = {
    [JOB_COVER] = "cover", [JOB_FIRST] = "first", [JOB_LADDER] = "ladder"};

const char *job_kind_name(enum job_kind kind)
{
    return kind_names[kind];
}

static int changed_or_cancelled(int result)
{
    return result < 0 ? result : result > 0 ? 0 : ERR_CANCELLED;
}

static int at_least_0(int result)
{
    return result < 0 ? result : 0;
}

int job_insert(struct db_session *session, const struct job_row *job, int64_t now_ms)
{
    return at_least_0(db_exec(
        session,
        "INSERT INTO transcode_job (id, kind, subject_id, version, priority, bucket, object_key,"
        " state, step, tries, claims, due_at, lease_until, owner, code, reason, created_at,"
        " updated_at, trace) VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', '', 0, 0, 0, 0, '',"
        " '', '', $8, $8, $9) ON CONFLICT (subject_id, version, kind) DO NOTHING",
        DB_BIND(db_int(job->id), db_text(kind_names[job->kind]), db_int(job->subject_id),
                db_int(job->version), db_int(job->kind), db_text(job->bucket), db_text(job->key),
                db_int(now_ms), db_text(job->trace != NULL ? job->trace : ""))));
}

/* --- taking --- */

/* ms. No delay and no lease reaches so far: what does was written before the clock was put back,
 * and counts as over. */
#define FAR "600000"

#define DUE  "CASE WHEN state = 'waiting' THEN due_at ELSE lease_until END"
#define OPEN "state IN ('waiting', 'running')"
/* The next time, $1 being now. */
#define NEXT_DUE "MIN(CASE WHEN " DUE " - " FAR " > $1 THEN 0 ELSE " DUE " END)"

static int due_first(struct db_session *session, struct db_rows **ret_rows, int64_t now_ms)
{
    return db_query(session, ret_rows,
                    "SELECT " NEXT_DUE " FROM transcode_job WHERE " OPEN " AND priority < 2",
                    DB_BIND(db_int(now_ms)));
}

/* While a first rung is due, no ladder is. */
static int due_ladder(struct db_session *session, struct db_rows **ret_rows, int64_t now_ms)
{
    return db_query(session, ret_rows,
                    "SELECT " NEXT_DUE " FROM transcode_job WHERE " OPEN " AND priority = 2"
                    " AND NOT EXISTS (SELECT 1 FROM transcode_job WHERE priority = 1"
                    " AND state = 'waiting' AND due_at <= $1)",
                    DB_BIND(db_int(now_ms)));
}

int job_next_due(struct db_session *session, enum lane lane, int64_t now_ms, int64_t *ret_due_ms)
{
    DB_ROWS rows = NULL;
    int result =
        lane == LANE_FIRST ? due_first(session, &rows, now_ms) : due_ladder(session, &rows, now_ms);
    result = result < 0 ? result : db_next(rows);
    if (result > 0) {
        *ret_due_ms = db_is_null(rows, 0) ? INT64_MAX : db_get_int(rows, 0);
    }
    return at_least_0(result);
}

/* The condition stands twice: two workers of PostgreSQL may find the same row, and the second, once
 * it has waited for the first, asks again. */
#define FREE                                                                                       \
    "(state = 'waiting' AND (due_at <= $4 OR due_at > $4 + " FAR ")"                               \
    " OR state = 'running' AND (lease_until < $4 OR lease_until > $4 + " FAR "))"
#define CLAIM                                                                                      \
    "UPDATE transcode_job SET state = 'running', lease = $1, lease_until = $2, owner = $3,"        \
    " claims = claims + 1, step = '', updated_at = $4 WHERE " FREE
#define CLAIMED                                                                                    \
    " RETURNING id, priority, subject_id, version, bucket, object_key, tries, claims, lease,"      \
    " trace, created_at"

static int claim_first(struct db_session *session, struct db_rows **ret_rows, int64_t lease,
                       const char *owner, int64_t now_ms, int64_t until_ms)
{
    return db_query(session, ret_rows,
                    CLAIM " AND id = (SELECT id FROM transcode_job WHERE priority < 2 AND " OPEN
                          " AND " FREE " ORDER BY priority, id LIMIT 1)" CLAIMED,
                    DB_BIND(db_int(lease), db_int(until_ms), db_text(owner), db_int(now_ms)));
}

static int claim_ladder(struct db_session *session, struct db_rows **ret_rows, int64_t lease,
                        const char *owner, int64_t now_ms, int64_t until_ms)
{
    return db_query(session, ret_rows,
                    CLAIM " AND id = (SELECT id FROM transcode_job WHERE priority = 2 AND " OPEN
                          " AND " FREE " AND NOT EXISTS (SELECT 1 FROM transcode_job"
                          " WHERE priority = 1 AND state = 'waiting' AND due_at <= $4)"
                          " ORDER BY id LIMIT 1)" CLAIMED,
                    DB_BIND(db_int(lease), db_int(until_ms), db_text(owner), db_int(now_ms)));
}

static int read_job(struct db_rows *rows, struct arena *arena, struct job_row *ret_job)
{
    struct job_row job = {
        .id = db_get_int(rows, 0),
        .kind = (enum job_kind)db_get_int(rows, 1),
        .subject_id = db_get_int(rows, 2),
        .version = db_get_int(rows, 3),
        .bucket = arena_strdup(arena, db_get_text(rows, 4)),
        .key = arena_strdup(arena, db_get_text(rows, 5)),
        .tries = db_get_int(rows, 6),
        .claims = db_get_int(rows, 7),
        .lease = db_get_int(rows, 8),
        .trace = arena_strdup(arena, db_get_text(rows, 9)),
        .created_ms = db_get_int(rows, 10),
    };
    if (job.bucket == NULL || job.key == NULL || job.trace == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_job = job;
    return 1;
}

int job_claim(struct db_session *session, enum lane lane, struct arena *arena, int64_t lease,
              const char *owner, int64_t now_ms, int64_t until_ms, struct job_row *ret_job)
{
    DB_ROWS rows = NULL;
    int result = lane == LANE_FIRST ? claim_first(session, &rows, lease, owner, now_ms, until_ms)
                                    : claim_ladder(session, &rows, lease, owner, now_ms, until_ms);
    result = result < 0 ? result : db_next(rows);
    return result > 0 ? read_job(rows, arena, ret_job) : result;
}

/* --- holding --- */

int job_hold(struct db_session *session, const struct job_row *job, const char *step,
             int64_t now_ms, int64_t until_ms)
{
    return changed_or_cancelled(
        db_exec(session,
                "UPDATE transcode_job SET lease_until = $1, step = $2, updated_at = $3"
                " WHERE id = $4 AND lease = $5 AND state = 'running'",
                DB_BIND(db_int(until_ms), db_text(step), db_int(now_ms), db_int(job->id),
                        db_int(job->lease))));
}

int job_finish(struct db_session *session, const struct job_row *job, const char *state,
               const char *code, const char *reason, int64_t now_ms)
{
    return changed_or_cancelled(
        db_exec(session,
                "UPDATE transcode_job SET state = $1, code = $2, reason = $3, lease = NULL,"
                " step = '', updated_at = $4 WHERE id = $5 AND lease = $6 AND state = 'running'",
                DB_BIND(db_text(state), db_text(code), db_text(reason), db_int(now_ms),
                        db_int(job->id), db_int(job->lease))));
}

int job_retry(struct db_session *session, const struct job_row *job, const char *code,
              const char *reason, int64_t now_ms, int64_t due_ms)
{
    return changed_or_cancelled(
        db_exec(session,
                "UPDATE transcode_job SET state = 'waiting', tries = tries + 1, code = $1,"
                " reason = $2, lease = NULL, step = '', updated_at = $3, due_at = $4"
                " WHERE id = $5 AND lease = $6 AND state = 'running'",
                DB_BIND(db_text(code), db_text(reason), db_int(now_ms), db_int(due_ms),
                        db_int(job->id), db_int(job->lease))));
}

int job_release(struct db_session *session, const struct job_row *job, int64_t now_ms)
{
    return changed_or_cancelled(
        db_exec(session,
                "UPDATE transcode_job SET state = 'waiting', claims = claims - 1, lease = NULL,"
                " step = '', updated_at = $1 WHERE id = $2 AND lease = $3 AND state = 'running'",
                DB_BIND(db_int(now_ms), db_int(job->id), db_int(job->lease))));
}

/* --- ending from outside --- */

int job_cancel(struct db_session *session, int64_t track_id, int64_t below, enum job_kind kind,
               int64_t now_ms)
{
    return at_least_0(
        db_exec(session,
                "UPDATE transcode_job SET state = 'cancelled', lease = NULL, updated_at = $1"
                " WHERE subject_id = $2 AND version > 0 AND version < $3 AND " OPEN
                " AND ($4 = 3 OR priority = $4)",
                DB_BIND(db_int(now_ms), db_int(track_id), db_int(below), db_int(kind))));
}

int job_orphan(struct db_session *session, const char *owner)
{
    return at_least_0(db_exec(session,
                              "UPDATE transcode_job SET lease_until = 0"
                              " WHERE state = 'running' AND owner = $1",
                              DB_BIND(db_text(owner))));
}

int job_owners(struct db_session *session, void (*visit)(void *argument, const char *owner),
               void *argument)
{
    DB_ROWS rows = NULL;
    int result =
        db_query(session, &rows, "SELECT DISTINCT owner FROM transcode_job WHERE state = 'running'",
                 DB_NO_BIND);
    while (result >= 0 && (result = db_next(rows)) > 0) {
        visit(argument, db_get_text(rows, 0));
    }
    return result;
}

int job_count_open(struct db_session *session, const char *state, int64_t *ret_count)
{
    DB_ROWS rows = NULL;
    int result =
        db_query(session, &rows, "SELECT COUNT(*) FROM transcode_job WHERE " OPEN " AND state = $1",
                 DB_BIND(db_text(state)));
    result = result < 0 ? result : db_next(rows);
    if (result > 0) {
        *ret_count = db_get_int(rows, 0);
    }
    return at_least_0(result);
}

int job_count_overdue(struct db_session *session, int64_t before_ms, int64_t *ret_count)
{
    DB_ROWS rows = NULL;
    int result = db_query(session, &rows,
                          "SELECT COUNT(*) FROM transcode_job WHERE " OPEN " AND " DUE
                          " < $1 AND created_at < $1",
                          DB_BIND(db_int(before_ms)));
    result = result < 0 ? result : db_next(rows);
    if (result > 0) {
        *ret_count = db_get_int(rows, 0);
    }
    return at_least_0(result);
}

int job_oldest(struct db_session *session, enum job_kind kind, int64_t *ret_created_ms)
{
    DB_ROWS rows = NULL;
    int result = db_query(session, &rows,
                          "SELECT created_at FROM transcode_job WHERE " OPEN " AND priority = $1"
                          " ORDER BY id LIMIT 1",
                          DB_BIND(db_int(kind)));
    result = result < 0 ? result : db_next(rows);
    if (result > 0) {
        *ret_created_ms = db_get_int(rows, 0);
    }
    return result > 0 ? 0 : result < 0 ? result : ERR_NOT_FOUND;
}

int job_prune(struct db_session *session, int64_t before_ms)
{
    return at_least_0(db_exec(session,
                              "DELETE FROM transcode_job WHERE updated_at < $1"
                              " AND state IN ('done', 'failed', 'cancelled')",
                              DB_BIND(db_int(before_ms))));
}

/* --- steps --- */

int step_put(struct db_session *session, int64_t track_id, int64_t version, const char *name,
             const char *detail, int64_t now_ms)
{
    return at_least_0(
        db_exec(session,
                "INSERT INTO transcode_step (track_id, version, name, detail, done_at)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (track_id, version, name)"
                " DO UPDATE SET detail = excluded.detail, done_at = excluded.done_at",
                DB_BIND(db_int(track_id), db_int(version), db_text(name), db_text(detail),
                        db_int(now_ms))));
}

int step_list(struct db_session *session, int64_t track_id, int64_t version,
              int (*visit)(void *argument, const char *name, const char *detail), void *argument)
{
    DB_ROWS rows = NULL;
    int result = db_query(session, &rows,
                          "SELECT name, detail FROM transcode_step WHERE track_id = $1"
                          " AND version = $2 ORDER BY name",
                          DB_BIND(db_int(track_id), db_int(version)));
    while (result >= 0 && (result = db_next(rows)) > 0) {
        result = visit(argument, db_get_text(rows, 0), db_get_text(rows, 1));
        if (result != 0) {
            return result;
        }
    }
    return result;
}

int step_delete(struct db_session *session, int64_t track_id, int64_t below_or_equal)
{
    return at_least_0(db_exec(session,
                              "DELETE FROM transcode_step WHERE track_id = $1 AND version <= $2",
                              DB_BIND(db_int(track_id), db_int(below_or_equal))));
}
