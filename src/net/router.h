/* The route table: patterns in a tree of segments. Built before start, read by all threads. */
#pragma once

#include "net/http.h"
#include "net/target.h"

#include <stdatomic.h>

enum { ROUTE_PARAMS_MAX = 8, ROUTE_CODES = 12 };

/* A row with what the server keeps about it. */
struct route_entry {
    const struct route *row;
    void *context;
    unsigned param_count;
    const char *param_names[ROUTE_PARAMS_MAX]; /* owned by the router */
    _Atomic int64_t run_us; /* what its work takes on the pool, on average (limit.c) */
    /* Counters by status, found on first use (steps.c). */
    struct metric *duration;
    struct {
        _Atomic int status;
        struct metric *_Atomic metric;
    } codes[ROUTE_CODES];
};

struct route_match {
    struct route_entry *entry; /* NULL: no row of this method */
    /* Values of the pattern's parameters, as slices of the path: a last {name*} has the rest. */
    struct target_segment values[ROUTE_PARAMS_MAX];
    bool path_known;                 /* some row has the path: 405 rather than 404 */
    const struct route_entry *other; /* a row of the path with another method, if path_known */
};

struct router;

struct router *router_new(void);
void router_free(struct router *router);
/* ERR_INVALID (with words) for a malformed pattern or one that says what another row says. */
int router_add(struct router *router, const struct route *row, void *context,
               struct problem *problem);
/* Literal segments win over {id}, {id} over {rest*}; a branch without a row is left again. HEAD is
 * found by GET's row. */
void router_find(const struct router *router, const char *method, const struct target_path *path,
                 struct route_match *ret_match);
/* Writes the path's methods ("GET, HEAD, OPTIONS, PUT") for Allow. */
void router_allow(const struct router *router, const struct target_path *path, char *out,
                  size_t size);
/* Visits every entry once. */
void router_each(struct router *router, void (*visit)(void *argument, struct route_entry *entry),
                 void *argument);
