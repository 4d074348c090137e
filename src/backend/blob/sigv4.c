/* Signature Version 4: its pieces, and the making of pre-signed URLs (sigv4.h). Any thread. */
#include "backend/blob/sigv4.h"

#include "backend/blob/blob.h"
#include "base/error.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { URL_BYTES_MAX = 8192 };

static void hmac(const void *key, size_t key_length, const char *text, size_t length,
                 unsigned char out[SIGV4_KEY_BYTES])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_length);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, length);
    crypto_auth_hmacsha256_final(&state, out);
}

void sigv4_signing_key(const char *secret, const char *day, const char *region, const char *service,
                       unsigned char out[SIGV4_KEY_BYTES])
{
    char first[SIGV4_SECRET_SIZE + 8];
    int length = snprintf(first, sizeof first, "AWS4%s", secret);
    hmac(first, (size_t)length, day, strlen(day), out);
    hmac(out, SIGV4_KEY_BYTES, region, strlen(region), out);
    hmac(out, SIGV4_KEY_BYTES, service, strlen(service), out);
    hmac(out, SIGV4_KEY_BYTES, "aws4_request", 12, out);
    sodium_memzero(first, sizeof first);
}

void sigv4_hex_hmac(const unsigned char key[SIGV4_KEY_BYTES], const char *text, size_t length,
                    char out[SIGV4_HEX_SIZE])
{
    unsigned char digest[SIGV4_KEY_BYTES];
    hmac(key, SIGV4_KEY_BYTES, text, length, digest);
    (void)sodium_bin2hex(out, SIGV4_HEX_SIZE, digest, sizeof digest);
}

void sigv4_hex_sha256(const void *bytes, size_t length, char out[SIGV4_HEX_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, bytes, length);
    (void)sodium_bin2hex(out, SIGV4_HEX_SIZE, digest, sizeof digest);
}

static bool is_unreserved(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

void sigv4_encode(struct buffer *out, const char *text, size_t length, bool keep_slash)
{
    for (size_t i = 0; i < length; i++) {
        if (is_unreserved(text[i]) || (keep_slash && text[i] == '/')) {
            (void)buffer_append(out, &text[i], 1);
        } else {
            (void)buffer_printf(out, "%%%02X", (unsigned char)text[i]);
        }
    }
}

void sigv4_date(int64_t wall_ms, char out[SIGV4_DATE_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &parts);
}

bool sigv4_date_parse(const char *text, int64_t *ret_wall_ms)
{
    struct tm parts = {0};
    if (strlen(text) != SIGV4_DATE_SIZE - 1) {
        return false;
    }
    const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &parts);
    if (end == NULL || *end != '\0') {
        return false;
    }
    *ret_wall_ms = (int64_t)timegm(&parts) * 1000;
    return true;
}

void sigv4_scope(const char *date, const char *region, char out[SIGV4_SCOPE_SIZE])
{
    (void)snprintf(out, SIGV4_SCOPE_SIZE, "%.8s/%s/s3/aws4_request", date, region);
}

void sigv4_sign(const struct buffer *canonical, const char *date, const char *scope,
                const struct sigv4_credentials *credentials, char out[SIGV4_HEX_SIZE])
{
    char hash[SIGV4_HEX_SIZE];
    char text[SIGV4_SCOPE_SIZE + SIGV4_HEX_SIZE + 64];
    unsigned char key[SIGV4_KEY_BYTES];
    char day[9] = {0};
    memcpy(day, date, 8);
    sigv4_hex_sha256(canonical->data, canonical->length, hash);
    int length = snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
    sigv4_signing_key(credentials->secret, day, credentials->region, "s3", key);
    sigv4_hex_hmac(key, text, (size_t)length, out);
    sodium_memzero(key, sizeof key);
}

/* Pre-signing. The query's names are written in byte order, which is what the signature wants. */

struct signer {
    const struct sigv4_presign *what;
    char date[SIGV4_DATE_SIZE];
    char scope[SIGV4_SCOPE_SIZE];
    const char *host; /* in base_url, host_length bytes */
    size_t host_length;
    const char *signed_headers;
    struct buffer path, query;
};

