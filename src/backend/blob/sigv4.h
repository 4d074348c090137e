/* Signature Version 4, as S3 speaks it: "Authenticating Requests: Using the Authorization Header",
 * "… Using Query Parameters" and "Signature Calculations … Transferring Payload in Multiple Chunks"
 * of the Amazon S3 API reference. SHA-256 and HMAC are libsodium's; signatures are compared in
 * constant time. Pure functions, any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIGV4_KEY_BYTES = 32,
    SIGV4_HEX_SIZE = 65,
    SIGV4_DATE_SIZE = 17, /* "20260101T000000Z" */
    SIGV4_SCOPE_SIZE = 96,
    SIGV4_KEY_ID_SIZE = 64,
    SIGV4_SECRET_SIZE = 96,
    SIGV4_SKEW_MS_MAX = 15 * 60 * 1000,
};

struct sigv4_credentials {
    const char *key_id, *secret, *region;
};

/* The signing key of a day ("20260101"), a region and a service. */
void sigv4_signing_key(const char *secret, const char *day, const char *region, const char *service,
                       unsigned char out[SIGV4_KEY_BYTES]);
void sigv4_hex_hmac(const unsigned char key[SIGV4_KEY_BYTES], const char *text, size_t length,
                    char out[SIGV4_HEX_SIZE]);
void sigv4_hex_sha256(const void *bytes, size_t length, char out[SIGV4_HEX_SIZE]);
/* Percent-encodes all but A-Z a-z 0-9 - . _ ~ (and the slash, if kept). */
void sigv4_encode(struct buffer *out, const char *text, size_t length, bool keep_slash);
void sigv4_date(int64_t wall_ms, char out[SIGV4_DATE_SIZE]);
bool sigv4_date_parse(const char *text, int64_t *ret_wall_ms);

/* What a signature of that date counts for. */
void sigv4_scope(const char *date, const char *region, char out[SIGV4_SCOPE_SIZE]);
/* The signature of a canonical request. */
void sigv4_sign(const struct buffer *canonical, const char *date, const char *scope,
                const struct sigv4_credentials *credentials, char out[SIGV4_HEX_SIZE]);

/* A pre-signed URL. base_url: "http://host:port/s3" (its host is signed); bucket NULL: base_url
 * names it already. See struct blob_presign. */
struct sigv4_presign {
    const char *method, *base_url, *bucket, *key, *upload_id, *content_type, *response_type;
    unsigned part_number;
    int64_t content_length; /* -1: not signed */
    unsigned expires_s;
    int64_t date_ms;
    struct sigv4_credentials credentials;
};
int sigv4_presign(const struct sigv4_presign *what, char *out, size_t out_size);

/* Verification. */
enum sigv4_result {
    SIGV4_OK,
    SIGV4_ABSENT,      /* not signed at all */
    SIGV4_OTHER,       /* signed by another, older scheme */
    SIGV4_MALFORMED,   /* a signature that can't be read */
    SIGV4_UNKNOWN_KEY, /* no such key id */
    SIGV4_MISMATCH,    /* signed differently */
    SIGV4_EXPIRED,     /* a pre-signed URL past its time */
    SIGV4_NOT_YET,     /* a pre-signed URL from the future */
    SIGV4_SKEWED,      /* a header's date more than 15 minutes off */
    SIGV4_NO_MEMORY,
};

/* Another host and path under which the request may have been signed: a proxy changes both, and
 * some clients sign an endpoint's path as part of its host. */
struct sigv4_form {
    const char *host, *path; /* the path without the query */
};
enum { SIGV4_FORMS_MAX = 3 };

struct sigv4_request {
    const char *method;
    const char *target;                                      /* path and query as they came */
    const char *(*header)(void *argument, const char *name); /* NULL where there is none */
    void *header_argument;
    unsigned form_count;
    struct sigv4_form forms[SIGV4_FORMS_MAX];
    int64_t now_ms;
    /* The secret of a key id: true with out filled. */
    bool (*secret)(void *argument, const char *key_id, char out[SIGV4_SECRET_SIZE]);
    void *secret_argument;
};

/* What a good signature covers, and what the signatures of its chunks start from. */
struct sigv4_signed {
    char key_id[SIGV4_KEY_ID_SIZE];
    bool presigned;
    const char *signed_headers; /* names, ";" between; in arena */
    const char *payload; /* x-amz-content-sha256: a hash, UNSIGNED-PAYLOAD, STREAMING-…; in arena */
    unsigned char signing_key[SIGV4_KEY_BYTES];
    char signature[SIGV4_HEX_SIZE];
    char date[SIGV4_DATE_SIZE];
    char scope[SIGV4_SCOPE_SIZE];
};
/* True if the header's name is among the signed ones. */
bool sigv4_covers(const struct sigv4_signed *signature, const char *header);
enum sigv4_result sigv4_verify(struct arena *arena, const struct sigv4_request *request,
                               struct sigv4_signed *ret_signed);
