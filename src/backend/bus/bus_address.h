/* The address of a bus: bus.store in the configuration. Pure functions, any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct problem;

enum {
    BUS_HOSTS_MAX = 512,
    BUS_OPTION_MAX = 256,
    BUS_PREFIX_MAX = 64,
    BUS_PARTITIONS_MAX = 64,
};

enum bus_kind { BUS_LOCAL, BUS_KAFKA };

/* How a password is proved. */
enum bus_sasl { BUS_SASL_NONE, BUS_SASL_PLAIN, BUS_SASL_SCRAM_256, BUS_SASL_SCRAM_512 };

struct bus_address {
    enum bus_kind kind;
    int64_t retry_ms, retry_max_ms, lease_ms, prune_ms;

    /* Of Kafka alone. */
    char hosts[BUS_HOSTS_MAX];                                          /* HOST:PORT,HOST:PORT */
    char user[BUS_OPTION_MAX], password[BUS_OPTION_MAX];                /* percent-decoded */
    char prefix[BUS_PREFIX_MAX + 1];                                    /* of topics and groups */
    char ca[BUS_OPTION_MAX], cert[BUS_OPTION_MAX], key[BUS_OPTION_MAX]; /* PEM files */
    int64_t replicas, partitions;
    bool tls;
    enum bus_sasl sasl;
};

/* local:[?OPTIONS] or kafka://[USER:PASSWORD@]HOST[:PORT],…[?OPTIONS], options as NAME=VALUE with &
 * between. ERR_INVALID with words that never repeat a password. The caller wipes the result
 * (sodium_memzero) once the password is not needed. */
int bus_address_parse(const char *url, struct bus_address *ret_address, struct problem *problem);

/* What to say where the brokers refuse our name and password. version: rd_kafka_version(). */
const char *bus_address_refused(const struct bus_address *address, int version);
