/* The server over real sockets: routes, answers, bodies, sinks, limits, drain. */
#include "client.h"

#include "base/error.h"
#include "base/json.h"
#include "net/jobs.h"

#include <pthread.h>
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

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int echo_param(struct request *request)
{
    return reply_json(request, 200,
                      json_pack("{s:s,s:s?}", "id", request_param(request, "id"), "q",
                                request_query(request, "q")));
}

static int echo_rest(struct request *request)
{
    const char *rest = request_param(request, "rest");
    return reply_bytes(request, 200, "text/plain", rest, strlen(rest), true);
}

static int echo_json(struct request *request)
{
    json_t *body;
    int error = request_json(request, &body);
    return error != 0 ? error : reply_json(request, 201, json_incref(body));
}

static int resource(struct request *request)
{
    if (strcmp(request->method, "PATCH") == 0) {
        int error = request_if_match(request, 7);
        return error != 0 ? error : reply_empty(request, 204);
    }
    return reply_resource(request, 200, json_pack("{s:i}", "a", 1), 7);
}

/* As a cache that misses on the loop. */
static int moves_to_pool(struct request *request)
{
    return request_may_block(request) ? resource(request) : REQUEST_TO_POOL;
}

static int fail_fields(struct request *request)
{
    (void)problem_field(&request->call.problem, "title", "must not be empty");
    return problem_field(&request->call.problem, "albumId", "is not an id");
}

static const struct route basic_rows[] = {
    {.method = "GET", .pattern = "/a/{id}", .run = ROUTE_LOOP, .handle = echo_param},
    {.method = "GET", .pattern = "/a/me", .run = ROUTE_LOOP, .handle = echo_rest},
    {.method = "GET", .pattern = "/pool/{id}", .run = ROUTE_POOL, .handle = echo_param},
    {.method = "GET", .pattern = "/s/{id}/{rest*}", .run = ROUTE_LOOP, .handle = echo_rest},
    {.method = "POST",
     .pattern = "/json",
     .run = ROUTE_POOL,
     .body_bytes_max = 1000,
     .handle = echo_json},
    {.method = "POST",
     .pattern = "/big",
     .run = ROUTE_POOL,
     .body_bytes_max = 1 << 20,
     .handle = echo_json},
    {.method = "GET", .pattern = "/resource", .run = ROUTE_LOOP, .handle = resource},
    {.method = "PATCH", .pattern = "/resource", .run = ROUTE_LOOP, .handle = resource},
    {.method = "GET", .pattern = "/moves", .run = ROUTE_LOOP, .handle = moves_to_pool},
    {.method = "GET", .pattern = "/fields", .run = ROUTE_LOOP, .handle = fail_fields},
    {.method = "GET",
     .pattern = "/admin",
     .roles = ROLE_ADMIN,
     .run = ROUTE_LOOP,
     .handle = resource},
};

#define SERVE(rows, config, hooks) serve(rows, sizeof rows / sizeof rows[0], NULL, config, hooks)

static void expect(struct http_server *server, const char *request, int status, const char *body)
{
    struct answer answer = client_ask(server, request);
    if (answer.status != status ||
        (body != NULL && (answer.body == NULL || strstr(answer.body, body) == NULL))) {
        fail_msg("%.60s → %d %s (wanted %d %s)", request, answer.status,
                 answer.body != NULL ? answer.body : "", status, body != NULL ? body : "");
    }
    answer_done(&answer);
}

