/* The closed list of errors.
 *
 * A function that can fail returns 0 or one of these (negative). Each has a name for logs and for
 * the "type" of a problem document (RFC 9457), the HTTP status it becomes, and a title for people.
 * What exactly went wrong goes into a struct problem (problem.h), never into a new code.
 */
#pragma once

#include <stdbool.h>

/* X(constant, type, HTTP status, title) */
#define ERROR_LIST(X)                                                                              \
    X(ERR_INTERNAL, "internal", 500, "Something went wrong on our side")                           \
    X(ERR_NO_MEMORY, "no-memory", 503, "The server is out of memory")                              \
    X(ERR_IO, "io", 500, "Reading or writing failed")                                              \
    X(ERR_DISK_FULL, "disk-full", 507, "The disk is full")                                         \
    X(ERR_CORRUPT, "corrupt", 500, "Stored data is damaged")                                       \
    X(ERR_UNAVAILABLE, "unavailable", 503, "Not available right now")                              \
    X(ERR_TIMEOUT, "timeout", 504, "It took too long")                                             \
    X(ERR_BUSY, "busy", 503, "The server is busy")                                                 \
    X(ERR_CANCELLED, "cancelled", 503, "Cancelled")                                                \
    X(ERR_INVALID, "invalid", 422, "The request can't be processed")                               \
    X(ERR_MALFORMED, "malformed", 400, "The request is malformed")                                 \
    X(ERR_UNAUTHENTICATED, "unauthenticated", 401, "Sign in first")                                \
    X(ERR_FORBIDDEN, "forbidden", 403, "Not allowed")                                              \
    X(ERR_NOT_FOUND, "not-found", 404, "Not found")                                                \
    X(ERR_METHOD, "method-not-allowed", 405, "This method is not allowed here")                    \
    X(ERR_NOT_ACCEPTABLE, "not-acceptable", 406, "No acceptable form to answer in")                \
    X(ERR_REQUEST_TIMEOUT, "request-timeout", 408, "The request came in too slowly")               \
    X(ERR_CONFLICT, "conflict", 409, "In conflict with what is there")                             \
    X(ERR_GONE, "gone", 410, "No longer there")                                                    \
    X(ERR_LENGTH_REQUIRED, "length-required", 411, "Content-Length is needed")                     \
    X(ERR_PRECONDITION, "precondition-failed", 412, "It has changed since you read it")            \
    X(ERR_TOO_LARGE, "too-large", 413, "Too large")                                                \
    X(ERR_URI_TOO_LONG, "uri-too-long", 414, "The address is too long")                            \
    X(ERR_MEDIA_TYPE, "media-type", 415, "This type of content is not accepted")                   \
    X(ERR_RANGE, "range", 416, "The range can't be satisfied")                                     \
    X(ERR_RATE_LIMITED, "rate-limited", 429, "Too many requests")                                  \
    X(ERR_HEADERS_TOO_LARGE, "headers-too-large", 431, "The headers are too large")                \
    X(ERR_QUOTA, "quota", 403, "The quota is used up")                                             \
    X(ERR_UNSUPPORTED, "unsupported", 501, "Not supported")                                        \
    X(ERR_VERSION, "version", 500, "Made by another version")                                      \
    X(ERR_EXISTS, "exists", 409, "It exists already")

enum error {
    ERR_FIRST_ = -1000, /* the constants follow upwards, all negative */
#define X(constant, type, status, title) constant,
    ERROR_LIST(X)
#undef X
        ERR_END_
};

/* The word of an error ("not-found"); "ok" for 0, "unknown" for what is none. Static storage. */
const char *error_name(int code);

/* The title for people. Static storage. */
const char *error_title(int code);

/* The HTTP status (RFC 9110) an error becomes; 500 for what is none. */
int error_http_status(int code);

/* Whether who asked was refused, so that surely nothing was done. After any other failure of a
 * write it may have been done, and only the word of it was lost. */
bool error_is_refusal(int code);

/* The error for a system errno: ENOSPC → ERR_DISK_FULL, ENOENT → ERR_NOT_FOUND, else ERR_IO. */
int error_from_errno(int errno_value);
