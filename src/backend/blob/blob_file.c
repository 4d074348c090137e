/* The file engine of blob.h: a folder on disk. How it is laid out and which invariants hold stands
 * in blob_file.h. This file opens the store, writes, reads, copies and deletes objects. Any thread;
 * the only lock is held while folders are made.
 */
#include "backend/blob/blob_file.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PUBLISH_TRIES_MAX = 100,
    WRITE_BACK_BYTES = 16 * 1024 * 1024, /* started early, so that the fsync at the end is short */
    READ_BYTES = 256 * 1024,
};

/* Folders. */

int blob_file_open_beneath(int base, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do {
        fd = syscall(SYS_openat2, base, path, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd >= 0) {
        return (int)fd;
    }
    return errno == ENOTDIR ? ERR_NOT_FOUND : error_from_errno(errno);
}

int blob_file_open_bucket(struct file_store *store, const char *bucket)
{
    return blob_file_open_beneath(store->objects, bucket, O_RDONLY | O_DIRECTORY);
}

/* Makes the folder if it is not there, durably (invariant 3), and opens it. */
static int make_folder(int parent, const char *name)
{
    if (mkdirat(parent, name, 0700) == 0) {
        if (fsync(parent) != 0) {
            return error_from_errno(errno);
        }
    } else if (errno != EEXIST) {
        return error_from_errno(errno);
    }
    return blob_file_open_beneath(parent, name, O_RDONLY | O_DIRECTORY);
}

static int make_folders(int base, const char *path, const char *end)
{
    int at = fcntl(base, F_DUPFD_CLOEXEC, 3);
    while (at >= 0 && path < end) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        size_t length = (size_t)((slash != NULL ? slash : end) - path);
        char name[NAME_MAX + 1];
        assert(length < sizeof name);
        memcpy(name, path, length);
        name[length] = '\0';
        int next = make_folder(at, name);
        (void)close(at);
        at = next;
        path += length + 1;
    }
    return at;
}

int blob_file_open_parent(struct file_store *store, int base, const char *path, bool make,
                          const char **ret_leaf)
{
    const char *slash = strrchr(path, '/');
    *ret_leaf = slash != NULL ? slash + 1 : path;
    if (slash == NULL) {
        int fd = fcntl(base, F_DUPFD_CLOEXEC, 3);
        return fd >= 0 ? fd : error_from_errno(errno);
    }
    char folder[BLOB_PATH_MAX];
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    /* Under the lock also when nothing is missing: another thread may just have made the folder and
     * not have synced it yet. */
    pthread_mutex_lock(&store->make_lock);
    int fd = blob_file_open_beneath(base, folder, O_RDONLY | O_DIRECTORY);
    if (fd == ERR_NOT_FOUND && make) {
        fd = make_folders(base, path, slash);
    }
    pthread_mutex_unlock(&store->make_lock);
    return fd;
}

/* Opening the store. */

static void sweep_temporary(struct file_store *store)
{
    int fd = blob_file_open_beneath(store->temporary, ".", O_RDONLY | O_DIRECTORY);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        int file CLEANUP_CLOSE = blob_file_open_beneath(store->temporary, entry->d_name, O_RDONLY);
        if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) {
            (void)unlinkat(store->temporary, entry->d_name, 0);
        }
    }
    (void)closedir(folder);
}

static int open_root(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return error_from_errno(errno);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : error_from_errno(errno);
}

static int open_folders(struct file_store *store, const char *path)
{
    static const char *const buckets[] = {BLOB_MEDIA, BLOB_UPLOADS};
    store->root = open_root(path);
    if (store->root < 0) {
        return store->root;
    }
    int *const folders[] = {&store->objects, &store->multipart, &store->temporary};
    static const char *const names[] = {"objects", "multipart", "temporary"};
    for (unsigned i = 0; i < COUNT_OF(folders); i++) {
        *folders[i] = make_folder(store->root, names[i]);
        if (*folders[i] < 0) {
            return *folders[i];
        }
    }
    for (unsigned i = 0; i < COUNT_OF(buckets); i++) {
        int bucket CLEANUP_CLOSE = make_folder(store->objects, buckets[i]);
        if (bucket < 0) {
            return bucket;
        }
    }
    return 0;
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
    free(store);
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
    int error = open_folders(store, path);
    if (error != 0) {
        int cause = errno;
        file_close(&store->head);
        return problem_set(problem, error, "the object store's folder \"%s\" can't be used: %s",
                           path, strerror(cause));
    }
    sweep_temporary(store);
    *ret_store = &store->head;
    return 0;
}

static int file_ping(struct blob_store *head)
{
    struct stat status;
    return fstatat(file_store_of(head)->root, "temporary", &status, AT_SYMLINK_NOFOLLOW) == 0
               ? 0
               : error_from_errno(errno);
}