static void routes_are_found(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    expect(server, GET("/a/5"), 200, "{\"id\":\"5\",\"q\":null}");
    expect(server, GET("/pool/5?q=b%20c+d"), 200, "{\"id\":\"5\",\"q\":\"b c d\"}");
    expect(server, GET("/a/%C3%A4?x=1&q=%2B"), 200, "{\"id\":\"ä\",\"q\":\"+\"}");
    expect(server, GET("/s/b/x/y%2Fz"), 200, "x/y/z");
    expect(server, GET("/moves"), 200, "{\"a\":1}");
    expect(server, GET("/nowhere"), 404, "urn:tutti:error:not-found");
    expect(server, GET("/a/"), 404, NULL);
    expect(server, GET("/a/%zz"), 400, "percent-encoded");
    expect(server, GET("/a/%00"), 400, NULL);
    expect(server, GET("/a/%ff"), 400, NULL);
    expect(server, GET("/s/b/../x"), 400, NULL);
    expect(server, GET("/a/5?q=%ff"), 400, "query");
    expect(server, GET("http://t/a/5"), 200, "{\"id\":\"5\",\"q\":null}");
    expect(server, GET("http://t"), 404, NULL);
    expect(server, GET("http://t?x=/a/5"), 404, NULL);
    expect(server, GET("a?x=http://t/a/5"), 400, NULL);
    expect(server, "GET /a/5 HTTP/1.0\r\n\r\n", 200, "{\"id\":\"5\",\"q\":null}");
    expect(server, "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", 204, NULL);
    expect(server, GET("/healthz"), 200, "ok");
    expect(server, GET("/readyz"), 200, "ready");
    expect(server, GET("/metrics"), 200,
           "tutti_http_requests_total{method=\"GET\",route=\"/a/{id}\",code=\"200\"}");
    http_server_free(server);
}

