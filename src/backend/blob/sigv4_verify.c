/* Verifying Signature Version 4, in the header and in the query (sigv4.h). Any thread; all memory
 * is the arena's. The canonical request is built from what came over the wire: the path is decoded
 * and encoded again, since clients encode differently and S3 signs one form.
 */
#include "backend/blob/sigv4.h"

#include "backend/blob/blob.h"
#include "base/mem.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CANONICAL_BYTES_MAX = 64 * 1024, QUERY_PAIRS_MAX = 128, SIGNED_HEADERS_MAX = 64 };

static const char algorithm[] = "AWS4-HMAC-SHA256";
static const char unsigned_payload[] = "UNSIGNED-PAYLOAD";

/* A signature as it was claimed, taken apart. */
struct claim {
    char *credential, *signed_headers;
    const char *signature, *date;
    char *key_id, *day, *region, *service, *terminator; /* of credential */
    int64_t date_ms, expires_s;
    bool presigned;
};

struct pair {
    const char *name, *value; /* encoded in the canonical form */
};

/* Taking apart what was sent. */

/* Percent-decodes length bytes; *ret_length is set. NULL: out of memory. A stray % stands for
 * itself. */
static char *decode(struct arena *arena, const char *text, size_t length, bool plus_is_space,
                    size_t *ret_length)
{
    char *out = arena_alloc(arena, length + 1);
    size_t used = 0;
    for (size_t i = 0; out != NULL && i < length; i++) {
        int byte = text_percent_byte(text + i, length - i);
        if (byte >= 0) {
            out[used++] = (char)byte;
            i += 2;
        } else {
            out[used++] = text[i] == '+' && plus_is_space ? ' ' : text[i];
        }
    }
    *ret_length = used;
    return out;
}

/* Decoded and encoded again: one form for all ways of writing it. NULL: out of memory. */
static const char *canonical_text(struct arena *arena, const char *text, size_t length, bool path)
{
    size_t decoded_length = 0;
    const char *decoded = decode(arena, text, length, !path, &decoded_length);
    if (decoded == NULL) {
        return NULL;
    }
    struct buffer out;
    buffer_init(&out, 3 * decoded_length + 1);
    sigv4_encode(&out, decoded, decoded_length, path);
    const char *copy = buffer_error(&out) == 0 ? arena_strndup(arena, out.data, out.length) : NULL;
    buffer_done(&out);
    return copy;
}

/* The pairs of the query; -1 for too many or no memory. */
static int read_query(struct arena *arena, const char *query, struct pair pairs[QUERY_PAIRS_MAX])
{
    int count = 0;
    while (query != NULL && *query != '\0') {
        size_t length = strcspn(query, "&");
        const char *equals = memchr(query, '=', length);
        size_t name_length = equals != NULL ? (size_t)(equals - query) : length;
        if (length > 0) {
            if (count == QUERY_PAIRS_MAX) {
                return -1;
            }
            struct pair *pair = &pairs[count++];
            pair->name = canonical_text(arena, query, name_length, false);
            pair->value = equals != NULL
                              ? canonical_text(arena, equals + 1, length - name_length - 1, false)
                              : "";
            if (pair->name == NULL || pair->value == NULL) {
                return -1;
            }
        }
        query += length + (query[length] == '&');
    }
    return count;
}

static const char *query_value(struct arena *arena, const struct pair *pairs, int count,
                               const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(pairs[i].name, name) == 0) {
            size_t length = 0;
            return decode(arena, pairs[i].value, strlen(pairs[i].value), false, &length);
        }
    }
    return NULL;
}

