/* HTTP: the server, its requests and routes, as the roles see them.
 *
 * A request passes a table of named steps: READ → ROUTE → AUTH → LIMIT → HANDLE → REPLY → LOG
 * (steps.c). A route is a row of a table. ROUTE_LOOP handlers run on a loop thread and must never
 * block (no database, no disk that may be cold, no lock held long); ROUTE_POOL handlers run on the
 * bounded pool. One arena a request: whatever a handler needs until the reply is sent comes from
 * request->call.arena.
 *
 * Errors: a handler that returns one (negative) is answered with application/problem+json made from
 * the code and request->call.problem. A handler that returns 0 has set a reply.
 */
#pragma once

#include "base/call.h"
#include "net/rates.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct http_server;
struct request;

/* ROUTE_HASH: as ROUTE_POOL, but on a second, small pool (http_config.hash_threads, hash_queue_max)
 * for handlers that burn a core for long (password hashing), so that a flood of log-ins queues
 * behind itself and never behind, or in front of, playback. Its full queue answers 503 as well. */
enum route_run { ROUTE_LOOP, ROUTE_POOL, ROUTE_HASH };

/* What a ROUTE_LOOP handler returns instead of a reply when what it needs would block (a cache that
 * misses): it is run once more, on the pool. request_may_block tells the two runs apart. */
enum { REQUEST_TO_POOL = 1 };

/* Classes of operation, each with its own rate bucket per user (else address). */
enum rate_class {
    RATE_NONE, /* health, signed media */
    RATE_READ,
    RATE_WRITE,
    RATE_UPLOAD, /* stricter than playback */
    RATE_PLAY,
    RATE_LOGIN,
    RATE_OBJECT, /* the object store, by address: a ceiling, since an upload has thousands of parts
                  */
    RATE_CLASSES_,
};

/* Where a large request body goes as it arrives. All three run on the pool, in order, never
 * concurrently for one request. */
struct body_sink {
    /* Before the first byte; may refuse by returning an error. Headers and path parameters are
     * there. */
    int (*open)(struct request *request, void **ret_state);
    int (*write)(struct request *request, void *state, const void *bytes, size_t length);
    /* Called exactly once for a successful open: complete is true when the whole body arrived (then
     * handle runs next and may use state through request_sink_state), false when the client went
     * away or a write failed. Memory and files of an incomplete body are given back here; those of
     * a complete one are handle's to finish and are given back by arena_at_end or by handle. */
    void (*close)(struct request *request, void *state, bool complete);
};

struct route {
    const char *method;  /* "GET"; HEAD is answered by GET's row, OPTIONS by the server */
    const char *pattern; /* "/api/v1/tracks/{id}"; a last "{path*}" takes the rest with slashes */
    unsigned roles;      /* of enum role: any of these may; 0: anyone, signed in or not */
    enum route_run run;
    size_t body_bytes_max; /* 0: no body accepted; for a sink, its limit */
    enum rate_class rate;
    int (*handle)(struct request *request);
    const struct body_sink *sink; /* NULL: the body is collected in memory (request_body) */
    unsigned flags;               /* of enum route_flag */
};

enum route_flag {
    ROUTE_NO_AUTH_HEADER =
        1 << 0,              /* Authorization is not a bearer token here (S3): AUTH passes it on */
    ROUTE_OWN_CORS = 1 << 1, /* the handler answers CORS headers and OPTIONS by itself; errors may
                                be read from any origin */
    ROUTE_XML_ERRORS = 1 << 2,  /* refusals of the steps themselves are S3's XML */
    ROUTE_ANY_ORIGIN = 1 << 4,  /* pages and players of any origin embed its answers */
    ROUTE_VITAL = 1 << 3,       /* who watches the process asks: before all else, never shed */
    ROUTE_SECRET_BODY = 1 << 5, /* may hold a password: overwritten when it is given back */
};

struct request {
    struct call call; /* arena, problem, actor, request id, traceparent */
    const struct route *route;
    const char *method;
    const char *path;     /* percent-decoded, no query, base path cut off */
    const char *target;   /* as it came: raw path and query (SigV4 signs it) */
    const char *remote;   /* client's address, honouring trusted proxies */
    bool https;           /* as the client sees it */
    bool by_own_host;     /* path begins with http_config.own_host_path, target does not */
    const char *xml_code; /* for ROUTE_XML_ERRORS: the error's word, static ("NoSuchUpload"); NULL:
                             from its status */
    void *context;        /* the registrar's pointer, given to http_server_add_routes */
    struct request_private *private_;
};

enum { JSON_WEIGHT_MAX = 8 << 20 };

