/* The bus (bus.h): what all engines have. Opening and closing, consumers, an event's way into the
 * outbox. From the caller's thread; which threads there are, bus_engine.h says.
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
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUS_MAGIC = 0x62757301 };

extern const struct db_migration bus_migrations[];
extern const unsigned bus_migration_count;

void bus_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void bus_wait_until(struct bus *bus, pthread_cond_t *cond, int64_t monotonic_ms)
{
    const struct timespec until = clock_timespec(monotonic_ms);
    (void)pthread_cond_timedwait(cond, &bus->lock, &until);
}

static void end_engine(struct bus *bus)
{
    if (bus->engine->close != NULL) {
        bus->engine->close(bus);
    }
    (void)pthread_cond_destroy(&bus->look);
    (void)pthread_mutex_destroy(&bus->lock);
    bus->magic = 0;
    free(bus);
}

static int open_engine(const struct bus_address *address, struct bus **ret_bus,
                       struct problem *problem)
{
    struct bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't start the bus: out of memory");
    }
    *bus = (struct bus){
        .magic = BUS_MAGIC,
        .engine = address->kind == BUS_KAFKA ? &bus_kafka_engine : &bus_local_engine,
        .retry_ms = address->retry_ms,
        .retry_max_ms = address->retry_max_ms,
        .prune_ms = address->prune_ms,
        .lease_ms = address->lease_ms,
    };
    randombytes_buf(&bus->owner, sizeof bus->owner);
    bus->owner = (bus->owner & INT64_MAX) | 1;
    (void)pthread_mutex_init(&bus->lock, NULL);
    bus_cond_init(&bus->look);
    int r = bus->engine->open != NULL ? bus->engine->open(bus, address, problem) : 0;
    if (r < 0) {
        end_engine(bus);
        return r;
    }
    *ret_bus = bus;
    return 0;
}

int bus_open(const char *url, struct bus **ret_bus, struct problem *problem)
{
    struct bus_address address;
    int r = bus_address_parse(url, &address, problem);
    if (r == 0) {
        r = open_engine(&address, ret_bus, problem);
        sodium_memzero(&address, sizeof address);
    }
    return r;
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

static int read_last(struct db_session *session, void *argument)
{
    return bus_store_last(session, argument);
}

/* New events come after all that there are: also in a database that was restored where places count
 * from elsewhere. */
static int keep_order(struct db *db, struct problem *problem)
{
    int64_t last = 0;
    int r = db_read(db, read_last, &last);
    r = r < 0 ? r : db_place_raise(db, last);
    return r < 0
               ? problem_set(problem, r, "Can't attach %s to the bus: %s", db_name(db), db_words())
               : 0;
}

static int attach(struct bus *bus, struct db *db, struct bus_source *source,
                  struct problem *problem)
{
    int r = db_migrate(db, bus_migrations, bus_migration_count, problem);
    if (r < 0 || (r = keep_order(db, problem)) < 0) {
        return r;
    }
    if ((r = db_alive_mark(db, bus->owner)) < 0) {
        return problem_set(problem, r, "Can't attach %s to the bus: %s", db_name(db), db_words());
    }
    *source =
        (struct bus_source){.bus = bus, .db = db, .committed = true, .seen = {.due = BUS_NEVER}};
    source->pruned_ms = clock_monotonic_ms();
    return bus->engine->attach != NULL ? bus->engine->attach(source, problem) : 0;
}

int bus_attach(struct bus *bus, struct db *db, struct problem *problem)
{
    assert(bus->magic == BUS_MAGIC);
    struct bus_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't attach %s to the bus: out of memory",
                           db_name(db));
    }
    int r = attach(bus, db, source, problem);
    if (r < 0) {
        free(source);
        return r;
    }
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

/* ---- Consumers ---- */

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

static struct bus_worker *make_worker(struct bus_source *source,
                                      const struct bus_consumer *consumer,
                                      const struct bus_way *way)
{
    struct bus_worker *worker = calloc(1, sizeof *worker);
    struct arena *arena = arena_new(0);
    struct bus_lane *lanes = way->by_lease ? NULL : calloc(source->partitions, sizeof *lanes);
    if (worker == NULL || arena == NULL || (lanes == NULL && !way->by_lease)) {
        free(worker);
        arena_free(arena);
        free(lanes);
        return NULL;
    }
    for (unsigned i = 0; lanes != NULL && i < source->partitions; i++) {
        lanes[i].number = i;
    }
    worker->lanes = lanes;
    worker->bus = source->bus;
    worker->source = source;
    worker->way = way;
    worker->consumer = *consumer;
    worker->batch.arena = arena;
    bus_cond_init(&worker->wake);
    bus_metrics_begin(worker);
    return worker;
}

static void free_worker(struct bus_worker *worker)
{
    bus_metrics_end(worker);
    arena_free(worker->batch.arena);
    (void)pthread_cond_destroy(&worker->wake);
    free(worker->lanes);
    free(worker);
}

int bus_add_worker(struct bus_source *source, const struct bus_consumer *consumer,
                   const struct bus_way *way)
{
    struct bus *bus = source->bus;
    struct bus_consumer copy = *consumer;
    int r = db_write(source->db, subscribe, &copy);
    if (r < 0) {
        return r;
    }
    struct bus_worker *worker = make_worker(source, consumer, way);
    if (worker == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_lock(&bus->lock);
    r = bus->started ? bus_worker_start(worker) : 0;
    if (r == 0) {
        worker->next = bus->workers;
        bus->workers = worker;
    }
    (void)pthread_mutex_unlock(&bus->lock);
    if (r < 0) {
        free_worker(worker);
    }
    return r;
}

int bus_subscribe(struct bus *bus, struct db *db, const struct bus_consumer *consumer)
{
    assert(bus->magic == BUS_MAGIC);
    assert(strlen(consumer->name) < BUS_NAME_MAX);
    assert((consumer->handle == NULL) != (consumer->handle_in == NULL));
    struct bus_source *source = find_source(bus, db);
    assert(source != NULL); /* bus_attach comes first */
    return bus_add_worker(source, consumer, bus->engine->way);
}

/* ---- Beginning and end ---- */

bool bus_is_ending(struct bus *bus)
{
    (void)pthread_mutex_lock(&bus->lock);
    bool ending = bus->ending;
    (void)pthread_mutex_unlock(&bus->lock);
    return ending;
}

/* The list only grows at its head, so from there it can be walked without the lock. */
struct bus_worker *bus_first_worker(struct bus *bus)
{
    (void)pthread_mutex_lock(&bus->lock);
    struct bus_worker *worker = bus->workers;
    (void)pthread_mutex_unlock(&bus->lock);
    return worker;
}

int bus_start(struct bus *bus)
{
    assert(bus->magic == BUS_MAGIC && !bus->started);
    int r = 0;
    (void)pthread_mutex_lock(&bus->lock);
    for (struct bus_worker *worker = bus->workers; worker != NULL && r == 0;
         worker = worker->next) {
        r = bus_worker_start(worker);
    }
    r = r == 0 ? bus_dispatch_start(bus) : r;
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
        bus_worker_poke(worker);
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
        free_worker(worker);
    }
    end_engine(bus);
}

int bus_ping(struct bus *bus, struct problem *problem)
{
    assert(bus->magic == BUS_MAGIC);
    return bus->engine->ping != NULL ? bus->engine->ping(bus, problem) : 0;
}
