/* Events: what changed, told once to everyone who wants to know.
 *
 * An event is a row of the outbox table, written in the transaction of the change itself (bus_emit
 * takes the session). A dispatcher reads each database's outbox in commit order and hands events to
 * consumers, in order per key; each consumer keeps its own position in the database, moved after
 * the effect, so effects must be idempotent by event id. A handler that fails is tried again with
 * growing, jittered delays (1 s to 5 min); after BUS_TRIES_MAX the event is parked, shown in
 * metrics and `tutti doctor`, and later events of its key wait behind it. Several processes on one
 * database: a consumer's position has a lease, one process at a time works for it.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct bus;
struct db;
struct db_session;
struct problem;

enum { BUS_TRIES_MAX = 10 };

struct event {
    int64_t id;          /* time-ordered */
    const char *type;    /* "track.uploaded", "media.ready", … */
    const char *key;     /* the entity, "track:123": order holds per key */
    const char *payload; /* JSON text */
    int64_t created_ms;
};

/* url "local:". */
int bus_open(const char *url, struct bus **ret_bus, struct problem *problem);
/* Tells the bus of a database whose outbox it dispatches; runs the outbox's migrations in it. */
int bus_attach(struct bus *bus, struct db *db, struct problem *problem);

/* Writes the event in the session's transaction (session must be of a write). Takes the reference
 * to payload. */
int bus_emit(struct db_session *session, const char *type, const char *key, json_t *payload);

/* A consumer: name is kept with its position, so it must not change. types: NULL-terminated list,
 * NULL for all. From now on for a new name: `from_start` says whether a new consumer sees what is
 * there. handle: 0 done, ERR_… try again; runs on the bus's threads, one event at a time per
 * consumer. */
struct bus_consumer {
    const char *name;
    const char *const *types;
    int from_start;
    int (*handle)(void *context, const struct event *event);
    void *context;
};
int bus_subscribe(struct bus *bus, struct db *db, const struct bus_consumer *consumer);
/* Begins dispatching; bus_close ends it after the running handlers. */
int bus_start(struct bus *bus);
void bus_close(struct bus *bus);
/* For tests: waits until every consumer has seen all committed events, or timeout. */
int bus_settle(struct bus *bus, int64_t timeout_ms);
