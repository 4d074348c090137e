/* Whether the brokers let us do all that is needed (bus_kafka.h), for tutti doctor: nothing is
 * written there and no group is joined. On a command's thread.
 *
 *   write   an idempotent producer is given its number only where it may write to some topic
 *   read    a topic is read at its end
 *   group   the offsets of a group with our prefix are asked for
 */
#include "backend/bus/bus_kafka.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"

#include <stdio.h>
#include <string.h>

enum { POLL_MS = 50, GROUP_MS = 1500 };

static int lacks(const struct bus_client *client, const char *may_not, const char *needs,
                 struct problem *problem)
{
    const struct bus_address *address = &client->kafka->address;
    return problem_set(problem, ERR_FORBIDDEN,
                       "Kafka at %s: our user may not %s; it needs %s that begin with %s",
                       address->hosts, may_not, needs, address->prefix);
}

/* ---- Writing ---- */

static int note_state(rd_kafka_t *handle, char *json, size_t length, void *opaque)
{
    struct bus_client *client = opaque;
    (void)handle;
    (void)length;
    client->numbered = client->numbered || strstr(json, "\"idemp_state\": \"Assigned\"") != NULL;
    return 0; /* librdkafka frees it */
}

static void take_states(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_stats_cb(conf, note_state);
}

static int check_write(struct bus_kafka *kafka, const char *topic, struct problem *problem)
{
    static const char *const settings[] = {"enable.idempotence", "true", "statistics.interval.ms",
                                           "100", NULL};
    char words[128];
    struct bus_client client = {.handle = NULL};
    int64_t until_ms = clock_monotonic_ms() + BUS_KAFKA_WAIT_MS;
    rd_kafka_resp_err_t fatal = 0;
    bus_client_begin(&client, kafka);
    int r = bus_client_open(&client, RD_KAFKA_PRODUCER, settings, take_states, problem);
    if (r == 0) { /* it connects where there is something to ask */
        (void)bus_topic_look(&client, topic, 1, NULL);
    }
    while (r == 0 && fatal == 0 && !client.numbered && clock_monotonic_ms() < until_ms) {
        (void)rd_kafka_poll(client.handle, POLL_MS);
        fatal = rd_kafka_fatal_error(client.handle, words, sizeof words);
    }
    if (bus_is_refusal(fatal)) {
        r = lacks(&client, "publish events", "Write on topics", problem);
    }
    bus_client_end(&client);
    return r;
}

/* ---- Reading ---- */

static rd_kafka_topic_partition_list_t *first_of(const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_END;
    return list;
}

/* The next that the brokers say: a refusal, the end of the topic (or an event), or a timeout. */
static rd_kafka_resp_err_t next_word(const struct bus_client *client)
{
    int64_t until_ms = clock_monotonic_ms() + BUS_KAFKA_WAIT_MS;
    while (clock_monotonic_ms() < until_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client->handle, POLL_MS);
        if (message == NULL) {
            continue;
        }
        rd_kafka_resp_err_t error = message->err;
        rd_kafka_message_destroy(message);
        if (error == 0 || error == RD_KAFKA_RESP_ERR__PARTITION_EOF || bus_is_refusal(error)) {
            return error;
        }
    }
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

static int check_read(const struct bus_client *client, const char *topic, struct problem *problem)
{
    char what[BUS_TOPIC_SIZE + 32];
    rd_kafka_topic_partition_list_t *list = first_of(topic);
    rd_kafka_resp_err_t error = rd_kafka_assign(client->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    error = error != 0 ? error : next_word(client);
    (void)rd_kafka_assign(client->handle, NULL);
    (void)snprintf(what, sizeof what, "read the topic %s", topic);
    return bus_is_refusal(error) ? lacks(client, what, "Read on topics", problem) : 0;
}

/* Who may not so much as ask which broker keeps the group is told so as an event; the call itself
 * waits in vain. */
static int check_group(const struct bus_client *client, const char *topic, struct problem *problem)
{
    rd_kafka_topic_partition_list_t *list = first_of(topic);
    rd_kafka_resp_err_t error = rd_kafka_committed(client->handle, list, GROUP_MS);
    error = error != 0 ? error : list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__WAIT_COORD) {
        error = next_word(client);
    }
    return error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
               ? lacks(client, "be of a group of readers", "Read on groups", problem)
               : 0;
}

int bus_rights_check(struct bus_kafka *kafka, const char *topic, struct problem *problem)
{
    char group[BUS_TOPIC_SIZE];
    (void)snprintf(group, sizeof group, "%s.doctor", kafka->address.prefix);
    const char *const settings[] = {
        "group.id", group, "enable.auto.commit", "false", "enable.partition.eof", "true", NULL};
    struct bus_client client = {.handle = NULL};
    int r = check_write(kafka, topic, problem);
    bus_client_begin(&client, kafka);
    r = r != 0 ? r : bus_client_open(&client, RD_KAFKA_CONSUMER, settings, NULL, problem);
    if (r == 0) {
        (void)rd_kafka_poll_set_consumer(client.handle);
        r = check_group(&client, topic, problem);
    }
    if (r == 0 && bus_topic_look(&client, topic, 1, NULL) != ERR_NOT_FOUND) {
        r = check_read(&client, topic, problem);
    }
    bus_client_end(&client);
    return r;
}
