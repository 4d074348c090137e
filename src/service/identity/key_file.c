/* Key files on disk (key_file.h). */
#include "service/identity/key_file.h"

#include "backend/folder.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_PREFIX "ed25519-"
#define FILE_SUFFIX ".jwk"
#define SEAL_FILE   "seal.key"

enum { FILE_BYTES_MAX = 1024, PATH_SIZE = 4096, FRESH_MS = 100, BASE64_SIZE = 64 };

static int path_of(char out[PATH_SIZE], const char *directory, const char *prefix, const char *name,
                   const char *suffix)
{
    int length = snprintf(out, PATH_SIZE, "%s/%s%s%s", directory, prefix, name, suffix);
    return length > 0 && length < PATH_SIZE ? 0 : ERR_INVALID;
}

int key_directory_make(const char *path, struct problem *problem)
{
    if (folder_make(path) != 0) {
        return problem_set(problem, error_from_errno(errno),
                           "The directory of keys %s can't be made: %s", path, strerror(errno));
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return problem_set(problem, ERR_INVALID, "%s should be the directory of keys", path);
    }
    if ((info.st_mode & 022) != 0) {
        return problem_set(problem, ERR_INVALID,
                           "Others may write into the directory of keys %s; chmod 700 it", path);
    }
    return 0;
}

int64_t key_directory_stamp(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return 0;
    }
    int64_t changed_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    if (clock_wall_ms() - changed_ms < FRESH_MS) {
        return 0;
    }
    return (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

/* The whole of a small file that only its owner may read. */
static int read_private(const char *path, char *bytes, size_t size, size_t *ret_length,
                        struct problem *problem)
{
    int fd CLEANUP_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        return problem_set(problem, error_from_errno(errno), "The key %s can't be read: %s", path,
                           strerror(errno));
    }
    if ((info.st_mode & 077) != 0) {
        return problem_set(problem, ERR_INVALID, "Others may read the key %s; chmod 600 it", path);
    }
    ssize_t length = read(fd, bytes, size);
    if (length < 0 || (size_t)length == size) {
        return problem_set(problem, ERR_CORRUPT, "%s is no key", path);
    }
    *ret_length = (size_t)length;
    return 0;
}

static int write_all_synced(int fd, const void *bytes, size_t length)
{
    ssize_t written = write(fd, bytes, length);
    if (written < 0) {
        return error_from_errno(errno);
    }
    if ((size_t)written != length) {
        return ERR_DISK_FULL;
    }
    return fsync(fd) == 0 ? 0 : error_from_errno(errno);
}

/* Writes a private file that appears whole or not at all. ERR_EXISTS when somebody was first. */
static int write_private(const char *directory, const char *path, const void *bytes, size_t length,
                         struct problem *problem)
{
    char temporary[PATH_SIZE];
    int error = path_of(temporary, directory, ".new-", "XXXXXX", "");
    if (error != 0) {
        return error;
    }
    int fd CLEANUP_CLOSE = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (fd < 0) {
        error = error_from_errno(errno);
        return problem_set(problem, error, "No key can be written into %s: %s", directory,
                           strerror(errno));
    }
    error = write_all_synced(fd, bytes, length);
    if (error == 0 && link(temporary, path) != 0) {
        error = errno == EEXIST ? ERR_EXISTS : error_from_errno(errno);
    }
    (void)unlink(temporary);
    error = error != 0 ? error : folder_sync(directory);
    return error != 0 ? problem_set(problem, error, "The key %s can't be written", path) : 0;
}

