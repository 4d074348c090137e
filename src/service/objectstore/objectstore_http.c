/* The routes of the built-in store (objectstore.h). A query parameter chooses among the operations
 * of one method, as in S3. All on the pool: each touches the disk. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/objectstore/s3_xml.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What every operation begins with. */
static int begin(struct request *request, struct s3_access *ret_access, const char **ret_bucket,
                 const char **ret_key)
{
    int error = s3_object_names(request, ret_bucket, ret_key);
    error = error != 0 ? error : s3_authorize(request, *ret_bucket, ret_access);
    error = error != 0 ? error : s3_allow(request, *ret_bucket, *ret_key);
    return error != 0 ? error : s3_cors(request);
}

/* A header that the query of a signed GET may replace (response-content-type …). */
static const char * override(struct request *request, const char *name, const char *otherwise)
{
    const char *value = request_query(request, name);
    for (const char *at = value; at != NULL && *at != '\0'; at++) {
        if (iscntrl((unsigned char)*at)) {
            return otherwise;
        }
    }
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* The headers kept with the object, and those the query says instead. */
static int tell_headers(struct request *request, const struct blob_source *source,
                        const struct blob_stat *stat, struct reply_file *file)
{
    static const char *const names[][2] = {
        {"response-content-disposition", "Content-Disposition"},
        {"response-content-encoding", "Content-Encoding"},
        {"response-content-language", "Content-Language"},
        {"response-expires", "Expires"},
    };
    char *kept = arena_alloc(request->call.arena, BLOB_HEADERS_MAX + 1);
    int error = kept != NULL ? blob_read_headers(s3_store(request)->blobs, source, stat, kept)
                             : ERR_NO_MEMORY;
    error = error != 0 ? error : s3_meta_reply(request, kept, file);
    for (unsigned i = 0; error == 0 && i < COUNT_OF(names); i++) {
        const char *value = override(request, names[i][0], NULL);
        error = value != NULL ? reply_header(request, names[i][1], value) : 0;
    }
    return error;
}

/* Of how many parts the object was made, and how long each but the last is. What came whole is its
 * own only part. False: nothing tells. */
static bool find_parts(const struct blob_stat *stat, int64_t *ret_count, uint64_t *ret_bytes)
{
    const char *dash = strchr(stat->etag, '-');
    *ret_count = 1;
    *ret_bytes = stat->bytes;
    if (dash != NULL && !text_number(dash + 1, 1, BLOB_PART_NUMBER_MAX, ret_count)) {
        return false;
    }
    if (*ret_count > 1) {
        *ret_bytes = stat->part_bytes;
    }
    uint64_t before_last = (uint64_t)(*ret_count - 1) * *ret_bytes;
    return *ret_count == 1 ||
           (before_last < stat->bytes && stat->bytes - before_last <= *ret_bytes);
}

/* partNumber: the range that this part was. */
static int choose_part(struct request *request, const struct blob_stat *stat,
                       struct reply_file *file)
{
    const char *text = request_query(request, "partNumber");
    int64_t number = 0;
    int64_t count = 0;
    uint64_t bytes = 0;
    if (text == NULL) {
        return 0;
    }
    if (!text_number(text, 1, BLOB_PART_NUMBER_MAX, &number)) {
        return s3_fail_with(request, S3_ARGUMENT, "partNumber must be 1 to 10000");
    }
    if (request_header(request, "Range") != NULL) {
        return s3_fail_with(request, S3_REQUEST, "Either Range or partNumber can be asked for");
    }
    if (!find_parts(stat, &count, &bytes)) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "The parts of this object are not known any more");
    }
    if (number > count) {
        return s3_fail(request, S3_PART_NUMBER);
    }
    if (stat->bytes > 0) { /* of nothing there is no range */
        uint64_t first = (uint64_t)(number - 1) * bytes;
        file->range = arena_printf(request->call.arena, "bytes=%" PRIu64 "-%" PRIu64, first,
                                   first + bytes - 1);
    }
    char counted[24];
    (void)snprintf(counted, sizeof counted, "%" PRId64, count);
    return stat->bytes > 0 && file->range == NULL ? ERR_NO_MEMORY
           : strchr(stat->etag, '-') != NULL
               ? reply_header(request, "x-amz-mp-parts-count", counted)
               : 0;
}

