/* Reading descriptors for libavformat (io.h). Called by decode.c and the job handlers. */
#include "media/io.h"

#include "base/error.h"
#include "media/output.h"
#include "media/sealed.h"

#include <errno.h>
#include <libavformat/avio.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <unistd.h>

enum { IO_BUFFER_BYTES = 32 * 1024 };

struct io_source {
    int fd;
    int64_t bytes;
    int64_t position;
    AVIOContext *context;
};

static int source_read(void *opaque, uint8_t *buffer, int size)
{
    struct io_source *source = opaque;
    int64_t left = source->bytes - source->position;
    if (left <= 0) {
        return AVERROR_EOF;
    }
    size_t wanted = (size_t)(size < left ? size : left);
    ssize_t got;
    do {
        got = sealed_pread(source->fd, buffer, wanted, source->position);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return AVERROR(errno);
    }
    source->position += got;
    return got == 0 ? AVERROR_EOF : (int)got;
}

static int64_t source_seek(void *opaque, int64_t offset, int whence)
{
    struct io_source *source = opaque;
    int64_t target;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return source->bytes;
    case SEEK_SET:
        target = offset;
        break;
    case SEEK_CUR:
        target = source->position + offset;
        break;
    case SEEK_END:
        target = source->bytes + offset;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (target < 0) {
        return AVERROR(EINVAL);
    }
    source->position = target; /* past the end is allowed: the next read says end of file */
    return target;
}

struct io_source *io_source_new(int fd, int64_t bytes)
{
    struct io_source *source = calloc(1, sizeof *source);
    unsigned char *buffer = av_malloc(IO_BUFFER_BYTES);
    if (source != NULL && buffer != NULL) {
        source->fd = fd;
        source->bytes = bytes;
        source->context =
            avio_alloc_context(buffer, IO_BUFFER_BYTES, 0, source, source_read, NULL, source_seek);
    }
    if (source == NULL || source->context == NULL) {
        av_free(buffer);
        free(source);
        return NULL;
    }
    return source;
}

void io_source_free(struct io_source *source)
{
    if (source == NULL) {
        return;
    }
    av_freep(&source->context->buffer); /* libav may have replaced ours */
    avio_context_free(&source->context);
    free(source);
}

AVIOContext *io_source_context(struct io_source *source)
{
    return source->context;
}

int io_read_all(int fd, int64_t bytes, int64_t bytes_max, int padding_bytes, uint8_t **ret_data)
{
    if (bytes < 0 || bytes > bytes_max) {
        return ERR_TOO_LARGE;
    }
    uint8_t *data = calloc(1, (size_t)bytes + (size_t)padding_bytes);
    if (data == NULL) {
        return ERR_NO_MEMORY;
    }
    for (int64_t done = 0; done < bytes;) {
        ssize_t got = sealed_pread(fd, data + done, (size_t)(bytes - done), done);
        if (got > 0) {
            done += got;
        } else if (got == 0 || errno != EINTR) {
            free(data);
            return ERR_IO;
        }
    }
    *ret_data = data;
    return 0;
}

int io_write_all(int fd, const void *data, int64_t bytes)
{
    return output_write(fd, 0, data, (size_t)bytes);
}
