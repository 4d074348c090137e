/* The file engine of blob.h: a folder on disk. How it is laid out and which invariants hold stands
 * in blob_file.h. This file opens the store, keeps its buckets, reads and deletes objects; the
 * others make folders (blob_file_folder.c), write (blob_file_write.c), copy, list and take uploads
 * in parts. Any thread; the only lock is held while folders are made.
 */
#include "backend/blob/blob_file.h"

#include "backend/folder.h"
#include "backend/rights.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opening the store. */

/* Removes what no writer holds. Such a file was left by a kill, perhaps between the making of its
 * object's folders and their sync, and who finds a folder takes it for lasting (invariant 3): so
 * all that was written is brought to the disk before the trace goes. */
static int remove_left_over(struct file_store *store, DIR *folder)
{
    bool synced = false;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        int file CLEANUP_CLOSE = blob_file_open_beneath(store->temporary, entry->d_name, O_RDONLY);
        if (file < 0 || flock(file, LOCK_EX | LOCK_NB) != 0) {
            continue;
        }
        if (!synced && syncfs(store->root) != 0) {
            return error_from_errno(errno);
        }
        synced = true;
        (void)unlinkat(store->temporary, entry->d_name, 0);
    }
    return 0;
}

int blob_file_sweep_temporary(struct file_store *store)
{
    int fd = blob_file_open_beneath(store->temporary, ".", O_RDONLY | O_DIRECTORY);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return fd < 0 ? fd : ERR_NO_MEMORY;
    }
    int error = remove_left_over(store, folder);
    (void)closedir(folder);
    return error;
}

/* The folder may be root's, or behind others of root's. */
static int open_root(const char *path)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    rights_begin(AT_FDCWD, path);
    int error = folder_make(path);
    rights_end();
    if (error != 0 && errno != EACCES) {
        return error;
    }
    int fd = rights_open(AT_FDCWD, path, flags);
    return fd >= 0 ? fd : error_from_errno(errno);
}

static int open_folders(struct file_store *store)
{
    static const char *const buckets[] = {BLOB_MEDIA, BLOB_UPLOADS};
    int *const folders[] = {&store->objects, &store->multipart, &store->temporary};
    static const char *const names[] = {"objects", "multipart", "temporary"};
    for (unsigned i = 0; i < COUNT_OF(folders); i++) {
        *folders[i] = blob_file_make_folder(store->root, names[i]);
        if (*folders[i] < 0) {
            return *folders[i];
        }
    }
    for (unsigned i = 0; i < COUNT_OF(buckets); i++) {
        int bucket CLEANUP_CLOSE = blob_file_make_folder(store->objects, buckets[i]);
        if (bucket < 0) {
            return bucket;
        }
    }
    /* Also of what was there: its maker may have been killed before this. */
    return fsync(store->root) == 0 && fsync(store->objects) == 0 ? 0 : error_from_errno(errno);
}

static void file_close(struct blob_store *head)
{
    struct file_store *store = file_store_of(head);
    int folders[] = {store->root, store->objects, store->multipart, store->temporary};
    for (unsigned i = 0; i < COUNT_OF(folders); i++) {
        if (folders[i] >= 0) {
            (void)close(folders[i]);
        }
    }
    pthread_mutex_destroy(&store->make_lock);
    blob_keys_close(store->keys);
    free(store);
}

/* A file beside the objects says that a key seals them: where the key is gone then, none is made in
 * its place, with which the server would seem well. */
static const char sealed_name[] = "sealed";

static int mark_sealed(struct file_store *store)
{
    int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    int fd CLEANUP_CLOSE = openat(store->root, sealed_name, flags, 0600);
    return fd >= 0 && fsync(store->root) == 0 ? 0 : error_from_errno(errno);
}

