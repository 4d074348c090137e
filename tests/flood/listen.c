/* Listeners that behave well, and are measured (flood.h). Each asks where its track's sound is, in
 * turn on a connection that it keeps and on a new one; one of them also plays: it fetches SEGMENT_S
 * at a time, begins with the first one that is there, as a player does whose listener has pressed
 * play, and keeps BUFFER_S ahead. From then on it starves whenever nothing is left to be played. */
#include "flood.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SEGMENT_S = 2, BUFFER_S = 10, TIMEOUT_S = 30, HEAD_MAX = 4096, LISTENER = 0x7f080001 };

struct asker {
    const struct options *options;
    const struct text *request;
    unsigned number;
    int64_t end_us;
    uint64_t codes[CODES];
    struct samples kept, fresh;
    unsigned failed; /* no answer at all */
};

struct player {
    const struct options *options;
    int64_t end_us, began_us; /* when the first segment was there; 0: not yet */
    double level_s;           /* what is there to be played */
    double starved_s, least_s;
    bool filled; /* from then on least_s counts */
    unsigned failed;
    struct samples segments;
};

static void sleep_us(int64_t us)
{
    if (us > 0) {
        (void)nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000},
                        NULL);
    }
}

static int open_socket(unsigned port, unsigned number)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(LISTENER + number)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Sends a request and reads its whole answer. The status, 0 where none came; *ret_first_us: when
 * its head was there. */
static unsigned exchange(int fd, const char *request, size_t length, int64_t *ret_first_us)
{
    static _Thread_local char bytes[64 * 1024];
    char *end = NULL;
    size_t got = 0;
    if (send(fd, request, length, 0) != (ssize_t)length) {
        return 0;
    }
    while (end == NULL) {
        ssize_t some = recv(fd, bytes + got, HEAD_MAX - got, 0);
        if (some <= 0) {
            return 0;
        }
        got += (size_t)some;
        bytes[got] = '\0';
        end = strstr(bytes, "\r\n\r\n");
    }
    *ret_first_us = now_us();
    const char *field = strcasestr(bytes, "\nContent-Length: ");
    size_t left = field != NULL ? strtoull(field + 17, NULL, 10) : 0;
    left -= got - (size_t)(end + 4 - bytes);
    unsigned code = (unsigned)strtoul(bytes + sizeof "HTTP/1.1", NULL, 10);
    while (left > 0) {
        ssize_t some = recv(fd, bytes, left < sizeof bytes ? left : sizeof bytes, 0);
        if (some <= 0) {
            return 0;
        }
        left -= (size_t)some;
    }
    return code < CODES ? code : 0;
}

static bool ask(struct asker *asker, int fd, int64_t began_us, struct samples *samples)
{
    int64_t first_us;
    unsigned code =
        fd >= 0 ? exchange(fd, asker->request->bytes, asker->request->length, &first_us) : 0;
    if (code == 0) {
        asker->failed++;
        return false;
    }
    asker->codes[code]++;
    samples_add(samples, first_us - began_us);
    return code == 200;
}

static void *run_asker(void *argument)
{
    struct asker *asker = argument;
    int kept = open_socket(asker->options->port, asker->number);
    for (int64_t next_us = now_us(); next_us < asker->end_us;) {
        if (!ask(asker, kept, now_us(), &asker->kept)) {
            (void)close(kept);
            kept = open_socket(asker->options->port, asker->number);
        }
        int64_t began_us = now_us();
        int fresh = open_socket(asker->options->port, asker->number);
        (void)ask(asker, fresh, began_us, &asker->fresh);
        (void)close(fresh);
        next_us += 2 * (int64_t)asker->options->interval_ms * 1000;
        sleep_us(next_us - now_us());
    }
    (void)close(kept);
    return NULL;
}

static bool fetch(struct player *player, int fd, uint64_t at, uint64_t length)
{
    char request[HEAD_MAX];
    int size =
        snprintf(request, sizeof request, "%s%llu-%llu\r\n\r\n", player->options->media_head.bytes,
                 (unsigned long long)at, (unsigned long long)(at + length - 1));
    int64_t began_us = now_us(), first_us;
    bool got = fd >= 0 && exchange(fd, request, (size_t)size, &first_us) == 206;
    if (got) {
        samples_add(&player->segments, now_us() - began_us);
    }
    player->failed += !got;
    return got;
}

