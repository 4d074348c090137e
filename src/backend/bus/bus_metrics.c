/* What the bus tells /metrics of a consumer (bus_engine.h). Where it stands is read when it is
 * asked, on the pool, so that it is true too while a handler hangs, another process holds the
 * lease, or a command has dropped an event.
 */
#include "backend/bus/bus.h"
#include "backend/bus/bus_engine.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <stdio.h>

struct look {
    const struct bus_worker *worker;
    struct bus_standing standing;
    int64_t created_ms;
};

static int read_standing(struct db_session *session, void *argument)
{
    struct look *look = argument;
    return bus_store_standing(session, look->worker->consumer.name, &look->standing);
}

static int read_oldest(struct db_session *session, void *argument)
{
    struct look *look = argument;
    return bus_store_oldest(session, look->worker->consumer.name, atomic_load(&look->worker->seen),
                            &look->created_ms);
}

static int64_t ask_lag(void *argument)
{
    struct look look = {.worker = argument};
    if (bus_worker_look(argument) != 0 ||
        db_read(look.worker->source->db, read_standing, &look) != 0) {
        return METRIC_UNKNOWN;
    }
    int64_t seen = atomic_load(&look.worker->seen);
    int64_t after = look.standing.position > seen ? look.standing.position : seen;
    return look.standing.newest > after ? look.standing.newest - after : 0;
}

static int64_t ask_parked(void *argument)
{
    struct look look = {.worker = argument};
    return db_read(look.worker->source->db, read_standing, &look) == 0 ? look.standing.parked
                                                                       : METRIC_UNKNOWN;
}

static int64_t ask_oldest(void *argument)
{
    struct look look = {.worker = argument};
    int r = bus_worker_look(argument);
    r = r == 0 ? db_read(look.worker->source->db, read_oldest, &look) : r;
    if (r < 0) {
        return r == ERR_NOT_FOUND ? 0 : METRIC_UNKNOWN;
    }
    int64_t age_ms = clock_wall_ms() - look.created_ms;
    return age_ms > 0 ? age_ms * 1000 : 0;
}

void bus_metrics_begin(struct bus_worker *worker)
{
    char labels[BUS_NAME_MAX + 32];
    const char *name = worker->consumer.name;
    (void)snprintf(labels, sizeof labels, "consumer=\"%s\"", name);
    metric_ask("tutti_bus_lag", "Events that a consumer has not seen yet.", labels, ask_lag,
               worker);
    metric_ask("tutti_bus_parked", "Events given up after all tries, waiting for a person.", labels,
               ask_parked, worker);
    metric_ask_kind(METRIC_GAUGE_US, "tutti_bus_oldest_seconds",
                    "Age of the oldest event that a consumer has not seen yet.", labels, ask_oldest,
                    worker);
    static const char events[] = "tutti_bus_events_total";
    static const char help[] = "Events handed to a consumer, by result.";
    (void)snprintf(labels, sizeof labels, "consumer=\"%s\",result=\"done\"", name);
    worker->done = metric_get(METRIC_COUNTER, events, help, labels);
    (void)snprintf(labels, sizeof labels, "consumer=\"%s\",result=\"failed\"", name);
    worker->failed = metric_get(METRIC_COUNTER, events, help, labels);
}

void bus_metrics_end(struct bus_worker *worker)
{
    metric_ask_end(worker);
}
