/* The web server of the tests of clients (inject_http.h). It reads byte by byte, on the stack. */
#include "inject_http.h"

#include "inject.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_SIZE = 256, LINES_MAX = 65536 };

static struct {
    int listener;
    pthread_t thread;
    char url[48];
    pthread_mutex_t lock;
    unsigned count; /* under the lock, as are the lines: the beginnings of what was asked */
    char lines[LINES_MAX][24];
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A line without its end; false: there is none any more. What is longer is cut. */
static bool read_line(int fd, char line[LINE_SIZE])
{
    size_t length = 0;
    char byte = '\0';
    while (recv(fd, &byte, 1, 0) == 1 && byte != '\n') {
        if (byte != '\r' && length < LINE_SIZE - 1) {
            line[length++] = byte;
        }
    }
    line[length] = '\0';
    return byte == '\n';
}

static void note(const char *line)
{
    (void)pthread_mutex_lock(&server.lock);
    (void)snprintf(server.lines[server.count++ % LINES_MAX], sizeof server.lines[0], "%.23s", line);
    (void)pthread_mutex_unlock(&server.lock);
}

/* One request; false: there is none any more. */
static bool answer(int fd)
{
    static const char done[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    char first[LINE_SIZE], line[LINE_SIZE], byte;
    unsigned long body = 0;
    if (!read_line(fd, first)) {
        return false;
    }
    while (read_line(fd, line) && line[0] != '\0') {
        body = strncasecmp(line, "Content-Length:", 15) == 0 ? strtoul(line + 15, NULL, 10) : body;
    }
    while (body > 0 && recv(fd, &byte, 1, 0) == 1) {
        body--;
    }
    note(first);
    return body == 0 && send(fd, done, sizeof done - 1, MSG_NOSIGNAL) == (ssize_t)sizeof done - 1;
}

static void *serve(void *argument)
{
    (void)argument;
    const struct timeval patience = {.tv_sec = 2}; /* with who fell silent for want of memory */
    for (int fd; (fd = accept(server.listener, NULL, NULL)) >= 0;) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        while (answer(fd)) {
        }
        (void)close(fd);
    }
    return NULL;
}

int inject_http_setup(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (inject_setup(state) != 0) {
        return -1;
    }
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&address, size) != 0 ||
        listen(server.listener, 16) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) != 0) {
        return -1;
    }
    server.count = 0;
    (void)snprintf(server.url, sizeof server.url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return pthread_create(&server.thread, NULL, serve, NULL);
}

int inject_http_teardown(void **state)
{
    (void)shutdown(server.listener, SHUT_RDWR);
    (void)pthread_join(server.thread, NULL);
    (void)close(server.listener);
    return inject_teardown(state);
}

int inject_http_install(void **state)
{
    CURLcode code =
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free, realloc, strdup, calloc);
    return code == CURLE_OK ? inject_install(state) : -1;
}

int inject_http_end(void **state)
{
    (void)state;
    curl_global_cleanup();
    return 0;
}

const char *inject_http_url(void)
{
    return server.url;
}

unsigned inject_http_count(const char *begins)
{
    unsigned found = 0;
    (void)pthread_mutex_lock(&server.lock);
    for (unsigned i = 0; i < server.count && i < LINES_MAX; i++) {
        found += strncmp(server.lines[i], begins, strlen(begins)) == 0 ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&server.lock);
    return found;
}
