/* Mirroring of the file engine (blob.h): one store's folder is made to hold what another's holds.
 * Files are taken as they are, bytes and trailer, so that ETags, types and whatever the store made
 * of the bytes stay; their times are kept too, since the sweep judges by them. Since a file never
 * changes (invariant 2), one of the same path, length and trailer is the same object.
 *
 * Uploads in parts go before the buckets: an upload that is joined in between has its parts copied,
 * or its object. Any thread; `from` may be written to meanwhile.
 */
#include "backend/blob/blob_file.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECK_BYTES = 256 * 1024 };

struct mirroring {
    struct file_store *from, *to;
    int base;           /* where paths begin in `to` */
    const char *prefix; /* of their places, for what is sealed */
    const struct blob_mirror *mirror;
    struct problem *problem;
    size_t length;
    char path[BLOB_PATH_MAX];
};

/* What ended it, in words; cause: errno then. */
static int trouble(const struct mirroring *mirroring, int error, int cause)
{
    char link[32], place[200];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", mirroring->to->root);
    ssize_t length = readlink(link, place, sizeof place - 1);
    place[length > 0 ? length : 0] = '\0';
    bool of_system = error == ERR_IO || error == ERR_DISK_FULL;
    return problem_set(mirroring->problem, error, "%s%s can't be copied into %s: %s",
                       mirroring->prefix + strlen(BLOB_PREFIX_OBJECT), mirroring->path, place,
                       of_system ? strerror(cause) : error_title(error));
}

static bool same_trailer(int left, int right, off_t bytes)
{
    unsigned char trailers[2][BLOB_TRAILER_BYTES];
    off_t at = bytes - BLOB_TRAILER_BYTES;
    return pread(left, trailers[0], BLOB_TRAILER_BYTES, at) == BLOB_TRAILER_BYTES &&
           pread(right, trailers[1], BLOB_TRAILER_BYTES, at) == BLOB_TRAILER_BYTES &&
           memcmp(trailers[0], trailers[1], BLOB_TRAILER_BYTES) == 0;
}

static bool is_there(const struct mirroring *mirroring, int from, const struct stat *status)
{
    int to CLEANUP_CLOSE = blob_file_open_beneath(mirroring->base, mirroring->path, O_RDONLY);
    struct stat there;
    return to >= 0 && fstat(to, &there) == 0 && there.st_size == status->st_size &&
           same_trailer(from, to, status->st_size);
}

/* The MD5 of an object's bytes. Takes the file. */
static int hash_bytes(struct blob_source *file, char ret_etag[BLOB_ETAG_MAX])
{
    unsigned char *bytes CLEANUP_FREE = malloc(CHECK_BYTES);
    struct blob_reader *reader = NULL;
    struct md5_ctx md5;
    int error = blob_reader_new(file, &reader);
    error = error == 0 && bytes == NULL ? ERR_NO_MEMORY : error;
    md5_init(&md5);
    ssize_t got = 0;
    for (uint64_t at = 0; error == 0; at += (uint64_t)got) {
        got = blob_reader_read(reader, bytes, CHECK_BYTES, at);
        if (got <= 0) {
            error = (int)got;
            break;
        }
        md5_update(&md5, (size_t)got, bytes);
    }
    blob_reader_free(reader);
    unsigned char digest[MD5_BYTES];
    md5_digest(&md5, sizeof digest, digest);
    blob_md5_hex(digest, ret_etag);
    return error;
}

/* The bytes have the MD5 that is their ETag. An ETag of parts can't be told from the bytes, but the
 * chunks of a sealed object are opened all the same. One whose key is not there (it is newer than
 * the keys, or there are none) is taken as it is. */
static int check_bytes(struct mirroring *mirroring, int fd, const struct blob_stat *stat)
{
    bool hashed = strlen(stat->etag) == 2 * MD5_BYTES;
    if (stat->sealed ? !blob_trailer_key_is_there(fd, mirroring->from->keys) : !hashed) {
        return 0;
    }
    struct blob_source source;
    char etag[BLOB_ETAG_MAX];
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        return error_from_errno(errno);
    }
    int error = blob_file_source(mirroring->from, copy, mirroring->prefix, mirroring->path, stat,
                                 &source, NULL);
    error = error != 0 ? error : hash_bytes(&source, etag);
    return error != 0 || !hashed || strcmp(etag, stat->etag) == 0 ? error : ERR_CORRUPT;
}

static int fill(struct mirroring *mirroring, struct file_writer *writer, int from,
                const struct stat *status, const struct blob_stat *stat)
{
    const struct timespec times[2] = {status->st_atim, status->st_mtim};
    int error = blob_file_writer_splice(writer, from, (uint64_t)status->st_size);
    error = error != 0 ? error : check_bytes(mirroring, writer->fd, stat);
    if (error == 0 && (futimens(writer->fd, times) != 0 || fsync(writer->fd) != 0)) {
        error = error_from_errno(errno);
    }
    return error != 0 ? error : blob_file_writer_publish(writer, &(struct blob_condition){0});
}

