/* One process of a platform with brokers, for test_changes.py to kill:
 *
 *   bus_process write DB BUS NAME COUNT KEYS PAUSE_MS   COUNT changes, each with its event;
 *                                              "NUMBER" on standard output once one is acknowledged
 *   bus_process consume DB BUS [inside|outside]…   consumers, and like every process perhaps the
 *                                              relay; "ready" once it has begun
 *   bus_process wire HOSTS TOPIC               what stands in a topic, read without the bus:
 *                                              "PARTITION OFFSET KEY SEQUENCE ID" a line
 *   bus_process letters HOSTS TOPIC            likewise, as JSON: key, value and headers
 *   bus_process make HOSTS TOPIC               a topic that keeps one copy
 *   bus_process allow HOSTS USER topic|group PREFIX create|describe|read|write
 *
 * The consumer inside has its effect within the position's write, and would fail if it came twice;
 * the one outside writes down that it was told, and how often.
 */
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct db_migration tables[] = {
    {1, "test",
     "CREATE TABLE change (writer TEXT NOT NULL, number BIGINT NOT NULL, entity_key TEXT NOT NULL,"
     " PRIMARY KEY (writer, number));\n"
     "CREATE TABLE effect (event BIGINT PRIMARY KEY, entity_key TEXT NOT NULL,"
     " at_us BIGINT NOT NULL);\n"
     "CREATE TABLE told (event BIGINT PRIMARY KEY, entity_key TEXT NOT NULL,"
     " at_us BIGINT NOT NULL, times BIGINT NOT NULL);\n"}};

static struct db *db;
static struct bus *bus;

static int fail(const char *what, const struct problem *problem)
{
    (void)fprintf(stderr, "bus_process: %s: %s\n", what, problem->detail);
    return 1;
}

static int open_all(char **arguments)
{
    struct problem problem = {0};
    if (db_open(arguments[0], "changes", &db, &problem) < 0 ||
        db_migrate(db, tables, COUNT_OF(tables), &problem) < 0 ||
        bus_open(arguments[1], &bus, &problem) < 0 || bus_attach(bus, db, &problem) < 0) {
        return fail("open", &problem);
    }
    return 0;
}

/* ---- Writing ---- */

struct change {
    const char *writer;
    int64_t number;
    char key[32];
};

static int write_change(struct db_session *session, void *argument)
{
    const struct change *change = argument;
    int r = db_exec(session, "INSERT INTO change (writer, number, entity_key) VALUES ($1, $2, $3)",
                    DB_BIND(db_text(change->writer), db_int(change->number), db_text(change->key)));
    return r < 0 ? r
                 : bus_emit(session, "thing.changed", change->key,
                            json_pack("{s:s, s:I}", "writer", change->writer, "number",
                                      (json_int_t)change->number));
}

static int write_all(int count, char **arguments)
{
    if (count < 6 || open_all(arguments) != 0) {
        return 1;
    }
    long changes = strtol(arguments[3], NULL, 10), keys = strtol(arguments[4], NULL, 10);
    const struct timespec pause = {.tv_nsec = strtol(arguments[5], NULL, 10) * 1000000};
    id_init((unsigned)strtoul(arguments[2], NULL, 10), 0); /* the name is a number */
    for (long i = 0; i < changes; i++) {
        struct change change = {.writer = arguments[2], .number = i};
        (void)snprintf(change.key, sizeof change.key, "thing:%ld", i * 7919 % keys);
        if (db_write(db, write_change, &change) == 0) {
            (void)printf("%ld\n", i);
            (void)fflush(stdout);
        }
        (void)nanosleep(&pause, NULL);
    }
    bus_close(bus);
    db_close(db);
    return 0;
}

/* ---- Consuming ---- */

static int have_effect(struct db_session *session, void *context, const struct event *event)
{
    (void)context;
    int r = db_exec(session, "INSERT INTO effect (event, entity_key, at_us) VALUES ($1, $2, $3)",
                    DB_BIND(db_int(event->id), db_text(event->key), db_int(clock_monotonic_us())));
    return r < 0 ? r : 0;
}

static int note(struct db_session *session, void *argument)
{
    const struct event *event = argument;
    int r = db_exec(session,
                    "INSERT INTO told (event, entity_key, at_us, times) VALUES ($1, $2, $3, 1)"
                    " ON CONFLICT (event) DO UPDATE SET times = told.times + 1",
                    DB_BIND(db_int(event->id), db_text(event->key), db_int(clock_monotonic_us())));
    return r < 0 ? r : 0;
}

static int be_told(void *context, const struct event *event)
{
    (void)context;
    return db_write(db, note, (void *)(uintptr_t)event);
}

static int consume(int count, char **arguments)
{
    if (count < 2 || open_all(arguments) != 0) {
        return 1;
    }
    const struct bus_consumer inside = {
        .name = "inside", .from_start = 1, .handle_in = have_effect};
    const struct bus_consumer outside = {.name = "outside", .from_start = 1, .handle = be_told};
    for (int i = 2; i < count; i++) {
        bool in = strcmp(arguments[i], "inside") == 0;
        if (bus_subscribe(bus, db, in ? &inside : &outside) < 0) {
            return 1;
        }
    }
    if (bus_start(bus) < 0) {
        return 1;
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        (void)pause();
    }
}

/* ---- The wire ---- */