static void methods_are_told(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    struct answer answer = client_ask(server, "DELETE /resource HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_int_equal(answer.status, 405);
    assert_string_equal(answer_header(&answer, "Allow"), "GET, HEAD, PATCH, OPTIONS");
    answer_done(&answer);
    answer = client_ask(server, "OPTIONS /json HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_int_equal(answer.status, 204);
    assert_string_equal(answer_header(&answer, "Allow"), "POST, OPTIONS");
    answer_done(&answer);
    answer = client_ask(server, "HEAD /a/5 HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Content-Length"), "19");
    answer_done(&answer);
    http_server_free(server);
}

static void bodies_are_read(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
#define POST_JSON "POST /json HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    expect(server, POST_JSON "Content-Length: 7\r\n\r\n{\"a\":1}", 201, "{\"a\":1}");
    expect(server,
           POST_JSON "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n", 201,
           "{\"a\":1}");
    expect(server, POST_JSON "Content-Length: 13\r\n\r\n{\"a\":1,\"a\":2}", 400, "line 1");
    expect(server, POST_JSON "Content-Length: 2\r\n\r\n[]", 400, "object");
    expect(server, POST_JSON "Content-Length: 0\r\n\r\n", 400, NULL);
    expect(server, "POST /json HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 415, NULL);
    expect(server, POST_JSON "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413, "1001");
    expect(server, POST_JSON "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, NULL);
    expect(server, POST_JSON "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           400, NULL);
    http_server_free(server);
}

/* A name that another on the way may read otherwise is refused; nothing behind it is looked at. */
static void names_that_are_no_tokens_are_refused(void **state)
{
    (void)state;
#define FIELD(text) "GET /a/1 HTTP/1.1\r\nHost: t\r\n" text "\r\n\r\n" GET("/a/2")
    static const char *const requests[] = {
        FIELD("Content-Length : 7"),
        FIELD("Transfer-Encoding\t: chunked"),
        FIELD("X(Y): z"),
        FIELD("X-\xc3\xa9: z"),
        FIELD("X Y: z"),
    };
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = client_connect(server);
        client_say(fd, requests[i]);
        struct answer answer = client_read(fd, false);
        if (answer.status != 400 || !client_is_closed_within(fd, 60000)) {
            fail_msg("request %zu: %d", i, answer.status);
        }
        assert_non_null(strstr(answer.body, "urn:tutti:error:malformed"));
        answer_done(&answer);
        (void)close(fd);
    }
    expect(server, "GET /a/1 HTTP/1.1\r\nHost: t\r\nX!#$%&'*+-.^_`|~9: a\tb\r\n\r\n", 200, NULL);
    http_server_free(server);
}

/* A small refused body is let pass, so the connection stays; a large one ends it. */
static void refused_bodies_keep_the_connection(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    int fd = client_connect(server);
    client_say(fd,
               "POST /nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello" GET("/a/1"));
    struct answer first = client_read(fd, false);
    struct answer second = client_read(fd, false);
    assert_int_equal(first.status, 404);
    assert_int_equal(second.status, 200);
    answer_done(&first);
    answer_done(&second);
    client_say(fd, "POST /json HTTP/1.1\r\nHost: t\r\nContent-Length: 10000000\r\n\r\n");
    first = client_read(fd, false);
    assert_int_equal(first.status, 413);
    answer_done(&first);
    assert_true(client_is_closed_within(fd, 2000));
    (void)close(fd);
    http_server_free(server);
}

static void requests_may_be_pipelined(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    int fd = client_connect(server);
    client_say(fd, GET("/a/1") GET("/pool/2") GET("/nowhere") GET("/a/3"));
    static const int statuses[] = {200, 200, 404, 200};
    for (unsigned i = 0; i < 4; i++) {
        struct answer answer = client_read(fd, false);
        assert_int_equal(answer.status, statuses[i]);
        answer_done(&answer);
    }
    (void)close(fd);
    http_server_free(server);
}

static void problems_say_what_is_wrong(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    struct answer answer =
        client_ask(server, "GET /fields HTTP/1.1\r\nHost: t\r\nX-Request-Id: abc-1\r\n"
                           "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                           "\r\n\r\n");
    assert_int_equal(answer.status, 422);
    assert_string_equal(answer_header(&answer, "Content-Type"), "application/problem+json");
    assert_string_equal(answer_header(&answer, "X-Request-Id"), "abc-1");
    assert_memory_equal(answer_header(&answer, "traceparent"),
                        "00-0af7651916cd43dd8448eb211c80319c-", 36);
    json_t *problem = json_loads(answer.body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(problem, "instance")),
                        "urn:tutti:request:abc-1");
    assert_int_equal(json_array_size(json_object_get(problem, "errors")), 2);
    json_decref(problem);
    answer_done(&answer);
    http_server_free(server);
}

static void revisions_are_compared(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    struct answer answer = client_ask(server, GET("/resource"));
    assert_string_equal(answer_header(&answer, "ETag"), "\"7\"");
    answer_done(&answer);
    expect(server, "GET /resource HTTP/1.1\r\nHost: t\r\nIf-None-Match: W/\"7\"\r\n\r\n", 304,
           NULL);
    expect(server, "GET /resource HTTP/1.1\r\nHost: t\r\nIf-None-Match: \"6\"\r\n\r\n", 200, NULL);
    expect(server, "PATCH /resource HTTP/1.1\r\nHost: t\r\nIf-Match: \"7\"\r\n\r\n", 204, NULL);
    expect(server, "PATCH /resource HTTP/1.1\r\nHost: t\r\nIf-Match: \"6\"\r\n\r\n", 412,
           "\\\"7\\\"");
    http_server_free(server);
}

static int authenticate(void *context, struct request *request, const char *bearer)
{
    (void)context;
    if (strcmp(bearer, "again") == 0) {
        request->call.problem.retry_after_s = 1;
        return problem_set(&request->call.problem, ERR_RATE_LIMITED, "Too many bad tokens");
    }
    if (strcmp(bearer, "admin") != 0 && strcmp(bearer, "user") != 0) {
        return problem_set(&request->call.problem, ERR_UNAUTHENTICATED, "The token is not valid");
    }
    request->call.actor.user_id = 9;
    request->call.actor.roles = bearer[0] == 'a' ? ROLE_ADMIN | ROLE_LISTENER : ROLE_LISTENER;
    return 0;
}

static void roles_are_asked(void **state)
{
    (void)state;
    struct http_hooks hooks = {.authenticate = authenticate};
    struct http_server *server = SERVE(basic_rows, NULL, &hooks);
#define ADMIN(token) "GET /admin HTTP/1.1\r\nHost: t\r\nAuthorization: " token "\r\n\r\n"
    expect(server, GET("/admin"), 401, "Sign in");
    expect(server, ADMIN("Bearer user"), 403, NULL);
    expect(server, ADMIN("Bearer wrong"), 401, "not valid");
    expect(server, ADMIN("Bearer !"), 401, "malformed");
    expect(server, ADMIN("Basic abc"), 401, NULL);
    struct answer answer = client_ask(server, ADMIN("Bearer admin"));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Cache-Control"), "private");
    answer_done(&answer);
    expect(server, ADMIN("Bearer again"), 429, "Too many bad tokens");
    expect(server, GET("/a/1"), 200, NULL);
    http_server_free(server);
}

/* ---- sinks ---- */

struct sink_log {
    _Atomic long long bytes;
    _Atomic int opened, complete, incomplete, handled;
    _Atomic int fail_at_write, refuse_open;
    _Atomic int slow_ms;
    unsigned checksum;
};
static struct sink_log sink_log;

static int log_open(struct request *request, void **ret_state)
{
    if (sink_log.refuse_open) {
        return problem_set(&request->call.problem, ERR_FORBIDDEN, "Not you");
    }
    assert_string_equal(request_header(request, "X-Name"), "n");
    sink_log.opened++;
    *ret_state = &sink_log;
    return 0;
}

static int log_write_body(struct request *request, void *state, const void *bytes, size_t length)
{
    struct sink_log *log = state;
    if (log->fail_at_write) {
        return problem_set(&request->call.problem, ERR_DISK_FULL, "No room");
    }
    if (log->slow_ms > 0) {
        sleep_ms(log->slow_ms);
    }
    for (size_t i = 0; i < length; i++) {
        log->checksum = log->checksum * 31 + ((const unsigned char *)bytes)[i];
    }
    log->bytes += (long long)length;
    return 0;
}

static void log_close(struct request *request, void *state, bool complete)
{
    (void)request;
    struct sink_log *log = state;
    log->complete += complete;
    log->incomplete += !complete;
}

static int log_handle(struct request *request)
{
    struct sink_log *log = request_sink_state(request);
    log->handled++;
    return reply_json(request, 200, json_pack("{s:I}", "bytes", (json_int_t)log->bytes));
}

static const struct body_sink log_sink = {log_open, log_write_body, log_close};
static const struct route sink_rows[] = {
    {.method = "PUT",
     .pattern = "/put/{id}",
     .run = ROUTE_POOL,
     .body_bytes_max = 64 << 20,
     .handle = log_handle,
     .sink = &log_sink},
    {.method = "GET", .pattern = "/a/{id}", .run = ROUTE_LOOP, .handle = echo_param},
};

static void wait_for(_Atomic int *value, int wanted)
{
    for (int i = 0; i < 300 && *value != wanted; i++) {
        sleep_ms(10);
    }
    assert_int_equal(*value, wanted);
}

static void put(int fd, size_t announced, size_t sent)
{
    char head[200];
    (void)snprintf(head, sizeof head,
                   "PUT /put/1 HTTP/1.1\r\nHost: t\r\nX-Name: n\r\nContent-Length: %zu\r\n\r\n",
                   announced);
    client_say(fd, head);
    char bytes[10000];
    memset(bytes, 'x', sizeof bytes);
    while (sent > 0) {
        size_t some = sent < sizeof bytes ? sent : sizeof bytes;
        client_send(fd, bytes, some);
        sent -= some;
    }
}

static void sinks_take_bodies(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4096, 262144, 262145, 1000000, 20000000};
    struct http_server *server = SERVE(sink_rows, NULL, NULL);
    int fd = client_connect(server);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(&sink_log, 0, sizeof sink_log);
        put(fd, sizes[i], sizes[i]);
        struct answer answer = client_read(fd, false);
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
        assert_int_equal(sink_log.bytes, sizes[i]);
        assert_int_equal(sink_log.complete, 1);
        assert_int_equal(sink_log.incomplete, 0);
        unsigned checksum = 0;
        for (size_t j = 0; j < sizes[i]; j++) {
            checksum = checksum * 31 + 'x';
        }
        assert_int_equal(sink_log.checksum, checksum);
    }
    (void)close(fd);
    http_server_free(server);
}

static void sinks_close_cut_bodies(void **state)
{
    (void)state;
    struct http_server *server = SERVE(sink_rows, NULL, NULL);
    static const size_t sent[] = {0, 100, 300000, 3000000};
    for (unsigned slow = 0; slow < 1; slow++) {
        for (unsigned i = 0; i < sizeof sent / sizeof sent[0]; i++) {
            memset(&sink_log, 0, sizeof sink_log);
            sink_log.slow_ms = slow ? 30 : 0;
            int fd = client_connect(server);
            put(fd, 5000000, sent[i]);
            wait_for(&sink_log.opened, 1);
            sleep_ms(100);
            (void)close(fd);
            wait_for(&sink_log.incomplete, 1);
            assert_int_equal(sink_log.complete, 0);
            assert_int_equal(sink_log.handled, 0);
        }
    }
    http_server_free(server);
}

static void sinks_may_refuse(void **state)
{
    (void)state;
    struct http_server *server = SERVE(sink_rows, NULL, NULL);
    memset(&sink_log, 0, sizeof sink_log);
    sink_log.refuse_open = 1;
    struct answer answer = client_ask(
        server, "PUT /put/1 HTTP/1.1\r\nHost: t\r\nX-Name: n\r\nContent-Length: 9999999\r\n"
                "Expect: 100-continue\r\n\r\n");
    assert_int_equal(answer.status, 403);
    answer_done(&answer);
    /* Small and refused: the connection stays. */
    int fd = client_connect(server);
    put(fd, 100, 100);
    answer = client_read(fd, false);
    assert_int_equal(answer.status, 403);
    answer_done(&answer);
    client_say(fd, GET("/a/1"));
    answer = client_read(fd, false);
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    (void)close(fd);
    expect(server, "PUT /put/1 HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\n", 413, NULL);
    assert_int_equal(sink_log.opened, 0);
    http_server_free(server);
}

/* Who asks before sending is told at once, and not invited to send for nothing. */
static void sinks_refuse_before_they_invite(void **state)
{
    (void)state;
    struct http_server *server = SERVE(sink_rows, NULL, NULL);
    memset(&sink_log, 0, sizeof sink_log);
    sink_log.refuse_open = 1;
    int fd = client_connect(server);
    client_say(fd, "PUT /put/1 HTTP/1.1\r\nHost: t\r\nX-Name: n\r\nContent-Length: 5\r\n"
                   "Expect: 100-continue\r\n\r\n");
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 403);
    answer_done(&answer);
    (void)close(fd);
    http_server_free(server);
}

static void sinks_may_fail(void **state)
{
    (void)state;
    struct http_server *server = SERVE(sink_rows, NULL, NULL);
    static const size_t sizes[] = {100, 300000, 30000000};
    for (unsigned i = 0; i < 3; i++) {
        memset(&sink_log, 0, sizeof sink_log);
        sink_log.fail_at_write = 1;
        int fd = client_connect(server);
        put(fd, sizes[i], sizes[i]);
        struct answer answer = client_read(fd, false);
        assert_int_equal(answer.status, 507);
        answer_done(&answer);
        wait_for(&sink_log.incomplete, 1);
        assert_int_equal(sink_log.handled, 0);
        (void)close(fd);
    }
    http_server_free(server);
}

static void sinks_continue_when_expected(void **state)
{
    (void)state;
    struct http_server *server = SERVE(sink_rows, NULL, NULL);
    memset(&sink_log, 0, sizeof sink_log);
    int fd = client_connect(server);
    client_say(fd, "PUT /put/1 HTTP/1.1\r\nHost: t\r\nX-Name: n\r\nContent-Length: 5\r\n"
                   "Expect: 100-continue\r\n\r\n");
    char word[25];
    assert_int_equal(recv(fd, word, sizeof word, MSG_WAITALL), sizeof word);
    assert_memory_equal(word, "HTTP/1.1 100 Continue\r\n\r\n", sizeof word);
    assert_int_equal(sink_log.opened, 1);
    client_say(fd, "hello");
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 200);
    assert_int_equal(sink_log.bytes, 5);
    answer_done(&answer);
    /* In chunks, past the route's limit. */
    client_say(fd, "PUT /put/1 HTTP/1.1\r\nHost: t\r\nX-Name: n\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n");
    char chunk[65546] = "10000\r\n";
    memset(chunk + 7, 'x', 65536);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    for (int i = 0; i < 1030; i++) {
        client_send(fd, chunk, 7 + 65536 + 2);
    }
    answer = client_read(fd, false);
    assert_int_equal(answer.status, 413);
    answer_done(&answer);
    (void)close(fd);
    http_server_free(server);
}

