/* A worker's way to events by the outbox, under a lease (bus_engine.h): the consumers of local:,
 * and the relays of kafka:. On the worker's thread.
 *
 * Leases: a consumer's row names its owner and until when. It is taken when there is something to
 * handle and simply runs out when there is not. So several processes on one database share the work
 * by consumer. What a killed one held goes on elsewhere, or after its restart, at once: the
 * database knows who is alive (db_is_alive). The lease's end is for owners who live but are stuck.
 *
 * Events that nobody here wants move only `skipped`, in memory: a commit of theirs would wake the
 * disk for nothing. It is written along with the next position, or after SKIPPED_MAX.
 */
#include "backend/bus/bus_engine.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>

enum { SKIPPED_MAX = 1000 };

struct standing_work {
    struct bus_worker *worker;
    struct bus_standing standing;
};

static int read_standing(struct db_session *session, void *argument)
{
    struct standing_work *work = argument;
    return bus_store_standing(session, work->worker->consumer.name, &work->standing);
}

struct fetch_work {
    struct bus_worker *worker;
    int64_t after, now_ms;
    bool due;
};

static int fetch(struct db_session *session, void *argument)
{
    struct fetch_work *work = argument;
    struct bus_worker *worker = work->worker;
    arena_reset(worker->batch.arena);
    return work->due
               ? bus_store_due(session, worker->consumer.name, work->now_ms, &worker->batch)
               : bus_store_events(session, worker->consumer.name, work->after, &worker->batch);
}

struct lease_work {
    struct bus_worker *worker;
    int64_t now_ms;
};

static int take_lease(struct db_session *session, void *argument)
{
    struct lease_work *work = argument;
    struct bus *bus = work->worker->bus;
    db_quiet(session);
    return bus_store_lease(session, work->worker->consumer.name, bus->owner, work->now_ms,
                           work->now_ms + bus->lease_ms);
}

int bus_worker_lease(struct bus_worker *worker)
{
    struct lease_work work = {.worker = worker, .now_ms = clock_wall_ms()};
    return db_write(worker->source->db, take_lease, &work);
}

struct inherit_work {
    struct bus_worker *worker;
    int64_t dead;
};

static int inherit(struct db_session *session, void *argument)
{
    struct inherit_work *work = argument;
    struct bus *bus = work->worker->bus;
    return bus_store_inherit(session, work->worker->consumer.name, work->dead, bus->owner,
                             clock_wall_ms() + bus->lease_ms);
}

/* Whether the owner of a running lease lives; who did a moment ago is not asked about again, for
 * each event wakes all who don't have the lease. */
static bool owner_lives(struct bus_worker *worker, int64_t owner)
{
    int64_t now_ms = clock_monotonic_ms();
    if (owner == worker->other && now_ms - worker->other_ms < BUS_TROUBLE_MS) {
        return true;
    }
    if (!db_is_alive(worker->source->db, owner)) {
        return false;
    }
    worker->other = owner;
    worker->other_ms = now_ms;
    return true;
}

static bool is_anothers(struct bus_worker *worker, const struct bus_standing *standing)
{
    return standing->owner != worker->bus->owner && standing->lease_until > clock_wall_ms() &&
           owner_lives(worker, standing->owner);
}

/* Takes the lease, also before it ran out if its owner was killed. 1: ours, 0: another's. */
static int take_or_inherit(struct bus_worker *worker, const struct bus_standing *standing)
{
    if (is_anothers(worker, standing)) {
        return 0;
    }
    int r = bus_worker_lease(worker);
    if (r != 0 || owner_lives(worker, standing->owner)) {
        return r;
    }
    struct inherit_work work = {.worker = worker, .dead = standing->owner};
    return db_write(worker->source->db, inherit, &work);
}

/* Nothing of the batch is wanted: go over it (bus_outbox.c's head). */
static int skip(struct bus_worker *worker, unsigned count, int64_t last)
{
    worker->skipped = last;
    worker->skipped_count += count;
    if (worker->skipped_count < SKIPPED_MAX) {
        return 0;
    }
    worker->skipped_count = 0;
    int r = bus_worker_lease(worker);
    return r <= 0 ? r : bus_move(worker, worker->skipped);
}

