/* A client of raw sockets for the server's tests: says exactly the bytes it is given, at the pace
 * it is told, and reads what comes. Every wait has an end. */
#pragma once

#include "base/buffer.h"
#include "net/http.h"

#include <stdbool.h>
#include <stddef.h>

/* A server with these rows on a free port, started; fails the test otherwise. config NULL: the
 * defaults for tests (two loops, no access log). */
struct http_server *serve(const struct route *rows, unsigned count, void *context,
                          const struct http_config *config, const struct http_hooks *hooks);
void test_config(struct http_config *config);

int client_connect(struct http_server *server);
/* False where nobody listens. */
bool client_can_connect(struct http_server *server);
/* From 127.9.0.number. */
int client_connect_from(struct http_server *server, unsigned number);
void client_send(int fd, const char *bytes, size_t length);
void client_say(int fd, const char *text);

struct answer {
    int status; /* 0: none came */
    char head[4096];
    char *body; /* owned; answer_done */
    size_t length;
    bool closed; /* the connection was closed behind it */
};
/* Reads one answer, by its Content-Length, chunks, or the connection's end. head_only: as HEAD. */
struct answer client_read(int fd, bool head_only);
void answer_done(struct answer *answer);
/* The value of a header in static memory, NULL if not there. */
const char *answer_header(const struct answer *answer, const char *name);
/* One request on a connection of its own. */
struct answer client_ask(struct http_server *server, const char *request);
/* True when the server ends the connection within ms. */
bool client_is_closed_within(int fd, int ms);
