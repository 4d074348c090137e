/* Connections: who may open one, how many, and what phase each is in. Callbacks come from the loop
 * threads; the deadline thread walks the same list under connections_lock.
 *
 * Limits are by address and in all. Who comes when all are taken takes the place of one that does
 * nothing (displaceable), so that a flood of idle or slow connections keeps nobody out; where there
 * is none, it is told to come again. Who leaves counts no more. Its client may keep one that was
 * told for REFUSED_MS (deadlines.c); one that is displaced, or one more than TOLD_MAX, is shut, and
 * gone with the loop's next turn. It is told, too, where it is in the middle of a request; on an
 * idle one, what nobody has asked for could be taken for the answer to what is asked next.
 * libmicrohttpd has room for both past the limit.
 */
#include "net/server.h"

#include "base/clock.h"
#include "net/metrics.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    TOLD_MAX = 48,
    SHUT_MAX = 400, /* displaced and not gone yet */
    LOOKED_AT = 64, /* connections, to find one that can be displaced */
    IDLE_MS = 1000,
    OF_BROWSER = 8,
    ROOMY = 256, /* so many take what they like of the system's buffers */
    UNSENT_BYTES_MAX = 16 * 1024,
};

/* How many connections an address has (of IPv6: a /64). */
struct owner {
    struct owner *next;
    struct address address;
    unsigned count;
};

