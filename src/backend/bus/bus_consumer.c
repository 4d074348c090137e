/* An event's life at a consumer (bus_engine.h), wherever it came from. On the consumer's thread.
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
 * 2. Every write checks in its transaction that the lease (or the lane: bus_group.c) is still ours;
 *    who lost it leaves without a trace, and the new owner starts from what was written.
 * 3. Of one key at most the first waiting event is due; so order holds per key. It is or will be,
 *    unless it is parked: whoever puts one behind others looks whether they are still there.
 */
#include "backend/bus/bus_engine.h"
#include "backend/bus/bus_lane_store.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "net/metrics.h"

#include <sodium.h>
#include <string.h>

enum { RECORD_MS = 200 /* handled events are recorded at least this often */ };

/* Moves the position in a session, if the lease or the lane is still ours (2); a lease is held for
 * longer. */
static int move(struct db_session *session, struct bus_worker *worker, int64_t position)
{
    const char *name = worker->consumer.name;
    const struct bus_lane *lane = worker->lane;
    return lane != NULL ? bus_lane_store_move(session, name, worker->source->topic, lane->number,
                                              worker->bus->owner, position)
                        : bus_store_move(session, name, worker->bus->owner, position,
                                         clock_wall_ms() + worker->bus->lease_ms);
}

struct move_work {
    struct bus_worker *worker;
    int64_t position;
};

static int move_alone(struct db_session *session, void *argument)
{
    struct move_work *work = argument;
    db_quiet(session);
    return move(session, work->worker, work->position);
}

/* After the commit: what is known of the lane. */
static void moved(struct bus_worker *worker, int64_t position)
{
    if (worker->lane != NULL && atomic_load(&worker->lane->position) < position) {
        atomic_store(&worker->lane->position, position);
    }
}

int bus_move(struct bus_worker *worker, int64_t position)
{
    struct move_work work = {.worker = worker, .position = position};
    int r = db_write(worker->source->db, move_alone, &work);
    if (r >= 0) {
        moved(worker, position);
    }
    return r;
}

bool bus_is_wanted(const struct bus_consumer *consumer, const char *type)
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

