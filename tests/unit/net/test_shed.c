/* Who is refused when work waits, and what comes too late: over real sockets, the pool's only
 * thread held fast. */
#include "client.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ASKED_MAX = 128, TRIES_MAX = 4000 };

static _Atomic int held, blocked, worked, cut_bodies;

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int block(struct request *request)
{
    blocked++;
    while (held) {
        sleep_ms(2);
    }
    return reply_empty(request, 204);
}

static int work(struct request *request)
{
    worked++;
    return reply_json(request, 200,
                      json_pack("{s:I}", "leftMs", (json_int_t)call_remaining_ms(INT64_MAX)));
}

static int work_slowly(struct request *request)
{
    sleep_ms(40);
    return work(request);
}

static int take_open(struct request *request, void **ret_state)
{
    (void)request;
    *ret_state = NULL;
    return 0;
}

static int take_write(struct request *request, void *state, const void *bytes, size_t length)
{
    (void)request;
    (void)state;
    (void)bytes;
    (void)length;
    return 0;
}

static void take_close(struct request *request, void *state, bool complete)
{
    (void)request;
    (void)state;
    cut_bodies += !complete;
}

static const struct body_sink sink = {take_open, take_write, take_close};

#define ROW(path, class)                                                                           \
    {                                                                                              \
        .method = "GET", .pattern = path, .run = ROUTE_POOL, .rate = class, .handle = work         \
    }
static const struct route rows[] = {
    {.method = "GET", .pattern = "/block", .run = ROUTE_POOL, .handle = block},
    ROW("/read", RATE_READ),
    {.method = "GET",
     .pattern = "/picture",
     .run = ROUTE_POOL,
     .rate = RATE_READ,
     .handle = work,
     .flags = ROUTE_ANY_ORIGIN},
    ROW("/upload", RATE_UPLOAD),
    ROW("/play", RATE_PLAY),
    ROW("/object", RATE_OBJECT),
    {.method = "GET",
     .pattern = "/costly",
     .run = ROUTE_POOL,
     .rate = RATE_READ,
     .handle = work_slowly},
    {.method = "GET", .pattern = "/cached", .run = ROUTE_LOOP, .rate = RATE_READ, .handle = work},
    {.method = "GET", .pattern = "/hash", .run = ROUTE_HASH, .rate = RATE_LOGIN, .handle = block},
    {.method = "PUT",
     .pattern = "/sink",
     .run = ROUTE_POOL,
     .body_bytes_max = 1 << 20,
     .rate = RATE_OBJECT,
     .handle = work,
     .sink = &sink},
};

/* Whoever brings a token is somebody. */
static int authenticate(void *context, struct request *request, const char *bearer)
{
    (void)context;
    (void)bearer;
    request->call.actor = (struct actor){.user_id = 7, .roles = ROLE_LISTENER};
    return 0;
}

static struct http_server *start(unsigned shed_delay_ms)
{
    static const struct http_hooks hooks = {.authenticate = authenticate};
    struct http_config config;
    test_config(&config);
    config.pool_threads = 1;
    config.hash_threads = 1;
    config.tighten_delay_ms = 0;
    config.shed_delay_ms = shed_delay_ms;
    config.deadline_ms[RATE_PLAY] = 0;
    return serve(rows, sizeof rows / sizeof rows[0], NULL, &config, &hooks);
}

static int hold_thread(struct http_server *server, const char *request)
{
    held = 1;
    blocked = 0;
    int fd = client_connect(server);
    client_say(fd, request);
    for (int i = 0; i < TRIES_MAX && blocked == 0; i++) {
        sleep_ms(2);
    }
    assert_int_equal(blocked, 1);
    return fd;
}

static int status_on(int fd)
{
    struct answer answer = client_read(fd, false);
    int status = answer.status;
    answer_done(&answer);
    (void)close(fd);
    return status;
}

#define ANYBODY(path)  "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"
#define SOMEBODY(path) "GET " path " HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer x\r\n\r\n"

/* The sum of a metric's lines. */
static int64_t sum_of(const char *name)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    metrics_write(&text);
    int64_t sum = 0;
    for (const char *at = text.data; (at = strstr(at, name)) != NULL; at++) {
        if (at == text.data || at[-1] == '\n') {
            sum += atoll(at + strcspn(at, " "));
        }
    }
    buffer_done(&text);
    return sum;
}

static struct asked {
    int fds[ASKED_MAX];
    unsigned count;
} waiting;

/* Asks; whether it was refused, which is known when it is counted as that or as waiting. */
static bool is_refused(struct http_server *server, const char *request)
{
    int64_t refused = sum_of("tutti_http_shed_total{"), depth = sum_of("tutti_pool_depth ");
    int fd = client_connect(server);
    client_say(fd, request);
    for (int i = 0; i < TRIES_MAX; i++) {
        if (sum_of("tutti_http_shed_total{") > refused) {
            assert_int_equal(status_on(fd), 503);
            return true;
        }
        if (sum_of("tutti_pool_depth ") > depth) {
            assert_true(waiting.count < ASKED_MAX);
            waiting.fds[waiting.count++] = fd;
            return false;
        }
        sleep_ms(1);
    }
    fail_msg("neither refused nor waiting: %s", request);
    return false;
}

