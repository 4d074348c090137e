/* A consumer's membership of its group, from inside: what the files of bus_group.c share. On the
 * worker's thread, but for bus_group_look.
 *
 *   bus_group.c        the pass: runs are handled, waiting events tried again
 *   bus_group_join.c   joining the group and leaving it, partitions that come and go
 *   bus_group_lanes.c  lanes and their rows, offsets, how far the whole consumer is
 *   bus_group_share.c  whether the group has shared its partitions out
 *   bus_group_read.c   messages into a run
 */
#pragma once

#include "backend/bus/bus_kafka.h"

enum { GROUP_NAME_SIZE = BUS_TOPIC_SIZE + BUS_NAME_MAX + 2 };

/* worker->engine */
struct group {
    struct bus_client client;
    rd_kafka_queue_t *queue;   /* under bus->lock, for who wakes us */
    rd_kafka_message_t *held;  /* read, and of the next run */
    int64_t last, next_offset; /* of the run in work */
    int64_t due_ms;            /* wall: when the next waiting event is due */
    int64_t looked_ms;         /* monotonic: when waiting events were looked at */
    int64_t flushed_ms, probed_ms, troubled_ms, joining_ms; /* monotonic */
    int64_t refused_ms; /* monotonic: when the brokers last did not let us read, or when we joined
                           anew to see whether they do now; 0: they let us */
    bool proving;       /* … the latter */
    bool moved;         /* since the last flush */
    int64_t ask_ms;     /* monotonic: when to ask whether anybody has a partition; 0: no need */
};

/* bus_group_lanes.c */
/* NULL: there is no such partition. */
struct bus_lane *group_lane(struct bus_worker *worker, int32_t partition);
/* Writes us into the lane's row, if we are not there yet. */
int group_claim(struct bus_worker *worker, struct bus_lane *lane);
/* What the row covers need not be read again. */
void group_store_offset(struct bus_worker *worker, struct bus_lane *lane);
/* Writes what only memory has: lanes that went over unwanted events, and the consumer's position.
 */
int group_flush(struct bus_worker *worker);
int64_t group_flush_in_ms(const struct bus_worker *worker);

/* bus_group_join.c */
void group_name(const struct bus_worker *worker, char ret_name[GROUP_NAME_SIZE]);
int group_join(struct bus_worker *worker, struct problem *problem);
/* Commits what is stored and tells the group, if it can be reached. */
void group_leave(struct bus_worker *worker);

/* bus_group_share.c */
/* We were given so many partitions. */
void group_shared(struct bus_worker *worker, int count);
/* When there is something to ask; INT64_MAX: nothing. */
int64_t group_ask_in_ms(const struct bus_worker *worker);
/* Nobody of the group has a partition: it is to be joined anew. Asks the brokers where that is due,
 * and waits for them. */
bool group_is_unshared(struct bus_worker *worker);

/* bus_group_read.c */
/* We read, or have joined for long enough without being refused. */
void group_allowed(struct bus_worker *worker);
/* Reads a run: messages of one lane, which becomes worker->lane. 1: there is one, 0: none. */
int group_read_run(struct bus_worker *worker, int64_t wait_ms);