static int copy_file(struct mirroring *mirroring, int from, const struct stat *status,
                     const struct blob_stat *stat)
{
    int base = fcntl(mirroring->base, F_DUPFD_CLOEXEC, 3);
    if (base < 0) {
        return error_from_errno(errno);
    }
    struct file_writer *writer = NULL;
    int error = blob_file_writer_new(mirroring->to, base, mirroring->path, true, NULL, &writer);
    if (error != 0) {
        return error;
    }
    error = fill(mirroring, writer, from, status, stat);
    int cause = errno;
    if (error != 0) {
        (void)unlinkat(mirroring->to->temporary, writer->temporary, 0);
    }
    blob_file_writer_free(writer);
    errno = cause;
    return error;
}

static int mirror_file(struct mirroring *mirroring, int folder, const char *name)
{
    int from CLEANUP_CLOSE = blob_file_open_beneath(folder, name, O_RDONLY);
    if (from < 0) {
        return from == ERR_NOT_FOUND ? 0 : from; /* deleted meanwhile */
    }
    const struct blob_mirror *mirror = mirroring->mirror;
    struct stat status;
    struct blob_stat stat = {.bytes = 0};
    int error = fstat(from, &status) == 0 ? blob_trailer_read(from, &stat) : ERR_IO;
    enum blob_mirrored outcome = BLOB_MIRRORED_ALREADY;
    if (error == 0 && !is_there(mirroring, from, &status)) {
        outcome = BLOB_MIRRORED_NOW;
        error = copy_file(mirroring, from, &status, &stat);
    }
    if (error == ERR_CORRUPT) {
        outcome = BLOB_MIRRORED_DAMAGED;
        error = 0;
    }
    return error != 0 ? trouble(mirroring, error, errno)
                      : mirror->visit(mirror->argument, mirroring->path, stat.bytes, outcome);
}

static int mirror_folder(struct mirroring *mirroring, int fd);

static int mirror_entry(struct mirroring *mirroring, int folder, const struct dirent *entry)
{
    size_t before = mirroring->length;
    size_t length = strlen(entry->d_name);
    if (entry->d_name[0] == '.' && (length == 1 || (length == 2 && entry->d_name[1] == '.'))) {
        return 0;
    }
    if (before + length + 2 > sizeof mirroring->path) {
        return 0; /* longer than any name of ours */
    }
    memcpy(mirroring->path + before, entry->d_name, length + 1);
    int result = 0;
    int inner CLEANUP_CLOSE = blob_file_open_beneath(folder, entry->d_name, O_RDONLY | O_DIRECTORY);
    if (inner >= 0) {
        mirroring->path[before + length] = '/';
        mirroring->length = before + length + 1;
        mirroring->path[mirroring->length] = '\0';
        result = mirror_folder(mirroring, inner);
    } else if (blob_path_kind(entry->d_name) == BLOB_ENTRY_OBJECT) {
        result = mirror_file(mirroring, folder, entry->d_name);
    }
    mirroring->length = before;
    mirroring->path[before] = '\0';
    return result;
}

/* Depth is bounded by the path's length. */
static int mirror_folder(struct mirroring *mirroring, int fd)
{
    int copy = blob_file_open_beneath(fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return copy == ERR_NOT_FOUND ? 0 : copy < 0 ? copy : ERR_NO_MEMORY;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(stream)) != NULL;) {
        result = mirror_entry(mirroring, fd, entry);
    }
    (void)closedir(stream);
    return result;
}

static int mirror_tree(const struct mirroring *what, int from)
{
    struct mirroring mirroring = *what;
    return mirror_folder(&mirroring, from);
}

static int mirror_bucket(const struct mirroring *how, const char *bucket)
{
    int source CLEANUP_CLOSE = blob_file_open_bucket(how->from, bucket);
    int target CLEANUP_CLOSE =
        source >= 0 ? blob_file_make_folder(how->to->objects, bucket) : source;
    char prefix[BLOB_BUCKET_MAX + 4];
    (void)snprintf(prefix, sizeof prefix, BLOB_PREFIX_OBJECT "%s/", bucket);
    struct mirroring what = *how;
    what.base = target;
    what.prefix = prefix;
    return target < 0 ? trouble(&what, target, errno) : mirror_tree(&what, source);
}

static int visit_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    (void)created_ms;
    return mirror_bucket(argument, bucket);
}

int blob_file_mirror(struct blob_store *from_head, struct blob_store *to_head, const char *bucket,
                     const struct blob_mirror *mirror, struct problem *problem)
{
    struct file_store *from = file_store_of(from_head), *to = file_store_of(to_head);
    struct mirroring how = {.from = from,
                            .to = to,
                            .base = to->multipart,
                            .prefix = BLOB_PREFIX_PART,
                            .mirror = mirror,
                            .problem = problem};
    int error = mirror_tree(&how, from->multipart);
    if (error != 0 || bucket != NULL) {
        return error != 0 ? error : mirror_bucket(&how, bucket);
    }
    return from_head->engine->bucket_list(from_head, visit_bucket, &how);
}
