/* A server of net/ alone, to be measured beside nginx: http_peer PORT [FILE]. GET /json answers 1
 * KB of JSON from a loop, with or without a bearer token; GET /pool the same by way of the pool;
 * GET /tree renders it each time; GET /file sends FILE by sendfile; PUT /sink
 * takes a body to nowhere. Ends with SIGTERM or SIGINT. */
#include "net/http.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

enum { JSON_BYTES = 1024 };

static char json[JSON_BYTES + 1];
static const char *file_path;

static int send_json(struct request *request)
{
    return reply_bytes(request, 200, "application/json", json, JSON_BYTES, true);
}

static int send_tree(struct request *request)
{
    json_t *list = json_array();
    for (int i = 0; i < 10; i++) {
        (void)json_array_append_new(list, json_pack("{s:s,s:i}", "title", "A track", "n", i));
    }
    return reply_json(request, 200, json_pack("{s:o,s:n}", "items", list, "next"));
}

static int send_file(struct request *request)
{
    struct stat status;
    int fd = open(file_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        return ERR_NOT_FOUND;
    }
    return reply_file(request, &(struct reply_file){.fd = fd,
                                                    .length = (uint64_t)status.st_size,
                                                    .content_type = "audio/mp4",
                                                    .etag = "\"1\"",
                                                    .cache_control = "max-age=86400"});
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

static int sink_done(struct request *request)
{
    return reply_empty(request, 204);
}

static const struct body_sink sink = {sink_open, sink_write, sink_close};

/* What a cache of verified tokens does, without the hash. */
static int authenticate(void *context, struct request *request, const char *bearer)
{
    (void)context;
    if (strncmp(bearer, "token", 5) != 0) {
        return ERR_UNAUTHENTICATED;
    }
    request->call.actor.user_id = 1;
    request->call.actor.roles = ROLE_LISTENER;
    return 0;
}

static const struct route rows[] = {
    {.method = "GET",
     .pattern = "/json",
     .run = ROUTE_LOOP,
     .rate = RATE_READ,
     .handle = send_json},
    {.method = "GET",
     .pattern = "/pool",
     .run = ROUTE_POOL,
     .rate = RATE_READ,
     .handle = send_json},
    {.method = "GET",
     .pattern = "/tree",
     .run = ROUTE_LOOP,
     .rate = RATE_READ,
     .handle = send_tree},
    {.method = "GET", .pattern = "/file", .run = ROUTE_LOOP, .handle = send_file},
    {.method = "PUT",
     .pattern = "/sink",
     .run = ROUTE_POOL,
     .body_bytes_max = (size_t)1 << 40,
     .handle = sink_done,
     .sink = &sink},
};

static int serve(const char *port)
{
    char listen[64];
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%s", port);
    struct http_config config;
    http_config_defaults(&config);
    config.listen = listen;
    config.access_log = getenv("ACCESS_LOG") != NULL;
    config.connections_per_address_max = 0;
    config.rates[RATE_READ].per_minute = 60 * 1000 * 1000;
    config.rates[RATE_READ].burst = 1000 * 1000;
    struct http_hooks hooks = {.authenticate = authenticate};
    struct http_server *server = NULL;
    struct problem problem = {0};
    int error = http_server_new(&config, &hooks, &server, &problem);
    if (error == 0) {
        error = http_server_add_routes(server, rows, sizeof rows / sizeof rows[0], NULL);
    }
    if (error == 0) {
        error = http_server_start(server, &problem);
    }
    if (error != 0) {
        (void)fprintf(stderr, "http_peer: %s\n", problem.detail);
        return 1;
    }
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    int signal_number;
    (void)sigwait(&ends, &signal_number);
    http_server_drain(server);
    http_server_free(server);
    return 0;
}

int main(int count, char **words)
{
    if (count < 2) {
        (void)fprintf(stderr, "usage: http_peer PORT [FILE]\n");
        return 2;
    }
    file_path = count > 2 ? words[2] : "/dev/null";
    memset(json, 'x', JSON_BYTES);
    memcpy(json, "{\"a\":\"", 6);
    memcpy(json + JSON_BYTES - 2, "\"}", 2);
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    return serve(words[1]);
}
