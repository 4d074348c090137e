/* The trailer of an object's file, as found on a disk. The sum is made good first, else nothing
 * gets past it. A sound one says of the file what is true of it: its length, its headers. A sealed
 * one does not open: nobody has the key.
 *
 * Covers: src/backend/blob/blob_file_trailer.c */
#include "backend/blob/blob_file_trailer.h"
#include "base/error.h"
#include "fuzz.h"

#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

static int fd = -1;

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    FUZZ_CHECK(sodium_init() >= 0);
    fd = memfd_create("object", 0);
    FUZZ_CHECK(fd >= 0);
    return 0;
}

static void make_sum(const uint8_t *data, size_t size)
{
    unsigned char sum[16];
    if (size < BLOB_TRAILER_BYTES) {
        return;
    }
    const uint8_t *trailer = data + size - BLOB_TRAILER_BYTES;
    (void)crypto_generichash(sum, sizeof sum, trailer, 496, NULL, 0);
    FUZZ_CHECK(pwrite(fd, sum, sizeof sum, (off_t)size - 16) == 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blob_stat stat = {.bytes = 0};
    char headers[BLOB_HEADERS_MAX + 1];
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    make_sum(data, size);
    int error = blob_trailer_read(fd, &stat);
    FUZZ_CHECK(error == 0 || error == ERR_CORRUPT);
    if (error != 0) {
        return 0;
    }
    FUZZ_CHECK(stat.headers_bytes <= BLOB_HEADERS_MAX);
    FUZZ_CHECK(blob_stored_bytes(&stat) + stat.headers_bytes + BLOB_TRAILER_BYTES == size);
    FUZZ_CHECK(strlen(stat.etag) < sizeof stat.etag);
    FUZZ_CHECK(strlen(stat.content_type) < sizeof stat.content_type);
    FUZZ_CHECK(strlen(stat.cache_control) < sizeof stat.cache_control);
    error = blob_trailer_headers(fd, &stat, headers);
    FUZZ_CHECK(error == ERR_CORRUPT || strlen(headers) <= stat.headers_bytes);
    struct blob_seal seal = {.keys = NULL, .place = "o:bucket/key.obj"};
    FUZZ_CHECK(!stat.sealed || blob_trailer_open(fd, &seal) == ERR_CORRUPT);
    return 0;
}
