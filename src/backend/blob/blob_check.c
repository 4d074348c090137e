/* Whether an object's bytes are still those that were written (blob.h: blob_check): they are hashed
 * as its ETag was made, in one go or part by part, and of a sealed one every chunk is opened. And
 * which of many objects are to be read (blob_share_has). Any thread.
 */
#include "backend/blob/blob_engine.h"

#include "base/error.h"

#include <nettle/md5.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* An ETag in the making. */
struct hashing {
    uint64_t part_bytes; /* 0: the bytes are hashed in one go */
    uint64_t in_part;
    unsigned parts;
    struct md5_ctx bytes, digests; /* of the part, and of the digests of those before */
};

static void end_part(struct hashing *hashing)
{
    unsigned char digest[MD5_DIGEST_SIZE];
    md5_digest(&hashing->bytes, sizeof digest, digest); /* which begins anew */
    md5_update(&hashing->digests, sizeof digest, digest);
    hashing->in_part = 0;
    hashing->parts++;
}

static int hash(void *argument, const void *bytes, size_t length)
{
    struct hashing *hashing = argument;
    for (const unsigned char *at = bytes; length > 0;) {
        uint64_t room = hashing->part_bytes - hashing->in_part;
        size_t some = hashing->part_bytes == 0 || length < room ? length : (size_t)room;
        md5_update(&hashing->bytes, some, at);
        hashing->in_part += some;
        if (hashing->in_part == hashing->part_bytes) {
            end_part(hashing);
        }
        at += some;
        length -= some;
    }
    return 0;
}

static void end_hash(struct hashing *hashing, char ret_etag[BLOB_ETAG_MAX])
{
    bool of_parts = hashing->part_bytes > 0;
    unsigned char digest[MD5_DIGEST_SIZE];
    if (of_parts && (hashing->in_part > 0 || hashing->parts == 0)) {
        end_part(hashing);
    }
    md5_digest(of_parts ? &hashing->digests : &hashing->bytes, sizeof digest, digest);
    (void)sodium_bin2hex(ret_etag, BLOB_ETAG_MAX, digest, sizeof digest);
    if (of_parts) {
        (void)snprintf(ret_etag + BLOB_PLAIN_ETAG_LENGTH, BLOB_ETAG_MAX - BLOB_PLAIN_ETAG_LENGTH,
                       "-%u", hashing->parts);
    }
}

int blob_check_source(struct blob_source *source, const struct blob_stat *stat)
{
    char etag[BLOB_ETAG_MAX];
    bool in_one_go = blob_etag_is_hash(stat);
    bool told = in_one_go || stat->part_bytes > 0;
    struct hashing hashing = {.part_bytes = in_one_go ? 0 : stat->part_bytes};
    if (!told && !source->sealed) {
        blob_source_close(source);
        return ERR_UNSUPPORTED;
    }
    md5_init(&hashing.bytes);
    md5_init(&hashing.digests);
    int error = blob_source_pour(source, hash, &hashing);
    end_hash(&hashing, etag);
    return error != 0 || !told || strcmp(etag, stat->etag) == 0 ? error : ERR_CORRUPT;
}

int blob_check(struct blob_store *store, const char *bucket, const char *key,
               struct blob_stat *ret_stat)
{
    char headers[BLOB_HEADERS_MAX + 1];
    struct blob_source source = {.fd = -1};
    int error = blob_open(store, bucket, key, &source, ret_stat);
    error = error != 0 ? error : blob_read_headers(store, &source, ret_stat, headers);
    if (error != 0) {
        blob_source_close(&source);
        return error;
    }
    return blob_check_source(&source, ret_stat);
}

bool blob_share_has(const struct blob_share *share, const char *path)
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    uint32_t number = 0;
    if (share->turns <= 1) {
        return share->turns == 1;
    }
    (void)crypto_generichash(digest, sizeof digest, (const unsigned char *)path, strlen(path), NULL,
                             0);
    memcpy(&number, digest, sizeof number);
    return number % share->turns == share->turn;
}
