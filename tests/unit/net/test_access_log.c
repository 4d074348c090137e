/* The access log: a line for every request, and no secret in it. */
#include "client.h"

#include "net/metrics.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { REQUESTS = 500 };

static int hello(struct request *request)
{
    return reply_bytes(request, 200, "text/plain", "hello", 5, true);
}

static int authenticate(void *context, struct request *request, const char *bearer)
{
    (void)context;
    (void)bearer;
    request->call.actor.user_id = 77;
    return 0;
}

static const struct route rows[] = {
    {.method = "GET", .pattern = "/m/{token}/{file*}", .run = ROUTE_LOOP, .handle = hello},
};

/* What the server writes to standard error while it lives and works. */
static char *log_of(const char *request, unsigned times)
{
    char path[] = "/tmp/test_net_log.XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)unlink(path);
    int kept = dup(STDERR_FILENO);
    (void)dup2(file, STDERR_FILENO);
    struct http_config config;
    test_config(&config);
    config.access_log = true;
    const struct http_hooks hooks = {.authenticate = authenticate};
    struct http_server *server = serve(rows, 1, NULL, &config, &hooks);
    int fd = client_connect(server);
    for (unsigned i = 0; i < times; i++) {
        client_say(fd, request);
        struct answer answer = client_read(fd, strncmp(request, "HEAD ", 5) == 0);
        assert_true(answer.status > 0);
        answer_done(&answer);
    }
    (void)close(fd);
    http_server_free(server);
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    off_t size = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(pread(file, text, (size_t)size, 0), size);
    (void)close(file);
    return text;
}

static void every_request_has_a_line(void **state)
{
    (void)state;
    char *log = log_of("GET /m/secret-1/a/b?sig=secret-2 HTTP/1.1\r\nHost: t\r\n"
                       "Authorization: Bearer secret-3\r\nX-Request-Id: id-1\r\n\r\n",
                       REQUESTS);
    assert_null(strstr(log, "secret"));
    unsigned lines = 0;
    char *rest;
    for (char *line = strtok_r(log, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "route")),
                            "/m/{token}/{file*}");
        assert_int_equal(json_integer_value(json_object_get(object, "status")), 200);
        assert_int_equal(json_integer_value(json_object_get(object, "bytes")), 5);
        assert_int_equal(json_integer_value(json_object_get(object, "user")), 77);
        assert_string_equal(json_string_value(json_object_get(object, "remote")), "127.0.0.1");
        assert_string_equal(json_string_value(json_object_get(object, "requestId")), "id-1");
        json_decref(object);
        lines++;
    }
    assert_int_equal(lines, REQUESTS);
    free(log);
}

static void refusals_have_lines_too(void **state)
{
    (void)state;
    char *log = log_of("GET /other/secret HTTP/1.1\r\nHost: t\r\n\r\n", 1);
    assert_null(strstr(log, "secret"));
    json_t *object = json_loads(log, JSON_DISABLE_EOF_CHECK, NULL);
    assert_int_equal(json_integer_value(json_object_get(object, "status")), 404);
    assert_string_equal(json_string_value(json_object_get(object, "route")), "none");
    json_decref(object);
    free(log);
}

static int64_t bytes_sent(void)
{
    static const char name[] = "\ntutti_http_sent_bytes_total ";
    struct buffer text;
    buffer_init(&text, 1 << 20);
    metrics_write(&text);
    const char *at = strstr(text.data, name);
    int64_t bytes = at != NULL ? atoll(at + sizeof name - 1) : -1;
    buffer_done(&text);
    return bytes;
}

/* What Content-Length says is not what was sent. */
static void a_head_has_no_bytes(void **state)
{
    (void)state;
    char *log = log_of("GET /m/a/b HTTP/1.1\r\nHost: t\r\n\r\n", 1);
    free(log);
    int64_t before = bytes_sent();
    assert_true(before >= 5);
    log = log_of("HEAD /m/a/b HTTP/1.1\r\nHost: t\r\n\r\n", 1);
    json_t *object = json_loads(log, JSON_DISABLE_EOF_CHECK, NULL);
    assert_int_equal(json_integer_value(json_object_get(object, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(object, "bytes")), 0);
    assert_int_equal(bytes_sent(), before);
    json_decref(object);
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_has_a_line),
        cmocka_unit_test(refusals_have_lines_too),
        cmocka_unit_test(a_head_has_no_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
