/* Deadlines. libmicrohttpd's own end a connection that is quite still, so that a byte now and then
 * keeps one alive for ever; these look at the whole:
 *
 *   HEADER  nothing sent yet: keep_alive_timeout; a header begun: header_timeout for all of it
 *   BODY    body_timeout to the next byte, and body_rate_min on average over RATE_WINDOW_MS
 *   WORK    none: the work has its own
 *   SEND    send_rate_min on average over send_timeout, while bytes wait in the socket
 *
 * One thread walks all connections every TICK_MS, some at a time under connections_lock, and ends
 * one by shutdown(2), which its loop then sees (invariant 1 in server.h). What libmicrohttpd has
 * received it does not tell, so the socket is asked (TCP_INFO), at most every ASK_MS. This also
 * finds what libmicrohttpd 0.9.75 misses: after a short read it waits for another edge of epoll,
 * and none comes when the client's last bytes and its close came together.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/error.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum {
    TICK_MS = 250,
    WATCHED_A_TURN = 64,
    PAUSE_US = 50,
    TRIMMED_FROM = 500, /* connections */
    TRIMMED_FROM_BYTES = 32 << 20,
    ASK_MS = 1000,
    RATE_WINDOW_MS = 10 * 1000,
    REFUSED_MS = 500,
    SAME_REQUEST_MS =
        10, /* bytes this soon after an answer were of its request: clocks are coarse */
    STATE_CLOSE_WAIT =
        8, /* TCP_CLOSE_WAIT of netinet/tcp.h, which can't be had beside linux/tcp.h */
};

static void cut(struct connection *connection)
{
    (void)shutdown(connection->fd, SHUT_RDWR);
}

/* Says why, where nothing else is being sent, and ends it. */
static void cut_slow(struct connection *connection)
{
    static const char body[] = "{\"type\":\"urn:tutti:error:request-timeout\",\"status\":408,"
                               "\"title\":\"The request came in too slowly\"}";
    char head[256];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n"
                   "X-Content-Type-Options: nosniff\r\n"
                   "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                   sizeof body - 1);
    connection_answer(connection->fd, head, body, sizeof body - 1);
    cut(connection);
}

/* Asks the socket, if it is time to. */
static bool ask(struct connection *connection, int64_t now_ms, struct tcp_info *info)
{
    if (now_ms - connection->watch.asked_ms < ASK_MS) {
        return false;
    }
    connection->watch.asked_ms = now_ms;
    socklen_t length = sizeof *info;
    memset(info, 0, sizeof *info);
    return getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, info, &length) == 0;
}

/* The client has closed and nothing of it is left to read. */
static bool is_over(const struct connection *connection, const struct tcp_info *info)
{
    int unread = 0;
    return info->tcpi_state == STATE_CLOSE_WAIT && ioctl(connection->fd, SIOCINQ, &unread) == 0 &&
           unread == 0;
}

static void watch_header(struct connection *connection, const struct http_config *config,
                         int64_t now_ms)
{
    int64_t since_ms = connection->watch.phase_since_ms;
    if (atomic_load(&connection->refused)) {
        if (now_ms - since_ms > REFUSED_MS) {
            cut(connection);
        }
        return;
    }
    struct tcp_info info;
    if (ask(connection, now_ms, &info)) {
        int64_t received_ms = now_ms - info.tcpi_last_data_recv;
        bool first = !atomic_load(&connection->asked);
        bool begun =
            info.tcpi_bytes_received > 0 && (first || received_ms > since_ms + SAME_REQUEST_MS);
        if (begun && connection->watch.header_since_ms == 0) {
            connection->watch.header_since_ms = received_ms;
        }
        if (is_over(connection, &info)) {
            cut(connection);
            return;
        }
    }
    int64_t header_ms = connection->watch.header_since_ms;
    if (header_ms != 0 && now_ms - header_ms > config->header_timeout_ms) {
        cut_slow(connection);
    } else if (header_ms == 0 && now_ms - since_ms > config->keep_alive_timeout_ms) {
        cut(connection);
    }
}

