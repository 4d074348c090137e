/* What engines that are reached over HTTP by libcurl share (objects in S3, search in OpenSearch):
 * handles with their connections, a request's usual options, what an end without an answer means,
 * and the pause before the next try. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* ---- http_pool.c: curl's handles, each with its connection ---- */

struct http_pool;
int http_pool_new(unsigned handles_max, struct http_pool **ret_pool);
void http_pool_free(struct http_pool *pool); /* NULL is fine */
/* A CURL, reset but for its connection. ERR_BUSY: all are in use, for too long. */
int http_pool_take(struct http_pool *pool, void **ret_curl);
void http_pool_give(struct http_pool *pool, void *curl);

/* ---- http_line.c ---- */

struct http_line {
    const char *url;
    const char *ca; /* a PEM file; "": the system's */
    bool tls;
    int64_t timeout_ms; /* cut to what is left of the call's time (call.h) */
};
/* No proxy, no redirect, no signal; TLS from 1.2 on, its certificate checked. */
void http_set_line(void *curl, const struct http_line *line);
/* The request's method. 0, or a CURLcode for http_judge: the request would go out as another one,
 * so it must not. */
int http_set_method(void *curl, const char *method);
/* What a CURLcode that is no CURLE_OK means: ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_IO or ERR_NO_MEMORY.
 * *ret_wrong_setup: trying again is of no use. */
int http_judge(int code, bool *ret_wrong_setup);
/* Before a second, third … try: half to all of 100 ms, 200 ms, 400 ms …, so that those who failed
 * together do not come back together. tries: so many were made. */
void http_pause(unsigned tries);
