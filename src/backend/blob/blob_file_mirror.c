/* Mirroring of the file engine (blob.h): one store's folder is made to hold what another's holds.
 * Files are taken as they are, bytes and trailer, so that ETags, types and whatever the store made
 * of the bytes stay; their times are kept too, since the sweep judges by them. Since a file never
 * changes (invariant 2), one of the same path, length and trailer is the same object; another one
 * is copied, or kept where it is newer and that was asked for. Disks change
 * files all the same: so a share of those that are there is read, and copied again where its bytes
 * are not what its trailer says. Those that are in `to` alone (of objects that were deleted since)
 * are gone through at the end.
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

enum { COMPARE_BYTES = 64 * 1024, NAME_SIZE = BLOB_BUCKET_MAX + 1 + BLOB_PATH_MAX };

struct mirroring {
    struct file_store *from, *to;
    /* For each file of the tree that is walked, of `from`, or of `to` for those in `to` alone. */
    int (*each)(struct mirroring *mirroring, int folder, const char *name);
    int base;           /* where paths begin in the other store; negative: nothing is there */
    const char *prefix; /* of their places, for what is sealed */
    const struct blob_mirror *mirror;
    struct problem *problem;
    size_t length;
    char path[BLOB_PATH_MAX];
};

/* Where the object is in the store's folder of objects, or "multipart/…". */
static void name_it(const struct mirroring *mirroring, char out[NAME_SIZE])
{
    bool part = strcmp(mirroring->prefix, BLOB_PREFIX_PART) == 0;
    (void)snprintf(out, NAME_SIZE, "%s%s",
                   part ? "multipart/" : mirroring->prefix + strlen(BLOB_PREFIX_OBJECT),
                   mirroring->path);
}

