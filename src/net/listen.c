/* The listening socket (listen.h). */
#include "net/listen.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, HOST_SIZE = 64 };

union socket_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

static bool split(const char *text, char host[HOST_SIZE], unsigned *port)
{
    const char *colon = strrchr(text, ':');
    int64_t number;
    if (colon == NULL || !text_number(colon + 1, 0, 65535, &number)) {
        return false;
    }
    size_t length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= HOST_SIZE) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    *port = (unsigned)number;
    return true;
}

static bool parse(const char *text, union socket_address *address, socklen_t *length)
{
    char host[HOST_SIZE];
    unsigned port;
    if (!split(text, host, &port)) {
        return false;
    }
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &address->ipv4.sin_addr) == 1) {
        address->ipv4.sin_family = AF_INET;
        address->ipv4.sin_port = htons((uint16_t)port);
        *length = sizeof address->ipv4;
        return true;
    }
    if (strcmp(host, "*") != 0 && inet_pton(AF_INET6, host, &address->ipv6.sin6_addr) != 1) {
        return false;
    }
    address->ipv6.sin6_family = AF_INET6;
    address->ipv6.sin6_port = htons((uint16_t)port);
    *length = sizeof address->ipv6;
    return true;
}

static int bind_and_listen(int fd, const union socket_address *address, socklen_t length)
{
    int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (address->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, &address->any, length) != 0) {
        return -1;
    }
    return listen(fd, BACKLOG);
}

static unsigned bound_port(int fd)
{
    union socket_address address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0) {
        return 0;
    }
    return ntohs(address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port
                                                   : address.ipv4.sin_port);
}

static bool understand(const char *text, union socket_address *ret_address, socklen_t *ret_length,
                       struct problem *problem)
{
    bool understood = parse(text, ret_address, ret_length);
    if (!understood) {
        (void)problem_set(problem, ERR_INVALID,
                          "server.listen = %s: must be ADDRESS:PORT, as 127.0.0.1:4040, "
                          "[::1]:4040 or *:4040 for every address",
                          text);
    }
    return understood;
}

int listen_check(const char *listen_address, struct problem *problem)
{
    union socket_address address;
    socklen_t length;
    return understand(listen_address, &address, &length, problem) ? 0 : ERR_INVALID;
}

int listen_open(const char *listen_address, int *ret_fd, unsigned *ret_port,
                struct problem *problem)
{
    union socket_address address;
    socklen_t length;
    if (!understand(listen_address, &address, &length, problem)) {
        return ERR_INVALID;
    }
    int fd CLEANUP_CLOSE =
        socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_and_listen(fd, &address, length) != 0) {
        return problem_set(problem, ERR_UNAVAILABLE, "Can't listen on %s: %s", listen_address,
                           strerror(errno));
    }
    *ret_port = bound_port(fd);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* A socket that listens where nobody can call: a name of the kernel's choice, in the abstract. */
static int deaf_socket(void)
{
    int fd CLEANUP_CLOSE = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr_un nameless = {.sun_family = AF_UNIX};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&nameless, sizeof nameless.sun_family) != 0 ||
        listen(fd, 1) != 0) {
        return -1;
    }
    return TAKE_FD(fd);
}

/* libmicrohttpd's own way (MHD_quiesce_daemon) aborts the process in 0.9.75 where a loop notices at
 * the same moment. Where the last descriptor of a listening socket goes, the kernel closes it and
 * takes it out of every epoll set by itself; a loop that was just told of a connection accepts from
 * the new socket, and hears that there is none. */
int listen_end(int fd)
{
    int deaf CLEANUP_CLOSE = deaf_socket();
    return deaf >= 0 && dup3(deaf, fd, O_CLOEXEC) == fd ? 0 : ERR_UNAVAILABLE;
}
