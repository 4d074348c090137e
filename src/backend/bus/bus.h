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

enum { BUS_TRIES_MAX = 10, BUS_PAYLOAD_BYTES_MAX = 256 * 1024, BUS_NAME_MAX = 64 };

/* At most so many events of a consumer go into one write. */
enum { BUS_RUN_MAX = 64 };

struct event {
    int64_t id;          /* time-ordered */
    const char *type;    /* "track.uploaded", "media.ready", … */
    const char *key;     /* the entity, "track:123": order holds per key */
    const char *payload; /* JSON text */
    int64_t created_ms;
};

/* url "local:", or "kafka://[USER:PASSWORD@]HOST:PORT,HOST:PORT" with options (bus_address.h):
 * "?retry_ms=5&retry_max_ms=20&lease_ms=300". Nothing is connected here: a Kafka that is away is
 * waited for. ERR_INVALID with words that hold no password. */
int bus_open(const char *url, struct bus **ret_bus, struct problem *problem);
/* For readiness: 0, or what keeps events from flowing; they wait in the outbox meanwhile. */
int bus_ping(struct bus *bus, struct problem *problem);
/* For `tutti doctor`: connects, and looks whether the topics of these databases (NULL-terminated)
 * are there as asked for, or could be made, and that of dead letters, whose name ret_dead gets; ""
 * where the engine has none. Changes nothing. */
enum { BUS_DEAD_SIZE = 72 };
int bus_check(const char *url, const char *const *databases, char ret_dead[BUS_DEAD_SIZE],
              struct problem *problem);
/* Tells the bus of a database whose outbox it dispatches; runs the outbox's migrations in it. */
int bus_attach(struct bus *bus, struct db *db, struct problem *problem);

/* Writes the event in the session's transaction (session must be of a write). Takes the reference
 * to payload, an object; NULL is one that could not be made (ERR_NO_MEMORY), so that callers need
 * not look. ERR_TOO_LARGE past BUS_PAYLOAD_BYTES_MAX. */
int bus_emit(struct db_session *session, const char *type, const char *key, json_t *payload);

/* A consumer: name is kept with its position, so it must not change. types: NULL-terminated list,
 * NULL for all; everything it points to must stay. From now on for a new name: `from_start` says
 * whether a new consumer sees what is there (7 days are kept). One of two handlers, negative means
 * try again; both run one event at a time per consumer:
 *   handle     on a thread of the bus; free to read, write and call out. The position moves
 *              afterwards, so after a crash the last few events come again.
 *   handle_in  inside the write that moves the position, in the database of the event: its effect
 *              there happens exactly once. Quick, no I/O but the session, may be run again after a
 *              rollback. What waits is handled in runs, up to BUS_RUN_MAX events or 200 ms of them
 *              in a write; one that fails undoes the run, which is made again without it.
 * With handle_in, both may be NULL; for what is to follow the effects:
 *   before     a run begins, maybe the same one again: forget what was noted of the last
 *   after      it is committed; on a thread of the bus. Not called if the process dies before. */
struct bus_consumer {
    const char *name;
    const char *const *types;
    int from_start;
    int (*handle)(void *context, const struct event *event);
    void *context;
    int (*handle_in)(struct db_session *session, void *context, const struct event *event);
    void (*before)(void *context);
    void (*after)(void *context);
};
/* Before or after bus_start. */
int bus_subscribe(struct bus *bus, struct db *db, const struct bus_consumer *consumer);
/* Begins dispatching; bus_close ends it after the running handlers. */
int bus_start(struct bus *bus);
void bus_close(struct bus *bus);
/* For tests: waits until every consumer has seen all committed events, or timeout. */
int bus_settle(struct bus *bus, int64_t timeout_ms);

/* For caches, which every process has its own of: the next events of the outbox after *place, which
 * moves on; at most BUS_NEWS_MAX, so ask again while as many come. A negative *place gives none and
 * becomes the newest: from now on. Inside a read; strings in the arena. No position is kept, and
 * what came while nobody asked for days may be gone. */
enum { BUS_NEWS_MAX = 256 };
struct bus_news {
    const char *type, *key;
};
struct arena;
int bus_news(struct db_session *session, struct arena *arena, int64_t *place,
             struct bus_news **ret_news, unsigned *ret_count);

/* How many events stand behind place: right after bus_news gave fewer than it may, those that
 * committed before others which still run. */
int bus_news_left(struct db_session *session, int64_t place, int64_t *ret_left);

/* Parked events, for people (`tutti doctor`). */
struct bus_parked {
    const char *consumer;
    struct event event;
    int64_t tries, parked_ms;
    const char *error; /* the name of the last error */
    int64_t behind;    /* later events of its key that wait for it */
};
/* The oldest first, at most limit; strings in the arena. */
int bus_parked_list(struct db *db, struct arena *arena, unsigned limit,
                    struct bus_parked **ret_parked, unsigned *ret_count);
/* Tries a parked event again, with all its tries. ERR_NOT_FOUND: not parked (any more). */
int bus_parked_retry(struct db *db, const char *consumer, int64_t event_id);
/* Gives a parked event up: it counts as handled and those behind it go on. */
int bus_parked_drop(struct db *db, const char *consumer, int64_t event_id);
/* What a consumer has not seen of what it takes, for who looks from outside (`tutti doctor`). */
struct bus_interest {
    const char *consumer;
    const char *const *types; /* NULL-terminated */
};
struct bus_unseen {
    int64_t count;
    int64_t oldest_ms; /* when the oldest was emitted, 0: there is none */
};
/* ERR_NOT_FOUND: the consumer never subscribed here. */
int bus_unseen_look(struct db *db, const struct bus_interest *interest,
                    struct bus_unseen *ret_unseen);
/* When the newest event of a database was emitted, wall ms; 0: there is none. */
int bus_newest_time(struct db *db, int64_t *ret_ms);
/* Forgets a consumer that no version has any more; its position no longer keeps old events. */
int bus_forget(struct db *db, const char *consumer);
