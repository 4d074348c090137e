/* Writing of the file engine: a temporary file, locked by its writer, takes the bytes; commit seals
 * it with its trailer, syncs it, renames it to its place and syncs the folder. A writer is used by
 * one thread at a time; any number of writers may go for one key, the last rename wins.
 */
#include "backend/blob/blob_file.h"

#include "base/error.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PUBLISH_TRIES_MAX = 100,
    WRITE_BACK_BYTES = 16 * 1024 * 1024, /* started early, so that the fsync at the end is short */
    READ_BYTES = 256 * 1024,
};

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

void blob_file_writer_free(struct file_writer *writer)
{
    if (writer->fd >= 0) {
        (void)close(writer->fd);
    }
    if (writer->base >= 0) {
        (void)close(writer->base);
    }
    free(writer->headers);
    if (writer->seal != NULL) {
        sodium_memzero(writer->seal, sizeof *writer->seal);
        free(writer->seal);
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
    bool has_headers = meta != NULL && meta->headers != NULL && meta->headers[0] != '\0';
    if (writer->fd >= 0 && has_headers && (writer->headers = strdup(meta->headers)) == NULL) {
        blob_file_put_abort(&writer->head);
        return ERR_NO_MEMORY;
    }
    if (writer->fd < 0) {
        int error = writer->fd;
        blob_file_writer_free(writer);
        return error;
    }
    *ret_writer = writer;
    return 0;
}

int blob_file_put_open(struct blob_store *head, const char *bucket, const char *key,
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
    if (error != 0) {
        return error;
    }
    if (store->seal) {
        char prefix[BLOB_BUCKET_MAX + 4];
        (void)snprintf(prefix, sizeof prefix, BLOB_PREFIX_OBJECT "%s/", bucket);
        error = blob_file_writer_seal(writer, prefix, path, NULL);
    }
    if (error != 0) {
        blob_file_put_abort(&writer->head);
        return error;
    }
    *ret_writer = &writer->head;
    return 0;
}

int blob_file_writer_seal(struct file_writer *writer, const char *prefix, const char *path,
                          const unsigned char *secret)
{
    struct file_seal *seal = writer->seal != NULL ? writer->seal : malloc(sizeof *seal);
    if (seal == NULL) {
        return ERR_NO_MEMORY;
    }
    seal->index = 0;
    seal->used = 0;
    (void)snprintf(seal->place, sizeof seal->place, "%s%s", prefix, path);
    if (secret != NULL) {
        memcpy(seal->secret, secret, sizeof seal->secret);
    } else {
        randombytes_buf(seal->secret, sizeof seal->secret);
    }
    blob_seal_chunk_key(seal->secret, seal->key);
    writer->seal = seal;
    writer->stat.sealed = true;
    return 0;
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

static int write_chunk(struct file_writer *writer, bool last)
{
    struct file_seal *seal = writer->seal;
    seal_chunk(seal->key, seal->index++, last, seal->plain, seal->used, seal->sealed);
    int error = write_all(writer->fd, seal->sealed, seal->used + SEAL_OVERHEAD_BYTES);
    seal->used = 0;
    return error;
}

static int write_sealed(struct file_writer *writer, const char *bytes, size_t length)
{
    struct file_seal *seal = writer->seal;
    int error = 0;
    while (error == 0 && length > 0) {
        if (seal->used == SEAL_PLAIN_BYTES) {
            error = write_chunk(writer, false);
        }
        size_t room = SEAL_PLAIN_BYTES - seal->used;
        size_t some = length < room ? length : room;
        memcpy(seal->plain + seal->used, bytes, some);
        seal->used += some;
        bytes += some;
        length -= some;
    }
    return error;
}

int blob_file_put_write(struct blob_writer *head, const void *bytes, size_t length)
{
    struct file_writer *writer = (struct file_writer *)(void *)head;
    assert(!writer->by_descriptor);
    if (writer->error != 0) {
        return writer->error;
    }
    writer->error = writer->seal != NULL ? write_sealed(writer, bytes, length)
                                         : write_all(writer->fd, bytes, length);
    if (writer->error == 0) {
        md5_update(&writer->md5, length, bytes);
        writer->stat.bytes += length;
        start_write_back(writer);
    }
    return writer->error;
}

int blob_file_put_target(struct blob_writer *head, struct blob_source *ret_target)
{
    struct file_writer *writer = (struct file_writer *)(void *)head;
    writer->by_descriptor = true;
    *ret_target = (struct blob_source){.fd = writer->fd, .sealed = writer->seal != NULL};
    if (writer->seal != NULL) {
        memcpy(ret_target->key, writer->seal->key, sizeof ret_target->key);
    }
    return 0;
}

static int hash_back(void *argument, const void *bytes, size_t length)
{
    struct file_writer *writer = argument;
    md5_update(&writer->md5, length, bytes);
    writer->stat.bytes += length;
    return 0;
}

/* Size and MD5 of what somebody else wrote into the descriptor; sealed bytes are opened for that,
 * so they are checked, too. */
static int measure(struct file_writer *writer)
{
    struct stat status;
    struct blob_source source = {.fd = -1, .sealed = writer->seal != NULL};
    if (fstat(writer->fd, &status) != 0) {
        return error_from_errno(errno);
    }
    source.bytes = (uint64_t)status.st_size;
    if (source.sealed) {
        memcpy(source.key, writer->seal->key, sizeof source.key);
        if (!seal_plain_bytes((uint64_t)status.st_size, &source.bytes)) {
            return ERR_CORRUPT;
        }
    }
    source.fd = fcntl(writer->fd, F_DUPFD_CLOEXEC, 3);
    if (source.fd < 0) {
        return error_from_errno(errno);
    }
    md5_init(&writer->md5);
    writer->stat.bytes = 0;
    return blob_source_pour(&source, hash_back, writer);
}

static int append(void *writer, const void *bytes, size_t length)
{
    return blob_file_put_write(writer, bytes, length);
}

int blob_file_writer_append(struct file_writer *writer, struct blob_source *source)
{
    return blob_source_pour(source, append, &writer->head);
}

int blob_file_check_match(int parent, const char *leaf, const char *etag)
{
    struct blob_stat stat;
    int fd CLEANUP_CLOSE = blob_file_open_beneath(parent, leaf, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    int error = blob_trailer_read(fd, &stat);
    bool matches = strcmp(etag, "*") == 0 || strcmp(etag, stat.etag) == 0;
    return error != 0 || matches ? error : ERR_PRECONDITION;
}

/* 0, 1: the folder was pruned meanwhile, or an error. */
static int rename_into(struct file_writer *writer, int parent, const char *leaf,
                       const struct blob_condition *condition)
{
    if (flock(parent, condition->if_match != NULL ? LOCK_EX : LOCK_SH) != 0) {
        return error_from_errno(errno);
    }
    int error =
        condition->if_match != NULL ? blob_file_check_match(parent, leaf, condition->if_match) : 0;
    if (error == 0 && renameat2(writer->store->temporary, writer->temporary, parent, leaf,
                                condition->if_none_match ? RENAME_NOREPLACE : 0) != 0) {
        error = errno == EEXIST                           ? ERR_PRECONDITION
                : errno == ENOENT && writer->make_parents ? 1
                                                          : error_from_errno(errno);
    }
    (void)flock(parent, LOCK_UN);
    return error;
}

/* Renames the temporary file to its place. Deleting prunes empty folders, so the one just looked up
 * may be gone: then it is made again. */
int blob_file_writer_publish(struct file_writer *writer, const struct blob_condition *condition)
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
        int result = rename_into(writer, parent, leaf, condition);
        if (result == 0) {
            return fsync(parent) == 0 ? 0 : error_from_errno(errno);
        }
        if (result < 0) {
            return result;
        }
    }
    return ERR_BUSY;
}

static int write_trailer(struct file_writer *writer)
{
    struct blob_seal seal = {.keys = writer->store->keys};
    if (writer->seal == NULL) {
        return blob_trailer_write(writer->fd, &writer->stat, writer->headers, NULL);
    }
    seal.place = writer->seal->place;
    memcpy(seal.secret, writer->seal->secret, sizeof seal.secret);
    int error = blob_trailer_write(writer->fd, &writer->stat, writer->headers, &seal);
    sodium_memzero(&seal, sizeof seal);
    return error;
}

static int seal(struct file_writer *writer, const char *etag)
{
    if (writer->error != 0) {
        return writer->error;
    }
    int error = 0;
    if (writer->by_descriptor) {
        error = measure(writer);
    } else if (writer->seal != NULL && writer->seal->used > 0) {
        error = write_chunk(writer, true);
    }
    if (error != 0) {
        return error;
    }
    if (etag != NULL) {
        (void)snprintf(writer->stat.etag, sizeof writer->stat.etag, "%s", etag);
    } else {
        unsigned char digest[MD5_BYTES];
        md5_digest(&writer->md5, sizeof digest, digest);
        blob_md5_hex(digest, writer->stat.etag);
    }
    error = write_trailer(writer);
    if (error == 0 && fsync(writer->fd) != 0) {
        error = error_from_errno(errno);
    }
    return error;
}

int blob_file_writer_commit(struct file_writer *writer, const char *etag,
                            const struct blob_condition *condition, struct blob_stat *ret_stat)
{
    struct blob_stat stat;
    int error = seal(writer, etag);
    error = error != 0 ? error : blob_trailer_read(writer->fd, &stat);
    error = error != 0 ? error : blob_file_writer_publish(writer, condition);
    if (error != 0) {
        (void)unlinkat(writer->store->temporary, writer->temporary, 0);
    } else if (ret_stat != NULL) {
        *ret_stat = stat;
    }
    blob_file_writer_free(writer);
    return error;
}

int blob_file_put_sum(struct blob_writer *head, const char *sum)
{
    struct file_writer *writer = (struct file_writer *)(void *)head;
    char *headers = NULL;
    if (asprintf(&headers, "%s\n", sum) < 0) {
        return ERR_NO_MEMORY;
    }
    free(writer->headers);
    writer->headers = headers;
    return 0;
}

int blob_file_put_commit(struct blob_writer *head, const struct blob_condition *condition,
                         struct blob_stat *ret_stat)
{
    return blob_file_writer_commit((struct file_writer *)(void *)head, NULL, condition, ret_stat);
}

void blob_file_put_abort(struct blob_writer *head)
{
    struct file_writer *writer = (struct file_writer *)(void *)head;
    (void)unlinkat(writer->store->temporary, writer->temporary, 0);
    blob_file_writer_free(writer);
}

/* Where the kernel won't copy from file to file: between two file systems, or on one that can't. Or
 * where it fails and does not tell at which of the two: reading and writing do. */
static bool is_no_way(int cause)
{
    return cause == EXDEV || cause == ENOSYS || cause == EOPNOTSUPP || cause == EINVAL ||
           cause == EPERM || blob_disk_failed(cause);
}

/* Appends a file's bytes from an offset on by way of memory. */
static int append_range(struct file_writer *writer, int from, uint64_t offset, uint64_t bytes)
{
    char *piece CLEANUP_FREE = malloc(READ_BYTES);
    if (piece == NULL) {
        return ERR_NO_MEMORY;
    }
    while (offset < bytes) {
        uint64_t rest = bytes - offset;
        ssize_t got = pread(from, piece, rest < READ_BYTES ? rest : READ_BYTES, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) { /* 0: shorter than its trailer says */
            errno = got < 0 ? errno : EIO;
            writer->unread = true;
            return error_from_errno(errno);
        }
        int error = write_all(writer->fd, piece, (size_t)got);
        if (error != 0) {
            return error;
        }
        offset += (uint64_t)got;
        writer->stat.bytes += (uint64_t)got;
        start_write_back(writer);
    }
    return 0;
}

int blob_file_writer_splice(struct file_writer *writer, int from, uint64_t bytes)
{
    loff_t offset = 0;
    while ((uint64_t)offset < bytes) {
        size_t rest = (size_t)(bytes - (uint64_t)offset);
        ssize_t copied = copy_file_range(from, &offset, writer->fd, NULL, rest, 0);
        if (copied > 0) {
            writer->stat.bytes += (uint64_t)copied;
            start_write_back(writer);
        } else if (copied == 0 || is_no_way(errno)) { /* 0: some file systems' way to say so */
            return append_range(writer, from, (uint64_t)offset, bytes);
        } else if (errno != EINTR) {
            return error_from_errno(errno);
        }
    }
    return 0;
}
