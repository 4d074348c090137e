/* Dead letters (bus_kafka.h): what a consumer gave up goes to the topic PREFIX.dead, once each time
 * that it is given up. Whoever has a database's relay does it, on the relay's thread.
 *
 * The parked row stays the truth (bus_waiting): it is what `tutti events` decides about, and its
 * told_at says that the topic has it. A letter is published before that is written, so after a kill
 * it may stand there twice; the same id, consumer and time of parking tell. Trouble here keeps no
 * event of the relay waiting: letters have a producer of their own, open while there are some.
 */
#include "backend/bus/bus_kafka.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <inttypes.h>
#include <stdio.h>

enum { LETTERS_MAX = 16, NUMBER_SIZE = 24 };

struct letters {
    struct bus_worker *worker;
    struct bus_letter list[LETTERS_MAX];
    unsigned count;
};

void bus_dead_topic(const struct bus_address *address, char ret_name[BUS_DEAD_SIZE])
{
    (void)snprintf(ret_name, BUS_DEAD_SIZE, "%s.dead", address->prefix);
}

static int read_letters(struct db_session *session, void *argument)
{
    struct letters *letters = argument;
    arena_reset(letters->worker->batch.arena);
    return bus_store_letters(session, letters->worker->batch.arena, LETTERS_MAX, letters->list,
                             &letters->count);
}

static int write_told(struct db_session *session, void *argument)
{
    const struct letters *letters = argument;
    int r = 0;
    for (unsigned i = 0; i < letters->count && r >= 0; i++) {
        r = bus_store_told(session, &letters->list[i], clock_wall_ms());
    }
    return r;
}

static void begin(struct bus_dead *dead, struct bus_kafka *kafka)
{
    char topic[BUS_DEAD_SIZE], labels[BUS_DEAD_SIZE + 16];
    bus_dead_topic(&kafka->address, topic);
    (void)snprintf(labels, sizeof labels, "topic=\"%s\"", topic);
    dead->told =
        metric_get(METRIC_COUNTER, "tutti_bus_dead_letters_total",
                   "Events given up that were published to the dead-letter topic.", labels);
    bus_client_begin(&dead->producer.client, kafka);
    dead->begun = true;
}

static void send_letter(struct bus_worker *worker, struct bus_dead *dead, const char *topic,
                        const struct bus_letter *letter)
{
    const struct bus_parked *parked = &letter->parked;
    char tries[NUMBER_SIZE], parked_at[NUMBER_SIZE], partition[NUMBER_SIZE];
    unsigned from = bus_partition(parked->event.key, worker->source->partitions);
    (void)snprintf(tries, sizeof tries, "%" PRId64, parked->tries);
    (void)snprintf(parked_at, sizeof parked_at, "%" PRId64, parked->parked_ms);
    (void)snprintf(partition, sizeof partition, "%u", from);
    const struct bus_header more[] = {{"consumer", parked->consumer},
                                      {"error", parked->error},
                                      {"tries", tries},
                                      {"parked", parked_at},
                                      {"origin", worker->source->topic},
                                      {"partition", partition}};
    const struct bus_item item = {.event = parked->event, .sequence = letter->sequence};
    bus_producer_send(&dead->producer, topic, 0, &item, more, COUNT_OF(more));
}

/* With a producer that is open: all are acknowledged and marked, or words say why not. */
static int publish(struct letters *letters, struct bus_dead *dead, struct problem *problem)
{
    char topic[BUS_DEAD_SIZE];
    bool made;
    bus_dead_topic(&dead->producer.client.kafka->address, topic);
    int r = bus_topic_ensure(&dead->producer.client,
                             &(struct bus_topic){topic, 1, BUS_DEAD_KEPT_MS}, &made, problem);
    if (r < 0) {
        return r;
    }
    bus_producer_begin(&dead->producer);
    for (unsigned i = 0; i < letters->count; i++) {
        send_letter(letters->worker, dead, topic, &letters->list[i]);
    }
    if (!bus_producer_await(&dead->producer, letters->worker)) {
        return bus_client_problem(&dead->producer.client, dead->producer.failure,
                                  "publishing dead letters", problem);
    }
    metric_add(dead->told, letters->count);
    r = db_write(letters->worker->source->db, write_told, letters);
    return r < 0 ? problem_set(problem, r, "dead letters of %s: %s", letters->worker->source->topic,
                               db_words())
                 : 0;
}

int64_t bus_dead_pass(struct bus_worker *worker, struct bus_dead *dead)
{
    struct letters letters = {.worker = worker};
    struct problem problem = {0};
    if (clock_monotonic_ms() < dead->again_ms) {
        return clock_wall_ms() + dead->again_ms - clock_monotonic_ms();
    }
    if (atomic_load(&worker->source->untold) == 0) {
        return BUS_NEVER; /* the dispatcher wakes us when there are some */
    }
    int r = db_read(worker->source->db, read_letters, &letters);
    if (r >= 0 && letters.count == 0) {
        return BUS_NEVER;
    }
    r = r < 0 ? r : bus_worker_lease(worker);
    if (r <= 0) { /* another's, who may die; or the database's trouble, which others tell of */
        return clock_wall_ms() + worker->bus->lease_ms;
    }
    if (!dead->begun) {
        begin(dead, worker->bus->kafka);
    }
    r = bus_producer_open(&dead->producer, &problem);
    r = r < 0 ? r : publish(&letters, dead, &problem);
    bus_client_close(&dead->producer.client);
    arena_reset(worker->batch.arena);
    if (!bus_is_ending(worker->bus)) {
        bus_client_tell(&dead->producer.client, r < 0 ? problem.detail : "");
    }
    int64_t pause_ms = r < 0 ? worker->bus->lease_ms + BUS_TROUBLE_MS : 0;
    dead->again_ms = clock_monotonic_ms() + pause_ms;
    return clock_wall_ms() + pause_ms;
}

void bus_dead_end(struct bus_dead *dead)
{
    if (dead->begun) {
        bus_client_end(&dead->producer.client);
    }
}
