/* A call: one piece of work on behalf of somebody. A request, an event's handling, a job's step and
 * a command of the command line are all calls. Contract functions of the roles take it first: it
 * carries who asks, the memory that lives as long as the work, and where errors put their words.
 * Used by one thread at a time.
 */
#pragma once

#include "base/arena.h"
#include "base/problem.h"

#include <stdbool.h>
#include <stdint.h>

/* What an actor may do; a token carries these. ROLE_SYSTEM is our own work (events, jobs,
 * commands). */
enum role {
    ROLE_NONE = 0, /* nobody signed in */
    ROLE_LISTENER = 1 << 0,
    ROLE_ARTIST = 1 << 1,
    ROLE_ADMIN = 1 << 2,
    ROLE_SYSTEM = 1 << 3,
};

struct actor {
    int64_t user_id;    /* 0: nobody */
    int64_t session_id; /* 0: none */
    unsigned roles;     /* of enum role; an admin's also has LISTENER, an artist's too */
    char plan[16];      /* "free" or "premium" */
};

struct call {
    struct arena *arena;
    struct problem problem;
    struct actor actor;
    int64_t deadline_ms;   /* monotonic (clock_monotonic_ms), 0: none; see below */
    char request_id[40];   /* for logs and problem.instance */
    char trace_parent[56]; /* W3C traceparent, "" if none */
};

/* ---- what is left of the time ----
 *
 * A call's deadline bounds what is waited for on its behalf. Engines see no call, so the thread
 * that works for one carries its deadline (net sets it around a request's handler), and whoever
 * waits for a database, a store or a lock cuts its own limit to what remains:
 *
 *     curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call_remaining_ms(OWN_LIMIT_MS));
 *
 * Threads that work for nobody in particular (events, jobs, a sender) have none, and wait as long
 * as the engine's own limit says. */

/* From here on this thread works until deadline_ms (monotonic; 0: no deadline). Returns what was
 * there, for call_deadline_enter at the end. */
int64_t call_deadline_enter(int64_t deadline_ms);
/* The deadline of this thread's work, for work that is handed to another thread; 0: none. */
int64_t call_deadline_ms(void);
/* True once the deadline has passed: what was not begun need not be. */
bool call_is_late(void);
/* What is left, at most most_ms and never less than 1, since 0 means "no limit" to most engines. */
int64_t call_remaining_ms(int64_t most_ms);

static inline bool call_is(const struct call *call, enum role role)
{
    return (call->actor.roles & (unsigned)role) != 0;
}
