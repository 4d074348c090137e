/* ListObjectsV2, ListObjects and ListBuckets. Keys are read from backend/blob in byte order; with a
 * delimiter, all keys of one common prefix are skipped by going on after prefix + 0xFF, a byte that
 * no key holds. On the pool. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/text.h"
#include "service/objectstore/s3_xml.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    KEYS_MAX = 1000,
    BUCKETS_MAX = 10000,
    AFTER_SIZE = BLOB_KEY_MAX + 2,
    TOKEN_SIZE = 2 * AFTER_SIZE
};

struct listing {
    struct buffer *out;
    const char *prefix, *delimiter;
    bool url, owner;
    unsigned max, count;
    bool truncated, again;
    char after[AFTER_SIZE]; /* the last key, or the common prefix and 0xFF */
    char last[AFTER_SIZE];  /* the last key or common prefix as told: V1's NextMarker */
    struct buffer prefixes; /* CommonPrefixes come after Contents */
};

/* The length of the common prefix that the key falls under, 0 for none. */
static size_t common_prefix(const struct listing *listing, const char *key)
{
    if (listing->delimiter[0] == '\0') {
        return 0;
    }
    const char *found = strstr(key + strlen(listing->prefix), listing->delimiter);
    return found != NULL ? (size_t)(found - key) + strlen(listing->delimiter) : 0;
}

static const char owner_xml[] = "<Owner><ID>tutti</ID><DisplayName>tutti</DisplayName></Owner>";

static void add_prefix(struct listing *listing, const char *key, size_t length)
{
    char text[AFTER_SIZE];
    (void)snprintf(text, sizeof text, "%.*s", (int)length, key);
    (void)buffer_add(&listing->prefixes, "<CommonPrefixes>");
    s3_xml_text(&listing->prefixes, "Prefix", text, listing->url);
    (void)buffer_add(&listing->prefixes, "</CommonPrefixes>");
    (void)snprintf(listing->last, sizeof listing->last, "%s", text);
    (void)snprintf(listing->after, sizeof listing->after, "%.*s\xff", (int)length, key);
}

static void add_object(struct listing *listing, const char *key, const struct blob_stat *stat)
{
    struct buffer *out = listing->out;
    (void)buffer_add(out, "<Contents>");
    s3_xml_text(out, "Key", key, listing->url);
    s3_xml_time(out, "LastModified", stat->modified_ms);
    s3_xml_etag(out, stat->etag);
    s3_xml_number(out, "Size", (int64_t)stat->bytes);
    (void)buffer_add(out, listing->owner ? owner_xml : "");
    (void)buffer_add(out, "<StorageClass>STANDARD</StorageClass></Contents>");
    (void)snprintf(listing->after, sizeof listing->after, "%s", key);
    (void)snprintf(listing->last, sizeof listing->last, "%s", key);
}

static int visit(void *argument, const char *key, const struct blob_stat *stat)
{
    struct listing *listing = argument;
    if (listing->count == listing->max) {
        listing->truncated = listing->max > 0; /* with none asked for there is no next page */
        return 1;
    }
    listing->count++;
    size_t length = common_prefix(listing, key);
    if (length == 0) {
        add_object(listing, key, stat);
        return 0;
    }
    add_prefix(listing, key, length);
    listing->again = true;
    return 1;
}

static int walk(struct request *request, const char *bucket, struct listing *listing)
{
    int result = 0;
    do {
        listing->again = false;
        char after[AFTER_SIZE];
        memcpy(after, listing->after, sizeof after);
        result = blob_list(s3_store(request)->blobs, bucket, listing->prefix, after,
                           listing->max - listing->count + 1, visit, listing);
    } while (result == 1 && listing->again);
    return result < 0 ? s3_fail_object(request, bucket, result) : 0;
}

/* A continuation token is where to go on, in base64. */
static bool read_token(const char *token, char out[AFTER_SIZE])
{
    size_t length = 0;
    if (!text_base64_decode(token, strlen(token), TEXT_BASE64_URL, out, AFTER_SIZE - 1, &length)) {
        return false;
    }
    out[length] = '\0';
    return strlen(out) == length;
}

static int read_query(struct request *request, bool second, struct listing *listing)
{
    const char *token = request_query(request, "continuation-token");
    const char *start = request_query(request, second ? "start-after" : "marker");
    const char *encoding = request_query(request, "encoding-type");
    const char *prefix = request_query(request, "prefix");
    const char *delimiter = request_query(request, "delimiter");
    const char *owner = request_query(request, "fetch-owner");
    int64_t max = KEYS_MAX;
    if (request_query_number(request, "max-keys", 0, INT32_MAX, KEYS_MAX, &max) != 0) {
        return s3_fail_with(request, S3_ARGUMENT, "max-keys must be a number from 0");
    }
    if (encoding != NULL && strcmp(encoding, "url") != 0) {
        return s3_fail_with(request, S3_ARGUMENT, "encoding-type can only be url");
    }
    listing->prefix = prefix != NULL ? prefix : "";
    listing->delimiter = delimiter != NULL ? delimiter : "";
    listing->url = encoding != NULL;
    listing->owner = owner != NULL && strcmp(owner, "true") == 0;
    listing->max = max < KEYS_MAX ? (unsigned)max : KEYS_MAX;
    if (strlen(listing->prefix) > BLOB_KEY_MAX || (start != NULL && strlen(start) > BLOB_KEY_MAX)) {
        return s3_fail(request, S3_KEY_TOO_LONG);
    }
    if (second && token != NULL) {
        return read_token(token, listing->after)
                   ? 0
                   : s3_fail_with(request, S3_ARGUMENT, "The continuation token is not ours");
    }
    /* a marker that is a common prefix, as NextMarker may be, has told all its keys */
    bool told = !second && start != NULL && start[0] != '\0' &&
                strncmp(start, listing->prefix, strlen(listing->prefix)) == 0 &&
                common_prefix(listing, start) == strlen(start);
    (void)snprintf(listing->after, sizeof listing->after, "%s%s", start != NULL ? start : "",
                   told ? "\xff" : "");
    return 0;
}

