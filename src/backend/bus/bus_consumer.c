/* One consumer's pass over what is new and what waits (bus_engine.h). On the consumer's thread.
 *
 *   event ──► behind an earlier one of its key? ──yes──► waiting (NEVER)
 *                │ no                                       ▲        │ the one before is done
 *                ▼                        tries left        │        ▼
 *             handler ──failed──► waiting (after a delay) ──┴──► handler … ──10th failure──► parked
 *                │ done                                               │ done
 *                ▼                                                    ▼
 *             position moves                                 row deleted, next of its key due
 *
 * 1. All events up to the position are done, or have a row in bus_waiting.
 * 2. Every write checks in its transaction that the lease is still ours; who lost it leaves without
 *    a trace, and the new owner starts from what was written.
 * 3. Events that nobody here wants move only `skipped`, in memory: a commit of theirs would wake
 * the disk for nothing. It is written along with the next position, or after SKIPPED_MAX.
 * 4. Of one key at most the first waiting event is due; so order holds per key.
 */
#include "backend/bus/bus_engine.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/trace.h"
#include "net/header.h"
#include "net/metrics.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    SKIPPED_MAX = 1000,
    RECORD_MS = 200, /* handled events are recorded at least this often */
    TROUBLE_MS = 1000,
};

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

/* Moves the position in a session, if the lease is still ours (2), and holds it for longer. */
static int move(struct db_session *session, struct bus_worker *worker, int64_t position)
{
    return bus_store_move(session, worker->consumer.name, worker->bus->owner, position,
                          clock_wall_ms() + worker->bus->lease_ms);
}

struct lease_work {
    struct bus_worker *worker;
    int64_t now_ms;
};

static int take_lease(struct db_session *session, void *argument)
{
    struct lease_work *work = argument;
    struct bus *bus = work->worker->bus;
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

/* Takes the lease, also before it ran out if its owner was killed. 1: ours, 0: another's. */
static int take_or_inherit(struct bus_worker *worker, int64_t owner)
{
    int r = bus_worker_lease(worker);
    if (r != 0 || db_is_alive(worker->source->db, owner)) {
        return r;
    }
    struct inherit_work work = {.worker = worker, .dead = owner};
    return db_write(worker->source->db, inherit, &work);
}

static bool is_wanted(const struct bus_consumer *consumer, const char *type)
{
    if (consumer->types == NULL) {
        return true;
    }
    for (unsigned i = 0; consumer->types[i] != NULL; i++) {
        if (strcmp(consumer->types[i], type) == 0) {
            return true;
        }
    }
    return false;
}

/* Keeps the wanted ones, in order. */
static void drop_unwanted(struct bus_worker *worker)
{
    struct bus_batch *batch = &worker->batch;
    unsigned kept = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        if (is_wanted(&worker->consumer, batch->items[i].event.type)) {
            batch->items[kept++] = batch->items[i];
        }
    }
    batch->count = kept;
}

/* 1 s, 2 s, 4 s … 5 min, ±20 %, so that what failed together does not come back together. */
static int64_t delay_ms(const struct bus *bus, int64_t tries)
{
    int64_t delay = bus->retry_ms;
    for (int64_t i = 1; i < tries && delay < bus->retry_max_ms; i++) {
        delay *= 2;
    }
    delay = delay < bus->retry_max_ms ? delay : bus->retry_max_ms;
    int64_t fifth = delay / 5;
    return delay - fifth + (int64_t)randombytes_uniform((uint32_t)(2 * fifth + 1));
}

static int hand_over(const struct bus_consumer *consumer, struct db_session *session,
                     const struct event *event)
{
    return consumer->handle_in != NULL ? consumer->handle_in(session, consumer->context, event)
                                       : consumer->handle(consumer->context, event);
}

/* The traceparent that bus_emit put into the payload; false where there is none, or none that is
 * recorded. The quotes of a text inside the payload are escaped, so it can't be mistaken. */
static bool trace_of(const struct event *event, char ret_trace[TRACE_PARENT_SIZE])
{
    static const char name[] = "\"trace\":\"";
    const char *found = trace_is_on() ? strstr(event->payload, name) : NULL;
    if (found == NULL) {
        return false;
    }
    (void)snprintf(ret_trace, TRACE_PARENT_SIZE, "%.55s", found + sizeof name - 1);
    return header_traceparent(ret_trace) && trace_is_sampled(ret_trace);
}

/* The handling as a part of the trace that the event came from. */
static int hand_over_traced(const struct bus_consumer *consumer, struct db_session *session,
                            const struct event *event, const char *trace)
{
    struct span span;
    char name[SPAN_NAME_SIZE];
    (void)snprintf(name, sizeof name, "process %s", event->type);
    span_begin(&span, trace, SPAN_CONSUMER, name);
    span_text(&span, "messaging.system", "tutti");
    span_text(&span, "messaging.operation.type", "process");
    span_text(&span, "messaging.destination.name", event->type);
    span_text(&span, "messaging.consumer.group.name", consumer->name);
    span_number(&span, "tutti.event.age_ms", clock_wall_ms() - event->created_ms);
    const char *before = trace_enter(span.self);
    int r = hand_over(consumer, session, event);
    (void)trace_enter(before);
    span_end(&span, r < 0);
    return r;
}

