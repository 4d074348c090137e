/* The keys of the built-in store (s3_keys.h, and the two functions of objectstore.h about keys). */
#include "service/objectstore/s3_keys.h"

#include "backend/folder.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char internal_file[] = "s3-internal";
static const char outside_file[] = "s3-keys";

enum { KEYS_MAX = 1024, LINE_SIZE = 160, PATH_SIZE = 4096 };

struct line {
    char name[OBJECTSTORE_NAME_MAX + 1];
    struct objectstore_key key;
};

struct s3_keys {
    struct objectstore_key internal;
    char path[PATH_SIZE]; /* of the outside keys */
    pthread_mutex_t lock; /* over what follows */
    struct timespec read_at;
    off_t read_bytes;
    struct line *lines;
    unsigned count;
};

static bool path_of(const char *folder, const char *name, char out[PATH_SIZE])
{
    int length = snprintf(out, PATH_SIZE, "%s/%s", folder, name);
    return length > 0 && length < PATH_SIZE;
}

static int fail(struct problem *problem, const char *path)
{
    int cause = errno;
    return problem_set(problem, error_from_errno(cause), "the key file \"%s\" can't be used: %s",
                       path, strerror(cause));
}

/* Ids are 20 capital letters and digits, secrets 40 characters, as S3's are: tools check that. */
static void make_key(struct objectstore_key *key)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char random[30];
    randombytes_buf(random, sizeof random);
    for (unsigned i = 0; i < 20; i++) {
        key->id[i] = alphabet[random[i] % 32];
    }
    key->id[20] = '\0';
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2base64(key->secret, sizeof key->secret, random, sizeof random,
                            sodium_base64_VARIANT_ORIGINAL);
}

static bool parse_line(const char *text, struct line *line)
{
    return sscanf(text, "%63s %31s %47s", line->name, line->key.id, line->key.secret) == 3;
}

/* Reads all lines of an open file. The number, or an error; *ret_lines is the caller's. */
static int read_lines(int fd, struct line **ret_lines)
{
    FILE *file = fdopen(fd, "r");
    struct line *lines = calloc(KEYS_MAX, sizeof *lines);
    if (file == NULL || lines == NULL) {
        free(lines);
        if (file != NULL) {
            (void)fclose(file);
        } else {
            (void)close(fd);
        }
        return ERR_NO_MEMORY;
    }
    int count = 0;
    char text[LINE_SIZE];
    while (count < KEYS_MAX && fgets(text, sizeof text, file) != NULL) {
        count += parse_line(text, &lines[count]) ? 1 : 0;
    }
    sodium_memzero(text, sizeof text);
    (void)fclose(file);
    *ret_lines = lines;
    return count;
}

static int append_line(int fd, const char *name, const struct objectstore_key *key)
{
    char text[LINE_SIZE];
    int length = snprintf(text, sizeof text, "%s %s %s\n", name, key->id, key->secret);
    bool written = write(fd, text, (size_t)length) == length && fsync(fd) == 0;
    sodium_memzero(text, sizeof text);
    return written ? 0 : ERR_IO;
}

/* Opens (and makes) a key file and takes its lock, so that two processes don't make two keys. */
static int open_locked(const char *keys_path, const char *path)
{
    if (folder_make(keys_path) != 0) {
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int add_line(int fd, const char *name, struct objectstore_key *ret_key,
                    struct problem *problem, const char *path)
{
    struct objectstore_key key;
    make_key(&key);
    if (append_line(fd, name, &key) != 0 || folder_sync_of(path) != 0) {
        return fail(problem, path);
    }
    *ret_key = key;
    return 0;
}

/* The line of that name, NULL for none. */
static const struct line *find_name(const struct line *lines, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(lines[i].name, name) == 0) {
            return &lines[i];
        }
    }
    return NULL;
}

