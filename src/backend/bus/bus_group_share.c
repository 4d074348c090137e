/* Whether the group has shared its partitions out (bus_group.h).
 *
 * Its leader shares what its broker knows of the topic. One that is yet to hear of a new topic
 * knows of no partition: then each member has none, and librdkafka leaves it at that, for a topic
 * that has as many partitions as when it joined is no news. So who has none asks whether anybody
 * has. */
#include "backend/bus/bus_group.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <stdio.h>

enum {
    SETTLE_MS = 1000, /* from a sharing to the question, and to the next one */
    ANSWER_MS = 1000, /* to wait for an answer */
};

static int count_shared(const rd_kafka_ConsumerGroupDescription_t *group)
{
    int count = 0;
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_topic_partition_list_t *given =
            rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(
                rd_kafka_ConsumerGroupDescription_member(group, i)));
        count += given != NULL ? given->cnt : 0;
    }
    return count;
}

/* Of all members; ERR_BUSY: the group is not settled, or it is not told. */
static int read_shared(rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        event != NULL && rd_kafka_event_error(event) == 0
            ? rd_kafka_event_DescribeConsumerGroups_result(event)
            : NULL;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        result != NULL ? rd_kafka_DescribeConsumerGroups_result_groups(result, &count) : NULL;
    bool settled =
        count == 1 && rd_kafka_ConsumerGroupDescription_error(groups[0]) == NULL &&
        rd_kafka_ConsumerGroupDescription_state(groups[0]) == RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
    return settled ? count_shared(groups[0]) : ERR_BUSY;
}

static int ask_shared(rd_kafka_t *handle, const char *name)
{
    char words[128];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, words, sizeof words);
    rd_kafka_DescribeConsumerGroups(handle, &name, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS + 500);
    int r = read_shared(event);
    rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return r;
}

void group_shared(struct bus_worker *worker, int count)
{
    struct group *group = worker->engine;
    group->ask_ms = count == 0 ? clock_monotonic_ms() + SETTLE_MS : 0;
}

int64_t group_ask_in_ms(const struct bus_worker *worker)
{
    const struct group *group = worker->engine;
    int64_t in_ms = group->ask_ms - clock_monotonic_ms();
    return group->ask_ms == 0 ? INT64_MAX : in_ms > 0 ? in_ms : 0;
}

bool group_is_unshared(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    char name[GROUP_NAME_SIZE];
    if (group_ask_in_ms(worker) > 0) {
        return false;
    }
    group_name(worker, name);
    int count = ask_shared(group->client.handle, name);
    group->ask_ms = count > 0 ? 0 : clock_monotonic_ms() + SETTLE_MS;
    if (count == 0) {
        log_event(LOG_INFO, "bus.kafka.unshared", log_text("group", name));
    }
    return count == 0;
}
