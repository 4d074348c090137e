/* Reading and making the store's keys (blob_keys.h). */
#include "backend/blob/blob_keys.h"

#include "backend/folder.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEYS_MAX = 64, FILE_BYTES_MAX = 8192, LINE_SIZE = 96, PATH_SIZE = 4096 };

struct key {
    unsigned char id[BLOB_KEY_ID_BYTES];
    unsigned char key[SEAL_KEY_BYTES];
};

struct blob_keys {
    unsigned count;
    struct key list[KEYS_MAX];
};

static int fail(struct problem *problem, const char *path, int error, const char *why)
{
    return problem_set(problem, error, "the object store's keys \"%s\" can't be used: %s", path,
                       why);
}

static bool parse_line(char *line, struct key *key)
{
    char *save = NULL;
    const char *id = strtok_r(line, " \t\r", &save);
    const char *text = strtok_r(NULL, " \t\r", &save);
    size_t id_length = 0;
    size_t key_length = 0;
    return id != NULL && text != NULL &&
           sodium_hex2bin(key->id, sizeof key->id, id, strlen(id), NULL, &id_length, NULL) == 0 &&
           sodium_base642bin(key->key, sizeof key->key, text, strlen(text), NULL, &key_length, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           id_length == sizeof key->id && key_length == sizeof key->key;
}

static bool parse(char *text, struct blob_keys *keys)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (keys->count == KEYS_MAX || !parse_line(line, &keys->list[keys->count])) {
            return false;
        }
        keys->count++;
    }
    return true;
}

/* Makes the first key, in a file that was just made and is locked. What is not wholly written goes
 * again: it could be read by nobody. */
static int make_first(int fd, struct blob_keys *keys)
{
    struct key *key = &keys->list[0];
    char id[2 * BLOB_KEY_ID_BYTES + 1];
    char text[sodium_base64_ENCODED_LEN(SEAL_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    char line[LINE_SIZE];
    randombytes_buf(key, sizeof *key);
    (void)sodium_bin2hex(id, sizeof id, key->id, sizeof key->id);
    (void)sodium_bin2base64(text, sizeof text, key->key, sizeof key->key,
                            sodium_base64_VARIANT_ORIGINAL);
    int length = snprintf(line, sizeof line, "%s %s\n", id, text);
    ssize_t written = pwrite(fd, line, (size_t)length, 0);
    int error = written == length ? 0 : written < 0 ? error_from_errno(errno) : ERR_DISK_FULL;
    if (error != 0) {
        (void)ftruncate(fd, 0);
    }
    sodium_memzero(text, sizeof text);
    sodium_memzero(line, sizeof line);
    keys->count = error == 0 ? 1 : 0;
    return error;
}

/* Reads the open file; an empty one gets its first key. */
static int read_file(int fd, const char *path, struct blob_keys *keys, struct problem *problem)
{
    char *text = calloc(1, FILE_BYTES_MAX + 1);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    ssize_t got = pread(fd, text, FILE_BYTES_MAX, 0);
    bool good =
        got >= 0 && got < FILE_BYTES_MAX && strlen(text) == (size_t)got && parse(text, keys);
    sodium_memzero(text, FILE_BYTES_MAX);
    free(text);
    if (!good) {
        return fail(problem, path, ERR_INVALID,
                    got < 0 ? strerror(errno) : "a line must be ID KEY, in hexadecimal and base64");
    }
    int error = keys->count == 0 ? make_first(fd, keys) : 0;
    return error != 0 ? fail(problem, path, error, error_title(error)) : 0;
}

/* The lock keeps two processes from making two first keys. */
static int open_keys(const char *path, bool make, struct blob_keys *keys, struct problem *problem)
{
    if (make && folder_make(path) != 0) {
        return fail(problem, path, error_from_errno(errno), strerror(errno));
    }
    int folder CLEANUP_CLOSE = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd CLEANUP_CLOSE =
        folder >= 0 ? openat(folder, "blob-keys",
                             (make ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW, 0600)
                    : -1;
    if (fd < 0) {
        return errno == ENOENT && !make
                   ? 0
                   : fail(problem, path, error_from_errno(errno), strerror(errno));
    }
    if (flock(fd, make ? LOCK_EX : LOCK_SH) != 0) {
        return fail(problem, path, error_from_errno(errno), strerror(errno));
    }
    struct stat status;
    bool empty = fstat(fd, &status) == 0 && status.st_size == 0;
    int error = empty && !make ? 0 : read_file(fd, path, keys, problem);
    /* Nothing is sealed with a key that may not be there tomorrow, also one that a process made
     * which did not get as far as this. */
    if (error == 0 && make && (fsync(fd) != 0 || fsync(folder) != 0)) {
        error = fail(problem, path, error_from_errno(errno), strerror(errno));
    }
    return error;
}

int blob_keys_open(const char *folder, bool make, struct blob_keys **ret_keys,
                   struct problem *problem)
{
    struct blob_keys *keys = calloc(1, sizeof *keys);
    int error = keys != NULL ? open_keys(folder, make, keys, problem) : ERR_NO_MEMORY;
    if (error != 0) {
        blob_keys_close(keys);
        return error;
    }
    *ret_keys = keys;
    return 0;
}

void blob_keys_close(struct blob_keys *keys)
{
    if (keys != NULL) {
        sodium_memzero(keys, sizeof *keys);
        free(keys);
    }
}

bool blob_keys_are_there(const struct blob_keys *keys)
{
    return keys != NULL && keys->count > 0;
}

bool blob_keys_find(const struct blob_keys *keys, const unsigned char id[BLOB_KEY_ID_BYTES],
                    unsigned char out[SEAL_KEY_BYTES])
{
    for (unsigned i = 0; keys != NULL && i < keys->count; i++) {
        if (memcmp(keys->list[i].id, id, BLOB_KEY_ID_BYTES) == 0) {
            memcpy(out, keys->list[i].key, SEAL_KEY_BYTES);
            return true;
        }
    }
    return false;
}

bool blob_keys_newest(const struct blob_keys *keys, unsigned char ret_id[BLOB_KEY_ID_BYTES],
                      unsigned char out[SEAL_KEY_BYTES])
{
    if (!blob_keys_are_there(keys)) {
        return false;
    }
    const struct key *key = &keys->list[keys->count - 1];
    memcpy(ret_id, key->id, BLOB_KEY_ID_BYTES);
    memcpy(out, key->key, SEAL_KEY_BYTES);
    return true;
}