/* ---- the pool ---- */

static _Atomic int block_now, blocked;

static int block(struct request *request)
{
    blocked++;
    while (block_now) {
        sleep_ms(5);
    }
    blocked--;
    return reply_empty(request, 204);
}

static const struct route block_rows[] = {
    {.method = "GET", .pattern = "/block", .run = ROUTE_POOL, .handle = block},
    {.method = "GET", .pattern = "/hash", .run = ROUTE_HASH, .handle = block},
    {.method = "GET", .pattern = "/a/{id}", .run = ROUTE_LOOP, .handle = echo_param},
};

static void a_full_pool_refuses(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.pool_threads = 2;
    config.pool_queue_max = 3;
    struct http_server *server = SERVE(block_rows, &config, NULL);
    block_now = 1;
    int fds[5];
    for (unsigned i = 0; i < 5; i++) {
        fds[i] = client_connect(server);
        client_say(fds[i], GET("/block"));
        if (i < 2) {
            wait_for(&blocked, (int)i + 1);
        }
    }
    sleep_ms(100);
    struct answer answer = client_ask(server, GET("/block"));
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer_header(&answer, "Retry-After"), "1");
    answer_done(&answer);
    expect(server, GET("/a/1"), 200, NULL); /* the loops are free */
    block_now = 0;
    for (unsigned i = 0; i < 5; i++) {
        answer = client_read(fds[i], false);
        assert_int_equal(answer.status, 204);
        answer_done(&answer);
        (void)close(fds[i]);
    }
    http_server_free(server);
}

