/* Clients of librdkafka, and the engine kafka: (bus_kafka.h). */
#include "backend/bus/bus_kafka.h"

#include "backend/bus/bus_lane_store.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SYSLOG_ERR = 3, /* of syslog(3), whose names are not ours */
    LINE_AGAIN_MS = 60 * 1000,
    RELAY_LATE_MS = 20 * 1000, /* from then on events are said to be stuck */
};

/* ---- What clients say ---- */

static uint64_t hash_line(const char *facility, const char *line)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    /* What follows the first bracket varies: "(after 3ms in state CONNECT, 2 identical …)". */
    size_t length = strcspn(line, "(");
    for (const char *at = facility; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    }
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)line[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* A line that was not there in the last minute. */
static bool is_new_line(struct bus_kafka *kafka, const char *facility, const char *line)
{
    uint64_t hash = hash_line(facility, line);
    int64_t now_ms = clock_monotonic_ms();
    bool known = false;
    (void)pthread_mutex_lock(&kafka->lock);
    for (unsigned i = 0; i < BUS_TOLD_MAX; i++) {
        known = known ||
                (kafka->lines[i].hash == hash && now_ms - kafka->lines[i].at_ms < LINE_AGAIN_MS);
    }
    if (!known) {
        kafka->lines[kafka->line].hash = hash;
        kafka->lines[kafka->line].at_ms = now_ms;
        kafka->line = (kafka->line + 1) % BUS_TOLD_MAX;
    }
    (void)pthread_mutex_unlock(&kafka->lock);
    return !known;
}

/* Lines of librdkafka, from its threads. A connection that fails is information: it goes on with
 * another broker; that none is left, bus_client_tell says. */
static void take_line(const rd_kafka_t *handle, int level, const char *facility, const char *line)
{
    const struct bus_client *client = rd_kafka_opaque(handle);
    enum log_level ours = level < SYSLOG_ERR    ? LOG_ERROR
                          : level == SYSLOG_ERR ? LOG_INFO
                                                : LOG_DEBUG;
    if (client == NULL || !log_wanted(ours) || !is_new_line(client->kafka, facility, line)) {
        return;
    }
    log_event(ours, "bus.kafka.line", log_text("facility", facility), log_text("line", line));
}

/* On the worker's thread, from within a poll. */
static void take_error(rd_kafka_t *handle, int error, const char *reason, void *opaque)
{
    (void)handle;
    struct bus_client *client = opaque;
    /* Of a host's addresses one may refuse, while at the other there is who we can't agree with. */
    bool says_less =
        (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || error == RD_KAFKA_RESP_ERR__TRANSPORT) &&
        (client->error == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
         client->error == RD_KAFKA_RESP_ERR__SSL || client->error == RD_KAFKA_RESP_ERR__RESOLVE);
    if (!says_less) {
        client->error = error;
        (void)snprintf(client->reason, sizeof client->reason, "%s", reason);
    }
}

static const char *any_words(const struct bus_kafka *kafka)
{
    for (const struct bus_client *client = kafka->clients; client != NULL; client = client->next) {
        if (client->words[0] != '\0') {
            return client->words;
        }
    }
    return "";
}

/* The same trouble, whichever broker it was seen with. */
static bool is_same(const char *left, const char *right)
{
    size_t length = strcspn(left, "(");
    return length == strcspn(right, "(") && strncmp(left, right, length) == 0;
}

void bus_client_tell(struct bus_client *client, const char *words)
{
    struct bus_kafka *kafka = client->kafka;
    char now[BUS_KAFKA_WORDS] = "";
    bool news = false;
    (void)pthread_mutex_lock(&kafka->lock);
    if (strcmp(client->words, words) != 0) {
        (void)snprintf(client->words, sizeof client->words, "%s", words);
        const char *all = words[0] != '\0' ? client->words : any_words(kafka);
        news = !is_same(kafka->told, all);
        (void)snprintf(now, sizeof now, "%s", all);
        memcpy(kafka->told, now, sizeof now);
    }
    (void)pthread_mutex_unlock(&kafka->lock);
    if (news && now[0] != '\0') {
        log_event(LOG_WARNING, "bus.kafka.trouble", log_text("words", now));
    } else if (news) {
        log_event(LOG_INFO, "bus.kafka.well", log_text("hosts", kafka->address.hosts));
    }
}

static const char *words_of(const struct bus_kafka *kafka, rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return bus_address_refused(&kafka->address, rd_kafka_version());
    case RD_KAFKA_RESP_ERR__SSL:
        return "TLS can't be agreed upon; brokers must speak it, with certificates that bear their "
               "names and that ca= has signed";
    case RD_KAFKA_RESP_ERR__RESOLVE:
        return "a name can't be resolved";
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        return "no broker answers";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return "our user may not do that; it needs Create, Describe, Read and Write on topics that "
               "begin with the prefix";
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return "our user may not do that; it needs Read on groups that begin with the prefix";
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return "our user may not do that; it needs Write on topics that begin with the prefix, and "
               "of brokers before 3.0 IdempotentWrite on the cluster";
    default:
        return rd_kafka_err2str(error);
    }
}

