/* The bus's rows (schema/): one function a statement or a step. Included by bus*.c alone. Functions
 * with a session run inside of work; times are wall ms. */
#pragma once

#include "backend/bus/bus.h"
#include "backend/db/db.h"

struct arena;

/* next_at of what is not due by itself: parked, or behind an earlier event of its key. */
#define BUS_NEVER INT64_MAX

enum { BUS_BATCH_MAX = BUS_RUN_MAX };

struct bus_item {
    struct event event;
    int64_t sequence;
    int64_t tries; /* so far, of a waiting one */
    int behind;    /* an earlier event of its key waits */
};

struct bus_batch {
    struct arena *arena; /* holds the strings */
    struct bus_item items[BUS_BATCH_MAX];
    unsigned count;
};

/* One look at where a consumer stands. */
struct bus_standing {
    int64_t position, owner, lease_until; /* of the consumer */
    int64_t newest;                       /* sequence in the outbox */
    int64_t due;                          /* when its next waiting event is to be tried */
    int64_t parked;                       /* how many of its events are */
};

/* Events have a sequence: the order in which every consumer sees them. Those at or above
 * db_place_settled are there for nobody yet: a smaller one may still come. */

/* What the dispatcher looks at after each commit, in one statement. */
struct bus_look {
    int64_t newest; /* event, its sequence */
    int64_t due;    /* when the first of all that wait is due */
    int64_t untold; /* how many are parked that no dead-letter topic has */
};
int bus_store_look(struct db_session *session, struct bus_look *ret_look);
/* When the oldest event was emitted that stands behind both seen and the consumer's position.
 * ERR_NOT_FOUND: there is none. */
int bus_store_oldest(struct db_session *session, const char *consumer, int64_t seen,
                     int64_t *ret_created_ms);
int bus_store_standing(struct db_session *session, const char *consumer,
                       struct bus_standing *ret_standing);
/* The highest sequence of all, settled or not. */
int bus_store_last(struct db_session *session, int64_t *ret_sequence);
int bus_store_emit(struct db_session *session, const struct event *event);
int bus_store_subscribe(struct db_session *session, const char *consumer, int from_start);
/* Runs a query whose one row holds integers. 1: there was a row, 0: none. */
int bus_store_row(struct db_session *session, const char *sql, const struct db_value *binds,
                  unsigned count, int64_t *ret_numbers, unsigned numbers);
/* Reads a query's rows of sequence, id, type, entity_key, payload, created_at, tries, behind. */
int bus_store_read_items(struct db_rows *rows, struct bus_batch *batch);
/* Events after a position, in order; waiting ones that are due, the earliest first. */
int bus_store_events(struct db_session *session, const char *consumer, int64_t after,
                     struct bus_batch *batch);
int bus_store_due(struct db_session *session, const char *consumer, int64_t now_ms,
                  struct bus_batch *batch);
/* 1: the lease is the owner's until then; 0: another's. */
int bus_store_lease(struct db_session *session, const char *consumer, int64_t owner, int64_t now_ms,
                    int64_t until_ms);
/* Takes the lease from an owner who is known to be dead: 1, or 0 if it is another's by now. */
int bus_store_inherit(struct db_session *session, const char *consumer, int64_t dead, int64_t owner,
                      int64_t until_ms);
int bus_store_release(struct db_session *session, const char *consumer, int64_t owner);
/* Moves the position (never back) and the lease's end. ERR_CANCELLED: it is another's by now. */
int bus_store_move(struct db_session *session, const char *consumer, int64_t owner,
                   int64_t position, int64_t until_ms);
/* Puts an event aside that failed once, to be tried again at next_at. */
int bus_store_put_aside(struct db_session *session, const char *consumer,
                        const struct bus_item *item, int64_t next_at, const char *error);
/* Puts one behind those of its key that wait; where none waits any more it is due. */
int bus_store_put_behind(struct db_session *session, const char *consumer,
                         const struct bus_item *item);
int bus_store_try_later(struct db_session *session, const char *consumer, int64_t sequence,
                        int64_t tries, int64_t next_at, const char *error);
int bus_store_park(struct db_session *session, const char *consumer, int64_t sequence,
                   int64_t tries, int64_t now_ms, const char *error);
/* Takes a waiting event out and makes the next of its key due. */
int bus_store_waited(struct db_session *session, const char *consumer, int64_t sequence,
                     const char *key);
/* Names of the relays of kafka: begin so, followed by the topic. */
#define BUS_RELAY "kafka."
/* Deletes some events that all consumers have passed and that are older; returns how many. Relays
 * count where they are in use. */
int bus_store_prune(struct db_session *session, int64_t before_ms, bool relays);

int bus_store_parked(struct db_session *session, struct arena *arena, unsigned limit,
                     struct bus_parked *ret_parked, unsigned *ret_count);
/* A parked event that the dead-letter topic was not told of. */
struct bus_letter {
    struct bus_parked parked;
    int64_t sequence;
};
/* The first given up first, at most limit; strings in the arena. */
int bus_store_letters(struct db_session *session, struct arena *arena, unsigned limit,
                      struct bus_letter *ret_letters, unsigned *ret_count);
/* Unless it was tried again, and parked again, meanwhile. */
int bus_store_told(struct db_session *session, const struct bus_letter *letter, int64_t now_ms);
int bus_store_newest_time(struct db_session *session, int64_t *ret_ms);
/* Events of one type behind the consumer's position. */
int bus_store_unseen(struct db_session *session, const char *consumer, const char *type,
                     struct bus_unseen *ret_unseen);
int bus_store_unpark(struct db_session *session, const char *consumer, int64_t event_id);
int bus_store_drop(struct db_session *session, const char *consumer, int64_t event_id);
int bus_store_forget(struct db_session *session, const char *consumer);
