/* Who may: signatures (backend/blob/sigv4.h) and buckets. On the pool. */
#include "service/objectstore/s3.h"

#include "backend/blob/sigv2.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/xml.h"
#include "net/http.h"
#include "service/objectstore/checksum.h"

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

/* Of a signature that can't be read: what is wrong with it depends on where it stands. */
static int fail_malformed(struct request *request, bool in_query)
{
    if (in_query) {
        return s3_fail(request, S3_AUTHORIZATION_QUERY);
    }
    return request_header(request, "x-amz-content-sha256") != NULL
               ? s3_fail(request, S3_AUTHORIZATION)
               : s3_fail_with(request, S3_REQUEST,
                              "Missing required header for this request: x-amz-content-sha256");
}

static int fail_signature(struct request *request, enum sigv4_result result)
{
    static const enum s3_error errors[] = {
        [SIGV4_ABSENT] = S3_ACCESS_DENIED,    [SIGV4_OTHER] = S3_SCHEME,
        [SIGV4_MALFORMED] = S3_AUTHORIZATION, [SIGV4_UNKNOWN_KEY] = S3_KEY_ID,
        [SIGV4_MISMATCH] = S3_SIGNATURE,      [SIGV4_EXPIRED] = S3_EXPIRED,
        [SIGV4_NOT_YET] = S3_NOT_YET,         [SIGV4_SKEWED] = S3_SKEWED,
    };
    if (result == SIGV4_MALFORMED) {
        return fail_malformed(request, s3_asks(request, "X-Amz-Algorithm") ||
                                           s3_asks(request, "X-Amz-Signature") ||
                                           s3_asks(request, "AWSAccessKeyId"));
    }
    return result == SIGV4_NO_MEMORY ? ERR_NO_MEMORY : s3_fail(request, errors[result]);
}

/* The signature of an address covers no body. What is said of the body all the same holds: else one
 * that comes in chunks would be kept with their frames, and another than was promised be taken. */
static int read_payload(struct request *request, struct sigv4_signed *signature)
{
    const char *header = request_header(request, "x-amz-content-sha256");
    const char *query = request_query(request, "X-Amz-Content-Sha256");
    if (!signature->presigned) {
        return 0;
    }
    if (header != NULL && query != NULL && strcmp(header, query) != 0) {
        return s3_fail_with(request, S3_REQUEST,
                            "x-amz-content-sha256 is not what the address says of the body");
    }
    signature->payload = header != NULL ? header : query != NULL ? query : signature->payload;
    return strncmp(signature->payload, "STREAMING-AWS4-", 15) == 0
               ? s3_fail_with(request, S3_NOT_IMPLEMENTED,
                              "The chunks of a pre-signed request can't be signed")
               : 0;
}

struct looking {
    struct request *request;
    const struct sigv4_signed *signature;
    bool not_signed, twice;
};

static bool is_amz(const char *name)
{
    return strncasecmp(name, "x-amz-", 6) == 0;
}

/* What a signature says something of, be it by its list or, of version 2, by itself. */
static bool is_bound(const struct sigv4_signed *signature, const char *name)
{
    return is_amz(name) || strcasecmp(name, "content-type") == 0 ||
           strcasecmp(name, "content-md5") == 0 || strcasecmp(name, "authorization") == 0 ||
           sigv4_covers(signature, name);
}

/* An x-amz- header changes what a request does, so it counts only when it is signed: else who was
 * given the URL of one PUT could add x-amz-copy-source to it. The two that the signature covers by
 * itself may be left out of the list. And what is bound comes once: else the signature could be of
 * one Content-Type, and the other be kept. */
static void look_at_header(void *argument, const char *name, const char *value)
{
    struct looking *looking = argument;
    bool by_itself =
        strcasecmp(name, "x-amz-date") == 0 || strcasecmp(name, "x-amz-content-sha256") == 0;
    looking->not_signed |= is_amz(name) && !by_itself && !sigv4_covers(looking->signature, name);
    looking->twice |=
        is_bound(looking->signature, name) && request_header(looking->request, name) != value;
}

static int check_headers(struct request *request, const struct sigv4_signed *signature)
{
    struct looking looking = {.request = request, .signature = signature};
    request_header_each(request, look_at_header, &looking);
    if (looking.not_signed) {
        return s3_fail(request, S3_NOT_SIGNED);
    }
    return looking.twice ? s3_fail_with(request, S3_SIGNATURE,
                                        "A header that the signature is of came more than once")
                         : 0;
}

/* Tutti's own two buckets are reached with the URLs it hands out only; buckets that a key made are
 * any key's. */
bool s3_may_touch(const struct s3_access *access, const char *bucket)
{
    return access->internal ||
           (strcmp(bucket, BLOB_MEDIA) != 0 && strcmp(bucket, BLOB_UPLOADS) != 0);
}

static void add_form(struct request *request, struct sigv4_request *what, const char *host,
                     const char *host_end, const char *path, const char *path_end)
{
    struct arena *arena = request->call.arena;
    struct sigv4_form *form = &what->forms[what->form_count];
    form->host = arena_printf(arena, "%s%s", host, host_end);
    form->path = arena_printf(arena, "%s%s", path, path_end);
    what->form_count += form->host != NULL && form->path != NULL ? 1 : 0;
}

/* What a client may have signed instead of Host and target as they came here:
 *   1. the public URL's host and path, where a proxy changed either;
 *   2. "host/s3" as the host and a path without "/s3": what s3cmd makes of an endpoint with a path;
 *   3. both.
 * No two of them can be signed for one request and mean two: a Host holds no slash. */