static int call_handler(struct bus_worker *worker, struct db_session *session,
                        const struct event *event)
{
    char trace[TRACE_PARENT_SIZE];
    atomic_store(&worker->handed_ms, clock_monotonic_ms());
    int r = trace_of(event, trace) ? hand_over_traced(&worker->consumer, session, event, trace)
                                   : hand_over(&worker->consumer, session, event);
    atomic_store(&worker->handed_ms, 0);
    return r < 0 ? r : 0;
}

static void tell_parked(const struct bus_worker *worker, const struct event *event, int error)
{
    log_event(LOG_ERROR, "bus.parked", log_text("consumer", worker->consumer.name),
              log_text("type", event->type), log_text("key", event->key),
              log_number("event", event->id), log_text("error", error_name(error)));
}

/* ---- New events ---- */

/* What became of a batch: items before `through` are done or go behind another; the one at
 * `through` failed, if `error` says so. */
struct record_work {
    struct bus_worker *worker;
    unsigned through;
    int error;
    int64_t position;
    bool call; /* handle_in: the handlers run in this very transaction */
    int failed_at;
};

static int put_behind(struct db_session *session, struct bus_worker *worker,
                      const struct bus_item *item)
{
    return bus_store_put_aside(session, worker->consumer.name, item, 0, BUS_NEVER, NULL);
}

static int record(struct db_session *session, void *argument)
{
    struct record_work *work = argument;
    struct bus_worker *worker = work->worker;
    const char *name = worker->consumer.name;
    work->failed_at = -1;
    int r = move(session, worker, work->position);
    for (unsigned i = 0; i < work->through && r >= 0; i++) {
        const struct bus_item *item = &worker->batch.items[i];
        if (item->behind) {
            r = put_behind(session, worker, item);
        } else if (work->call && (r = call_handler(worker, session, &item->event)) < 0) {
            work->failed_at = (int)i;
        }
    }
    if (r >= 0 && work->error < 0) {
        const struct bus_item *item = &worker->batch.items[work->through];
        r = bus_store_put_aside(session, name, item, 1, clock_wall_ms() + delay_ms(worker->bus, 1),
                                error_name(work->error));
    }
    return r;
}

static int64_t position_through(const struct bus_worker *worker, unsigned count, int64_t last)
{
    return count == worker->batch.count ? last : worker->batch.items[count - 1].sequence;
}

static int record_failure(struct bus_worker *worker, unsigned through, int error, int64_t last)
{
    metric_add(worker->failed, 1);
    struct record_work work = {.worker = worker,
                               .through = through,
                               .error = error,
                               .position = position_through(worker, through + 1, last)};
    return db_write(worker->source->db, record, &work);
}

/* handle_in: effects, position and waiting rows in one transaction. A failing event undoes the
 * batch; what came before it is done again without it, then it fails alone. */
static int handle_inside(struct bus_worker *worker, int64_t last)
{
    unsigned count = worker->batch.count;
    while (count > 0) {
        struct record_work work = {.worker = worker,
                                   .through = count,
                                   .position = position_through(worker, count, last),
                                   .call = true};
        int r = db_write(worker->source->db, record, &work);
        if (r >= 0) {
            metric_add(worker->done, count);
            return 0;
        }
        if (work.failed_at < 0) {
            return r;
        }
        if (work.failed_at == 0) {
            return record_failure(worker, 0, r, last);
        }
        count = (unsigned)work.failed_at;
    }
    return 0;
}

/* handle: effects first, one after another, then the record of them. */
static int handle_outside(struct bus_worker *worker, int64_t last)
{
    int64_t began_ms = clock_monotonic_ms();
    unsigned through = 0;
    int error = 0;
    while (through < worker->batch.count && clock_monotonic_ms() - began_ms < RECORD_MS &&
           !bus_is_ending(worker->bus)) {
        const struct bus_item *item = &worker->batch.items[through];
        if (!item->behind && (error = call_handler(worker, NULL, &item->event)) < 0) {
            break;
        }
        through++;
    }
    metric_add(worker->done, through);
    if (error < 0) {
        return record_failure(worker, through, error, last);
    }
    if (through == 0) {
        return 0;
    }
    struct record_work work = {
        .worker = worker, .through = through, .position = position_through(worker, through, last)};
    return db_write(worker->source->db, record, &work);
}

/* ---- Waiting events that are due ---- */

struct retry_work {
    struct bus_worker *worker;
    const struct bus_item *item;
    int result;
    bool call, parked;
};

static int record_retry(struct db_session *session, void *argument)
{
    struct retry_work *work = argument;
    struct bus_worker *worker = work->worker;
    const char *name = worker->consumer.name;
    const struct bus_item *item = work->item;
    int r = move(session, worker, 0);
    if (r < 0) {
        return r;
    }
    if (work->call && (work->result = call_handler(worker, session, &item->event)) < 0) {
        return work->result;
    }
    if (work->result >= 0) {
        return bus_store_waited(session, name, item->sequence, item->event.key);
    }
    int64_t tries = item->tries + 1, now_ms = clock_wall_ms();
    work->parked = tries >= BUS_TRIES_MAX;
    return work->parked ? bus_store_park(session, name, item->sequence, tries, now_ms,
                                         error_name(work->result))
                        : bus_store_try_later(session, name, item->sequence, tries,
                                              now_ms + delay_ms(worker->bus, tries),
                                              error_name(work->result));
}

