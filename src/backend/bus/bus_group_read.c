/* Messages of a topic into runs (bus_group.h). */
#include "backend/bus/bus_group.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/problem.h"
#include "base/text.h"

#include <string.h>

enum {
    RUN_READ_MAX = 500, /* messages of a run, wanted or not */
    NUMBER_SIZE = 24,
};

static bool read_number(rd_kafka_headers_t *headers, const char *name, int64_t *ret_number)
{
    const void *value;
    size_t length;
    char text[NUMBER_SIZE];
    if (rd_kafka_header_get_last(headers, name, &value, &length) != 0 || length >= sizeof text) {
        return false;
    }
    memcpy(text, value, length);
    text[length] = '\0';
    return text_number(text, 0, INT64_MAX, ret_number);
}

/* Copies the message's event into the batch's arena. ERR_MALFORMED: it is none of ours. */
static int read_event(struct bus_worker *worker, const rd_kafka_message_t *message,
                      struct bus_item *item)
{
    rd_kafka_headers_t *headers;
    const void *type;
    size_t length;
    *item = (struct bus_item){.sequence = 0};
    if (message->key == NULL || message->payload == NULL ||
        rd_kafka_message_headers(message, &headers) != 0 ||
        !read_number(headers, "sequence", &item->sequence) ||
        !read_number(headers, "id", &item->event.id) ||
        !read_number(headers, "created", &item->event.created_ms) ||
        rd_kafka_header_get_last(headers, "type", &type, &length) != 0) {
        return ERR_MALFORMED;
    }
    struct arena *arena = worker->batch.arena;
    item->event.type = arena_strndup(arena, type, length);
    item->event.key = arena_strndup(arena, message->key, message->key_len);
    item->event.payload = arena_strndup(arena, message->payload, message->len);
    return item->event.type != NULL && item->event.key != NULL && item->event.payload != NULL
               ? 0
               : ERR_NO_MEMORY;
}

static void tell_foreign(const struct bus_worker *worker, const rd_kafka_message_t *message)
{
    log_event(LOG_WARNING, "bus.kafka.foreign", log_text("topic", worker->source->topic),
              log_number("partition", message->partition), log_number("offset", message->offset));
}

/* Adds a message to the run. 0 also for one that is passed over. */
static int add_message(struct bus_worker *worker, const rd_kafka_message_t *message)
{
    struct group *group = worker->engine;
    struct bus_item item;
    int r = read_event(worker, message, &item);
    if (r == ERR_MALFORMED) {
        tell_foreign(worker, message);
    } else if (r < 0) {
        return r;
    } else if (item.sequence > group->last) {
        group->last = item.sequence;
        if (bus_is_wanted(&worker->consumer, item.event.type)) {
            worker->batch.items[worker->batch.count++] = item;
        }
    }
    group->next_offset = message->offset + 1;
    return 0;
}

void group_allowed(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    if (group->refused_ms != 0) {
        group->refused_ms = 0;
        group->proving = false;
        group->client.error = 0;
        bus_client_tell(&group->client, "");
    }
}

/* An error that came as a message. */
static void note_error(struct bus_worker *worker, const rd_kafka_message_t *message)
{
    struct group *group = worker->engine;
    struct problem problem = {0};
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED: /* its partitions were taken: we join anew */
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        return;
    default:
        if (bus_is_refusal(message->err)) {
            group->refused_ms = clock_monotonic_ms();
            group->proving = false;
        }
        (void)bus_client_problem(&group->client, message->err, "reading events", &problem);
        bus_client_tell(&group->client, problem.detail);
    }
}

/* The next message of a lane that is ours. NULL: none within the time, or we were woken. */
static rd_kafka_message_t *next_message(struct bus_worker *worker, int64_t wait_ms)
{
    struct group *group = worker->engine;
    rd_kafka_message_t *message = group->held;
    group->held = NULL;
    if (message == NULL) {
        message = rd_kafka_consumer_poll(group->client.handle, (int)wait_ms);
    }
    while (message != NULL) {
        struct bus_lane *lane = group_lane(worker, message->partition);
        if (message->err == 0 && lane != NULL && lane->assigned) {
            group_allowed(worker);
            return message;
        }
        if (message->err != 0) {
            note_error(worker, message);
        }
        rd_kafka_message_destroy(message);
        message = rd_kafka_consumer_poll(group->client.handle, 0);
    }
    return NULL;
}

int group_read_run(struct bus_worker *worker, int64_t wait_ms)
{
    struct group *group = worker->engine;
    rd_kafka_message_t *message = next_message(worker, wait_ms);
    if (message == NULL) {
        return 0;
    }
    struct bus_lane *lane = group_lane(worker, message->partition);
    int r = group_claim(worker, lane);
    arena_reset(worker->batch.arena);
    worker->batch.count = 0;
    worker->lane = lane;
    group->last = atomic_load(&lane->position);
    for (unsigned i = 0; r == 0 && message != NULL && message->partition == (int32_t)lane->number &&
                         i < RUN_READ_MAX && worker->batch.count < BUS_BATCH_MAX;
         i++) {
        r = add_message(worker, message);
        if (r == 0) {
            rd_kafka_message_destroy(message);
            message = next_message(worker, 0);
        }
    }
    group->held = message;
    if (!lane->assigned) { /* it was taken from us meanwhile */
        worker->batch.count = 0;
        return r;
    }
    return r < 0 ? r : 1;
}
