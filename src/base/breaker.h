/* A circuit breaker: in front of every engine that is reached over a network, so that one which is
 * down or slow costs its callers microseconds instead of a timeout each, and is not kept down by
 * their tries. (M. Nygard, Release It!, 2nd ed. 2018, chapter 5; the window of counts as in
 * resilience4j; the wait before a probe doubles and has jitter after M. Brooker, "Exponential
 * Backoff And Jitter", AWS 2015.)
 *
 *             failures_in_a_row, or bad_percent of calls_min in the window
 *        ┌──────────┐ ────────────────────────────────► ┌──────┐
 *        │  CLOSED  │                                   │ OPEN │ refuses, until the wait is over
 *        └──────────┘ ◄────────── ┌───────────┐ ◄────── └──────┘
 *                   probes went   │ HALF_OPEN │ ──────────►
 *                   well          └───────────┘  one went badly: OPEN again, twice the wait
 *                                 lets one call in at a time
 *
 * In front of a call:
 *
 *     struct breaker_pass pass;
 *     int error = breaker_enter(redis->breaker, &pass);
 *     if (error != 0) {
 *         return error;                        // ERR_UNAVAILABLE, at once: fall back
 *     }
 *     error = ask_redis(…);
 *     breaker_leave(redis->breaker, &pass, breaker_outcome(error));
 *
 * Any thread; an uncontended mutex is all a call pays. A NULL breaker lets everything pass, so an
 * engine that has none needs no branches. Time is injected by tests.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct breaker;

enum { BREAKER_NAME_SIZE = 48 };

/* The numbers are those of the gauge tutti_breaker_state. */
enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };

enum breaker_outcome {
    BREAKER_OK,
    BREAKER_FAILED,  /* the engine did not do its part: no connection, no answer, its own 5xx */
    BREAKER_NEUTRAL, /* says nothing of the engine: the caller gave up, or ran out of memory */
};

struct breaker_config {
    const char *name; /* copied; the engine's word in /metrics and /readyz: "redis", "blob", … */
    /* 0 in any of these: the default beside it. */
    unsigned failures_in_a_row; /* 5: opens, however few calls there are */
    unsigned calls_min;         /* 20 in the window before its share counts */
    unsigned bad_percent;       /* 50: failed and slow ones, of the window's */
    unsigned window_ms;         /* 10,000 */
    unsigned slow_ms;      /* a call that takes as long is bad, even where it went well. 0: none */
    unsigned wait_ms;      /* 500: open before the first probe, ± a quarter; doubles … */
    unsigned wait_ms_max;  /* … up to 30,000 */
    unsigned probes;       /* 2 in a row must go well */
    unsigned probe_ms_max; /* 30,000: a probe that has not come back is given up, another let in */
    int64_t (*now_ms)(void *clock); /* NULL: clock_monotonic_ms */
    void *clock;
};

/* A call that was let in. Its fields are the breaker's. */
struct breaker_pass {
    int64_t began_ms;
    unsigned turn;
    bool probe, hurried; /* hurried: its caller has less time than an engine may fairly need */
};

struct breaker_view {
    const char *name; /* the breaker's own */
    enum breaker_state state;
    unsigned calls, failed, slow; /* in the window */
    unsigned next_probe_ms;       /* while open */
    uint64_t opened, refused;     /* times, calls, since it was made */
};

/* ERR_NO_MEMORY. It is in breaker_each from here on. */
int breaker_new(const struct breaker_config *config, struct breaker **ret_breaker);
/* Nobody is inside any more. NULL is fine. */
void breaker_free(struct breaker *breaker);

/* 0, and breaker_leave must follow; or ERR_UNAVAILABLE, at once, where the engine is not to be
 * asked. breaker_look tells when it will be. */
int breaker_enter(struct breaker *breaker, struct breaker_pass *ret_pass);
/* A failure that came with the end of the caller's own time (call.h), where that was less than two
 * seconds from the start, is nobody's: else who asks for an answer within a millisecond could take
 * the engine away from all others. */
void breaker_leave(struct breaker *breaker, const struct breaker_pass *pass,
                   enum breaker_outcome outcome);
/* For most engines: ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_BUSY and ERR_IO are the engine's failures,
 * ERR_NO_MEMORY and ERR_CANCELLED nobody's; whatever else it answers, it answers. */
enum breaker_outcome breaker_outcome(int error);

/* False while calls are refused: for who has a choice of engines (replicas) and asks without
 * entering. Once the wait is over it is true again: somebody has to be the probe. */
bool breaker_lets_in(struct breaker *breaker);
void breaker_look(struct breaker *breaker, struct breaker_view *ret_view);
const char *breaker_state_word(enum breaker_state state); /* "closed", "half-open", "open" */

/* Every breaker there is, in the order they were made, for /metrics and /readyz. None is freed
 * meanwhile; visit must not make or free one. */
void breaker_each(void (*visit)(void *argument, struct breaker *breaker), void *argument);
/* Is told of each change of state, on the thread whose call made it, with nothing locked. One a
 * process, set before the first breaker; NULL: nobody. */
void breaker_on_change(void (*tell)(const struct breaker_view *view));
