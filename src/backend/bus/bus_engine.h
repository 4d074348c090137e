/* The bus from inside: what its files share.
 *
 *   bus.c            opening, closing, consumers, an event's way in
 *   bus_dispatch.c   the dispatcher: looks at outboxes, pokes workers, keeps leases, prunes
 *   bus_worker.c     a worker's thread
 *   bus_consumer.c   an event's life: handlers, retries, waiting rows
 *   bus_hand_over.c  the call of a handler
 *   bus_outbox.c     a worker's way to events by the outbox: consumers of local:, relays of kafka:
 *   bus_kafka.c …    the engine kafka:
 *   bus_people.c     what tests, people and doctors ask
 */
#pragma once

#include "backend/bus/bus_address.h"
#include "backend/bus/bus_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct bus_kafka;
struct bus_worker;
struct metric;

enum { BUS_TROUBLE_MS = 1000, BUS_TOPIC_SIZE = BUS_PREFIX_MAX + BUS_NAME_MAX };

/* A database whose outbox is dispatched. */
struct bus_source {
    struct bus *bus;
    struct db *db;
    bool committed;                  /* under bus->lock: to be looked at */
    struct bus_look seen;            /* the dispatcher's, last */
    _Atomic int64_t untold;          /* letters, at the dispatcher's last look; for all */
    int64_t pruned_ms;               /* the dispatcher's, monotonic */
    char topic[BUS_TOPIC_SIZE];      /* of Kafka */
    char relay[BUS_TOPIC_SIZE + 16]; /* the name under which its relay keeps its place */
    unsigned partitions;
    struct bus_source *next;
};

/* What a position belongs to, where it is not the whole consumer: a partition of Kafka. The
 * worker's thread changes it; others look at what is atomic. */
struct bus_lane {
    unsigned number;
    _Atomic int64_t position; /* all up to here is done, waiting or not wanted */
    _Atomic bool claimed;     /* the database's row says that it is ours */
    bool assigned;            /* Kafka says so */
    bool dirty;               /* the position is ahead of its row */
    int64_t next_offset;      /* to read from once the row has the position, -1: as before */
};

/* How a worker comes by its events. All of it runs on the worker's thread but for wake. */
struct bus_way {
    /* Handles all there is to do. Returns the wall time at which to look again without a poke. */
    int64_t (*pass)(struct bus_worker *worker);
    /* What else ends a pass's waiting; under bus->lock, NULL: nothing. */
    void (*wake)(struct bus_worker *worker);
    /* Gives back what it holds, at the end of the thread. */
    void (*end)(struct bus_worker *worker);
    bool by_lease; /* its row in bus_consumer is leased while it works */
};

struct bus_worker {
    struct bus *bus;
    struct bus_source *source;
    const struct bus_way *way;
    struct bus_consumer consumer;
    pthread_t thread;
    pthread_cond_t wake;
    bool running;       /* the thread is there, to be joined */
    bool poked, active; /* under bus->lock */
    struct bus_worker *next;

    /* Its thread's own. */
    struct bus_batch batch;
    struct bus_lane *lane;     /* whose events are in work; NULL: the consumer has one position */
    struct bus_lane *lanes;    /* source->partitions of them; NULL: likewise */
    void *engine;              /* struct relay, struct group */
    int64_t skipped;           /* nothing wanted between its position and here */
    unsigned skipped_count;    /* events that were skipped since a position was written */
    int64_t other, other_ms;   /* who had the lease and was alive, when asked: monotonic */
    bool put_aside;            /* something waits that did not */
    bool troubled;             /* the last pass failed: told once */
    _Atomic int64_t seen;      /* newest event of the last pass that found nothing left to do */
    _Atomic int64_t handed_ms; /* monotonic: since when a handler runs, 0: none does */
    struct metric *done, *failed;
};

