/* The headers that tell a browser what it must not do, and how the head of an answer is made. */
#include "client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static int plain(struct request *request)
{
    return reply_json(request, 200, json_pack("{s:b}", "ok", 1));
}

static int page(struct request *request)
{
    (void)reply_header(request, "content-security-policy", "script-src 'self'");
    (void)reply_header(request, "Cross-Origin-Resource-Policy", "same-site");
    return reply_bytes(request, 200, "text/html", "<p>", 3, true);
}

static int sound(struct request *request)
{
    return reply_bytes(request, 200, "audio/mp4", "sound", 5, true);
}

static int picture(struct request *request)
{
    return reply_bytes(request, 200, "image/webp", "picture", 7, true);
}

/* Many fields, two of a name, a tab, and one that would split the answer. */
static int many(struct request *request)
{
    for (int i = 0; i < 40; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "value %d", i);
        (void)reply_header_add(request, "X-Many", value);
    }
    (void)reply_header(request, "X-Tab", "a\tb");
    assert_int_not_equal(reply_header(request, "X-Split", "a\r\nX-Evil: yes"), 0);
    assert_int_not_equal(reply_header(request, "X-Marks", "a\x01\x02X-Evil: yes"), 0);
    (void)reply_header(request, "X-Last", "here");
    return reply_empty(request, 200);
}

static const struct route rows[] = {
    {.method = "GET", .pattern = "/plain", .run = ROUTE_LOOP, .rate = RATE_READ, .handle = plain},
    {.method = "GET", .pattern = "/page", .run = ROUTE_LOOP, .handle = page},
    {.method = "GET",
     .pattern = "/sound",
     .run = ROUTE_LOOP,
     .handle = sound,
     .flags = ROUTE_ANY_ORIGIN},
    {.method = "GET",
     .pattern = "/picture",
     .run = ROUTE_LOOP,
     .handle = picture,
     .flags = ROUTE_ANY_ORIGIN},
    {.method = "GET", .pattern = "/many", .run = ROUTE_LOOP, .handle = many},
    {.method = "POST",
     .pattern = "/small",
     .run = ROUTE_LOOP,
     .rate = RATE_READ,
     .body_bytes_max = 4,
     .handle = plain},
};

static struct http_server *start(const char *url)
{
    struct http_config config;
    test_config(&config);
    config.public_url = url;
    return serve(rows, sizeof rows / sizeof rows[0], NULL, &config, NULL);
}

/* value NULL: the header is not there. "…" in front: it holds what follows. */
static void expect(struct http_server *server, const char *request, const char *name,
                   const char *value)
{
    struct answer answer = client_ask(server, request);
    const char *got = answer_header(&answer, name);
    bool fits = value == NULL ? got == NULL : got != NULL && strstr(got, value) != NULL;
    if (!fits) {
        fail_msg("%.40s: %s is %s, not %s", request, name, got != NULL ? got : "absent",
                 value != NULL ? value : "absent");
    }
    answer_done(&answer);
}

static void every_answer_has_them(void **state)
{
    (void)state;
    static const char *const requests[] = {
        GET("/plain"),
        GET("/nowhere"),
        GET("/a/%zz"),
        GET("/healthz"),
        GET("/readyz"),
        GET("/metrics"),
        "POST /plain HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
        "OPTIONS /plain HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /plain HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    struct http_server *server = start("http://t");
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        expect(server, requests[i], "X-Content-Type-Options", "nosniff");
        expect(server, requests[i], "Content-Security-Policy", "default-src 'none'");
        expect(server, requests[i], "Content-Security-Policy", "frame-ancestors 'none'");
        expect(server, requests[i], "Cross-Origin-Resource-Policy", "same-origin");
        expect(server, requests[i], "Strict-Transport-Security", NULL);
    }
    http_server_free(server);
}

/* Found too large while it comes in: that answer is written past libmicrohttpd, and is like others.
 */