static int open_keys(struct file_store *store, const struct blob_config *config, const char *path,
                     struct problem *problem)
{
    struct stat status;
    rights_begin_beneath();
    bool sealed = fstatat(store->root, sealed_name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    rights_end();
    int error = blob_keys_open(config->keys_path, config->seal && !sealed, &store->keys, problem);
    if (error != 0 || !config->seal) {
        return error;
    }
    if (!blob_keys_are_there(store->keys)) {
        return problem_set(problem, ERR_INVALID,
                           "\"%s/blob-keys\" is gone, and objects in \"%s\" are sealed with it: "
                           "put it back from a backup; if it is lost for good, remove \"%s/%s\", "
                           "and they go unread",
                           config->keys_path, path, path, sealed_name);
    }
    rights_begin_beneath();
    error = sealed ? 0 : mark_sealed(store);
    rights_end();
    return error == 0 ? 0
                      : problem_set(problem, error, "\"%s/%s\" can't be made: %s", path,
                                    sealed_name, error_title(error));
}

/* Why the folder can't be opened; a system call that is missing tells too little by its name. */
static const char *cause_words(int cause)
{
    return cause == ENOSYS ? "openat2(2) is refused here, by a Linux before 5.6 or by a filter of "
                             "system calls such as systemd's RestrictSUIDSGID="
                           : strerror(cause);
}

static int file_open(const struct blob_config *config, struct blob_store **ret_store,
                     struct problem *problem)
{
    const char *path = config->url + strlen(blob_file_engine.scheme);
    struct file_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return ERR_NO_MEMORY;
    }
    store->head.engine = &blob_file_engine;
    store->root = store->objects = store->multipart = store->temporary = -1;
    (void)pthread_mutex_init(&store->make_lock, NULL);
    store->root = open_root(path);
    rights_begin_beneath();
    int error = store->root >= 0 ? open_folders(store) : store->root;
    rights_end();
    if (error != 0) {
        int cause = errno;
        file_close(&store->head);
        return problem_set(problem, error, "the object store's folder \"%s\" can't be used: %s",
                           path, cause_words(cause));
    }
    error = config->keys_path != NULL ? open_keys(store, config, path, problem) : 0;
    if (error != 0) {
        file_close(&store->head);
        return error;
    }
    store->seal = config->seal && store->keys != NULL;
    rights_begin_beneath();
    error = blob_file_sweep_temporary(store);
    rights_end();
    if (error != 0) {
        file_close(&store->head);
        return problem_set(problem, error, "what a kill left in \"%s\" can't be removed", path);
    }
    *ret_store = &store->head;
    return 0;
}

static int file_ping(struct blob_store *head, struct problem *problem)
{
    struct stat status;
    rights_begin_beneath();
    int result = fstatat(file_store_of(head)->root, "temporary", &status, AT_SYMLINK_NOFOLLOW);
    rights_end();
    return result == 0
               ? 0
               : problem_set(problem, error_from_errno(errno),
                             "the object store's folder can't be used: %s", strerror(errno));
}

/* Buckets. */

static int file_bucket_create(struct blob_store *head, const char *bucket)
{
    return blob_file_make_synced(file_store_of(head)->objects, bucket);
}

