/* A web server of a few lines for the tests of clients (inject.h): on loopback, a thread of its
 * own, one connection after another, each request answered with 200 and no body. Nothing that it
 * does fails. */
#pragma once

/* Of each test, around inject_setup and inject_teardown. */
int inject_http_setup(void **state);
int inject_http_teardown(void **state);
/* Of a group: libcurl's own memory fails, too, and is no longer there at the end. */
int inject_http_install(void **state);
int inject_http_end(void **state);

/* "http://127.0.0.1:PORT" */
const char *inject_http_url(void);
/* How many requests were answered whose first line begins so. */
unsigned inject_http_count(const char *begins);
