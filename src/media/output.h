/* Bytes at offsets of a caller's descriptor, plain or sealed (sealed.h), for the muxers. Any
 * thread, one at a time for a descriptor. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* All of length bytes at offset. 0, ERR_DISK_FULL or ERR_IO. */
int output_write(int fd, int64_t offset, const void *bytes, size_t length);
/* Moves the file's first length bytes up by distance, to make room for a head that is known last.
 * 0, ERR_NO_MEMORY, ERR_DISK_FULL or ERR_IO. */
int output_shift(int fd, int64_t length, int64_t distance);
