/* Hedged reads, on a real PostgreSQL: two "replicas" that are ways to one server, of which one
 * stops answering. A read that went there would wait until the test is killed. */
#include "contract.h"

#include "backend/db/db.h"
#include "base/hedge.h"
#include "net/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { WAYS = 2, PAIRS_MAX = 32, ROUNDS = 5, WARM = 200, LONGEST_S = 120 };

/* A way to the server: a listening socket and the connections over it. */
struct way {
    int listener, clients[PAIRS_MAX], servers[PAIRS_MAX], server_port;
    unsigned count, port;
    _Atomic bool stalled, ending; /* stalled: nothing comes back */
    pthread_t thread;
};

static int socket_to(unsigned port, bool listens)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int r = listens ? bind(fd, (struct sockaddr *)&address, sizeof address)
                    : connect(fd, (struct sockaddr *)&address, sizeof address);
    assert_int_equal(r, 0);
    assert_int_equal(listens ? listen(fd, 16) : 0, 0);
    return fd;
}

static void pass_on(int from, int to)
{
    char bytes[16384];
    ssize_t got = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
        (void)!send(to, bytes, (size_t)got, MSG_NOSIGNAL);
    } else if (got == 0) {
        (void)shutdown(to, SHUT_WR);
    }
}

static void *carry(void *argument)
{
    struct way *way = argument;
    while (!atomic_load(&way->ending)) {
        struct pollfd listener = {.fd = way->listener, .events = POLLIN};
        if (poll(&listener, 1, 0) == 1 && way->count < PAIRS_MAX) {
            way->clients[way->count] = accept(way->listener, NULL, NULL);
            way->servers[way->count++] = socket_to((unsigned)way->server_port, false);
        }
        for (unsigned i = 0; i < way->count; i++) {
            pass_on(way->clients[i], way->servers[i]);
            if (!atomic_load(&way->stalled)) {
                pass_on(way->servers[i], way->clients[i]);
            }
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return NULL;
}

static void open_way(struct way *way, int server_port)
{
    *way = (struct way){.server_port = server_port, .listener = socket_to(0, true)};
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(way->listener, (struct sockaddr *)&address, &length), 0);
    way->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&way->thread, NULL, carry, way), 0);
}

static void close_way(struct way *way)
{
    atomic_store(&way->ending, true);
    assert_int_equal(pthread_join(way->thread, NULL), 0);
    for (unsigned i = 0; i < way->count; i++) {
        (void)close(way->clients[i]);
        (void)close(way->servers[i]);
    }
    (void)close(way->listener);
}

/* Two statements: the second is asked where the first was answered. */
static int add_up(struct db_session *session, void *argument)
{
    int64_t *sum = argument, one = 0;
    *sum = 0;
    for (int i = 0; i < 2; i++) {
        DB_ROWS rows = NULL;
        int r = db_query(session, &rows, "SELECT CAST($1 AS BIGINT) + 1", DB_BIND(db_int(one)));
        if (r < 0 || (r = db_next(rows)) != 1) {
            return r < 0 ? r : ERR_INTERNAL;
        }
        one = db_get_int(rows, 0);
        *sum += one;
    }
    return 0;
}

static unsigned reads;

static void read_well(struct db *db, unsigned times)
{
    reads += times;
    for (unsigned i = 0; i < times; i++) {
        int64_t sum = 0;
        assert_int_equal(db_read(db, add_up, &sum), 0);
        assert_int_equal(sum, 3);
    }
}

static int64_t count_of(const char *name)
{
    return metric_value(metric_get(METRIC_COUNTER, name, "", "database=\"hedged\""));
}

static bool is_up(unsigned replica)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "database=\"hedged\",replica=\"%u\"", replica);
    return metric_value(metric_get(METRIC_GAUGE, "tutti_db_replica_up", "", labels)) == 1;
}

static void wait_for_both(void)
{
    while (!is_up(0) || !is_up(1)) {
        pause_ms(5);
    }
}

/* Reads until few of the last were asked twice: there is credit then, on a busy machine, too. */
static void read_unhedged(struct db *db)
{
    int64_t hedged = 0;
    do {
        hedged = count_of("tutti_db_hedged_reads_total");
        read_well(db, WARM);
    } while (count_of("tutti_db_hedged_reads_total") - hedged > WARM * HEDGE_PERCENT / 200);
}

static void a_replica_that_stalls_delays_nobody(void **state)
{
    const struct place *place = *state;
    (void)alarm(LONGEST_S);
    const char *port = strrchr(place->url, ':');
    const char *database = strrchr(place->url, '/') + 1;
    struct way ways[WAYS];
    char replicas[256] = "";
    for (unsigned i = 0; i < WAYS; i++) {
        open_way(&ways[i], atoi(port + 1));
        size_t at = strlen(replicas);
        (void)snprintf(replicas + at, sizeof replicas - at, "%spostgresql://tutti@127.0.0.1:%u/%s",
                       i > 0 ? " " : "", ways[i].port, database);
    }
    struct db *db = NULL;
    struct problem problem = {0};
    const struct db_config config = {.url = place->url, .replicas = replicas};
    if (db_open_with(&config, "hedged", &db, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    struct db_view view = {.replicas = true};
    (void)db_view_enter(&view);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t won = 0;
        do {
            wait_for_both();
            read_unhedged(db);
            pause_ms(50); /* the ends of those reads have been answered */
            won = count_of("tutti_db_hedges_won_total");
            atomic_store(&ways[round % WAYS].stalled, true);
            read_well(db, WAYS); /* one of them goes there, unless the minder is there just then */
            atomic_store(&ways[round % WAYS].stalled, false);
        } while (count_of("tutti_db_hedges_won_total") == won);
    }
    assert_in_range(count_of("tutti_db_hedged_reads_total"), ROUNDS,
                    reads * HEDGE_PERCENT / 100 + 1);
    (void)db_view_enter(NULL);
    db_close(db);
    for (unsigned i = 0; i < WAYS; i++) {
        close_way(&ways[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {in_place(a_replica_that_stalls_delays_nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
