/* Files and parts of them (reply_file): conditions, ranges (RFC 9110 sections 13 and 14), and the
 * page cache. sendfile of what is not in memory would stop a whole loop, so a loop's handler has
 * the first part looked at (RWF_NOWAIT) and, where it is not there, read in by the pool; from there
 * on the kernel's read-ahead stays in front of the socket. */
#include "net/server.h"

#include "base/error.h"
#include "net/header.h"
#include "net/range.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    LOOK_BYTES = 128 * 1024, /* what libmicrohttpd gives one sendfile */
    WARM_BYTES = 1024 * 1024,
    AHEAD_BYTES = 8 * 1024 * 1024,
};

static bool is_resident(int fd, uint64_t offset)
{
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    ssize_t got = preadv2(fd, &vector, 1, (off_t)offset, RWF_NOWAIT);
    /* A file system without RWF_NOWAIT (EOPNOTSUPP) can't tell: take it for memory's. */
    return got >= 0 || errno != EAGAIN;
}

static bool is_cold(int fd, uint64_t offset, uint64_t length)
{
    if (length == 0) {
        return false;
    }
    uint64_t looked = length < LOOK_BYTES ? length : LOOK_BYTES;
    return !is_resident(fd, offset) || !is_resident(fd, offset + looked - 1);
}

void reply_file_warm(struct request_private *request)
{
    const struct reply *reply = &request->reply;
    uint64_t ahead = reply->length < AHEAD_BYTES ? reply->length : AHEAD_BYTES;
    (void)posix_fadvise(reply->fd, (off_t)reply->offset, (off_t)ahead, POSIX_FADV_WILLNEED);
    char bytes[16 * 1024];
    uint64_t warm = reply->length < WARM_BYTES ? reply->length : WARM_BYTES;
    for (uint64_t at = 0; at < warm; at += sizeof bytes) {
        if (pread(reply->fd, bytes, sizeof bytes, (off_t)(reply->offset + at)) <= 0) {
            return;
        }
    }
}

/* Gives the file back. */
static void drop(const struct reply_file *file)
{
    if (file->read == NULL) {
        (void)close(file->fd);
    } else if (file->done != NULL) {
        file->done(file->argument);
    }
}

static int set_headers(struct request *request, const struct reply_file *file)
{
    int error = reply_header(request, "Accept-Ranges", "bytes");
    if (error == 0 && file->etag != NULL) {
        error = reply_header(request, "ETag", file->etag);
    }
    if (error == 0 && file->modified_ms > 0) {
        char date[HEADER_DATE_SIZE];
        header_date_format(file->modified_ms, date);
        error = reply_header(request, "Last-Modified", date);
    }
    if (error == 0 && file->cache_control != NULL) {
        error = reply_header(request, "Cache-Control", file->cache_control);
    }
    return error;
}

static bool modified_since(const struct reply_file *file, const char *date)
{
    int64_t ms;
    return !header_date_parse(date, &ms) || file->modified_ms / 1000 > ms / 1000;
}

static bool lists_etag(const struct reply_file *file, const char *list, bool weak)
{
    size_t length = file->etag != NULL ? strlen(file->etag) : 0;
    return length > 0 && (header_etag_listed(list, file->etag, weak) ||
                          (file->as_s3 && length >= 2 && strlen(list) == length - 2 &&
                           memcmp(list, file->etag + 1, length - 2) == 0));
}

static bool precondition_fails(struct request *request, const struct reply_file *file)
{
    const char *if_match = request_header(request, "If-Match");
    if (if_match != NULL) {
        return !lists_etag(file, if_match, false);
    }
    const char *since = request_header(request, "If-Unmodified-Since");
    int64_t ms;
    return since != NULL && file->modified_ms > 0 && header_date_parse(since, &ms) &&
           modified_since(file, since);
}

static bool not_modified(struct request *request, const struct reply_file *file)
{
    const char *if_none_match = request_header(request, "If-None-Match");
    if (if_none_match != NULL) {
        return lists_etag(file, if_none_match, true);
    }
    const char *since = request_header(request, "If-Modified-Since");
    return since != NULL && file->modified_ms > 0 && !modified_since(file, since);
}

