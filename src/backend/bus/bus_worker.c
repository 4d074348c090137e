/* A worker's thread (bus_engine.h): passes, and sleep between them. What a pass does is its way's.
 */
#include "backend/bus/bus_engine.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

enum { WAIT_MS_MAX = 60 * 1000, STACK_BYTES = 256 * 1024 };

void bus_worker_poke(struct bus_worker *worker)
{
    worker->poked = true;
    (void)pthread_cond_signal(&worker->wake);
    if (worker->way->wake != NULL) {
        worker->way->wake(worker);
    }
}

int bus_worker_look(struct bus_worker *worker)
{
    const struct bus_engine *engine = worker->bus->engine;
    return engine->look != NULL && !worker->way->by_lease ? engine->look(worker) : 0;
}

void bus_worker_trouble(struct bus_worker *worker, int error, const char *words)
{
    if (!worker->troubled) {
        log_event(LOG_WARNING, "bus.trouble", log_text("consumer", worker->consumer.name),
                  log_text("error", error_name(error)), log_text("words", words));
    }
    worker->troubled = true;
}

/* Sleeps until poked or due: a wall time, which is waited for by the monotonic clock, for the other
 * one may be put back. False at the end. */
static bool sleep_until(struct bus_worker *worker, int64_t due_ms)
{
    struct bus *bus = worker->bus;
    int64_t began_ms = clock_monotonic_ms();
    int64_t whole_ms = due_ms == BUS_NEVER ? INT64_MAX : due_ms - clock_wall_ms();
    int64_t wait_ms = whole_ms;
    (void)pthread_mutex_lock(&bus->lock);
    worker->active = false;
    while (!worker->poked && !bus->ending && wait_ms > 0) {
        if (wait_ms == INT64_MAX) {
            (void)pthread_cond_wait(&worker->wake, &bus->lock);
        } else {
            int64_t ms = wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX;
            bus_wait_until(bus, &worker->wake, clock_monotonic_ms() + ms);
            wait_ms = whole_ms - (clock_monotonic_ms() - began_ms);
        }
    }
    worker->poked = false;
    worker->active = true;
    (void)pthread_cond_signal(&bus->look); /* the dispatcher watches over active ones */
    bool on = !bus->ending;
    (void)pthread_mutex_unlock(&bus->lock);
    return on;
}

static void *worker_main(void *argument)
{
    struct bus_worker *worker = argument;
    int64_t due_ms = 0;
    while (sleep_until(worker, due_ms)) {
        due_ms = worker->way->pass(worker);
    }
    worker->way->end(worker);
    return NULL;
}

int bus_worker_start(struct bus_worker *worker)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&worker->thread, &attributes, worker_main, worker);
    (void)pthread_attr_destroy(&attributes);
    worker->running = failed == 0;
    return failed == 0 ? 0 : ERR_UNAVAILABLE;
}
