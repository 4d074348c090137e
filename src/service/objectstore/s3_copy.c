/* CopyObject and UploadPartCopy: bytes that are in the store already. A whole object is copied by
 * the engine (a link, where it can); the bytes of a part are read and written again, since its ETag
 * is their MD5. On the pool. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/header.h"
#include "service/objectstore/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_BYTES = 256 * 1024 };

struct source {
    const char *bucket, *key;
    const char *if_match; /* without quotes; NULL: any */
};

/* x-amz-copy-source: [/]bucket/key, percent-encoded. Decoded in place of a copy. */
static int read_name(struct request *request, struct source *source)
{
    char *text = arena_strdup(request->call.arena, request_header(request, "x-amz-copy-source"));
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    if (strstr(text, "?versionId=") != NULL) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED, "Objects have no versions here");
    }
    char *to = text, *end = text + strlen(text);
    for (const char *from = text; from < end; from++) {
        int byte = text_percent_byte(from, (size_t)(end - from));
        *to++ = byte > 0 ? (char)byte : *from;
        from += byte > 0 ? 2 : 0;
    }
    *to = '\0';
    char *bucket = text + (text[0] == '/');
    char *slash = strchr(bucket, '/');
    if (slash == NULL) {
        return s3_fail_with(request, S3_ARGUMENT, "x-amz-copy-source must be /bucket/key");
    }
    *slash = '\0';
    source->bucket = bucket;
    source->key = slash + 1;
    return blob_key_valid(source->key) ? 0 : s3_fail(request, S3_ARGUMENT);
}

/* A condition of time: whether the source changed after it. A date that is none says nothing. */
static bool changed_since(const char *date, const struct blob_stat *stat, bool otherwise)
{
    int64_t ms = 0;
    return header_date_parse(date, &ms) ? stat->modified_ms / 1000 > ms / 1000 : otherwise;
}

/* The conditions beside x-amz-copy-source-if-match, which wins over if-unmodified-since as
 * if-none-match does over if-modified-since. What was looked at is what is copied, by its ETag. */
static int check_source(struct request *request, struct source *source)
{
    const char *none = request_header(request, "x-amz-copy-source-if-none-match");
    const char *since = request_header(request, "x-amz-copy-source-if-modified-since");
    const char *not_since = request_header(request, "x-amz-copy-source-if-unmodified-since");
    struct blob_stat stat;
    if (none == NULL && since == NULL && not_since == NULL) {
        return 0;
    }
    int error = blob_stat(s3_store(request)->blobs, source->bucket, source->key, &stat);
    if (error != 0) {
        return s3_fail_object(request, source->bucket, error);
    }
    const char *bare = s3_bare_etag(request, none);
    bool fails =
        (bare != NULL && (strcmp(bare, "*") == 0 || strcmp(bare, stat.etag) == 0)) ||
        (none == NULL && since != NULL && !changed_since(since, &stat, true)) ||
        (source->if_match == NULL && not_since != NULL && changed_since(not_since, &stat, false));
    if (source->if_match == NULL) {
        source->if_match = arena_strdup(request->call.arena, stat.etag);
    }
    return fails ? s3_fail(request, S3_PRECONDITION) : source->if_match != NULL ? 0 : ERR_NO_MEMORY;
}

/* Who asks must be allowed to read the source too. We ourselves copy without HTTP, so the internal
 * key signs no copies. */
static int read_source(struct request *request, const struct s3_access *access,
                       struct source *source)
{
    source->if_match = s3_bare_etag(request, request_header(request, "x-amz-copy-source-if-match"));
    int error = read_name(request, source);
    if (error == 0 && (access->internal || !s3_may_touch(access, source->bucket))) {
        error = s3_fail(request, S3_ACCESS_DENIED);
    }
    return error != 0 ? error : check_source(request, source);
}

static int reply_copy(struct request *request, const char *element, const struct blob_stat *stat)
{
    struct buffer out;
    buffer_init(&out, S3_ANSWER_BYTES_MAX);
    (void)buffer_printf(&out, S3_XML_HEAD "<%s " S3_XML_NAMESPACE ">", element);
    s3_xml_time(&out, "LastModified", stat->modified_ms);
    s3_xml_etag(&out, stat->etag);
    (void)buffer_printf(&out, "</%s>", element);
    return s3_xml_reply(request, 200, &out);
}

/* x-amz-metadata-directive: COPY (false) or REPLACE (true). */
static int read_directive(struct request *request, bool *ret_replace)
{
    const char *directive = request_header(request, "x-amz-metadata-directive");
    *ret_replace = directive != NULL && strcmp(directive, "REPLACE") == 0;
    return directive == NULL || *ret_replace || strcmp(directive, "COPY") == 0
               ? 0
               : s3_fail_with(request, S3_ARGUMENT,
                              "x-amz-metadata-directive must be COPY or REPLACE");
}

/* Of what is missing, the bucket that is written to is told first. */
static int fail_copy(struct request *request, const char *source_bucket, const char *bucket,
                     int code)
{
    int64_t created_ms = 0;
    bool there = code != ERR_NOT_FOUND ||
                 blob_bucket_stat(s3_store(request)->blobs, bucket, &created_ms) == 0;
    return s3_fail_object(request, there ? source_bucket : bucket, code);
}

