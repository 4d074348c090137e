/* Joining a group and leaving it (bus_group.h); partitions come and go in between. */
#include "backend/bus/bus_group.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    HANDLER_MS_MAX = 300000, /* then Kafka gives its partitions to others */
    NUMBER_SIZE = 24,
};

static void let_go(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    for (unsigned i = 0; i < worker->source->partitions; i++) {
        worker->lanes[i].assigned = worker->lanes[i].dirty = false;
        worker->lanes[i].next_offset = -1;
        atomic_store(&worker->lanes[i].claimed, false);
    }
    if (group->held != NULL) {
        rd_kafka_message_destroy(group->held);
        group->held = NULL;
    }
    worker->batch.count = 0;
    group->ask_ms = 0;
}

/* From within a poll, on our thread. What is handled is recorded, so a partition can go at once. */
static void rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t error,
                      rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct bus_client *client = opaque;
    struct bus_worker *worker = client->worker;
    struct group *group = worker->engine;
    if (error != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        if (group->moved) {
            (void)group_flush(worker);
        }
        let_go(worker);
        (void)rd_kafka_assign(handle, NULL);
        return;
    }
    for (int i = 0; i < list->cnt; i++) {
        struct bus_lane *lane = group_lane(worker, list->elems[i].partition);
        if (lane != NULL) {
            lane->assigned = true;
        }
    }
    group_shared(worker, list->cnt);
    group->looked_ms = 0; /* events may wait there */
    (void)rd_kafka_assign(handle, list);
}

static void take_rebalances(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_rebalance_cb(conf, rebalance);
}

static void set_queue(struct bus_worker *worker, rd_kafka_queue_t *queue)
{
    struct group *group = worker->engine;
    (void)pthread_mutex_lock(&worker->bus->lock);
    rd_kafka_queue_t *before = group->queue;
    group->queue = queue;
    (void)pthread_mutex_unlock(&worker->bus->lock);
    if (before != NULL) {
        rd_kafka_queue_destroy(before);
    }
}

void group_leave(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    if (group->client.handle == NULL) {
        return;
    }
    set_queue(worker, NULL);
    if (group->client.words[0] == '\0') { /* only this thread writes them */
        (void)rd_kafka_consumer_close(group->client.handle);
    }
    let_go(worker);
    bus_client_close(&group->client);
}

void group_name(const struct bus_worker *worker, char ret_name[GROUP_NAME_SIZE])
{
    (void)snprintf(ret_name, GROUP_NAME_SIZE, "%s.%s", worker->source->topic,
                   worker->consumer.name);
}

static int open_consumer(struct bus_worker *worker, struct problem *problem)
{
    struct group *group = worker->engine;
    char name[GROUP_NAME_SIZE], session[NUMBER_SIZE], beat[NUMBER_SIZE], most[NUMBER_SIZE];
    int64_t lease_ms = worker->bus->lease_ms;
    int64_t most_ms = lease_ms > HANDLER_MS_MAX ? lease_ms : HANDLER_MS_MAX;
    group_name(worker, name);
    (void)snprintf(session, sizeof session, "%" PRId64, lease_ms);
    (void)snprintf(beat, sizeof beat, "%" PRId64, lease_ms / 4 < 3000 ? lease_ms / 4 : 3000);
    (void)snprintf(most, sizeof most, "%" PRId64, most_ms);
    const char *const settings[] = {"group.id",
                                    name,
                                    "session.timeout.ms",
                                    session,
                                    "heartbeat.interval.ms",
                                    beat,
                                    "max.poll.interval.ms",
                                    most,
                                    "enable.auto.offset.store",
                                    "false",
                                    "auto.commit.interval.ms",
                                    "1000",
                                    "auto.offset.reset",
                                    "earliest",
                                    "queued.max.messages.kbytes",
                                    "4096",
                                    "fetch.error.backoff.ms",
                                    "100",
                                    NULL};
    return bus_client_open(&group->client, RD_KAFKA_CONSUMER, settings, take_rebalances, problem);
}

static rd_kafka_resp_err_t subscribe(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    rd_kafka_t *handle = group->client.handle;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, worker->source->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    set_queue(worker, rd_kafka_queue_get_consumer(handle));
    return error;
}

int group_join(struct bus_worker *worker, struct problem *problem)
{
    struct group *group = worker->engine;
    int r = group->client.handle == NULL ? open_consumer(worker, problem) : 0;
    r = r != 0 ? r
               : bus_topic_look(&group->client, worker->source->topic, worker->source->partitions,
                                problem);
    if (r != 0) {
        return r;
    }
    (void)rd_kafka_poll_set_consumer(group->client.handle);
    rd_kafka_resp_err_t error = subscribe(worker);
    return error == 0 ? 0 : bus_client_problem(&group->client, error, "joining a group", problem);
}
