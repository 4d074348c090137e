/* The trailer of an object on disk (blob_file_trailer.h). Any thread; no memory is kept. */
#include "backend/blob/blob_file_trailer.h"

#include "base/error.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct trailer {
    char magic[8];
    uint32_t version, zero;
    uint64_t bytes;
    char etag[BLOB_ETAG_MAX];
    char content_type[BLOB_TYPE_MAX];
    char cache_control[BLOB_TYPE_MAX];
    unsigned char spare[144];
    unsigned char checksum[16];
};
_Static_assert(sizeof(struct trailer) == BLOB_TRAILER_BYTES, "the layout on disk");

static const char magic[8] = {'T', 'U', 'T', 'T', 'I', 'O', 'B', 'J'};

static void checksum(const struct trailer *trailer, unsigned char out[16])
{
    (void)crypto_generichash(out, 16, (const unsigned char *)trailer,
                             offsetof(struct trailer, checksum), NULL, 0);
}

int blob_trailer_write(int fd, const struct blob_stat *stat)
{
    struct trailer trailer = {.version = htole32(1), .bytes = htole64(stat->bytes)};
    memcpy(trailer.magic, magic, sizeof magic);
    memcpy(trailer.etag, stat->etag, sizeof trailer.etag);
    memcpy(trailer.content_type, stat->content_type, sizeof trailer.content_type);
    memcpy(trailer.cache_control, stat->cache_control, sizeof trailer.cache_control);
    checksum(&trailer, trailer.checksum);
    ssize_t written = pwrite(fd, &trailer, sizeof trailer, (off_t)stat->bytes);
    if (written < 0) {
        return error_from_errno(errno);
    }
    return written == (ssize_t)sizeof trailer ? 0 : ERR_DISK_FULL;
}

static bool is_sound(const struct trailer *trailer, off_t file_bytes)
{
    unsigned char expected[16];
    checksum(trailer, expected);
    return memcmp(trailer->magic, magic, sizeof magic) == 0 && le32toh(trailer->version) == 1 &&
           le64toh(trailer->bytes) == (uint64_t)file_bytes - BLOB_TRAILER_BYTES &&
           memcmp(expected, trailer->checksum, sizeof expected) == 0;
}

int blob_trailer_read(int fd, struct blob_stat *ret_stat)
{
    struct stat status;
    struct trailer trailer;
    if (fstat(fd, &status) != 0) {
        return error_from_errno(errno);
    }
    if (!S_ISREG(status.st_mode) || status.st_size < BLOB_TRAILER_BYTES) {
        return ERR_CORRUPT;
    }
    ssize_t got = pread(fd, &trailer, sizeof trailer, status.st_size - BLOB_TRAILER_BYTES);
    if (got < 0) {
        return error_from_errno(errno);
    }
    if (got != (ssize_t)sizeof trailer || !is_sound(&trailer, status.st_size)) {
        return ERR_CORRUPT;
    }
    struct blob_stat stat = {
        .bytes = le64toh(trailer.bytes),
        .modified_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000,
    };
    memcpy(stat.etag, trailer.etag, sizeof stat.etag - 1);
    memcpy(stat.content_type, trailer.content_type, sizeof stat.content_type - 1);
    memcpy(stat.cache_control, trailer.cache_control, sizeof stat.cache_control - 1);
    *ret_stat = stat;
    return 0;
}

void blob_md5_hex(const unsigned char digest[MD5_BYTES], char out[BLOB_ETAG_MAX])
{
    (void)sodium_bin2hex(out, BLOB_ETAG_MAX, digest, MD5_BYTES);
}
