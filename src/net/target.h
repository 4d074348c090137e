/* The request's target (RFC 9112 section 3.2): path and query, percent-decoded and checked. Pure
 * functions over bytes from outside; any thread; results live in the arena. */
#pragma once

#include "base/arena.h"

#include <stddef.h>

/* The segments: an object's key of 64 parts below /s3/BUCKET/, and a few more. */
enum { TARGET_SEGMENTS_MAX = 68, TARGET_QUERY_MAX = 256 };

struct target_segment {
    unsigned offset, length; /* in the decoded path */
};

struct target_path {
    const char *text; /* decoded, begins with '/' */
    unsigned length;
    unsigned count;
    struct target_segment segments[TARGET_SEGMENTS_MAX]; /* the last may be empty: "/a/" */
};

struct target_pair {
    const char *name, *value; /* value "" where there was no '=' */
};

struct target_query {
    unsigned count;
    struct target_pair *pairs;
};

/* Where the path begins in a target of a request: behind scheme and authority of the absolute form
 * (RFC 9112 section 3.2.2), in which an empty path is "/". A part of target, or "/". */
const char *target_path_start(const char *target);

/* Splits and decodes the path part of target (up to '?' or its end). Percent-encodings must be
 * whole, the result valid UTF-8 without NUL, no segment "." or "..". ERR_MALFORMED, ERR_NO_MEMORY;
 * ERR_URI_TOO_LONG for more than TARGET_SEGMENTS_MAX segments. Where it fails with either, the path
 * is what was decoded before. */
int target_path_decode(struct arena *arena, const char *target, struct target_path *ret_path);

/* Decodes the query behind '?' (none: count 0): '&' between, '+' is a space. The same checks as
 * the path's; ERR_MALFORMED for more than TARGET_QUERY_MAX pairs. */
int target_query_decode(struct arena *arena, const char *target, struct target_query *ret_query);
