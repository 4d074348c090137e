/* A growing byte string with a maximum given at birth. Not thread-safe. Always NUL-terminated, so
 * buffer.data is a C string when it holds text. After a failed append the buffer is "failed":
 * further appends do nothing, and buffer_error tells once, at the end, what happened.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* never NULL after buffer_init; owned */
    size_t length;
    size_t capacity;
    size_t bytes_max;
    int error;
};

void buffer_init(struct buffer *buffer, size_t bytes_max);
void buffer_done(struct buffer *buffer);
void buffer_reset(struct buffer *buffer); /* empty again, memory and maximum kept */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);
int buffer_add(struct buffer *buffer, const char *text);
int buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int buffer_error(const struct buffer *buffer); /* 0, ERR_NO_MEMORY or ERR_TOO_LARGE */
/* Hands the bytes to the caller, who frees them; the buffer is empty afterwards. */
char *buffer_take(struct buffer *buffer, size_t *ret_length);
