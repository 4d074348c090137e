/* A source for libavformat: a descriptor, read by position, that ends where the object ends.
 *
 * The media process never sees a path. Reads go through pread, so descriptors that share a file
 * position (they came over a socket) do not disturb each other. One thread at a time; the
 * descriptor stays the caller's.
 */
#pragma once

#include <stdint.h>

struct AVIOContext;
struct io_source;

/* bytes: the object's length; what follows in the file is not the object's. NULL: out of memory. */
struct io_source *io_source_new(int fd, int64_t bytes);
void io_source_free(struct io_source *source); /* NULL is fine */
/* Borrowed. */
struct AVIOContext *io_source_context(struct io_source *source);
/* All of it in memory, when it is no longer than bytes_max: for pictures. The caller frees;
 * padding_bytes zeros follow. 0, ERR_TOO_LARGE, ERR_NO_MEMORY, ERR_IO. */
int io_read_all(int fd, int64_t bytes, int64_t bytes_max, int padding_bytes, uint8_t **ret_data);
/* Writes all of it from the file's start. 0 or an error. */
int io_write_all(int fd, const void *data, int64_t bytes);
