/* Writing an archive (archive.h). */
#include "boot/archive_head.h"

#include "backend/rights.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct archive_writer {
    int fd;
    int folder;        /* where the archive goes */
    const char *name;  /* there, the end of path */
    char *path, *part; /* part: the name until it is whole */
    int error, cause;  /* the first failure and its errno */
    bool first;        /* the next message is the first */
    struct archive_head head;
    crypto_secretstream_xchacha20poly1305_state stream;
    uint64_t entry_left;
    uint64_t written;
    size_t length; /* of message, so far */
    unsigned char message[ARCHIVE_MESSAGE_BYTES];
    unsigned char sealed[ARCHIVE_SEALED_BYTES];
};

static void writer_free(struct archive_writer *writer)
{
    if (writer->fd >= 0) {
        (void)close(writer->fd);
    }
    if (writer->folder >= 0) {
        (void)close(writer->folder);
    }
    free(writer->path);
    free(writer->part);
    sodium_memzero(writer, sizeof *writer);
    free(writer);
}

static int fail(struct archive_writer *writer, int error, int cause)
{
    writer->error = error;
    writer->cause = cause;
    return error;
}

static int put(struct archive_writer *writer, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(writer->fd, at, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return fail(writer, error_from_errno(errno), errno);
        }
        at += written;
        length -= (size_t)written;
        writer->written += (uint64_t)written;
    }
    return 0;
}

static int flush(struct archive_writer *writer, bool final)
{
    unsigned long long sealed = 0;
    (void)crypto_secretstream_xchacha20poly1305_push(
        &writer->stream, writer->sealed, &sealed, writer->message, writer->length,
        writer->first ? (const unsigned char *)&writer->head : NULL,
        writer->first ? sizeof writer->head : 0,
        final ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
              : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
    writer->first = false;
    writer->length = 0;
    return put(writer, writer->sealed, (size_t)sealed);
}

/* Only an older archive, or an empty file, gives its name to the new one. Else a wrong word in the
 * command line would put it in the place of a database, or of the key that opens it. */
static int check_replaced(const struct archive_writer *writer, struct problem *problem)
{
    struct stat status;
    if (fstatat(writer->folder, writer->name, &status, 0) != 0 ||
        (S_ISREG(status.st_mode) && status.st_size == 0)) {
        return 0;
    }
    if (S_ISDIR(status.st_mode)) {
        return problem_set(problem, ERR_INVALID, "%s is a directory; name a file in it",
                           writer->path);
    }
    int fd CLEANUP_CLOSE =
        S_ISREG(status.st_mode) ? openat(writer->folder, writer->name, O_RDONLY | O_CLOEXEC) : -1;
    return fd >= 0 && archive_head_begins(fd)
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "%s is there, and no backup that could be replaced; name another "
                             "file, or remove that one",
                             writer->path);
}

/* Opens PATH.part, locked; what a killed backup left there is written over. */
static int open_part(struct archive_writer *writer, struct problem *problem)
{
    int error = check_replaced(writer, problem);
    if (error != 0) {
        return error;
    }
    writer->fd =
        openat(writer->folder, writer->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->fd < 0) {
        return problem_set(problem, error_from_errno(errno), "%s can't be written: %s",
                           writer->path, strerror(errno));
    }
    if (flock(writer->fd, LOCK_EX | LOCK_NB) != 0) {
        return problem_set(problem, ERR_BUSY, "another backup writes %s right now", writer->path);
    }
    if (ftruncate(writer->fd, 0) != 0 || fchmod(writer->fd, 0600) != 0) {
        return problem_set(problem, error_from_errno(errno), "%s can't be written: %s",
                           writer->path, strerror(errno));
    }
    return 0;
}

static int begin_stream(struct archive_writer *writer, const struct archive_secret *secret,
                        int64_t created_ms)
{
    unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
    int error = archive_head_make(&writer->head, secret, created_ms, key);
    if (error == 0) {
        (void)crypto_secretstream_xchacha20poly1305_init_push(&writer->stream, writer->head.stream,
                                                              key);
        archive_head_seal(&writer->head, key);
        writer->first = true;
        error = put(writer, &writer->head, sizeof writer->head);
    }
    sodium_memzero(key, sizeof key);
    return error;
}

static int set_paths(struct archive_writer *writer, const char *path)
{
    writer->path = strdup(path);
    if (writer->path == NULL) {
        return ERR_NO_MEMORY;
    }
    const char *slash = strrchr(writer->path, '/');
    writer->name = slash != NULL ? slash + 1 : writer->path;
    if (asprintf(&writer->part, "%s.part", writer->name) < 0) {
        writer->part = NULL;
        return ERR_NO_MEMORY;
    }
    return 0;
}

