/* Makes topics, and looks whether they are as asked for (bus_kafka.h). On a worker's thread, or a
 * command's; a call waits for BUS_KAFKA_WAIT_MS at most. */
#include "backend/bus/bus_kafka.h"
#include "base/error.h"
#include "base/problem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static int set_config(rd_kafka_NewTopic_t *topic, const struct bus_address *address,
                      const char *kept_ms)
{
    char insync[16];
    (void)snprintf(insync, sizeof insync, "%d",
                   address->replicas > 1 ? (int)address->replicas - 1 : 1);
    rd_kafka_resp_err_t error = rd_kafka_NewTopic_set_config(topic, "min.insync.replicas", insync);
    error = error != 0 ? error : rd_kafka_NewTopic_set_config(topic, "retention.ms", kept_ms);
    error = error != 0 ? error : rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
    /* The broker's clock: one of ours that is hours ahead would have its events refused. */
    error = error != 0
                ? error
                : rd_kafka_NewTopic_set_config(topic, "message.timestamp.type", "LogAppendTime");
    return error != 0 ? ERR_NO_MEMORY : 0;
}

/* Asks the controller, and waits for its answer. */
static rd_kafka_resp_err_t ask(struct bus_client *client, rd_kafka_NewTopic_t *topic, bool try)
{
    char words[128];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client->handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, BUS_KAFKA_WAIT_MS, words,
                                                    sizeof words);
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, BUS_KAFKA_WAIT_MS, words,
                                                      sizeof words);
    (void)rd_kafka_AdminOptions_set_validate_only(options, try, words, sizeof words);
    rd_kafka_CreateTopics(client->handle, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, BUS_KAFKA_WAIT_MS + 500);
    rd_kafka_resp_err_t error =
        event != NULL ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    const rd_kafka_CreateTopics_result_t *result =
        error == 0 ? rd_kafka_event_CreateTopics_result(event) : NULL;
    if (result != NULL) {
        size_t count;
        const rd_kafka_topic_result_t **topics =
            rd_kafka_CreateTopics_result_topics(result, &count);
        error = count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
    }
    rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return error;
}

static rd_kafka_resp_err_t create(struct bus_client *client, const struct bus_topic *plan, bool try)
{
    const struct bus_address *address = &client->kafka->address;
    char words[128];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(plan->name, (int)plan->partitions,
                                                       (int)address->replicas, words, sizeof words);
    if (topic == NULL) {
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    }
    rd_kafka_resp_err_t error = set_config(topic, address, plan->kept_ms) == 0
                                    ? ask(client, topic, try)
                                    : RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    rd_kafka_NewTopic_destroy(topic);
    return error;
}

/* Serves what came in for the client while it waited: the reason why nothing did. */
static void serve_errors(struct bus_client *client)
{
    (void)rd_kafka_poll(client->handle, 0);
}

static int judge(struct bus_client *client, const struct rd_kafka_metadata_topic *topic,
                 unsigned partitions, struct problem *problem)
{
    const struct bus_address *address = &client->kafka->address;
    if ((unsigned)topic->partition_cnt < partitions) {
        return problem_set(
            problem, ERR_PRECONDITION,
            "Kafka at %s: the topic %s has %d partitions, of which %u are used; give "
            "it more with kafka-topics --alter",
            address->hosts, topic->topic, topic->partition_cnt, partitions);
    }
    for (int i = 0; i < topic->partition_cnt; i++) {
        if (topic->partitions[i].replica_cnt < address->replicas) {
            return problem_set(
                problem, ERR_PRECONDITION,
                "Kafka at %s: the topic %s keeps %d copies, bus.store asks for %lld; "
                "give it more with kafka-reassign-partitions, or set replicas=%d",
                address->hosts, topic->topic, topic->partitions[i].replica_cnt,
                (long long)address->replicas, topic->partitions[i].replica_cnt);
        }
    }
    return 0;
}

