/* A connection to a real server on loopback: what is sent, then its end, and all that comes. */
#pragma once

#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FUZZ_WAIT_MS = 20000 };

static inline int fuzz_connect(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* All that comes until the server is done, and a NUL; a client's end may come before it. */
static inline size_t fuzz_hear(int fd, char *answer, size_t bytes_max)
{
    size_t length = 0;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    while (length < bytes_max) {
        int ready = poll(&waiting, 1, FUZZ_WAIT_MS);
        if (ready < 0 && errno == EINTR) {
            continue; /* libFuzzer's clock */
        }
        FUZZ_CHECK(ready == 1);
        ssize_t got = recv(fd, answer + length, bytes_max - length, 0);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    answer[length] = '\0';
    return length;
}

/* The bytes, and the answer's length: of answer[bytes_max + 1]. */
static inline size_t fuzz_exchange(unsigned port, const void *bytes, size_t size, char *answer,
                                   size_t bytes_max)
{
    /* No keep-alive after it: the port is free again at once. */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = fuzz_connect(port);
    (void)send(fd, bytes, size, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    size_t length = fuzz_hear(fd, answer, bytes_max);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    FUZZ_CHECK(close(fd) == 0);
    return length;
}
