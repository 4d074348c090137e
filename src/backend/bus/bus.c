/* The local bus (bus.h): outbox tables and in-process dispatch.
 *
 * Threads: one dispatcher, woken by the databases' commits, looks whether an outbox has grown and
 * pokes the consumers of that database; it also holds the leases of handlers that run long, and
 * prunes. Each consumer has a thread (bus_consumer.c), asleep while there is nothing for it: an
 * idle bus reads and writes nothing.
 *
 * Leases: a consumer's row names its owner and until when. It is taken when there is something to
 * handle and simply runs out when there is not. So several processes on one database share the work
 * by consumer. What a killed one held goes on elsewhere, or after its restart, at once: the
 * database knows who is alive (db_is_alive). The lease's end is for owners who live but are stuck.
 */
#include "backend/bus/bus.h"

#include "backend/bus/bus_engine.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/trace.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BUS_MAGIC = 0x62757301,
    RETRY_MS = 1000,
    RETRY_MS_MAX = 5 * 60 * 1000,
    LEASE_MS = 6000,
    WAIT_MS_MAX = 60 * 1000,
    PRUNE_EVERY_MS = 10 * 60 * 1000,
    STACK_BYTES = 256 * 1024,
};
static const int64_t KEPT_MS = INT64_C(7) * 24 * 3600 * 1000;

extern const struct db_migration bus_migrations[];
extern const unsigned bus_migration_count;

/* The number behind "name=" in a URL's query, or what it is unless said. */
static int64_t option(const char *url, const char *name, int64_t otherwise)
{
    const char *found = strstr(url, name);
    return found != NULL ? strtoll(found + strlen(name), NULL, 10) : otherwise;
}

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

int bus_open(const char *url, struct bus **ret_bus, struct problem *problem)
{
    if (strncmp(url, "local:", 6) != 0) {
        return problem_set(problem, ERR_INVALID, "The bus has an unknown store; use local:");
    }
    struct bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't start the bus: out of memory");
    }
    bus->magic = BUS_MAGIC;
    bus->retry_ms = option(url, "retry_ms=", RETRY_MS);
    bus->retry_max_ms = option(url, "retry_max_ms=", RETRY_MS_MAX);
    bus->prune_ms = option(url, "prune_ms=", PRUNE_EVERY_MS);
    bus->lease_ms = option(url, "lease_ms=", LEASE_MS);
    randombytes_buf(&bus->owner, sizeof bus->owner);
    bus->owner = (bus->owner & INT64_MAX) | 1;
    (void)pthread_mutex_init(&bus->lock, NULL);
    init_cond(&bus->look);
    *ret_bus = bus;
    return 0;
}

/* From the writer's thread of a database, after each commit. */
static void note_commit(void *argument)
{
    struct bus_source *source = argument;
    (void)pthread_mutex_lock(&source->bus->lock);
    source->committed = true;
    (void)pthread_cond_signal(&source->bus->look);
    (void)pthread_mutex_unlock(&source->bus->lock);
}

int bus_attach(struct bus *bus, struct db *db, struct problem *problem)
{
    assert(bus->magic == BUS_MAGIC);
    int r = db_migrate(db, bus_migrations, bus_migration_count, problem);
    if (r < 0) {
        return r;
    }
    if ((r = db_alive_mark(db, bus->owner)) < 0) {
        return problem_set(problem, r, "Can't attach %s to the bus: %s", db_name(db), db_words());
    }
    struct bus_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't attach %s to the bus: out of memory",
                           db_name(db));
    }
    *source = (struct bus_source){.bus = bus, .db = db, .committed = true, .due = BUS_NEVER};
    source->pruned_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&bus->lock);
    source->next = bus->sources;
    bus->sources = source;
    (void)pthread_mutex_unlock(&bus->lock);
    db_on_commit(db, note_commit, source);
    return 0;
}

int bus_emit(struct db_session *session, const char *type, const char *key, json_t *payload)
{
    assert(db_session_writes(session));
    assert(payload == NULL || json_is_object(payload));
    if (trace_current() != NULL && payload != NULL) {
        (void)json_object_set_new(payload, "trace", json_string(trace_current()));
    }
    char *text CLEANUP_FREE = payload != NULL ? json_dumps(payload, JSON_COMPACT) : NULL;
    json_decref(payload);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    if (strlen(text) > BUS_PAYLOAD_BYTES_MAX) {
        return ERR_TOO_LARGE;
    }
    const struct event event = {
        .id = id_next(), .type = type, .key = key, .payload = text, .created_ms = clock_wall_ms()};
    return bus_store_emit(session, &event);
}

