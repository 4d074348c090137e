/* The additional checksums of S3 ("Checking object integrity"): x-amz-checksum-crc32, -crc32c,
 * -crc64nvme, -sha1, -sha256, -sha512, -md5, each in base64. Used by one thread at a time. */
#pragma once

#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum checksum_kind {
    CHECKSUM_CRC32,
    CHECKSUM_CRC32C,
    CHECKSUM_CRC64NVME,
    CHECKSUM_SHA1,
    CHECKSUM_SHA256,
    CHECKSUM_SHA512,
    CHECKSUM_MD5,
    CHECKSUM_KINDS_
};

enum { CHECKSUM_BYTES_MAX = 64, CHECKSUM_TEXT_SIZE = 89 };

struct checksum {
    enum checksum_kind kind;
    uint64_t crc;
    struct sha1_ctx sha1;
    crypto_hash_sha256_state sha256;
    crypto_hash_sha512_state sha512;
    struct md5_ctx md5;
};

/* The header's name ("x-amz-checksum-crc32"). */
const char *checksum_header(enum checksum_kind kind);
/* The kind by its header's name in lower case; false for a name that is none. */
bool checksum_kind_of(const char *header, enum checksum_kind *ret_kind);
void checksum_init(struct checksum *checksum, enum checksum_kind kind);
void checksum_update(struct checksum *checksum, const void *bytes, size_t length);
void checksum_final(struct checksum *checksum, char out[CHECKSUM_TEXT_SIZE]);
/* Makes sum, a text's, that of the text with another one behind it, of which the checksum and the
 * length are given. False, and nothing is changed: a kind that has no such thing (all but the
 * CRCs), or one of them is no checksum of the kind. */
bool checksum_join(enum checksum_kind kind, char sum[CHECKSUM_TEXT_SIZE], const char *next,
                   uint64_t next_bytes);
