/* ListMultipartUploads: what was begun to a bucket and not ended, by key and then by id. Uploads
 * stand in no order on disk, so all are looked at and the first page's worth behind the markers is
 * kept, sorted. On the pool. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/text.h"
#include "service/objectstore/s3_xml.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_MAX = 1000 };

struct upload {
    int64_t begun_ms;
    char id[BLOB_UPLOAD_ID_MAX];
    char key[BLOB_KEY_MAX + 1];
};

struct page {
    const char *prefix, *key_marker, *id_marker;
    struct upload **list; /* of max + 1, sorted; each allocated */
    unsigned count, max;
};

static int compare(const char *left_key, const char *left_id, const char *right_key,
                   const char *right_id)
{
    int keys = strcmp(left_key, right_key);
    return keys != 0 ? keys : strcmp(left_id, right_id);
}

/* A key marker alone stands behind all uploads of its key. */
static bool is_told(const struct page *page, const char *key, const char *id)
{
    return page->id_marker[0] != '\0'
               ? compare(key, id, page->key_marker, page->id_marker) <= 0
               : page->key_marker[0] != '\0' && strcmp(key, page->key_marker) <= 0;
}

static int visit(void *argument, const char *key, const char *id, int64_t begun_ms)
{
    struct page *page = argument;
    if (strncmp(key, page->prefix, strlen(page->prefix)) != 0 || is_told(page, key, id)) {
        return 0;
    }
    unsigned at = page->count;
    while (at > 0 && compare(key, id, page->list[at - 1]->key, page->list[at - 1]->id) < 0) {
        at--;
    }
    if (at > page->max) {
        return 0;
    }
    struct upload *upload = page->count > page->max ? page->list[--page->count] : NULL;
    if (upload == NULL) {
        upload = malloc(sizeof *upload);
    }
    if (upload == NULL) {
        return ERR_NO_MEMORY;
    }
    upload->begun_ms = begun_ms;
    (void)text_copy(upload->id, sizeof upload->id, id);
    (void)text_copy(upload->key, sizeof upload->key, key);
    memmove(&page->list[at + 1], &page->list[at], (page->count - at) * sizeof(struct upload *));
    page->list[at] = upload;
    page->count++;
    return 0;
}

static void page_done(void *argument)
{
    struct page *page = argument;
    for (unsigned i = 0; i < page->count; i++) {
        free(page->list[i]);
    }
}

static int read_query(struct request *request, struct page *page)
{
    const char *prefix = request_query(request, "prefix");
    const char *key = request_query(request, "key-marker");
    const char *id = request_query(request, "upload-id-marker");
    const char *delimiter = request_query(request, "delimiter");
    int64_t max = PAGE_MAX;
    if (request_query_number(request, "max-uploads", 0, INT32_MAX, PAGE_MAX, &max) != 0) {
        return s3_fail_with(request, S3_ARGUMENT, "max-uploads must be a number from 0");
    }
    if (delimiter != NULL && delimiter[0] != '\0') {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED, "Uploads are listed without delimiter");
    }
    page->prefix = prefix != NULL ? prefix : "";
    page->key_marker = key != NULL ? key : "";
    page->id_marker = id != NULL && key != NULL ? id : "";
    page->max = max < PAGE_MAX ? (unsigned)max : PAGE_MAX;
    /* a pointer each: NOLINTNEXTLINE(bugprone-sizeof-expression) */
    page->list = arena_array(request->call.arena, PAGE_MAX + 2, sizeof *page->list);
    return page->list != NULL ? arena_at_end(request->call.arena, page_done, page) : ERR_NO_MEMORY;
}

static void add_upload(struct buffer *out, const struct upload *upload, bool url)
{
    (void)buffer_add(out, "<Upload>");
    s3_xml_text(out, "Key", upload->key, url);
    s3_xml_text(out, "UploadId", upload->id, false);
    (void)buffer_add(out, "<StorageClass>STANDARD</StorageClass>");
    s3_xml_time(out, "Initiated", upload->begun_ms);
    (void)buffer_add(out, "</Upload>");
}

int s3_list_uploads(struct request *request, const char *bucket)
{
    struct page *page = arena_new_of(request->call.arena, struct page);
    int error = page != NULL ? read_query(request, page) : ERR_NO_MEMORY;
    if (error != 0) {
        return error;
    }
    error = blob_multipart_uploads(s3_store(request)->blobs, bucket, visit, page);
    if (error != 0) {
        return s3_fail_object(request, bucket, error);
    }
    bool url = s3_asks(request, "encoding-type");
    unsigned count = page->count < page->max ? page->count : page->max;
    bool truncated = page->count > count && count > 0; /* with none asked for there is no next */
    struct buffer out;
    buffer_init(&out, S3_ANSWER_BYTES_MAX);
    (void)buffer_add(&out, S3_XML_HEAD "<ListMultipartUploadsResult " S3_XML_NAMESPACE ">");
    s3_xml_text(&out, "Bucket", bucket, false);
    s3_xml_text(&out, "KeyMarker", page->key_marker, url);
    s3_xml_text(&out, "UploadIdMarker", page->id_marker, false);
    s3_xml_text(&out, "Prefix", page->prefix, url);
    s3_xml_number(&out, "MaxUploads", page->max);
    if (url) {
        (void)buffer_add(&out, "<EncodingType>url</EncodingType>");
    }
    if (truncated) {
        s3_xml_text(&out, "NextKeyMarker", page->list[count - 1]->key, url);
        s3_xml_text(&out, "NextUploadIdMarker", page->list[count - 1]->id, false);
    }
    (void)buffer_printf(&out, "<IsTruncated>%s</IsTruncated>", truncated ? "true" : "false");
    for (unsigned i = 0; i < count; i++) {
        add_upload(&out, page->list[i], url);
    }
    (void)buffer_add(&out, "</ListMultipartUploadsResult>");
    return s3_xml_reply(request, 200, &out);
}