/* What hashes has a pool of its own: full, it refuses, and the common pool goes on. */
static void a_flood_of_hashing_waits_for_itself(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.hash_threads = 1;
    config.hash_queue_max = 1;
    struct http_server *server = SERVE(block_rows, &config, NULL);
    block_now = 1;
    int fds[2];
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = client_connect(server);
        client_say(fds[i], GET("/hash"));
        wait_for(&blocked, 1);
    }
    sleep_ms(100);
    expect(server, GET("/hash"), 503, NULL);
    assert_int_equal(blocked, 1);
    int fd = client_connect(server);
    client_say(fd, GET("/block"));
    wait_for(&blocked, 2);
    block_now = 0;
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 204);
    answer_done(&answer);
    (void)close(fd);
    for (unsigned i = 0; i < 2; i++) {
        answer = client_read(fds[i], false);
        assert_int_equal(answer.status, 204);
        answer_done(&answer);
        (void)close(fds[i]);
    }
    http_server_free(server);
}

static void *drain_thread(void *server)
{
    http_server_drain(server);
    return NULL;
}

static void draining_finishes_requests(void **state)
{
    (void)state;
    struct http_server *server = SERVE(block_rows, NULL, NULL);
    int idle = client_connect(server);
    client_say(idle, GET("/a/1"));
    struct answer answer = client_read(idle, false);
    answer_done(&answer);
    block_now = 1;
    int fd = client_connect(server);
    client_say(fd, GET("/block"));
    wait_for(&blocked, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, drain_thread, server);
    assert_true(client_is_closed_within(idle, 2000));
    assert_false(client_can_connect(server));
    block_now = 0;
    answer = client_read(fd, false);
    assert_int_equal(answer.status, 204);
    assert_string_equal(answer_header(&answer, "Connection"), "close");
    answer_done(&answer);
    pthread_join(thread, NULL);
    (void)close(fd);
    (void)close(idle);
    http_server_free(server);
}

