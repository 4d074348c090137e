/* Who may: signatures (backend/blob/sigv4.h) and buckets. On the pool. */
#include "service/objectstore/s3.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/http.h"

#include <nettle/md5.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct key_lookup {
    struct s3_keys *keys;
    bool internal;
};

static const char *find_header(void *argument, const char *name)
{
    return request_header(argument, name);
}

static bool find_secret(void *argument, const char *key_id, char out[SIGV4_SECRET_SIZE])
{
    struct key_lookup *lookup = argument;
    return s3_keys_find(lookup->keys, key_id, out, &lookup->internal);
}

static int fail_signature(struct request *request, enum sigv4_result result)
{
    static const enum s3_error errors[] = {
        [SIGV4_ABSENT] = S3_ACCESS_DENIED,    [SIGV4_OTHER] = S3_SCHEME,
        [SIGV4_MALFORMED] = S3_AUTHORIZATION, [SIGV4_UNKNOWN_KEY] = S3_KEY_ID,
        [SIGV4_MISMATCH] = S3_SIGNATURE,      [SIGV4_EXPIRED] = S3_EXPIRED,
        [SIGV4_NOT_YET] = S3_NOT_YET,         [SIGV4_SKEWED] = S3_SKEWED,
    };
    return result == SIGV4_NO_MEMORY ? ERR_NO_MEMORY : s3_fail(request, errors[result]);
}

/* An x-amz- header changes what a request does, so it counts only when it is signed: else who was
 * given the URL of one PUT could add x-amz-copy-source to it. The two that the signature covers by
 * itself may be left out of the list. */
static void look_at_header(void *argument, const char *name, const char *value)
{
    (void)value;
    struct s3_access *access = argument;
    if (strncasecmp(name, "x-amz-", 6) != 0 || strcasecmp(name, "x-amz-date") == 0 ||
        strcasecmp(name, "x-amz-content-sha256") == 0) {
        return;
    }
    access->unsigned_header |= !sigv4_covers(&access->signature, name);
}

bool s3_may_touch(const struct s3_access *access, const char *bucket)
{
    return access->internal || strcmp(bucket, BLOB_MEDIA) != 0;
}

int s3_authorize(struct request *request, const char *bucket, struct s3_access *ret_access)
{
    struct objectstore *store = s3_store(request);
    struct key_lookup lookup = {.keys = store->keys};
    const struct sigv4_request what = {
        .method = request->method,
        .target = request->target,
        .header = find_header,
        .header_argument = request,
        .public_host = store->public_host[0] != '\0' ? store->public_host : NULL,
        .now_ms = clock_wall_ms(),
        .secret = find_secret,
        .secret_argument = &lookup,
    };
    enum sigv4_result result = sigv4_verify(request->call.arena, &what, &ret_access->signature);
    if (result != SIGV4_OK) {
        return fail_signature(request, result);
    }
    ret_access->internal = lookup.internal;
    ret_access->unsigned_header = false;
    request_header_each(request, look_at_header, ret_access);
    if (ret_access->unsigned_header) {
        return s3_fail(request, S3_NOT_SIGNED);
    }
    return bucket == NULL || s3_may_touch(ret_access, bucket) ? 0
                                                              : s3_fail(request, S3_ACCESS_DENIED);
}

int s3_object_names(struct request *request, const char **ret_bucket, const char **ret_key)
{
    const char *bucket = request_param(request, "bucket");
    const char *key = request_param(request, "key");
    if (key == NULL) {
        key = "";
    }
    if (strlen(key) > BLOB_KEY_MAX) {
        return s3_fail(request, S3_KEY_TOO_LONG);
    }
    if (key[0] != '\0' && !blob_key_valid(key)) {
        return s3_fail_with(request, S3_ARGUMENT,
                            "A key is UTF-8 without control characters, has no part \"..\", no "
                            "slash at its start and at most 64 parts");
    }
    *ret_bucket = bucket;
    *ret_key = key;
    return 0;
}

static int check_md5(struct request *request, const void *body, size_t length)
{
    const char *claimed = request_header(request, "Content-MD5");
    if (claimed == NULL) {
        return 0;
    }
    struct md5_ctx md5;
    unsigned char digest[16];
    char text[32];
    md5_init(&md5);
    md5_update(&md5, length, body);
    md5_digest(&md5, sizeof digest, digest);
    (void)sodium_bin2base64(text, sizeof text, digest, sizeof digest,
                            sodium_base64_VARIANT_ORIGINAL);
    return strcmp(text, claimed) == 0 ? 0 : s3_fail(request, S3_BAD_DIGEST);
}

int s3_check_small_body(struct request *request, const struct s3_access *access)
{
    size_t length = 0;
    const void *body = request_body(request, &length);
    const char *payload = access->signature.payload;
    if (strcmp(payload, "UNSIGNED-PAYLOAD") != 0) {
        char hash[SIGV4_HEX_SIZE];
        sigv4_hex_sha256(body != NULL ? body : "", length, hash);
        if (strcmp(hash, payload) != 0) {
            return s3_fail(request, S3_SHA256);
        }
    }
    return check_md5(request, body != NULL ? body : "", length);
}

bool s3_asks(struct request *request, const char *name)
{
    return request_query(request, name) != NULL;
}

int s3_cors(struct request *request)
{
    int error = reply_header(request, "Access-Control-Allow-Origin", "*");
    error = error != 0 ? error
                       : reply_header(request, "Access-Control-Expose-Headers",
                                      "ETag, Content-Length, Content-Range, Accept-Ranges, "
                                      "Last-Modified, x-amz-request-id");
    return error != 0 ? error : reply_header(request, "x-amz-request-id", request->call.request_id);
}

int s3_fail_object(struct request *request, const char *bucket, int code)
{
    int64_t created_ms = 0;
    switch (code) {
    case ERR_NOT_FOUND:
        return s3_fail(request, blob_bucket_stat(s3_store(request)->blobs, bucket, &created_ms) == 0
                                    ? S3_NO_KEY
                                    : S3_NO_BUCKET);
    case ERR_INVALID:
        return s3_fail(request, S3_BUCKET_NAME);
    case ERR_PRECONDITION:
        return s3_fail(request, S3_PRECONDITION);
    default:
        return s3_fail_code(request, code);
    }
}
