/* Many clients on one epoll loop (flood.h).
 *
 *   CLOSED ─► CONNECTING ─► SENDING ─► WAITING ─► IDLE ─► SENDING … ─► CLOSED ─► …
 *
 * A client's next move is due at a time (load.due_us, dense as all are looked at every TICK_MS): a
 * byte more, a few bytes read, the next request, a new connection. Ticks are short, so that
 * requests come evenly, not in bursts. An answer's time is that at which the system had it
 * (SO_TIMESTAMPING), not that at which this process, which shares its cores with the server, came
 * to read it.
 */
#include "flood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 2, EVENTS = 512, HEAD_MAX = 2048, READ_BUFFER = 4096 };

enum state { CLOSED, CONNECTING, SENDING, WAITING, IDLE };

struct client {
    int fd;
    enum state state;
    unsigned address, request;
    size_t sent;
    unsigned answers_due;
    char head[HEAD_MAX];
    size_t head_length;
    uint64_t body_left;
    bool closes;
    int64_t asked_us;
};

struct load {
    const struct options *options;
    struct client *clients;
    int64_t *due_us; /* of each client */
    int64_t age_us;  /* of what is being read: since the system had it */
    int epoll;
    unsigned next_request;
    struct figures figures;
};

static void watch(struct load *load, struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    (void)epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
}

static void wait_for(struct load *load, const struct client *client, int64_t wait_us)
{
    load->due_us[client - load->clients] = now_us() + wait_us;
}

static void shut(struct load *load, struct client *client, int64_t wait_us)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
        load->figures.open--;
    }
    client->fd = -1;
    client->state = CLOSED;
    wait_for(load, client, wait_us);
}

/* The server, or its system, ended it. */
static void lose(struct load *load, struct client *client)
{
    if (client->state == CONNECTING) {
        load->figures.failed++;
    } else if (client->state != IDLE && client->body_left == 0) {
        load->figures.cut++;
    }
    shut(load, client, load->options->interval_ms * 1000);
}

static void take_request(struct load *load, struct client *client)
{
    client->request = load->next_request++ % load->options->request_count;
    client->sent = 0;
    client->answers_due = load->options->pipeline;
    client->head_length = 0;
    client->asked_us = now_us();
}

static void open_client(struct load *load, struct client *client)
{
    const struct options *options = load->options;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        fail("socket");
    }
    int on = 1, small = READ_BUFFER;
    int stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    (void)setsockopt(client->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (setsockopt(client->fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps) != 0) {
        fail("SO_TIMESTAMPING");
    }
    if (options->mode == MODE_READ) {
        (void)setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f090001 + client->address)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(client->fd, (struct sockaddr *)&from, sizeof from) != 0) {
        fail("bind");
    }
    if (++load->figures.open > load->figures.open_most) {
        load->figures.open_most = load->figures.open;
    }
    load->figures.opened++;
    client->state = CONNECTING;
    client->body_left = 0;
    client->closes = false;
    take_request(load, client);
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        lose(load, client);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

/* What may be sent at once: of a trickled request its beginning. */
static size_t limit_of(const struct load *load, const struct client *client)
{
    const struct options *options = load->options;
    size_t length = load->options->requests[client->request].length * options->pipeline;
    bool all = options->mode != MODE_TRICKLE || options->whole_bytes > length;
    return all ? length : options->whole_bytes;
}

static void sent_all(struct load *load, struct client *client)
{
    client->state = WAITING;
    wait_for(load, client, load->options->interval_ms * 1000);
    watch(load, client, EPOLLIN);
}