static void find_forms(struct request *request, struct sigv4_request *what)
{
    static const char root[] = "/s3";
    const struct objectstore *store = s3_store(request);
    const char *host = request_header(request, "Host");
    const char *target = request->target;
    char *path = arena_strndup(request->call.arena, target, strcspn(target, "?"));
    char *rest = path;
    if (path != NULL && !request->by_own_host) {
        rest = strstr(path, root);
        while (rest != NULL && rest[sizeof root - 1] != '/' && rest[sizeof root - 1] != '\0') {
            rest = strstr(rest + 1, root);
        }
        rest = rest != NULL ? rest + sizeof root - 1 : NULL;
    }
    if (rest == NULL || host == NULL) {
        return;
    }
    if (store->public_host[0] != '\0') {
        add_form(request, what, store->public_host, "", store->public_path, rest);
        add_form(request, what, store->public_host, store->public_path, rest,
                 rest[0] == '\0' ? "/" : "");
    }
    if (!request->by_own_host) {
        const char *prefix = arena_strndup(request->call.arena, path, (size_t)(rest - path));
        add_form(request, what, host, prefix != NULL ? prefix : root, rest,
                 rest[0] == '\0' ? "/" : "");
    }
}

int s3_authorize(struct request *request, const char *bucket, struct s3_access *ret_access)
{
    struct objectstore *store = s3_store(request);
    struct key_lookup lookup = {.keys = store->keys};
    struct sigv4_request what = {
        .method = request->method,
        .target = request->target,
        .header = find_header,
        .header_argument = request,
        .now_ms = clock_wall_ms(),
        .secret = find_secret,
        .secret_argument = &lookup,
    };
    find_forms(request, &what);
    bool older = sigv2_presigned(&what);
    enum sigv4_result result =
        older ? sigv2_verify(request->call.arena, &what, &ret_access->signature)
              : sigv4_verify(request->call.arena, &what, &ret_access->signature);
    if (older && lookup.internal) {
        result = SIGV4_UNKNOWN_KEY; /* our own URLs are of version 4 */
    }
    if (result != SIGV4_OK) {
        return fail_signature(request, result);
    }
    int error = check_headers(request, &ret_access->signature);
    error = error != 0 ? error : read_payload(request, &ret_access->signature);
    if (error != 0) {
        return error;
    }
    ret_access->internal = lookup.internal;
    return bucket == NULL || s3_may_touch(ret_access, bucket) ? 0
                                                              : s3_fail(request, S3_ACCESS_DENIED);
}

/* No listing could tell such a key, but for one in percent-encoding. What is there already can be
 * read and deleted. */
static bool holds_what_xml_lacks(const char *key)
{
    while (*key != '\0' && xml_lacks(key) == 0) {
        key++;
    }
    return *key != '\0';
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
                            "A key is UTF-8 without control characters, has no part \".\" or "
                            "\"..\", no slash at its start and at most 64 parts");
    }
    bool writes = strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0;
    if (writes && holds_what_xml_lacks(key)) {
        return s3_fail_with(request, S3_ARGUMENT, "A key has neither U+FFFE nor U+FFFF");
    }
    *ret_bucket = bucket;
    *ret_key = key;
    return 0;
}

const char *s3_bare_etag(struct request *request, const char *etag)
{
    size_t length = etag != NULL ? strlen(etag) : 0;
    bool quoted = length >= 2 && etag[0] == '"' && etag[length - 1] == '"';
    return quoted ? arena_strndup(request->call.arena, etag + 1, length - 2) : etag;
}

int s3_condition(struct request *request, struct blob_condition *ret_condition)
{
    const char *none = request_header(request, "If-None-Match");
    const char *match = request_header(request, "If-Match");
    if (request_header(request, "If-Modified-Since") != NULL ||
        request_header(request, "If-Unmodified-Since") != NULL) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "What changes an object has no condition of time here");
    }
    if (none != NULL && strcmp(none, "*") != 0) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED, "If-None-Match of a write can only be *");
    }
    if (match != NULL && (none != NULL || strchr(match, ',') != NULL)) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "If-Match of a write names one ETag, without If-None-Match");
    }
    ret_condition->if_none_match = none != NULL;
    ret_condition->if_match = s3_bare_etag(request, match);
    return match == NULL || ret_condition->if_match != NULL ? 0 : ERR_NO_MEMORY;
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

static int check_sums(struct request *request, const void *body, size_t length)
{
    for (enum checksum_kind kind = 0; kind < CHECKSUM_KINDS_; kind++) {
        const char *claimed = request_header(request, checksum_header(kind));
        if (claimed != NULL) {
            struct checksum sum;
            char text[CHECKSUM_TEXT_SIZE];
            checksum_init(&sum, kind);
            checksum_update(&sum, body, length);
            checksum_final(&sum, text);
            if (strcmp(text, claimed) != 0) {
                return s3_fail(request, S3_BAD_DIGEST);
            }
        }
    }
    return 0;
}

int s3_check_small_body(struct request *request, const struct s3_access *access, bool sums)
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
    int error = check_md5(request, body != NULL ? body : "", length);
    return error != 0 || !sums ? error : check_sums(request, body != NULL ? body : "", length);
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
    case ERR_UNSUPPORTED:
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "The store below can't hold this condition");
    default:
        return s3_fail_code(request, code);
    }
}