/* Starts counting anew: the client is not to blame for what was before. */
static void restart_window(struct connection *connection, int64_t now_ms, uint64_t bytes)
{
    connection->watch.window_ms = now_ms;
    connection->watch.window_bytes = bytes;
}

static void watch_body(struct connection *connection, const struct http_config *config,
                       int64_t now_ms)
{
    uint64_t bytes = atomic_load_explicit(&connection->body_bytes, memory_order_relaxed);
    bool held = atomic_load_explicit(&connection->held, memory_order_relaxed);
    if (bytes != connection->watch.bytes || held) {
        connection->watch.bytes = bytes;
        connection->watch.progress_ms = now_ms;
    }
    if (held) {
        restart_window(connection, now_ms, bytes);
        return;
    }
    struct tcp_info info;
    if (now_ms - connection->watch.progress_ms > TICK_MS && ask(connection, now_ms, &info) &&
        is_over(connection, &info)) {
        cut(connection);
        return;
    }
    int64_t window_ms = now_ms - connection->watch.window_ms;
    bool slow =
        window_ms >= RATE_WINDOW_MS && (bytes - connection->watch.window_bytes) * 1000 <
                                           (uint64_t)config->body_rate_min * (uint64_t)window_ms;
    if (slow || now_ms - connection->watch.progress_ms > config->body_timeout_ms) {
        cut_slow(connection);
    } else if (window_ms >= RATE_WINDOW_MS) {
        restart_window(connection, now_ms, bytes);
    }
}

static void watch_send(struct connection *connection, const struct http_config *config,
                       int64_t now_ms)
{
    struct tcp_info info;
    int waiting = 0;
    if (!ask(connection, now_ms, &info)) {
        return;
    }
    if (ioctl(connection->fd, SIOCOUTQ, &waiting) != 0 || waiting == 0) {
        restart_window(connection, now_ms, info.tcpi_bytes_acked); /* waits for us */
        return;
    }
    int64_t window_ms = now_ms - connection->watch.window_ms;
    if (window_ms < config->send_timeout_ms) {
        return;
    }
    uint64_t taken = info.tcpi_bytes_acked - connection->watch.window_bytes;
    if (taken * 1000 < (uint64_t)config->send_rate_min * (uint64_t)window_ms) {
        cut(connection);
    } else {
        restart_window(connection, now_ms, info.tcpi_bytes_acked);
    }
}

static uint64_t acked_bytes(struct connection *connection)
{
    struct tcp_info info = {.tcpi_bytes_acked = 0};
    socklen_t length = sizeof info;
    (void)getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_bytes_acked;
}

/* A phase the thread has not seen yet. Short ones it never sees. */
static void enter_phase(struct connection *connection, enum phase phase, int64_t since_ms)
{
    memset(&connection->watch, 0, sizeof connection->watch);
    connection->watch.phase_since_ms = since_ms;
    connection->watch.asked_ms = since_ms;
    connection->watch.progress_ms = since_ms;
    connection->watch.window_ms = since_ms;
    connection->watch.window_bytes = phase == PHASE_SEND ? acked_bytes(connection) : 0;
}

static void watch(struct connection *connection, const struct http_config *config, int64_t now_ms)
{
    enum phase phase = (enum phase)atomic_load_explicit(&connection->phase, memory_order_acquire);
    int64_t since_ms = atomic_load_explicit(&connection->phase_since_ms, memory_order_relaxed);
    if (now_ms - since_ms < TICK_MS) {
        return;
    }
    if (since_ms != connection->watch.phase_since_ms) {
        enter_phase(connection, phase, since_ms);
    }
    switch (phase) {
    case PHASE_HEADER:
        watch_header(connection, config, now_ms);
        break;
    case PHASE_BODY:
        watch_body(connection, config, now_ms);
        break;
    case PHASE_SEND:
        watch_send(connection, config, now_ms);
        break;
    case PHASE_WORK:
        break;
    }
}