static void send_up_to(struct load *load, struct client *client, size_t limit)
{
    const struct text *request = &load->options->requests[client->request];
    while (client->sent < limit) {
        size_t at = client->sent % request->length;
        size_t left = limit - client->sent;
        size_t piece = request->length - at < left ? request->length - at : left;
        client->asked_us = now_us();
        ssize_t sent = send(client->fd, request->bytes + at, piece, MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            watch(load, client, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0) {
            return; /* an answer may still be there to be read; then its end */
        }
        client->sent += (size_t)sent;
    }
    if (client->sent >= request->length * load->options->pipeline) {
        sent_all(load, client);
    } else {
        watch(load, client, EPOLLIN);
        wait_for(load, client, load->options->interval_ms * 1000);
    }
}

static bool says(const struct client *client, const char *field)
{
    return strcasestr(client->head, field) != NULL;
}

static bool says_rate(const struct client *client)
{
    return says(client, "\nRateLimit-Limit: ") && says(client, "\nRateLimit-Remaining: ") &&
           says(client, "\nRateLimit-Reset: ");
}

static void count_answer(struct load *load, struct client *client)
{
    struct figures *figures = &load->figures;
    unsigned code = (unsigned)strtoul(client->head + sizeof "HTTP/1.1", NULL, 10);
    figures->codes[code < CODES ? code : 0]++;
    bool refused = code == 429 || code == 503;
    int64_t took_us = now_us() - load->age_us - client->asked_us;
    if (took_us < 0) {
        took_us = 0; /* it was there before the request had been sent */
    }
    if (client->sent >= load->options->requests[client->request].head_length) {
        samples_add(refused ? &figures->refused : &figures->answered, took_us);
    }
    figures->unexplained += refused && !says(client, "\nRetry-After: ");
    figures->unmeasured += code == 429 && !says_rate(client);
    const char *length = strcasestr(client->head, "\nContent-Length: ");
    client->body_left = length != NULL ? strtoull(length + 17, NULL, 10) : 0;
    client->closes = says(client, "\nConnection: close");
}

static void end_answer(struct load *load, struct client *client)
{
    client->head_length = 0;
    if (client->answers_due > 0) {
        client->answers_due--;
        client->asked_us = now_us() - load->age_us; /* the turn of those behind it begins */
    }
    if (client->closes || (client->answers_due == 0 && !load->options->keep_alive)) {
        shut(load, client, load->options->interval_ms * 1000);
    } else if (client->answers_due == 0) {
        client->state = IDLE;
        wait_for(load, client, load->options->interval_ms * 1000);
    }
}

/* Takes from what came in what belongs to a head; true when the head is whole. */
static bool take_head(struct client *client, const char **bytes, size_t *length)
{
    while (*length > 0) {
        char byte = **bytes;
        (*bytes)++;
        (*length)--;
        if (client->head_length < HEAD_MAX - 1) {
            client->head[client->head_length++] = byte;
        }
        const char *end = client->head + client->head_length;
        if (byte == '\n' && client->head_length >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0) {
            client->head[client->head_length] = '\0';
            return true;
        }
    }
    return false;
}

static void consume(struct load *load, struct client *client, const char *bytes, size_t length)
{
    while (length > 0 && client->state != CLOSED) {
        if (client->body_left == 0) {
            if (!take_head(client, &bytes, &length)) {
                return;
            }
            count_answer(load, client);
        }
        size_t some = length < client->body_left ? length : (size_t)client->body_left;
        client->body_left -= some;
        bytes += some;
        length -= some;
        if (client->body_left == 0) {
            end_answer(load, client);
        }
    }
}

/* How long ago what was read came in, by the system's stamp; 0 without one. */
static int64_t age_of(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPING) {
            struct scm_timestamping stamp;
            struct timespec now;
            memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
            (void)clock_gettime(CLOCK_REALTIME, &now);
            return (now.tv_sec - stamp.ts[0].tv_sec) * 1000000 +
                   (now.tv_nsec - stamp.ts[0].tv_nsec) / 1000;
        }
    }
    return 0;
}

