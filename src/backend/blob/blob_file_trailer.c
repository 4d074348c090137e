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
    uint32_t headers_bytes;
    unsigned char headers_hash[16];
    unsigned char key_id[BLOB_KEY_ID_BYTES];
    unsigned char secret[BLOB_SECRET_BYTES + SEAL_OVERHEAD_BYTES];
    unsigned char mac[32];
    unsigned char part_bytes[8]; /* at no multiple of 8 */
    unsigned char spare[4];
    unsigned char checksum[16];
};
_Static_assert(sizeof(struct trailer) == BLOB_TRAILER_BYTES, "the layout on disk");

static const char magic[8] = {'T', 'U', 'T', 'T', 'I', 'O', 'B', 'J'};

static void checksum(const struct trailer *trailer, unsigned char out[16])
{
    (void)crypto_generichash(out, 16, (const unsigned char *)trailer,
                             offsetof(struct trailer, checksum), NULL, 0);
}

enum { NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };

uint64_t blob_stored_bytes(const struct blob_stat *stat)
{
    return stat->sealed ? seal_sealed_bytes(stat->bytes) : stat->bytes;
}

/* Of the object's secret, by libsodium's key derivation (BLAKE2b). */
enum { SUBKEY_CHUNKS = 1, SUBKEY_TRAILER = 2 };

static void subkey(const unsigned char secret[BLOB_SECRET_BYTES], uint64_t number,
                   unsigned char out[32])
{
    (void)crypto_kdf_derive_from_key(out, 32, number, "tuttiobj", secret);
}

void blob_seal_chunk_key(const unsigned char secret[BLOB_SECRET_BYTES],
                         unsigned char out[SEAL_KEY_BYTES])
{
    subkey(secret, SUBKEY_CHUNKS, out);
}

static void make_mac(const struct trailer *trailer, const unsigned char secret[BLOB_SECRET_BYTES],
                     unsigned char out[32])
{
    unsigned char key[32];
    subkey(secret, SUBKEY_TRAILER, key);
    (void)crypto_generichash(out, 32, (const unsigned char *)trailer, offsetof(struct trailer, mac),
                             key, sizeof key);
    sodium_memzero(key, sizeof key);
}

/* The secret under the store's key, bound to the place. */
static int wrap_secret(struct trailer *trailer, const struct blob_seal *seal)
{
    unsigned char key[SEAL_KEY_BYTES];
    if (!blob_keys_newest(seal->keys, trailer->key_id, key)) {
        return ERR_INTERNAL;
    }
    randombytes_buf(trailer->secret, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        trailer->secret + NONCE_BYTES, NULL, seal->secret, sizeof seal->secret,
        (const unsigned char *)seal->place, strlen(seal->place), NULL, trailer->secret, key);
    sodium_memzero(key, sizeof key);
    make_mac(trailer, seal->secret, trailer->mac);
    return 0;
}

static int unwrap_secret(const struct trailer *trailer, struct blob_seal *seal)
{
    unsigned char key[SEAL_KEY_BYTES];
    unsigned char mac[32];
    if (!blob_keys_find(seal->keys, trailer->key_id, key)) {
        return ERR_CORRUPT;
    }
    int result = crypto_aead_xchacha20poly1305_ietf_decrypt(
        seal->secret, NULL, NULL, trailer->secret + NONCE_BYTES,
        sizeof trailer->secret - NONCE_BYTES, (const unsigned char *)seal->place,
        strlen(seal->place), trailer->secret, key);
    sodium_memzero(key, sizeof key);
    if (result != 0) {
        return ERR_CORRUPT;
    }
    make_mac(trailer, seal->secret, mac);
    return sodium_memcmp(mac, trailer->mac, sizeof mac) == 0 ? 0 : ERR_CORRUPT;
}

static int write_at(int fd, const void *bytes, size_t length, uint64_t offset)
{
    ssize_t written = pwrite(fd, bytes, length, (off_t)offset);
    if (written < 0) {
        return error_from_errno(errno);
    }
    return written == (ssize_t)length ? 0 : ERR_DISK_FULL;
}

static void hash_headers(const char *headers, size_t length, unsigned char out[16])
{
    (void)crypto_generichash(out, 16, (const unsigned char *)headers, length, NULL, 0);
}

