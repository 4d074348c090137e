/* /metrics over real sockets: how often its text is made, and that nobody waits for who makes it.
 */
#include "client.h"

#include "base/clock.h"
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

#define SCRAPE "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n"

static _Atomic int made, held, waits;

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Asked once for each text. */
static int64_t count(void *argument)
{
    (void)argument;
    while (held) {
        waits = 1;
        sleep_ms(1);
    }
    return ++made;
}

static int64_t value_in(const struct answer *answer)
{
    static const char name[] = "\nt_scrapes ";
    const char *at = answer->status == 200 ? strstr(answer->body, name) : NULL;
    return at != NULL ? atoll(at + sizeof name - 1) : -1;
}

static int64_t scrape(struct http_server *server)
{
    struct answer answer = client_ask(server, SCRAPE);
    int64_t value = value_in(&answer);
    answer_done(&answer);
    return value;
}

static struct http_server *start_behind(const char *trusted_proxies)
{
    struct http_config config;
    test_config(&config);
    config.trusted_proxies = trusted_proxies;
    config.rates[RATE_READ].per_minute = 0;
    config.pool_threads = 2;
    made = held = waits = 0;
    metric_ask("t_scrapes", "Texts made.", "", count, &made);
    return serve(NULL, 0, NULL, &config, NULL);
}

static struct http_server *start(void)
{
    return start_behind("");
}

static void stop(struct http_server *server)
{
    http_server_free(server);
    metric_ask_end(&made);
}

static void who_asks_now_and_then_has_a_new_one(void **state)
{
    (void)state;
    struct http_server *server = start();
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(scrape(server), i);
    }
    stop(server);
}

static void a_flood_is_given_the_last_one(void **state)
{
    (void)state;
    enum { ASKED = 500, PER_SECOND = 20 };
    struct http_server *server = start();
    int fd = client_connect(server);
    int64_t first_s = clock_monotonic_ms() / 1000;
    for (int i = 0; i < ASKED; i++) {
        client_say(fd, SCRAPE);
        struct answer answer = client_read(fd, false);
        assert_true(value_in(&answer) > 0);
        answer_done(&answer);
    }
    int64_t seconds = clock_monotonic_ms() / 1000 - first_s + 1;
    assert_in_range(made, 1, PER_SECOND * seconds);
    (void)close(fd);
    stop(server);
}

/* One that asks a database which hangs costs a thread, not all. */
static void nobody_waits_for_who_makes_it(void **state)
{
    (void)state;
    struct http_server *server = start();
    held = 1;
    int first = client_connect(server);
    client_say(first, SCRAPE);
    for (int i = 0; i < 2000 && !waits; i++) {
        sleep_ms(5);
    }
    assert_true(waits);
    struct answer early = client_ask(server, SCRAPE); /* there is none to give yet */
    assert_int_equal(early.status, 503);
    assert_non_null(answer_header(&early, "Retry-After"));
    answer_done(&early);
    held = 0;
    struct answer answer = client_read(first, false);
    assert_int_equal(value_in(&answer), 1);
    answer_done(&answer);
    waits = 0;
    held = 1;
    client_say(first, SCRAPE);
    for (int i = 0; i < 2000 && !waits; i++) {
        sleep_ms(5);
    }
    assert_true(waits);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(scrape(server), 1);
    }
    held = 0;
    answer = client_read(first, false);
    assert_int_equal(value_in(&answer), 2);
    answer_done(&answer);
    (void)close(first);
    stop(server);
}

/* Whom a proxy speaks for is the world; the proxy's own machine is not. */
static void the_world_is_told_nothing(void **state)
{
    (void)state;
    struct http_server *server = start_behind("127.0.0.0/8");
    static const char *const asked_for[] = {"", "X-Forwarded-For: 127.0.0.9\r\n",
                                            "X-Forwarded-For: 198.51.100.7\r\n"};
    static const unsigned status[] = {200, 200, 404};
    for (unsigned i = 0; i < 3; i++) {
        char text[160];
        (void)snprintf(text, sizeof text, "GET /metrics HTTP/1.1\r\nHost: t\r\n%s\r\n",
                       asked_for[i]);
        struct answer answer = client_ask(server, text);
        assert_int_equal(answer.status, status[i]);
        answer_done(&answer);
    }
    stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_now_and_then_has_a_new_one),
        cmocka_unit_test(a_flood_is_given_the_last_one),
        cmocka_unit_test(nobody_waits_for_who_makes_it),
        cmocka_unit_test(the_world_is_told_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
