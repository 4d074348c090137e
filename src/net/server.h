/* Inside of the HTTP server: what its files share. Only src/net includes this.
 *
 * Threads: loop threads (libmicrohttpd's) own a request while its connection is not suspended; a
 * pool thread owns it while it is. Only a sink that takes a body in and a stream that sends one
 * work with both at once, over a mutex of their own (sink.c, reply_stream.c).
 *
 *   accept ─► HEADER ─► (BODY) ─► WORK ─► SEND ─► HEADER … ─► closed          (enum phase)
 *
 * Where a sink takes the body its open comes first, so WORK stands before BODY, too.
 *
 * Invariants
 *  1. A connection is in server->connections exactly while its socket is open: shutdown(2) under
 *     connections_lock never hits another's descriptor.
 *  2. A connection is suspended before the job that resumes it is pushed.
 *  3. A request is given back when its last reference goes: libmicrohttpd's (until on_completed)
 *     and one for each job in flight.
 */
#pragma once

#include "net/access_log.h"
#include "net/address.h"
#include "net/http.h"
#include "net/jobs.h"
#include "net/rates.h"
#include "net/router.h"
#include "net/target.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    REQUESTS_SPARE_MAX = 32, /* a loop */
    RUNNING_SHARDS = 8,
    ADDRESS_BUCKETS = 1024,
    MEMORY_COUNTERS = 1024,
    ARENA_FIRST_BYTES = 4096,
    DISCARD_BYTES_MAX = 64 * 1024, /* of a refused body, so that the connection can stay */
    CONNECTION_MAGIC = 0x434f4e4e,
    REQUEST_MAGIC = 0x52455155,
};

/* What may change while the server runs: replaced as a whole, kept until the server ends. */
struct settings {
    struct http_config config; /* its strings are owned here */
    struct networks trusted;
    char hsts[32]; /* "": none */
    struct settings *older;
};

enum phase { PHASE_HEADER, PHASE_BODY, PHASE_WORK, PHASE_SEND };

struct connection {
    uint32_t magic;
    struct connection *previous, *next;
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct request_private *request; /* the one that is not completed yet; of the loop thread */
    int fd;
    bool trusted;
    struct owner *owner;  /* under connections_lock; NULL: it leaves, and counts no more */
    _Atomic bool refused; /* over a limit, or displaced: to be closed */
    bool told;            /* that it is, under connections_lock */
    _Atomic bool asks;    /* a request's line has come; until it is completed */
    _Atomic bool asked;   /* one is completed: bytes that came may be of that */
    _Atomic bool held;    /* its body waits for us, not for the client */
    bool lingers;         /* answered before its body was read: see linger.c */
    struct address peer;
    char peer_text[ADDRESS_TEXT_SIZE];
    _Atomic int phase;
    _Atomic int64_t phase_since_ms;
    _Atomic uint64_t body_bytes; /* received in this phase */
    struct {
        /* Of the deadline thread alone, under connections_lock (deadlines.c). */
        int64_t phase_since_ms, asked_ms, progress_ms, window_ms, header_since_ms;
        uint64_t bytes, window_bytes;
    } watch;
};

struct header_field {
    const char *name, *value;
};

struct reply_field {
    struct reply_field *next;
    const char *name, *value;
};

enum reply_kind { REPLY_NONE, REPLY_BYTES, REPLY_FILE, REPLY_STREAM };

struct stream;
struct sink;

struct reply {
    enum reply_kind kind;
    int status;
    struct reply_field *first, *last;
    const void *bytes;
    uint64_t length;
    int fd; /* REPLY_FILE */
    uint64_t offset;
    bool cold; /* the file's first part must be read in by the pool */
    struct stream *stream;
};

struct request_private {
    struct request request;
    uint32_t magic;
    struct request_private *spare_next;
    unsigned running_shard;
    struct http_server *server;
    const struct settings *settings;
    struct connection *connection;
    struct MHD_Connection *mhd;
    _Atomic unsigned refs;
    unsigned step; /* index into steps (steps.c) */
    int64_t started_us;
    /* READ */
    struct header_field *headers;
    unsigned header_count, header_room;
    bool headers_copied;
    const char *authorization, *origin, *expect, *content_type, *if_none_match;
    const char *trace_parent, *timeout;
    unsigned content_length_count, host_count;
    bool chunked, framing_bad, field_bad, head_only;
    int64_t content_length, asked_ms; /* asked_ms: by Tutti-Timeout-Ms; 0: not */
    struct target_path path;
    struct target_query query;
    char remote_text[ADDRESS_TEXT_SIZE];
    struct address remote_address;
    /* ROUTE */
    struct route_entry *entry;
    const struct route_entry *beside; /* NULL, or whose errors' form counts where no row has it */
    const char *param_values[ROUTE_PARAMS_MAX];
    /* BODY */
    bool body_expected, body_complete, body_refused, body_waiting;
    char *body;
    size_t body_length, body_room;
    size_t memory_bytes; /* what of it counts (memory.c) */
    json_t *json;
    struct sink *sink;
    /* HANDLE */
    struct job job;
    bool job_done;
    bool on_pool; /* the handler's run may block */
    int job_result;
    struct request_spans *spans; /* NULL: its trace is not recorded */
    /* REPLY */
    struct reply reply;
    bool queued, cut;
    struct MHD_Response *response;
    struct rate_verdict rate;
    uint64_t sent_bytes; /* of the body of an answer that was sent whole */
};

