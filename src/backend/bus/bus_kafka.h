/* The engine kafka: from inside.
 *
 *   outbox ──relay, by lease──► topic PREFIX.DATABASE ──a group a consumer──► lanes ──► handlers
 *
 *   bus_kafka.c   clients of librdkafka, what they say of themselves, the engine
 *   bus_topic.c   makes topics, and looks whether they are as asked for
 *   bus_rights.c  what our user may, for tutti doctor
 *   bus_producer.c  a client that publishes
 *   bus_relay.c   publishes the outbox in its order
 *   bus_dead.c    publishes what was given up, to PREFIX.dead
 *   bus_group.c …  reads a topic as a member of a group and hands events over (bus_group.h)
 *
 * A client belongs to its worker's thread; librdkafka's own threads only log. No client, and so no
 * thread of it, is there before its worker has begun.
 */
#pragma once

#include "backend/bus/bus_engine.h"

#include <librdkafka/rdkafka.h>

enum { BUS_KAFKA_WAIT_MS = 3000, BUS_KAFKA_WORDS = 384, BUS_TOLD_MAX = 16 };

struct bus_client {
    struct bus_kafka *kafka;
    struct bus_worker *worker; /* whose it is, NULL: a command's */
    rd_kafka_t *handle;        /* NULL: closed */
    rd_kafka_resp_err_t error; /* the last that concerns the whole client, 0: none */
    bool numbered;             /* of an idempotent producer: the brokers have let it in */
    char reason[192];
    char words[BUS_KAFKA_WORDS]; /* what keeps it from working, "" nothing; under kafka->lock */
    struct bus_client *next;
};

struct bus_kafka {
    struct bus_address address;
    pthread_mutex_t lock;
    struct bus_client *clients;
    char told[BUS_KAFKA_WORDS]; /* what was logged last, "" all is well */
    struct {
        uint64_t hash;
        int64_t at_ms;
    } lines[BUS_TOLD_MAX]; /* librdkafka's, logged lately */
    unsigned line;
};

/* bus_kafka.c */
void bus_client_begin(struct bus_client *client, struct bus_kafka *kafka);
/* Opens it with settings "name", "value", … NULL besides those that all clients have; set may be
 * NULL and gives callbacks to the configuration. */
int bus_client_open(struct bus_client *client, rd_kafka_type_t type, const char *const *settings,
                    void (*set)(rd_kafka_conf_t *conf), struct problem *problem);
void bus_client_close(struct bus_client *client);
/* It closes, and is troubled no more. */
void bus_client_end(struct bus_client *client);
/* What it says to readiness, and once to the log; "": nothing any more. */
void bus_client_tell(struct bus_client *client, const char *words);
/* Words for why nothing came of a call; of the client's last error if that says more. */
int bus_client_problem(struct bus_client *client, rd_kafka_resp_err_t error, const char *what,
                       struct problem *problem);
/* The brokers know us, and do not let us. */
bool bus_is_refusal(rd_kafka_resp_err_t error);
/* The partition of a key. Never changes, for order hangs on it: murmur2 as Java's clients have. */
unsigned bus_partition(const char *key, unsigned partitions);

/* bus_producer.c: on its worker's thread. */
struct bus_producer {
    struct bus_client client;    /* the first member: deliveries are told to it */
    unsigned acked, sent;        /* of the batch in work */
    rd_kafka_resp_err_t failure; /* of one of them */
};
struct bus_header {
    const char *name, *value;
};
/* Idempotent, gapless, and never gives up by itself. */
int bus_producer_open(struct bus_producer *producer, struct problem *problem);
/* Begins a batch. */
void bus_producer_begin(struct bus_producer *producer);
/* Hands an event over with the headers that all have, and more; a failure stays in the producer. */
void bus_producer_send(struct bus_producer *producer, const char *topic, unsigned partition,
                       const struct bus_item *item, const struct bus_header *more, unsigned count);
/* Waits until all are acknowledged, one has failed, the bus ends or the time is over. The worker's
 * lease is held meanwhile. True: all are acknowledged. */
bool bus_producer_await(struct bus_producer *producer, struct bus_worker *worker);

/* bus_topic.c */
struct bus_topic {
    const char *name;
    unsigned partitions;
    const char *kept_ms; /* how long it keeps events, once we make it */
};
/* How long the topic of a database keeps them: as long as the outbox does. */
#define BUS_TOPIC_KEPT_MS "604800000"
/* Makes the topic if it isn't there; ret_made tells. Then looks whether it has the partitions and
 * copies. Negative with words. */
int bus_topic_ensure(struct bus_client *client, const struct bus_topic *topic, bool *ret_made,
                     struct problem *problem);
/* Looks only. ERR_NOT_FOUND: it isn't there (yet). */
int bus_topic_look(struct bus_client *client, const char *topic, unsigned partitions,
                   struct problem *problem);

/* bus_rights.c: ERR_FORBIDDEN with words that name what our user lacks, as far as can be told
 * without changing anything; topic: one of ours, which need not be there. */
int bus_rights_check(struct bus_kafka *kafka, const char *topic, struct problem *problem);

/* bus_dead.c */
/* The dead-letter topic of an installation. */
void bus_dead_topic(const struct bus_address *address, char ret_name[BUS_DEAD_SIZE]);
#define BUS_DEAD_KEPT_MS "2592000000" /* 30 days */
struct bus_dead {
    struct bus_producer producer; /* open only while it publishes */
    bool begun;
    int64_t again_ms; /* monotonic: not before, after trouble */
    struct metric *told;
};
/* Publishes what was parked and not told yet, where the worker's lease is ours. Returns the wall
 * time at which to look again without a poke. */
int64_t bus_dead_pass(struct bus_worker *worker, struct bus_dead *dead);
void bus_dead_end(struct bus_dead *dead);

/* bus_relay.c, bus_group.c */
extern const struct bus_way bus_relay_way, bus_group_way;
int bus_group_look(struct bus_worker *worker);
