/* Clients that are slow on purpose. Times are short here; what counts is which ones are cut. */
#include "client.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static _Atomic int incomplete, stream_ended;

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int hello(struct request *request)
{
    return reply_bytes(request, 200, "text/plain", "hello", 5, true);
}

static int slow_work(struct request *request)
{
    sleep_ms(2500);
    return hello(request);
}

static int length_of_body(struct request *request)
{
    size_t length;
    (void)request_body(request, &length);
    return reply_json(request, 200, json_pack("{s:I}", "length", (json_int_t)length));
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
    sleep_ms(30);
    return 0;
}

static void sink_close(struct request *request, void *state, bool complete)
{
    (void)request;
    (void)state;
    incomplete += !complete;
}

static ssize_t endless(void *argument, void *bytes, size_t length)
{
    (void)argument;
    memset(bytes, 'x', length);
    return (ssize_t)length;
}

static void endless_done(void *argument)
{
    (void)argument;
    stream_ended++;
}

static int stream(struct request *request)
{
    return reply_stream(request, 200, "text/plain", -1, endless, endless_done, NULL);
}

static int sink_open_slowly(struct request *request, void **ret_state)
{
    sleep_ms(1200);
    return sink_open(request, ret_state);
}

static const struct body_sink sink = {sink_open, sink_write, sink_close};
static const struct body_sink slow_sink = {sink_open_slowly, sink_write, sink_close};
static const struct route rows[] = {
    {.method = "GET", .pattern = "/hello", .run = ROUTE_LOOP, .handle = hello},
    {.method = "GET", .pattern = "/slow", .run = ROUTE_POOL, .handle = slow_work},
    {.method = "GET", .pattern = "/stream", .run = ROUTE_POOL, .handle = stream},
    {.method = "POST",
     .pattern = "/body",
     .run = ROUTE_POOL,
     .body_bytes_max = 1 << 20,
     .handle = length_of_body},
    {.method = "PUT",
     .pattern = "/sink",
     .run = ROUTE_POOL,
     .body_bytes_max = 64 << 20,
     .handle = hello,
     .sink = &sink},
    {.method = "PUT",
     .pattern = "/slow/sink",
     .run = ROUTE_POOL,
     .body_bytes_max = 64 << 20,
     .handle = slow_work,
     .sink = &slow_sink},
};

static struct http_server *server;

static int set_up(void **state)
{
    (void)state;
    struct http_config config;
    test_config(&config);
    config.header_timeout_ms = 700;
    config.keep_alive_timeout_ms = 1500;
    config.body_timeout_ms = 1000;
    config.body_rate_min = 100;
    config.send_timeout_ms = 1500;
    config.send_rate_min = 1000;
    server = serve(rows, sizeof rows / sizeof rows[0], NULL, &config, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_free(server);
    return 0;
}

/* Says text a byte at a time until it is said or the server answers. */
static struct answer trickle(int fd, const char *text, long every_ms)
{
    char byte;
    for (; *text != '\0'; text++) {
        client_send(fd, text, 1);
        sleep_ms(every_ms);
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
            break;
        }
    }
    return client_read(fd, false);
}

static void a_trickled_header_is_cut(void **state)
{
    (void)state;
    int64_t start_ms = clock_monotonic_ms();
    int fd = client_connect(server);
    struct answer answer = trickle(fd, GET("/hello") GET("/hello"), 100);
    assert_int_equal(answer.status, 408);
    assert_true(clock_monotonic_ms() - start_ms >= 700);
    answer_done(&answer);
    (void)close(fd);
}

/* Its bytes come with the connection, as everybody's do; then silence. It is told why, as who waits
 * for its next request is not. */
static void a_stopped_header_is_cut(void **state)
{
    (void)state;
    int fd = client_connect(server);
    client_say(fd, "GET /hello HTTP/1.1\r\nHo");
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 408);
    answer_done(&answer);
    (void)close(fd);
}

static void a_trickled_header_is_cut_after_a_request(void **state)
{
    (void)state;
    int fd = client_connect(server);
    client_say(fd, GET("/hello"));
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    sleep_ms(300);
    answer = trickle(fd, GET("/hello") GET("/hello"), 100);
    assert_int_equal(answer.status, 408);
    answer_done(&answer);
    (void)close(fd);
}

static void idle_connections_are_closed(void **state)
{
    (void)state;
    int fresh = client_connect(server);
    int used = client_connect(server);
    client_say(used, GET("/hello"));
    struct answer answer = client_read(used, false);
    answer_done(&answer);
    assert_false(client_is_closed_within(fresh, 800));
    assert_true(client_is_closed_within(fresh, 2500));
    assert_true(client_is_closed_within(used, 2500));
    (void)close(fresh);
    (void)close(used);
}

static void a_stopped_body_is_cut(void **state)
{
    (void)state;
    int fd = client_connect(server);
    client_say(fd, "POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc");
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 408);
    answer_done(&answer);
    (void)close(fd);
}