bool bus_is_ending(struct bus *bus)
{
    (void)pthread_mutex_lock(&bus->lock);
    bool ending = bus->ending;
    (void)pthread_mutex_unlock(&bus->lock);
    return ending;
}

static void wait_until(struct bus *bus, pthread_cond_t *cond, int64_t monotonic_ms)
{
    struct timespec until = {.tv_sec = monotonic_ms / 1000,
                             .tv_nsec = monotonic_ms % 1000 * 1000000};
    (void)pthread_cond_timedwait(cond, &bus->lock, &until);
}

/* ---- A consumer's thread ---- */

static int release(struct db_session *session, void *argument)
{
    struct bus_worker *worker = argument;
    return bus_store_release(session, worker->consumer.name, worker->bus->owner);
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
            wait_until(bus, &worker->wake, clock_monotonic_ms() + ms);
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
        due_ms = bus_worker_pass(worker);
    }
    (void)db_write(worker->source->db, release, worker);
    return NULL;
}

static int start_worker(struct bus_worker *worker)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&worker->thread, &attributes, worker_main, worker);
    (void)pthread_attr_destroy(&attributes);
    worker->running = failed == 0;
    return failed == 0 ? 0 : ERR_UNAVAILABLE;
}

static int subscribe(struct db_session *session, void *argument)
{
    const struct bus_consumer *consumer = argument;
    return bus_store_subscribe(session, consumer->name, consumer->from_start);
}

static struct bus_source *find_source(struct bus *bus, const struct db *db)
{
    struct bus_source *source = bus->sources;
    while (source != NULL && source->db != db) {
        source = source->next;
    }
    return source;
}

int bus_subscribe(struct bus *bus, struct db *db, const struct bus_consumer *consumer)
{
    assert(bus->magic == BUS_MAGIC);
    assert(strlen(consumer->name) < BUS_NAME_MAX);
    assert((consumer->handle == NULL) != (consumer->handle_in == NULL));
    struct bus_source *source = find_source(bus, db);
    assert(source != NULL); /* bus_attach comes first */
    struct bus_consumer copy = *consumer;
    int r = db_write(db, subscribe, &copy);
    if (r < 0) {
        return r;
    }
    struct bus_worker *worker = calloc(1, sizeof *worker);
    struct arena *arena = arena_new(0);
    if (worker == NULL || arena == NULL) {
        free(worker);
        arena_free(arena);
        return ERR_NO_MEMORY;
    }
    worker->bus = bus;
    worker->source = source;
    worker->consumer = copy;
    worker->batch.arena = arena;
    init_cond(&worker->wake);
    bus_metrics_begin(worker);
    (void)pthread_mutex_lock(&bus->lock);
    r = bus->started ? start_worker(worker) : 0;
    if (r == 0) {
        worker->next = bus->workers;
        bus->workers = worker;
    }
    (void)pthread_mutex_unlock(&bus->lock);
    if (r < 0) {
        bus_metrics_end(worker);
        arena_free(arena);
        free(worker);
    }
    return r;
}

/* ---- The dispatcher ---- */

struct look {
    int64_t newest, due;
};

static int look_at_outbox(struct db_session *session, void *argument)
{
    struct look *look = argument;
    int r = bus_store_newest(session, &look->newest, &look->due);
    return r < 0 ? r : 0;
}

static void poke_all(struct bus *bus, const struct bus_source *source)
{
    (void)pthread_mutex_lock(&bus->lock);
    for (struct bus_worker *worker = bus->workers; worker != NULL; worker = worker->next) {
        if (worker->source == source) {
            worker->poked = true;
            (void)pthread_cond_signal(&worker->wake);
        }
    }
    (void)pthread_mutex_unlock(&bus->lock);
}

/* Pokes the consumers if an event came, or a waiting one became due earlier than was known. */
static void look_at(struct bus *bus, struct bus_source *source)
{
    struct look look = {0};
    if (db_read(source->db, look_at_outbox, &look) < 0) {
        poke_all(bus, source); /* they will see what is wrong, and say it */
        return;
    }
    if (look.newest > source->newest || look.due < source->due) {
        poke_all(bus, source);
    }
    source->newest = look.newest;
    source->due = look.due;
}