/* KEY/20260101/us-east-1/s3/aws4_request, from its end: a key id may hold slashes. */
static bool split_credential(struct claim *claim)
{
    char **const parts[] = {&claim->terminator, &claim->service, &claim->region, &claim->day};
    for (unsigned i = 0; i < COUNT_OF(parts); i++) {
        char *slash = strrchr(claim->credential, '/');
        if (slash == NULL) {
            return false;
        }
        *slash = '\0';
        *parts[i] = slash + 1;
    }
    claim->key_id = claim->credential;
    return strcmp(claim->terminator, "aws4_request") == 0 && strcmp(claim->service, "s3") == 0 &&
           strncmp(claim->day, claim->date, 8) == 0 && strlen(claim->day) == 8 &&
           strlen(claim->region) < 32 && strlen(claim->key_id) < SIGV4_KEY_ID_SIZE;
}

static enum sigv4_result finish_claim(struct claim *claim)
{
    bool complete = claim->credential != NULL && claim->signed_headers != NULL &&
                    claim->signature != NULL && claim->date != NULL;
    if (!complete || !sigv4_date_parse(claim->date, &claim->date_ms) || !split_credential(claim)) {
        return SIGV4_MALFORMED;
    }
    return SIGV4_OK;
}

/* Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=… */
static enum sigv4_result read_header(struct arena *arena, const struct sigv4_request *request,
                                     const char *authorization, struct claim *claim)
{
    size_t length = strlen(algorithm);
    if (strncmp(authorization, algorithm, length) != 0) {
        return SIGV4_OTHER;
    }
    if (authorization[length] != ' ') {
        return SIGV4_MALFORMED;
    }
    char *rest = arena_strdup(arena, authorization + length);
    if (rest == NULL) {
        return SIGV4_NO_MEMORY;
    }
    char *save = NULL;
    for (char *part = strtok_r(rest, ", ", &save); part != NULL;
         part = strtok_r(NULL, ", ", &save)) {
        if (strncmp(part, "Credential=", 11) == 0) {
            claim->credential = part + 11;
        } else if (strncmp(part, "SignedHeaders=", 14) == 0) {
            claim->signed_headers = part + 14;
        } else if (strncmp(part, "Signature=", 10) == 0) {
            claim->signature = part + 10;
        }
    }
    claim->date = request->header(request->header_argument, "x-amz-date");
    return finish_claim(claim);
}

static enum sigv4_result read_presigned(struct arena *arena, const struct pair *pairs, int count,
                                        struct claim *claim)
{
    const char *named = query_value(arena, pairs, count, "X-Amz-Algorithm");
    const char *credential = query_value(arena, pairs, count, "X-Amz-Credential");
    const char *headers = query_value(arena, pairs, count, "X-Amz-SignedHeaders");
    const char *expires = query_value(arena, pairs, count, "X-Amz-Expires");
    claim->presigned = true;
    claim->signature = query_value(arena, pairs, count, "X-Amz-Signature");
    claim->date = query_value(arena, pairs, count, "X-Amz-Date");
    if (named == NULL || strcmp(named, algorithm) != 0 || credential == NULL || headers == NULL ||
        !text_number(expires, 1, BLOB_PRESIGN_SECONDS_MAX, &claim->expires_s)) {
        return SIGV4_MALFORMED;
    }
    claim->credential = arena_strdup(arena, credential);
    claim->signed_headers = arena_strdup(arena, headers);
    return finish_claim(claim);
}

/* The canonical request. */

static int compare_pairs(const void *left, const void *right)
{
    const struct pair *a = left;
    const struct pair *b = right;
    int names = strcmp(a->name, b->name);
    return names != 0 ? names : strcmp(a->value, b->value);
}

static void write_query(struct buffer *out, struct pair *pairs, int count)
{
    qsort(pairs, (size_t)count, sizeof *pairs, compare_pairs);
    bool first = true;
    for (int i = 0; i < count; i++) {
        if (strcmp(pairs[i].name, "X-Amz-Signature") == 0) {
            continue;
        }
        (void)buffer_printf(out, "%s%s=%s", first ? "" : "&", pairs[i].name, pairs[i].value);
        first = false;
    }
    (void)buffer_add(out, "\n");
}

