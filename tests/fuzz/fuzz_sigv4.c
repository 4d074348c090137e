/* Signature Version 4. "R": method, target, Authorization, x-amz-date, host, x-amz-content-sha256,
 * a line each: nobody has the key, so it is never good. "P": method, bucket, key, content type,
 * upload id and its part, host: what we pre-sign is good as it stands and at no other time, method,
 * key or content type.
 *
 * Covers: src/backend/blob/sigv4.c src/backend/blob/sigv4_verify.c */
#include "backend/blob/sigv4.h"
#include "fuzz.h"

#include <sodium.h>

enum { ARENA_BYTES = 8 << 20, URL_SIZE = 128 * 1024 };

static const int64_t date_ms = 1790000000000;
static char secret[SIGV4_SECRET_SIZE];

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    unsigned char random[40];
    (void)argument_count;
    (void)arguments;
    FUZZ_CHECK(sodium_init() >= 0);
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(secret, sizeof secret, random, sizeof random);
    return 0;
}

static bool secret_of(void *argument, const char *key_id, char out[SIGV4_SECRET_SIZE])
{
    (void)argument;
    (void)snprintf(out, SIGV4_SECRET_SIZE, "%s", secret);
    return strncmp(key_id, "KEY", 3) == 0;
}

struct headers {
    const char *authorization, *date, *host, *payload, *content_type;
};

static const char *header_of(void *argument, const char *name)
{
    const struct headers *headers = argument;
    const struct {
        const char *name, *value;
    } rows[] = {{"authorization", headers->authorization},
                {"x-amz-date", headers->date},
                {"host", headers->host},
                {"x-amz-content-sha256", headers->payload},
                {"content-type", headers->content_type}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcasecmp(rows[i].name, name) == 0) {
            return rows[i].value;
        }
    }
    return NULL;
}

static enum sigv4_result verify(struct arena *arena, const char *method, const char *target,
                                struct headers *headers, int64_t now_ms)
{
    struct sigv4_signed result;
    const struct sigv4_request request = {.method = method,
                                          .target = target,
                                          .header = header_of,
                                          .header_argument = headers,
                                          .now_ms = now_ms,
                                          .secret = secret_of};
    enum sigv4_result outcome = sigv4_verify(arena, &request, &result);
    if (outcome == SIGV4_OK) {
        FUZZ_CHECK(sigv4_covers(&result, "host") && strlen(result.signature) == 64);
    }
    return outcome;
}

static void try_raw(struct arena *arena, const struct fuzz_fields *fields)
{
    struct headers headers = {.authorization = fields->text[2],
                              .date = fields->text[3],
                              .host = fields->text[4],
                              .payload = fields->text[5]};
    enum sigv4_result outcome = verify(arena, fuzz_or_empty(fields->text[0]),
                                       fuzz_or_empty(fields->text[1]), &headers, date_ms);
    FUZZ_CHECK(outcome != SIGV4_OK && outcome != SIGV4_EXPIRED && outcome != SIGV4_SKEWED);
}

/* The target stands behind the host. */
static void try_url(struct arena *arena, const struct sigv4_presign *what, const char *target,
                    const char *host)
{
    const char *method = what->method;
    struct headers headers = {.host = host, .content_type = what->content_type};
    int64_t end_ms = date_ms + (int64_t)what->expires_s * 1000;
    FUZZ_CHECK(verify(arena, method, target, &headers, date_ms) == SIGV4_OK);
    FUZZ_CHECK(verify(arena, method, target, &headers, end_ms) == SIGV4_OK);
    FUZZ_CHECK(verify(arena, method, target, &headers, end_ms + 1) == SIGV4_EXPIRED);
    FUZZ_CHECK(verify(arena, "TRACE", target, &headers, date_ms) == SIGV4_MISMATCH);
    char *other = arena_strdup(arena, target);
    FUZZ_CHECK(other != NULL);
    other[1] ^= 1;
    FUZZ_CHECK(verify(arena, method, other, &headers, date_ms) == SIGV4_MISMATCH);
    if (what->content_type != NULL) {
        headers.content_type = arena_printf(arena, "%sx", what->content_type);
        FUZZ_CHECK(verify(arena, method, target, &headers, date_ms) == SIGV4_MISMATCH);
    }
}

/* Header values have no outer or doubled spaces once they have come over the wire and are signed.
 */
static bool is_plain(const char *text)
{
    return text[0] != '\0' && strpbrk(text, " \t/?#") == NULL;
}

static void try_presign(struct arena *arena, const struct fuzz_fields *fields)
{
    const char *host = fuzz_or_empty(fields->text[6]);
    const char *type = fields->text[3];
    char *url = arena_alloc(arena, URL_SIZE);
    if (!is_plain(host) || (type != NULL && strpbrk(type, " \t") != NULL) ||
        strchr(fuzz_or_empty(fields->text[1]), '/') != NULL) {
        return;
    }
    const struct sigv4_presign what = {
        .method = "PUT",
        .base_url = arena_printf(arena, "http://%s/s3", host),
        .bucket = fuzz_or_empty(fields->text[1]),
        .key = fuzz_or_empty(fields->text[2]),
        .upload_id = fields->text[4],
        .part_number = fields->text[5] != NULL ? (unsigned)atoi(fields->text[5]) & 0xffff : 0,
        .content_type = type,
        .content_length = -1,
        .expires_s = 1 + (unsigned)fields->length[2],
        .date_ms = date_ms,
        .credentials = {"KEY", secret, "us-east-1"}};
    if (sigv4_presign(&what, url, URL_SIZE) == 0) {
        try_url(arena, &what, strchr(url + 7, '/'), host);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_new(ARENA_BYTES);
    FUZZ_FIELDS fields = fuzz_split(data + 1, size - 1, 7);
    FUZZ_CHECK(arena != NULL);
    if (data[0] == 'P') {
        try_presign(arena, &fields);
    } else {
        try_raw(arena, &fields);
    }
    arena_free(arena);
    return 0;
}