static void answer_all(int blocker)
{
    held = 0;
    assert_int_equal(status_on(blocker), 204);
    while (waiting.count > 0) {
        assert_int_equal(status_on(waiting.fds[--waiting.count]), 200);
    }
}

/* What waits grows old. The patient are asked before the impatient, so whoever is refused now, all
 * that are asked after are as well, however slow the machine is. */
static void the_impatient_go_first(void **state)
{
    (void)state;
    static const char *const patient_first[] = {SOMEBODY("/read"), SOMEBODY("/upload"),
                                                ANYBODY("/upload"), ANYBODY("/read")};
    struct http_server *server = start(150);
    int blocker = hold_thread(server, ANYBODY("/block"));
    unsigned refused = 0, steps = 0;
    for (int i = 0; i < TRIES_MAX && refused < 4; i++) {
        bool before = false;
        unsigned now = 0;
        for (unsigned j = 0; j < 4; j++) {
            bool is = is_refused(server, patient_first[j]);
            assert_true(is || !before || j == 3);
            before = is;
            now += is;
        }
        assert_true(now >= refused);
        steps += now > refused;
        refused = now;
        sleep_ms(30);
    }
    assert_int_equal(refused, 4);
    assert_true(steps > 1); /* not all of them at once */
    assert_false(is_refused(server, SOMEBODY("/play")));
    answer_all(blocker);
    http_server_free(server);
}

/* A page's pictures, which nobody asks for by name. */
static void pictures_are_as_patient_as_who_is_signed_in(void **state)
{
    (void)state;
    struct http_server *server = start(200);
    int blocker = hold_thread(server, ANYBODY("/block"));
    bool stranger = false, picture = false, before = false;
    for (int i = 0; i < TRIES_MAX && !picture; i++) {
        picture = is_refused(server, ANYBODY("/picture"));
        stranger = is_refused(server, ANYBODY("/read"));
        assert_true(stranger || !picture);
        before = before || (stranger && !picture);
        sleep_ms(20);
    }
    assert_true(picture && before);
    answer_all(blocker);
    http_server_free(server);
}

static void what_is_refused_is_told_when_to_come(void **state)
{
    (void)state;
    struct http_server *server = start(20);
    int blocker = hold_thread(server, ANYBODY("/block"));
    while (!is_refused(server, ANYBODY("/read"))) {
        sleep_ms(10);
    }
    struct answer answer = client_ask(server, ANYBODY("/read"));
    assert_int_equal(answer.status, 503);
    assert_in_range(atoi(answer_header(&answer, "Retry-After")), 1, 30);
    assert_non_null(strstr(answer.body, "urn:tutti:error:busy"));
    answer_done(&answer);
    answer = client_ask(server, ANYBODY("/cached")); /* what needs no worker waits for none */
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    answer_all(blocker);
    answer = client_ask(server, ANYBODY("/read"));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    http_server_free(server);
}

/* Who watches the process is let in whatever waits, and goes first. */
static void the_vital_is_never_refused(void **state)
{
    (void)state;
    struct http_server *server = start(5);
    int blocker = hold_thread(server, ANYBODY("/block"));
    assert_false(is_refused(server, SOMEBODY("/play")));
    sleep_ms(100);
    assert_true(is_refused(server, SOMEBODY("/play")));
    assert_false(is_refused(server, ANYBODY("/readyz")));
    answer_all(blocker);
    http_server_free(server);
}

static void what_is_expensive_goes_before_what_is_cheap(void **state)
{
    (void)state;
    struct http_server *server = start(400);
    for (int i = 0; i < 16; i++) { /* what it takes is measured */
        int fd = client_connect(server);
        client_say(fd, ANYBODY("/costly"));
        assert_int_equal(status_on(fd), 200);
    }
    int blocker = hold_thread(server, ANYBODY("/block"));
    bool cheap = false, costly = false;
    for (int i = 0; i < TRIES_MAX && !costly; i++) {
        cheap = is_refused(server, ANYBODY("/read"));
        costly = is_refused(server, ANYBODY("/costly"));
        assert_true(costly || !cheap);
        sleep_ms(10);
    }
    assert_true(costly);
    answer_all(blocker);
    http_server_free(server);
}

static void with_no_bound_all_wait(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    int blocker = hold_thread(server, ANYBODY("/block"));
    assert_false(is_refused(server, ANYBODY("/read")));
    sleep_ms(200);
    assert_false(is_refused(server, ANYBODY("/read")));
    answer_all(blocker);
    http_server_free(server);
}