static struct owner **owner_slot(struct http_server *server, const struct address *address)
{
    struct owner **at = &server->owners[address_hash(address) % ADDRESS_BUCKETS];
    while (*at != NULL && memcmp(&(*at)->address, address, sizeof *address) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static struct owner *owner_add(struct http_server *server, const struct address *address)
{
    struct owner **slot = owner_slot(server, address);
    if (*slot == NULL) {
        *slot = calloc(1, sizeof **slot);
        if (*slot == NULL) {
            return NULL;
        }
        (*slot)->address = *address;
    }
    (*slot)->count++;
    return *slot;
}

static void owner_remove(struct http_server *server, struct owner *owner)
{
    if (owner != NULL && --owner->count == 0) {
        *owner_slot(server, &owner->address) = owner->next;
        free(owner);
    }
}

/* ---- what is said without a loop ---- */

static const struct refusal {
    const char *status, *type, *title;
} too_many = {"503 Service Unavailable", "busy", "The server has too many connections"},
  too_many_of_one = {"429 Too Many Requests", "rate-limited",
                     "Your address has too many connections"};

void connection_answer(int fd, const char *head, const void *body, size_t length)
{
    struct iovec parts[2] = {{.iov_base = (void *)head, .iov_len = strlen(head)},
                             {.iov_base = (void *)body, .iov_len = length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    /* What does not fit into an empty socket buffer is not worth waiting for. */
    (void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
}

static void tell(struct connection *connection, const struct refusal *refusal)
{
    char body[192], head[256];
    (void)snprintf(body, sizeof body,
                   "{\"type\":\"urn:tutti:error:%s\",\"status\":%.3s,\"title\":\"%s\"}",
                   refusal->type, refusal->status, refusal->title);
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %s\r\nRetry-After: 1\r\nX-Content-Type-Options: nosniff\r\n"
                   "Content-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                   "Connection: close\r\n\r\n",
                   refusal->status, strlen(body));
    connection_answer(connection->fd, head, body, strlen(body));
}

/* Whether its client is in the middle of a request, and hears nothing of it from a loop. Asked once
 * it is marked as refused: connection_goes_on. */
static bool awaits_answer(const struct connection *connection)
{
    switch ((enum phase)atomic_load(&connection->phase)) {
    case PHASE_HEADER:
        return atomic_load(&connection->asks);
    case PHASE_BODY:
        return true;
    case PHASE_WORK:
    case PHASE_SEND:
        break;
    }
    return false;
}

/* ---- limits; under connections_lock ---- */

/* count: of an address with the one that comes. */
static bool too_many_of_address(const struct settings *settings, bool trusted, unsigned count)
{
    unsigned most = settings->config.connections_per_address_max;
    return most != 0 && !trusted && count > most;
}

static bool is_full(struct http_server *server, const struct settings *settings)
{
    unsigned leaving = server->told_count + server->shut_count;
    return server->connection_count - leaving >= settings->config.connections_max;
}

/* It counts no more, and is about to be closed. stays: until its client has heard why. */
static void leave(struct http_server *server, struct connection *connection, bool stays)
{
    owner_remove(server, connection->owner);
    connection->owner = NULL;
    connection->told = stays;
    atomic_store(&connection->refused, true);
    if (stays) {
        server->told_count++;
        return;
    }
    server->shut_count++;
    if (awaits_answer(connection)) {
        tell(connection, &too_many);
    }
    (void)shutdown(connection->fd, SHUT_RDWR);
}

/* One without a request may go for somebody who has fewer, and after a while for somebody who has
 * as many. One whose client is in the middle of a request, only where its address has more
 * connections than a browser opens, and twice what the comer's has. */
static bool displaceable(const struct connection *connection, const struct connection *comer,
                         int64_t now_ms)
{
    if (connection->owner == NULL || connection->trusted || connection == comer) {
        return false;
    }
    unsigned has = connection->owner->count;
    unsigned comer_has = comer->owner != NULL ? comer->owner->count : 1;
    bool long_ago = now_ms - atomic_load(&connection->phase_since_ms) >= IDLE_MS;
    switch ((enum phase)atomic_load(&connection->phase)) {
    case PHASE_HEADER:
        return has > comer_has || (has == comer_has && long_ago);
    case PHASE_BODY:
    case PHASE_SEND:
        return has > OF_BROWSER && has >= 2 * comer_has;
    case PHASE_WORK:
        break;
    }
    return false;
}

/* Looks at some, going on where the last look ended, and ends the one whose address has most. */
static bool make_room(struct http_server *server, const struct connection *comer)
{
    int64_t now_ms = clock_monotonic_ms();
    struct connection *found = NULL;
    for (unsigned i = 0; i < LOOKED_AT; i++) {
        struct connection *at = server->hand != NULL ? server->hand : server->connections;
        server->hand = at->next;
        if (!displaceable(at, comer, now_ms)) {
            continue;
        }
        assert(at->owner != NULL); /* who has none is not displaced */
        if (found == NULL || at->owner->count > found->owner->count) {
            found = at;
        }
    }
    if (found == NULL || server->shut_count >= SHUT_MAX) {
        return false;
    }
    leave(server, found, false);
    metric_add(server->metrics.displaced_connections, 1);
    return true;
}

enum MHD_Result connection_admit(void *argument, const struct sockaddr *socket_address,
                                 socklen_t length)
{
    (void)length;
    struct http_server *server = argument;
    if (atomic_load(&server->draining)) {
        return MHD_NO;
    }
    const struct settings *settings = server_settings(server);
    struct address address = address_of(socket_address), owner = address_owner(&address);
    bool trusted = networks_hold(&settings->trusted, &address);
    pthread_mutex_lock(&server->connections_lock);
    const struct owner *known = *owner_slot(server, &owner);
    bool over = too_many_of_address(settings, trusted, known != NULL ? known->count + 1 : 1);
    bool closes = over && server->told_count >= TOLD_MAX;
    pthread_mutex_unlock(&server->connections_lock);
    metric_add(server->metrics.refused_connections, closes);
    return closes ? MHD_NO : MHD_YES;
}

static struct connection *connection_new(struct http_server *server, struct MHD_Connection *mhd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return NULL;
    }
    connection->magic = CONNECTION_MAGIC;
    connection->server = server;
    connection->mhd = mhd;
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->peer =
        address_of(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    address_format(&connection->peer, connection->peer_text);
    connection->trusted = networks_hold(&server_settings(server)->trusted, &connection->peer);
    connection_phase(connection, PHASE_HEADER);
    return connection;
}

static void link_connection(struct http_server *server, struct connection *connection)
{
    connection->next = server->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    server->connections = connection;
    server->connection_count++;
}

static void unlink_connection(struct http_server *server, struct connection *connection)
{
    server->hand = server->hand == connection ? connection->next : server->hand;
    server->watched = server->watched == connection ? connection->next : server->watched;
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        server->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    server->connection_count--;
}

/* Where there are many, a client that reads slowly would have the system keep megabytes for it. Not
 * where there are few: those that read fast are served with fewer turns. */
static void limit_unsent(const struct connection *connection)
{
    int bytes = UNSENT_BYTES_MAX;
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

static void open_connection(struct http_server *server, struct connection *connection)
{
    const struct settings *settings = server_settings(server);
    struct address address = address_owner(&connection->peer);
    pthread_mutex_lock(&server->connections_lock);
    bool full = is_full(server, settings);
    link_connection(server, connection);
    connection->owner = owner_add(server, &address);
    bool of_address = connection->owner != NULL &&
                      too_many_of_address(settings, connection->trusted, connection->owner->count);
    bool refused = of_address || (full && !make_room(server, connection));
    bool told = refused && server->told_count < TOLD_MAX;
    if (refused) {
        leave(server, connection, told);
    }
    bool roomy = server->connection_count <= ROOMY;
    pthread_mutex_unlock(&server->connections_lock);
    metric_add(server->metrics.connections, 1);
    metric_add(server->metrics.refused_connections, refused);
    deadlines_wake(server);
    if (told) {
        tell(connection, of_address ? &too_many_of_one : &too_many);
    } else if (!roomy) {
        limit_unsent(connection);
    }
}

static void close_connection(struct http_server *server, struct connection *connection)
{
    pthread_mutex_lock(&server->connections_lock);
    unlink_connection(server, connection);
    owner_remove(server, connection->owner);
    if (atomic_load(&connection->refused)) {
        *(connection->told ? &server->told_count : &server->shut_count) -= 1;
    }
    pthread_mutex_unlock(&server->connections_lock);
    metric_add(server->metrics.connections, -1);
    free(connection);
}

void connection_notify(void *argument, struct MHD_Connection *mhd, void **socket_context,
                       enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = argument;
    struct connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection = connection_new(server, mhd);
        *socket_context = connection;
        if (connection != NULL) {
            open_connection(server, connection);
        }
    } else if (connection != NULL) {
        assert(connection->magic == CONNECTION_MAGIC);
        *socket_context = NULL;
        if (connection->request != NULL) {
            /* libmicrohttpd 0.9.75 tells of no completion after a second error in one request. */
            request_complete(connection->request, false);
        }
        if (connection->lingers) {
            linger_add(server, connection->fd);
        }
        close_connection(server, connection);
    }
}

void connection_phase(struct connection *connection, enum phase phase)
{
    if (phase == PHASE_BODY) {
        atomic_store_explicit(&connection->body_bytes, 0, memory_order_relaxed);
    }
    struct timespec now; /* exact to a few ms, and a third of the cost */
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    atomic_store_explicit(&connection->phase_since_ms,
                          (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, memory_order_relaxed);
    atomic_store(&connection->phase, (int)phase);
}

/* Both sides write before they read, each what the other reads: so not both find the connection
 * theirs. */
bool connection_goes_on(struct connection *connection, enum phase phase)
{
    connection_phase(connection, phase);
    return !atomic_load(&connection->refused);
}
