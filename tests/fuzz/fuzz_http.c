/* A connection's bytes, as they come from a stranger, to a real server on loopback: request lines,
 * headers, bodies, several requests one behind the other. Whatever it is, what comes back is HTTP,
 * answer by answer in their framing, none of them an error of ours, and the connection ends.
 *
 * Covers: src/net/head.c src/net/steps.c src/net/body.c src/net/request.c src/net/reply.c
 * src/net/reply_file.c src/net/router.c */
#include "base/error.h"
#include "base/log.h"
#include "fuzz_connection.h"
#include "fuzz_folder.h"
#include "net/http.h"

#include <fcntl.h>

enum { FILE_BYTES = 1000 };

static int get_file(struct request *request)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/file", fuzz_folder);
    const struct reply_file file = {.fd = open(path, O_RDONLY | O_CLOEXEC),
                                    .length = FILE_BYTES,
                                    .content_type = "audio/mp4",
                                    .etag = "\"abc\"",
                                    .modified_ms = 1700000000000};
    return reply_file(request, &file);
}

static int get_item(struct request *request)
{
    int64_t id = 0, limit = 0;
    const char *cookie = request_cookie(request, "session");
    FUZZ_CHECK(cookie == NULL || strpbrk(cookie, ";\n") == NULL);
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : request_query_number(request, "limit", 1, 100, 10, &limit);
    FUZZ_CHECK(error != 0 || (id > 0 && limit >= 1 && limit <= 100));
    return error != 0
               ? error
               : reply_resource(request, 200,
                                json_pack("{s:I,s:s?,s:b}", "id", (json_int_t)id, "q",
                                          request_query(request, "q"), "cookie", cookie != NULL),
                                7);
}

static int post_item(struct request *request)
{
    json_t *body = NULL;
    const char *key = NULL;
    int error = request_idempotency_key(request, &key);
    error = error != 0 ? error : request_json(request, &body);
    error = error != 0 ? error : request_if_match(request, 7);
    return error != 0 ? error : reply_json(request, 201, json_incref(body));
}

static const struct route rows[] = {
    {.method = "GET", .pattern = "/file", .run = ROUTE_LOOP, .handle = get_file},
    {.method = "GET", .pattern = "/item/{id}", .run = ROUTE_LOOP, .handle = get_item},
    {.method = "GET", .pattern = "/rest/{rest*}", .run = ROUTE_LOOP, .handle = get_file},
    {.method = "POST",
     .pattern = "/item",
     .run = ROUTE_POOL,
     .body_bytes_max = 4096,
     .handle = post_item},
};

static void make_file(void)
{
    char path[64], bytes[FILE_BYTES] = {0};
    (void)snprintf(path, sizeof path, "%s/file", fuzz_folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, sizeof bytes) == FILE_BYTES && close(fd) == 0);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    struct http_config config;
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    make_file();
    fuzz_server_settings(&config);
    config.trusted_proxies = "127.0.0.1";
    config.cors_origins = "https://app.example";
    fuzz_server_start(&config, rows, sizeof rows / sizeof rows[0], NULL);
    FUZZ_CHECK(atexit(fuzz_server_stop) == 0);
    return 0;
}

/* The head's value as text from there on; NULL: it has no such header. */
static const char *header_of(const char *head, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    for (const char *at = head, *end = head + length; at < end; at += strcspn(at, "\n") + 1) {
        if (strncasecmp(at, name, name_length) == 0 && at[name_length] == ':') {
            return at + name_length + 1 + strspn(at + name_length + 1, " ");
        }
    }
    return NULL;
}

/* The length of a body in chunks with its end, 0: it was cut off. */
static size_t chunks_length(const char *body, size_t left)
{
    size_t at = 0;
    for (;;) {
        char *end = NULL;
        const char *line = memmem(body + at, left - at, "\r\n", 2);
        if (line == NULL) {
            return 0;
        }
        unsigned long some = strtoul(body + at, &end, 16);
        FUZZ_CHECK(end > body + at && (*end == '\r' || *end == ';'));
        at = (size_t)(line + 2 - body);
        if (some + 2 > left - at) {
            return 0;
        }
        at += some;
        FUZZ_CHECK(memcmp(body + at, "\r\n", 2) == 0);
        at += 2;
        if (some == 0) {
            return at;
        }
    }
}

/* Whether an answer begins here, or there is nothing more. */
static bool is_border(const char *at, const char *end)
{
    return at == end ||
           strncmp(at, "HTTP/1.", (size_t)(end - at) < 7 ? (size_t)(end - at) : 7) == 0;
}

/* The body's end. What it was asked by is not known here: to HEAD a length is said and nothing
 * follows. */
static const char *pass_body(const char *head, size_t head_length, const char *end, int status)
{
    const char *body = head + head_length;
    const char *length_text = header_of(head, head_length, "Content-Length");
    const char *coding = header_of(head, head_length, "Transfer-Encoding");
    size_t left = (size_t)(end - body);
    FUZZ_CHECK(length_text == NULL || coding == NULL);
    if (status < 200 || status == 204 || status == 304 || (length_text == NULL && coding == NULL)) {
        return is_border(body, end) ? body : end;
    }
    size_t length = coding != NULL && !is_border(body, end) ? chunks_length(body, left)
                    : length_text != NULL                   ? strtoul(length_text, NULL, 10)
                                                            : 0;
    if (length <= left && is_border(body + length, end)) {
        return body + length;
    }
    /* to HEAD; or cut off by the end of the connection, where nothing can follow */
    FUZZ_CHECK(is_border(body, end) || length > left || length == 0);
    return is_border(body, end) ? body : end;
}

/* One answer behind the other. */
static void check_answers(size_t length)
{
    const char *at = fuzz_answer, *end = fuzz_answer + length;
    while (at < end) {
        int status = 0;
        const char *head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (head_end == NULL) {
            FUZZ_CHECK(is_border(at, end));
            return; /* cut off */
        }
        FUZZ_CHECK(sscanf(at, "HTTP/1.%*1[01] %3d ", &status) == 1);
        FUZZ_CHECK(status >= 100 && status < 600 && status != 500 && status != 502);
        at = pass_body(at, (size_t)(head_end + 4 - at), end, status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_answers(fuzz_exchange(data, size));
    return 0;
}