/* The text of /metrics (scrape.c), all of it under its lock. */
struct scrape {
    pthread_mutex_t lock;
    char *text; /* the last one; NULL: there is none yet */
    size_t length;
    bool making;
    int64_t second; /* monotonic, in which `made` were made */
    unsigned made;
};

struct owner; /* of connections, by address (connections.c) */

struct http_server {
    struct settings *_Atomic settings;
    struct http_hooks hooks;
    struct router *router;
    struct job_pool *pool, *hash_pool; /* ROUTE_POOL, ROUTE_HASH */
    struct MHD_Daemon *daemon;
    struct rates *rates;
    struct {
        _Atomic size_t used, by_address[MEMORY_COUNTERS];
        _Atomic size_t most; /* used, since deadlines.c last looked */
    } memory;
    int listen_fd;
    unsigned port;
    bool started;
    const char *_Atomic leaving; /* why; NULL: it does not */
    _Atomic bool draining;
    /* Requests between READ and LOG, counted apart by loop, so that loops share no cache line. */
    struct {
        _Alignas(64) _Atomic int count;
    } running[RUNNING_SHARDS];

    pthread_mutex_t connections_lock;
    struct connection *connections;
    struct owner *owners[ADDRESS_BUCKETS];
    unsigned connection_count, told_count, shut_count; /* all; of those, leaving */
    struct connection *hand, *watched;                 /* where make_room and the deadlines go on */

    /* Since memory was given back; of the deadline thread. */
    size_t connections_most, memory_most;
    pthread_t deadline_thread;
    pthread_mutex_t deadline_lock;
    pthread_cond_t deadline_wake;
    bool deadline_running, deadline_end, deadline_news, deadline_sleeping;

    pthread_mutex_t linger_lock;
    struct lingering *lingering; /* linger.c */
    unsigned lingering_count;
    struct access_log access_log;
    struct scrape scrape;
    struct {
        struct metric *sent_bytes, *connections, *refused_connections, *displaced_connections,
            *rate_limited, *pool_full, *memory_full, *late, *shed[RATE_CLASSES_][2];
    } metrics;
};

static inline struct request_private *request_private(struct request *request)
{
    return request->private_;
}
static inline const struct settings *server_settings(struct http_server *server)
{
    return atomic_load_explicit(&server->settings, memory_order_acquire);
}

/* server.c */
struct request_private *request_acquire(struct http_server *server, struct connection *connection);
void request_unref(struct request_private *request);
void request_drop_body(struct request_private *request); /* once the handler is done */
void request_complete(struct request_private *request,
                      bool sent); /* libmicrohttpd is done with it */
void request_suspend(struct request_private *request);
void request_resume(struct request_private *request);

/* connections.c */
enum MHD_Result connection_admit(void *server, const struct sockaddr *address, socklen_t length);
void connection_notify(void *server, struct MHD_Connection *mhd, void **socket_context,
                       enum MHD_ConnectionNotificationCode code);
void connection_phase(struct connection *connection, enum phase phase);
/* To PHASE_WORK or PHASE_SEND. False: it was displaced before, and its client told so: nothing is
 * to be done or said any more. */
bool connection_goes_on(struct connection *connection, enum phase phase);
/* Answers on the socket itself, past libmicrohttpd, and ends the connection: for a body that is cut
 * off while it comes in, for clients that are too slow, and for who is displaced. Where nothing of
 * an answer was sent. */
void connection_answer(int fd, const char *head, const void *body, size_t length);

/* steps.c: goes on with the request where it stands. */
enum MHD_Result steps_run(struct request_private *request);
void steps_finish(struct request_private *request, bool sent);

