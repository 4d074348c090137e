/* Listeners that each take a segment of a file every four seconds, as a player does at 320 kbit/s.
 *
 *   listeners PORT PATH COUNT SECONDS < ranges        (lines of "offset length")
 *
 * One thread, one epoll, so that what it costs beside the server is small. Listeners start evenly
 * over the first four seconds, each from a loopback address of its own kind and at another place of
 * the file, and keep their connections. A segment is late when it is not whole as the next one is
 * due. Ends with one JSON object: segments, late, failed, p99_ms, max_ms, cpu_s.
 */
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LISTENERS_MAX = 20000,
    RANGES_MAX = 4096,
    SEGMENT_MS = 4000,
    ADDRESSES = 200,
    HEAD_MAX = 4096,
    CHUNK = 256 * 1024,
    TIMES_MAX = 4 * 1000 * 1000,
};

struct listener {
    int fd; /* -1: none */
    unsigned range;
    int64_t due_ms, began_us;
    bool waits; /* for the rest of a segment */
    char head[HEAD_MAX];
    size_t head_length;
    bool head_over;
    int64_t left; /* of the body */
};

static struct {
    long long offset, length;
} ranges[RANGES_MAX];
static unsigned range_count;
static struct listener *listeners;
static unsigned count;
static const char *path;
static uint16_t port;
static int epoll_fd;
static unsigned segments, late, failed;
static unsigned *times_us;

static int connect_from(unsigned i)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000002u + i % ADDRESSES)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        perror("listeners: connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

static void ask(unsigned i)
{
    struct listener *listener = &listeners[i];
    if (listener->fd < 0) {
        listener->fd = connect_from(i);
    }
    char request[HEAD_MAX];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: localhost:%u\r\nRange: bytes=%lld-%lld\r\n\r\n",
                          path, port, ranges[listener->range].offset,
                          ranges[listener->range].offset + ranges[listener->range].length - 1);
    listener->began_us = clock_monotonic_us();
    listener->waits = true;
    listener->head_over = false;
    listener->head_length = 0;
    if (write(listener->fd, request, (size_t)length) != length) {
        failed++;
        listener->waits = false;
    }
}

static void finish(struct listener *listener)
{
    int64_t now_us = clock_monotonic_us();
    late += now_us / 1000 > listener->due_ms + SEGMENT_MS;
    times_us[segments++ % TIMES_MAX] = (unsigned)(now_us - listener->began_us);
    listener->waits = false;
    listener->range = (listener->range + 1) % range_count;
}

/* What of the bytes is body: all, once the head is over. -1: the head is not that of a 206. */
static ssize_t body_of(struct listener *listener, const char *bytes, size_t length)
{
    if (listener->head_over) {
        return (ssize_t)length;
    }
    size_t room = HEAD_MAX - 1 - listener->head_length;
    size_t taken = length < room ? length : room;
    memcpy(listener->head + listener->head_length, bytes, taken);
    listener->head[listener->head_length + taken] = '\0';
    const char *end = strstr(listener->head, "\r\n\r\n");
    if (end == NULL) {
        listener->head_length += taken;
        return listener->head_length < HEAD_MAX - 1 ? 0 : -1;
    }
    if (strncmp(listener->head, "HTTP/1.1 206", 12) != 0) {
        return -1;
    }
    listener->head_over = true;
    listener->left = ranges[listener->range].length;
    size_t head_rest = (size_t)(end + 4 - listener->head) - listener->head_length;
    return (ssize_t)(length - head_rest);
}

static void lose(struct listener *listener)
{
    (void)close(listener->fd);
    listener->fd = -1;
    failed += listener->waits;
    listener->waits = false;
}

