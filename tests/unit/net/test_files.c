/* Files and streams as answers: ranges, conditions, HEAD, exact lengths. */
#include "client.h"

#include "base/error.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILE_BYTES = 3000000, OBJECT_OFFSET = 1000 };

static char path[] = "/tmp/test_net_files.XXXXXX";
static unsigned char *content; /* of the whole file */
static struct http_server *server;

static int send_object(struct request *request)
{
    bool empty = strcmp(request->path, "/empty") == 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return reply_file(request, &(struct reply_file){.fd = fd,
                                                    .offset = OBJECT_OFFSET,
                                                    .length = empty ? 0 : FILE_BYTES - 2000,
                                                    .content_type = "audio/mp4",
                                                    .etag = "\"tag\"",
                                                    .modified_ms = 784111777000,
                                                    .cache_control = "immutable"});
}

struct source {
    size_t left, fail_at;
};
static _Atomic int sources_done;

static ssize_t source_read(void *argument, void *bytes, size_t length)
{
    struct source *source = argument;
    if (source->left < source->fail_at) {
        return ERR_IO;
    }
    size_t some = source->left < length ? source->left : length;
    some = some < 10000 ? some : 10000;
    for (size_t i = 0; i < some; i++) {
        ((unsigned char *)bytes)[i] = (unsigned char)((source->left - i) % 251);
    }
    source->left -= some;
    return (ssize_t)some;
}

static void source_done(void *argument)
{
    free(argument);
    sources_done++;
}

static int send_stream(struct request *request)
{
    struct source *source = calloc(1, sizeof *source);
    assert_non_null(source);
    bool fails = request_query(request, "fail") != NULL;
    bool chunked = request_query(request, "chunked") != NULL;
    *source = (struct source){500000, fails ? 400000 : 0};
    return reply_stream(request, 200, "audio/mpeg", chunked ? -1 : 500000, source_read, source_done,
                        source);
}

static const struct route rows[] = {
    {.method = "GET", .pattern = "/loop", .run = ROUTE_LOOP, .handle = send_object},
    {.method = "GET", .pattern = "/pool", .run = ROUTE_POOL, .handle = send_object},
    {.method = "GET", .pattern = "/empty", .run = ROUTE_LOOP, .handle = send_object},
    {.method = "GET", .pattern = "/stream", .run = ROUTE_POOL, .handle = send_stream},
};

static int set_up(void **state)
{
    (void)state;
    content = malloc(FILE_BYTES);
    assert_non_null(content);
    for (size_t i = 0; i < FILE_BYTES; i++) {
        content[i] = (unsigned char)(i * 7 + i / 251);
    }
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, FILE_BYTES), FILE_BYTES);
    (void)close(fd);
    server = serve(rows, sizeof rows / sizeof rows[0], NULL, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_free(server);
    (void)unlink(path);
    free(content);
    return 0;
}

static struct answer get(const char *target, const char *headers)
{
    char request[512];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\n%s\r\n", target,
                   headers);
    return client_ask(server, request);
}

static void assert_part(const char *target, const char *headers, int status, size_t first,
                        size_t length, const char *content_range)
{
    struct answer answer = get(target, headers);
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.length, length);
    assert_memory_equal(answer.body, content + OBJECT_OFFSET + first, length);
    const char *range = answer_header(&answer, "Content-Range");
    if (content_range != NULL) {
        assert_non_null(range);
        assert_string_equal(range, content_range);
    } else {
        assert_null(range);
    }
    answer_done(&answer);
}

static void parts_are_sent(void **state)
{
    (void)state;
    static const char *const targets[] = {"/loop", "/pool"};
    for (unsigned i = 0; i < 2; i++) {
        const char *target = targets[i];
        assert_part(target, "", 200, 0, FILE_BYTES - 2000, NULL);
        assert_part(target, "Range: bytes=0-0\r\n", 206, 0, 1, "bytes 0-0/2998000");
        assert_part(target, "Range: bytes=100000-\r\n", 206, 100000, 2898000,
                    "bytes 100000-2997999/2998000");
        assert_part(target, "Range: bytes=-10\r\n", 206, 2997990, 10,
                    "bytes 2997990-2997999/2998000");
        assert_part(target, "Range: bytes=nonsense\r\n", 200, 0, FILE_BYTES - 2000, NULL);
        assert_part(target, "Range: bytes=5-9\r\nIf-Range: \"tag\"\r\n", 206, 5, 5,
                    "bytes 5-9/2998000");
        assert_part(target, "Range: bytes=5-9\r\nIf-Range: \"other\"\r\n", 200, 0,
                    FILE_BYTES - 2000, NULL);
        assert_part(target, "Range: bytes=5-9\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 206,
                    5, 5, "bytes 5-9/2998000");
        assert_part(target, "Range: bytes=5-9\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 200,
                    0, FILE_BYTES - 2000, NULL);
    }
}

static void what_is_not_in_memory_is_sent_too(void **state)
{
    (void)state;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    (void)fdatasync(fd);
    for (int i = 0; i < 5; i++) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        assert_part("/loop", "Range: bytes=1000000-1999999\r\n", 206, 1000000, 1000000,
                    "bytes 1000000-1999999/2998000");
    }
    (void)close(fd);
}