/* So that a balancer sees it and nobody who still comes is refused. */
static void leaving_says_so_and_serves_on(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    expect(server, GET("/readyz"), 200, "\"ready\"");
    http_server_leave(server, "it goes");
    expect(server, GET("/readyz"), 503, "\"reason\":\"it goes\"");
    expect(server, GET("/readyz"), 503, "\"draining\"");
    expect(server, GET("/healthz"), 200, "ok");
    struct answer answer = client_ask(server, GET("/a/1"));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Connection"), "close");
    answer_done(&answer);
    http_server_drain(server);
    assert_false(client_can_connect(server));
    http_server_free(server);
}

/* One who is told nothing of the end keeps its connection until then. */
static void what_came_before_the_end_is_answered(void **state)
{
    (void)state;
    struct http_server *server = SERVE(block_rows, NULL, NULL);
    block_now = 1;
    blocked = 0;
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = client_connect(server);
        client_say(fds[i], GET("/block"));
    }
    wait_for(&blocked, 4); /* as many as there are threads */
    pthread_t thread;
    pthread_create(&thread, NULL, drain_thread, server);
    for (int i = 0; i < 400 && client_can_connect(server); i++) {
        sleep_ms(5);
    }
    block_now = 0;
    for (int i = 0; i < 8; i++) {
        struct answer answer = client_read(fds[i], false);
        assert_int_equal(answer.status, 204);
        answer_done(&answer);
        (void)close(fds[i]);
    }
    pthread_join(thread, NULL);
    http_server_free(server);
}

