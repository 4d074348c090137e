/* What tests, people and doctors ask of a bus: whether all is seen, what is parked, what waits.
 * All engines keep waiting and parked events in the database, so most of it needs no bus. On the
 * caller's thread. */
#include "backend/bus/bus_engine.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"

#include <time.h>

static bool all_have_seen(struct bus *bus, const struct bus_source *source, int64_t newest)
{
    bool all = true;
    for (struct bus_worker *worker = bus_first_worker(bus); worker != NULL && all;
         worker = worker->next) {
        if (worker->source == source) {
            all = bus_worker_look(worker) == 0 && atomic_load(&worker->seen) >= newest;
        }
    }
    return all;
}

/* Settled or not: it is committed, so it is waited for. */
static int read_last(struct db_session *session, void *argument)
{
    return bus_store_last(session, argument);
}

int bus_settle(struct bus *bus, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (struct bus_source *source = bus->sources; source != NULL; source = source->next) {
        int64_t newest = 0;
        int r = db_read(source->db, read_last, &newest);
        while (r >= 0 && !all_have_seen(bus, source, newest)) {
            if (clock_monotonic_ms() >= deadline_ms) {
                return ERR_TIMEOUT;
            }
            struct timespec pause = {.tv_nsec = 1000000};
            (void)nanosleep(&pause, NULL);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

struct parked_work {
    struct arena *arena;
    unsigned limit;
    struct bus_parked *parked;
    unsigned count;
    const char *consumer;
    int64_t event_id;
};

static int list_parked(struct db_session *session, void *argument)
{
    struct parked_work *work = argument;
    return bus_store_parked(session, work->arena, work->limit, work->parked, &work->count);
}

static int retry_parked(struct db_session *session, void *argument)
{
    const struct parked_work *work = argument;
    return bus_store_unpark(session, work->consumer, work->event_id);
}

static int drop_parked(struct db_session *session, void *argument)
{
    const struct parked_work *work = argument;
    return bus_store_drop(session, work->consumer, work->event_id);
}

static int forget(struct db_session *session, void *argument)
{
    return bus_store_forget(session, ((const struct parked_work *)argument)->consumer);
}

int bus_parked_list(struct db *db, struct arena *arena, unsigned limit,
                    struct bus_parked **ret_parked, unsigned *ret_count)
{
    struct parked_work work = {.arena = arena, .limit = limit};
    work.parked = arena_array(arena, limit, sizeof *work.parked);
    int r = work.parked != NULL ? db_read(db, list_parked, &work) : ERR_NO_MEMORY;
    if (r < 0) {
        return r;
    }
    *ret_parked = work.parked;
    *ret_count = work.count;
    return 0;
}

int bus_parked_retry(struct db *db, const char *consumer, int64_t event_id)
{
    struct parked_work work = {.consumer = consumer, .event_id = event_id};
    return db_write(db, retry_parked, &work);
}

int bus_parked_drop(struct db *db, const char *consumer, int64_t event_id)
{
    struct parked_work work = {.consumer = consumer, .event_id = event_id};
    return db_write(db, drop_parked, &work);
}

int bus_forget(struct db *db, const char *consumer)
{
    struct parked_work work = {.consumer = consumer};
    return db_write(db, forget, &work);
}

struct unseen_work {
    const struct bus_interest *interest;
    struct bus_unseen sum;
};

static int sum_unseen(struct db_session *session, void *argument)
{
    struct unseen_work *work = argument;
    work->sum = (struct bus_unseen){.count = 0};
    int r = 0;
    for (const char *const *type = work->interest->types; r == 0 && *type != NULL; type++) {
        struct bus_unseen one;
        r = bus_store_unseen(session, work->interest->consumer, *type, &one);
        if (r == 0 && one.count > 0) {
            bool older = work->sum.count == 0 || one.oldest_ms < work->sum.oldest_ms;
            work->sum.oldest_ms = older ? one.oldest_ms : work->sum.oldest_ms;
            work->sum.count += one.count;
        }
    }
    return r;
}

int bus_unseen_look(struct db *db, const struct bus_interest *interest,
                    struct bus_unseen *ret_unseen)
{
    struct unseen_work work = {.interest = interest};
    int r = db_read(db, sum_unseen, &work);
    if (r == 0) {
        *ret_unseen = work.sum;
    }
    return r;
}

static int newest_time(struct db_session *session, void *argument)
{
    return bus_store_newest_time(session, argument);
}

int bus_newest_time(struct db *db, int64_t *ret_ms)
{
    return db_read(db, newest_time, ret_ms);
}