/* Held, and for long enough that bus.c's keeper comes in time if the handler is slow. */
static bool holds_lease(const struct bus_worker *worker, const struct bus_standing *standing,
                        int64_t now_ms)
{
    return standing->owner == worker->bus->owner &&
           standing->lease_until - now_ms > worker->bus->lease_ms * 2 / 3;
}

static int retry_due(struct bus_worker *worker)
{
    int r = 0;
    for (unsigned i = 0; i < worker->batch.count && r >= 0 && !bus_is_ending(worker->bus); i++) {
        r = bus_retry(worker, &worker->batch.items[i]);
    }
    return r;
}

enum { PASS_AGAIN = 0, PASS_OVER = 1, PASS_NOT_OURS = 2 };

/* One round: a batch of what is due, else of what is new. */
static int round_once(struct bus_worker *worker, bus_take *take, struct bus_standing *ret_standing)
{
    struct db *db = worker->source->db;
    struct standing_work look = {.worker = worker};
    int r = db_read(db, read_standing, &look);
    if (r < 0) {
        return r;
    }
    struct bus_standing *standing = &look.standing;
    *ret_standing = *standing;
    int64_t now_ms = clock_wall_ms();
    struct fetch_work work = {.worker = worker,
                              .now_ms = bus_due_by(worker->bus, standing->due, now_ms)};
    work.due = standing->due <= work.now_ms;
    work.after = standing->position > worker->skipped ? standing->position : worker->skipped;
    if (!work.due && standing->newest <= work.after) {
        return PASS_OVER;
    }
    if (worker->consumer.types == NULL && is_anothers(worker, standing)) {
        return PASS_NOT_OURS; /* it wants all: there is nothing to skip */
    }
    if ((r = db_read(db, fetch, &work)) < 0 || worker->batch.count == 0) {
        return r;
    }
    unsigned count = worker->batch.count;
    int64_t last = worker->batch.items[count - 1].sequence;
    if (!work.due) {
        bus_drop_unwanted(worker);
        if (worker->batch.count == 0) {
            return skip(worker, count, last);
        }
        worker->skipped_count = 0; /* the next position goes over them */
    }
    if (!holds_lease(worker, standing, now_ms)) {
        r = take_or_inherit(worker, standing);
        return r < 0 ? r : r == 0 ? PASS_NOT_OURS : PASS_AGAIN; /* look anew, it may have moved */
    }
    return work.due ? retry_due(worker) : take(worker, last);
}

int64_t bus_outbox_pass(struct bus_worker *worker, bus_take *take)
{
    struct bus_standing standing = {0};
    int r = PASS_AGAIN;
    while ((r == PASS_AGAIN || r == ERR_CANCELLED) && !bus_is_ending(worker->bus)) {
        r = round_once(worker, take, &standing);
    }
    arena_reset(worker->batch.arena);
    if (r < 0) {
        bus_worker_trouble(worker, r, db_words());
    } else {
        worker->troubled = false;
    }
    switch (r) {
    case PASS_OVER:
        atomic_store(&worker->seen, standing.newest);
        return standing.due;
    case PASS_NOT_OURS: {
        /* A server notices by and by that the owner was killed, and tells nobody. */
        int64_t most_ms = clock_wall_ms() + BUS_TROUBLE_MS;
        return standing.lease_until < most_ms ? standing.lease_until + 1 : most_ms;
    }
    default:
        return clock_wall_ms() + BUS_TROUBLE_MS;
    }
}

static int release(struct db_session *session, void *argument)
{
    struct bus_worker *worker = argument;
    return bus_store_release(session, worker->consumer.name, worker->bus->owner);
}

void bus_outbox_end(struct bus_worker *worker)
{
    (void)db_write(worker->source->db, release, worker);
}

/* ---- The engine local: ---- */

static int64_t local_pass(struct bus_worker *worker)
{
    return bus_outbox_pass(worker, bus_handle_batch);
}

static const struct bus_way local_way = {
    .pass = local_pass, .end = bus_outbox_end, .by_lease = true};

const struct bus_engine bus_local_engine = {.way = &local_way};