/* ---- limits ---- */

static void headers_have_a_limit(void **state)
{
    (void)state;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    char request[20000], filler[16000];
    memset(filler, 'x', sizeof filler);
    (void)snprintf(request, sizeof request, "GET /a/1 HTTP/1.1\r\nHost: t\r\nX: %.8180s\r\n\r\n",
                   filler);
    expect(server, request, 431, "8192");
    (void)snprintf(request, sizeof request, "GET /a/1 HTTP/1.1\r\nHost: t\r\nX: %.15950s\r\n\r\n",
                   filler);
    struct answer answer = client_ask(server, request);
    assert_int_equal(answer.status, 431);
    answer_done(&answer);
    http_server_free(server);
}

/* What a connection holds of a header is given to it at the start: the limit stays what it was. */
static void the_limit_of_headers_stays(void **state)
{
    (void)state;
    struct http_config config;
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    char request[12000], filler[10000];
    memset(filler, 'x', sizeof filler);
    test_config(&config);
    static const size_t limits[] = {1024, 65536};
    for (unsigned i = 0; i < 2; i++) {
        config.header_bytes_max = limits[i];
        assert_int_equal(http_server_reload(server, &config), 0);
        (void)snprintf(request, sizeof request,
                       "GET /a/1 HTTP/1.1\r\nHost: t\r\nX: %.2000s\r\n\r\n", filler);
        expect(server, request, 200, NULL);
        (void)snprintf(request, sizeof request,
                       "GET /a/1 HTTP/1.1\r\nHost: t\r\nX: %.8180s\r\n\r\n", filler);
        expect(server, request, 431, "8192");
    }
    http_server_free(server);
}

static void many_parts_are_answered(void **state)
{
    (void)state;
    static char parts[1000], request[9000];
    memset(parts, '&', sizeof parts - 1);
    struct http_server *server = SERVE(basic_rows, NULL, NULL);
    for (int count = 100; count < 900; count += 10) {
        (void)snprintf(request, sizeof request, "GET /a/1?%.*s HTTP/1.1\r\nHost: t\r\n\r\n", count,
                       parts);
        expect(server, request, count < 256 ? 200 : 400, NULL);
    }
    int length = snprintf(request, sizeof request, "GET /a/1 HTTP/1.1\r\nHost: t\r\n");
    while (length < 8000) {
        length += snprintf(request + length, sizeof request - (size_t)length, "a:b\r\n");
    }
    (void)snprintf(request + length, sizeof request - (size_t)length, "\r\n");
    expect(server, request, 431, NULL);
    http_server_free(server);
}

static int who(struct request *request)
{
    return reply_json(request, 200,
                      json_pack("{s:s,s:b}", "remote", request->remote, "https", request->https));
}

static const struct route who_rows[] = {
    {.method = "GET", .pattern = "/who", .run = ROUTE_POOL, .handle = who},
};

static void proxies_are_believed_if_trusted(void **state)
{
    (void)state;
#define WHO                                                                                        \
    "GET /base/who HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 1.1.1.1, 9.9.9.9\r\n"                   \
    "X-Forwarded-Proto: https\r\n\r\n"
    struct http_config config;
    test_config(&config);
    config.base_path = "/base";
    struct http_server *server = SERVE(who_rows, &config, NULL);
    expect(server, WHO, 200, "{\"remote\":\"127.0.0.1\",\"https\":false}");
    http_server_free(server);
    config.trusted_proxies = "127.0.0.0/8";
    server = SERVE(who_rows, &config, NULL);
    expect(server, WHO, 200, "{\"remote\":\"9.9.9.9\",\"https\":true}");
    expect(server, GET("/who"), 200, NULL);
    http_server_free(server);
}