static int get_object(struct request *request, const char *bucket, const char *key)
{
    struct blob_source source;
    struct blob_stat stat;
    int error = blob_open(s3_store(request)->blobs, bucket, key, &source, &stat);
    if (error != 0) {
        return s3_fail_object(request, bucket, error);
    }
    char etag[BLOB_ETAG_MAX + 2];
    (void)snprintf(etag, sizeof etag, "\"%s\"", stat.etag);
    struct reply_file file = {
        .content_type = stat.content_type,
        .etag = etag,
        .modified_ms = stat.modified_ms,
        .cache_control = stat.cache_control[0] != '\0' ? stat.cache_control : NULL,
        .as_s3 = true,
    };
    error = tell_headers(request, &source, &stat, &file);
    error = error != 0 ? error : choose_part(request, &stat, &file);
    file.content_type = override(request, "response-content-type", file.content_type);
    file.cache_control = override(request, "response-cache-control", file.cache_control);
    if (error != 0) {
        blob_source_close(&source);
        return error;
    }
    return blob_reply(request, &source, &file);
}

/* No object has tags, and clients that copy one in parts ask for them first. */
static int get_tagging(struct request *request, const char *bucket, const char *key)
{
    static const char none[] = S3_XML_HEAD "<Tagging " S3_XML_NAMESPACE "><TagSet/></Tagging>";
    struct blob_stat stat;
    int error = blob_stat(s3_store(request)->blobs, bucket, key, &stat);
    return error != 0 ? s3_fail_object(request, bucket, error)
                      : reply_bytes(request, 200, "application/xml", none, sizeof none - 1, true);
}

/* A property of a bucket that is the same for all: an empty element says "us-east-1" of the
 * location and "never" of versions. */
static int bucket_property(struct request *request, const char *bucket, const char *element)
{
    int64_t created_ms = 0;
    int error = blob_bucket_stat(s3_store(request)->blobs, bucket, &created_ms);
    if (error != 0) {
        return s3_fail_object(request, bucket, error);
    }
    const char *text =
        arena_printf(request->call.arena, S3_XML_HEAD "<%s " S3_XML_NAMESPACE "/>", element);
    return text != NULL ? reply_bytes(request, 200, "application/xml", text, strlen(text), true)
                        : ERR_NO_MEMORY;
}

static int head_bucket(struct request *request, const char *bucket)
{
    int64_t created_ms = 0;
    int error = blob_bucket_stat(s3_store(request)->blobs, bucket, &created_ms);
    return error != 0 ? s3_fail_object(request, bucket, error) : reply_empty(request, 200);
}

static int get(struct request *request)
{
    struct s3_access access;
    const char *bucket = NULL;
    const char *key = NULL;
    int error = begin(request, &access, &bucket, &key);
    if (error != 0) {
        return error;
    }
    if (key[0] != '\0' && s3_asks(request, "uploadId")) {
        return s3_multipart_list(request, bucket, key);
    }
    if (key[0] != '\0' && s3_asks(request, "tagging")) {
        return get_tagging(request, bucket, key);
    }
    if (key[0] != '\0') {
        return get_object(request, bucket, key);
    }
    if (strcmp(request->method, "HEAD") == 0) {
        return head_bucket(request, bucket);
    }
    if (s3_asks(request, "uploads")) {
        return s3_list_uploads(request, bucket);
    }
    if (s3_asks(request, "location")) {
        return bucket_property(request, bucket, "LocationConstraint");
    }
    return s3_asks(request, "versioning")
               ? bucket_property(request, bucket, "VersioningConfiguration")
               : s3_list_objects(request, bucket);
}

static int get_buckets(struct request *request)
{
    struct s3_access access;
    int error = s3_authorize(request, NULL, &access);
    error = error != 0 ? error : s3_allow(request, NULL, NULL);
    error = error != 0 ? error : s3_cors(request);
    return error != 0 ? error : s3_list_buckets(request, &access);
}

static int put_object(struct request *request)
{
    struct blob_condition condition;
    struct blob_stat stat;
    int error = s3_condition(request, &condition);
    error = error != 0 ? error
                       : s3_body_finish(request, request_sink_state(request), &condition, &stat);
    if (error != 0) {
        return error;
    }
    char etag[BLOB_ETAG_MAX + 2];
    (void)snprintf(etag, sizeof etag, "\"%s\"", stat.etag);
    error = reply_header(request, "ETag", etag);
    return error != 0 ? error : reply_empty(request, 200);
}

static int create_bucket(struct request *request, const char *bucket)
{
    int error = blob_bucket_create(s3_store(request)->blobs, bucket);
    if (error == ERR_EXISTS) {
        return s3_fail(request, S3_BUCKET_EXISTS);
    }
    return error != 0 ? s3_fail_object(request, bucket, error) : reply_empty(request, 200);
}

/* The sink has authorized the request and allowed it. Not again by the clock of now: a signature
 * holds for what was begun in time, however long the body took. */