/* What came in. Text is borrowed, valid while the request lives. NULL where there is none. */
const char *request_header(struct request *request, const char *name);
const char *request_query(struct request *request,
                          const char *name); /* decoded; first of the name */
void request_query_each(struct request *request,
                        void (*visit)(void *argument, const char *name, const char *value),
                        void *argument);
void request_header_each(struct request *request,
                         void (*visit)(void *argument, const char *name, const char *value),
                         void *argument);
const char *request_param(struct request *request, const char *name); /* of the pattern */
const char *request_cookie(struct request *request, const char *name);
/* A path parameter as an id. 0, or ERR_NOT_FOUND for what is no id. */
int request_param_id(struct request *request, const char *name, int64_t *ret_id);
/* A query number in [min, max], fallback when absent. ERR_MALFORMED with words otherwise. */
int request_query_number(struct request *request, const char *name, int64_t min, int64_t max,
                         int64_t fallback, int64_t *ret_number);
/* What was collected in memory: nothing where a sink took it. */
const void *request_body(struct request *request, size_t *ret_length);
int64_t request_content_length(struct request *request); /* -1 if none or chunked */
/* The body as a JSON object: UTF-8, no duplicate keys, depth ≤ 32, at most JSON_WEIGHT_MAX of
 * memory (json_weigh), which counts as request_memory says. Owned by the request (freed at its
 * end). ERR_MEDIA_TYPE, ERR_TOO_LARGE, ERR_BUSY, ERR_MALFORMED (says line and column). */
int request_json(struct request *request, json_t **ret_object);
/* Memory that the work takes beside the request's arena, counted until the request's end with what
 * all requests hold (memory.c). ERR_BUSY where that is too much now. */
int request_memory(struct request *request, size_t bytes);
void *request_sink_state(struct request *request);
/* True on the pool, false on a loop thread. */
bool request_may_block(struct request *request);
/* True when If-None-Match of a GET or HEAD names this ETag (with its quotes): answer 304. */
bool request_is_fresh(struct request *request, const char *etag);
/* The Idempotency-Key, NULL where there is none. ERR_MALFORMED unless 1 to 255 visible ASCII
 * characters. What is done with it is the write's own (service/idempotency.h). */
int request_idempotency_key(struct request *request, const char **ret_key);

/* Replies. Exactly one is set by a handler that returns 0. Header values are copied. */
int reply_header(struct request *request, const char *name, const char *value);
int reply_header_add(struct request *request, const char *name, const char *value); /* Set-Cookie */
/* JSON; takes the reference (also when it fails). NULL object: ERR_NO_MEMORY. */
int reply_json(struct request *request, int status, json_t *object);
/* As reply_json for GET of one resource: sets ETag `"revision"` and answers 304 to If-None-Match.
 */
int reply_resource(struct request *request, int status, json_t *object, int64_t revision);
/* For PATCH and DELETE: 0, or ERR_PRECONDITION where If-Match names another revision. */
int request_if_match(struct request *request, int64_t revision);
int reply_empty(struct request *request, int status);
/* bytes are copied unless they live in the arena or are static (borrowed = true). */
int reply_bytes(struct request *request, int status, const char *content_type, const void *bytes,
                size_t length, bool borrowed);

/* A file, or part of one, by sendfile; or, with read, bytes that are made on the pool from any
 * offset (at least one byte at a time, 0 at the end, or an error), and done at the end. Takes the
 * descriptor or the argument (closed or done after sending, also on failure). Answers Range (RFC
 * 9110 section 14: one range → 206, several → 206 multipart/byteranges up to 16, unsatisfiable →
 * 416), If-Range, If-None-Match, If-Modified-Since, HEAD. From a ROUTE_LOOP handler a range that is
 * not in the page cache is moved to the pool by itself. */
struct reply_file {
    int fd;
    uint64_t offset; /* of the object inside the file */
    uint64_t length;
    const char *content_type;
    const char *etag;          /* with its quotes; NULL: none */
    int64_t modified_ms;       /* 0: none */
    const char *cache_control; /* NULL: none */
    bool as_s3; /* as S3's clients want it: HEAD may ask for a range, a condition may name the ETag
                   without its quotes */
    const char *range; /* as a Range, in its place; NULL: the request's own */
    ssize_t (*read)(void *argument, void *bytes, size_t length, uint64_t offset); /* NULL: fd */
    void (*done)(void *argument);
    void *argument;
};
int reply_file(struct request *request, const struct reply_file *file);

/* A body made piece by piece on the pool (an object of a remote store, a backup): read fills up to
 * length bytes and returns how many, 0 at the end, or an error (the connection is then cut). */
