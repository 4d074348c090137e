/* The trailer of an object on disk. An object is one file: its bytes from 0, then the headers kept
 * with it, then this, so that one rename makes bytes and description visible together, and a child
 * process can write the bytes into the plain descriptor before anybody knows their number.
 *
 *   offset  size  what (integers little-endian)
 *        0     8  "TUTTIOBJ"
 *        8     4  version: 1, or 2 where there are headers
 *       12     4  0
 *       16     8  bytes of the object: the file is this + headers + 512 long
 *       24    72  ETag, NUL-padded
 *       96   128  content type, NUL-padded
 *      224   128  cache control, NUL-padded
 *      352     4  bytes of the headers
 *      356    16  their BLAKE2b; 0 where there are none
 *      372   124  0
 *      496    16  BLAKE2b of the 496 before, so that a torn or foreign file is seen as such
 */
#pragma once

#include "backend/blob/blob.h"

enum { BLOB_TRAILER_BYTES = 512, MD5_BYTES = 16 };

/* Writes headers (NULL: none) and trailer behind the first stat->bytes of fd. 0 or an error. */
int blob_trailer_write(int fd, const struct blob_stat *stat, const char *headers);
/* Reads size, time and trailer of an open object. ERR_CORRUPT where there is no sound trailer. */
int blob_trailer_read(int fd, struct blob_stat *ret_stat);
/* The headers of an object whose trailer was read: stat->headers_bytes and a NUL. */
int blob_trailer_headers(int fd, const struct blob_stat *stat, char out[BLOB_HEADERS_MAX + 1]);
/* 32 hexadecimal digits and NUL. */
void blob_md5_hex(const unsigned char digest[MD5_BYTES], char out[BLOB_ETAG_MAX]);
