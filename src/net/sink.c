/* Bodies that go somewhere as they arrive (struct body_sink).
 *
 * Two buffers: the loop fills one while the pool writes the other; when both are full the
 * connection is suspended until the pool is done, so memory stays flat and a slow disk slows the
 * client down.
 *
 *            fill (loop)          writing (pool)
 *   open ─► write ─► write … ─► write the rest, close(true), handle         the whole body came
 *                      └─────► close(false)                                 an error, or it was cut
 *
 * An error is answered only after close has run, so that loop and pool never work on the request's
 * arena at once.
 *
 * Invariants
 *  1. At most one job of a sink is queued or running (busy): so open, write, close and handle never
 *     overlap and keep their order.
 *  2. close runs exactly once after a successful open: by the last job, by the job that finds the
 *     client gone, or by the one that sink_abandon pushes.
 *  3. waiting is set only together with suspending, and the job that clears it resumes.
 */
#include "net/server.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { SINK_BUFFER_BYTES = 256 * 1024, SINK_BUFFER_MIN = 4096 };

struct sink {
    pthread_mutex_t lock;
    struct request_private *request;
    const struct body_sink *row;
    void *state;
    struct job job;
    char *fill, *writing;
    size_t fill_length, writing_length, room;
    bool busy, waiting, opened, closed, gone, ending;
    int error;
};

static void sink_free(void *argument)
{
    struct sink *sink = argument;
    pthread_mutex_destroy(&sink->lock);
    free(sink->fill);
    free(sink->writing);
}

static int sink_new(struct request_private *request)
{
    struct arena *arena = request->request.call.arena;
    struct sink *sink = arena_new_of(arena, struct sink);
    int error = sink != NULL ? head_copy(request) : ERR_NO_MEMORY;
    if (error != 0) {
        return error;
    }
    size_t room = SINK_BUFFER_BYTES;
    if (request->content_length >= 0 && (uint64_t)request->content_length < room) {
        room = (size_t)request->content_length;
    }
    *sink = (struct sink){.request = request, .row = request->entry->row->sink};
    sink->room = room > SINK_BUFFER_MIN ? room : SINK_BUFFER_MIN;
    bool fits = request->content_length >= 0 && (uint64_t)request->content_length <= sink->room;
    error = memory_take(request, fits ? sink->room : 2 * sink->room);
    if (error != 0) {
        return error;
    }
    sink->fill = malloc(sink->room);
    pthread_mutex_init(&sink->lock, NULL);
    error = arena_at_end(arena, sink_free, sink);
    if (error != 0 || sink->fill == NULL) {
        if (error != 0) {
            sink_free(sink);
        }
        return ERR_NO_MEMORY;
    }
    request->sink = sink;
    return 0;
}

/* Ends a job: under the lock. Returns whether the connection waits for it. */
static bool job_ends(struct sink *sink)
{
    bool resume = sink->waiting;
    sink->waiting = false;
    sink->busy = false;
    return resume;
}

/* Unlocks, wakes the loop if it waits, and lets go of the request. */
static void job_leave(struct sink *sink, bool resume)
{
    struct request_private *request = sink->request;
    pthread_mutex_unlock(&sink->lock);
    if (resume) {
        atomic_store_explicit(&request->connection->held, false, memory_order_relaxed);
        request_resume(request);
    }
    request_unref(request);
}

static void close_incomplete(struct sink *sink)
{
    if (sink->opened && !sink->closed) {
        sink->closed = true;
        sink->row->close(&sink->request->request, sink->state, false);
    }
}

static void job_open(void *argument)
{
    struct sink *sink = argument;
    void *state = NULL;
    int error = sink->row->open(&sink->request->request, &state);
    pthread_mutex_lock(&sink->lock);
    sink->state = state;
    sink->error = error < 0 ? error : 0;
    sink->opened = sink->error == 0;
    job_leave(sink, job_ends(sink));
}

static void job_write(void *argument)
{
    struct sink *sink = argument;
    int error =
        sink->row->write(&sink->request->request, sink->state, sink->writing, sink->writing_length);
    pthread_mutex_lock(&sink->lock);
    sink->error = error < 0 ? error : sink->error;
    if (sink->gone) {
        close_incomplete(sink);
    }
    job_leave(sink, job_ends(sink));
}

static void job_close(void *argument)
{
    struct sink *sink = argument;
    pthread_mutex_lock(&sink->lock);
    close_incomplete(sink);
    job_leave(sink, job_ends(sink));
}

static void job_finish(void *argument)
{
    struct sink *sink = argument;
    struct request *request = &sink->request->request;
    int error = due_check(sink->request);
    if (error == 0 && sink->fill_length > 0) {
        error = sink->row->write(request, sink->state, sink->fill, sink->fill_length);
    }
    sink->closed = true;
    sink->row->close(request, sink->state, error >= 0);
    if (error >= 0) {
        error = due_handle(sink->request);
    }
    sink->request->job_result = error < 0 ? error : 0;
    sink->request->job_done = true;
    pthread_mutex_lock(&sink->lock);
    job_leave(sink, job_ends(sink));
}