/* If-Range: a strong tag or the exact date; otherwise the whole is sent. */
static bool range_applies(struct request *request, const struct reply_file *file)
{
    const char *if_range = request_header(request, "If-Range");
    if (if_range == NULL) {
        return true;
    }
    int64_t ms;
    if (if_range[0] == '"') {
        return file->etag != NULL && strcmp(if_range, file->etag) == 0;
    }
    return file->modified_ms > 0 && header_date_parse(if_range, &ms) &&
           file->modified_ms / 1000 == ms / 1000;
}

/* A range of bytes that are made, as a stream. */
struct made {
    struct reply_file file;
    uint64_t at, end;
};

static ssize_t made_read(void *argument, void *bytes, size_t length)
{
    struct made *made = argument;
    uint64_t left = made->end - made->at;
    if (left == 0) {
        return 0;
    }
    ssize_t got = made->file.read(made->file.argument, bytes, left < length ? (size_t)left : length,
                                  made->at);
    if (got > 0) {
        made->at += (uint64_t)got;
    }
    return got != 0 ? got : ERR_CORRUPT;
}

static void made_done(void *argument)
{
    struct made *made = argument;
    drop(&made->file);
    free(made);
}

static int send_made(struct request_private *request, const struct reply_file *file, int status,
                     const struct range *range)
{
    struct made *made = malloc(sizeof *made);
    if (made == NULL) {
        drop(file);
        return ERR_NO_MEMORY;
    }
    *made = (struct made){.file = *file,
                          .at = file->offset + range->first,
                          .end = file->offset + range->first + range->length};
    return reply_stream(&request->request, status, file->content_type, (int64_t)range->length,
                        made_read, made_done, made);
}

static int send_part(struct request_private *request, const struct reply_file *file, int status,
                     const struct range *range)
{
    if (file->read != NULL) {
        return send_made(request, file, status, range);
    }
    int error = reply_header(&request->request, "Content-Type", file->content_type);
    if (error != 0) {
        drop(file);
        return error;
    }
    reply_discard(request);
    struct reply *reply = &request->reply;
    reply->kind = REPLY_FILE;
    reply->status = status;
    reply->fd = file->fd;
    reply->offset = file->offset + range->first;
    reply->length = range->length;
    if (!request->head_only && is_cold(reply->fd, reply->offset, reply->length)) {
        if (request->entry->row->run != ROUTE_LOOP) {
            reply_file_warm(request);
        } else {
            reply->cold = true;
        }
    }
    return 0;
}

/* multipart/byteranges (RFC 9110 section 14.6), made on the pool. */
struct parts {
    struct reply_file file;
    unsigned count, at;
    struct {
        char head[256];
        size_t head_length;
        struct range range;
    } list[RANGES_MAX];
    uint64_t position; /* in the part: its head, then its bytes */
    char tail[64];
    size_t tail_length;
};

/* From an offset of the object. */
static ssize_t file_read(const struct reply_file *file, void *bytes, size_t length, uint64_t offset)
{
    if (file->read != NULL) {
        return file->read(file->argument, bytes, length, file->offset + offset);
    }
    ssize_t got = pread(file->fd, bytes, length, (off_t)(file->offset + offset));
    return got < 0 ? error_from_errno(errno) : got;
}

static ssize_t parts_read(void *argument, void *bytes, size_t length)
{
    struct parts *parts = argument;
    if (parts->at == parts->count) {
        size_t left = parts->tail_length - (size_t)parts->position;
        size_t some = left < length ? left : length;
        memcpy(bytes, parts->tail + parts->position, some);
        parts->position += some;
        return (ssize_t)some;
    }
    size_t head_length = parts->list[parts->at].head_length;
    const struct range *range = &parts->list[parts->at].range;
    ssize_t got;
    if (parts->position < head_length) {
        size_t left = head_length - (size_t)parts->position;
        got = (ssize_t)(left < length ? left : length);
        memcpy(bytes, parts->list[parts->at].head + parts->position, (size_t)got);
    } else {
        uint64_t done = parts->position - head_length;
        uint64_t left = range->length - done;
        got = file_read(&parts->file, bytes, left < length ? (size_t)left : length,
                        range->first + done);
        if (got <= 0) {
            return got < 0 ? got : ERR_CORRUPT;
        }
    }
    parts->position += (uint64_t)got;
    if (parts->position == head_length + range->length) {
        parts->at++;
        parts->position = 0;
    }
    return got;
}

