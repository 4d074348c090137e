/* The dispatcher (bus_engine.h): one thread a bus. Woken by the databases' commits, it looks
 * whether an outbox has grown or something waiting became due, and pokes the workers of that
 * database. It also holds the leases of handlers that run long, and prunes.
 */
#include "backend/bus/bus_engine.h"
#include "base/clock.h"
#include "base/error.h"

static const int64_t KEPT_MS = INT64_C(7) * 24 * 3600 * 1000;

static int look_at_outbox(struct db_session *session, void *argument)
{
    return bus_store_look(session, argument);
}

/* Those who work by the outbox, or all where something waiting became due. */
static void poke(struct bus *bus, const struct bus_source *source, bool due)
{
    (void)pthread_mutex_lock(&bus->lock);
    for (struct bus_worker *worker = bus->workers; worker != NULL; worker = worker->next) {
        if (worker->source == source && (due || worker->way->by_lease)) {
            bus_worker_poke(worker);
        }
    }
    (void)pthread_mutex_unlock(&bus->lock);
}

/* Pokes the consumers if an event came, was given up, or became due earlier than was known. */
static void look_at(struct bus *bus, struct bus_source *source)
{
    struct bus_look look;
    if (db_read(source->db, look_at_outbox, &look) < 0) {
        poke(bus, source, true); /* they will see what is wrong, and say it */
        return;
    }
    const struct bus_look *before = &source->seen;
    bool due = look.due < before->due;
    int64_t untold = atomic_exchange(&source->untold, look.untold);
    bool letters = bus->kafka != NULL && look.untold > untold;
    if (look.newest > before->newest || letters || due) {
        poke(bus, source, due);
    }
    source->seen = look;
}

struct prune_work {
    const struct bus *bus;
    int64_t before_ms;
};

static int prune_some(struct db_session *session, void *argument)
{
    const struct prune_work *work = argument;
    return bus_store_prune(session, work->before_ms, work->bus->kafka != NULL);
}

static void prune_if_due(struct bus *bus, struct bus_source *source)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - source->pruned_ms < bus->prune_ms) {
        return;
    }
    source->pruned_ms = now_ms;
    struct prune_work work = {.bus = bus, .before_ms = clock_wall_ms() - KEPT_MS};
    while (!bus_is_ending(bus) && db_write(source->db, prune_some, &work) > 0) {
    }
}

/* Renews the leases of handlers that run long, four times as often as they run out. */
static void keep_leases(struct bus *bus)
{
    int64_t now_ms = clock_monotonic_ms();
    for (struct bus_worker *worker = bus_first_worker(bus); worker != NULL; worker = worker->next) {
        int64_t handed_ms = atomic_load(&worker->handed_ms);
        if (handed_ms != 0 && now_ms - handed_ms >= bus->lease_ms / 4 && worker->way->by_lease &&
            worker->consumer.handle_in == NULL) {
            (void)bus_worker_lease(worker);
        }
    }
}

static bool any_committed(const struct bus *bus)
{
    for (const struct bus_source *source = bus->sources; source != NULL; source = source->next) {
        if (source->committed) {
            return true;
        }
    }
    return false;
}

static bool any_active(const struct bus *bus)
{
    for (const struct bus_worker *worker = bus->workers; worker != NULL; worker = worker->next) {
        if (worker->active) {
            return true;
        }
    }
    return false;
}

/* Waits for a commit; while a consumer is at work, not longer than until leases are to be kept. */
static bool wait_for_commit(struct bus *bus)
{
    (void)pthread_mutex_lock(&bus->lock);
    if (!bus->ending && !any_committed(bus)) {
        int64_t ms = any_active(bus) ? bus->lease_ms / 4 : bus->prune_ms;
        bus_wait_until(bus, &bus->look, clock_monotonic_ms() + ms);
    }
    bool on = !bus->ending;
    (void)pthread_mutex_unlock(&bus->lock);
    return on;
}

static bool take_committed(struct bus *bus, struct bus_source *source)
{
    (void)pthread_mutex_lock(&bus->lock);
    bool committed = source->committed;
    source->committed = false;
    (void)pthread_mutex_unlock(&bus->lock);
    return committed;
}

static void *dispatcher_main(void *argument)
{
    struct bus *bus = argument;
    while (wait_for_commit(bus)) {
        for (struct bus_source *source = bus->sources; source != NULL; source = source->next) {
            if (take_committed(bus, source)) {
                look_at(bus, source);
            }
            prune_if_due(bus, source);
        }
        keep_leases(bus);
    }
    return NULL;
}

int bus_dispatch_start(struct bus *bus)
{
    bus->dispatching = pthread_create(&bus->dispatcher, NULL, dispatcher_main, bus) == 0;
    return bus->dispatching ? 0 : ERR_UNAVAILABLE;
}