static void a_trickled_body_is_cut(void **state)
{
    (void)state;
    char body[801];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    int64_t start_ms = clock_monotonic_ms();
    int fd = client_connect(server);
    client_say(fd, "POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 2000\r\n\r\n");
    struct answer answer = trickle(fd, body, 50); /* 20 bytes a second */
    assert_int_equal(answer.status, 408);
    assert_in_range(clock_monotonic_ms() - start_ms, 9000, 39000); /* it would take 40 s */
    answer_done(&answer);
    (void)close(fd);
}

static void a_slow_but_honest_body_is_taken(void **state)
{
    (void)state;
    char head[] = "POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 4000\r\n\r\n", body[100];
    memset(body, 'x', sizeof body);
    int fd = client_connect(server);
    client_say(fd, head);
    for (int i = 0; i < 40; i++) {
        client_send(fd, body, sizeof body);
        sleep_ms(60);
    }
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    (void)close(fd);
}

static void long_work_is_left_alone(void **state)
{
    (void)state;
    struct answer answer = client_ask(server, GET("/slow"));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
}

static void wait_for(_Atomic int *value, int wanted)
{
    for (int i = 0; i < 500 && *value != wanted; i++) {
        sleep_ms(10);
    }
    assert_int_equal(*value, wanted);
}

/* Also before the body is asked for, and where there is none. */
static void long_work_of_a_sink_is_left_alone(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "PUT /slow/sink HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
        "PUT /slow/sink HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nbytes",
    };
    int fd = client_connect(server);
    for (int i = 0; i < 4; i++) {
        client_say(fd, requests[i % 2]);
        struct answer answer = client_read(fd, false);
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
        sleep_ms(300); /* the connection is kept, and looked at in between */
    }
    (void)close(fd);
}

/* The work of its open is over, and it waits for its client. */
static void a_stopped_body_of_a_sink_is_cut(void **state)
{
    (void)state;
    incomplete = 0;
    int fd = client_connect(server);
    client_say(fd, "PUT /slow/sink HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc");
    struct answer answer = client_read(fd, false);
    assert_int_equal(answer.status, 408);
    answer_done(&answer);
    wait_for(&incomplete, 1);
    (void)close(fd);
}

static void who_does_not_read_is_cut(void **state)
{
    (void)state;
    stream_ended = 0;
    int fd = client_connect(server);
    client_say(fd, GET("/stream"));
    wait_for(&stream_ended, 1);
    (void)close(fd);
}

static void who_reads_is_served_on(void **state)
{
    (void)state;
    stream_ended = 0;
    int fd = client_connect(server);
    client_say(fd, GET("/stream"));
    char bytes[8192];
    for (int i = 0; i < 80; i++) { /* 160 kB/s for 4 s */
        assert_true(recv(fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes);
        sleep_ms(50);
    }
    assert_int_equal(stream_ended, 0);
    (void)close(fd);
    wait_for(&stream_ended, 1);
}

/* The client's last bytes and its close come at once. */
static void a_body_cut_with_its_last_bytes_is_noticed(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        incomplete = 0;
        int fd = client_connect(server);
        client_say(fd, "PUT /sink HTTP/1.1\r\nHost: t\r\nContent-Length: 9000000\r\n\r\n");
        char *bytes = calloc(1, 3000000);
        assert_non_null(bytes);
        client_send(fd, bytes, 3000000);
        free(bytes);
        (void)close(fd);
        wait_for(&incomplete, 1);
    }
}

/* Early answers are read by a client that goes on sending for a while. */
static void early_answers_survive(void **state)
{
    (void)state;
    char *bytes = calloc(1, 8000000);
    assert_non_null(bytes);
    for (int i = 0; i < 10; i++) {
        int fd = client_connect(server);
        client_say(fd, "PUT /nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: 99000000\r\n\r\n");
        client_send(fd, bytes, 8000000);
        struct answer answer = client_read(fd, false);
        assert_int_equal(answer.status, 404);
        answer_done(&answer);
        (void)close(fd);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trickled_header_is_cut),
        cmocka_unit_test(a_stopped_header_is_cut),
        cmocka_unit_test(a_trickled_header_is_cut_after_a_request),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(a_stopped_body_is_cut),
        cmocka_unit_test(a_trickled_body_is_cut),
        cmocka_unit_test(a_slow_but_honest_body_is_taken),
        cmocka_unit_test(long_work_is_left_alone),
        cmocka_unit_test(long_work_of_a_sink_is_left_alone),
        cmocka_unit_test(a_stopped_body_of_a_sink_is_cut),
        cmocka_unit_test(who_does_not_read_is_cut),
        cmocka_unit_test(who_reads_is_served_on),
        cmocka_unit_test(a_body_cut_with_its_last_bytes_is_noticed),
        cmocka_unit_test(early_answers_survive),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
