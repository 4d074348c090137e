/* A connection's bytes, as they come from a stranger, to a real server on loopback: request lines,
 * headers, bodies, several requests one behind the other. Whatever it is, what comes back is HTTP,
 * none of it an error of ours, and the connection ends.
 *
 * Covers: src/net/head.c src/net/steps.c src/net/body.c src/net/request.c src/net/reply.c
 * src/net/reply_file.c src/net/router.c */
#include "base/error.h"
#include "base/log.h"
#include "fuzz_folder.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

enum { FILE_BYTES = 1000, ANSWER_BYTES_MAX = 1 << 20, WAIT_MS = 20000 };

static struct http_server *server;
static char *answer;

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
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : request_query_number(request, "limit", 1, 100, 10, &limit);
    FUZZ_CHECK(error != 0 || (id > 0 && limit >= 1 && limit <= 100));
    return error != 0 ? error
                      : reply_resource(request, 200,
                                       json_pack("{s:I,s:s?}", "id", (json_int_t)id, "q",
                                                 request_query(request, "q")),
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

static int refuse(void *context, struct request *request, const char *bearer)
{
    (void)context;
    (void)request;
    (void)bearer;
    return ERR_UNAUTHENTICATED;
}

static void stop(void)
{
    http_server_drain(server);
    http_server_free(server);
    free(answer);
}

static void make_file(void)
{
    char path[64], bytes[FILE_BYTES] = {0};
    (void)snprintf(path, sizeof path, "%s/file", fuzz_folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, sizeof bytes) == FILE_BYTES && close(fd) == 0);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    static const struct http_hooks hooks = {.authenticate = refuse};
    struct http_config config;
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    make_file();
    http_config_defaults(&config);
    config.listen = "127.0.0.1:0";
    config.public_url = "http://localhost";
    config.trusted_proxies = "127.0.0.1";
    config.cors_origins = "https://app.example";
    config.loop_threads = 1;
    config.pool_threads = 1;
    config.access_log = false;
    config.drain_timeout_ms = 100;
    answer = malloc(ANSWER_BYTES_MAX + 1);
    FUZZ_CHECK(answer != NULL);
    FUZZ_CHECK(http_server_new(&config, &hooks, &server, NULL) == 0);
    FUZZ_CHECK(http_server_add_routes(server, rows, sizeof rows / sizeof rows[0], NULL) == 0);
    FUZZ_CHECK(http_server_start(server, NULL) == 0);
    FUZZ_CHECK(atexit(stop) == 0);
    return 0;
}

static int connect_to_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* All that comes until the server is done; a client's end may come before it. */
static size_t read_answer(int fd)
{
    size_t length = 0;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    while (length < ANSWER_BYTES_MAX) {
        int ready = poll(&waiting, 1, WAIT_MS);
        if (ready < 0 && errno == EINTR) {
            continue; /* libFuzzer's clock */
        }
        FUZZ_CHECK(ready == 1);
        ssize_t got = recv(fd, answer + length, ANSWER_BYTES_MAX - length, 0);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    answer[length] = '\0';
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* No keep-alive after it: the port is free again at once. */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = connect_to_server();
    (void)send(fd, data, size, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    size_t length = read_answer(fd);
    if (length > 0) {
        int status = 0;
        FUZZ_CHECK(sscanf(answer, "HTTP/1.%*1[01] %3d ", &status) == 1);
        FUZZ_CHECK(status >= 100 && status < 600 && status != 500 && status != 502);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    FUZZ_CHECK(close(fd) == 0);
    return 0;
}
