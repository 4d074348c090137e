/* Whether the engines answer (health.h). */
#include "boot/health.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "backend/redis/redis.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/engines.h"
#include "net/metrics.h"
#include "service/search/search.h"

#include <stdio.h>
#include <string.h>

/* ---- /readyz ---- */

static void tell(json_t *states, const char *name, const char *state)
{
    (void)json_object_set_new(states, name, json_string(state));
}

static bool tell_error(json_t *states, const char *name, int error)
{
    tell(states, name, error == 0 ? "ok" : error_name(error));
    return error == 0;
}

/* What is wrong with an engine elsewhere is for whoever runs it to mend, so it is told in words. */
static bool tell_words(json_t *states, const char *name, int error, const char *words)
{
    (void)json_object_set_new(states, name, json_sprintf("%s: %s", error_name(error), words));
    return false;
}

/* An engine that is missed; why stands behind what others are missed for. */
static void tell_degraded(json_t *states, const char *name, const struct problem *problem)
{
    const char *others = json_string_value(json_object_get(states, "reason"));
    tell(states, name, "degraded");
    if (problem->detail[0] != '\0') {
        (void)json_object_set_new(states, "reason",
                                  json_sprintf("%s%s%s", others != NULL ? others : "",
                                               others != NULL ? "; " : "", problem->detail));
    }
}

static bool tell_database(json_t *states, struct db *db)
{
    struct problem problem = {0};
    int error = db_ping(db);
    if (error != 0 && strstr(db_where(db), "://") != NULL) {
        (void)problem_set(&problem, error, "the database %s at %s: %s", db_name(db), db_where(db),
                          db_words()[0] != '\0' ? db_words() : error_title(error));
        return tell_words(states, db_name(db), error, problem.detail);
    }
    (void)tell_error(states, db_name(db), error);
    if (error == 0 && db_is_degraded(db, &problem)) {
        tell_degraded(states, db_name(db), &problem);
    }
    problem_reset(&problem);
    if (error == 0 && db_clock_is_off(db, &problem)) {
        tell_degraded(states, "clock", &problem);
    }
    return error == 0;
}

/* Events that can't flow wait in the outbox: nothing is lost, and readers notice late at worst. */
static void tell_bus(json_t *states, struct bus *bus)
{
    struct problem problem = {0};
    tell(states, "bus", "ok");
    if (bus_ping(bus, &problem) != 0) {
        tell_degraded(states, "bus", &problem);
    }
}

static void tell_redis(json_t *states, struct redis *redis)
{
    struct problem problem = {0};
    if (redis_is_up(redis, &problem)) {
        tell(states, "redis", "ok");
    } else {
        tell_degraded(states, "redis", &problem);
    }
}

static bool tell_objects(json_t *states, struct blob_store *blobs)
{
    struct problem problem = {0};
    int error = blob_ping(blobs, &problem);
    return error == 0 || !blob_is_remote(blobs) ? tell_error(states, "blob", error)
                                                : tell_words(states, "blob", error, problem.detail);
}

bool health_is_ready(struct engines *engines, json_t *ret_states)
{
    bool ready = true;
    tell_bus(ret_states, engines->bus);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        ready = tell_database(ret_states, engines->databases[i]) && ready;
    }
    if (engines->redis != NULL) {
        tell_redis(ret_states, engines->redis);
    }
    return tell_objects(ret_states, engines->blobs) && ready;
}

void health_tell_search(struct search *search, json_t *ret_states)
{
    struct problem problem = {0};
    if (search_is_shared(search)) {
        tell(ret_states, "search", "ok");
        if (search_ping(search, &problem) != 0) {
            tell_degraded(ret_states, "search", &problem);
        }
    }
}

/* ---- /metrics ---- */

static int64_t ask_database(void *argument)
{
    return db_ping(argument) == 0;
}

static int64_t ask_redis(void *argument)
{
    return redis_is_up(argument, NULL);
}

static int64_t ask_blobs(void *argument)
{
    return blob_ping(argument, NULL) == 0;
}

static int64_t ask_bus(void *argument)
{
    return bus_ping(argument, NULL) == 0;
}

static void ask_up(const char *engine, int64_t (*ask)(void *), void *argument)
{
    char label[32];
    (void)snprintf(label, sizeof label, "engine=\"%s\"", engine);
    metric_ask("tutti_engine_up", "1: the engine answers, 0: it does not.", label, ask, argument);
}

void health_gauges(struct engines *engines)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        ask_up(db_name(engines->databases[i]), ask_database, engines->databases[i]);
    }
    ask_up("blob", ask_blobs, engines->blobs);
    ask_up("bus", ask_bus, engines->bus);
    if (engines->redis != NULL) {
        ask_up("redis", ask_redis, engines->redis);
    }
}

static int64_t ask_search(void *argument)
{
    return search_ping(argument, NULL) == 0;
}

void health_gauge_search(struct search *search)
{
    if (search_is_shared(search)) {
        ask_up("search", ask_search, search);
    }
}

void health_gauge_search_end(struct search *search)
{
    if (search != NULL) {
        metric_ask_end(search);
    }
}

void health_gauges_end(struct engines *engines)
{
    void *asked[PLACE_DATABASES_ + 3] = {engines->blobs, engines->bus, engines->redis};
    memcpy(asked + 3, engines->databases, sizeof engines->databases);
    for (unsigned i = 0; i < COUNT_OF(asked); i++) {
        if (asked[i] != NULL) {
            metric_ask_end(asked[i]);
        }
    }
}
