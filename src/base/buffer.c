/* A growing byte string with a maximum (buffer.h). */
#include "base/buffer.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64 };

static char empty[1];

void buffer_init(struct buffer *buffer, size_t bytes_max)
{
    *buffer = (struct buffer){.data = empty, .bytes_max = bytes_max};
}

void buffer_done(struct buffer *buffer)
{
    if (buffer->data != empty) {
        free(buffer->data);
    }
    buffer_init(buffer, buffer->bytes_max);
}

void buffer_reset(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->error = 0;
    if (buffer->data != empty) {
        buffer->data[0] = '\0';
    }
}

/* Room for length more bytes and the final NUL. */
static int reserve(struct buffer *buffer, size_t length)
{
    if (buffer->error != 0) {
        return buffer->error;
    }
    if (length > buffer->bytes_max - buffer->length) {
        return buffer->error = ERR_TOO_LARGE;
    }
    size_t needed = buffer->length + length + 1;
    if (needed <= buffer->capacity) {
        return 0;
    }
    size_t capacity = buffer->capacity > CAPACITY_MIN ? buffer->capacity : CAPACITY_MIN;
    while (capacity < needed) {
        capacity = capacity <= SIZE_MAX / 2 ? capacity * 2 : needed;
    }
    char *data = realloc(buffer->data != empty ? buffer->data : NULL, capacity);
    if (data == NULL) {
        return buffer->error = ERR_NO_MEMORY;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    int error = reserve(buffer, length);
    if (error != 0) {
        return error;
    }
    if (length > 0) {
        memcpy(buffer->data + buffer->length, bytes, length);
    }
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
    return 0;
}

int buffer_add(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    int error = length < 0 ? (buffer->error = ERR_INTERNAL) : reserve(buffer, (size_t)length);
    if (error == 0) {
        (void)vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
    return error;
}

int buffer_error(const struct buffer *buffer)
{
    return buffer->error;
}

char *buffer_take(struct buffer *buffer, size_t *ret_length)
{
    if (buffer->data == empty && reserve(buffer, 0) != 0) {
        return NULL;
    }
    char *data = buffer->data;
    data[buffer->length] = '\0';
    if (ret_length != NULL) {
        *ret_length = buffer->length;
    }
    buffer_init(buffer, buffer->bytes_max);
    return data;
}