static int start(struct signer *signer)
{
    const struct sigv4_presign *what = signer->what;
    const char *host = strstr(what->base_url, "://");
    if (host == NULL || what->expires_s == 0 || what->expires_s > BLOB_PRESIGN_SECONDS_MAX) {
        return ERR_INVALID;
    }
    signer->host = host + 3;
    signer->host_length = strcspn(signer->host, "/");
    sigv4_date(what->date_ms, signer->date);
    sigv4_scope(signer->date, what->credentials.region, signer->scope);
    bool length = what->content_length >= 0;
    bool type = what->content_type != NULL;
    signer->signed_headers =
        length ? (type ? "content-length;content-type;host" : "content-length;host")
               : (type ? "content-type;host" : "host");
    return 0;
}

static void write_path(struct signer *signer)
{
    const struct sigv4_presign *what = signer->what;
    (void)buffer_add(&signer->path, signer->host + signer->host_length);
    (void)buffer_add(&signer->path, "/");
    if (what->bucket != NULL) {
        sigv4_encode(&signer->path, what->bucket, strlen(what->bucket), false);
        (void)buffer_add(&signer->path, "/");
    }
    sigv4_encode(&signer->path, what->key, strlen(what->key), true);
}

static void write_query(struct signer *signer)
{
    const struct sigv4_presign *what = signer->what;
    struct buffer *query = &signer->query;
    (void)buffer_add(query, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
    sigv4_encode(query, what->credentials.key_id, strlen(what->credentials.key_id), false);
    (void)buffer_add(query, "%2F");
    sigv4_encode(query, signer->scope, strlen(signer->scope), false);
    (void)buffer_printf(query, "&X-Amz-Date=%s&X-Amz-Expires=%u&X-Amz-SignedHeaders=", signer->date,
                        what->expires_s);
    sigv4_encode(query, signer->signed_headers, strlen(signer->signed_headers), false);
    if (what->part_number > 0) {
        (void)buffer_printf(query, "&partNumber=%u", what->part_number);
    }
    if (what->response_type != NULL) {
        (void)buffer_add(query, "&response-content-type=");
        sigv4_encode(query, what->response_type, strlen(what->response_type), false);
    }
    if (what->upload_id != NULL) {
        (void)buffer_add(query, "&uploadId=");
        sigv4_encode(query, what->upload_id, strlen(what->upload_id), false);
    }
}

static void write_canonical(const struct signer *signer, struct buffer *out)
{
    const struct sigv4_presign *what = signer->what;
    (void)buffer_printf(out, "%s\n%s\n%s\n", what->method, signer->path.data, signer->query.data);
    if (what->content_length >= 0) {
        (void)buffer_printf(out, "content-length:%lld\n", (long long)what->content_length);
    }
    if (what->content_type != NULL) {
        (void)buffer_printf(out, "content-type:%s\n", what->content_type);
    }
    (void)buffer_printf(out, "host:%.*s\n\n%s\nUNSIGNED-PAYLOAD", (int)signer->host_length,
                        signer->host, signer->signed_headers);
}

static int sign(const struct signer *signer, char ret_signature[SIGV4_HEX_SIZE])
{
    struct buffer canonical;
    buffer_init(&canonical, 2 * (size_t)URL_BYTES_MAX);
    write_canonical(signer, &canonical);
    int error = buffer_error(&canonical);
    if (error == 0) {
        sigv4_sign(&canonical, signer->date, signer->scope, &signer->what->credentials,
                   ret_signature);
    }
    buffer_done(&canonical);
    return error;
}

int sigv4_presign(const struct sigv4_presign *what, char *out, size_t out_size)
{
    struct signer signer = {.what = what};
    int error = start(&signer);
    if (error != 0) {
        return error;
    }
    buffer_init(&signer.path, URL_BYTES_MAX);
    buffer_init(&signer.query, URL_BYTES_MAX);
    write_path(&signer);
    write_query(&signer);
    error =
        buffer_error(&signer.path) != 0 ? buffer_error(&signer.path) : buffer_error(&signer.query);
    char signature[SIGV4_HEX_SIZE];
    error = error != 0 ? error : sign(&signer, signature);
    if (error == 0) {
        int length = snprintf(out, out_size, "%.*s%s?%s&X-Amz-Signature=%s",
                              (int)(signer.host + signer.host_length - what->base_url),
                              what->base_url, signer.path.data, signer.query.data, signature);
        error = length >= 0 && (size_t)length < out_size ? 0 : ERR_TOO_LARGE;
    }
    buffer_done(&signer.path);
    buffer_done(&signer.query);
    return error;
}