int bus_topic_look(struct bus_client *client, const char *topic, unsigned partitions,
                   struct problem *problem)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client->handle, topic, NULL);
    rd_kafka_resp_err_t error =
        handle != NULL ? rd_kafka_metadata(client->handle, 0, handle, &metadata, BUS_KAFKA_WAIT_MS)
                       : rd_kafka_last_error();
    const struct rd_kafka_metadata_topic *found =
        error == 0 && metadata != NULL && metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
    error = found != NULL ? found->err : error != 0 ? error : RD_KAFKA_RESP_ERR_UNKNOWN;
    int r = 0;
    if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        r = problem_set(problem, ERR_NOT_FOUND, "Kafka at %s: there is no topic %s",
                        client->kafka->address.hosts, topic);
    } else if (found != NULL && error == 0) {
        r = judge(client, found, partitions, problem);
    } else {
        char what[BUS_TOPIC_SIZE + 32];
        (void)snprintf(what, sizeof what, "looking at the topic %s", topic);
        serve_errors(client);
        r = bus_client_problem(client, error, what, problem);
    }
    rd_kafka_metadata_destroy(metadata);
    if (handle != NULL) {
        rd_kafka_topic_destroy(handle);
    }
    return r;
}

static int not_created(struct bus_client *client, const char *topic, rd_kafka_resp_err_t error,
                       struct problem *problem)
{
    char what[BUS_TOPIC_SIZE + 96];
    serve_errors(client);
    if (error == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR) {
        return problem_set(problem, ERR_UNAVAILABLE,
                           "Kafka at %s: the topic %s can't have %lld copies: fewer brokers are "
                           "there; set replicas= in bus.store to what is",
                           client->kafka->address.hosts, topic,
                           (long long)client->kafka->address.replicas);
    }
    (void)snprintf(what, sizeof what, "the topic %s is missing and can't be made", topic);
    return bus_client_problem(client, error, what, problem);
}

/* It is created first and looked at then: a look from a producer has brokers that make topics by
 * themselves make it, with their settings. */
static int ensure(struct bus_client *client, const struct bus_topic *plan, bool try, bool *ret_made,
                  struct problem *problem)
{
    const char *topic = plan->name;
    rd_kafka_resp_err_t error = create(client, plan, try);
    unsigned partitions = try ? 1 : plan->partitions; /* how many are used, the database knows */
    *ret_made = error == 0 && !try;
    if (try && error == 0) {
        return 0; /* it isn't there, and could be made */
    }
    if (error != 0 && error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        bool may_not = error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                       error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        int r = may_not ? bus_topic_look(client, topic, partitions, problem) : ERR_NOT_FOUND;
        return r == ERR_NOT_FOUND ? not_created(client, topic, error, problem) : r;
    }
    return *ret_made ? 0 : bus_topic_look(client, topic, partitions, problem);
}

int bus_topic_ensure(struct bus_client *client, const struct bus_topic *topic, bool *ret_made,
                     struct problem *problem)
{
    return ensure(client, topic, false, ret_made, problem);
}

/* ---- For tutti doctor ---- */

int bus_check(const char *url, const char *const *databases, char ret_dead[BUS_DEAD_SIZE],
              struct problem *problem)
{
    struct bus_kafka kafka = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int r = bus_address_parse(url, &kafka.address, problem);
    ret_dead[0] = '\0';
    if (r < 0 || kafka.address.kind == BUS_LOCAL) {
        return r;
    }
    struct bus_client client = {.handle = NULL};
    bool made;
    bus_client_begin(&client, &kafka);
    r = bus_client_open(&client, RD_KAFKA_PRODUCER, NULL, NULL, problem);
    char name[BUS_TOPIC_SIZE];
    for (; r == 0 && *databases != NULL; databases++) {
        const struct bus_topic topic = {name, (unsigned)kafka.address.partitions,
                                        BUS_TOPIC_KEPT_MS};
        (void)snprintf(name, sizeof name, "%s.%s", kafka.address.prefix, *databases);
        r = ensure(&client, &topic, true, &made, problem);
    }
    if (r == 0) {
        bus_dead_topic(&kafka.address, ret_dead);
        r = ensure(&client, &(struct bus_topic){ret_dead, 1, BUS_DEAD_KEPT_MS}, true, &made,
                   problem);
    }
    bus_client_end(&client);
    if (r == 0) {
        (void)snprintf(name, sizeof name, "%s.%s", kafka.address.prefix, databases[-1]);
        r = bus_rights_check(&kafka, name, problem);
    }
    sodium_memzero(&kafka.address, sizeof kafka.address);
    return r;
}