static int prune_some(struct db_session *session, void *argument)
{
    return bus_store_prune(session, *(int64_t *)argument);
}

static void prune_if_due(struct bus *bus, struct bus_source *source)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - source->pruned_ms < bus->prune_ms) {
        return;
    }
    source->pruned_ms = now_ms;
    int64_t before_ms = clock_wall_ms() - KEPT_MS;
    while (!bus_is_ending(bus) && db_write(source->db, prune_some, &before_ms) > 0) {
    }
}

/* The list only grows at its head, so from there it can be walked without the lock. */
static struct bus_worker *first_worker(struct bus *bus)
{
    (void)pthread_mutex_lock(&bus->lock);
    struct bus_worker *worker = bus->workers;
    (void)pthread_mutex_unlock(&bus->lock);
    return worker;
}

/* Renews the leases of handlers that run long, four times as often as they run out. */
static void keep_leases(struct bus *bus)
{
    int64_t now_ms = clock_monotonic_ms();
    for (struct bus_worker *worker = first_worker(bus); worker != NULL; worker = worker->next) {
        int64_t handed_ms = atomic_load(&worker->handed_ms);
        if (handed_ms != 0 && now_ms - handed_ms >= bus->lease_ms / 4 &&
            worker->consumer.handle != NULL) {
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
        wait_until(bus, &bus->look, clock_monotonic_ms() + ms);
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

int bus_start(struct bus *bus)
{
    assert(bus->magic == BUS_MAGIC && !bus->started);
    int r = 0;
    (void)pthread_mutex_lock(&bus->lock);
    for (struct bus_worker *worker = bus->workers; worker != NULL && r == 0;
         worker = worker->next) {
        r = start_worker(worker);
    }
    if (r == 0) {
        bus->dispatching = pthread_create(&bus->dispatcher, NULL, dispatcher_main, bus) == 0;
        r = bus->dispatching ? 0 : ERR_UNAVAILABLE;
    }
    bus->started = r == 0;
    (void)pthread_mutex_unlock(&bus->lock);
    return r;
}

static void end_threads(struct bus *bus)
{
    (void)pthread_mutex_lock(&bus->lock);
    bus->ending = true;
    (void)pthread_cond_signal(&bus->look);
    for (struct bus_worker *worker = bus->workers; worker != NULL; worker = worker->next) {
        (void)pthread_cond_signal(&worker->wake);
    }
    (void)pthread_mutex_unlock(&bus->lock);
    if (bus->dispatching) {
        (void)pthread_join(bus->dispatcher, NULL);
    }
    for (struct bus_worker *worker = bus->workers; worker != NULL; worker = worker->next) {
        if (worker->running) { /* not all are, when bus_start failed */
            (void)pthread_join(worker->thread, NULL);
        }
    }
}

void bus_close(struct bus *bus)
{
    if (bus == NULL) {
        return;
    }
    assert(bus->magic == BUS_MAGIC);
    end_threads(bus);
    while (bus->sources != NULL) {
        struct bus_source *source = bus->sources;
        bus->sources = source->next;
        db_off_commit(source->db, note_commit, source);
        free(source);
    }
    while (bus->workers != NULL) {
        struct bus_worker *worker = bus->workers;
        bus->workers = worker->next;
        bus_metrics_end(worker);
        arena_free(worker->batch.arena);
        (void)pthread_cond_destroy(&worker->wake);
        free(worker);
    }
    (void)pthread_cond_destroy(&bus->look);
    (void)pthread_mutex_destroy(&bus->lock);
    bus->magic = 0;
    free(bus);
}

/* ---- For tests and people ---- */

static bool all_have_seen(struct bus *bus, const struct bus_source *source, int64_t newest)
{
    bool all = true;
    (void)pthread_mutex_lock(&bus->lock);
    for (struct bus_worker *worker = bus->workers; worker != NULL; worker = worker->next) {
        all = all && (worker->source != source || atomic_load(&worker->seen) >= newest);
    }
    (void)pthread_mutex_unlock(&bus->lock);
    return all;
}

int bus_settle(struct bus *bus, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (struct bus_source *source = bus->sources; source != NULL; source = source->next) {
        struct look look = {0};
        int r = db_read(source->db, look_at_outbox, &look);
        while (r >= 0 && !all_have_seen(bus, source, look.newest)) {
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
