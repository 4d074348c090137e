/* What the transcode role tells of its queue (transcode_internal.h). Every process that opens the
 * role's contract tells it, since a queue that nobody works on must be seen as well; counts go over
 * the jobs that have not ended, so they cost what the queue is long. Asked on the pool.
 */
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"
#include "service/transcode/transcode_internal.h"

#include <stdio.h>

struct question {
    const char *state;
    enum job_kind kind;
    int64_t answer;
};

static int count_state(struct db_session *session, void *argument)
{
    struct question *question = argument;
    return job_count_open(session, question->state, &question->answer);
}

static int find_oldest(struct db_session *session, void *argument)
{
    struct question *question = argument;
    return job_oldest(session, question->kind, &question->answer);
}

static int64_t ask_count(struct transcode *transcode, const char *state)
{
    struct question question = {.state = state};
    return db_read(transcode->db, count_state, &question) == 0 ? question.answer : METRIC_UNKNOWN;
}

static int64_t ask_waiting(void *argument)
{
    return ask_count(argument, "waiting");
}

static int64_t ask_running(void *argument)
{
    return ask_count(argument, "running");
}

static int64_t ask_oldest(struct transcode *transcode, enum job_kind kind)
{
    struct question question = {.kind = kind};
    int result = db_read(transcode->db, find_oldest, &question);
    if (result != 0) {
        return result == ERR_NOT_FOUND ? 0 : METRIC_UNKNOWN;
    }
    int64_t age_ms = clock_wall_ms() - question.answer;
    return age_ms > 0 ? age_ms * 1000 : 0;
}

static int64_t ask_oldest_cover(void *argument)
{
    return ask_oldest(argument, JOB_COVER);
}

static int64_t ask_oldest_first(void *argument)
{
    return ask_oldest(argument, JOB_FIRST);
}

static int64_t ask_oldest_ladder(void *argument)
{
    return ask_oldest(argument, JOB_LADDER);
}

static struct metric *workers_metric(void)
{
    return metric_get(METRIC_GAUGE, "tutti_transcode_workers",
                      "Workers of this process that take media jobs.", "");
}

void transcode_metrics_begin(struct transcode *transcode)
{
    static const char jobs[] = "tutti_transcode_jobs";
    static const char jobs_help[] = "Media jobs that have not ended, by state.";
    static const char oldest[] = "tutti_transcode_oldest_seconds";
    static const char oldest_help[] = "Age of the oldest media job that has not ended.";
    metric_set(workers_metric(), 0);
    metric_ask(jobs, jobs_help, "state=\"waiting\"", ask_waiting, transcode);
    metric_ask(jobs, jobs_help, "state=\"running\"", ask_running, transcode);
    metric_ask_kind(METRIC_GAUGE_US, oldest, oldest_help, "kind=\"cover\"", ask_oldest_cover,
                    transcode);
    metric_ask_kind(METRIC_GAUGE_US, oldest, oldest_help, "kind=\"first\"", ask_oldest_first,
                    transcode);
    metric_ask_kind(METRIC_GAUGE_US, oldest, oldest_help, "kind=\"ladder\"", ask_oldest_ladder,
                    transcode);
}

void transcode_metrics_end(struct transcode *transcode)
{
    metric_ask_end(transcode);
}

void transcode_metrics_workers(unsigned count)
{
    metric_set(workers_metric(), count);
}

void transcode_metrics_run(enum job_kind kind, const char *how, int64_t took_ms)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "kind=\"%s\"", job_kind_name(kind));
    metric_observe_us(metric_get(METRIC_HISTOGRAM, "tutti_transcode_job_duration_seconds",
                                 "Time that workers spent on jobs.", labels),
                      took_ms * 1000);
    (void)snprintf(labels, sizeof labels, "kind=\"%s\",result=\"%s\"", job_kind_name(kind), how);
    metric_add(metric_get(METRIC_COUNTER, "tutti_transcode_runs_total",
                          "Runs of media jobs, by how they ended.", labels),
               1);
}