/* The folder of the path; root's rights are asked for where its owner's do not do (rights.h). */
static int open_folder(struct archive_writer *writer, struct problem *problem)
{
    size_t length = (size_t)(writer->name - writer->path);
    char *folder CLEANUP_FREE = length > 0 ? strndup(writer->path, length) : strdup(".");
    if (folder == NULL) {
        return ERR_NO_MEMORY;
    }
    if (writer->name[0] == '\0') {
        return problem_set(problem, ERR_INVALID, "%s is a directory; name a file in it",
                           writer->path);
    }
    writer->folder = rights_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return writer->folder >= 0
               ? 0
               : problem_set(problem, error_from_errno(errno), "%s can't be written: %s",
                             writer->path, strerror(errno));
}

static int open_all(struct archive_writer *writer, const char *path, struct problem *problem)
{
    int error = set_paths(writer, path);
    error = error != 0 ? error : open_folder(writer, problem);
    if (error == 0) {
        rights_begin(writer->folder, writer->part);
        error = open_part(writer, problem);
        rights_end();
    }
    return error;
}

int archive_write_open(const char *path, const struct archive_secret *secret, int64_t created_ms,
                       struct archive_writer **ret_writer, struct problem *problem)
{
    struct archive_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return ERR_NO_MEMORY;
    }
    writer->fd = writer->folder = -1;
    int error = open_all(writer, path, problem);
    if (error != 0) {
        writer_free(writer);
        return error;
    }
    error = begin_stream(writer, secret, created_ms);
    if (error != 0) {
        archive_write_abort(writer);
        return problem_set(problem, error, "%s can't be written: %s", path, error_title(error));
    }
    *ret_writer = writer;
    return 0;
}

static int append(struct archive_writer *writer, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    while (length > 0 && writer->error == 0) {
        size_t room = sizeof writer->message - writer->length;
        size_t taken = length < room ? length : room;
        memcpy(writer->message + writer->length, at, taken);
        writer->length += taken;
        at += taken;
        length -= taken;
        if (writer->length == sizeof writer->message) {
            (void)flush(writer, false);
        }
    }
    return writer->error;
}

int archive_write_begin(struct archive_writer *writer, const char *name, unsigned mode,
                        uint64_t bytes)
{
    assert(writer->entry_left == 0);
    size_t length = strlen(name);
    assert(length <= ARCHIVE_NAME_MAX);
    unsigned char head[ARCHIVE_ENTRY_HEAD_BYTES];
    const uint32_t mode_le = htole32(mode);
    const uint64_t bytes_le = htole64(bytes);
    const uint16_t length_le = htole16((uint16_t)length);
    memcpy(head, &mode_le, 4);
    memcpy(head + 4, &bytes_le, 8);
    memcpy(head + 12, &length_le, 2);
    int error = append(writer, head, sizeof head);
    writer->entry_left = bytes;
    return error != 0 ? error : append(writer, name, length);
}

int archive_write(struct archive_writer *writer, const void *bytes, size_t length)
{
    assert(length <= writer->entry_left);
    writer->entry_left -= length;
    return append(writer, bytes, length);
}

int archive_write_error(const struct archive_writer *writer, struct problem *problem)
{
    return writer->error == 0
               ? 0
               : problem_set(problem, writer->error, "%s can't be written: %s", writer->path,
                             writer->cause != 0 ? strerror(writer->cause)
                                                : error_title(writer->error));
}

/* Under its name, durably. 0, or an error with errno. */
static int publish(const struct archive_writer *writer)
{
    if (fsync(writer->fd) != 0) {
        return error_from_errno(errno);
    }
    rights_begin(writer->folder, writer->part);
    int result = renameat(writer->folder, writer->part, writer->folder, writer->name);
    rights_end();
    return result == 0 && fsync(writer->folder) == 0 ? 0 : error_from_errno(errno);
}

int archive_write_commit(struct archive_writer *writer, uint64_t *ret_bytes,
                         struct problem *problem)
{
    if (writer->error == 0) {
        (void)archive_write_begin(writer, "", 0, 0);
    }
    int error = writer->error == 0 && flush(writer, true) == 0 ? publish(writer) : 0;
    if (error != 0) {
        (void)fail(writer, error, errno);
    }
    error = writer->error;
    if (error != 0) {
        (void)archive_write_error(writer, problem);
        archive_write_abort(writer);
        return error;
    }
    *ret_bytes = writer->written;
    writer_free(writer);
    return 0;
}

void archive_write_abort(struct archive_writer *writer)
{
    if (writer != NULL) {
        rights_begin(writer->folder, writer->part);
        (void)unlinkat(writer->folder, writer->part, 0);
        rights_end();
        writer_free(writer);
    }
}
