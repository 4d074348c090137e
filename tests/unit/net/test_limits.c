/* What a server refuses, over real sockets: rates by class, address and user, and how they tighten.
 */
#include "client.h"

#include "base/error.h"
#include "net/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"
#define GET_AS(user, path)                                                                         \
    "GET " path " HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " user "\r\n\r\n"
#define GET_FOR(address, path)                                                                     \
    "GET " path " HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: " address "\r\n\r\n"
#define SERVE(config, hooks) serve(rows, sizeof rows / sizeof rows[0], NULL, config, hooks)

static _Atomic int held, blocked;

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int answer_at_once(struct request *request)
{
    return reply_empty(request, 204);
}

static int block(struct request *request)
{
    blocked++;
    while (held) {
        sleep_ms(5);
    }
    return reply_empty(request, 204);
}

static int block_with_json(struct request *request)
{
    json_t *object;
    int error = request_json(request, &object);
    return error != 0 ? error : block(request);
}

static int sink_open(struct request *request, void **ret_state)
{
    (void)request;
    *ret_state = NULL;
    return 0;
}

static int sink_write(struct request *request, void *state, const void *bytes, size_t length)
{
    (void)request;
    (void)state;
    (void)bytes;
    (void)length;
    return 0;
}

static void sink_close(struct request *request, void *state, bool complete)
{
    (void)request;
    (void)state;
    (void)complete;
}

static const struct body_sink sink = {sink_open, sink_write, sink_close};
static const struct route rows[] = {
    {.method = "GET",
     .pattern = "/read",
     .run = ROUTE_LOOP,
     .rate = RATE_READ,
     .handle = answer_at_once},
    {.method = "GET",
     .pattern = "/play",
     .run = ROUTE_LOOP,
     .rate = RATE_PLAY,
     .handle = answer_at_once},
    {.method = "GET",
     .pattern = "/object",
     .run = ROUTE_LOOP,
     .rate = RATE_OBJECT,
     .handle = answer_at_once,
     .flags = ROUTE_XML_ERRORS},
    {.method = "POST",
     .pattern = "/body",
     .run = ROUTE_LOOP,
     .body_bytes_max = 1 << 20,
     .rate = RATE_WRITE,
     .handle = answer_at_once},
    {.method = "GET",
     .pattern = "/upload",
     .run = ROUTE_LOOP,
     .rate = RATE_UPLOAD,
     .handle = answer_at_once},
    {.method = "GET",
     .pattern = "/artists-only",
     .roles = ROLE_ARTIST,
     .run = ROUTE_LOOP,
     .rate = RATE_UPLOAD,
     .handle = answer_at_once},
    {.method = "GET",
     .pattern = "/login",
     .run = ROUTE_LOOP,
     .rate = RATE_LOGIN,
     .handle = answer_at_once},
    {.method = "GET", .pattern = "/block", .run = ROUTE_POOL, .rate = RATE_WRITE, .handle = block},
    {.method = "POST",
     .pattern = "/block/json",
     .run = ROUTE_POOL,
     .body_bytes_max = 1 << 20,
     .rate = RATE_WRITE,
     .handle = block_with_json},
    {.method = "GET",
     .pattern = "/block/upload",
     .run = ROUTE_POOL,
     .rate = RATE_UPLOAD,
     .handle = block},
    {.method = "PUT",
     .pattern = "/block/sink",
     .run = ROUTE_POOL,
     .body_bytes_max = 1 << 20,
     .rate = RATE_OBJECT,
     .handle = block,
     .sink = &sink},
    {.method = "GET",
     .pattern = "/block/login",
     .run = ROUTE_HASH,
     .rate = RATE_LOGIN,
     .handle = block},
};

static void limit(struct http_config *config, enum rate_class class, unsigned burst)
{
    test_config(config);
    config->rates[class].per_minute = 6;
    config->rates[class].burst = burst;
}

