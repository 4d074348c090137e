/* The relay (bus_kafka.h): publishes a database's outbox to its topic. One at a time, by lease, on
 * its worker's thread.
 *
 * 1. Events are published in the order of their sequence, and the place (the position of the
 *    consumer BUS_RELAY topic) moves only when the brokers have acknowledged all before it.
 * 2. A producer is idempotent and gapless, and waits for ever: in each partition the events of one
 *    producer stand in order, without one missing between two that are there. What fails ends the
 *    producer; the next one begins at the place.
 * 3. So before an event stands in a partition, all earlier ones of that partition stand there,
 *    whoever published them: who reads it may pass over whatever is not newer than what it had. A
 *    relay that was thought dead and lives can only repeat.
 * 4. The partition follows from the key and from a number kept in the database, so that a topic
 * that got more partitions keeps each key where it was.
 *
 * A relay that can't reach Kafka lets its lease run out and comes back later than others would take
 * it: it may be cut off alone.
 */
#include "backend/bus/bus_kafka.h"
#include "backend/bus/bus_lane_store.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <stdlib.h>

struct relay {
    struct bus_producer producer;
    struct bus_dead dead;
    bool begun; /* the topic is as it should be, or another is the relay */
    bool told;  /* that we are the relay */
};

static int rewind_relay(struct db_session *session, void *argument)
{
    const struct bus_worker *worker = argument;
    return bus_lane_store_rewind(session, worker->consumer.name);
}

/* A producer and its topic. A topic that was just made lacks what an earlier one of its name had:
 * that is published again, as far as some consumer has not seen it. 1: the place may have moved. */
static int open_topic(struct bus_worker *worker, struct problem *problem)
{
    struct relay *relay = worker->engine;
    bool made = false;
    const struct bus_topic topic = {worker->source->topic, worker->source->partitions,
                                    BUS_TOPIC_KEPT_MS};
    int r = bus_producer_open(&relay->producer, problem);
    r = r != 0 ? r : bus_topic_ensure(&relay->producer.client, &topic, &made, problem);
    if (r == 0 && made) {
        log_event(LOG_INFO, "bus.kafka.topic", log_text("topic", worker->source->topic),
                  log_number("partitions", worker->source->partitions));
        r = db_write(worker->source->db, rewind_relay, worker);
    }
    if (r < 0) {
        bus_client_close(&relay->producer.client);
        return r;
    }
    return made;
}

/* ---- Publishing ---- */

static int fail(struct bus_worker *worker, const struct problem *problem)
{
    struct relay *relay = worker->engine;
    bus_client_close(&relay->producer.client);
    bus_client_tell(&relay->producer.client, problem->detail);
    bus_worker_trouble(worker, problem->code, problem->detail);
    return problem->code;
}

static void tell_relay(const struct bus_worker *worker, struct relay *relay)
{
    if (!relay->told) {
        log_event(LOG_INFO, "bus.kafka.relay", log_text("topic", worker->source->topic));
    }
    relay->told = true;
}

static int publish(struct bus_worker *worker, int64_t last)
{
    struct relay *relay = worker->engine;
    struct bus_producer *producer = &relay->producer;
    struct problem problem = {0};
    tell_relay(worker, relay);
    if (producer->client.handle == NULL) {
        int r = open_topic(worker, &problem);
        if (r != 0) {
            return r < 0 ? fail(worker, &problem) : 0;
        }
    }
    bus_producer_begin(producer);
    for (unsigned i = 0; i < worker->batch.count; i++) {
        const struct bus_item *item = &worker->batch.items[i];
        bus_producer_send(producer, worker->source->topic,
                          bus_partition(item->event.key, worker->source->partitions), item, NULL,
                          0);
    }
    if (bus_producer_await(producer, worker)) {
        bus_client_tell(&producer->client, "");
        metric_add(worker->done, producer->acked);
        return bus_move(worker, last);
    }
    if (bus_is_ending(worker->bus)) {
        return 0;
    }
    metric_add(worker->failed, 1);
    (void)bus_client_problem(&producer->client, producer->failure, "publishing events", &problem);
    return fail(worker, &problem);
}

/* ---- The way ---- */

static struct relay *begin(struct bus_worker *worker)
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay != NULL) {
        relay->producer.client.worker = worker;
        bus_client_begin(&relay->producer.client, worker->bus->kafka);
        worker->engine = relay;
    }
    return relay;
}

/* The topic is made before there is an event, for who subscribes waits for it. */
static int prepare(struct bus_worker *worker, struct relay *relay)
{
    struct problem problem = {0};
    int r = bus_worker_lease(worker);
    if (r > 0) {
        r = open_topic(worker, &problem);
        if (r < 0) {
            return fail(worker, &problem);
        }
        bus_client_tell(&relay->producer.client, "");
    }
    relay->begun = r >= 0;
    return r;
}

static int64_t relay_pass(struct bus_worker *worker)
{
    struct relay *relay = worker->engine != NULL ? worker->engine : begin(worker);
    if (relay == NULL) {
        return clock_wall_ms() + BUS_TROUBLE_MS;
    }
    int r = relay->begun ? 0 : prepare(worker, relay);
    int64_t due_ms = r < 0 ? 0 : bus_outbox_pass(worker, publish);
    if (r >= 0 && !worker->troubled) { /* published, if by another that is the relay now */
        bus_client_tell(&relay->producer.client, "");
        int64_t dead_ms = bus_dead_pass(worker, &relay->dead);
        return dead_ms < due_ms ? dead_ms : due_ms;
    }
    if (relay->producer.client.words[0] ==
        '\0') { /* the database's trouble; only this thread writes them */
        return clock_wall_ms() + BUS_TROUBLE_MS;
    }
    int64_t lease_ms = worker->bus->lease_ms;
    return clock_wall_ms() + (lease_ms < BUS_TROUBLE_MS ? BUS_TROUBLE_MS : lease_ms * 3 / 2);
}

static void relay_end(struct bus_worker *worker)
{
    struct relay *relay = worker->engine;
    bus_outbox_end(worker);
    if (relay != NULL) {
        bus_dead_end(&relay->dead);
        bus_client_end(&relay->producer.client);
        free(relay);
        worker->engine = NULL;
    }
}

const struct bus_way bus_relay_way = {.pass = relay_pass, .end = relay_end, .by_lease = true};