/* Buckets. */

static int file_bucket_create(struct blob_store *head, const char *bucket)
{
    struct file_store *store = file_store_of(head);
    if (mkdirat(store->objects, bucket, 0700) != 0) {
        return error_from_errno(errno);
    }
    return fsync(store->objects) == 0 ? 0 : error_from_errno(errno);
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

/* Writing. */

/* A new locked file in temporary/. A sweep by another process can hit between open and lock: then
 * the file has no name any more, and a new one is made. */
static int temporary_new(struct file_store *store, char ret_name[BLOB_TEMPORARY_MAX])
{
    for (unsigned tries = 0; tries < PUBLISH_TRIES_MAX; tries++) {
        unsigned char random[16];
        randombytes_buf(random, sizeof random);
        (void)sodium_bin2hex(ret_name, BLOB_TEMPORARY_MAX, random, sizeof random);
        int fd CLEANUP_CLOSE = openat(store->temporary, ret_name,
                                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0) {
            return error_from_errno(errno);
        }
        struct stat status;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &status) == 0 && status.st_nlink > 0) {
            return TAKE_FD(fd);
        }
        (void)unlinkat(store->temporary, ret_name, 0);
    }
    return ERR_IO;
}

static void copy_text(char *out, size_t size, const char *text, const char *fallback)
{
    (void)snprintf(out, size, "%s", text != NULL && text[0] != '\0' ? text : fallback);
}

static void writer_free(struct file_writer *writer)
{
    if (writer->fd >= 0) {
        (void)close(writer->fd);
    }
    if (writer->base >= 0) {
        (void)close(writer->base);
    }
    free(writer);
}

int blob_file_writer_new(struct file_store *store, int base, const char *path, bool make_parents,
                         const struct blob_meta *meta, struct file_writer **ret_writer)
{
    struct file_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        (void)close(base);
        return ERR_NO_MEMORY;
    }
    writer->head.engine = &blob_file_engine;
    writer->store = store;
    writer->base = base;
    writer->make_parents = make_parents;
    md5_init(&writer->md5);
    copy_text(writer->stat.content_type, sizeof writer->stat.content_type,
              meta != NULL ? meta->content_type : NULL, "application/octet-stream");
    copy_text(writer->stat.cache_control, sizeof writer->stat.cache_control,
              meta != NULL ? meta->cache_control : NULL, "");
    (void)snprintf(writer->path, sizeof writer->path, "%s", path);
    writer->fd = temporary_new(store, writer->temporary);
    if (writer->fd < 0) {
        int error = writer->fd;
        writer_free(writer);
        return error;
    }
    *ret_writer = writer;
    return 0;
}

static int file_put_open(struct blob_store *head, const char *bucket, const char *key,
                         const struct blob_meta *meta, struct blob_writer **ret_writer)
{
    struct file_store *store = file_store_of(head);
    int base = blob_file_open_bucket(store, bucket);
    if (base < 0) {
        return base;
    }
    char path[BLOB_PATH_MAX];
    blob_path_from_key(key, path);
    struct file_writer *writer = NULL;
    int error = blob_file_writer_new(store, base, path, true, meta, &writer);
    if (error == 0) {
        *ret_writer = &writer->head;
    }
    return error;
}

static int write_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(fd, at, length);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return error_from_errno(errno);
        }
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

static void start_write_back(struct file_writer *writer)
{
    uint64_t waiting = writer->stat.bytes - writer->synced;
    if (waiting >= WRITE_BACK_BYTES) {
        (void)sync_file_range(writer->fd, (off_t)writer->synced, (off_t)waiting,
                              SYNC_FILE_RANGE_WRITE);
        writer->synced = writer->stat.bytes;
    }
}

static int file_put_write(struct blob_writer *head, const void *bytes, size_t length)
{
    struct file_writer *writer = (struct file_writer *)(void *)head;
    assert(!writer->by_descriptor);
    if (writer->error != 0) {
        return writer->error;
    }
    writer->error = write_all(writer->fd, bytes, length);
    if (writer->error == 0) {
        md5_update(&writer->md5, length, bytes);
        writer->stat.bytes += length;
        start_write_back(writer);
    }
    return writer->error;
}

static int file_put_fd(struct blob_writer *head, int *ret_fd)
{
    struct file_writer *writer = (struct file_writer *)(void *)head;
    writer->by_descriptor = true;
    *ret_fd = writer->fd;
    return 0;
}