static void an_answer_in_the_middle_of_a_body_has_them(void **state)
{
    (void)state;
    static const char request[] = "POST /small HTTP/1.1\r\nHost: t\r\nOrigin: http://app\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n5\r\nlarge\r\n";
    struct http_config config;
    test_config(&config);
    config.cors_origins = "http://app";
    struct http_server *server = serve(rows, sizeof rows / sizeof rows[0], NULL, &config, NULL);
    struct answer answer = client_ask(server, request);
    assert_int_equal(answer.status, 413);
    assert_true(answer.closed || strcmp(answer_header(&answer, "Connection"), "close") == 0);
    assert_non_null(strstr(answer.head, " 413 Content Too Large\r\n"));
    answer_done(&answer);
    expect(server, request, "Date", " GMT");
    expect(server, request, "X-Request-Id", "");
    expect(server, request, "Cache-Control", "no-store");
    expect(server, request, "Content-Type", "application/problem+json");
    expect(server, request, "RateLimit-Limit", "");
    expect(server, request, "RateLimit-Remaining", "");
    expect(server, request, "RateLimit-Reset", "");
    expect(server, request, "X-Content-Type-Options", "nosniff");
    expect(server, request, "Content-Security-Policy", "default-src 'none'");
    expect(server, request, "Cross-Origin-Resource-Policy", "same-origin");
    expect(server, request, "Access-Control-Allow-Origin", "http://app");

    int fd = client_connect(server);
    client_say(fd,
               "HEAD /plain HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    answer = client_read(fd, true);
    assert_int_equal(answer.status, 413);
    answer_done(&answer);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0); /* and no body */
    (void)close(fd);
    http_server_free(server);
}

static void a_handler_may_know_better(void **state)
{
    (void)state;
    struct http_server *server = start("http://t");
    expect(server, GET("/page"), "Content-Security-Policy", "script-src 'self'");
    expect(server, GET("/page"), "Cross-Origin-Resource-Policy", "same-site");
    expect(server, GET("/page"), "X-Content-Type-Options", "nosniff");
    expect(server, GET("/sound"), "Content-Security-Policy", NULL);
    expect(server, GET("/sound"), "Cross-Origin-Resource-Policy", "cross-origin");
    expect(server, GET("/picture"), "Content-Security-Policy", "sandbox");
    expect(server, GET("/picture"), "Cross-Origin-Resource-Policy", "cross-origin");
    http_server_free(server);
}

static void https_is_kept_where_it_is(void **state)
{
    (void)state;
    struct http_server *server = start("https://music.example.org");
    expect(server, GET("/plain"), "Strict-Transport-Security", "max-age=31536000");
    expect(server, GET("/nowhere"), "Strict-Transport-Security", "max-age=31536000");
    struct http_config config;
    test_config(&config);
    config.public_url = "https://music.example.org";
    config.hsts_s = 0;
    assert_int_equal(http_server_reload(server, &config), 0);
    expect(server, GET("/plain"), "Strict-Transport-Security", NULL);
    http_server_free(server);
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;
    for (; (text = strstr(text, part)) != NULL; text++) {
        count++;
    }
    return count;
}

static void all_fields_go_out_as_they_were_set(void **state)
{
    (void)state;
    struct http_server *server = start("http://t");
    struct answer answer = client_ask(server, GET("/many"));
    assert_int_equal(answer.status, 200);
    assert_int_equal(count_of(answer.head, "\r\nX-Many: value "), 40);
    assert_non_null(strstr(answer.head, "X-Many: value 0\r\nX-Many: value 1\r\n"));
    assert_string_equal(answer_header(&answer, "X-Tab"), "a b");
    assert_string_equal(answer_header(&answer, "X-Last"), "here");
    assert_null(strstr(answer.head, "X-Evil"));
    assert_null(strchr(answer.head, 1));
    assert_null(strchr(answer.head, 2));
    answer_done(&answer);
    answer = client_ask(server, "GET /plain HTTP/1.1\r\nHost: t\r\nX-Request-Id: mine-7\r\n\r\n");
    assert_string_equal(answer_header(&answer, "X-Request-Id"), "mine-7");
    assert_string_equal(answer_header(&answer, "Content-Type"), "application/json");
    assert_int_equal(count_of(answer.head, "RateLimit-"), 3);
    assert_int_equal(count_of(answer.head, "\r\nDate: "), 1);
    answer_done(&answer);
    http_server_free(server);
}

/* The longest head that is let in leaves room for the answer's. */
static void the_longest_request_is_answered(void **state)
{
    (void)state;
    struct http_server *server = start("https://music.example.org");
    char request[9000];
    for (int length = 7000; length < 8192; length += 50) {
        (void)snprintf(request, sizeof request,
                       "GET /many HTTP/1.1\r\nHost: t\r\nX-Long: %0*d\r\n\r\n", length - 50, 7);
        struct answer answer = client_ask(server, request);
        if (answer.status != 200) {
            fail_msg("with %d bytes: %d", length, answer.status);
        }
        answer_done(&answer);
    }
    http_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_has_them),
        cmocka_unit_test(an_answer_in_the_middle_of_a_body_has_them),
        cmocka_unit_test(a_handler_may_know_better),
        cmocka_unit_test(https_is_kept_where_it_is),
        cmocka_unit_test(all_fields_go_out_as_they_were_set),
        cmocka_unit_test(the_longest_request_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
