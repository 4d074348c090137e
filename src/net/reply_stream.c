/* Bodies that are made piece by piece on the pool (reply_stream).
 *
 * Two buffers: the loop sends from one while the pool fills the other. When the loop is faster, the
 * connection is suspended until the pool is done; when the client is slower, the pool rests. The
 * stream lives apart from its request: libmicrohttpd gives the response back after the request.
 *
 * Invariants
 *  1. At most one job of a stream is queued or running (busy).
 *  2. waiting is set only together with suspending, and the job that clears it resumes.
 *  3. done is called exactly once, by the last reference, on the pool.
 */
#include "net/server.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_BUFFER_BYTES = 64 * 1024 };

struct stream {
    pthread_mutex_t lock;
    struct job_pool *pool;
    struct request_private *request; /* to suspend and resume: only while the response lives */
    ssize_t (*read)(void *argument, void *bytes, size_t length);
    void (*done)(void *argument);
    void *argument;
    int64_t length; /* -1: unknown */
    struct job job;
    char *sending, *filled;
    size_t sending_length, sending_at, filled_length;
    bool busy, waiting, end, failed, dead;
};

static void stream_free(void *argument)
{
    struct stream *stream = argument;
    if (stream->done != NULL) {
        stream->done(stream->argument);
    }
    pthread_mutex_destroy(&stream->lock);
    free(stream->sending);
    free(stream->filled);
    free(stream);
}

/* Runs on the pool: fills the spare buffer. */
static void fill(void *argument)
{
    struct stream *stream = argument;
    size_t length = 0;
    ssize_t got = 0;
    while (length < STREAM_BUFFER_BYTES) {
        got = stream->read(stream->argument, stream->filled + length, STREAM_BUFFER_BYTES - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    pthread_mutex_lock(&stream->lock);
    stream->filled_length = length;
    stream->end = got <= 0;
    stream->failed = got < 0;
    stream->busy = false;
    bool resume = stream->waiting;
    stream->waiting = false;
    bool dead = stream->dead;
    struct request_private *request = stream->request;
    pthread_mutex_unlock(&stream->lock);
    if (resume) {
        request_resume(request);
    }
    if (dead) {
        stream_free(stream);
    }
}

/* Under the lock. */
static void fill_ahead(struct stream *stream)
{
    if (!stream->busy && !stream->end && stream->filled_length == 0) {
        stream->busy = true;
        stream->job = (struct job){.run = fill, .argument = stream};
        job_pool_continue(stream->pool, &stream->job);
    }
}

/* Under the lock: the next buffer, if it is there. */
static bool turn_over(struct stream *stream)
{
    if (stream->busy || stream->filled_length == 0) {
        return false;
    }
    char *empty = stream->sending;
    stream->sending = stream->filled;
    stream->sending_length = stream->filled_length;
    stream->sending_at = 0;
    stream->filled = empty;
    stream->filled_length = 0;
    return true;
}

/* Under the lock. */
static ssize_t take(struct stream *stream, char *bytes, size_t length)
{
    if (stream->sending_at == stream->sending_length && !turn_over(stream)) {
        if (!stream->busy && stream->end) {
            return stream->failed ? MHD_CONTENT_READER_END_WITH_ERROR
                                  : MHD_CONTENT_READER_END_OF_STREAM;
        }
        fill_ahead(stream);
        stream->waiting = true;
        request_suspend(stream->request);
        return 0;
    }
    size_t left = stream->sending_length - stream->sending_at;
    size_t some = length < left ? length : left;
    memcpy(bytes, stream->sending + stream->sending_at, some);
    stream->sending_at += some;
    fill_ahead(stream);
    return (ssize_t)some;
}

static ssize_t on_read(void *argument, uint64_t position, char *bytes, size_t length)
{
    (void)position;
    struct stream *stream = argument;
    pthread_mutex_lock(&stream->lock);
    ssize_t taken = take(stream, bytes, length);
    pthread_mutex_unlock(&stream->lock);
    return taken;
}

/* The response's end; a job in flight frees instead. */
static void on_free(void *argument)
{
    struct stream *stream = argument;
    pthread_mutex_lock(&stream->lock);
    stream->dead = true;
    bool busy = stream->busy;
    pthread_mutex_unlock(&stream->lock);
    if (!busy) { /* from here on it is the job's alone */
        stream->job = (struct job){.run = stream_free, .argument = stream};
        job_pool_continue(stream->pool, &stream->job);
    }
}

void stream_discard(struct stream *stream)
{
    if (stream != NULL) {
        on_free(stream);
    }
}

struct MHD_Response *stream_response(struct request_private *request)
{
    struct stream *stream = request->reply.stream;
    request->reply.stream = NULL;
    uint64_t size = stream->length >= 0 ? (uint64_t)stream->length : MHD_SIZE_UNKNOWN;
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, STREAM_BUFFER_BYTES, on_read, stream, on_free);
    if (response == NULL) {
        on_free(stream);
    }
    return response;
}

static struct stream *stream_new(struct request_private *request)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    stream->sending = malloc(STREAM_BUFFER_BYTES);
    stream->filled = malloc(STREAM_BUFFER_BYTES);
    if (stream->sending == NULL || stream->filled == NULL) {
        free(stream->sending);
        free(stream->filled);
        free(stream);
        return NULL;
    }
    memory_add(request, (size_t)2 * STREAM_BUFFER_BYTES);
    pthread_mutex_init(&stream->lock, NULL);
    stream->request = request;
    stream->pool = request->server->pool;
    return stream;
}

int reply_stream(struct request *request, int status, const char *content_type, int64_t length,
                 ssize_t (*read)(void *argument, void *bytes, size_t length),
                 void (*done)(void *argument), void *argument)
{
    struct request_private *private_ = request_private(request);
    struct stream *stream = stream_new(private_);
    int error = stream != NULL ? 0 : ERR_NO_MEMORY;
    if (error == 0 && content_type != NULL) {
        error = reply_header(request, "Content-Type", content_type);
    }
    if (error != 0) {
        if (done != NULL) {
            done(argument);
        }
        if (stream != NULL) {
            stream_free(stream);
        }
        return error;
    }
    stream->read = read;
    stream->done = done;
    stream->argument = argument;
    stream->length = length;
    reply_discard(private_);
    private_->reply.kind = REPLY_STREAM;
    private_->reply.status = status;
    private_->reply.stream = stream;
    private_->reply.length = length > 0 ? (uint64_t)length : 0;
    return 0;
}