/* Pushes a further job; under the lock, when none is busy. */
static void push(struct sink *sink, void (*run)(void *argument))
{
    sink->busy = true;
    sink->job = (struct job){.run = run, .argument = sink, .lane = limit_lane(sink->request)};
    atomic_fetch_add(&sink->request->refs, 1);
    job_pool_continue(sink->request->server->pool, &sink->job);
}

static void wait_for_job(struct sink *sink)
{
    sink->waiting = true;
    atomic_store_explicit(&sink->request->connection->held, true, memory_order_relaxed);
    request_suspend(sink->request);
}

int sink_start(struct request_private *request)
{
    if (request->sink != NULL) {
        pthread_mutex_lock(&request->sink->lock);
        int error = request->sink->error;
        pthread_mutex_unlock(&request->sink->lock);
        return error;
    }
    int error = shed_check(request, request->server->pool, limit_lane(request));
    error = error != 0 ? error : sink_new(request);
    if (error != 0) {
        return error;
    }
    if (job_pool_claim(request->server->pool, limit_lane(request)) != 0) {
        request->sink = NULL;
        request->request.call.problem.retry_after_s = 1;
        return problem_set(&request->request.call.problem, ERR_BUSY,
                           "The server has too much to do; try again in a second");
    }
    struct sink *sink = request->sink;
    pthread_mutex_lock(&sink->lock);
    wait_for_job(sink);
    sink->busy = true;
    sink->job = (struct job){.run = job_open, .argument = sink, .lane = limit_lane(request)};
    atomic_fetch_add(&request->refs, 1);
    job_pool_push(request->server->pool, &sink->job);
    pthread_mutex_unlock(&sink->lock);
    return 1;
}

/* Hands the full buffer to the pool and goes on with the other. Under the lock, when none is busy.
 */
static int turn_over(struct sink *sink)
{
    if (sink->writing == NULL) {
        sink->writing = malloc(sink->room);
        if (sink->writing == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    char *full = sink->fill;
    sink->fill = sink->writing;
    sink->writing = full;
    sink->writing_length = sink->fill_length;
    sink->fill_length = 0;
    push(sink, job_write);
    return 0;
}

/* After an error: waits for the running job, then for close. Under the lock. */
static enum body_take refuse(struct sink *sink)
{
    if (sink->busy || (sink->opened && !sink->closed)) {
        wait_for_job(sink);
        if (!sink->busy) {
            push(sink, job_close);
        }
        return BODY_WAIT;
    }
    sink->request->body_refused = true;
    sink->request->job_result = sink->error;
    return BODY_REFUSED;
}

static size_t copy_some(struct sink *sink, const char *bytes, size_t length)
{
    size_t room = sink->room - sink->fill_length;
    size_t some = length < room ? length : room;
    memcpy(sink->fill + sink->fill_length, bytes, some);
    sink->fill_length += some;
    return some;
}

/* Under the lock. */
static enum body_take take_locked(struct sink *sink, const char *bytes, size_t *length)
{
    while (sink->error == 0) {
        size_t some = copy_some(sink, bytes, *length);
        bytes += some;
        *length -= some;
        if (sink->fill_length == sink->room && !sink->busy) {
            sink->error = turn_over(sink);
        } else if (*length > 0) {
            wait_for_job(sink);
            return BODY_WAIT;
        }
        if (*length == 0) {
            return BODY_TAKEN;
        }
    }
    return refuse(sink);
}

enum body_take sink_take(struct request_private *request, const char *bytes, size_t *length)
{
    struct sink *sink = request->sink;
    if (request->body_refused) {
        *length = 0;
        return BODY_TAKEN;
    }
    size_t before = *length;
    pthread_mutex_lock(&sink->lock);
    if (sink->error == 0 && *length > request->entry->row->body_bytes_max - request->body_length) {
        sink->error = problem_set(&request->request.call.problem, ERR_TOO_LARGE,
                                  "The body has more than the %zu bytes allowed here",
                                  request->entry->row->body_bytes_max);
    }
    enum body_take taken = take_locked(sink, bytes, length);
    pthread_mutex_unlock(&sink->lock);
    request->body_length += before - *length;
    return taken;
}

int sink_finish(struct request_private *request)
{
    struct sink *sink = request->sink;
    if (request->job_done) {
        return 0;
    }
    pthread_mutex_lock(&sink->lock);
    int result = 1;
    if (sink->error != 0) {
        result = refuse(sink) == BODY_WAIT ? 1 : sink->error;
    } else {
        wait_for_job(sink);
        if (!sink->busy) {
            push(sink, job_finish);
        }
    }
    pthread_mutex_unlock(&sink->lock);
    return result;
}

void sink_abandon(struct request_private *request)
{
    struct sink *sink = request->sink;
    pthread_mutex_lock(&sink->lock);
    sink->gone = true;
    if (!sink->busy && sink->opened && !sink->closed) {
        push(sink, job_close);
    }
    pthread_mutex_unlock(&sink->lock);
}

void *request_sink_state(struct request *request)
{
    struct sink *sink = request_private(request)->sink;
    return sink != NULL ? sink->state : NULL;
}
