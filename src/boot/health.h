/* Whether the engines answer: for /readyz and for /metrics. Any thread; may block as long as a
 * ping. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct engines;
struct search;

/* A member for each engine: "ok", "degraded" (it is missed, and we go on without), or what is
 * wrong. False: this process had better not be asked now. */
bool health_is_ready(struct engines *engines, json_t *ret_states);
/* tutti_engine_up of each engine, until health_gauges_end. */
void health_gauges(struct engines *engines);
void health_gauges_end(struct engines *engines);
/* The same of an index that processes share; nothing where this one has its own. Without it all but
 * search goes on. */
void health_tell_search(struct search *search, json_t *ret_states);
void health_gauge_search(struct search *search);
void health_gauge_search_end(struct search *search);