static int ask(struct http_server *server, const char *request, const char *header)
{
    struct answer answer = client_ask(server, request);
    const char *value = header != NULL ? answer_header(&answer, header) : NULL;
    int result = header == NULL ? answer.status : value != NULL ? atoi(value) : -1;
    answer_done(&answer);
    return result;
}

static int ask_on(int fd, const char *request)
{
    client_say(fd, request);
    struct answer answer = client_read(fd, false);
    int status = answer.status;
    answer_done(&answer);
    return status;
}

static void rates_are_limited(void **state)
{
    (void)state;
    struct http_config config;
    limit(&config, RATE_READ, 3);
    struct http_server *server = SERVE(&config, NULL);
    for (int i = 0; i < 3; i++) {
        struct answer answer = client_ask(server, GET("/read"));
        assert_int_equal(answer.status, 204);
        assert_string_equal(answer_header(&answer, "RateLimit-Limit"), "3");
        assert_int_equal(atoi(answer_header(&answer, "RateLimit-Remaining")), 2 - i);
        assert_in_range(atoi(answer_header(&answer, "RateLimit-Reset")), 10 * i, 10 * i + 10);
        answer_done(&answer);
    }
    struct answer answer = client_ask(server, GET("/read"));
    assert_int_equal(answer.status, 429);
    assert_in_range(atoi(answer_header(&answer, "Retry-After")), 1, 10);
    assert_string_equal(answer_header(&answer, "RateLimit-Remaining"), "0");
    answer_done(&answer);
    assert_int_equal(ask(server, GET("/play"), NULL), 204); /* another class */
    assert_int_equal(ask(server, GET("/healthz"), "RateLimit-Limit"), -1);
    http_server_free(server);
}

static int ask_from(struct http_server *server, unsigned number, const char *request)
{
    int fd = client_connect_from(server, number);
    int status = ask_on(fd, request);
    (void)close(fd);
    return status;
}

static void an_address_has_a_bucket_of_its_own(void **state)
{
    (void)state;
    struct http_config config;
    limit(&config, RATE_READ, 2);
    struct http_server *server = SERVE(&config, NULL);
    for (unsigned number = 1; number <= 20; number++) {
        assert_int_equal(ask_from(server, number, GET("/read")), 204);
        assert_int_equal(ask_from(server, number, GET("/read")), 204);
        assert_int_equal(ask_from(server, number, GET("/read")), 429);
    }
    http_server_free(server);
}

/* Who has IPv6 has a /64 at least, and all of its addresses to ask from. */
static void a_network_of_ipv6_shares_a_bucket(void **state)
{
    (void)state;
    struct http_config config;
    limit(&config, RATE_READ, 2);
    config.trusted_proxies = "127.0.0.0/8";
    struct http_server *server = SERVE(&config, NULL);
    assert_int_equal(ask(server, GET_FOR("2001:db8:1:2::1", "/read"), NULL), 204);
    assert_int_equal(ask(server, GET_FOR("2001:db8:1:2:ffff::2", "/read"), NULL), 204);
    assert_int_equal(ask(server, GET_FOR("2001:db8:1:2:3:4:5:6", "/read"), NULL), 429);
    assert_int_equal(ask(server, GET_FOR("2001:db8:1:3::1", "/read"), NULL), 204);
    assert_int_equal(ask(server, GET_FOR("192.0.2.1", "/read"), NULL), 204);
    assert_int_equal(ask(server, GET_FOR("192.0.2.1", "/read"), NULL), 204);
    assert_int_equal(ask(server, GET_FOR("192.0.2.1", "/read"), NULL), 429);
    assert_int_equal(ask(server, GET_FOR("192.0.2.2", "/read"), NULL), 204);
    http_server_free(server);
}

/* The bearer is the user's number; 0 is nobody's. */
static int authenticate(void *context, struct request *request, const char *bearer)
{
    (void)context;
    request->call.actor.user_id = atoi(bearer);
    request->call.actor.roles = ROLE_LISTENER;
    return request->call.actor.user_id != 0 ? 0 : ERR_UNAUTHENTICATED;
}

