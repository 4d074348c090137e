/* The local bus from inside: what bus.c (threads) and bus_consumer.c (passes) share. */
#pragma once

#include "backend/bus/bus_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct metric;

/* A database whose outbox is dispatched. */
struct bus_source {
    struct bus *bus;
    struct db *db;
    bool committed;      /* under bus->lock: to be looked at */
    int64_t newest, due; /* the dispatcher's: what it saw last */
    int64_t pruned_ms;   /* the dispatcher's, monotonic */
    struct bus_source *next;
};

struct bus_worker {
    struct bus *bus;
    struct bus_source *source;
    struct bus_consumer consumer;
    pthread_t thread;
    pthread_cond_t wake;
    bool running;       /* the thread is there, to be joined */
    bool poked, active; /* under bus->lock */
    struct bus_worker *next;

    /* Its thread's own. */
    struct bus_batch batch;
    int64_t skipped;           /* nothing wanted between its position and here */
    bool troubled;             /* the last pass failed: told once */
    _Atomic int64_t seen;      /* newest event of the last pass that found nothing left to do */
    _Atomic int64_t handed_ms; /* monotonic: since when a handler runs, 0: none does */
    struct metric *done, *failed;
};

struct bus {
    unsigned magic;
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

/* Handles all there is to do. Returns the wall time at which to look again without being poked. */
int64_t bus_worker_pass(struct bus_worker *worker);
/* Holds the lease for longer. 1: held, 0: another's. */
int bus_worker_lease(struct bus_worker *worker);
bool bus_is_ending(struct bus *bus);
/* Tells /metrics how the consumer stands (bus_metrics.c). */
void bus_metrics_begin(struct bus_worker *worker);
void bus_metrics_end(struct bus_worker *worker);
