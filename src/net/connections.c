/* Connections: who may open one, how many, and what phase each is in. Callbacks come from the loop
 * threads; the deadline thread walks the same list under connections_lock. */
#include "net/server.h"

#include "net/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

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

static bool owner_add(struct http_server *server, const struct address *address)
{
    struct owner **slot = owner_slot(server, address);
    if (*slot == NULL) {
        *slot = calloc(1, sizeof **slot);
        if (*slot == NULL) {
            return false;
        }
        (*slot)->address = *address;
    }
    (*slot)->count++;
    return true;
}

static void owner_remove(struct http_server *server, const struct address *address)
{
    struct owner **slot = owner_slot(server, address);
    if (*slot != NULL && --(*slot)->count == 0) {
        struct owner *empty = *slot;
        *slot = empty->next;
        free(empty);
    }
}

enum MHD_Result connection_admit(void *argument, const struct sockaddr *socket_address,
                                 socklen_t length)
{
    (void)length;
    struct http_server *server = argument;
    const struct settings *settings = server_settings(server);
    struct address address = address_of(socket_address);
    if (atomic_load(&server->draining)) {
        return MHD_NO;
    }
    if (settings->config.connections_per_address_max == 0 ||
        networks_hold(&settings->trusted, &address)) {
        return MHD_YES;
    }
    struct address owner = address_owner(&address);
    pthread_mutex_lock(&server->connections_lock);
    struct owner **slot = owner_slot(server, &owner);
    bool full = *slot != NULL && (*slot)->count >= settings->config.connections_per_address_max;
    pthread_mutex_unlock(&server->connections_lock);
    if (full) {
        metric_add(server->metrics.refused_connections, 1);
    }
    return full ? MHD_NO : MHD_YES;
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

void connection_answer(int fd, const char *head, const void *body, size_t length)
{
    struct iovec parts[2] = {{.iov_base = (void *)head, .iov_len = strlen(head)},
                             {.iov_base = (void *)body, .iov_len = length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    /* What does not fit into an empty socket buffer is not worth waiting for. */
    (void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
}

static void refuse(struct connection *connection)
{
    static const char body[] = "{\"type\":\"urn:tutti:error:busy\",\"status\":503,"
                               "\"title\":\"The server has too many connections\"}";
    char head[192];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                   "Content-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                   "Connection: close\r\n\r\n",
                   sizeof body - 1);
    atomic_store(&connection->refused, true);
    metric_add(connection->server->metrics.refused_connections, 1);
    connection_answer(connection->fd, head, body, sizeof body - 1);
}

static void open_connection(struct http_server *server, struct connection *connection)
{
    unsigned connections_max = server_settings(server)->config.connections_max;
    struct address owner = address_owner(&connection->peer);
    pthread_mutex_lock(&server->connections_lock);
    connection->next = server->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    server->connections = connection;
    connection->counted = owner_add(server, &owner);
    bool over = ++server->connection_count > connections_max;
    pthread_mutex_unlock(&server->connections_lock);
    metric_add(server->metrics.connections, 1);
    deadlines_wake(server);
    if (over) {
        refuse(connection);
    }
}

static void close_connection(struct http_server *server, struct connection *connection)
{
    struct address owner = address_owner(&connection->peer);
    pthread_mutex_lock(&server->connections_lock);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        server->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    if (connection->counted) {
        owner_remove(server, &owner);
    }
    server->connection_count--;
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
    atomic_store_explicit(&connection->phase, (int)phase, memory_order_release);
}