static void a_user_has_a_bucket_of_its_own(void **state)
{
    (void)state;
    struct http_config config;
    limit(&config, RATE_READ, 2);
    struct http_hooks hooks = {.authenticate = authenticate};
    struct http_server *server = SERVE(&config, &hooks);
    assert_int_equal(ask_from(server, 1, GET_AS("7", "/read")), 204);
    assert_int_equal(ask_from(server, 2, GET_AS("7", "/read")), 204);
    assert_int_equal(ask_from(server, 3, GET_AS("7", "/read")), 429); /* from wherever */
    assert_int_equal(ask_from(server, 3, GET_AS("8", "/read")), 204);
    assert_int_equal(ask_from(server, 3, GET_AS("8", "/read")), 204);
    assert_int_equal(ask_from(server, 3, GET_AS("8", "/read")), 429);
    assert_int_equal(ask_from(server, 3, GET("/read")), 204); /* a stranger at the same address */
    http_server_free(server);
}

static void paths_that_lead_nowhere_count_as_reads(void **state)
{
    (void)state;
    struct http_config config;
    limit(&config, RATE_READ, 2);
    struct http_server *server = SERVE(&config, NULL);
    assert_int_equal(ask(server, GET("/nowhere"), NULL), 404);
    assert_int_equal(
        ask(server, "POST /read HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", NULL), 405);
    assert_int_equal(ask(server, GET("/nowhere/else"), NULL), 429);
    assert_int_equal(ask(server, GET("/read"), NULL), 429);
    http_server_free(server);
}

/* Who has no token, a wrong one or no role asks no more often than others. */
static void who_is_refused_pays_too(void **state)
{
    (void)state;
    struct http_config config;
    limit(&config, RATE_UPLOAD, 2);
    struct http_hooks hooks = {.authenticate = authenticate};
    struct http_server *server = SERVE(&config, &hooks);
    static const char no_token[] = GET("/artists-only"), no_role[] = GET_AS("7", "/artists-only"),
                      bad_token[] = GET_AS("0", "/artists-only");
    assert_int_equal(ask_from(server, 1, no_token), 401);
    assert_int_equal(ask_from(server, 1, bad_token), 401);
    assert_int_equal(ask_from(server, 1, no_token), 429);
    assert_int_equal(ask_from(server, 1, bad_token), 429);
    assert_int_equal(ask_from(server, 1, no_role), 403); /* a bucket of the user's own */
    assert_int_equal(ask_from(server, 2, no_role), 403);
    assert_int_equal(ask_from(server, 3, no_role), 429);
    assert_int_equal(ask_from(server, 3, no_token), 401);
    assert_int_equal(ask(server, no_role, "RateLimit-Remaining"), 0);
    assert_true(ask(server, no_role, "Retry-After") > 0);
    http_server_free(server);
}

/* S3's clients wait and try again at 503 (SlowDown). */
static void the_object_store_asks_to_slow_down(void **state)
{
    (void)state;
    struct http_config config;
    limit(&config, RATE_OBJECT, 1);
    struct http_server *server = SERVE(&config, NULL);
    assert_int_equal(ask(server, GET("/object"), NULL), 204);
    struct answer answer = client_ask(server, GET("/object"));
    assert_int_equal(answer.status, 503);
    assert_non_null(answer_header(&answer, "Retry-After"));
    assert_non_null(strstr(answer.body, "<Code>SlowDown</Code>"));
    answer_done(&answer);
    http_server_free(server);
}

static int64_t share_of(const char *class)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    metrics_write(&text);
    char line[64];
    (void)snprintf(line, sizeof line, "tutti_rate_share_percent{class=\"%s\"} ", class);
    const char *at = strstr(text.data, line);
    assert_non_null(at);
    int64_t share = atoll(at + strlen(line));
    buffer_done(&text);
    return share;
}

