/* The credentials and the clock of the examples in the Amazon S3 API reference, and a request made
 * of a table of headers. */
#pragma once

#include "backend/blob/sigv4.h"

#include <string.h>
#include <strings.h>

#define VECTOR_KEY_ID "AKIAIOSFODNN7EXAMPLE"
#define VECTOR_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define VECTOR_EMPTY  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const int64_t vector_time_ms = 1369353600000; /* 2013-05-24 00:00:00 UTC */

struct vector_header {
    const char *name, *value;
};

static const char *vector_find(void *argument, const char *name)
{
    for (const struct vector_header *header = argument; header->name != NULL; header++) {
        if (strcasecmp(header->name, name) == 0) {
            return header->value;
        }
    }
    return NULL;
}

static bool vector_secret(void *argument, const char *key_id, char out[SIGV4_SECRET_SIZE])
{
    (void)argument;
    (void)strcpy(out, VECTOR_SECRET);
    return strcmp(key_id, VECTOR_KEY_ID) == 0;
}

static inline enum sigv4_result vector_verify(struct arena *arena, const char *method,
                                              const char *target, struct vector_header *headers,
                                              int64_t now_ms, struct sigv4_signed *ret_signed)
{
    const struct sigv4_request request = {
        .method = method,
        .target = target,
        .header = vector_find,
        .header_argument = headers,
        .now_ms = now_ms,
        .secret = vector_secret,
    };
    return sigv4_verify(arena, &request, ret_signed);
}