/* What ended it, in words; cause: errno then. */
static int trouble(const struct mirroring *mirroring, int error, int cause)
{
    char name[NAME_SIZE];
    name_it(mirroring, name);
    char link[32], place[200];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", mirroring->to->root);
    ssize_t length = readlink(link, place, sizeof place - 1);
    place[length > 0 ? length : 0] = '\0';
    bool of_system = error == ERR_IO || error == ERR_DISK_FULL;
    return problem_set(mirroring->problem, error, "%s can't be copied into %s: %s", name, place,
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

static int tell(const struct mirroring *mirroring, uint64_t bytes, enum blob_mirrored outcome)
{
    const struct blob_mirror *mirror = mirroring->mirror;
    char name[NAME_SIZE];
    name_it(mirroring, name);
    return mirror->visit(mirror->argument, name, bytes, outcome);
}

/* What a disk can't read in `from` is as good as damaged there: it is told, and the rest goes on.
 */
static int of_source(int error)
{
    return error == ERR_IO ? ERR_CORRUPT : error;
}

static bool is_same(int from, const struct stat *status, int to)
{
    struct stat there;
    return fstat(to, &there) == 0 && there.st_size == status->st_size &&
           same_trailer(from, to, status->st_size);
}

static bool is_newer(const struct stat *status, int to)
{
    struct stat there;
    const struct timespec *ours = &status->st_mtim;
    return fstat(to, &there) == 0 &&
           (there.st_mtim.tv_sec > ours->tv_sec ||
            (there.st_mtim.tv_sec == ours->tv_sec && there.st_mtim.tv_nsec > ours->tv_nsec));
}

/* Whether the bytes are what the trailer says (blob_check_source), and the headers. ERR_UNSUPPORTED
 * also of a sealed object whose key is not there: it is newer than the keys, or there are none. */
static int check_bytes(const struct mirroring *mirroring, int fd, const struct blob_stat *stat)
{
    char headers[BLOB_HEADERS_MAX + 1];
    struct blob_source source;
    if (stat->sealed && !blob_trailer_key_is_there(fd, mirroring->from->keys)) {
        return ERR_UNSUPPORTED;
    }
    int error = blob_trailer_headers(fd, stat, headers);
    int copy = error == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (error != 0 || copy < 0) {
        return error != 0 ? error : error_from_errno(errno);
    }
    error = blob_file_source(mirroring->from, copy, mirroring->prefix, mirroring->path, stat,
                             &source, NULL);
    return error != 0 ? error : blob_check_source(&source, stat);
}

/* 0; ERR_CONFLICT: they differ; ERR_CORRUPT: the one in `from` can't be read, ERR_IO: the other. */
static int compare(int from, int there, off_t bytes)
{
    char *pieces CLEANUP_FREE = malloc(2 * (size_t)COMPARE_BYTES);
    if (pieces == NULL) {
        return ERR_NO_MEMORY;
    }
    for (off_t at = 0; at < bytes;) {
        ssize_t got = pread(from, pieces, COMPARE_BYTES, at);
        if (got <= 0) {
            return ERR_CORRUPT;
        }
        ssize_t other = pread(there, pieces + COMPARE_BYTES, (size_t)got, at);
        if (other < 0) {
            return ERR_IO;
        }
        if (other != got || memcmp(pieces, pieces + COMPARE_BYTES, (size_t)got) != 0) {
            return ERR_CONFLICT;
        }
        at += got;
    }
    return 0;
}

/* An object of `from`, and what `to` has of its path. */
struct pair {
    int from, there; /* there: ERR_NOT_FOUND where there is none */
    struct stat status;
    struct blob_stat stat;
    struct blob_stat stat_there; /* no ETag: it can't be read */
};

/* Where `to` is written to, what comes there after it was looked at is newer. */
static struct blob_condition condition_of(const struct mirroring *mirroring,
                                          const struct pair *pair)
{
    const char *etag = pair->stat_there.etag;
    return (struct blob_condition){
        .if_none_match = mirroring->mirror->keep_newer && pair->there == ERR_NOT_FOUND,
        .if_match = mirroring->mirror->keep_newer && etag[0] != '\0' ? etag : NULL};
}

static int fill(struct mirroring *mirroring, struct file_writer *writer, const struct pair *pair)
{
    const struct timespec times[2] = {pair->status.st_atim, pair->status.st_mtim};
    const struct blob_condition condition = condition_of(mirroring, pair);
    int error = blob_file_writer_splice(writer, pair->from, (uint64_t)pair->status.st_size);
    error = writer->unread ? of_source(error) : error;
    error = error != 0 ? error : check_bytes(mirroring, writer->fd, &pair->stat);
    error = error == ERR_UNSUPPORTED ? 0 : error; /* nothing tells: it is taken as it is */
    if (error == 0 && (futimens(writer->fd, times) != 0 || fsync(writer->fd) != 0)) {
        error = error_from_errno(errno);
    }
    return error != 0 ? error : blob_file_writer_publish(writer, &condition);
}

/* ERR_CORRUPT: it is damaged in `from`; ERR_PRECONDITION: `to` was written to meanwhile. */
static int write_file(struct mirroring *mirroring, const struct pair *pair)
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
    error = fill(mirroring, writer, pair);
    int cause = errno;
    if (error != 0) {
        (void)unlinkat(mirroring->to->temporary, writer->temporary, 0);
    }
    blob_file_writer_free(writer);
    errno = cause;
    return error;
}

static int copy_file(struct mirroring *mirroring, const struct pair *pair, enum blob_mirrored done,
                     enum blob_mirrored *ret_outcome)
{
    int error = write_file(mirroring, pair);
    bool meanwhile = mirroring->mirror->keep_newer &&
                     (error == ERR_PRECONDITION || (error == ERR_NOT_FOUND && pair->there >= 0));
    *ret_outcome = meanwhile ? BLOB_MIRRORED_KEPT : done;
    return meanwhile ? 0 : error;
}

/* The copy that is there is bad, or can't be read. */
static int mend(struct mirroring *mirroring, const struct pair *pair,
                enum blob_mirrored *ret_outcome)
{
    int error = copy_file(mirroring, pair, BLOB_MIRRORED_MENDED, ret_outcome);
    *ret_outcome = error == ERR_CORRUPT ? BLOB_MIRRORED_LOST : *ret_outcome;
    return error == ERR_CORRUPT ? 0 : error;
}

/* Nothing tells whether the copy that is there is right, but what it is a copy of. */
static int read_both(struct mirroring *mirroring, const struct pair *pair,
                     enum blob_mirrored *ret_outcome)
{
    int error = compare(pair->from, pair->there, pair->status.st_size);
    if (error == ERR_IO) {
        return mend(mirroring, pair, ret_outcome);
    }
    *ret_outcome = error == ERR_CONFLICT ? BLOB_MIRRORED_UNEQUAL : BLOB_MIRRORED_READ;
    return error == ERR_CONFLICT ? 0 : error;
}

/* Reads the copy that is there. What a disk can't read any more is as bad as what it has wrong. */
static int read_copy(struct mirroring *mirroring, const struct pair *pair,
                     enum blob_mirrored *ret_outcome)
{
    int error = check_bytes(mirroring, pair->there, &pair->stat);
    *ret_outcome = BLOB_MIRRORED_READ;
    return error == ERR_UNSUPPORTED                  ? read_both(mirroring, pair, ret_outcome)
           : error == ERR_CORRUPT || error == ERR_IO ? mend(mirroring, pair, ret_outcome)
                                                     : error;
}

/* What is newer in `to` is kept as it is: an older one is another object, not its mending. */
static int read_newer(struct mirroring *mirroring, const struct pair *pair,
                      enum blob_mirrored *ret_outcome)
{
    int error = blob_share_has(&mirroring->mirror->read, mirroring->path)
                    ? check_bytes(mirroring, pair->there, &pair->stat_there)
                    : 0;
    bool wrong = error == ERR_CORRUPT || error == ERR_IO;
    *ret_outcome = wrong ? BLOB_MIRRORED_LOST : BLOB_MIRRORED_KEPT;
    return wrong || error == ERR_UNSUPPORTED ? 0 : error;
}

static int mirror_pair(struct mirroring *mirroring, struct pair *pair,
                       enum blob_mirrored *ret_outcome)
{
    int error = pair->there >= 0 ? blob_trailer_read(pair->there, &pair->stat_there) : pair->there;
    bool readable = error == 0;
    if (!readable && error != ERR_NOT_FOUND && error != ERR_CORRUPT && error != ERR_IO) {
        return error;
    }
    if (readable && is_same(pair->from, &pair->status, pair->there)) {
        return blob_share_has(&mirroring->mirror->read, mirroring->path)
                   ? read_copy(mirroring, pair, ret_outcome)
                   : 0;
    }
    if (readable && mirroring->mirror->keep_newer && is_newer(&pair->status, pair->there)) {
        return read_newer(mirroring, pair, ret_outcome);
    }
    return copy_file(mirroring, pair, BLOB_MIRRORED_NOW, ret_outcome);
}

static int mirror_open(struct mirroring *mirroring, int from, uint64_t *ret_bytes,
                       enum blob_mirrored *ret_outcome)
{
    struct pair pair = {.from = from};
    int error = fstat(from, &pair.status) == 0 ? blob_trailer_read(from, &pair.stat) : ERR_IO;
    if (error != 0) {
        return of_source(error);
    }
    int there CLEANUP_CLOSE = blob_file_open_beneath(mirroring->base, mirroring->path, O_RDONLY);
    if (there < 0 && there != ERR_NOT_FOUND && !blob_disk_failed(errno)) {
        return there; /* nothing is known of it, so it is not written over */
    }
    pair.there = there;
    *ret_bytes = pair.stat.bytes;
    return mirror_pair(mirroring, &pair, ret_outcome);
}

static int mirror_file(struct mirroring *mirroring, int folder, const char *name)
{
    uint64_t bytes = 0;
    enum blob_mirrored outcome = BLOB_MIRRORED_ALREADY;
    int from CLEANUP_CLOSE = blob_file_open_beneath(folder, name, O_RDONLY);
    if (from == ERR_NOT_FOUND) {
        return 0; /* deleted meanwhile */
    }
    int error = from >= 0                 ? mirror_open(mirroring, from, &bytes, &outcome)
                : blob_disk_failed(errno) ? ERR_CORRUPT
                                          : from;
    if (error == ERR_CORRUPT) {
        outcome = BLOB_MIRRORED_DAMAGED;
        error = 0;
    }
    return error != 0 ? trouble(mirroring, error, errno) : tell(mirroring, bytes, outcome);
}

static int check_left(const struct mirroring *mirroring, int folder, const char *name,
                      uint64_t *ret_bytes)
{
    struct blob_stat stat = {.bytes = 0};
    int copy CLEANUP_CLOSE = blob_file_open_beneath(folder, name, O_RDONLY);
    int error = copy >= 0                 ? blob_trailer_read(copy, &stat)
                : blob_disk_failed(errno) ? ERR_CORRUPT
                                          : copy;
    error = error != 0 ? error : check_bytes(mirroring, copy, &stat);
    *ret_bytes = stat.bytes;
    return copy >= 0 && error == ERR_IO ? ERR_CORRUPT : error;
}

/* A file of `to`, read if `from` has none there any more. */
static int read_left(struct mirroring *mirroring, int folder, const char *name)
{
    if (!blob_share_has(&mirroring->mirror->read, mirroring->path)) {
        return 0;
    }
    int in_from CLEANUP_CLOSE =
        mirroring->base >= 0 ? blob_file_open_beneath(mirroring->base, mirroring->path, O_PATH)
                             : ERR_NOT_FOUND;
    if (in_from != ERR_NOT_FOUND) {
        return 0;
    }
    uint64_t bytes = 0;
    int error = check_left(mirroring, folder, name, &bytes);
    if (error == ERR_NOT_FOUND) {
        return 0;
    }
    return error == 0                 ? tell(mirroring, bytes, BLOB_MIRRORED_READ)
           : error == ERR_UNSUPPORTED ? tell(mirroring, bytes, BLOB_MIRRORED_ALREADY)
           : error == ERR_CORRUPT     ? tell(mirroring, bytes, BLOB_MIRRORED_LOST)
                                      : trouble(mirroring, error, errno);
}

/* A folder: it is named as an object would be, since nobody knows which ones are in it. */
static int unreadable_folder(const struct mirroring *mirroring, int error, int cause)
{
    return !blob_disk_failed(cause)         ? trouble(mirroring, error, cause)
           : mirroring->each == mirror_file ? tell(mirroring, 0, BLOB_MIRRORED_DAMAGED)
                                            : tell(mirroring, 0, BLOB_MIRRORED_LOST);
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
    int cause = errno;
    if (inner >= 0) {
        mirroring->path[before + length] = '/';
        mirroring->length = before + length + 1;
        mirroring->path[mirroring->length] = '\0';
        result = mirror_folder(mirroring, inner);
    } else if (blob_path_kind(entry->d_name) == BLOB_ENTRY_OBJECT) {
        result = mirroring->each(mirroring, folder, entry->d_name);
    } else if (inner != ERR_NOT_FOUND && cause != ELOOP) { /* a link is none of ours */
        result = unreadable_folder(mirroring, inner, cause);
    }
    mirroring->length = before;
    mirroring->path[before] = '\0';
    return result;
}

/* NULL: with errno, or 0 at the end. */
static struct dirent *next_entry(DIR *stream)
{
    errno = 0;
    return readdir(stream);
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
    for (struct dirent *entry; result == 0 && (entry = next_entry(stream)) != NULL;) {
        result = mirror_entry(mirroring, fd, entry);
    }
    if (result == 0 && errno != 0) {
        result = unreadable_folder(mirroring, ERR_IO, errno);
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

/* What is in `to` alone; the whole bucket may be. */
static int read_left_bucket(const struct mirroring *how, const char *bucket)
{
    int source CLEANUP_CLOSE = blob_file_open_bucket(how->from, bucket);
    int target CLEANUP_CLOSE = blob_file_open_bucket(how->to, bucket);
    char prefix[BLOB_BUCKET_MAX + 4];
    (void)snprintf(prefix, sizeof prefix, BLOB_PREFIX_OBJECT "%s/", bucket);
    struct mirroring what = *how;
    what.each = read_left;
    what.base = source;
    what.prefix = prefix;
    return (source < 0 && source != ERR_NOT_FOUND) ? trouble(&what, source, errno)
           : target < 0                            ? trouble(&what, target, errno)
                                                   : mirror_tree(&what, target);
}

static int visit_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    (void)created_ms;
    return mirror_bucket(argument, bucket);
}

static int visit_left_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    (void)created_ms;
    return read_left_bucket(argument, bucket);
}

int blob_file_mirror(struct blob_store *from_head, struct blob_store *to_head, const char *bucket,
                     const struct blob_mirror *mirror, struct problem *problem)
{
    struct file_store *from = file_store_of(from_head), *to = file_store_of(to_head);
    struct mirroring how = {.from = from,
                            .to = to,
                            .each = mirror_file,
                            .base = to->multipart,
                            .prefix = BLOB_PREFIX_PART,
                            .mirror = mirror,
                            .problem = problem};
    int error = mirror_tree(&how, from->multipart);
    if (error == 0) {
        error = bucket != NULL ? mirror_bucket(&how, bucket)
                               : from_head->engine->bucket_list(from_head, visit_bucket, &how);
    }
    if (error != 0 || mirror->read.turns == 0) {
        return error;
    }
    return bucket != NULL ? read_left_bucket(&how, bucket)
                          : to_head->engine->bucket_list(to_head, visit_left_bucket, &how);
}