static void key_id(const unsigned char public_key[crypto_sign_PUBLICKEYBYTES],
                   char out[KEY_ID_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(digest, public_key, crypto_sign_PUBLICKEYBYTES);
    (void)sodium_bin2base64(out, KEY_ID_SIZE, digest, 9, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Fills id and header from the public key. */
static void complete_key(struct signing_key *key)
{
    char header[KEY_HEADER_SIZE];
    key_id(key->public_key, key->id);
    int length = snprintf(header, sizeof header,
                          "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", key->id);
    (void)sodium_bin2base64(key->header, sizeof key->header, (const unsigned char *)header,
                            (size_t)length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* The pair is made anew from the seed, so a file whose parts don't belong together is noticed. */
static int parse_key(const char *bytes, size_t length, struct signing_key *key)
{
    json_t *jwk CLEANUP_JSON = NULL;
    if (json_read(bytes, length, NULL, &jwk) != 0) {
        return ERR_CORRUPT;
    }
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    const char *d = json_string_value(json_object_get(jwk, "d"));
    const char *id = json_string_value(json_object_get(jwk, "kid"));
    json_int_t created_ms = json_integer_value(json_object_get(jwk, "createdAt"));
    unsigned char seed[crypto_sign_SEEDBYTES];
    size_t seed_length = 0;
    if (curve == NULL || strcmp(curve, "Ed25519") != 0 || d == NULL || id == NULL ||
        created_ms <= 0 ||
        !text_base64_decode(d, strlen(d), TEXT_BASE64_URL, seed, sizeof seed, &seed_length) ||
        seed_length != sizeof seed) {
        return ERR_CORRUPT;
    }
    (void)crypto_sign_seed_keypair(key->public_key, key->secret_key, seed);
    sodium_memzero(seed, sizeof seed);
    key->created_ms = created_ms;
    complete_key(key);
    return strcmp(key->id, id) == 0 ? 0 : ERR_CORRUPT;
}

static bool is_key_file(const char *name)
{
    size_t length = strlen(name), suffix = strlen(FILE_SUFFIX);
    return strncmp(name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 && length > suffix &&
           strcmp(name + length - suffix, FILE_SUFFIX) == 0;
}

static int read_key(const char *directory, const char *name, struct signing_key *key,
                    struct problem *problem)
{
    char path[PATH_SIZE], bytes[FILE_BYTES_MAX];
    size_t length = 0;
    int error = path_of(path, directory, "", name, "");
    if (error == 0) {
        error = read_private(path, bytes, sizeof bytes, &length, problem);
    }
    if (error == 0 && parse_key(bytes, length, key) != 0) {
        error = problem_set(problem, ERR_CORRUPT, "%s is no Ed25519 key", path);
    }
    sodium_memzero(bytes, sizeof bytes);
    return error;
}

int key_files_read(const char *path, struct signing_key keys[KEY_RING_MAX], unsigned *ret_count,
                   struct problem *problem)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return problem_set(problem, error_from_errno(errno),
                           "The directory of keys %s can't be read: %s", path, strerror(errno));
    }
    unsigned count = 0;
    int error = 0;
    const struct dirent *entry;
    while (error == 0 && count < KEY_RING_MAX && (entry = readdir(directory)) != NULL) {
        if (!is_key_file(entry->d_name)) {
            continue;
        }
        error = read_key(path, entry->d_name, &keys[count], problem);
        if (error == 0) {
            count++;
        } else if (error == ERR_NOT_FOUND) { /* removed by a rotation elsewhere, meanwhile */
            error = 0;
        }
    }
    (void)closedir(directory);
    *ret_count = count;
    return error;
}

int key_file_make(const char *path, int64_t created_ms, struct problem *problem)
{
    struct signing_key key;
    unsigned char seed[crypto_sign_SEEDBYTES];
    char d[BASE64_SIZE], x[BASE64_SIZE], text[FILE_BYTES_MAX], file[PATH_SIZE];
    randombytes_buf(seed, sizeof seed);
    (void)crypto_sign_seed_keypair(key.public_key, key.secret_key, seed);
    complete_key(&key);
    (void)sodium_bin2base64(d, sizeof d, seed, sizeof seed,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)sodium_bin2base64(x, sizeof x, key.public_key, sizeof key.public_key,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    int length = snprintf(text, sizeof text,
                          "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"createdAt\":%lld,"
                          "\"x\":\"%s\",\"d\":\"%s\"}\n",
                          key.id, (long long)created_ms, x, d);
    int error = path_of(file, path, FILE_PREFIX, key.id, FILE_SUFFIX);
    if (error == 0) {
        error = write_private(path, file, text, (size_t)length, problem);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(&key, sizeof key);
    sodium_memzero(d, sizeof d);
    sodium_memzero(text, sizeof text);
    return error;
}

void key_file_remove(const char *path, const char *id)
{
    char file[PATH_SIZE];
    if (path_of(file, path, FILE_PREFIX, id, FILE_SUFFIX) == 0) {
        (void)unlink(file);
    }
}

static int seal_key_file_make(const char *path, const char *file, struct problem *problem)
{
    unsigned char key[SEAL_KEY_BYTES];
    randombytes_buf(key, sizeof key);
    int error = write_private(path, file, key, sizeof key, problem);
    sodium_memzero(key, sizeof key);
    return error == ERR_EXISTS ? 0 : error;
}

int seal_key_file_read(const char *path, unsigned char ret_key[SEAL_KEY_BYTES],
                       struct problem *problem)
{
    char file[PATH_SIZE], bytes[SEAL_KEY_BYTES + 1];
    int error = path_of(file, path, "", SEAL_FILE, "");
    if (error == 0 && access(file, F_OK) != 0) {
        error = seal_key_file_make(path, file, problem);
    }
    size_t length = 0;
    if (error == 0) {
        error = read_private(file, bytes, sizeof bytes, &length, problem);
    }
    if (error == 0 && length != SEAL_KEY_BYTES) {
        error = problem_set(problem, ERR_CORRUPT, "%s should hold %d bytes", file, SEAL_KEY_BYTES);
    }
    if (error == 0) {
        memcpy(ret_key, bytes, SEAL_KEY_BYTES);
    }
    sodium_memzero(bytes, sizeof bytes);
    return error;
}
