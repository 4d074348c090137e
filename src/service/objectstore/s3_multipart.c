/* Uploads in parts: create, list parts, complete, abort. On the pool. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "service/objectstore/s3_xml.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS_PAGE_MAX = 1000 };

static void begin(struct buffer *out, const char *element)
{
    buffer_init(out, S3_ANSWER_BYTES_MAX);
    (void)buffer_printf(out, S3_XML_HEAD "<%s " S3_XML_NAMESPACE ">", element);
}

static int fail_upload(struct request *request, const char *bucket, int code)
{
    int64_t created_ms = 0;
    if (code == ERR_NOT_FOUND &&
        blob_bucket_stat(s3_store(request)->blobs, bucket, &created_ms) == 0) {
        return s3_fail(request, S3_NO_UPLOAD);
    }
    return s3_fail_object(request, bucket, code);
}

/* Whether the condition holds now, so that who can't win sends no parts. What counts is whether it
 * holds once they are joined, and is said again then. */
static int check_condition(struct request *request, const char *bucket, const char *key,
                           const struct blob_condition *condition)
{
    struct blob_stat stat;
    if (!condition->if_none_match && condition->if_match == NULL) {
        return 0;
    }
    int error = blob_stat(s3_store(request)->blobs, bucket, key, &stat);
    if (condition->if_none_match && error == ERR_NOT_FOUND) {
        return 0;
    }
    if (error != 0) {
        return s3_fail_object(request, bucket, error);
    }
    bool holds = !condition->if_none_match && (strcmp(condition->if_match, "*") == 0 ||
                                               strcmp(condition->if_match, stat.etag) == 0);
    return holds ? 0 : s3_fail(request, S3_PRECONDITION);
}

int s3_multipart_create(struct request *request, const char *bucket, const char *key)
{
    struct blob_condition condition;
    struct blob_meta meta = {0};
    char id[BLOB_UPLOAD_ID_MAX];
    int error = s3_condition(request, &condition);
    error = error != 0 ? error : check_condition(request, bucket, key, &condition);
    error = error != 0 ? error : s3_meta_read(request, &meta);
    if (error != 0) {
        return error;
    }
    error = blob_multipart_create(s3_store(request)->blobs, bucket, key, &meta, id);
    if (error != 0) {
        return s3_fail_object(request, bucket, error);
    }
    struct buffer out;
    begin(&out, "InitiateMultipartUploadResult");
    s3_xml_text(&out, "Bucket", bucket, false);
    s3_xml_text(&out, "Key", key, false);
    s3_xml_text(&out, "UploadId", id, false);
    (void)buffer_add(&out, "</InitiateMultipartUploadResult>");
    return s3_xml_reply(request, 200, &out);
}

struct page {
    struct buffer *out;
    unsigned count, max, last;
    bool truncated;
};

static int visit_part(void *argument, const struct blob_part *part)
{
    struct page *page = argument;
    if (page->count == page->max) {
        page->truncated = page->max > 0; /* with none asked for there is no next page */
        return 1;
    }
    page->count++;
    page->last = part->number;
    (void)buffer_add(page->out, "<Part>");
    s3_xml_number(page->out, "PartNumber", part->number);
    s3_xml_time(page->out, "LastModified", part->modified_ms);
    s3_xml_etag(page->out, part->etag);
    s3_xml_number(page->out, "Size", (int64_t)part->bytes);
    (void)buffer_add(page->out, "</Part>");
    return 0;
}