/* What differs between local: and kafka:. Functions may be NULL where there is nothing to do. */
struct bus_engine {
    int (*open)(struct bus *bus, const struct bus_address *address, struct problem *problem);
    /* A database joins; its outbox is migrated. */
    int (*attach)(struct bus_source *source, struct problem *problem);
    /* Brings worker->seen up to date, where passes don't; any thread. */
    int (*look)(struct bus_worker *worker);
    int (*ping)(struct bus *bus, struct problem *problem);
    void (*close)(struct bus *bus); /* the threads have ended; also after a failed open */
    const struct bus_way *way;      /* of consumers */
};

struct bus {
    unsigned magic;
    const struct bus_engine *engine;
    struct bus_kafka *kafka;
    pthread_mutex_t lock;
    pthread_cond_t look; /* for the dispatcher */
    struct bus_source *sources;
    struct bus_worker *workers;
    pthread_t dispatcher;
    bool started, ending;
    bool dispatching; /* the dispatcher is there, to be joined */
    int64_t owner;    /* random: who we are in leases */
    int64_t retry_ms, retry_max_ms, lease_ms, prune_ms;
};

bool bus_is_ending(struct bus *bus);
void bus_cond_init(pthread_cond_t *cond);
/* Waits on a condition under bus->lock. */
void bus_wait_until(struct bus *bus, pthread_cond_t *cond, int64_t monotonic_ms);
/* A worker more; it begins with the bus, or at once if that has begun. consumer is copied. */
int bus_add_worker(struct bus_source *source, const struct bus_consumer *consumer,
                   const struct bus_way *way);

/* The list only grows at its head, so from there it can be walked without the lock. */
struct bus_worker *bus_first_worker(struct bus *bus);

/* bus_worker.c; these two under bus->lock */
int bus_worker_start(struct bus_worker *worker);
void bus_worker_poke(struct bus_worker *worker);
/* Brings worker->seen up to date; any thread. */
int bus_worker_look(struct bus_worker *worker);
/* Says once that it does not get on. */
void bus_worker_trouble(struct bus_worker *worker, int error, const char *words);

/* bus_dispatch.c */
int bus_dispatch_start(struct bus *bus); /* under bus->lock */

/* bus_consumer.c: handlers over worker->batch, whose positions are of worker->lane. */
/* Hands over the batch, or its head, and records how far it came; last: the position to which all
 * of it brings. Negative where nothing could be recorded; ERR_CANCELLED: it is another's by now. */
int bus_handle_batch(struct bus_worker *worker, int64_t last);
/* Tries an event again that was waiting. */
int bus_retry(struct bus_worker *worker, const struct bus_item *item);
bool bus_is_wanted(const struct bus_consumer *consumer, const char *type);
/* Leaves what the consumer wants, in order. */
void bus_drop_unwanted(struct bus_worker *worker);
/* Moves the position alone. */
int bus_move(struct bus_worker *worker, int64_t position);
/* What is due by now, of what is due next. */
int64_t bus_due_by(const struct bus *bus, int64_t due_ms, int64_t now_ms);

/* bus_hand_over.c */
/* session: NULL for a handler that works outside. The handler's error, or 0. */
int bus_hand_over(struct bus_worker *worker, struct db_session *session, const struct event *event);
/* What handle_in has around it (bus.h). */
void bus_run_begins(const struct bus_worker *worker);
void bus_run_ended(const struct bus_worker *worker);

/* bus_outbox.c */
extern const struct bus_engine bus_local_engine;
/* A pass by the outbox and a lease: take handles worker->batch, as bus_handle_batch does. */
typedef int bus_take(struct bus_worker *worker, int64_t last);
int64_t bus_outbox_pass(struct bus_worker *worker, bus_take *take);
void bus_outbox_end(struct bus_worker *worker);
/* Holds the lease for longer. 1: held, 0: another's. */
int bus_worker_lease(struct bus_worker *worker);

/* bus_kafka.c */
extern const struct bus_engine bus_kafka_engine;

/* bus_metrics.c: tells /metrics how the consumer stands. */
void bus_metrics_begin(struct bus_worker *worker);
void bus_metrics_end(struct bus_worker *worker);