static void receive(struct load *load, struct client *client, size_t limit)
{
    static char bytes[64 * 1024];
    char control[CMSG_SPACE(sizeof(struct scm_timestamping))];
    struct iovec place = {.iov_base = bytes,
                          .iov_len = limit < sizeof bytes ? limit : sizeof bytes};
    struct msghdr message = {.msg_iov = &place,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(client->fd, &message, MSG_DONTWAIT);
    if (got > 0) {
        load->age_us = age_of(&message);
        consume(load, client, bytes, (size_t)got);
    } else if (got == 0 || errno != EAGAIN) {
        lose(load, client);
    }
}

static void on_event(struct load *load, struct client *client, uint32_t events)
{
    if (client->state == CONNECTING && (events & (EPOLLERR | EPOLLHUP)) != 0) {
        lose(load, client);
        return;
    }
    if ((events & EPOLLOUT) != 0 && client->state <= SENDING) {
        client->state = SENDING;
        send_up_to(load, client, limit_of(load, client));
    }
    if ((events & EPOLLIN) != 0) {
        receive(load, client,
                load->options->mode == MODE_READ ? load->options->read_bytes : SIZE_MAX);
        if (load->options->mode == MODE_READ && client->state == WAITING) {
            watch(load, client, 0); /* the first bytes at once, the rest by time */
        }
    } else if ((events & (EPOLLERR | EPOLLHUP)) != 0 && client->state != CLOSED) {
        lose(load, client);
    }
}

static void on_time(struct load *load, struct client *client)
{
    const struct options *options = load->options;
    switch (client->state) {
    case CLOSED:
        open_client(load, client);
        break;
    case SENDING:
        if (options->mode == MODE_TRICKLE) {
            send_up_to(load, client, client->sent + 1);
        }
        break;
    case WAITING:
        if (options->mode == MODE_READ) {
            wait_for(load, client, options->interval_ms * 1000);
            receive(load, client, options->read_bytes);
        }
        break;
    case IDLE:
        client->state = SENDING;
        take_request(load, client);
        send_up_to(load, client, limit_of(load, client));
        break;
    case CONNECTING:
        break;
    }
}

/* Does what is due; at first so many new ones a tick that all are there after ramp_s. */
static void tick(struct load *load)
{
    int64_t now = now_us();
    unsigned opens = load->options->connections * TICK_MS / (load->options->ramp_s * 1000) + 1;
    for (unsigned i = 0; i < load->options->connections; i++) {
        struct client *client = &load->clients[i];
        if (load->due_us[i] > now) {
            continue;
        }
        bool opening = client->state == CLOSED;
        if (opening && opens == 0) {
            continue;
        }
        opens -= opening;
        on_time(load, client);
    }
}

static void print(struct load *load)
{
    struct figures *figures = &load->figures;
    printf("{\"opened\":%llu,\"open\":%u,\"open_most\":%u,\"failed\":%llu,\"cut\":%llu,"
           "\"unexplained\":%llu,\"unmeasured\":%llu,",
           (unsigned long long)figures->opened, figures->open, figures->open_most,
           (unsigned long long)figures->failed, (unsigned long long)figures->cut,
           (unsigned long long)figures->unexplained, (unsigned long long)figures->unmeasured);
    codes_print(figures->codes);
    printf(",");
    samples_print("answered", &figures->answered);
    printf(",");
    samples_print("refused", &figures->refused);
    printf("}\n");
}

void load_run(const struct options *options)
{
    struct load load = {.options = options, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    load.clients = calloc(options->connections, sizeof *load.clients);
    load.due_us = calloc(options->connections, sizeof *load.due_us);
    if (load.clients == NULL || load.due_us == NULL) {
        fail("memory");
    }
    for (unsigned i = 0; i < options->connections; i++) {
        load.clients[i].fd = -1;
        load.clients[i].address = i % options->addresses;
    }
    int64_t end_us = now_us() + (int64_t)options->seconds * 1000000, tick_us = 0;
    while (now_us() < end_us) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(load.epoll, events, EVENTS, TICK_MS);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client->state != CLOSED) {
                on_event(&load, client, events[i].events);
            }
        }
        if (now_us() - tick_us >= TICK_MS * 1000) {
            tick_us = now_us();
            tick(&load);
        }
    }
    print(&load);
}
