/* Small parsers of header values. Pure functions over text from outside; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1), or NULL for another scheme or
 * for what is no b64token. Points into value. */
const char *header_bearer(const char *value);

/* W3C Trace Context, version 00: 2-32-16-2 lower-case hex digits, neither id all zero. */
bool header_traceparent(const char *value);

/* A request id that may be taken over from outside: 1 … 39 of [A-Za-z0-9._-]. */
bool header_request_id(const char *value);

/* An Idempotency-Key: 1 … 255 visible ASCII characters. */
bool header_idempotency_key(const char *value);

/* True when a list of entity tags (If-Match, If-None-Match; RFC 9110 section 8.8.3) holds etag
 * (with its quotes) or is "*". Weak comparison takes W/"x" for "x"; strong never matches a weak
 * one. */
bool header_etag_listed(const char *list, const char *etag, bool weak);

/* HTTP's date (RFC 9110 section 5.6.7) in its three forms: "Sun, 06 Nov 1994 08:49:37 GMT", which
 * is written, and the obsolete "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994". ms
 * UTC. */
bool header_date_parse(const char *value, int64_t *ret_ms);
enum { HEADER_DATE_SIZE = 30 };
void header_date_format(int64_t ms, char out[HEADER_DATE_SIZE]);

/* The value of a cookie (RFC 6265 section 4.2.1): a slice of the Cookie header, NULL if not there.
 */
const char *header_cookie(const char *header, const char *name, size_t *ret_length);

/* True when a comma-separated list holds token, without regard to case. */
bool header_list_holds(const char *list, const char *token);
