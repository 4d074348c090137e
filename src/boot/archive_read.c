/* Reading an archive (archive.h). Bytes are given out after the message they are in was
 * authenticated. */
#include "boot/archive_head.h"

#include "backend/rights.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct archive_reader {
    int fd;
    char *path;
    bool first, ended; /* ended: the final message was taken */
    struct archive_head head;
    crypto_secretstream_xchacha20poly1305_state stream;
    uint64_t entry_left;
    uint64_t at; /* where in the file the next message begins */
    size_t length, taken;
    unsigned char message[ARCHIVE_MESSAGE_BYTES];
    unsigned char sealed[ARCHIVE_SEALED_BYTES];
};

/* As many bytes as there are, up to length. The number, or an error. */
static ssize_t read_full(int fd, void *bytes, size_t length)
{
    size_t got = 0;
    while (got < length) {
        ssize_t count = read(fd, (char *)bytes + got, length - got);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return error_from_errno(errno);
        }
        if (count == 0) {
            break;
        }
        got += (size_t)count;
    }
    return (ssize_t)got;
}

static int unreadable(const char *path, int cause, struct problem *problem)
{
    return problem_set(problem, error_from_errno(cause), "%s can't be read: %s", path,
                       strerror(cause));
}

static int open_head(const char *path, int *ret_fd, struct archive_head *ret_head,
                     struct problem *problem)
{
    int fd CLEANUP_CLOSE = rights_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        return unreadable(path, errno, problem);
    }
    if (!S_ISREG(status.st_mode)) {
        return problem_set(problem, ERR_INVALID, "%s is no file", path);
    }
    ssize_t got = read_full(fd, ret_head, sizeof *ret_head);
    if (got < 0) {
        return unreadable(path, errno, problem);
    }
    if (got < (ssize_t)sizeof *ret_head) {
        return problem_set(problem, ERR_CORRUPT, "%s is no backup of Tutti, or only its beginning",
                           path);
    }
    int error = archive_head_check(ret_head, path, problem);
    if (error == 0) {
        *ret_fd = TAKE_FD(fd);
    }
    return error;
}

int archive_look(const char *path, struct archive_about *ret_about, struct problem *problem)
{
    struct archive_head head = {0};
    int fd CLEANUP_CLOSE = -1;
    int error = open_head(path, &fd, &head, problem);
    struct stat status;
    if (error == 0 && fstat(fd, &status) == 0) {
        *ret_about = (struct archive_about){.by_key_file = le32toh(head.source) == 2,
                                            .created_ms = (int64_t)le64toh(head.created_ms),
                                            .bytes = (uint64_t)status.st_size};
    }
    return error;
}

int archive_read_open(const char *path, const struct archive_secret *secret,
                      struct archive_reader **ret_reader, struct problem *problem)
{
    struct archive_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return ERR_NO_MEMORY;
    }
    reader->fd = -1;
    reader->first = true;
    reader->at = sizeof reader->head;
    reader->path = strdup(path);
    unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES] = {0};
    int error =
        reader->path == NULL ? ERR_NO_MEMORY : open_head(path, &reader->fd, &reader->head, problem);
    error = error != 0 ? error : archive_head_open(&reader->head, secret, path, key, problem);
    if (error == 0 && crypto_secretstream_xchacha20poly1305_init_pull(
                          &reader->stream, reader->head.stream, key) != 0) {
        error = ERR_CORRUPT;
    }
    sodium_memzero(key, sizeof key);
    if (error != 0) {
        archive_read_close(reader);
        return error;
    }
    *ret_reader = reader;
    return 0;
}

void archive_read_close(struct archive_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->fd >= 0) {
        (void)close(reader->fd);
    }
    free(reader->path);
    sodium_memzero(reader, sizeof *reader);
    free(reader);
}

static int damaged(const struct archive_reader *reader, struct problem *problem)
{
    return problem_set(problem, ERR_CORRUPT, "%s is damaged or cut off behind byte %llu",
                       reader->path, (unsigned long long)reader->at);
}

/* The next message. */
static int fetch(struct archive_reader *reader, struct problem *problem)
{
    ssize_t got = read_full(reader->fd, reader->sealed, sizeof reader->sealed);
    if (got < 0) {
        return unreadable(reader->path, errno, problem);
    }
    unsigned long long length = 0;
    unsigned char tag = 0;
    if (reader->ended || got < crypto_secretstream_xchacha20poly1305_ABYTES ||
        crypto_secretstream_xchacha20poly1305_pull(
            &reader->stream, reader->message, &length, &tag, reader->sealed,
            (unsigned long long)got, reader->first ? (const unsigned char *)&reader->head : NULL,
            reader->first ? sizeof reader->head : 0) != 0) {
        return damaged(reader, problem);
    }
    reader->first = false;
    reader->ended = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    reader->at += (uint64_t)got;
    reader->length = (size_t)length;
    reader->taken = 0;
    return 0;
}

static int take(struct archive_reader *reader, void *bytes, size_t length, struct problem *problem)
{
    unsigned char *at = bytes;
    while (length > 0) {
        int error = reader->taken == reader->length ? fetch(reader, problem) : 0;
        if (error != 0) {
            return error;
        }
        size_t there = reader->length - reader->taken;
        size_t taken = length < there ? length : there;
        memcpy(at, reader->message + reader->taken, taken);
        reader->taken += taken;
        at += taken;
        length -= taken;
    }
    return 0;
}

/* Behind the last entry: the message that ended the stream, all taken, and then the file's end. */
static int check_end(struct archive_reader *reader, struct problem *problem)
{
    if (!reader->ended) {
        int error = fetch(reader, problem);
        if (error != 0) {
            return error;
        }
    }
    unsigned char more;
    return reader->ended && reader->taken == reader->length && read_full(reader->fd, &more, 1) == 0
               ? 0
               : damaged(reader, problem);
}

int archive_read_next(struct archive_reader *reader, struct archive_entry *ret_entry,
                      struct problem *problem)
{
    assert(reader->entry_left == 0);
    unsigned char head[ARCHIVE_ENTRY_HEAD_BYTES];
    int error = take(reader, head, sizeof head, problem);
    if (error != 0) {
        return error;
    }
    uint32_t mode;
    uint64_t bytes;
    uint16_t length;
    memcpy(&mode, head, 4);
    memcpy(&bytes, head + 4, 8);
    memcpy(&length, head + 12, 2);
    if (le16toh(length) == 0) {
        return check_end(reader, problem);
    }
    if (le16toh(length) > ARCHIVE_NAME_MAX) {
        return damaged(reader, problem);
    }
    *ret_entry = (struct archive_entry){.mode = le32toh(mode), .bytes = le64toh(bytes)};
    reader->entry_left = ret_entry->bytes;
    error = take(reader, ret_entry->name, le16toh(length), problem);
    if (error == 0 && strlen(ret_entry->name) != le16toh(length)) {
        error = damaged(reader, problem);
    }
    return error != 0 ? error : 1;
}

int archive_read(struct archive_reader *reader, void *bytes, size_t length, struct problem *problem)
{
    assert(length <= reader->entry_left);
    reader->entry_left -= length;
    return take(reader, bytes, length, problem);
}