/* What a proxy passes on because it does not know it: nothing of it is believed. */
static void strangers_words_behind_a_proxy_are_not(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.trusted_proxies = "127.0.0.0/8";
    struct http_server *server = SERVE(who_rows, &config, NULL);
    expect(server,
           "GET /who HTTP/1.1\r\nHost: t\r\nForwarded: for=6.6.6.6;proto=https\r\n"
           "X-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n"
           "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: http\r\n\r\n",
           200, "{\"remote\":\"9.9.9.9\",\"https\":false}");
    expect(server, "GET /who HTTP/1.1\r\nHost: t\r\nForwarded: for=6.6.6.6\r\n\r\n", 200,
           "{\"remote\":\"127.0.0.1\",\"https\":false}");
    http_server_free(server);
}

static void origins_are_answered(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.cors_origins = "https://a.example, https://b.example";
    struct http_server *server = SERVE(basic_rows, &config, NULL);
    struct answer answer =
        client_ask(server, "OPTIONS /json HTTP/1.1\r\nHost: t\r\nOrigin: https://b.example\r\n"
                           "Access-Control-Request-Method: POST\r\n\r\n");
    assert_int_equal(answer.status, 204);
    assert_string_equal(answer_header(&answer, "Access-Control-Allow-Origin"), "https://b.example");
    assert_string_equal(answer_header(&answer, "Access-Control-Allow-Methods"), "POST, OPTIONS");
    answer_done(&answer);
    answer =
        client_ask(server, "GET /a/1 HTTP/1.1\r\nHost: t\r\nOrigin: https://c.example\r\n\r\n");
    assert_null(answer_header(&answer, "Access-Control-Allow-Origin"));
    assert_string_equal(answer_header(&answer, "Vary"), "Origin");
    answer_done(&answer);
    http_server_free(server);
}

static void bad_rows_are_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {"a",       "/a/{",    "/{id}x", "/{}",
                                           "/{a*}/b", "/a/{id}", "/x{id}"};
    struct http_config config;
    test_config(&config);
    struct problem problem = {0};
    struct http_server *server;
    assert_int_equal(http_server_new(&config, NULL, &server, &problem), 0);
    struct route row = {.method = "GET", .pattern = "/a/{name}", .handle = who};
    assert_int_equal(http_server_add_routes(server, &row, 1, NULL), 0);
    for (unsigned i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct route bad = {.method = "GET", .pattern = patterns[i], .handle = who};
        if (http_server_add_routes(server, &bad, 1, NULL) != ERR_INVALID) {
            fail_msg("%s was taken", patterns[i]);
        }
    }
    http_server_free(server);
    config.listen = "nowhere";
    assert_int_equal(http_server_new(&config, NULL, &server, &problem), 0);
    assert_int_equal(http_server_start(server, &problem), ERR_INVALID);
    http_server_free(server);
    config.trusted_proxies = "10.0.0.0/33";
    assert_int_equal(http_server_new(&config, NULL, &server, &problem), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_found),
        cmocka_unit_test(methods_are_told),
        cmocka_unit_test(bodies_are_read),
        cmocka_unit_test(names_that_are_no_tokens_are_refused),
        cmocka_unit_test(refused_bodies_keep_the_connection),
        cmocka_unit_test(requests_may_be_pipelined),
        cmocka_unit_test(problems_say_what_is_wrong),
        cmocka_unit_test(revisions_are_compared),
        cmocka_unit_test(roles_are_asked),
        cmocka_unit_test(sinks_take_bodies),
        cmocka_unit_test(sinks_close_cut_bodies),
        cmocka_unit_test(sinks_may_refuse),
        cmocka_unit_test(sinks_refuse_before_they_invite),
        cmocka_unit_test(sinks_may_fail),
        cmocka_unit_test(sinks_continue_when_expected),
        cmocka_unit_test(a_full_pool_refuses),
        cmocka_unit_test(a_flood_of_hashing_waits_for_itself),
        cmocka_unit_test(draining_finishes_requests),
        cmocka_unit_test(leaving_says_so_and_serves_on),
        cmocka_unit_test(what_came_before_the_end_is_answered),
        cmocka_unit_test(headers_have_a_limit),
        cmocka_unit_test(the_limit_of_headers_stays),
        cmocka_unit_test(many_parts_are_answered),
        cmocka_unit_test(proxies_are_believed_if_trusted),
        cmocka_unit_test(strangers_words_behind_a_proxy_are_not),
        cmocka_unit_test(origins_are_answered),
        cmocka_unit_test(bad_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