int blob_trailer_write(int fd, const struct blob_stat *stat, const char *headers,
                       const struct blob_seal *seal)
{
    size_t headers_bytes = headers != NULL ? strlen(headers) : 0;
    assert(headers_bytes <= BLOB_HEADERS_MAX);
    uint64_t stored = blob_stored_bytes(stat);
    assert(stat->sealed == (seal != NULL));
    struct trailer trailer = {.version = htole32(stat->sealed        ? 3
                                                 : headers_bytes > 0 ? 2
                                                                     : 1),
                              .bytes = htole64(stat->bytes),
                              .headers_bytes = htole32((uint32_t)headers_bytes)};
    const uint64_t part_bytes = htole64(stat->part_bytes);
    memcpy(trailer.magic, magic, sizeof magic);
    memcpy(trailer.part_bytes, &part_bytes, sizeof part_bytes);
    memcpy(trailer.etag, stat->etag, sizeof trailer.etag);
    memcpy(trailer.content_type, stat->content_type, sizeof trailer.content_type);
    memcpy(trailer.cache_control, stat->cache_control, sizeof trailer.cache_control);
    int error = 0;
    if (headers_bytes > 0) {
        hash_headers(headers, headers_bytes, trailer.headers_hash);
        error = write_at(fd, headers, headers_bytes, stored);
    }
    if (error == 0 && seal != NULL) {
        error = wrap_secret(&trailer, seal);
    }
    checksum(&trailer, trailer.checksum);
    error = error != 0 ? error : write_at(fd, &trailer, sizeof trailer, stored + headers_bytes);
    if (error == 0 && ftruncate(fd, (off_t)(stored + headers_bytes + sizeof trailer)) != 0) {
        error = error_from_errno(errno);
    }
    return error;
}

static bool is_sound(const struct trailer *trailer, off_t file_bytes)
{
    unsigned char expected[16];
    uint32_t version = le32toh(trailer->version);
    uint32_t headers_bytes = le32toh(trailer->headers_bytes);
    uint64_t bytes = le64toh(trailer->bytes);
    uint64_t before = (uint64_t)file_bytes - BLOB_TRAILER_BYTES;
    checksum(trailer, expected);
    return memcmp(trailer->magic, magic, sizeof magic) == 0 &&
           (version == 3 || version == (headers_bytes > 0 ? 2 : 1)) &&
           headers_bytes <= BLOB_HEADERS_MAX && bytes <= before &&
           (version == 3 ? seal_sealed_bytes(bytes) : bytes) + headers_bytes == before &&
           memcmp(expected, trailer->checksum, sizeof expected) == 0;
}

static int read_at(int fd, void *bytes, size_t length, uint64_t offset)
{
    ssize_t got = pread(fd, bytes, length, (off_t)offset);
    if (got < 0) {
        return error_from_errno(errno);
    }
    return got == (ssize_t)length ? 0 : ERR_CORRUPT;
}

static int read_trailer(int fd, struct stat *status, struct trailer *trailer)
{
    if (fstat(fd, status) != 0) {
        return error_from_errno(errno);
    }
    if (!S_ISREG(status->st_mode) || status->st_size < BLOB_TRAILER_BYTES) {
        return ERR_CORRUPT;
    }
    int error =
        read_at(fd, trailer, sizeof *trailer, (uint64_t)status->st_size - BLOB_TRAILER_BYTES);
    return error != 0 || is_sound(trailer, status->st_size) ? error : ERR_CORRUPT;
}

int blob_trailer_headers(int fd, const struct blob_stat *stat, char out[BLOB_HEADERS_MAX + 1])
{
    struct stat status;
    struct trailer trailer;
    unsigned char hash[16] = {0};
    int error = read_trailer(fd, &status, &trailer);
    error = error != 0 ? error : read_at(fd, out, stat->headers_bytes, blob_stored_bytes(stat));
    if (error == 0 && stat->headers_bytes > 0) {
        hash_headers(out, stat->headers_bytes, hash);
    }
    out[error == 0 ? stat->headers_bytes : 0] = '\0';
    return error != 0 || memcmp(hash, trailer.headers_hash, sizeof hash) == 0 ? error : ERR_CORRUPT;
}

int blob_trailer_read(int fd, struct blob_stat *ret_stat)
{
    struct stat status = {0};
    struct trailer trailer = {0};
    int error = read_trailer(fd, &status, &trailer);
    if (error != 0) {
        return error;
    }
    struct blob_stat stat = {
        .bytes = le64toh(trailer.bytes),
        .headers_bytes = le32toh(trailer.headers_bytes),
        .sealed = le32toh(trailer.version) == 3,
        .modified_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000,
    };
    memcpy(&stat.part_bytes, trailer.part_bytes, sizeof stat.part_bytes);
    stat.part_bytes = le64toh(stat.part_bytes);
    memcpy(stat.etag, trailer.etag, sizeof stat.etag - 1);
    memcpy(stat.content_type, trailer.content_type, sizeof stat.content_type - 1);
    memcpy(stat.cache_control, trailer.cache_control, sizeof stat.cache_control - 1);
    *ret_stat = stat;
    return 0;
}

bool blob_trailer_key_is_there(int fd, const struct blob_keys *keys)
{
    struct stat status;
    struct trailer trailer;
    unsigned char key[SEAL_KEY_BYTES];
    bool found =
        read_trailer(fd, &status, &trailer) == 0 && blob_keys_find(keys, trailer.key_id, key);
    sodium_memzero(key, sizeof key);
    return found;
}

int blob_trailer_open(int fd, struct blob_seal *seal)
{
    struct stat status;
    struct trailer trailer;
    int error = read_trailer(fd, &status, &trailer);
    return error != 0 ? error : unwrap_secret(&trailer, seal);
}

void blob_md5_hex(const unsigned char digest[MD5_BYTES], char out[BLOB_ETAG_MAX])
{
    (void)sodium_bin2hex(out, BLOB_ETAG_MAX, digest, MD5_BYTES);
}