static int put(struct request *request)
{
    const struct s3_access *access = s3_body_access(request_sink_state(request));
    const char *bucket = NULL;
    const char *key = NULL;
    int error = s3_object_names(request, &bucket, &key);
    error = error != 0 ? error : s3_cors(request);
    if (error != 0) {
        return error;
    }
    if (request_header(request, "x-amz-copy-source") == NULL) {
        return put_object(request);
    }
    return s3_asks(request, "uploadId") ? s3_copy_part(request, access, bucket, key)
                                        : s3_copy(request, access, bucket, key);
}

static int put_bucket(struct request *request)
{
    struct s3_access access;
    const char *bucket = NULL;
    const char *key = NULL;
    int error = begin(request, &access, &bucket, &key);
    error = error != 0 ? error : s3_check_small_body(request, &access, true);
    return error != 0 ? error : create_bucket(request, bucket);
}

static int post(struct request *request)
{
    struct s3_access access;
    const char *bucket = NULL;
    const char *key = NULL;
    int error = begin(request, &access, &bucket, &key);
    bool completes = error == 0 && key[0] != '\0' && s3_asks(request, "uploadId");
    error = error != 0 ? error : s3_check_small_body(request, &access, !completes);
    if (error != 0) {
        return error;
    }
    if (key[0] == '\0' && s3_asks(request, "delete")) {
        return s3_delete_objects(request, bucket);
    }
    if (key[0] != '\0' && s3_asks(request, "uploads")) {
        return s3_multipart_create(request, bucket, key);
    }
    if (key[0] != '\0' && s3_asks(request, "uploadId")) {
        return s3_multipart_complete(request, bucket, key);
    }
    return s3_fail(request, S3_NOT_IMPLEMENTED);
}

static int delete (struct request *request)
{
    struct s3_access access;
    const char *bucket = NULL;
    const char *key = NULL;
    int error = begin(request, &access, &bucket, &key);
    if (error != 0) {
        return error;
    }
    if (key[0] == '\0') {
        return s3_delete_bucket(request, bucket);
    }
    return s3_asks(request, "uploadId") ? s3_multipart_abort(request, bucket, key)
                                        : s3_delete_object(request, bucket, key);
}

static int preflight(struct request *request)
{
    const char *wanted = request_header(request, "Access-Control-Request-Headers");
    int error = s3_cors(request);
    error = error != 0 ? error
                       : reply_header(request, "Access-Control-Allow-Methods",
                                      "GET, HEAD, PUT, POST, DELETE");
    error = error != 0 ? error
                       : reply_header(request, "Access-Control-Allow-Headers",
                                      wanted != NULL ? wanted : "*");
    error = error != 0 ? error : reply_header(request, "Access-Control-Max-Age", "7200");
    return error != 0 ? error : reply_empty(request, 204);
}

#define S3_FLAGS  (ROUTE_NO_AUTH_HEADER | ROUTE_OWN_CORS | ROUTE_XML_ERRORS | ROUTE_ANY_ORIGIN)
#define S3_OBJECT "/s3/{bucket}/{key*}"
#define S3_ROW(verb, path, body, handler, body_sink)                                               \
    {                                                                                              \
        verb, path, 0, ROUTE_POOL, body, RATE_OBJECT, handler, body_sink, S3_FLAGS                 \
    }

static const struct route routes[] = {
    S3_ROW("GET", "/s3", 0, get_buckets, NULL),
    S3_ROW("GET", "/s3/", 0, get_buckets, NULL),
    S3_ROW("OPTIONS", "/s3/{bucket}", 0, preflight, NULL),
    S3_ROW("GET", "/s3/{bucket}", 0, get, NULL),
    S3_ROW("PUT", "/s3/{bucket}", S3_XML_BODY_BYTES_MAX, put_bucket, NULL),
    S3_ROW("PUT", "/s3/{bucket}/", S3_XML_BODY_BYTES_MAX, put_bucket, NULL),
    S3_ROW("POST", "/s3/{bucket}", S3_XML_BODY_BYTES_MAX, post, NULL),
    S3_ROW("DELETE", "/s3/{bucket}", 0, delete, NULL),
    S3_ROW("OPTIONS", S3_OBJECT, 0, preflight, NULL),
    S3_ROW("GET", S3_OBJECT, 0, get, NULL),
    S3_ROW("PUT", S3_OBJECT, S3_BODY_BYTES_MAX, put, &s3_body_sink),
    S3_ROW("POST", S3_OBJECT, S3_XML_BODY_BYTES_MAX, post, NULL),
    S3_ROW("DELETE", S3_OBJECT, 0, delete, NULL),
};

const struct route *objectstore_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}