/* Outer spaces cut, inner runs of them made one. */
static void write_header_value(struct buffer *out, const char *value)
{
    bool started = false;
    bool space = false;
    for (; *value != '\0'; value++) {
        if (*value == ' ' || *value == '\t') {
            space = started;
            continue;
        }
        if (space) {
            (void)buffer_add(out, " ");
            space = false;
        }
        (void)buffer_append(out, value, 1);
        started = true;
    }
    (void)buffer_add(out, "\n");
}

/* False where a signed header is not there, or the host is not signed. */
static bool write_headers(struct arena *arena, struct buffer *out,
                          const struct sigv4_request *request, const struct claim *claim,
                          const char *host)
{
    char *names = arena_strdup(arena, claim->signed_headers);
    bool host_signed = false;
    char *save = NULL;
    unsigned count = 0;
    for (char *name = names != NULL ? strtok_r(names, ";", &save) : NULL; name != NULL;
         name = strtok_r(NULL, ";", &save)) {
        bool is_host = strcasecmp(name, "host") == 0;
        const char *value = is_host ? host : request->header(request->header_argument, name);
        if (value == NULL || ++count > SIGNED_HEADERS_MAX) {
            return false;
        }
        host_signed |= is_host;
        (void)buffer_printf(out, "%s:", name);
        write_header_value(out, value);
    }
    return host_signed;
}

/* True if the claim is what we would have signed for this host and path. */
static bool matches(struct arena *arena, const struct sigv4_request *request,
                    const struct claim *claim, struct pair *pairs, int count,
                    const struct sigv4_form *form, struct sigv4_signed *result)
{
    struct buffer out;
    buffer_init(&out, CANONICAL_BYTES_MAX);
    const char *path = canonical_text(arena, form->path, strlen(form->path), true);
    (void)buffer_printf(&out, "%s\n%s\n", request->method, path != NULL ? path : "");
    write_query(&out, pairs, count);
    bool headers = write_headers(arena, &out, request, claim, form->host);
    (void)buffer_printf(&out, "\n%s\n%s", claim->signed_headers, result->payload);
    bool same = false;
    bool whole = strlen(claim->signature) == SIGV4_HEX_SIZE - 1;
    if (whole && headers && path != NULL && buffer_error(&out) == 0) {
        char hash[SIGV4_HEX_SIZE];
        char expected[SIGV4_HEX_SIZE];
        char text[SIGV4_SCOPE_SIZE + SIGV4_HEX_SIZE + 64];
        sigv4_hex_sha256(out.data, out.length, hash);
        int length = snprintf(text, sizeof text, "%s\n%s\n%s\n%s", algorithm, result->date,
                              result->scope, hash);
        sigv4_hex_hmac(result->signing_key, text, (size_t)length, expected);
        same = sodium_memcmp(expected, claim->signature, SIGV4_HEX_SIZE - 1) == 0;
    }
    buffer_done(&out);
    return same;
}

/* The checks, in S3's order: the key, the signature, then the time (so that times tell nothing to
 * whom has no key; S3 too answers an expired URL only when its signature is good). */

static enum sigv4_result check_time(const struct claim *claim, int64_t now_ms)
{
    if (!claim->presigned) {
        int64_t skew = now_ms - claim->date_ms;
        bool off = skew > SIGV4_SKEW_MS_MAX || skew < -SIGV4_SKEW_MS_MAX;
        return off ? SIGV4_SKEWED : SIGV4_OK;
    }
    if (claim->date_ms > now_ms + SIGV4_SKEW_MS_MAX) {
        return SIGV4_NOT_YET;
    }
    return claim->date_ms + claim->expires_s * 1000 < now_ms ? SIGV4_EXPIRED : SIGV4_OK;
}