bool bus_is_refusal(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/* What ended an idempotent producer, where that is all a call says. */
static rd_kafka_resp_err_t cause(const struct bus_client *client, rd_kafka_resp_err_t error)
{
    char words[128];
    rd_kafka_resp_err_t fatal = error == RD_KAFKA_RESP_ERR__FATAL && client->handle != NULL
                                    ? rd_kafka_fatal_error(client->handle, words, sizeof words)
                                    : RD_KAFKA_RESP_ERR_NO_ERROR;
    return fatal != RD_KAFKA_RESP_ERR_NO_ERROR ? fatal : error;
}

int bus_client_problem(struct bus_client *client, rd_kafka_resp_err_t error, const char *what,
                       struct problem *problem)
{
    error = cause(client, error);
    bool reached = error != RD_KAFKA_RESP_ERR__TRANSPORT && error != RD_KAFKA_RESP_ERR__TIMED_OUT &&
                   error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN &&
                   error != RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
    if (reached || client->error == 0) {
        return problem_set(problem, ERR_UNAVAILABLE, "Kafka at %s: %s%s%s",
                           client->kafka->address.hosts, reached ? what : "", reached ? ": " : "",
                           words_of(client->kafka, error));
    }
    /* Why none answers matters more than for what. */
    return problem_set(problem, ERR_UNAVAILABLE, "Kafka at %s: %s (%.*s)",
                       client->kafka->address.hosts, words_of(client->kafka, client->error),
                       (int)strcspn(client->reason, "("), client->reason);
}

/* ---- Opening and closing ---- */

/* A setting that is not taken is a mistake of ours, or a file that can't be read. */
static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct problem *problem)
{
    char words[256];
    return rd_kafka_conf_set(conf, name, value, words, sizeof words) == RD_KAFKA_CONF_OK
               ? 0
               : problem_set(problem, ERR_INVALID, "Kafka's client takes no %s: %s", name,
                             strcmp(name, "sasl.password") == 0 ? "" : words);
}

static int set_all(rd_kafka_conf_t *conf, const char *const *settings, struct problem *problem)
{
    int r = 0;
    for (; r == 0 && settings != NULL && settings[0] != NULL; settings += 2) {
        r = set(conf, settings[0], settings[1], problem);
    }
    return r;
}

static int set_security(rd_kafka_conf_t *conf, const struct bus_address *address,
                        struct problem *problem)
{
    static const char *const mechanisms[] = {[BUS_SASL_PLAIN] = "PLAIN",
                                             [BUS_SASL_SCRAM_256] = "SCRAM-SHA-256",
                                             [BUS_SASL_SCRAM_512] = "SCRAM-SHA-512"};
    static const char *const protocols[2][2] = {{"plaintext", "sasl_plaintext"},
                                                {"ssl", "sasl_ssl"}};
    bool sasl = address->sasl != BUS_SASL_NONE;
    int r = set(conf, "security.protocol", protocols[address->tls][sasl], problem);
    if (sasl) {
        r = r != 0 ? r : set(conf, "sasl.mechanisms", mechanisms[address->sasl], problem);
        r = r != 0 ? r : set(conf, "sasl.username", address->user, problem);
        r = r != 0 ? r : set(conf, "sasl.password", address->password, problem);
    }
    const char *const files[][2] = {{"ssl.ca.location", address->ca},
                                    {"ssl.certificate.location", address->cert},
                                    {"ssl.key.location", address->key}};
    for (size_t i = 0; r == 0 && i < COUNT_OF(files); i++) {
        r = files[i][1][0] != '\0' ? set(conf, files[i][0], files[i][1], problem) : 0;
    }
    return r;
}

static int configure(rd_kafka_conf_t *conf, struct bus_client *client, const char *const *settings,
                     struct problem *problem)
{
    static const char *const common[] = {"client.id",
                                         "tutti",
                                         "reconnect.backoff.ms",
                                         "50",
                                         "reconnect.backoff.max.ms",
                                         "500",
                                         "socket.timeout.ms",
                                         "10000",
                                         NULL};
    const struct bus_address *address = &client->kafka->address;
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, take_line);
    rd_kafka_conf_set_error_cb(conf, take_error);
    int r = set(conf, "bootstrap.servers", address->hosts, problem);
    r = r != 0 ? r : set_all(conf, common, problem);
    r = r != 0 ? r : set_security(conf, address, problem);
    return r != 0 ? r : set_all(conf, settings, problem);
}

void bus_client_begin(struct bus_client *client, struct bus_kafka *kafka)
{
    client->kafka = kafka;
    (void)pthread_mutex_lock(&kafka->lock);
    client->next = kafka->clients;
    kafka->clients = client;
    (void)pthread_mutex_unlock(&kafka->lock);
}