static void parts_done(void *argument)
{
    struct parts *parts = argument;
    drop(&parts->file);
    free(parts);
}

static struct parts *parts_new(const struct reply_file *file, const struct range *ranges,
                               unsigned count, const char *boundary, uint64_t *ret_length)
{
    struct parts *parts = calloc(1, sizeof *parts);
    if (parts == NULL) {
        return NULL;
    }
    parts->file = *file;
    parts->count = count;
    uint64_t length = 0;
    for (unsigned i = 0; i < count; i++) {
        int head = snprintf(parts->list[i].head, sizeof parts->list[i].head,
                            "\r\n--%s\r\nContent-Type: %.120s\r\n"
                            "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
                            boundary, file->content_type, (unsigned long long)ranges[i].first,
                            (unsigned long long)(ranges[i].first + ranges[i].length - 1),
                            (unsigned long long)file->length);
        parts->list[i].head_length = (size_t)head;
        parts->list[i].range = ranges[i];
        length += (uint64_t)head + ranges[i].length;
    }
    parts->tail_length =
        (size_t)snprintf(parts->tail, sizeof parts->tail, "\r\n--%s--\r\n", boundary);
    *ret_length = length + parts->tail_length;
    return parts;
}

static int send_parts(struct request_private *request, const struct reply_file *file,
                      const struct range *ranges, unsigned count)
{
    char boundary[40], type[80];
    (void)snprintf(boundary, sizeof boundary, "%.32s", request->request.call.trace_parent + 3);
    (void)snprintf(type, sizeof type, "multipart/byteranges; boundary=%s", boundary);
    uint64_t length;
    struct parts *parts = parts_new(file, ranges, count, boundary, &length);
    if (parts == NULL) {
        drop(file);
        return ERR_NO_MEMORY;
    }
    return reply_stream(&request->request, 206, type, (int64_t)length, parts_read, parts_done,
                        parts);
}

static int send_ranges(struct request_private *request, const struct reply_file *file,
                       const char *header)
{
    struct request *public_ = &request->request;
    struct range ranges[RANGES_MAX];
    int count = range_parse(header, file->length, ranges);
    char text[96];
    if (count == RANGE_IGNORE) {
        return send_part(request, file, 200, &(struct range){0, file->length});
    }
    if (count == RANGE_UNSATISFIABLE) {
        drop(file);
        (void)snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)file->length);
        int error = reply_header(public_, "Content-Range", text);
        return error != 0 ? error
                          : problem_set(&public_->call.problem, ERR_RANGE,
                                        "The range lies outside of the %llu bytes there are",
                                        (unsigned long long)file->length);
    }
    if (count > 1) {
        return send_parts(request, file, ranges, (unsigned)count);
    }
    (void)snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)ranges[0].first,
                   (unsigned long long)(ranges[0].first + ranges[0].length - 1),
                   (unsigned long long)file->length);
    int error = reply_header(public_, "Content-Range", text);
    if (error != 0) {
        drop(file);
        return error;
    }
    return send_part(request, file, 206, &ranges[0]);
}

int reply_file(struct request *request, const struct reply_file *file)
{
    struct request_private *private_ = request_private(request);
    int error = set_headers(request, file);
    if (error == 0 && precondition_fails(request, file)) {
        error = problem_set(&request->call.problem, ERR_PRECONDITION,
                            "The file is not what If-Match or If-Unmodified-Since says");
    }
    if (error != 0) {
        drop(file);
        return error;
    }
    if (not_modified(request, file)) {
        drop(file);
        return reply_empty(request, 304);
    }
    bool ranges = strcmp(request->method, "GET") == 0 || file->as_s3;
    const char *range = ranges ? request_header(request, "Range") : NULL;
    if (file->range != NULL) {
        return send_ranges(private_, file, file->range);
    }
    if (range != NULL && range_applies(request, file)) {
        return send_ranges(private_, file, range);
    }
    return send_part(private_, file, 200, &(struct range){0, file->length});
}