/* What was heard since before_us, which is before what came meanwhile can be. */
static void play(struct player *player, int64_t before_us, int64_t now_us)
{
    if (player->began_us == 0) {
        return;
    }
    player->level_s -= (double)(now_us - before_us) / 1e6;
    if (player->level_s < 0) {
        player->starved_s -= player->level_s;
        player->level_s = 0;
    }
    if (player->filled && player->level_s < player->least_s) {
        player->least_s = player->level_s;
    }
}

static void buffer_segment(struct player *player, int64_t now_us)
{
    player->level_s += SEGMENT_S;
    player->filled = player->filled || player->level_s > BUFFER_S - SEGMENT_S;
    player->began_us = player->began_us != 0 ? player->began_us : now_us;
}

static void *run_player(void *argument)
{
    struct player *player = argument;
    const struct options *options = player->options;
    uint64_t bytes = (uint64_t)((double)options->media_bytes * SEGMENT_S / options->media_seconds);
    uint64_t at = 0;
    int fd = open_socket(options->port, 0);
    for (int64_t before_us = now_us(); before_us < player->end_us;) {
        bool full = player->level_s + SEGMENT_S > BUFFER_S, got = false;
        if (full) {
            sleep_us((int64_t)((player->level_s + SEGMENT_S - BUFFER_S) * 1e6) + 1000);
        } else if (!(got = fetch(player, fd, at, bytes))) {
            (void)close(fd);
            sleep_us(100000);
            fd = open_socket(options->port, 0);
        }
        int64_t after_us = now_us();
        play(player, before_us, after_us);
        if (got) {
            buffer_segment(player, after_us);
            at = at + 2 * bytes > options->media_bytes ? 0 : at + bytes;
        }
        before_us = after_us;
    }
    (void)close(fd);
    return NULL;
}

static void add_asker(struct asker *all, const struct asker *one)
{
    for (unsigned i = 0; i < CODES; i++) {
        all->codes[i] += one->codes[i];
    }
    for (size_t i = 0; i < one->kept.count; i++) {
        samples_add(&all->kept, one->kept.us[i]);
    }
    for (size_t i = 0; i < one->fresh.count; i++) {
        samples_add(&all->fresh, one->fresh.us[i]);
    }
    all->failed += one->failed;
}

static void print(struct asker *all, struct player *player, int64_t start_us)
{
    double waited_s = (double)(player->began_us - start_us) / 1e6;
    printf("{\"failed\":%u,", all->failed);
    codes_print(all->codes);
    printf(",");
    samples_print("kept", &all->kept);
    printf(",");
    samples_print("fresh", &all->fresh);
    printf(",\"audio\":{\"waited_s\":%.3f,\"starved_s\":%.3f,\"least_s\":%.3f,\"failed\":%u,",
           player->began_us != 0 ? waited_s : -1, player->starved_s,
           player->filled ? player->least_s : 0, player->failed);
    samples_print("segments", &player->segments);
    printf("}}\n");
}

void listen_run(const struct options *options)
{
    int64_t start_us = now_us(), end_us = start_us + (int64_t)options->seconds * 1000000;
    struct player player = {.options = options, .end_us = end_us, .least_s = BUFFER_S};
    struct asker *askers = calloc(options->request_count, sizeof *askers), all = {0};
    pthread_t *threads = calloc(options->request_count + 1, sizeof *threads);
    if (askers == NULL || threads == NULL ||
        pthread_create(&threads[options->request_count], NULL, run_player, &player) != 0) {
        fail("threads");
    }
    for (unsigned i = 0; i < options->request_count; i++) {
        askers[i] = (struct asker){options, &options->requests[i], i, .end_us = end_us};
        if (pthread_create(&threads[i], NULL, run_asker, &askers[i]) != 0) {
            fail("threads");
        }
    }
    for (unsigned i = 0; i <= options->request_count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < options->request_count; i++) {
        add_asker(&all, &askers[i]);
    }
    print(&all, &player, start_us);
}