static int retry_one(struct bus_worker *worker, const struct bus_item *item)
{
    struct retry_work work = {.worker = worker, .item = item};
    if (worker->consumer.handle_in != NULL) {
        work.call = true;
        int r = db_write(worker->source->db, record_retry, &work);
        if (r >= 0 || work.result >= 0) {
            metric_add(worker->done, r >= 0);
            return r;
        }
        work.call = false;
    } else {
        work.result = call_handler(worker, NULL, &item->event);
    }
    metric_add(work.result < 0 ? worker->failed : worker->done, 1);
    int r = db_write(worker->source->db, record_retry, &work);
    if (r >= 0 && work.parked) {
        tell_parked(worker, &item->event, work.result);
    }
    return r;
}

static int retry_due(struct bus_worker *worker)
{
    int r = 0;
    for (unsigned i = 0; i < worker->batch.count && r >= 0 && !bus_is_ending(worker->bus); i++) {
        r = retry_one(worker, &worker->batch.items[i]);
    }
    return r;
}

/* ---- The pass ---- */

static int move_over_skipped(struct db_session *session, void *argument)
{
    struct bus_worker *worker = argument;
    return move(session, worker, worker->skipped);
}

/* Nothing of the batch is wanted: go over it (3). */
static int skip(struct bus_worker *worker, const struct bus_standing *standing, int64_t last)
{
    worker->skipped = last;
    if (last - standing->position < SKIPPED_MAX) {
        return 0;
    }
    int r = bus_worker_lease(worker);
    return r <= 0 ? r : db_write(worker->source->db, move_over_skipped, worker);
}

/* Held, and for long enough that bus.c's keeper comes in time if the handler is slow. */
static bool holds_lease(const struct bus_worker *worker, const struct bus_standing *standing,
                        int64_t now_ms)
{
    return standing->owner == worker->bus->owner &&
           standing->lease_until - now_ms > worker->bus->lease_ms * 2 / 3;
}

/* What is due by now. A time that no delay reaches was written before the clock was put back: it
 * counts as come, too. */
static int64_t due_by(const struct bus_worker *worker, const struct bus_standing *standing,
                      int64_t now_ms)
{
    int64_t far_ms = now_ms + 2 * worker->bus->retry_max_ms;
    return standing->due != BUS_NEVER && standing->due > far_ms ? standing->due : now_ms;
}

enum { PASS_AGAIN = 0, PASS_OVER = 1, PASS_NOT_OURS = 2 };

/* One round: a batch of what is due, else of what is new. */
static int round_once(struct bus_worker *worker, struct bus_standing *ret_standing)
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
    struct fetch_work work = {.worker = worker, .now_ms = due_by(worker, standing, now_ms)};
    work.due = standing->due <= work.now_ms;
    work.after = standing->position > worker->skipped ? standing->position : worker->skipped;
    if (!work.due && standing->newest <= work.after) {
        return PASS_OVER;
    }
    if ((r = db_read(db, fetch, &work)) < 0 || worker->batch.count == 0) {
        return r;
    }
    int64_t last = worker->batch.items[worker->batch.count - 1].sequence;
    if (!work.due) {
        drop_unwanted(worker);
        if (worker->batch.count == 0) {
            return skip(worker, standing, last);
        }
    }
    if (!holds_lease(worker, standing, now_ms)) {
        r = take_or_inherit(worker, standing->owner);
        return r < 0 ? r : r == 0 ? PASS_NOT_OURS : PASS_AGAIN; /* look anew, it may have moved */
    }
    return work.due                             ? retry_due(worker)
           : worker->consumer.handle_in != NULL ? handle_inside(worker, last)
                                                : handle_outside(worker, last);
}

int64_t bus_worker_pass(struct bus_worker *worker)
{
    struct bus_standing standing = {0};
    int r = PASS_AGAIN;
    while ((r == PASS_AGAIN || r == ERR_CANCELLED) && !bus_is_ending(worker->bus)) {
        r = round_once(worker, &standing);
    }
    arena_reset(worker->batch.arena);
    if (r < 0 && !worker->troubled) {
        log_event(LOG_WARNING, "bus.trouble", log_text("consumer", worker->consumer.name),
                  log_text("error", error_name(r)), log_text("words", db_words()));
    }
    worker->troubled = r < 0;
    switch (r) {
    case PASS_OVER:
        atomic_store(&worker->seen, standing.newest);
        return standing.due;
    case PASS_NOT_OURS: {
        int64_t most_ms = clock_wall_ms() + worker->bus->lease_ms;
        return standing.lease_until < most_ms ? standing.lease_until + 1 : most_ms;
    }
    default:
        return clock_wall_ms() + TROUBLE_MS;
    }
}