/* Size and MD5 of what somebody else wrote into the descriptor. */
static int measure(struct file_writer *writer)
{
    struct stat status;
    if (fstat(writer->fd, &status) != 0) {
        return error_from_errno(errno);
    }
    char *bytes CLEANUP_FREE = malloc(READ_BYTES);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    md5_init(&writer->md5);
    writer->stat.bytes = 0;
    while (writer->stat.bytes < (uint64_t)status.st_size) {
        ssize_t got = pread(writer->fd, bytes, READ_BYTES, (off_t)writer->stat.bytes);
        if (got <= 0) {
            return got < 0 ? error_from_errno(errno) : ERR_IO;
        }
        md5_update(&writer->md5, (size_t)got, (const uint8_t *)bytes);
        writer->stat.bytes += (uint64_t)got;
    }
    return 0;
}

/* Renames the temporary file to its place. Deleting prunes empty folders, so the one just looked up
 * may be gone: then it is made again. */
static int publish(struct file_writer *writer, bool if_none_match)
{
    struct file_store *store = writer->store;
    for (unsigned tries = 0; tries < PUBLISH_TRIES_MAX; tries++) {
        const char *leaf = NULL;
        int parent CLEANUP_CLOSE =
            blob_file_open_parent(store, writer->base, writer->path, writer->make_parents, &leaf);
        if (parent == ERR_NOT_FOUND && writer->make_parents) {
            continue; /* pruned between its making and its opening */
        }
        if (parent < 0) {
            return parent;
        }
        if (renameat2(store->temporary, writer->temporary, parent, leaf,
                      if_none_match ? RENAME_NOREPLACE : 0) == 0) {
            return fsync(parent) == 0 ? 0 : error_from_errno(errno);
        }
        if (errno == EEXIST) {
            return ERR_PRECONDITION;
        }
        if (errno != ENOENT || !writer->make_parents) {
            return error_from_errno(errno);
        }
    }
    return ERR_BUSY;
}

static int seal(struct file_writer *writer, const char *etag)
{
    if (writer->error != 0) {
        return writer->error;
    }
    if (writer->by_descriptor) {
        int error = measure(writer);
        if (error != 0) {
            return error;
        }
    }
    if (etag != NULL) {
        (void)snprintf(writer->stat.etag, sizeof writer->stat.etag, "%s", etag);
    } else {
        unsigned char digest[MD5_BYTES];
        md5_digest(&writer->md5, sizeof digest, digest);
        blob_md5_hex(digest, writer->stat.etag);
    }
    int error = blob_trailer_write(writer->fd, &writer->stat);
    if (error == 0 && fsync(writer->fd) != 0) {
        error = error_from_errno(errno);
    }
    return error;
}

int blob_file_writer_commit(struct file_writer *writer, const char *etag, bool if_none_match,
                            struct blob_stat *ret_stat)
{
    struct blob_stat stat;
    int error = seal(writer, etag);
    error = error != 0 ? error : blob_trailer_read(writer->fd, &stat);
    error = error != 0 ? error : publish(writer, if_none_match);
    if (error != 0) {
        (void)unlinkat(writer->store->temporary, writer->temporary, 0);
    } else if (ret_stat != NULL) {
        *ret_stat = stat;
    }
    writer_free(writer);
    return error;
}

static int file_put_commit(struct blob_writer *head, bool if_none_match, struct blob_stat *ret_stat)
{
    return blob_file_writer_commit((struct file_writer *)(void *)head, NULL, if_none_match,
                                   ret_stat);
}

static void file_put_abort(struct blob_writer *head)
{
    struct file_writer *writer = (struct file_writer *)(void *)head;
    (void)unlinkat(writer->store->temporary, writer->temporary, 0);
    writer_free(writer);
}

/* Reading and deleting. */