/* A turn of the list: loops that open or close a connection wait for its end. */
static void watch_some(struct http_server *server, const struct http_config *config, int64_t now_ms)
{
    for (unsigned i = 0; i < WATCHED_A_TURN && server->watched != NULL; i++) {
        struct connection *connection = server->watched;
        server->watched = connection->next;
        watch(connection, config, now_ms);
    }
}

/* Whether what there was most of is over by half. */
static bool has_ebbed(size_t *most, size_t now, size_t from)
{
    *most = now > *most ? now : *most;
    if (*most <= from || now >= *most / 2) {
        return false;
    }
    *most = now;
    return true;
}

/* Gives back to the system what a flood that is over has left in malloc's hands. */
static void trim(struct http_server *server, unsigned count)
{
    bool fewer = has_ebbed(&server->connections_most, count, TRIMMED_FROM);
    size_t used = atomic_load(&server->memory.used);
    size_t most = atomic_exchange(&server->memory.most, used); /* since the last time */
    server->memory_most = most > server->memory_most ? most : server->memory_most;
    if (has_ebbed(&server->memory_most, used, TRIMMED_FROM_BYTES) || fewer) {
        (void)malloc_trim(0);
    }
}

/* Returns whether there is anything to come back for. */
static bool tick(struct http_server *server)
{
    int64_t now_ms = clock_monotonic_ms();
    const struct http_config *config = &server_settings(server)->config;
    pthread_mutex_lock(&server->connections_lock);
    server->watched = server->connections;
    bool some = server->watched != NULL;
    while (server->watched != NULL) {
        watch_some(server, config, now_ms);
        pthread_mutex_unlock(&server->connections_lock);
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000}, NULL);
        pthread_mutex_lock(&server->connections_lock);
    }
    unsigned count = server->connection_count;
    pthread_mutex_unlock(&server->connections_lock);
    trim(server, count);
    some = access_log_flush(&server->access_log) || some;
    return linger_tend(server, now_ms, false) || some;
}

static void wait_for_tick(struct http_server *server, bool some)
{
    if (!some) {
        server->deadline_sleeping = true;
        pthread_cond_wait(&server->deadline_wake, &server->deadline_lock);
        server->deadline_sleeping = false;
        return;
    }
    const struct timespec until = clock_monotonic_after(TICK_MS);
    (void)pthread_cond_clockwait(&server->deadline_wake, &server->deadline_lock, CLOCK_MONOTONIC,
                                 &until);
}

static void *run(void *argument)
{
    struct http_server *server = argument;
    pthread_mutex_lock(&server->deadline_lock);
    while (!server->deadline_end) {
        pthread_mutex_unlock(&server->deadline_lock);
        bool some = tick(server);
        pthread_mutex_lock(&server->deadline_lock);
        some = some || server->deadline_news;
        server->deadline_news = false;
        if (!server->deadline_end) {
            wait_for_tick(server, some);
        }
    }
    pthread_mutex_unlock(&server->deadline_lock);
    return NULL;
}

void deadlines_wake(struct http_server *server)
{
    pthread_mutex_lock(&server->deadline_lock);
    server->deadline_news = true;
    if (server->deadline_sleeping) {
        pthread_cond_signal(&server->deadline_wake);
    }
    pthread_mutex_unlock(&server->deadline_lock);
}

int deadlines_start(struct http_server *server)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, 128 * 1024);
    int failed = pthread_create(&server->deadline_thread, &attributes, run, server);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_setname_np(server->deadline_thread, "deadlines");
    server->deadline_running = true;
    return 0;
}

void deadlines_stop(struct http_server *server)
{
    if (server->deadline_running) {
        pthread_mutex_lock(&server->deadline_lock);
        server->deadline_end = true;
        pthread_cond_signal(&server->deadline_wake);
        pthread_mutex_unlock(&server->deadline_lock);
        pthread_join(server->deadline_thread, NULL);
        server->deadline_running = false;
    }
    (void)linger_tend(server, 0, true);
}