static void wait_for_share(const char *class, int64_t least, int64_t most)
{
    for (int i = 0; i < 3000 && (share_of(class) < least || share_of(class) > most); i++) {
        sleep_ms(10);
    }
    assert_in_range(share_of(class), least, most);
}

static int limit_of(struct http_server *server, const char *request)
{
    return ask(server, request, "RateLimit-Limit");
}

/* Work that is stuck: what waits grows old, and its class gives way down to an eighth; others have
 * lanes of their own. */
static void check_tightening(const char *work, const char *request, const char *class,
                             const char *other)
{
    struct http_config config;
    limit(&config, RATE_READ, 100);
    config.rates[RATE_PLAY] = config.rates[RATE_UPLOAD] = config.rates[RATE_LOGIN] =
        config.rates[RATE_READ];
    config.tighten_delay_ms = 50; /* reads keep all up to 100 ms, an eighth from 800 ms */
    config.pool_threads = config.hash_threads = 1;
    struct http_server *server = SERVE(&config, NULL);
    assert_int_equal(limit_of(server, request), 100);
    held = 1;
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = client_connect(server);
        client_say(fds[i], work);
    }
    wait_for_share(class, 0, 12);
    assert_int_equal(limit_of(server, request), 12);
    assert_int_equal(limit_of(server, GET("/play")), 100);
    assert_int_equal(share_of(other), 100);
    held = 0;
    for (int i = 0; i < 2; i++) {
        struct answer answer = client_read(fds[i], false);
        assert_int_equal(answer.status, 204);
        answer_done(&answer);
        (void)close(fds[i]);
    }
    wait_for_share(class, 100, 100);
    assert_int_equal(limit_of(server, request), 100);
    http_server_free(server);
}

static void rates_tighten_while_work_waits(void **state)
{
    (void)state;
    check_tightening(GET("/block"), GET("/read"), "read", "upload");
    check_tightening(GET("/block/upload"), GET("/upload"), "upload", "read");
    check_tightening(GET("/block/login"), GET("/login"), "login", "write");
}

static void full_of_work(struct http_server *server, int fds[3])
{
    held = 1;
    blocked = 0;
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = client_connect_from(server, i + 1);
        client_say(fds[i], GET("/block"));
    }
    for (int i = 0; i < 1000 && blocked < 3; i++) {
        sleep_ms(5);
    }
    assert_int_equal(blocked, 3);
}

static void connections_have_a_limit(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.connections_max = 3;
    struct http_server *server = SERVE(&config, NULL);
    int fds[3];
    full_of_work(server, fds);
    struct answer answer = client_ask(server, GET("/read"));
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer_header(&answer, "Retry-After"), "1");
    answer_done(&answer);
    held = 0;
    for (unsigned i = 0; i < 3; i++) {
        answer = client_read(fds[i], false);
        assert_int_equal(answer.status, 204);
        answer_done(&answer);
        (void)close(fds[i]);
    }
    int status = 503;
    for (int i = 0; i < 400 && status == 503; i++) {
        sleep_ms(5);
        status = ask(server, GET("/read"), NULL);
    }
    assert_int_equal(status, 204);
    http_server_free(server);
}

static void an_address_has_a_limit_of_connections(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.connections_per_address_max = 2;
    struct http_server *server = SERVE(&config, NULL);
    int first = client_connect_from(server, 1), second = client_connect_from(server, 1);
    assert_int_equal(ask_on(first, GET("/read")), 204);
    assert_int_equal(ask_on(second, GET("/read")), 204);
    for (int i = 0; i < 100; i++) { /* each of them is told */
        int third = client_connect_from(server, 1);
        struct answer answer = client_read(third, false);
        assert_int_equal(answer.status, 429);
        assert_string_equal(answer_header(&answer, "Retry-After"), "1");
        answer_done(&answer);
        assert_true(client_is_closed_within(third, 2000));
        (void)close(third);
    }
    assert_int_equal(ask(server, GET("/read"), NULL), 204); /* another address */
    assert_int_equal(ask_on(first, GET("/read")), 204);
    (void)close(first);
    (void)close(second);
    http_server_free(server);
}