/* spans.c: the request's part of a trace; nothing where it is not recorded. */
void spans_begin(struct request_private *request); /* the call has its trace_parent */
void spans_step_begins(struct request_private *request);
void spans_step_ended(struct request_private *request);
void spans_queued(struct request_private *request);
/* The thread works for the request until trace_enter with what this returns. */
const char *spans_enter(struct request_private *request);
void spans_end(struct request_private *request, const char *const step_names[]);

/* head.c: READ */
int head_read(struct request_private *request);
/* Copies what is borrowed from libmicrohttpd into the arena, for work that outlives it. */
int head_copy(struct request_private *request);

/* limit.c */
enum job_lane limit_lane(const struct request_private *request); /* which it belongs to */
bool limit_is_costly(const struct route_entry *entry);
void limit_note_run(struct route_entry *entry, int64_t took_us); /* on the pool */
int limit_rate(struct request_private *request, enum rate_class class);
int limit_size(struct request_private *request);
void limit_metrics(struct http_server *server); /* ended by metric_ask_end(server) */

/* due.c */
int due_read(struct request_private *request); /* what the client asks for; 0 or ERR_MALFORMED */
/* The request is whole: from here on its time runs. */
void due_begin(struct request_private *request);
/* 0, or ERR_BUSY where the time is over before its work began. */
int due_check(struct request_private *request);
/* Runs the row's function under the deadline. */
int due_handle(struct request_private *request);

/* shed.c: 0, or ERR_BUSY where its like is not let onto the pool now. */
int shed_check(struct request_private *request, const struct job_pool *pool, enum job_lane lane);
void shed_metrics(struct http_server *server);

/* memory.c */
int memory_take(struct request_private *request, size_t bytes); /* 0 or ERR_BUSY */
void memory_add(struct request_private *request, size_t bytes);
void memory_give(struct request_private *request, size_t bytes);
int memory_full(struct request_private *request); /* 0 or ERR_BUSY */
void memory_metrics(struct http_server *server);  /* ended by metric_ask_end(server) */

/* body.c */
enum body_take { BODY_TAKEN, BODY_WAIT, BODY_REFUSED };
bool body_is_secret(const struct request_private *request); /* ROUTE_SECRET_BODY */
void body_free(struct request_private *request);            /* overwrites it where it is */
/* Takes what came in of the body. *length becomes what is left over. */
enum body_take body_take(struct request_private *request, const char *bytes, size_t *length);

/* sink.c */
int sink_start(struct request_private *request);  /* 0, or an error; suspends */
int sink_finish(struct request_private *request); /* 1: waits; 0 done; or an error */
enum body_take sink_take(struct request_private *request, const char *bytes, size_t *length);
void sink_abandon(struct request_private *request);

/* reply.c */
/* Makes the reply out of an error: problem+json, or S3's XML. */
void reply_problem(struct request_private *request, int error);
struct MHD_Response *reply_make(struct request_private *request);
const char *reply_header_get(const struct request_private *request, const char *name);
void reply_discard(struct request_private *request); /* gives back what was never sent */

/* reply_file.c: run on the pool, reads the first part of a cold file in. */
void reply_file_warm(struct request_private *request);

/* reply_stream.c */
struct MHD_Response *stream_response(struct request_private *request);
void stream_discard(struct stream *stream);

/* reply_head.c */
void security_settings(struct settings *settings); /* what follows from its configuration */
int reply_head(struct request_private *request, struct MHD_Response *response);
/* The whole head as it goes over the wire, in the arena, of an answer that libmicrohttpd does not
 * give: the connection ends behind it. NULL: out of memory. */
const char *reply_head_text(struct request_private *request);

/* cors.c */
void cors_reply(struct request_private *request);
int cors_options(struct request_private *request);

/* breakers.c */
json_t *breakers_state(bool *ret_all_closed); /* {"mail": "closed", …}; NULL: out of memory */
void breakers_measure(void);                  /* into the metrics */

/* builtin.c */
int builtin_add(struct http_server *server, struct problem *problem);

/* scrape.c */
void scrape_init(struct scrape *scrape);
void scrape_done(struct scrape *scrape);
int scrape_handle(struct request *request); /* GET /metrics */

/* linger.c: a socket that is closed with bytes unread makes the client's system throw our answer
 * away; so one that was answered early is kept for a while and read to nowhere. */
void linger_add(struct http_server *server, int fd);
/* From the deadline thread: reads on, gives up those that are done or too old (all: every one).
 * Returns whether some are left. */
bool linger_tend(struct http_server *server, int64_t now_ms, bool all);

/* deadlines.c */
int deadlines_start(struct http_server *server);
void deadlines_stop(struct http_server *server);
void deadlines_wake(struct http_server *server); /* there is a connection to watch */
