/* A client that publishes (bus_kafka.h): of the relay, and of the dead-letter topic. On its
 * worker's thread. */
#include "backend/bus/bus_kafka.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PUBLISH_MS_MAX = 10 * 1000, SERVE_MS = 100, NUMBER_SIZE = 24, HEADERS = 4 };

/* From within rd_kafka_poll, on our thread. */
static void note_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    struct bus_producer *producer = opaque; /* its client is its first member */
    if (message->err != 0) {
        producer->failure = message->err;
    } else {
        producer->acked++;
    }
}

static void take_deliveries(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_dr_msg_cb(conf, note_delivery);
}

int bus_producer_open(struct bus_producer *producer, struct problem *problem)
{
    static const char *const settings[] = {"acks",
                                           "all",
                                           "enable.idempotence",
                                           "true",
                                           "enable.gapless.guarantee",
                                           "true",
                                           "message.timeout.ms",
                                           "0",
                                           "linger.ms",
                                           "1",
                                           "compression.codec",
                                           "lz4",
                                           NULL};
    return bus_client_open(&producer->client, RD_KAFKA_PRODUCER, settings, take_deliveries,
                           problem);
}

void bus_producer_begin(struct bus_producer *producer)
{
    producer->acked = producer->sent = 0;
    producer->failure = 0;
}

static rd_kafka_headers_t *headers_of(const struct bus_item *item, const struct bus_header *more,
                                      unsigned count)
{
    char id[NUMBER_SIZE], sequence[NUMBER_SIZE], created[NUMBER_SIZE];
    (void)snprintf(id, sizeof id, "%" PRId64, item->event.id);
    (void)snprintf(sequence, sizeof sequence, "%" PRId64, item->sequence);
    (void)snprintf(created, sizeof created, "%" PRId64, item->event.created_ms);
    const struct bus_header own[HEADERS] = {
        {"id", id}, {"type", item->event.type}, {"sequence", sequence}, {"created", created}};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS + count);
    for (unsigned i = 0; i < HEADERS + count; i++) {
        const struct bus_header *one = i < HEADERS ? &own[i] : &more[i - HEADERS];
        (void)rd_kafka_header_add(headers, one->name, -1, one->value, -1);
    }
    return headers;
}

void bus_producer_send(struct bus_producer *producer, const char *topic, unsigned partition,
                       const struct bus_item *item, const struct bus_header *more, unsigned count)
{
    const struct event *event = &item->event;
    if (producer->failure != 0) {
        return;
    }
    rd_kafka_headers_t *headers = headers_of(item, more, count);
    producer->failure = rd_kafka_producev(
        producer->client.handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION((int32_t)partition),
        RD_KAFKA_V_KEY(event->key, strlen(event->key)),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)event->payload, strlen(event->payload)),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (producer->failure != 0) {
        rd_kafka_headers_destroy(headers); /* they were not taken */
    } else {
        producer->sent++;
    }
}

bool bus_producer_await(struct bus_producer *producer, struct bus_worker *worker)
{
    int64_t began_ms = clock_monotonic_ms();
    atomic_store(&worker->handed_ms, began_ms);
    while (producer->acked < producer->sent && producer->failure == 0 &&
           !bus_is_ending(worker->bus) && clock_monotonic_ms() - began_ms < PUBLISH_MS_MAX) {
        (void)rd_kafka_poll(producer->client.handle, SERVE_MS);
    }
    atomic_store(&worker->handed_ms, 0);
    bool all = producer->failure == 0 && producer->acked == producer->sent;
    if (!all && producer->failure == 0) {
        producer->failure = RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    return all;
}
