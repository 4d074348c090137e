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
    int64_t deadline_ms;   /* monotonic (clock_monotonic_ms), 0: none */
    char request_id[40];   /* for logs and problem.instance */
    char trace_parent[56]; /* W3C traceparent, "" if none */
};

static inline bool call_is(const struct call *call, enum role role)
{
    return (call->actor.roles & (unsigned)role) != 0;
}