static void print_message(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    const void *sequence = "", *id = "";
    size_t sequence_length = 0, id_length = 0;
    (void)rd_kafka_message_headers(message, &headers);
    (void)rd_kafka_header_get_last(headers, "sequence", &sequence, &sequence_length);
    (void)rd_kafka_header_get_last(headers, "id", &id, &id_length);
    (void)printf("%d %" PRId64 " %.*s %.*s %.*s\n", (int)message->partition, message->offset,
                 (int)message->key_len, (const char *)message->key, (int)sequence_length,
                 (const char *)sequence, (int)id_length, (const char *)id);
}

static void print_letter(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t length;
    json_t *named = json_object();
    (void)rd_kafka_message_headers(message, &headers);
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &length) == 0; i++) {
        (void)json_object_set_new(named, name, json_stringn(value, length));
    }
    json_t *letter = json_pack("{s:s%, s:s%, s:o}", "key", message->key, message->key_len, "value",
                               message->payload, message->len, "headers", named);
    char *text = json_dumps(letter, JSON_COMPACT);
    (void)printf("%s\n", text);
    free(text);
    json_decref(letter);
}

static rd_kafka_t *reader(const char *hosts)
{
    char words[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", hosts, words, sizeof words);
    (void)rd_kafka_conf_set(conf, "group.id", "wire", words, sizeof words);
    (void)rd_kafka_conf_set(conf, "enable.partition.eof", "true", words, sizeof words);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    if (handle == NULL) {
        (void)fprintf(stderr, "bus_process: %s\n", words);
    }
    return handle;
}

/* All partitions from their beginning; returns how many there are. */
static int assign_all(rd_kafka_t *handle, const char *name)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, name, NULL);
    int count = 0;
    if (rd_kafka_metadata(handle, 0, topic, &metadata, 20000) == 0) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
        count = metadata->topics[0].partition_cnt;
        for (int i = 0; i < count; i++) {
            rd_kafka_topic_partition_list_add(list, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
        }
        (void)rd_kafka_assign(handle, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

static int read_topic(int count, char **arguments, void (*print)(const rd_kafka_message_t *message))
{
    rd_kafka_t *handle = count == 2 ? reader(arguments[0]) : NULL;
    if (handle == NULL) {
        return 1;
    }
    int left = assign_all(handle, arguments[1]);
    int64_t deadline_ms = clock_monotonic_ms() + 60000;
    while (left > 0 && clock_monotonic_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(handle, 1000);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            left--;
        } else if (message != NULL && message->err == 0) {
            print(message);
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
    (void)rd_kafka_consumer_close(handle);
    rd_kafka_destroy(handle);
    return left == 0 ? 0 : 1;
}

static int read_wire(int count, char **arguments)
{
    return read_topic(count, arguments, print_message);
}

static int read_letters(int count, char **arguments)
{
    return read_topic(count, arguments, print_letter);
}

static int make_topic(int count, char **arguments)
{
    rd_kafka_t *handle = count == 2 ? reader(arguments[0]) : NULL;
    if (handle == NULL) {
        return 1;
    }
    char words[128];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(arguments[1], 1, 1, words, sizeof words);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_CreateTopics(handle, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 60000);
    int failed = event == NULL || rd_kafka_event_error(event) != 0;
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
    return failed;
}

/* ---- What a user may ---- */

static rd_kafka_AclBinding_t *make_rule(char **arguments)
{
    static const struct {
        const char *word;
        rd_kafka_AclOperation_t operation;
    } operations[] = {{"create", RD_KAFKA_ACL_OPERATION_CREATE},
                      {"describe", RD_KAFKA_ACL_OPERATION_DESCRIBE},
                      {"read", RD_KAFKA_ACL_OPERATION_READ},
                      {"write", RD_KAFKA_ACL_OPERATION_WRITE}};
    char principal[64], words[128];
    bool topic = strcmp(arguments[2], "topic") == 0;
    size_t i = 0;
    while (i + 1 < COUNT_OF(operations) && strcmp(operations[i].word, arguments[4]) != 0) {
        i++;
    }
    (void)snprintf(principal, sizeof principal, "User:%s", arguments[1]);
    return rd_kafka_AclBinding_new(topic ? RD_KAFKA_RESOURCE_TOPIC : RD_KAFKA_RESOURCE_GROUP,
                                   arguments[3], RD_KAFKA_RESOURCE_PATTERN_PREFIXED, principal, "*",
                                   operations[i].operation, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
                                   words, sizeof words);
}

static int allow(int count, char **arguments)
{
    char words[128];
    if (count != 5) {
        return 2;
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", arguments[0], words, sizeof words);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    rd_kafka_AclBinding_t *rule = make_rule(arguments);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_CreateAcls(handle, &rule, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    size_t made = 0;
    const rd_kafka_acl_result_t **results =
        event != NULL && rd_kafka_event_error(event) == 0
            ? rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event), &made)
            : NULL;
    bool good = made == 1 && rd_kafka_acl_result_error(results[0]) == NULL;
    rd_kafka_event_destroy(event);
    rd_kafka_AclBinding_destroy(rule);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
    return good ? 0 : 1;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *word;
        int (*run)(int count, char **arguments);
    } modes[] = {{"write", write_all},      {"consume", consume}, {"wire", read_wire},
                 {"letters", read_letters}, {"make", make_topic}, {"allow", allow}};
    log_init(LOG_INFO, true);
    for (size_t i = 0; count > 1 && i < COUNT_OF(modes); i++) {
        if (strcmp(arguments[1], modes[i].word) == 0) {
            return modes[i].run(count - 2, arguments + 2);
        }
    }
    (void)fprintf(stderr, "usage: bus_process write|consume|wire|letters|make|allow …\n");
    return 2;
}