static int file_open_fd(struct blob_store *head, const char *bucket, const char *key, int *ret_fd,
                        struct blob_stat *ret_stat)
{
    struct file_store *store = file_store_of(head);
    int base CLEANUP_CLOSE = blob_file_open_bucket(store, bucket);
    if (base < 0) {
        return base;
    }
    char path[BLOB_PATH_MAX];
    blob_path_from_key(key, path);
    int fd CLEANUP_CLOSE = blob_file_open_beneath(base, path, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    int error = blob_trailer_read(fd, ret_stat);
    if (error == 0) {
        *ret_fd = TAKE_FD(fd);
    }
    return error;
}

static int file_stat(struct blob_store *head, const char *bucket, const char *key,
                     struct blob_stat *ret_stat)
{
    int fd CLEANUP_CLOSE = -1;
    return file_open_fd(head, bucket, key, &fd, ret_stat);
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

static int file_remove(struct blob_store *head, const char *bucket, const char *key)
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
    if (parent < 0) {
        return parent == ERR_NOT_FOUND ? 0 : parent;
    }
    if (unlinkat(parent, leaf, 0) != 0) {
        return errno == ENOENT ? 0 : error_from_errno(errno);
    }
    if (fsync(parent) != 0) {
        return error_from_errno(errno);
    }
    prune(base, path);
    return 0;
}

/* Copying. */

int blob_file_writer_splice(struct file_writer *writer, int from, uint64_t bytes)
{
    loff_t offset = 0;
    while ((uint64_t)offset < bytes) {
        size_t rest = (size_t)(bytes - (uint64_t)offset);
        ssize_t copied = copy_file_range(from, &offset, writer->fd, NULL, rest, 0);
        if (copied > 0) {
            writer->stat.bytes += (uint64_t)copied;
            start_write_back(writer);
            continue;
        }
        if (copied == 0) {
            return ERR_IO; /* shorter than its trailer says */
        }
        if (errno != EINTR) {
            return error_from_errno(errno);
        }
    }
    return 0;
}

/* The temporary file becomes one more name of the same file (invariant 2). The lock is shared:
 * other copies of the source may run beside this one. */
static int link_source(struct file_writer *writer, int source)
{
    char from[32];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", source);
    if (flock(source, LOCK_SH | LOCK_NB) != 0 ||
        unlinkat(writer->store->temporary, writer->temporary, 0) != 0 ||
        linkat(AT_FDCWD, from, writer->store->temporary, writer->temporary, AT_SYMLINK_FOLLOW) !=
            0) {
        return error_from_errno(errno);
    }
    /* A copy is as old as the moment it is made (the source's time moves along, they are one file):
     * who collects what is old and unnamed must not take it before it is named. */
    (void)futimens(source, NULL);
    return 0;
}

static int copy_bytes(struct file_writer *writer, int source, const struct blob_stat *stat)
{
    if (ioctl(writer->fd, FICLONE, source) == 0) {
        writer->stat.bytes = stat->bytes;
        return 0;
    }
    return blob_file_writer_splice(writer, source, stat->bytes);
}

/* By link where the file system has links, else by its bytes. Frees the writer. */
static int copy_into(struct file_writer *writer, int source, struct blob_stat *stat)
{
    if (link_source(writer, source) == 0) {
        int error = publish(writer, false);
        error = error != 0 ? error : blob_trailer_read(source, stat);
        /* rename does nothing where both names are the same file already: drop ours */
        (void)unlinkat(writer->store->temporary, writer->temporary, 0);
        writer_free(writer);
        return error;
    }
    struct file_writer *fresh = NULL;
    const struct blob_meta meta = {stat->content_type, stat->cache_control};
    int base = writer->base;
    writer->base = -1;
    int error = blob_file_writer_new(writer->store, base, writer->path, true, &meta, &fresh);
    file_put_abort(&writer->head);
    if (error != 0) {
        return error;
    }
    fresh->error = copy_bytes(fresh, source, stat);
    return blob_file_writer_commit(fresh, stat->etag, false, stat);
}

static int file_copy(struct blob_store *head, const char *bucket, const char *key, const char *etag,
                     const char *to_bucket, const char *to_key, struct blob_stat *ret_stat)
{
    int source CLEANUP_CLOSE = -1;
    struct blob_stat stat;
    int error = file_open_fd(head, bucket, key, &source, &stat);
    if (error != 0) {
        return error;
    }
    if (etag != NULL && strcmp(etag, stat.etag) != 0) {
        return ERR_PRECONDITION;
    }
    struct blob_writer *writer = NULL;
    error = file_put_open(head, to_bucket, to_key, NULL, &writer);
    if (error != 0) {
        return error;
    }
    error = copy_into((struct file_writer *)(void *)writer, source, &stat);
    if (error == 0 && ret_stat != NULL) {
        *ret_stat = stat;
    }
    return error;
}

const struct blob_engine blob_file_engine = {
    .scheme = "file:",
    .open = file_open,
    .close = file_close,
    .ping = file_ping,
    .bucket_create = file_bucket_create,
    .bucket_stat = file_bucket_stat,
    .bucket_list = file_bucket_list,
    .put_open = file_put_open,
    .put_write = file_put_write,
    .put_fd = file_put_fd,
    .put_commit = file_put_commit,
    .put_abort = file_put_abort,
    .open_fd = file_open_fd,
    .stat = file_stat,
    .remove = file_remove,
    .copy = file_copy,
    .list = blob_file_list,
    .multipart_create = blob_file_multipart_create,
    .multipart_put_open = blob_file_multipart_put_open,
    .multipart_list = blob_file_multipart_list,
    .multipart_complete = blob_file_multipart_complete,
    .multipart_abort = blob_file_multipart_abort,
    .multipart_sweep = blob_file_multipart_sweep,
};