int objectstore_internal_key(const char *keys_path, struct objectstore_key *ret_key,
                             struct problem *problem)
{
    char path[PATH_SIZE];
    if (!path_of(keys_path, internal_file, path)) {
        return problem_set(problem, ERR_INVALID, "the path of the keys is too long");
    }
    int fd CLEANUP_CLOSE = open_locked(keys_path, path);
    if (fd < 0) {
        return fail(problem, path);
    }
    struct line *lines CLEANUP_FREE = NULL;
    int count = read_lines(dup(fd), &lines);
    const struct line *line = count > 0 ? find_name(lines, count, "internal") : NULL;
    if (line != NULL) {
        *ret_key = line->key;
        return 0;
    }
    return count < 0 ? count : add_line(fd, "internal", ret_key, problem, path);
}

static bool name_is_fine(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= OBJECTSTORE_NAME_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               length;
}

int objectstore_key_add(const char *keys_path, const char *name, struct objectstore_key *ret_key,
                        struct problem *problem)
{
    char path[PATH_SIZE];
    if (!name_is_fine(name) || !path_of(keys_path, outside_file, path)) {
        return problem_set(problem, ERR_INVALID,
                           "a key's name has 1 to %d letters, digits, dots, dashes or underscores",
                           OBJECTSTORE_NAME_MAX);
    }
    int fd CLEANUP_CLOSE = open_locked(keys_path, path);
    if (fd < 0) {
        return fail(problem, path);
    }
    struct line *lines CLEANUP_FREE = NULL;
    int count = read_lines(dup(fd), &lines);
    if (count < 0 || count == KEYS_MAX) {
        return count < 0 ? count
                         : problem_set(problem, ERR_QUOTA, "there are %d keys already", KEYS_MAX);
    }
    if (find_name(lines, count, name) != NULL) {
        return problem_set(problem, ERR_EXISTS, "there is a key named %s already", name);
    }
    return add_line(fd, name, ret_key, problem, path);
}

int s3_keys_open(const char *keys_path, struct s3_keys **ret_keys, struct problem *problem)
{
    struct s3_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_init(&keys->lock, NULL);
    int error = objectstore_internal_key(keys_path, &keys->internal, problem);
    if (error != 0 || !path_of(keys_path, outside_file, keys->path)) {
        s3_keys_close(keys);
        return error != 0 ? error : ERR_INVALID;
    }
    *ret_keys = keys;
    return 0;
}

void s3_keys_close(struct s3_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    if (keys->lines != NULL) {
        sodium_memzero(keys->lines, KEYS_MAX * sizeof *keys->lines);
    }
    free(keys->lines);
    pthread_mutex_destroy(&keys->lock);
    sodium_memzero(keys, sizeof *keys);
    free(keys);
}

/* Reads the outside keys again if their file is another than last time. Under the lock. */
static void refresh(struct s3_keys *keys)
{
    struct stat status;
    if (stat(keys->path, &status) != 0) {
        keys->count = 0;
        keys->read_bytes = -1; /* the same one may come back: it is read then */
        return;
    }
    bool same = status.st_size == keys->read_bytes &&
                status.st_mtim.tv_sec == keys->read_at.tv_sec &&
                status.st_mtim.tv_nsec == keys->read_at.tv_nsec;
    int fd = same ? -1 : open(keys->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct line *lines = NULL;
    int count = fd >= 0 ? read_lines(fd, &lines) : -1;
    if (count >= 0) {
        free(keys->lines);
        keys->lines = lines;
        keys->count = (unsigned)count;
        keys->read_at = status.st_mtim;
        keys->read_bytes = status.st_size;
    }
}

bool s3_keys_find(struct s3_keys *keys, const char *key_id, char out[SIGV4_SECRET_SIZE],
                  bool *ret_internal)
{
    if (strcmp(key_id, keys->internal.id) == 0) {
        (void)snprintf(out, SIGV4_SECRET_SIZE, "%s", keys->internal.secret);
        *ret_internal = true;
        return true;
    }
    bool found = false;
    pthread_mutex_lock(&keys->lock);
    refresh(keys);
    for (unsigned i = 0; i < keys->count && !found; i++) {
        if (strcmp(keys->lines[i].key.id, key_id) == 0) {
            (void)snprintf(out, SIGV4_SECRET_SIZE, "%s", keys->lines[i].key.secret);
            *ret_internal = false;
            found = true;
        }
    }
    pthread_mutex_unlock(&keys->lock);
    return found;
}