static void add_tail(struct request *request, bool second, const struct listing *listing)
{
    struct buffer *out = listing->out;
    const char *token = request_query(request, "continuation-token");
    const char *start = request_query(request, second ? "start-after" : "marker");
    s3_xml_number(out, "MaxKeys", listing->max);
    if (listing->delimiter[0] != '\0') {
        s3_xml_text(out, "Delimiter", listing->delimiter, listing->url);
    }
    if (listing->url) {
        (void)buffer_add(out, "<EncodingType>url</EncodingType>");
    }
    if (!second || start != NULL) {
        s3_xml_text(out, second ? "StartAfter" : "Marker", start != NULL ? start : "",
                    listing->url);
    }
    if (second) {
        s3_xml_number(out, "KeyCount", listing->count);
    }
    if (second && token != NULL) {
        s3_xml_text(out, "ContinuationToken", token, false);
    }
    (void)buffer_printf(out, "<IsTruncated>%s</IsTruncated>",
                        listing->truncated ? "true" : "false");
    if (listing->truncated && second) {
        char next[TOKEN_SIZE];
        (void)sodium_bin2base64(next, sizeof next, (const unsigned char *)listing->after,
                                strlen(listing->after), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        s3_xml_text(out, "NextContinuationToken", next, false);
    } else if (listing->truncated && listing->delimiter[0] != '\0') {
        s3_xml_text(out, "NextMarker", listing->last, listing->url);
    }
}

int s3_list_objects(struct request *request, const char *bucket)
{
    const char *type = request_query(request, "list-type");
    bool second = type != NULL && strcmp(type, "2") == 0;
    struct buffer out;
    struct listing listing = {.out = &out};
    int error = read_query(request, second, &listing);
    if (error != 0) {
        return error;
    }
    buffer_init(&out, S3_ANSWER_BYTES_MAX);
    buffer_init(&listing.prefixes, S3_ANSWER_BYTES_MAX);
    (void)buffer_add(&out, S3_XML_HEAD "<ListBucketResult " S3_XML_NAMESPACE ">");
    s3_xml_text(&out, "Name", bucket, false);
    s3_xml_text(&out, "Prefix", listing.prefix, listing.url);
    error = walk(request, bucket, &listing);
    if (error == 0) {
        add_tail(request, second, &listing);
        (void)buffer_append(&out, listing.prefixes.data, listing.prefixes.length);
        (void)buffer_add(&out, "</ListBucketResult>");
    }
    error = error != 0 ? error : buffer_error(&listing.prefixes);
    buffer_done(&listing.prefixes);
    if (error != 0) {
        buffer_done(&out);
        return error;
    }
    return s3_xml_reply(request, 200, &out);
}

struct buckets {
    struct buffer out;
    const struct s3_access *access;
    const char *prefix, *after; /* after: the last one of the page before; "": none */
    unsigned max, count;
    char last[BLOB_BUCKET_MAX + 1];
};

static int visit_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    struct buckets *buckets = argument;
    if (!s3_may_touch(buckets->access, bucket) || strcmp(bucket, buckets->after) <= 0 ||
        strncmp(bucket, buckets->prefix, strlen(buckets->prefix)) != 0) {
        return 0;
    }
    if (buckets->count == buckets->max) {
        return 1;
    }
    buckets->count++;
    (void)text_copy(buckets->last, sizeof buckets->last, bucket);
    (void)buffer_add(&buckets->out, "<Bucket>");
    s3_xml_text(&buckets->out, "Name", bucket, false);
    s3_xml_time(&buckets->out, "CreationDate", created_ms);
    (void)buffer_add(&buckets->out, "</Bucket>");
    return 0;
}

int s3_list_buckets(struct request *request, const struct s3_access *access)
{
    const char *prefix = request_query(request, "prefix");
    const char *after = request_query(request, "continuation-token");
    int64_t max = 0;
    if (request_query_number(request, "max-buckets", 1, BUCKETS_MAX, UINT_MAX, &max) != 0) {
        return s3_fail_with(request, S3_ARGUMENT, "max-buckets must be a number from 1 to 10000");
    }
    struct buckets buckets = {.access = access,
                              .prefix = prefix != NULL ? prefix : "",
                              .after = after != NULL ? after : "",
                              .max = (unsigned)max};
    buffer_init(&buckets.out, S3_ANSWER_BYTES_MAX);
    (void)buffer_printf(&buckets.out,
                        S3_XML_HEAD "<ListAllMyBucketsResult " S3_XML_NAMESPACE ">%s<Buckets>",
                        owner_xml);
    int result = blob_bucket_list(s3_store(request)->blobs, visit_bucket, &buckets);
    if (result < 0) {
        buffer_done(&buckets.out);
        return s3_fail_code(request, result);
    }
    (void)buffer_add(&buckets.out, "</Buckets>");
    if (prefix != NULL) {
        s3_xml_text(&buckets.out, "Prefix", prefix, false);
    }
    if (result > 0) {
        s3_xml_text(&buckets.out, "ContinuationToken", buckets.last, false);
    }
    (void)buffer_add(&buckets.out, "</ListAllMyBucketsResult>");
    return s3_xml_reply(request, 200, &buckets.out);
}
