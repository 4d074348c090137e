/* Opened objects (blob.h): descriptors with the key of what they hold, readers of their bytes, and
 * the answer to a request that sends them. Any thread; one reader, one thread at a time. */
#include "backend/blob/blob_engine.h"
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

/* What is fetched of a remote object at a time: a little first, more once it is read on. */
enum { WINDOW_BYTES_FIRST = 128 * 1024, WINDOW_BYTES = 1024 * 1024 };
/* What is poured at a time. */
enum { PIECE_BYTES = 256 * 1024 };

struct blob_reader {
    struct blob_source source;
    /* of a remote object: the bytes of it that were fetched last */
    unsigned char *window; /* owned; NULL: none yet */
    uint64_t window_at;
    size_t window_length;
    uint64_t index; /* of the chunk that plain holds; NO_CHUNK: none */
    unsigned char plain[SEAL_PLAIN_BYTES];
};

static void unref(struct blob_remote *remote)
{
    if (remote != NULL && atomic_fetch_sub(&remote->references, 1) == 1) {
        remote->free(remote);
    }
}

void blob_source_close(struct blob_source *source)
{
    if (source->fd >= 0) {
        (void)close(source->fd);
    }
    unref(source->remote);
    sodium_memzero(source, sizeof *source);
    source->fd = -1;
}

int blob_source_copy(const struct blob_source *source, struct blob_source *ret_copy)
{
    int fd = source->fd < 0 ? -1 : fcntl(source->fd, F_DUPFD_CLOEXEC, 3);
    if (source->fd >= 0 && fd < 0) {
        return errno == EMFILE ? ERR_BUSY : error_from_errno(errno);
    }
    *ret_copy = *source;
    ret_copy->fd = fd;
    if (source->remote != NULL) {
        (void)atomic_fetch_add(&source->remote->references, 1);
    }
    return 0;
}

int blob_source_local(struct blob_source *source)
{
    return source->fd >= 0 ? 0 : source->remote->fetch(source->remote, &source->fd);
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
    reader->window = NULL;
    reader->window_at = 0;
    reader->window_length = 0;
    source->fd = -1;
    source->remote = NULL;
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
        free(reader->window);
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

/* Fetches what follows offset. Who reads on gets more at a time, who jumps about less. */
static int move_window(struct blob_reader *reader, size_t length, uint64_t offset)
{
    struct blob_remote *remote = reader->source.remote;
    bool on = reader->window_length > 0 && offset == reader->window_at + reader->window_length;
    size_t wanted = on || length > WINDOW_BYTES_FIRST ? WINDOW_BYTES : WINDOW_BYTES_FIRST;
    reader->window_length = 0;
    if (reader->window == NULL && (reader->window = malloc(WINDOW_BYTES)) == NULL) {
        return ERR_NO_MEMORY;
    }
    ssize_t got = remote->read(remote, reader->window, wanted, offset);
    if (got <= 0) {
        return got < 0 ? (int)got : ERR_CORRUPT;
    }
    reader->window_at = offset;
    reader->window_length = (size_t)got;
    return 0;
}

static ssize_t read_remote(struct blob_reader *reader, void *bytes, size_t length, uint64_t offset)
{
    if (offset < reader->window_at || offset >= reader->window_at + reader->window_length) {
        int error = move_window(reader, length, offset);
        if (error != 0) {
            return error;
        }
    }
    size_t at = (size_t)(offset - reader->window_at);
    size_t left = reader->window_length - at;
    size_t some = length < left ? length : left;
    memcpy(bytes, reader->window + at, some);
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
    if (source->fd < 0) {
        return read_remote(reader, bytes, length, offset);
    }
    uint64_t left = source->bytes - offset;
    size_t some = left < length ? (size_t)left : length;
    int error = read_at(source->fd, bytes, some, offset);
    return error != 0 ? error : (ssize_t)some;
}

int blob_source_pour(struct blob_source *source,
                     int (*take)(void *argument, const void *bytes, size_t length), void *argument)
{
    unsigned char *piece CLEANUP_FREE = malloc(PIECE_BYTES);
    struct blob_reader *reader = NULL;
    int error = blob_reader_new(source, &reader);
    error = error == 0 && piece == NULL ? ERR_NO_MEMORY : error;
    ssize_t got = 0;
    for (uint64_t at = 0; error == 0; at += (uint64_t)got) {
        got = blob_reader_read(reader, piece, PIECE_BYTES, at);
        if (got <= 0) {
            error = (int)got;
            break;
        }
        error = take(argument, piece, (size_t)got);
    }
    blob_reader_free(reader);
    return error;
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
    if (!source->sealed && source->fd >= 0) {
        file.fd = TAKE_FD(source->fd);
        blob_source_close(source);
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
