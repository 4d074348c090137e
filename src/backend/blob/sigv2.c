/* Verifying Signature Version 2 (sigv2.h). */
#include "backend/blob/sigv2.h"

#include "base/mem.h"
#include "base/text.h"
#include "net/target.h"

#include <nettle/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 64 * 1024, SIGNATURE_SIZE = 32 };

/* Of the query, what belongs to the resource, in its order. */
static const char *const sub_resources[] = {
    "acl",
    "cors",
    "delete",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
};

struct claim {
    const char *key_id, *signature, *expires;
    int64_t expires_s;
};

static const char *find(const struct target_query *query, const char *name)
{
    for (unsigned i = 0; i < query->count; i++) {
        if (strcmp(query->pairs[i].name, name) == 0) {
            return query->pairs[i].value;
        }
    }
    return NULL;
}

bool sigv2_presigned(const struct sigv4_request *request)
{
    const char *query = strchr(request->target, '?');
    return query != NULL && strstr(query, "AWSAccessKeyId=") != NULL &&
           strstr(query, "X-Amz-Signature=") == NULL;
}

/* A sub-resource without a value stands without "=": target_query tells no difference, so what is
 * empty is written bare. */
static void write_sub_resources(struct buffer *out, const struct target_query *query)
{
    const char *before = "?";
    for (unsigned i = 0; i < COUNT_OF(sub_resources); i++) {
        const char *value = find(query, sub_resources[i]);
        if (value != NULL) {
            (void)buffer_printf(out, value[0] != '\0' ? "%s%s=%s" : "%s%s", before,
                                sub_resources[i], value);
            before = "&";
        }
    }
}

static const char *header_or_empty(const struct sigv4_request *request, const char *name)
{
    const char *value = request->header(request->header_argument, name);
    return value != NULL ? value : "";
}

static bool matches(const struct sigv4_request *request, const struct target_query *query,
                    const struct claim *claim, const char *secret, const char *path,
                    size_t path_length)
{
    struct buffer text;
    struct hmac_sha1_ctx hmac;
    unsigned char digest[SHA1_DIGEST_SIZE];
    char expected[SIGNATURE_SIZE] = "";
    buffer_init(&text, TEXT_BYTES_MAX);
    (void)buffer_printf(&text, "%s\n%s\n%s\n%s\n", request->method,
                        header_or_empty(request, "content-md5"),
                        header_or_empty(request, "content-type"), claim->expires);
    (void)buffer_append(&text, path, path_length);
    write_sub_resources(&text, query);
    hmac_sha1_set_key(&hmac, strlen(secret), (const uint8_t *)secret);
    hmac_sha1_update(&hmac, text.length, (const uint8_t *)text.data);
    hmac_sha1_digest(&hmac, sizeof digest, digest);
    bool whole = buffer_error(&text) == 0;
    buffer_done(&text);
    sodium_memzero(&hmac, sizeof hmac);
    (void)sodium_bin2base64(expected, sizeof expected, digest, sizeof digest,
                            sodium_base64_VARIANT_ORIGINAL);
    return whole && text_equal_secret(expected, claim->signature);
}

static bool matches_any(const struct sigv4_request *request, const struct target_query *query,
                        const struct claim *claim, const char *secret)
{
    bool same =
        matches(request, query, claim, secret, request->target, strcspn(request->target, "?"));
    for (unsigned i = 0; !same && i < request->form_count; i++) {
        const char *path = request->forms[i].path;
        same = matches(request, query, claim, secret, path, strlen(path));
    }
    return same;
}

enum sigv4_result sigv2_verify(struct arena *arena, const struct sigv4_request *request,
                               struct sigv4_signed *ret_signed)
{
    struct target_query query;
    char secret[SIGV4_SECRET_SIZE];
    if (target_query_decode(arena, request->target, &query) != 0) {
        return SIGV4_MALFORMED;
    }
    struct claim claim = {find(&query, "AWSAccessKeyId"), find(&query, "Signature"),
                          find(&query, "Expires"), 0};
    if (claim.key_id == NULL || strlen(claim.key_id) >= SIGV4_KEY_ID_SIZE ||
        claim.signature == NULL || claim.expires == NULL ||
        !text_number(claim.expires, 0, INT64_MAX / 1000, &claim.expires_s)) {
        return SIGV4_MALFORMED;
    }
    if (!request->secret(request->secret_argument, claim.key_id, secret)) {
        return SIGV4_UNKNOWN_KEY;
    }
    bool same = matches_any(request, &query, &claim, secret);
    sodium_memzero(secret, sizeof secret);
    if (!same) {
        return SIGV4_MISMATCH;
    }
    if (claim.expires_s * 1000 < request->now_ms) {
        return SIGV4_EXPIRED;
    }
    *ret_signed = (struct sigv4_signed){
        .presigned = true, .signed_headers = "", .payload = "UNSIGNED-PAYLOAD"};
    (void)snprintf(ret_signed->key_id, sizeof ret_signed->key_id, "%s", claim.key_id);
    return SIGV4_OK;
}