int bus_client_open(struct bus_client *client, rd_kafka_type_t type, const char *const *settings,
                    void (*more)(rd_kafka_conf_t *conf), struct problem *problem)
{
    char words[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    client->error = 0;
    int r = configure(conf, client, settings, problem);
    if (r == 0) {
        if (more != NULL) {
            more(conf);
        }
        client->handle = rd_kafka_new(type, conf, words, sizeof words);
    }
    if (client->handle != NULL) {
        return 0;
    }
    rd_kafka_conf_destroy(conf); /* it was not taken */
    return r != 0 ? r
                  : problem_set(problem, ERR_UNAVAILABLE, "Kafka at %s: no client can be made: %s",
                                client->kafka->address.hosts, words);
}

void bus_client_close(struct bus_client *client)
{
    if (client->handle != NULL) {
        rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        client->handle = NULL;
    }
}

void bus_client_end(struct bus_client *client)
{
    bus_client_close(client);
    struct bus_kafka *kafka = client->kafka;
    (void)pthread_mutex_lock(&kafka->lock);
    struct bus_client **at = &kafka->clients;
    while (*at != client) {
        at = &(*at)->next;
    }
    *at = client->next;
    (void)pthread_mutex_unlock(&kafka->lock);
}

unsigned bus_partition(const char *key, unsigned partitions)
{
    return (unsigned)rd_kafka_msg_partitioner_murmur2(NULL, key, strlen(key), (int32_t)partitions,
                                                      NULL, NULL);
}

/* ---- The engine ---- */

static int kafka_open(struct bus *bus, const struct bus_address *address, struct problem *problem)
{
    bus->kafka = calloc(1, sizeof *bus->kafka);
    if (bus->kafka == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't start the bus: out of memory");
    }
    bus->kafka->address = *address;
    (void)pthread_mutex_init(&bus->kafka->lock, NULL);
    return 0;
}

static void kafka_close(struct bus *bus)
{
    if (bus->kafka != NULL) {
        (void)pthread_mutex_destroy(&bus->kafka->lock);
        sodium_memzero(&bus->kafka->address, sizeof bus->kafka->address);
        free(bus->kafka);
    }
}

struct topic_work {
    struct bus_source *source;
    int64_t partitions;
};

static int keep_topic(struct db_session *session, void *argument)
{
    struct topic_work *work = argument;
    return bus_lane_store_topic(session, work->source->topic, work->partitions, &work->partitions);
}

static int kafka_attach(struct bus_source *source, struct problem *problem)
{
    const struct bus_address *address = &source->bus->kafka->address;
    (void)snprintf(source->topic, sizeof source->topic, "%s.%s", address->prefix,
                   db_name(source->db));
    (void)snprintf(source->relay, sizeof source->relay, BUS_RELAY "%s", source->topic);
    struct topic_work work = {.source = source, .partitions = address->partitions};
    int r = db_write(source->db, keep_topic, &work);
    if (r >= 0) {
        source->partitions = (unsigned)work.partitions;
        /* The whole outbox is published, for consumers who begin at its start. */
        struct bus_consumer relay = {.name = source->relay, .from_start = 1};
        r = bus_add_worker(source, &relay, &bus_relay_way);
    }
    return r >= 0 ? 0
                  : problem_set(problem, r, "Can't attach %s to the bus: %s", db_name(source->db),
                                db_words());
}

struct late_work {
    const char *relay;
    int64_t created_ms;
};

static int read_oldest(struct db_session *session, void *argument)
{
    struct late_work *work = argument;
    return bus_store_oldest(session, work->relay, 0, &work->created_ms);
}

/* Whoever has the relay: are events of this database stuck? */
static int ping_source(const struct bus_source *source, struct problem *problem)
{
    struct late_work work = {.relay = source->relay};
    int r = db_read(source->db, read_oldest, &work);
    int64_t late_ms = clock_wall_ms() - work.created_ms;
    return r == 0 && late_ms > RELAY_LATE_MS
               ? problem_set(problem, ERR_UNAVAILABLE,
                             "Kafka at %s: events of %s have not got there for %lld s",
                             source->bus->kafka->address.hosts, db_name(source->db),
                             (long long)(late_ms / 1000))
               : 0;
}

static int kafka_ping(struct bus *bus, struct problem *problem)
{
    struct bus_kafka *kafka = bus->kafka;
    (void)pthread_mutex_lock(&kafka->lock);
    const char *words = any_words(kafka);
    int r = words[0] != '\0' ? problem_set(problem, ERR_UNAVAILABLE, "%s", words) : 0;
    (void)pthread_mutex_unlock(&kafka->lock);
    for (const struct bus_source *source = bus->sources; r == 0 && source != NULL;
         source = source->next) {
        r = ping_source(source, problem);
    }
    return r;
}

const struct bus_engine bus_kafka_engine = {
    .open = kafka_open,
    .attach = kafka_attach,
    .look = bus_group_look,
    .ping = kafka_ping,
    .close = kafka_close,
    .way = &bus_group_way,
};
