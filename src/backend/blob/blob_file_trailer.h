/* The trailer of an object on disk. An object is one file: its bytes from 0, then the headers kept
 * with it, then this, so that one rename makes bytes and description visible together, and a child
 * process can write the bytes into the plain descriptor before anybody knows their number.
 *
 *   offset  size  what (integers little-endian)
 *        0     8  "TUTTIOBJ"
 *        8     4  version: 1; 2 where there are headers; 3 where the object is sealed
 *       12     4  0
 *       16     8  bytes of the object: the file is this (or its sealed form) + headers + 512 long
 *       24    72  ETag, NUL-padded
 *       96   128  content type, NUL-padded
 *      224   128  cache control, NUL-padded
 *      352     4  bytes of the headers
 *      356    16  their BLAKE2b; 0 where there are none
 *      372     8  id of the store's key that opens what follows; 0 where not sealed, from here on
 *      380    72  the object's secret, sealed with that key for this place in the store alone:
 *                 nonce, ciphertext, tag
 *      452    32  BLAKE2b of the 452 before, keyed with the secret
 *      484     8  bytes of each part but the last where the ETag is of parts that were alike; 0:
 * not known, or no parts 492     4  0 496    16  BLAKE2b of the 496 before, so that a torn or
 * foreign file is seen as such
 */
#pragma once

#include "backend/blob/blob.h"
#include "backend/blob/blob_file_path.h"
#include "backend/blob/blob_keys.h"

enum {
    BLOB_TRAILER_BYTES = 512,
    MD5_BYTES = 16,
    BLOB_SECRET_BYTES = 32,
    BLOB_PLACE_SIZE = 2 + BLOB_BUCKET_MAX + 1 + BLOB_PATH_MAX,
};

/* What a sealed object adds. The secret is drawn for each object; its chunks' key and the key of
 * its trailer are made of it. place: where the object stands in the store ("o:" bucket "/" path,
 * "p:" path of a part), so that one put in another's place does not open. */
struct blob_seal {
    const struct blob_keys *keys;
    const char *place;
    unsigned char secret[BLOB_SECRET_BYTES];
};
#define BLOB_PREFIX_OBJECT "o:"
#define BLOB_PREFIX_PART   "p:"
void blob_seal_chunk_key(const unsigned char secret[BLOB_SECRET_BYTES],
                         unsigned char out[SEAL_KEY_BYTES]);

/* How many bytes an object takes before its headers. */
uint64_t blob_stored_bytes(const struct blob_stat *stat);
/* Writes headers (NULL: none) and trailer behind an object's bytes, which are in fd already, and
 * cuts off what follows. seal: NULL where stat says it is not sealed. 0 or an error. */
int blob_trailer_write(int fd, const struct blob_stat *stat, const char *headers,
                       const struct blob_seal *seal);
/* Reads size, time and trailer of an open object. ERR_CORRUPT where there is no sound trailer. */
int blob_trailer_read(int fd, struct blob_stat *ret_stat);
/* The headers of an object whose trailer was read: stat->headers_bytes and a NUL. */
int blob_trailer_headers(int fd, const struct blob_stat *stat, char out[BLOB_HEADERS_MAX + 1]);
/* Whether the key that opens a sealed object is among them. */
bool blob_trailer_key_is_there(int fd, const struct blob_keys *keys);
/* The secret of a sealed object (seal->secret). ERR_CORRUPT: the trailer is not what was written
 * for this place, or its key is not there. */
int blob_trailer_open(int fd, struct blob_seal *seal);
/* 32 hexadecimal digits and NUL. */
void blob_md5_hex(const unsigned char digest[MD5_BYTES], char out[BLOB_ETAG_MAX]);
