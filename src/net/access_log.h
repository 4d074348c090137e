/* The access log: a line a request, after its last byte. Lines are gathered and written many at
 * once: when ACCESS_LOG_BYTES are full, or at the next tick of the deadline thread. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request_private;

enum { ACCESS_LOG_BYTES = 32 * 1024 };

struct access_log {
    pthread_mutex_t lock;
    size_t length;
    char *lines; /* ACCESS_LOG_BYTES, taken with the first line */
};

void access_log_init(struct access_log *log);
void access_log_done(struct access_log *log); /* writes what is left */
/* Loop threads. */
void access_log_request(struct access_log *log, struct request_private *request,
                        int64_t duration_us, bool sent);
/* Writes what is there; returns whether that was anything. Any thread. */
bool access_log_flush(struct access_log *log);
