/* The trailer of an object on disk. An object is one file: its bytes from 0, then this, so that one
 * rename makes bytes and description visible together, and a child process can write the bytes into
 * the plain descriptor before anybody knows their number.
 *
 *   offset  size  what (integers little-endian)
 *        0     8  "TUTTIOBJ"
 *        8     4  version, 1
 *       12     4  0
 *       16     8  bytes of the object: the file is this + 512 long
 *       24    72  ETag, NUL-padded
 *       96   128  content type, NUL-padded
 *      224   128  cache control, NUL-padded
 *      352   144  0
 *      496    16  BLAKE2b of the 496 before, so that a torn or foreign file is seen as such
 */
#pragma once

#include "backend/blob/blob.h"

enum { BLOB_TRAILER_BYTES = 512, MD5_BYTES = 16 };

/* Writes the trailer behind the first stat->bytes of fd. 0 or an error. */
int blob_trailer_write(int fd, const struct blob_stat *stat);
/* Reads size, time and trailer of an open object. ERR_CORRUPT where there is no sound trailer. */
int blob_trailer_read(int fd, struct blob_stat *ret_stat);
/* 32 hexadecimal digits and NUL. */
void blob_md5_hex(const unsigned char digest[MD5_BYTES], char out[BLOB_ETAG_MAX]);