int s3_copy(struct request *request, const struct s3_access *access, const char *bucket,
            const char *key)
{
    struct source source = {0};
    struct blob_meta meta = {0};
    struct blob_condition condition;
    struct blob_stat stat;
    bool replace = false;
    int error = read_source(request, access, &source);
    error = error != 0 ? error : s3_condition(request, &condition);
    error = error != 0 ? error : read_directive(request, &replace);
    bool same = error == 0 && strcmp(source.bucket, bucket) == 0 && strcmp(source.key, key) == 0;
    if (same && !replace) {
        error = s3_fail_with(request, S3_REQUEST,
                             "A copy of an object onto itself needs another description: "
                             "x-amz-metadata-directive: REPLACE");
    }
    if (error == 0 && replace) {
        error = s3_meta_read(request, &meta);
    }
    if (error != 0) {
        return error;
    }
    error = blob_copy_if(s3_store(request)->blobs, source.bucket, source.key, source.if_match,
                         bucket, key, replace ? &meta : NULL, &condition, &stat);
    return error != 0 ? fail_copy(request, source.bucket, bucket, error)
                      : reply_copy(request, "CopyObjectResult", &stat);
}

/* Parts. */

/* x-amz-copy-source-range: bytes=FIRST-LAST, both said, within the source. */
static int read_range(struct request *request, uint64_t bytes, uint64_t *ret_first,
                      uint64_t *ret_length)
{
    const char *text = request_header(request, "x-amz-copy-source-range");
    *ret_first = 0;
    *ret_length = bytes;
    if (text == NULL) {
        return 0;
    }
    char *copy = arena_strdup(request->call.arena, text);
    char *dash = copy != NULL ? strchr(copy, '-') : NULL;
    int64_t first = 0;
    int64_t last = 0;
    if (dash != NULL) {
        *dash = '\0';
    }
    if (dash == NULL || strncmp(copy, "bytes=", 6) != 0 ||
        !text_number(copy + 6, 0, INT64_MAX, &first) ||
        !text_number(dash + 1, first, INT64_MAX, &last)) {
        return s3_fail_with(request, S3_ARGUMENT,
                            "x-amz-copy-source-range must be bytes=FIRST-LAST");
    }
    if ((uint64_t)last >= bytes) {
        return s3_fail_with(request, S3_ARGUMENT, "x-amz-copy-source-range ends behind the source");
    }
    *ret_first = (uint64_t)first;
    *ret_length = (uint64_t)(last - first) + 1;
    return 0;
}

static int copy_bytes(struct blob_writer *writer, struct blob_reader *reader, uint64_t at,
                      uint64_t length)
{
    char *bytes CLEANUP_FREE = malloc(COPY_BYTES);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    while (length > 0) {
        size_t some = length < COPY_BYTES ? (size_t)length : COPY_BYTES;
        ssize_t got = blob_reader_read(reader, bytes, some, at);
        if (got <= 0) {
            return got < 0 ? (int)got : ERR_CORRUPT;
        }
        int error = blob_put_write(writer, bytes, (size_t)got);
        if (error != 0) {
            return error;
        }
        at += (uint64_t)got;
        length -= (uint64_t)got;
    }
    return 0;
}

static int write_part(struct request *request, const char *bucket, const char *key,
                      struct blob_reader *reader, uint64_t first, uint64_t length)
{
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    int error = s3_part_open(request, bucket, key, &writer);
    if (error != 0) {
        return error;
    }
    error = copy_bytes(writer, reader, first, length);
    if (error != 0) {
        blob_put_abort(writer);
        return s3_fail_code(request, error);
    }
    error = blob_put_commit(writer, false, &stat);
    if (error == ERR_NOT_FOUND) {
        return s3_fail(request, S3_NO_UPLOAD);
    }
    return error != 0 ? s3_fail_code(request, error) : reply_copy(request, "CopyPartResult", &stat);
}

/* The part of the source that is asked for. */
static int copy_range(struct request *request, const char *bucket, const char *key,
                      const struct source *source, const struct blob_stat *stat,
                      struct blob_reader *reader)
{
    uint64_t first = 0;
    uint64_t length = 0;
    if (source->if_match != NULL && strcmp(source->if_match, stat->etag) != 0) {
        return s3_fail(request, S3_PRECONDITION);
    }
    int error = read_range(request, stat->bytes, &first, &length);
    if (error == 0 && length > S3_OBJECT_BYTES_MAX) {
        error = s3_fail(request, S3_TOO_LARGE);
    }
    return error != 0 ? error : write_part(request, bucket, key, reader, first, length);
}

int s3_copy_part(struct request *request, const struct s3_access *access, const char *bucket,
                 const char *key)
{
    struct source source = {0};
    struct blob_source file;
    struct blob_stat stat;
    struct blob_reader *reader = NULL;
    int error = read_source(request, access, &source);
    if (error != 0) {
        return error;
    }
    error = blob_open(s3_store(request)->blobs, source.bucket, source.key, &file, &stat);
    if (error != 0) {
        return s3_fail_object(request, source.bucket, error);
    }
    error = blob_reader_new(&file, &reader);
    error = error != 0 ? error : copy_range(request, bucket, key, &source, &stat, reader);
    blob_reader_free(reader);
    return error;
}
