/* Opened objects (blob.h): descriptors with the key of what they hold, readers of their bytes, and
 * the answer to a request that sends them. Any thread; one reader, one thread at a time. */
#include "backend/blob/blob.h"

#include "base/error.h"
#include "base/mem.h"
#include "net/http.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_CHUNK UINT64_MAX

struct blob_reader {
    struct blob_source source;
    uint64_t index; /* of the chunk that plain holds; NO_CHUNK: none */
    unsigned char plain[SEAL_PLAIN_BYTES];
};

void blob_source_close(struct blob_source *source)
{
    if (source->fd >= 0) {
        (void)close(source->fd);
    }
    sodium_memzero(source, sizeof *source);
    source->fd = -1;
}

int blob_source_copy(const struct blob_source *source, struct blob_source *ret_copy)
{
    int fd = fcntl(source->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        return errno == EMFILE ? ERR_BUSY : error_from_errno(errno);
    }
    *ret_copy = *source;
    ret_copy->fd = fd;
    return 0;
}

int blob_reader_new(struct blob_source *source, struct blob_reader **ret_reader)
{
    struct blob_reader *reader = malloc(sizeof *reader);
    if (reader == NULL) {
        blob_source_close(source);
        return ERR_NO_MEMORY;
    }
    reader->source = *source;
    reader->index = NO_CHUNK;
    source->fd = -1;
    blob_source_close(source);
    *ret_reader = reader;
    return 0;
}

void blob_reader_free(struct blob_reader *reader)
{
    if (reader != NULL) {
        blob_source_close(&reader->source);
        if (reader->index != NO_CHUNK) {
            sodium_memzero(reader->plain, sizeof reader->plain);
        }
        free(reader);
    }
}

/* 0 or an error: the whole length or none. */
static int read_at(int fd, void *bytes, size_t length, uint64_t offset)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(fd, (char *)bytes + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR) {
            return error_from_errno(errno);
        }
        if (got == 0) {
            return ERR_CORRUPT;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* Opens chunk index into out, which has room for it. */
static int open_chunk(struct blob_reader *reader, uint64_t index, size_t length, unsigned char *out)
{
    static _Thread_local unsigned char sealed[SEAL_CHUNK_BYTES];
    const struct blob_source *source = &reader->source;
    bool last = (index + 1) * SEAL_PLAIN_BYTES >= source->bytes;
    int error = read_at(source->fd, sealed, length + SEAL_OVERHEAD_BYTES, index * SEAL_CHUNK_BYTES);
    return error != 0 ? error
                      : seal_open_chunk(source->key, index, last, sealed,
                                        length + SEAL_OVERHEAD_BYTES, out);
}

/* From one chunk: opened in place where it is wanted whole, else by way of the one kept. */
static ssize_t read_sealed(struct blob_reader *reader, unsigned char *out, size_t length,
                           uint64_t offset)
{
    uint64_t index = offset / SEAL_PLAIN_BYTES;
    size_t at = (size_t)(offset % SEAL_PLAIN_BYTES);
    uint64_t left = reader->source.bytes - index * SEAL_PLAIN_BYTES;
    size_t there = left < SEAL_PLAIN_BYTES ? (size_t)left : SEAL_PLAIN_BYTES;
    if (at == 0 && length >= there) {
        int error = open_chunk(reader, index, there, out);
        return error != 0 ? error : (ssize_t)there;
    }
    if (reader->index != index) {
        reader->index = NO_CHUNK;
        int error = open_chunk(reader, index, there, reader->plain);
        if (error != 0) {
            return error;
        }
        reader->index = index;
    }
    size_t some = there - at < length ? there - at : length;
    memcpy(out, reader->plain + at, some);
    return (ssize_t)some;
}

ssize_t blob_reader_read(struct blob_reader *reader, void *bytes, size_t length, uint64_t offset)
{
    const struct blob_source *source = &reader->source;
    if (length == 0 || offset >= source->bytes) {
        return 0;
    }
    if (source->sealed) {
        return read_sealed(reader, bytes, length, offset);
    }
    uint64_t left = source->bytes - offset;
    size_t some = left < length ? (size_t)left : length;
    int error = read_at(source->fd, bytes, some, offset);
    return error != 0 ? error : (ssize_t)some;
}

static ssize_t reply_read(void *argument, void *bytes, size_t length, uint64_t offset)
{
    return blob_reader_read(argument, bytes, length, offset);
}

static void reply_done(void *argument)
{
    blob_reader_free(argument);
}

int blob_reply(struct request *request, struct blob_source *source, const struct reply_file *how)
{
    struct reply_file file = *how;
    file.length = source->bytes;
    file.offset = 0;
    if (!source->sealed) {
        file.fd = source->fd;
        source->fd = -1;
        return reply_file(request, &file);
    }
    struct blob_reader *reader = NULL;
    int error = blob_reader_new(source, &reader);
    if (error != 0) {
        return error;
    }
    file.fd = -1;
    file.read = reply_read;
    file.done = reply_done;
    file.argument = reader;
    return reply_file(request, &file);
}