static void take(struct listener *listener)
{
    static char bytes[CHUNK];
    for (;;) {
        ssize_t length = read(listener->fd, bytes, sizeof bytes);
        if (length < 0 && errno == EAGAIN) {
            return;
        }
        ssize_t body = length > 0 ? body_of(listener, bytes, (size_t)length) : -1;
        if (body < 0) {
            lose(listener);
            return;
        }
        listener->left -= listener->head_over ? body : 0;
        if (listener->head_over && listener->left == 0) {
            finish(listener);
        }
    }
}

static void read_ranges(void)
{
    while (range_count < RANGES_MAX &&
           scanf("%lld %lld", &ranges[range_count].offset, &ranges[range_count].length) == 2) {
        range_count++;
    }
}

/* Asks for all that is due; returns ms until the next one is. */
static int ask_due(int64_t now_ms, int64_t end_ms)
{
    int64_t next_ms = now_ms + SEGMENT_MS;
    for (unsigned i = 0; i < count; i++) {
        struct listener *listener = &listeners[i];
        int64_t due_ms = listener->due_ms + SEGMENT_MS;
        if (due_ms <= now_ms && now_ms < end_ms && !listener->waits) {
            listener->due_ms = due_ms;
            ask(i);
        } else if (due_ms > now_ms && due_ms < next_ms) {
            next_ms = due_ms;
        }
    }
    return (int)(next_ms - now_ms);
}

static bool any_waits(void)
{
    for (unsigned i = 0; i < count; i++) {
        if (listeners[i].waits) {
            return true;
        }
    }
    return false;
}

static void run(int64_t seconds)
{
    int64_t begin_ms = clock_monotonic_ms(), end_ms = begin_ms + seconds * 1000;
    for (unsigned i = 0; i < count; i++) {
        listeners[i] =
            (struct listener){.fd = -1,
                              .range = i % range_count,
                              .due_ms = begin_ms - SEGMENT_MS + (int64_t)i * SEGMENT_MS / count};
    }
    while (clock_monotonic_ms() < end_ms ||
           (any_waits() && clock_monotonic_ms() < end_ms + 2 * SEGMENT_MS)) {
        int wait_ms = ask_due(clock_monotonic_ms(), end_ms);
        struct epoll_event events[256];
        int ready = epoll_wait(epoll_fd, events, 256, wait_ms < 1 ? 1 : wait_ms);
        for (int i = 0; i < ready; i++) {
            struct listener *listener = &listeners[events[i].data.u32];
            if (listener->fd >= 0) {
                take(listener);
            }
        }
    }
    for (unsigned i = 0; i < count; i++) {
        failed += listeners[i].waits;
    }
}

static int by_size(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;
    return left < right ? -1 : left > right;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 5) {
        (void)fprintf(stderr, "usage: listeners PORT PATH COUNT SECONDS < ranges\n");
        return 2;
    }
    port = (uint16_t)atoi(arguments[1]);
    path = arguments[2];
    count = (unsigned)atoi(arguments[3]);
    read_ranges();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (range_count == 0 || count == 0 || count > LISTENERS_MAX || epoll_fd < 0) {
        (void)fprintf(stderr, "listeners: no ranges, or not 1 to %d listeners\n", LISTENERS_MAX);
        return 2;
    }
    listeners = calloc(count, sizeof *listeners);
    times_us = calloc(TIMES_MAX, sizeof *times_us);
    if (listeners == NULL || times_us == NULL) {
        return 1;
    }
    run(atoi(arguments[4]));
    unsigned kept = segments < TIMES_MAX ? segments : TIMES_MAX;
    qsort(times_us, kept, sizeof *times_us, by_size);
    (void)printf("{\"segments\": %u, \"late\": %u, \"failed\": %u, \"p99_ms\": %.2f, "
                 "\"max_ms\": %.2f, \"cpu_s\": %.3f}\n",
                 segments, late, failed, kept > 0 ? times_us[kept * 99 / 100] / 1e3 : 0,
                 kept > 0 ? times_us[kept - 1] / 1e3 : 0, (double)clock() / CLOCKS_PER_SEC);
    free(listeners);
    free(times_us);
    return 0;
}
