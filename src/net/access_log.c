/* The access log (access_log.h): lines of base/log.h. What is logged of the path is the route's
 * pattern, so that tokens in paths (/m/{token}/…) and in queries never are. */
#include "net/access_log.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/server.h"

#include <string.h>

void access_log_init(struct access_log *log)
{
    *log = (struct access_log){.length = 0};
    pthread_mutex_init(&log->lock, NULL);
}

void access_log_done(struct access_log *log)
{
    (void)access_log_flush(log);
    pthread_mutex_destroy(&log->lock);
    free(log->lines);
}

/* Under the lock. */
static void write_out(struct access_log *log)
{
    log_put(log->lines, log->length);
    log->length = 0;
}

bool access_log_flush(struct access_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool some = log->length > 0;
    if (some) {
        write_out(log);
    }
    pthread_mutex_unlock(&log->lock);
    return some;
}

static void add_line(struct access_log *log, const char *line, size_t length)
{
    pthread_mutex_lock(&log->lock);
    if (log->lines == NULL) {
        log->lines = malloc(ACCESS_LOG_BYTES);
    }
    if (log->lines == NULL) {
        log_put(line, length);
    } else {
        if (log->length + length > ACCESS_LOG_BYTES) {
            write_out(log);
        }
        memcpy(log->lines + log->length, line, length);
        log->length += length;
    }
    pthread_mutex_unlock(&log->lock);
}

void access_log_request(struct access_log *log, struct request_private *request,
                        int64_t duration_us, bool sent)
{
    if (!log_wanted(LOG_INFO)) {
        return;
    }
    const struct request *public_ = &request->request;
    const struct log_field fields[] = {
        log_text("method", public_->method),
        log_text("route", request->entry != NULL ? request->entry->row->pattern : "none"),
        log_number("status", request->reply.status),
        log_number("bytes", request->sent_bytes),
        log_number("us", duration_us),
        log_text("remote", public_->remote),
        log_number("user", public_->call.actor.user_id),
        log_text("requestId", public_->call.request_id),
        log_text("trace", public_->call.trace_parent),
        log_text("end", sent ? "sent" : "cut"),
    };
    char line[LOG_LINE_MAX];
    add_line(log, line, log_format(line, LOG_INFO, "request", fields, COUNT_OF(fields)));
}
