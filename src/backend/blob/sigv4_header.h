/* Signing requests in their Authorization header (sigv4.h says after which pages): what a client of
 * an S3 store sends. Pure functions, any thread. */
#pragma once

#include "backend/blob/sigv4.h"

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

enum { SIGV4_PAIRS_MAX = 24, SIGV4_AUTHORIZATION_SIZE = 1024 };

struct sigv4_pair {
    const char *name, *value;
};

struct sigv4_header {
    const char *method;
    const char *path;               /* as it goes over the line: encoded, from its first slash */
    const struct sigv4_pair *query; /* plain, in any order */
    unsigned query_count;
    const struct sigv4_pair *headers; /* all that are signed, host among them; names lower-case */
    unsigned header_count;
    const char *payload; /* x-amz-content-sha256, which must be among the headers */
    int64_t date_ms;     /* x-amz-date, likewise */
    const struct sigv4_credentials *credentials;
};

/* Appends the query, encoded and in the order that is signed. ERR_TOO_LARGE: more than
 * SIGV4_PAIRS_MAX pairs. */
int sigv4_query(const struct sigv4_pair *query, unsigned count, struct buffer *out);
/* The value of Authorization. ERR_TOO_LARGE: too many pairs, or larger than any store takes. */
int sigv4_authorize(const struct sigv4_header *what, char out[SIGV4_AUTHORIZATION_SIZE]);
