/* Random access to sealed files (sealed.h). */
#include "media/sealed.h"

#include "base/error.h"
#include "media/job.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sealed {
    int fd;
    int64_t bytes;    /* plain */
    uint64_t index;   /* of the chunk at hand; NO_CHUNK: none */
    bool dirty;       /* it has to be written */
    bool whole;       /* finished, or a source: the last chunk is marked */
    uint64_t on_disk; /* chunks there are in the file */
    unsigned char key[SEAL_KEY_BYTES];
    unsigned char plain[SEAL_PLAIN_BYTES];
    unsigned char scratch[SEAL_CHUNK_BYTES];
};

#define NO_CHUNK UINT64_MAX

static struct sealed *files[MEDIA_JOB_FDS_MAX];
static unsigned file_count;

static struct sealed *find(int fd)
{
    for (unsigned i = 0; i < file_count; i++) {
        if (files[i]->fd == fd) {
            return files[i];
        }
    }
    return NULL;
}

int sealed_begin(int fd, const unsigned char key[SEAL_KEY_BYTES], int64_t plain_bytes)
{
    if (file_count == MEDIA_JOB_FDS_MAX) {
        return ERR_TOO_LARGE;
    }
    struct sealed *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return ERR_NO_MEMORY;
    }
    file->fd = fd;
    file->bytes = plain_bytes;
    file->index = NO_CHUNK;
    file->whole = plain_bytes > 0;
    file->on_disk = seal_sealed_bytes((uint64_t)plain_bytes) / SEAL_CHUNK_BYTES +
                    ((uint64_t)plain_bytes % SEAL_PLAIN_BYTES != 0);
    memcpy(file->key, key, sizeof file->key);
    files[file_count++] = file;
    return 0;
}

void sealed_forget(void)
{
    while (file_count > 0) {
        struct sealed *file = files[--file_count];
        sodium_memzero(file, sizeof *file);
        free(file);
    }
}

/* How many plain bytes the chunk holds. */
static size_t chunk_bytes(const struct sealed *file, uint64_t index)
{
    uint64_t left = (uint64_t)file->bytes - index * SEAL_PLAIN_BYTES;
    return left < SEAL_PLAIN_BYTES ? (size_t)left : SEAL_PLAIN_BYTES;
}

static bool is_last(const struct sealed *file, uint64_t index)
{
    return (index + 1) * SEAL_PLAIN_BYTES >= (uint64_t)file->bytes;
}

/* -1 with errno where not the whole could be moved. */
static int move(bool out, int fd, unsigned char *bytes, size_t length, uint64_t offset)
{
    while (length > 0) {
        ssize_t now = out ? pwrite(fd, bytes, length, (off_t)offset)
                          : pread(fd, bytes, length, (off_t)offset);
        if (now == 0 || (now < 0 && errno != EINTR)) {
            errno = now == 0 ? EIO : errno;
            return -1;
        }
        if (now > 0) {
            bytes += now;
            length -= (size_t)now;
            offset += (uint64_t)now;
        }
    }
    return 0;
}

static int write_chunk(struct sealed *file)
{
    size_t length = chunk_bytes(file, file->index);
    bool last = file->whole && is_last(file, file->index);
    seal_chunk(file->key, file->index, last, file->plain, length, file->scratch);
    if (move(true, file->fd, file->scratch, length + SEAL_OVERHEAD_BYTES,
             file->index * SEAL_CHUNK_BYTES) != 0) {
        return -1;
    }
    file->on_disk = file->on_disk > file->index + 1 ? file->on_disk : file->index + 1;
    file->dirty = false;
    return 0;
}

/* Makes it the chunk at hand. fresh: it will be written over whole, or is not there yet. */
static int take_chunk(struct sealed *file, uint64_t index, bool fresh)
{
    if (file->index == index) {
        return 0;
    }
    if (file->dirty && write_chunk(file) != 0) {
        return -1;
    }
    file->index = NO_CHUNK;
    if (fresh || index >= file->on_disk) {
        memset(file->plain, 0, sizeof file->plain);
        file->index = index;
        return 0;
    }
    size_t length = chunk_bytes(file, index);
    if (move(false, file->fd, file->scratch, length + SEAL_OVERHEAD_BYTES,
             index * SEAL_CHUNK_BYTES) != 0) {
        return -1;
    }
    if (seal_open_chunk(file->key, index, file->whole && is_last(file, index), file->scratch,
                        length + SEAL_OVERHEAD_BYTES, file->plain) != 0) {
        errno = EIO;
        return -1;
    }
    file->index = index;
    return 0;
}

ssize_t sealed_pread(int fd, void *bytes, size_t length, int64_t offset)
{
    struct sealed *file = find(fd);
    if (file == NULL) {
        return pread(fd, bytes, length, offset);
    }
    size_t done = 0;
    while (done < length && offset < file->bytes) {
        uint64_t index = (uint64_t)offset / SEAL_PLAIN_BYTES;
        size_t at = (size_t)((uint64_t)offset % SEAL_PLAIN_BYTES);
        if (take_chunk(file, index, false) != 0) {
            return -1;
        }
        size_t there = chunk_bytes(file, index) - at;
        size_t some = there < length - done ? there : length - done;
        memcpy((char *)bytes + done, file->plain + at, some);
        done += some;
        offset += (int64_t)some;
    }
    return (ssize_t)done;
}

/* Chunks behind the end are there only as far as they were written: a write that leaves a gap fills
 * it with zeros, as a file would. The muxers leave none. */
static int fill_gap(struct sealed *file, int64_t offset)
{
    static const char zeros[4096];
    while (file->bytes < offset) {
        int64_t gap = offset - file->bytes;
        size_t some = gap < (int64_t)sizeof zeros ? (size_t)gap : sizeof zeros;
        if (sealed_pwrite(file->fd, zeros, some, file->bytes) < 0) {
            return -1;
        }
    }
    return 0;
}

ssize_t sealed_pwrite(int fd, const void *bytes, size_t length, int64_t offset)
{
    struct sealed *file = find(fd);
    if (file == NULL) {
        return pwrite(fd, bytes, length, offset);
    }
    if (fill_gap(file, offset) != 0) {
        return -1;
    }
    for (size_t done = 0; done < length;) {
        uint64_t index = (uint64_t)offset / SEAL_PLAIN_BYTES;
        size_t at = (size_t)((uint64_t)offset % SEAL_PLAIN_BYTES);
        size_t room = SEAL_PLAIN_BYTES - at;
        size_t some = room < length - done ? room : length - done;
        if (take_chunk(file, index, some == SEAL_PLAIN_BYTES) != 0) {
            return -1;
        }
        memcpy(file->plain + at, (const char *)bytes + done, some);
        file->dirty = true;
        done += some;
        offset += (int64_t)some;
        file->bytes = offset > file->bytes ? offset : file->bytes;
    }
    return (ssize_t)length;
}

int sealed_finish(int fd)
{
    struct sealed *file = find(fd);
    if (file == NULL || file->whole) {
        return 0;
    }
    int error = 0;
    if (file->bytes > 0) {
        uint64_t last = ((uint64_t)file->bytes - 1) / SEAL_PLAIN_BYTES;
        error = take_chunk(file, last, false);
        file->whole = true;
        error = error != 0 ? error : write_chunk(file);
    }
    file->whole = true;
    return error == 0 ? 0 : error_from_errno(errno);
}