static int file_bucket_stat(struct blob_store *head, const char *bucket, int64_t *ret_created_ms)
{
    struct stat status;
    if (fstatat(file_store_of(head)->objects, bucket, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return error_from_errno(errno);
    }
    if (!S_ISDIR(status.st_mode)) {
        return ERR_NOT_FOUND;
    }
    *ret_created_ms = (int64_t)status.st_mtim.tv_sec * 1000;
    return 0;
}

static int found_one(void *argument, const char *key, const struct blob_stat *stat)
{
    (void)argument;
    (void)key;
    (void)stat;
    return 1;
}

/* Removes the folders below; what a killed writer or a deletion left empty. A file stops it. */
static void remove_empty(int folder)
{
    int copy = blob_file_open_beneath(folder, ".", O_RDONLY | O_DIRECTORY);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        int inner CLEANUP_CLOSE =
            entry->d_name[0] == '.' && blob_path_kind(entry->d_name) < 0
                ? -1
                : blob_file_open_beneath(folder, entry->d_name, O_RDONLY | O_DIRECTORY);
        if (inner >= 0) {
            remove_empty(inner);
            (void)unlinkat(folder, entry->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(stream);
}

/* Of a bucket without objects. */
static int remove_folder(struct file_store *store, const char *bucket, int folder)
{
    remove_empty(folder);
    if (unlinkat(store->objects, bucket, AT_REMOVEDIR) != 0) {
        return errno == ENOTEMPTY || errno == EEXIST ? ERR_CONFLICT : error_from_errno(errno);
    }
    return fsync(store->objects) == 0 ? 0 : error_from_errno(errno);
}

static int file_bucket_remove(struct blob_store *head, const char *bucket)
{
    struct file_store *store = file_store_of(head);
    int folder CLEANUP_CLOSE = blob_file_open_bucket(store, bucket);
    if (folder < 0) {
        return folder;
    }
    int result = blob_file_list(head, bucket, "", "", 1, found_one, NULL);
    if (result != 0) {
        return result > 0 ? ERR_CONFLICT : result;
    }
    struct buffer uploads;
    result = blob_file_multipart_collect(head, bucket, &uploads);
    result = result != 0 ? result : remove_folder(store, bucket, folder);
    if (result == 0) {
        blob_file_multipart_remove(store, &uploads);
    }
    buffer_done(&uploads);
    return result;
}

static int file_bucket_list(struct blob_store *head,
                            int (*visit)(void *argument, const char *bucket, int64_t created_ms),
                            void *argument)
{
    struct file_store *store = file_store_of(head);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", store->objects);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        return error_from_errno(errno);
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        int64_t created_ms = 0;
        if (result == 0 && entries[i]->d_name[0] != '.' &&
            file_bucket_stat(head, entries[i]->d_name, &created_ms) == 0) {
            result = visit(argument, entries[i]->d_name, created_ms);
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* Reading and deleting. */

/* Opens the object's file; its descriptor or an error. */
static int open_file(struct file_store *store, const char *bucket, const char *path,
                     struct blob_stat *ret_stat)
{
    int base CLEANUP_CLOSE = blob_file_open_bucket(store, bucket);
    if (base < 0) {
        return base;
    }
    int fd CLEANUP_CLOSE = blob_file_open_beneath(base, path, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    int error = blob_trailer_read(fd, ret_stat);
    return error != 0 ? error : TAKE_FD(fd);
}

int blob_file_source(struct file_store *store, int fd, const char *prefix, const char *path,
                     const struct blob_stat *stat, struct blob_source *ret_source,
                     unsigned char *secret)
{
    struct blob_source source = {.fd = fd, .sealed = stat->sealed, .bytes = stat->bytes};
    if (stat->sealed) {
        char place[BLOB_PLACE_SIZE];
        (void)snprintf(place, sizeof place, "%s%s", prefix, path);
        struct blob_seal seal = {.keys = store->keys, .place = place};
        int error = blob_trailer_open(fd, &seal);
        if (error != 0) {
            (void)close(fd);
            return error;
        }
        blob_seal_chunk_key(seal.secret, source.key);
        if (secret != NULL) {
            memcpy(secret, seal.secret, sizeof seal.secret);
        }
        sodium_memzero(&seal, sizeof seal);
    }
    *ret_source = source;
    return 0;
}

int blob_file_open_object(struct blob_store *head, const char *bucket, const char *key,
                          struct blob_source *ret_source, struct blob_stat *ret_stat)
{
    return blob_file_open_secret(file_store_of(head), bucket, key, ret_source, ret_stat, NULL);
}

int blob_file_open_secret(struct file_store *store, const char *bucket, const char *key,
                          struct blob_source *ret_source, struct blob_stat *ret_stat,
                          unsigned char *secret)
{
    char path[BLOB_PATH_MAX];
    char prefix[BLOB_BUCKET_MAX + 4];
    blob_path_from_key(key, path);
    int fd = open_file(store, bucket, path, ret_stat);
    if (fd < 0) {
        return fd;
    }
    (void)snprintf(prefix, sizeof prefix, BLOB_PREFIX_OBJECT "%s/", bucket);
    return blob_file_source(store, fd, prefix, path, ret_stat, ret_source, secret);
}

static int file_stat(struct blob_store *head, const char *bucket, const char *key,
                     struct blob_stat *ret_stat)
{
    char path[BLOB_PATH_MAX];
    blob_path_from_key(key, path);
    int fd CLEANUP_CLOSE = open_file(file_store_of(head), bucket, path, ret_stat);
    return fd < 0 ? fd : 0;
}

/* Removes the folders of path that have become empty, from the innermost. */
static void prune(int base, char *path)
{
    for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
        *slash = '\0';
        if (unlinkat(base, path, AT_REMOVEDIR) != 0) {
            return;
        }
    }
}

/* Takes the name out of its folder, by invariant 5; the lock is gone with the descriptor. */
static int unlink_leaf(int parent, const char *leaf, const char *if_match)
{
    if (flock(parent, if_match != NULL ? LOCK_EX : LOCK_SH) != 0) {
        return error_from_errno(errno);
    }
    int error = if_match != NULL ? blob_file_check_match(parent, leaf, if_match) : 0;
    if (error == 0 && unlinkat(parent, leaf, 0) != 0) {
        error = error_from_errno(errno);
    }
    return error == 0 && fsync(parent) != 0 ? error_from_errno(errno) : error;
}

static int file_remove(struct blob_store *head, const char *bucket, const char *key,
                       const char *if_match)
{
    struct file_store *store = file_store_of(head);
    int base CLEANUP_CLOSE = blob_file_open_bucket(store, bucket);
    if (base < 0) {
        return base;
    }
    char path[BLOB_PATH_MAX];
    blob_path_from_key(key, path);
    const char *leaf = NULL;
    int parent CLEANUP_CLOSE = blob_file_open_parent(store, base, path, false, &leaf);
    int error = parent < 0 ? parent : unlink_leaf(parent, leaf, if_match);
    if (error == 0) {
        prune(base, path);
    }
    return error == ERR_NOT_FOUND && if_match == NULL ? 0 : error;
}

static int file_read_headers(const struct blob_source *source, const struct blob_stat *stat,
                             char out[BLOB_HEADERS_MAX + 1])
{
    return blob_trailer_headers(source->fd, stat, out);
}

/* 32 lower-case hexadecimal digits. */
static bool file_upload_id_valid(const char *upload_id)
{
    return strlen(upload_id) == 32 && strspn(upload_id, "0123456789abcdef") == 32;
}

const struct blob_engine blob_file_engine = {
    .scheme = "file:",
    .open = file_open,
    .close = file_close,
    .ping = file_ping,
    .bucket_create = file_bucket_create,
    .bucket_stat = file_bucket_stat,
    .bucket_remove = file_bucket_remove,
    .bucket_list = file_bucket_list,
    .put_open = blob_file_put_open,
    .put_write = blob_file_put_write,
    .put_target = blob_file_put_target,
    .put_sum = blob_file_put_sum,
    .put_commit = blob_file_put_commit,
    .put_abort = blob_file_put_abort,
    .open_object = blob_file_open_object,
    .read_headers = file_read_headers,
    .stat = file_stat,
    .remove = file_remove,
    .copy = blob_file_copy,
    .list = blob_file_list,
    .mirror = blob_file_mirror,
    .upload_id_valid = file_upload_id_valid,
    .multipart_create = blob_file_multipart_create,
    .multipart_put_open = blob_file_multipart_put_open,
    .multipart_list = blob_file_multipart_list,
    .multipart_complete = blob_file_multipart_complete,
    .multipart_abort = blob_file_multipart_abort,
    .multipart_uploads = blob_file_multipart_uploads,
    .multipart_sweep = blob_file_multipart_sweep,
};