void bus_drop_unwanted(struct bus_worker *worker)
{
    struct bus_batch *batch = &worker->batch;
    unsigned kept = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        if (bus_is_wanted(&worker->consumer, batch->items[i].event.type)) {
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

static void tell_parked(const struct bus_worker *worker, const struct event *event, int error)
{
    log_event(LOG_ERROR, "bus.parked", log_text("consumer", worker->consumer.name),
              log_text("type", event->type), log_text("key", event->key),
              log_number("id", event->id), log_text("error", error_name(error)));
}

/* ---- New events ---- */

/* What becomes of a batch: items before `through` are done or go behind another; the one at
 * `through` failed, if `error` says so. */
struct record_work {
    struct bus_worker *worker;
    unsigned through;
    int error;
    int64_t last; /* the position to which the whole batch brings */
    bool call;    /* handle_in: the handlers run in this very transaction */
    bool begun;   /* it is run again: somebody was in the way */
    int failed_at;
};

static int64_t position_through(const struct bus_worker *worker, unsigned count, int64_t last)
{
    return count == worker->batch.count ? last : worker->batch.items[count - 1].sequence;
}

static int put_behind(struct db_session *session, struct bus_worker *worker,
                      const struct bus_item *item)
{
    worker->put_aside = true;
    return bus_store_put_behind(session, worker->consumer.name, item);
}

/* The effects of the run, in its write. What takes long is cut: nobody shall wait for its locks. */
static int call_run(struct db_session *session, struct record_work *work)
{
    struct bus_worker *worker = work->worker;
    int64_t began_ms = clock_monotonic_ms();
    bus_run_begins(worker);
    int r = move(session, worker, 0); /* ours? (2) */
    for (unsigned i = 0; i < work->through && r >= 0; i++) {
        const struct bus_item *item = &worker->batch.items[i];
        if (item->behind) {
            r = put_behind(session, worker, item);
        } else if ((r = bus_hand_over(worker, session, &item->event)) < 0) {
            work->failed_at = (int)i;
        }
        if (clock_monotonic_ms() - began_ms >= RECORD_MS) {
            work->through = i + 1;
        }
    }
    return r;
}

static int put_run_behind(struct db_session *session, const struct record_work *work)
{
    int r = 0;
    for (unsigned i = 0; i < work->through && r >= 0; i++) {
        const struct bus_item *item = &work->worker->batch.items[i];
        r = item->behind ? put_behind(session, work->worker, item) : 0;
    }
    return r;
}

static int put_failed_aside(struct db_session *session, const struct record_work *work)
{
    struct bus_worker *worker = work->worker;
    return bus_store_put_aside(session, worker->consumer.name, &worker->batch.items[work->through],
                               clock_wall_ms() + delay_ms(worker->bus, 1), error_name(work->error));
}

static int record(struct db_session *session, void *argument)
{
    struct record_work *work = argument;
    if (work->call && work->begun && work->through > 1) {
        work->through /= 2; /* of two writes in each other's way the shorter one gets past */
    }
    work->begun = true;
    work->failed_at = -1;
    int r = work->call ? call_run(session, work) : put_run_behind(session, work);
    unsigned through = work->through;
    if (r >= 0 && work->error < 0) {
        r = put_failed_aside(session, work);
        through++;
    }
    return r < 0 ? r
                 : move(session, work->worker, position_through(work->worker, through, work->last));
}

static int write_record(struct record_work *work)
{
    int r = db_write(work->worker->source->db, record, work);
    if (r >= 0) {
        unsigned through = work->through + (work->error < 0);
        moved(work->worker, position_through(work->worker, through, work->last));
    }
    return r;
}

static int record_failure(struct bus_worker *worker, unsigned through, int error, int64_t last)
{
    metric_add(worker->failed, 1);
    worker->put_aside = true;
    struct record_work work = {.worker = worker, .through = through, .error = error, .last = last};
    return write_record(&work);
}

/* handle_in: effects, position and waiting rows in one transaction. A failing event undoes the
 * run; what came before it is done again without it, then it fails alone. What a shorter run left
 * is the next one's. */
static int handle_inside(struct bus_worker *worker, int64_t last)
{
    unsigned count = worker->batch.count;
    while (count > 0) {
        struct record_work work = {.worker = worker, .through = count, .last = last, .call = true};
        int r = write_record(&work);
        if (r >= 0) {
            bus_run_ended(worker);
            metric_add(worker->done, work.through);
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
        if (!item->behind && (error = bus_hand_over(worker, NULL, &item->event)) < 0) {
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
    struct record_work work = {.worker = worker, .through = through, .last = last};
    return write_record(&work);
}

int bus_handle_batch(struct bus_worker *worker, int64_t last)
{
    return worker->consumer.handle_in != NULL ? handle_inside(worker, last)
                                              : handle_outside(worker, last);
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
    if (work->call) {
        bus_run_begins(worker);
        if ((work->result = bus_hand_over(worker, session, &item->event)) < 0) {
            return work->result;
        }
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

int bus_retry(struct bus_worker *worker, const struct bus_item *item)
{
    struct retry_work work = {.worker = worker, .item = item};
    if (worker->consumer.handle_in != NULL) {
        work.call = true;
        int r = db_write(worker->source->db, record_retry, &work);
        if (r >= 0) {
            bus_run_ended(worker);
        }
        if (r >= 0 || work.result >= 0) {
            metric_add(worker->done, r >= 0);
            return r;
        }
        work.call = false;
    } else {
        work.result = bus_hand_over(worker, NULL, &item->event);
    }
    metric_add(work.result < 0 ? worker->failed : worker->done, 1);
    int r = db_write(worker->source->db, record_retry, &work);
    if (r >= 0 && work.parked) {
        tell_parked(worker, &item->event, work.result);
    }
    return r;
}

int64_t bus_due_by(const struct bus *bus, int64_t due_ms, int64_t now_ms)
{
    int64_t far_ms = now_ms + 2 * bus->retry_max_ms;
    return due_ms != BUS_NEVER && due_ms > far_ms ? due_ms : now_ms;
}