static void ranges_outside_are_refused(void **state)
{
    (void)state;
    struct answer answer = get("/loop", "Range: bytes=2998000-\r\n");
    assert_int_equal(answer.status, 416);
    assert_string_equal(answer_header(&answer, "Content-Range"), "bytes */2998000");
    assert_non_null(strstr(answer.body, "urn:tutti:error:range"));
    answer_done(&answer);
    answer = get("/empty", "Range: bytes=0-\r\n");
    assert_int_equal(answer.status, 416);
    answer_done(&answer);
    answer = get("/empty", "");
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.length, 0);
    answer_done(&answer);
}

static void conditions_are_heeded(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {"If-None-Match: \"tag\"\r\n", 304},
        {"If-None-Match: W/\"tag\"\r\n", 304},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200},
        {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304},
        {"If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200},
        {"If-Modified-Since: yesterday\r\n", 200},
        {"If-Match: \"tag\"\r\n", 200},
        {"If-Match: \"x\"\r\n", 412},
        {"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer = get("/loop", cases[i].headers);
        if (answer.status != cases[i].status) {
            fail_msg("%s: %d", cases[i].headers, answer.status);
        }
        if (answer.status == 304) {
            assert_string_equal(answer_header(&answer, "ETag"), "\"tag\"");
            assert_string_equal(answer_header(&answer, "Cache-Control"), "immutable");
        }
        answer_done(&answer);
    }
}

static void heads_have_lengths_and_no_body(void **state)
{
    (void)state;
    int fd = client_connect(server);
    client_say(fd, "HEAD /loop HTTP/1.1\r\nHost: t\r\nRange: bytes=0-9\r\n\r\n"
                   "GET /loop HTTP/1.1\r\nHost: t\r\nRange: bytes=0-9\r\n\r\n");
    struct answer answer = client_read(fd, true);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Content-Length"), "2998000");
    assert_string_equal(answer_header(&answer, "Accept-Ranges"), "bytes");
    answer_done(&answer);
    answer = client_read(fd, false);
    assert_int_equal(answer.status, 206);
    assert_int_equal(answer.length, 10);
    answer_done(&answer);
    (void)close(fd);
}

static void several_ranges_are_a_multipart(void **state)
{
    (void)state;
    struct answer answer = get("/loop", "Range: bytes=0-4,200000-399999,-3\r\n");
    assert_int_equal(answer.status, 206);
    char boundary[64];
    assert_int_equal(sscanf(answer_header(&answer, "Content-Type"),
                            "multipart/byteranges; boundary=%63s", boundary),
                     1);
    assert_int_equal(answer.length, strtoul(answer_header(&answer, "Content-Length"), NULL, 10));
    static const size_t parts[][2] = {{0, 5}, {200000, 200000}, {2997997, 3}};
    const char *at = answer.body;
    for (unsigned i = 0; i < 3; i++) {
        char head[300];
        int length = snprintf(head, sizeof head,
                              "\r\n--%s\r\nContent-Type: audio/mp4\r\n"
                              "Content-Range: bytes %zu-%zu/2998000\r\n\r\n",
                              boundary, parts[i][0], parts[i][0] + parts[i][1] - 1);
        assert_memory_equal(at, head, (size_t)length);
        at += length;
        assert_memory_equal(at, content + OBJECT_OFFSET + parts[i][0], parts[i][1]);
        at += parts[i][1];
    }
    char tail[80];
    (void)snprintf(tail, sizeof tail, "\r\n--%s--\r\n", boundary);
    assert_string_equal(at, tail);
    answer_done(&answer);
}

static void streams_are_sent_whole(void **state)
{
    (void)state;
    static const char *const targets[] = {"/stream", "/stream?chunked=1"};
    sources_done = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct answer answer = get(targets[i], "");
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.length, 500000);
        for (size_t j = 0; j < answer.length; j++) {
            if ((unsigned char)answer.body[j] != (500000 - j) % 251) {
                fail_msg("%s: byte %zu", targets[i], j);
            }
        }
        answer_done(&answer);
    }
    struct answer answer = get("/stream?fail=1", "");
    assert_int_equal(answer.status, 200);
    assert_true(answer.closed);
    assert_in_range(answer.length, 1, 110000);
    answer_done(&answer);
    char head[] = "HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\n";
    answer = client_ask(server, head);
    assert_string_equal(answer_header(&answer, "Content-Length"), "500000");
    answer_done(&answer);
    for (int i = 0; i < 300 && sources_done < 4; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(sources_done, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_sent),
        cmocka_unit_test(what_is_not_in_memory_is_sent_too),
        cmocka_unit_test(ranges_outside_are_refused),
        cmocka_unit_test(conditions_are_heeded),
        cmocka_unit_test(heads_have_lengths_and_no_body),
        cmocka_unit_test(several_ranges_are_a_multipart),
        cmocka_unit_test(streams_are_sent_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
