/* The load generator's parts: options and figures (flood.c), many clients on one epoll loop
 * (load.c), a few that behave well and are measured (listen.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum mode {
    MODE_ASK,     /* whole requests, answers read at once */
    MODE_TRICKLE, /* the request byte by byte, one each interval */
    MODE_READ,    /* the request at once, the answer a few bytes each interval */
};

struct text {
    char *bytes;
    size_t length;
    size_t head_length; /* of a request */
};

struct options {
    unsigned port;
    enum mode mode;
    unsigned connections, addresses, seconds, interval_ms, pipeline;
    unsigned whole_bytes; /* MODE_TRICKLE: this many of a request are sent at once */
    unsigned ramp_s;      /* until all connections are there */
    unsigned read_bytes;  /* MODE_READ: a turn */
    int keep_alive;
    struct text *requests; /* taken in turn */
    unsigned request_count;
    /* listen */
    struct text media_head; /* of a request, up to "Range: bytes=" */
    uint64_t media_bytes;
    double media_seconds;
};

/* Durations in µs, to be sorted at the end. */
struct samples {
    uint32_t *us;
    size_t count, room;
};

enum { CODES = 600 };

struct figures {
    uint64_t codes[CODES];
    uint64_t opened, failed;  /* connections */
    uint64_t cut;             /* ended by the server without a word, a request begun */
    uint64_t unexplained;     /* 429 or 503 without Retry-After */
    uint64_t unmeasured;      /* 429 without RateLimit-Limit, -Remaining and -Reset */
    struct samples answered;  /* of whole heads, from the last byte sent to the answer's first */
    struct samples refused;   /* the same of 429 and 503 */
    unsigned open, open_most; /* at once */
};

int64_t now_us(void);
void samples_add(struct samples *samples, int64_t us);
/* {"count":…,"p50":…,"p99":…,"max":…} in ms. */
void samples_print(const char *name, struct samples *samples);
void codes_print(const uint64_t codes[CODES]);
void fail(const char *what) __attribute__((noreturn));

void load_run(const struct options *options);
void listen_run(const struct options *options);
