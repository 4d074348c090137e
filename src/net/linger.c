/* Lingering closes (server.h). libmicrohttpd closes its descriptor; ours is a copy, so the socket
 * stays open until the client has had time to read what we said. */
#include "net/server.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGERING_MAX = 256, LINGER_MS = 5000, READS_A_TURN = 256 };

struct lingering {
    struct lingering *next;
    int fd;
    int64_t end_ms;
};

void linger_add(struct http_server *server, int fd)
{
    (void)shutdown(fd, SHUT_WR);
    struct lingering *entry = malloc(sizeof *entry);
    int copy = entry != NULL ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy < 0) {
        free(entry);
        return;
    }
    *entry = (struct lingering){.fd = copy, .end_ms = clock_monotonic_ms() + LINGER_MS};
    pthread_mutex_lock(&server->linger_lock);
    bool room = server->lingering_count < LINGERING_MAX;
    if (room) {
        entry->next = server->lingering;
        server->lingering = entry;
        server->lingering_count++;
    }
    pthread_mutex_unlock(&server->linger_lock);
    if (!room) {
        (void)close(copy);
        free(entry);
    } else {
        deadlines_wake(server);
    }
}

/* Reads what is there. False: the client has ended it, too. */
static bool read_away(int fd)
{
    static char nowhere[64 * 1024]; /* of the deadline thread */
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t got = recv(fd, nowhere, sizeof nowhere, MSG_DONTWAIT);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN;
        }
    }
    return true;
}

/* Those that stay. Reading away may take long, so this is not under the lock. */
static struct lingering *tend(struct lingering *list, int64_t now_ms, bool all, unsigned *ret_ended)
{
    struct lingering *kept = NULL;
    *ret_ended = 0;
    while (list != NULL) {
        struct lingering *entry = list;
        list = entry->next;
        if (!all && now_ms < entry->end_ms && read_away(entry->fd)) {
            entry->next = kept;
            kept = entry;
        } else {
            (void)close(entry->fd);
            free(entry);
            (*ret_ended)++;
        }
    }
    return kept;
}

bool linger_tend(struct http_server *server, int64_t now_ms, bool all)
{
    pthread_mutex_lock(&server->linger_lock);
    struct lingering *list = server->lingering;
    server->lingering = NULL;
    pthread_mutex_unlock(&server->linger_lock);
    unsigned ended = 0;
    struct lingering *kept = tend(list, now_ms, all, &ended);
    pthread_mutex_lock(&server->linger_lock);
    server->lingering_count -= ended;
    struct lingering **end = &server->lingering; /* those that came meanwhile */
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = kept;
    bool left = server->lingering != NULL;
    pthread_mutex_unlock(&server->linger_lock);
    return left;
}
