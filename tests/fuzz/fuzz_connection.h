/* A real server on loopback, and a connection to it: what is sent, then its end, and all that
 * comes. */
#pragma once

#include "base/error.h"
#include "fuzz.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FUZZ_WAIT_MS = 20000,
    FUZZ_PORT_WAIT_MS = 100,
    FUZZ_END_WAIT_MS = 2,
    FUZZ_ANSWER_BYTES_MAX = 1 << 20
};

static struct http_server *fuzz_server;
static char *fuzz_answer; /* to the last that was sent, with a NUL behind it */

static inline int fuzz_refuse(void *context, struct request *request, const char *bearer)
{
    (void)context;
    (void)request;
    (void)bearer;
    return ERR_UNAUTHENTICATED;
}

/* One thread of each kind, and nothing that waits or writes lines. */
static inline void fuzz_server_settings(struct http_config *config)
{
    http_config_defaults(config);
    config->listen = "127.0.0.1:0";
    config->public_url = "http://localhost";
    config->loop_threads = 1;
    config->pool_threads = 1;
    config->access_log = false;
    config->drain_timeout_ms = 100;
}

static inline void fuzz_server_start(const struct http_config *config, const struct route *routes,
                                     unsigned count, void *context)
{
    static const struct http_hooks hooks = {.authenticate = fuzz_refuse};
    fuzz_answer = malloc(FUZZ_ANSWER_BYTES_MAX + 1);
    FUZZ_CHECK(fuzz_answer != NULL);
    FUZZ_CHECK(http_server_new(config, &hooks, &fuzz_server, NULL) == 0);
    FUZZ_CHECK(http_server_add_routes(fuzz_server, routes, count, context) == 0);
    FUZZ_CHECK(http_server_start(fuzz_server, NULL) == 0);
}

static inline void fuzz_server_stop(void)
{
    http_server_drain(fuzz_server);
    http_server_free(fuzz_server);
    free(fuzz_answer);
}

static inline int fuzz_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(fuzz_server)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0);
    while (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        FUZZ_CHECK(errno == EADDRNOTAVAIL); /* all ports still wait for late packets */
        (void)poll(NULL, 0, FUZZ_PORT_WAIT_MS);
    }
    return fd;
}

/* The answer's length: all that comes until the server is done; a client's end may come before. */
static inline size_t fuzz_hear(int fd)
{
    size_t length = 0;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    while (length < FUZZ_ANSWER_BYTES_MAX) {
        int ready = poll(&waiting, 1, FUZZ_WAIT_MS);
        if (ready < 0 && errno == EINTR) {
            continue; /* libFuzzer's clock */
        }
        FUZZ_CHECK(ready == 1);
        ssize_t got = recv(fd, fuzz_answer + length, FUZZ_ANSWER_BYTES_MAX - length, 0);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    fuzz_answer[length] = '\0';
    return length;
}

/* Sends the bytes; the answer's length. */
static inline size_t fuzz_exchange(const void *bytes, size_t size)
{
    /* No keep-alive after it: the port is free again at once. */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = fuzz_connect();
    struct pollfd answered = {.fd = fd, .events = POLLIN};
    (void)send(fd, bytes, size, MSG_NOSIGNAL);
    /* An end that is seen together with bytes is heard late (libmicrohttpd: a fifth of a second).
     */
    (void)poll(&answered, 1, FUZZ_END_WAIT_MS);
    (void)shutdown(fd, SHUT_WR);
    size_t length = fuzz_hear(fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    FUZZ_CHECK(close(fd) == 0);
    return length;
}