int reply_stream(struct request *request, int status, const char *content_type, int64_t length,
                 ssize_t (*read)(void *argument, void *bytes, size_t length),
                 void (*done)(void *argument), void *argument);

/* Hooks that other layers fill in; net knows no users. */
struct http_hooks {
    void *context;
    /* AUTH: sets request->call.actor from a bearer token, runs on the loop, never blocks. 0 with
     * the actor set, or ERR_UNAUTHENTICATED with words, or ERR_RATE_LIMITED for an address that
     * brings too many bad ones (who verifies knows which cost nothing). Called only when there is
     * an Authorization. */
    int (*authenticate)(void *context, struct request *request, const char *bearer);
    /* Around HANDLE, on the thread that runs it: what its engines are to know of the request, and
     * what it leaves behind (reply headers may still be added). NULL: nothing. */
    void (*handle_begins)(void *context, struct request *request);
    void (*handle_ended)(void *context, struct request *request);
    /* READY: fills a JSON object with each engine's state: "ok", "degraded" where the process does
     * without it for now, or an error's name. A member "reason" says in words what is wrong.
     * False: 503. Runs on the pool. */
    bool (*ready)(void *context, json_t *engines);
    /* LIMIT: shares the rate limits with other processes (rates.h), on a thread of its own. NULL:
     * they are this process's. */
    rates_exchange *exchange_rates;
};

struct http_config {
    const char *listen;     /* "127.0.0.1:4040", "[::1]:4040"; port 0: any */
    const char *public_url; /* server.url, no slash at the end; never built from Host */
    const char *base_path;  /* "" or "/tutti" */
    /* A second root: requests whose Host is own_host ("s3.example.org", with a port if that counts)
     * are routed as if their path began with own_host_path ("/s3"); "": none. */
    const char *own_host, *own_host_path;
    const char *trusted_proxies; /* comma-separated addresses or CIDRs */
    const char *cors_origins;    /* comma-separated, "*" for any; "" none */
    unsigned loop_threads;       /* 0: one a core */
    unsigned pool_threads, pool_queue_max;
    unsigned hash_threads, hash_queue_max; /* of ROUTE_HASH; 0: half the cores, and 64 */
    unsigned connections_max, connections_per_address_max;
    size_t header_bytes_max;    /* of the start; http_server_reload leaves it */
    size_t request_memory_max;  /* of all requests in work together (memory.c) */
    unsigned header_timeout_ms; /* whole request header, from its first byte */
    unsigned body_timeout_ms;   /* to the next byte of a body */
    unsigned body_rate_min;     /* bytes a second, averaged over 10 s */
    unsigned keep_alive_timeout_ms;
    unsigned send_timeout_ms; /* in this time a client must take send_rate_min bytes a second of an
                                 answer that waits for it */
    unsigned send_rate_min;
    unsigned drain_timeout_ms;
    unsigned hsts_s; /* Strict-Transport-Security, where public_url is https; 0: none */
    bool access_log;
    struct rate rates[RATE_CLASSES_];
    unsigned tighten_delay_ms; /* queue delay from which rates tighten (limit.c); 0: never */
    unsigned shed_delay_ms;    /* wait for a worker from which work is refused (shed.c); 0: never */
    unsigned deadline_ms[RATE_CLASSES_]; /* from a whole request to its answer (due.c); 0: none */
};
void http_config_defaults(struct http_config *config);
/* Whether trusted_proxies can be read: 0, or ERR_INVALID with words. */
int http_proxies_check(const char *list, struct problem *problem);

int http_server_new(const struct http_config *config, const struct http_hooks *hooks,
                    struct http_server **ret_server, struct problem *problem);
/* Before start. The rows must outlive the server; an ambiguous or malformed row is ERR_INVALID. */
int http_server_add_routes(struct http_server *server, const struct route *rows, unsigned count,
                           void *context);
int http_server_start(struct http_server *server, struct problem *problem);
/* The port it listens on (for port 0). */
unsigned http_server_port(const struct http_server *server);
/* Readiness off, with why (static), and each answer ends its connection; all else goes on as
 * before, so that a balancer sees it and sends no more. Any thread. */
void http_server_leave(struct http_server *server, const char *why);
/* Listens no more; running requests finished, or drain_timeout_ms over. Any thread; returns when
 * that is so. */
void http_server_drain(struct http_server *server);
void http_server_free(struct http_server *server);
/* SIGHUP: what can change while running (limits, CORS, proxies). */
int http_server_reload(struct http_server *server, const struct http_config *config);