int s3_multipart_list(struct request *request, const char *bucket, const char *key)
{
    const char *id = request_query(request, "uploadId");
    int64_t after = 0;
    int64_t max = PARTS_PAGE_MAX;
    if (request_query_number(request, "part-number-marker", 0, BLOB_PART_NUMBER_MAX, 0, &after) !=
            0 ||
        request_query_number(request, "max-parts", 0, INT32_MAX, PARTS_PAGE_MAX, &max) != 0) {
        return s3_fail_with(request, S3_ARGUMENT,
                            "part-number-marker and max-parts must be numbers from 0");
    }
    struct buffer out;
    struct page page = {.out = &out, .last = (unsigned)after};
    page.max = max < PARTS_PAGE_MAX ? (unsigned)max : PARTS_PAGE_MAX;
    begin(&out, "ListPartsResult");
    s3_xml_text(&out, "Bucket", bucket, false);
    s3_xml_text(&out, "Key", key, false);
    s3_xml_text(&out, "UploadId", id, false);
    (void)buffer_add(&out, "<StorageClass>STANDARD</StorageClass>");
    int error = blob_multipart_list(s3_store(request)->blobs, bucket, key, id, (unsigned)after,
                                    page.max + 1, visit_part, &page);
    if (error < 0) {
        buffer_done(&out);
        return fail_upload(request, bucket, error);
    }
    s3_xml_number(&out, "PartNumberMarker", after);
    s3_xml_number(&out, "NextPartNumberMarker", page.last);
    s3_xml_number(&out, "MaxParts", page.max);
    (void)buffer_printf(&out, "<IsTruncated>%s</IsTruncated></ListPartsResult>",
                        page.truncated ? "true" : "false");
    return s3_xml_reply(request, 200, &out);
}

/* The parts the body names (arena); their number or an error. */
static int read_parts(struct request *request, struct blob_part **ret_parts)
{
    size_t length = 0;
    const void *body = request_body(request, &length);
    struct blob_part *parts = calloc(BLOB_PART_NUMBER_MAX, sizeof *parts);
    if (parts == NULL || arena_at_end(request->call.arena, free, parts) != 0) {
        free(parts);
        return ERR_NO_MEMORY;
    }
    int count = s3_xml_parts(body != NULL ? body : "", length, parts, BLOB_PART_NUMBER_MAX);
    if (count == ERR_MALFORMED || count == 0) {
        return s3_fail(request, S3_XML);
    }
    if (count < 0) {
        return count;
    }
    *ret_parts = parts;
    return count;
}

static int fail_complete(struct request *request, const char *bucket, int code)
{
    const char *words = request->call.problem.detail;
    switch (code) {
    case ERR_CONFLICT:
        return s3_fail(request, S3_PART_ORDER);
    case ERR_PRECONDITION: /* without words: the condition, not a part */
        return words[0] == '\0'
                   ? s3_fail(request, S3_PRECONDITION)
                   : s3_fail_with(request, S3_PART, arena_strdup(request->call.arena, words));
    case ERR_RANGE:
        return s3_fail_with(request, S3_TOO_SMALL, arena_strdup(request->call.arena, words));
    default:
        return fail_upload(request, bucket, code);
    }
}

int s3_multipart_complete(struct request *request, const char *bucket, const char *key)
{
    struct objectstore *store = s3_store(request);
    struct blob_condition condition;
    struct blob_part *parts = NULL;
    int error = s3_condition(request, &condition);
    int count = error == 0 ? read_parts(request, &parts) : error;
    if (count < 0) {
        return count;
    }
    struct blob_stat stat;
    error = s3_check_parts(request, bucket, key, parts, (unsigned)count);
    if (error != 0) {
        return error;
    }
    error = blob_multipart_complete_if(store->blobs, bucket, key,
                                       request_query(request, "uploadId"), parts, (unsigned)count,
                                       &condition, &stat, &request->call.problem);
    if (error != 0) {
        return fail_complete(request, bucket, error);
    }
    struct buffer out;
    begin(&out, "CompleteMultipartUploadResult");
    s3_xml_text(&out, "Location", request->path, false);
    s3_xml_text(&out, "Bucket", bucket, false);
    s3_xml_text(&out, "Key", key, false);
    s3_xml_etag(&out, stat.etag);
    (void)buffer_add(&out, "</CompleteMultipartUploadResult>");
    return s3_xml_reply(request, 200, &out);
}

int s3_multipart_abort(struct request *request, const char *bucket, const char *key)
{
    int error = blob_multipart_abort(s3_store(request)->blobs, bucket, key,
                                     request_query(request, "uploadId"));
    return error != 0 ? fail_upload(request, bucket, error) : reply_empty(request, 204);
}