/* Log-ins wait for their own threads, and not for ever. */
static void log_ins_are_bounded_in_time(void **state)
{
    (void)state;
    struct http_server *server = start(10);
    int blocker = hold_thread(server, ANYBODY("/hash"));
    int first = client_connect(server);
    client_say(first, ANYBODY("/hash"));
    int status = 0;
    for (int i = 0; i < TRIES_MAX && status != 503; i++) {
        int64_t refused = sum_of("tutti_http_shed_total{class=\"login\"");
        if (sum_of("tutti_hash_pool_depth ") == 1) {
            sleep_ms(60); /* it has waited for longer than 4 times 10 ms */
            struct answer answer = client_ask(server, ANYBODY("/hash"));
            status = answer.status;
            answer_done(&answer);
            assert_int_equal(sum_of("tutti_http_shed_total{class=\"login\""), refused + 1);
        }
        sleep_ms(2);
    }
    assert_int_equal(status, 503);
    held = 0;
    assert_int_equal(status_on(blocker), 204);
    assert_int_equal(status_on(first), 204);
    http_server_free(server);
}

/* ---- deadlines ---- */

static int64_t left_ms(struct http_server *server, const char *request)
{
    struct answer answer = client_ask(server, request);
    assert_int_equal(answer.status, 200);
    int64_t left = atoll(strchr(answer.body, ':') + 1);
    answer_done(&answer);
    return left;
}

static void who_waits_less_says_so(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    assert_in_range(left_ms(server, ANYBODY("/read")), 5000, 10000);
    assert_in_range(left_ms(server, ANYBODY("/cached")), 5000, 10000);
#define WITHIN(path, ms) "GET " path " HTTP/1.1\r\nHost: t\r\nTutti-Timeout-Ms: " ms "\r\n\r\n"
    assert_in_range(left_ms(server, WITHIN("/read", "4000")), 1, 4000);
    assert_in_range(left_ms(server, WITHIN("/read", "70000")), 5000, 10000); /* never more */
    assert_int_equal(left_ms(server, ANYBODY("/play")), INT64_MAX);
    assert_in_range(left_ms(server, WITHIN("/play", "60000")), 1, 60000);
    static const char *const bad[] = {WITHIN("/read", "0"), WITHIN("/read", "-5"),
                                      WITHIN("/read", "1s"), WITHIN("/read", "99999999999")};
    for (int i = 0; i < 4; i++) {
        struct answer answer = client_ask(server, bad[i]);
        assert_int_equal(answer.status, 400);
        assert_non_null(strstr(answer.body, "Tutti-Timeout-Ms"));
        answer_done(&answer);
    }
    http_server_free(server);
}

static void what_comes_too_late_is_not_begun(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    int blocker = hold_thread(server, ANYBODY("/block"));
    worked = 0;
    int late = client_connect(server), later = client_connect(server);
    client_say(late, WITHIN("/read", "50"));
    client_say(later, ANYBODY("/read"));
    sleep_ms(150);
    held = 0;
    struct answer answer = client_read(late, false);
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer_header(&answer, "Retry-After"), "1");
    answer_done(&answer);
    (void)close(late);
    assert_int_equal(status_on(later), 200);
    assert_int_equal(status_on(blocker), 204);
    assert_int_equal(worked, 1);
    assert_int_equal(sum_of("tutti_http_late_total "), 1);
    http_server_free(server);
}

/* Its time runs from the body's last byte, and a body whose time is over is given back. */
static void a_body_takes_the_time_it_takes(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    static const char head[] = "PUT /sink HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n"
                               "Tutti-Timeout-Ms: 100\r\n\r\nbod";
    cut_bodies = worked = 0;
    int slow = client_connect(server), late = client_connect(server);
    client_say(slow, head);
    client_say(late, head);
    sleep_ms(300);
    client_say(slow, "ies");
    assert_int_equal(status_on(slow), 200);
    assert_int_equal(worked, 1);
    int blocker = hold_thread(server, ANYBODY("/block"));
    client_say(late, "ies");
    sleep_ms(300);
    held = 0;
    assert_int_equal(status_on(blocker), 204);
    assert_int_equal(status_on(late), 503);
    assert_int_equal(worked, 1);
    assert_int_equal(cut_bodies, 1);
    http_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_impatient_go_first),
        cmocka_unit_test(pictures_are_as_patient_as_who_is_signed_in),
        cmocka_unit_test(what_is_refused_is_told_when_to_come),
        cmocka_unit_test(the_vital_is_never_refused),
        cmocka_unit_test(what_is_expensive_goes_before_what_is_cheap),
        cmocka_unit_test(with_no_bound_all_wait),
        cmocka_unit_test(log_ins_are_bounded_in_time),
        cmocka_unit_test(who_waits_less_says_so),
        cmocka_unit_test(what_comes_too_late_is_not_begun),
        cmocka_unit_test(a_body_takes_the_time_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
