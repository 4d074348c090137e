/* A client of raw sockets (client.h). */
#include "client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 60000 }; /* a bound for what comes at once */

void test_config(struct http_config *config)
{
    http_config_defaults(config);
    config->listen = "127.0.0.1:0";
    config->loop_threads = 2;
    config->pool_threads = 4;
    config->drain_timeout_ms = 2000;
    config->access_log = false;
}

struct http_server *serve(const struct route *rows, unsigned count, void *context,
                          const struct http_config *config, const struct http_hooks *hooks)
{
    struct http_config fallback;
    test_config(&fallback);
    struct problem problem = {0};
    struct http_server *server = NULL;
    assert_int_equal(http_server_new(config != NULL ? config : &fallback, hooks, &server, &problem),
                     0);
    assert_int_equal(http_server_add_routes(server, rows, count, context), 0);
    int error = http_server_start(server, &problem);
    if (error != 0) {
        fail_msg("start: %s", problem.detail);
    }
    return server;
}

static int connect_from(struct http_server *server, uint32_t from)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

bool client_can_connect(struct http_server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool can = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return can;
}

int client_connect(struct http_server *server)
{
    return connect_from(server, INADDR_LOOPBACK);
}

int client_connect_from(struct http_server *server, unsigned number)
{
    return connect_from(server, 0x7f090000 + number);
}

void client_send(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the server has closed: the answer tells */
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

void client_say(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

/* Reads up to length bytes, waiting; 0: closed, -1: nothing came in time. */
static ssize_t read_some(int fd, char *bytes, size_t length)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, WAIT_MS) <= 0) {
        return -1;
    }
    ssize_t got = recv(fd, bytes, length, 0);
    return got < 0 ? 0 : got;
}

static bool read_head(int fd, struct answer *answer)
{
    size_t length = 0;
    while (length < sizeof answer->head - 1) {
        if (read_some(fd, answer->head + length, 1) <= 0) {
            answer->closed = true;
            return false;
        }
        answer->head[++length] = '\0';
        if (length >= 4 && strcmp(answer->head + length - 4, "\r\n\r\n") == 0) {
            answer->status = atoi(answer->head + 9);
            return true;
        }
    }
    return false;
}

static void read_exactly(int fd, struct answer *answer, size_t length)
{
    answer->body = realloc(answer->body, answer->length + length + 1);
    assert_non_null(answer->body);
    while (length > 0) {
        ssize_t got = read_some(fd, answer->body + answer->length, length);
        if (got <= 0) {
            answer->closed = true;
            break;
        }
        answer->length += (size_t)got;
        length -= (size_t)got;
    }
    answer->body[answer->length] = '\0';
}

static void read_chunks(int fd, struct answer *answer)
{
    for (;;) {
        char line[32];
        size_t length = 0;
        while (length < sizeof line - 1 && read_some(fd, line + length, 1) == 1 &&
               line[length] != '\n') {
            length++;
        }
        line[length] = '\0';
        size_t size = strtoul(line, NULL, 16);
        if (length == 0 || size == 0) {
            answer->closed = length == 0;
            return;
        }
        read_exactly(fd, answer, size);
        char end[2];
        (void)read_some(fd, end, 2);
    }
}

const char *answer_header(const struct answer *answer, const char *name)
{
    static char value[512];
    size_t name_length = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n"); line != NULL && line[2] != '\r';
         line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2;
        if (strncasecmp(at, name, name_length) == 0 && at[name_length] == ':') {
            at += name_length + 1;
            at += strspn(at, " ");
            size_t length = strcspn(at, "\r");
            assert_true(length < sizeof value);
            memcpy(value, at, length);
            value[length] = '\0';
            return value;
        }
    }
    return NULL;
}

struct answer client_read(int fd, bool head_only)
{
    struct answer answer = {.status = 0};
    do {
        if (!read_head(fd, &answer)) {
            return answer;
        }
    } while (answer.status == 100);
    const char *length = answer_header(&answer, "Content-Length");
    if (head_only || answer.status == 204 || answer.status == 304) {
        return answer;
    }
    if (length != NULL) {
        read_exactly(fd, &answer, strtoul(length, NULL, 10));
    } else if (answer_header(&answer, "Transfer-Encoding") != NULL) {
        read_chunks(fd, &answer);
    } else {
        while (!answer.closed) {
            read_exactly(fd, &answer, 4096);
        }
    }
    return answer;
}

void answer_done(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

struct answer client_ask(struct http_server *server, const char *request)
{
    int fd = client_connect(server);
    client_say(fd, request);
    struct answer answer = client_read(fd, strncmp(request, "HEAD ", 5) == 0);
    (void)close(fd);
    return answer;
}

bool client_is_closed_within(int fd, int ms)
{
    char bytes[4096];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, ms) > 0) {
        if (recv(fd, bytes, sizeof bytes, 0) <= 0) {
            return true;
        }
    }
    return false;
}
