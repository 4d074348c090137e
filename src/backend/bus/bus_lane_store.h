/* The rows that only the engine kafka: has (schema/002-lanes.sql): topics, and how far each
 * consumer has come in each partition. Functions run inside of a session's work. */
#pragma once

#include "backend/bus/bus_store.h"

/* The number of partitions that a topic is used with: what was asked for first. */
int bus_lane_store_topic(struct db_session *session, const char *topic, int64_t partitions,
                         int64_t *ret_partitions);
/* Puts a relay back to what some consumer has not seen: its topic is new. */
int bus_lane_store_rewind(struct db_session *session, const char *relay);

/* Makes the lane the owner's, whoever had it: who has the partition is Kafka's decision. */
int bus_lane_store_claim(struct db_session *session, const char *consumer, const char *topic,
                         unsigned lane, int64_t owner, int64_t *ret_position);
/* Moves the position (never back). ERR_CANCELLED: the lane is another's by now. */
int bus_lane_store_move(struct db_session *session, const char *consumer, const char *topic,
                        unsigned lane, int64_t owner, int64_t position);
/* The positions of count lanes, and the whole consumer's, before which none is. */
int bus_lane_store_positions(struct db_session *session, const char *consumer, const char *topic,
                             int64_t *positions, unsigned count, int64_t *ret_whole);
/* Moves the position of the whole consumer (never back). */
int bus_lane_store_advance(struct db_session *session, const char *consumer, int64_t position);

/* Reads the outbox after a place: give it each event until it says false. */
struct bus_reading {
    int64_t after;
    bool (*take)(void *argument, int64_t sequence, const char *key);
    void *argument;
};
/* 1: there may be more, 0: that was the end. */
int bus_lane_store_read(struct db_session *session, const struct bus_reading *reading);

/* A consumer's waiting events: how many, and when the next is due that is not due by now. */
int bus_lane_store_waiting(struct db_session *session, const char *consumer, int64_t now_ms,
                           int64_t *ret_count, int64_t *ret_due_ms);
/* 1: an event of that key waits. */
int bus_lane_store_waits(struct db_session *session, const char *consumer, const char *key);
/* Those that are due, by sequence, after one of them. */
int bus_lane_store_due(struct db_session *session, const char *consumer, int64_t now_ms,
                       int64_t after, struct bus_batch *batch);