/* Whether there are bytes to be read. */
static bool has_heard(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* Who comes when all is taken takes the place of one that does nothing, of the address with most.
 */
static void idle_connections_make_room(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.connections_max = 4;
    struct http_server *server = SERVE(&config, NULL);
    int alone = client_connect_from(server, 1), many[3];
    assert_int_equal(ask_on(alone, GET("/read")), 204);
    for (int i = 0; i < 3; i++) {
        many[i] = client_connect_from(server, 2);
        assert_int_equal(ask_on(many[i], GET("/read")), 204);
        client_say(many[i], "GET /read HTTP/1.1\r\nHo"); /* and never the rest */
    }
    for (int i = 0; i < 2; i++) {
        int comer = client_connect_from(server, 3 + (unsigned)i);
        assert_int_equal(ask_on(comer, GET("/read")), 204);
        (void)close(comer);
    }
    int ended = 0;
    for (int i = 0; i < 3; i++) {
        ended += client_is_closed_within(many[i], 50);
        (void)close(many[i]);
    }
    assert_in_range(ended, 1, 2);
    assert_int_equal(ask_on(alone, GET("/read")), 204);
    (void)close(alone);
    http_server_free(server);
}

enum { BODY_BYTES = 200 * 1024 };

/* Begins a request from an address with a body of BODY_BYTES, of which the last byte is kept back.
 * field: a header with its line's end, or "". */
static int begin_body_with(struct http_server *server, unsigned address, const char *field)
{
    static char bytes[BODY_BYTES - 1];
    char head[128];
    int fd = client_connect_from(server, address);
    (void)snprintf(head, sizeof head,
                   "POST /body HTTP/1.1\r\nHost: t\r\n%sContent-Length: %d\r\n\r\n", field,
                   BODY_BYTES);
    client_say(fd, head);
    (void)!send(fd, bytes, sizeof bytes, MSG_NOSIGNAL); /* which may be refused half-way */
    return fd;
}

static int begin_body(struct http_server *server, unsigned address)
{
    return begin_body_with(server, address, "");
}

static bool is_refused(int fd)
{
    struct answer answer = client_read(fd, false);
    bool refused = answer.status == 503 && answer_header(&answer, "Retry-After") != NULL;
    answer_done(&answer);
    return refused;
}

static int64_t memory_held(void)
{
    static const char name[] = "\ntutti_http_request_memory_bytes ";
    struct buffer text;
    buffer_init(&text, 1 << 20);
    metrics_write(&text);
    const char *at = strstr(text.data, name);
    int64_t held_bytes = at != NULL ? atoll(at + sizeof name - 1) : -1;
    buffer_done(&text);
    return held_bytes;
}

static void wait_for_held(int64_t least)
{
    for (int i = 0; i < 1000 && memory_held() < least; i++) {
        sleep_ms(5);
    }
    assert_true(memory_held() >= least);
}

static void wait_for_memory(int64_t most)
{
    for (int i = 0; i < 1000 && memory_held() > most; i++) {
        sleep_ms(5);
    }
    assert_in_range(memory_held(), 0, most);
}

/* A request with a list of so many empty lists: 3 bytes each, and fifty times that once read. */
static char *many_lists(unsigned count)
{
    char *text = malloc(200 + 3 * (size_t)count);
    assert_non_null(text);
    char *at = text + sprintf(text,
                              "POST /block/json HTTP/1.1\r\nHost: t\r\nContent-Type: "
                              "application/json\r\nContent-Length: %u\r\n\r\n{\"a\":[",
                              3 * count + 9);
    for (unsigned i = 0; i < count; i++) {
        at = stpcpy(at, "[],");
    }
    (void)stpcpy(at, "0]}");
    return text;
}

static void what_a_body_becomes_counts(void **state)
{
    (void)state;
    enum { LISTS = 30 * 1000, EACH_BYTES = 100 * LISTS };
    struct http_config config;
    test_config(&config);
    config.request_memory_max = 4 * 2 * EACH_BYTES;
    struct http_server *server = SERVE(&config, NULL);
    char *lists = many_lists(LISTS), *too_many = many_lists(300 * 1000);
    held = 1;
    blocked = 0;
    int first = client_connect(server);
    client_say(first, lists);
    wait_for_held(EACH_BYTES);
    struct answer answer = client_ask(server, lists); /* more than an address's share */
    assert_int_equal(answer.status, 503);
    assert_non_null(answer_header(&answer, "Retry-After"));
    answer_done(&answer);
    held = 0;
    answer = client_read(first, false);
    assert_int_equal(answer.status, 204);
    answer_done(&answer);
    (void)close(first);
    wait_for_memory(0);
    assert_int_equal(ask(server, lists, NULL), 204);
    http_server_free(server);

    config.request_memory_max = 1 << 30;
    server = SERVE(&config, NULL);
    assert_int_equal(ask(server, too_many, NULL), 413); /* never to be had, so not 503 */
    http_server_free(server);
    free(lists);
    free(too_many);
}

/* An idle connection is closed and hears nothing: it might take that for its next answer. */
static void idle_connections_go_without_a_word(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.connections_max = 2;
    struct http_server *server = SERVE(&config, NULL);
    int idle[2];
    for (int i = 0; i < 2; i++) {
        idle[i] = client_connect_from(server, 2);
        assert_int_equal(ask_on(idle[i], GET("/read")), 204);
    }
    int status = 503; /* the loop may not be done with the last answer */
    for (int i = 0; i < 400 && status == 503; i++) {
        sleep_ms(5);
        status = ask_from(server, 3, GET("/read"));
    }
    assert_int_equal(status, 204);
    int ended = 0;
    for (int i = 0; i < 2; i++) {
        assert_false(has_heard(idle[i]));
        ended += client_is_closed_within(idle[i], 50);
        (void)close(idle[i]);
    }
    assert_int_not_equal(ended, 0);
    http_server_free(server);
}

/* All are in the middle of a request: one of an address with very many makes room all the same. */
static void slow_connections_make_room(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.connections_max = 9;
    struct http_server *server = SERVE(&config, NULL);
    int slow[9];
    for (int i = 0; i < 9; i++) {
        slow[i] = begin_body(server, 2);
    }
    wait_for_held(9 * (int64_t)BODY_BYTES);
    held = 1;
    blocked = 0;
    int first = client_connect_from(server, 3);
    client_say(first, GET("/block"));
    for (int i = 0; i < 1000 && blocked < 1; i++) {
        sleep_ms(5);
    }
    int told = 0;
    for (int i = 0; i < 9; i++) {
        told += has_heard(slow[i]) && is_refused(slow[i]);
    }
    assert_int_equal(told, 1); /* who made room */
    int second = client_connect_from(server, 4);
    assert_true(is_refused(second)); /* there are eight left: they may be a browser's */
    held = 0;
    struct answer answer = client_read(first, false);
    assert_int_equal(answer.status, 204);
    answer_done(&answer);
    (void)close(first);
    (void)close(second);
    for (int i = 0; i < 9; i++) {
        (void)close(slow[i]);
    }
    wait_for_memory(0);
    http_server_free(server);
}

/* What has come whole is worked on: that client does not wait, and its answer is not lost. */
static void the_work_of_a_sink_makes_no_room(void **state)
{
    (void)state;
    enum { ALL = 10 };
    struct http_config config;
    test_config(&config);
    config.connections_max = ALL;
    config.pool_threads = 2 * ALL; /* objects do not get all of them */
    struct http_server *server = SERVE(&config, NULL);
    held = 1;
    blocked = 0;
    int fds[ALL];
    for (int i = 0; i < ALL; i++) {
        fds[i] = client_connect_from(server, 2);
        client_say(fds[i],
                   i % 2 == 0
                       ? "PUT /block/sink HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"
                       : "PUT /block/sink HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx");
    }
    for (int i = 0; i < 1000 && blocked < ALL; i++) {
        sleep_ms(5);
    }
    assert_int_equal(blocked, ALL);
    for (unsigned i = 0; i < 3; i++) {
        int comer = client_connect_from(server, 3 + i);
        assert_true(is_refused(comer));
        (void)close(comer);
    }
    held = 0;
    for (int i = 0; i < ALL; i++) {
        struct answer answer = client_read(fds[i], false);
        assert_int_equal(answer.status, 204);
        answer_done(&answer);
        (void)close(fds[i]);
    }
    wait_for_memory(0);
    http_server_free(server);
}

/* Bodies that wait for their clients have 1 MB in all, of one address a quarter of it. */
static void requests_share_a_memory(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.request_memory_max = 1 << 20;
    struct http_server *server = SERVE(&config, NULL);
    int fds[6];
    for (unsigned i = 0; i < 5; i++) {
        fds[i] = begin_body(server, i + 1);
        wait_for_held((int64_t)(i + 1) * BODY_BYTES);
    }
    fds[5] = begin_body(server, 6);
    assert_true(is_refused(fds[5]));
    assert_in_range(memory_held(), 0, 1 << 20);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(ask_on(fds[i], "x"), 204);
    }
    wait_for_memory(0);
    int first = begin_body(server, 1);
    wait_for_held(BODY_BYTES);
    int second = begin_body(server, 1);
    assert_true(is_refused(second)); /* the address has its quarter */
    assert_int_equal(ask_on(first, "x"), 204);
    (void)close(first);
    (void)close(second);
    for (unsigned i = 0; i < 6; i++) {
        (void)close(fds[i]);
    }
    wait_for_memory(0);
    http_server_free(server);
}