static enum sigv4_result check_signature(struct arena *arena, const struct sigv4_request *request,
                                         const struct claim *claim, struct pair *pairs, int count,
                                         struct sigv4_signed *result)
{
    char secret[SIGV4_SECRET_SIZE];
    if (!request->secret(request->secret_argument, claim->key_id, secret)) {
        return SIGV4_UNKNOWN_KEY;
    }
    sigv4_signing_key(secret, claim->day, claim->region, claim->service, result->signing_key);
    sodium_memzero(secret, sizeof secret);
    const struct sigv4_form as_it_came = {
        .host = request->header(request->header_argument, "host"),
        .path = arena_strndup(arena, request->target, strcspn(request->target, "?")),
    };
    if (as_it_came.path == NULL) {
        return SIGV4_NO_MEMORY;
    }
    bool same = as_it_came.host != NULL &&
                matches(arena, request, claim, pairs, count, &as_it_came, result);
    for (unsigned i = 0; !same && i < request->form_count; i++) {
        same = matches(arena, request, claim, pairs, count, &request->forms[i], result);
    }
    return same ? SIGV4_OK : SIGV4_MISMATCH;
}

static const char *payload_of(const struct sigv4_request *request, const struct claim *claim)
{
    const char *payload = request->header(request->header_argument, "x-amz-content-sha256");
    return claim->presigned ? unsigned_payload : payload;
}

bool sigv4_covers(const struct sigv4_signed *signature, const char *header)
{
    size_t length = strlen(header);
    for (const char *at = signature->signed_headers; *at != '\0';) {
        size_t here = strcspn(at, ";");
        if (here == length && strncasecmp(at, header, length) == 0) {
            return true;
        }
        at += here + (at[here] == ';');
    }
    return false;
}

static enum sigv4_result verify_claim(struct arena *arena, const struct sigv4_request *request,
                                      const struct claim *claim, struct pair *pairs, int count,
                                      struct sigv4_signed *ret_signed)
{
    struct sigv4_signed result = {.presigned = claim->presigned,
                                  .payload = payload_of(request, claim),
                                  .signed_headers = claim->signed_headers};
    if (result.payload == NULL) {
        return SIGV4_MALFORMED;
    }
    (void)snprintf(result.key_id, sizeof result.key_id, "%s", claim->key_id);
    (void)snprintf(result.date, sizeof result.date, "%s", claim->date);
    (void)snprintf(result.scope, sizeof result.scope, "%s/%s/%s/aws4_request", claim->day,
                   claim->region, claim->service);
    (void)snprintf(result.signature, sizeof result.signature, "%.64s", claim->signature);
    enum sigv4_result outcome = check_signature(arena, request, claim, pairs, count, &result);
    if (outcome == SIGV4_OK) {
        outcome = check_time(claim, request->now_ms);
    }
    if (outcome == SIGV4_OK) {
        *ret_signed = result;
    }
    return outcome;
}

enum sigv4_result sigv4_verify(struct arena *arena, const struct sigv4_request *request,
                               struct sigv4_signed *ret_signed)
{
    struct pair *pairs = arena_array(arena, QUERY_PAIRS_MAX, sizeof *pairs);
    if (pairs == NULL) {
        return SIGV4_NO_MEMORY;
    }
    const char *query = strchr(request->target, '?');
    int count = read_query(arena, query != NULL ? query + 1 : NULL, pairs);
    if (count < 0) {
        return SIGV4_MALFORMED;
    }
    struct claim claim = {0};
    const char *authorization = request->header(request->header_argument, "authorization");
    enum sigv4_result outcome = SIGV4_ABSENT;
    if (query_value(arena, pairs, count, "X-Amz-Algorithm") != NULL ||
        query_value(arena, pairs, count, "X-Amz-Signature") != NULL) {
        outcome = read_presigned(arena, pairs, count, &claim);
    } else if (authorization != NULL) {
        outcome = read_header(arena, request, authorization, &claim);
    } else if (query_value(arena, pairs, count, "AWSAccessKeyId") != NULL) {
        outcome = SIGV4_OTHER; /* version 2 in the query */
    }
    return outcome == SIGV4_OK ? verify_claim(arena, request, &claim, pairs, count, ret_signed)
                               : outcome;
}