/* Who comes through a trusted proxy has a quarter, too; the proxy itself stands for many. */
static void a_proxys_clients_have_their_quarter(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.request_memory_max = 1 << 20;
    config.trusted_proxies = "127.9.0.1";
    struct http_server *server = SERVE(&config, NULL);
    int fds[5];
    fds[0] = begin_body_with(server, 1, "X-Forwarded-For: 203.0.113.5\r\n");
    wait_for_held(BODY_BYTES);
    fds[1] = begin_body_with(server, 1, "X-Forwarded-For: 203.0.113.5\r\n");
    assert_true(is_refused(fds[1]));
    fds[2] = begin_body_with(server, 1, "X-Forwarded-For: 203.0.113.6\r\n");
    wait_for_held(2 * (int64_t)BODY_BYTES);
    fds[3] = begin_body(server, 1);
    wait_for_held(3 * (int64_t)BODY_BYTES);
    fds[4] = begin_body(server, 1);
    wait_for_held(4 * (int64_t)BODY_BYTES);
    for (unsigned i = 0; i < 5; i++) {
        (void)close(fds[i]);
    }
    wait_for_memory(0);
    http_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_limited),
        cmocka_unit_test(an_address_has_a_bucket_of_its_own),
        cmocka_unit_test(a_network_of_ipv6_shares_a_bucket),
        cmocka_unit_test(a_user_has_a_bucket_of_its_own),
        cmocka_unit_test(paths_that_lead_nowhere_count_as_reads),
        cmocka_unit_test(who_is_refused_pays_too),
        cmocka_unit_test(the_object_store_asks_to_slow_down),
        cmocka_unit_test(rates_tighten_while_work_waits),
        cmocka_unit_test(connections_have_a_limit),
        cmocka_unit_test(an_address_has_a_limit_of_connections),
        cmocka_unit_test(idle_connections_make_room),
        cmocka_unit_test(idle_connections_go_without_a_word),
        cmocka_unit_test(slow_connections_make_room),
        cmocka_unit_test(the_work_of_a_sink_makes_no_room),
        cmocka_unit_test(requests_share_a_memory),
        cmocka_unit_test(what_a_body_becomes_counts),
        cmocka_unit_test(a_proxys_clients_have_their_quarter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
