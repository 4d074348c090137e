/* Reads bus.store (bus_address.h). Strict: what is not understood stops the start, for an option
 * that is silently left out may be the one that encrypts. */
#include "backend/bus/bus_address.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <ctype.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { KAFKA_PORT = 9092, PORT_MAX = 65535, HOST_MAX = 253 };

static const struct bus_address defaults = {
    .retry_ms = 1000,
    .retry_max_ms = 5 * 60 * 1000,
    .lease_ms = 6000,
    .prune_ms = 10 * 60 * 1000,
    .prefix = "tutti",
    .replicas = 3,
    .partitions = 6,
};

/* A part of the text, not ended by a NUL. */
struct slice {
    const char *text;
    size_t length;
};

static int wrong_form(struct problem *problem)
{
    return problem_set(problem, ERR_INVALID,
                       "bus.store should read local: or "
                       "kafka://[USER:PASSWORD@]HOST:PORT,HOST:PORT[?OPTION=VALUE&OPTION=VALUE]");
}

static bool decode(struct slice in, char *out, size_t size)
{
    return text_percent_decode(in.text, in.length, out, size);
}

/* ---- Options ---- */

static const struct {
    const char *name;
    size_t offset;
    int64_t min, max;
    bool local; /* without brokers, too */
} numbers[] = {
    {"retry_ms", offsetof(struct bus_address, retry_ms), 1, 3600000, true},
    {"retry_max_ms", offsetof(struct bus_address, retry_max_ms), 1, 86400000, true},
    {"lease_ms", offsetof(struct bus_address, lease_ms), 100, 3600000, true},
    {"prune_ms", offsetof(struct bus_address, prune_ms), 10, 86400000, true},
    {"replicas", offsetof(struct bus_address, replicas), 1, 16, false},
    {"partitions", offsetof(struct bus_address, partitions), 1, BUS_PARTITIONS_MAX, false},
};

static const struct {
    const char *name;
    size_t offset, size;
} texts[] = {
    {"prefix", offsetof(struct bus_address, prefix), BUS_PREFIX_MAX + 1},
    {"ca", offsetof(struct bus_address, ca), BUS_OPTION_MAX},
    {"cert", offsetof(struct bus_address, cert), BUS_OPTION_MAX},
    {"key", offsetof(struct bus_address, key), BUS_OPTION_MAX},
};

static const struct {
    const char *word;
    enum bus_sasl sasl;
} mechanisms[] = {
    {"plain", BUS_SASL_PLAIN},
    {"scram-sha-256", BUS_SASL_SCRAM_256},
    {"scram-sha-512", BUS_SASL_SCRAM_512},
};

static int wrong_option(const char *name, struct problem *problem)
{
    return problem_set(problem, ERR_INVALID,
                       "bus.store: the option \"%s\" has a value that it can't have", name);
}

static int set_number(struct bus_address *address, size_t which, const char *value,
                      struct problem *problem)
{
    int64_t *number = (int64_t *)((char *)address + numbers[which].offset);
    if (!text_number(value, numbers[which].min, numbers[which].max, number)) {
        return problem_set(problem, ERR_INVALID, "bus.store: %s is a number from %lld to %lld",
                           numbers[which].name, (long long)numbers[which].min,
                           (long long)numbers[which].max);
    }
    return 0;
}

static int set_mechanism(struct bus_address *address, const char *value, struct problem *problem)
{
    for (size_t i = 0; i < COUNT_OF(mechanisms); i++) {
        if (strcmp(value, mechanisms[i].word) == 0) {
            address->sasl = mechanisms[i].sasl;
            return 0;
        }
    }
    return problem_set(problem, ERR_INVALID,
                       "bus.store: sasl is plain, scram-sha-256 or scram-sha-512");
}

static int set_option(struct bus_address *address, const char *name, const char *value,
                      struct problem *problem)
{
    bool local = address->kind == BUS_LOCAL;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (strcmp(name, numbers[i].name) == 0 && (numbers[i].local || !local)) {
            return set_number(address, i, value, problem);
        }
    }
    if (local) {
        return problem_set(problem, ERR_INVALID,
                           "bus.store: local: has no option \"%s\"; there are retry_ms, "
                           "retry_max_ms, lease_ms and prune_ms",
                           name);
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            bool fits = value[0] != '\0' &&
                        text_copy((char *)address + texts[i].offset, texts[i].size, value);
            return fits ? 0 : wrong_option(name, problem);
        }
    }
    if (strcmp(name, "sasl") == 0) {
        return set_mechanism(address, value, problem);
    }
    if (strcmp(name, "tls") == 0 && (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0)) {
        address->tls = strcmp(value, "yes") == 0;
        return 0;
    }
    return strcmp(name, "tls") == 0
               ? problem_set(problem, ERR_INVALID, "bus.store: tls is yes or no")
               : problem_set(problem, ERR_INVALID,
                             "bus.store has an unknown option \"%s\"; there are retry_ms, "
                             "retry_max_ms, lease_ms, prune_ms, replicas, partitions, prefix, tls, "
                             "ca, cert, key and sasl",
                             name);
}

static int read_options(const char *query, struct bus_address *address, struct problem *problem)
{
    int r = 0;
    while (r == 0 && *query != '\0') {
        char name[32], value[BUS_OPTION_MAX];
        size_t length = strcspn(query, "&"), equals = strcspn(query, "=&");
        if (equals == length || !decode((struct slice){query, equals}, name, sizeof name) ||
            !decode((struct slice){query + equals + 1, length - equals - 1}, value, sizeof value)) {
            return wrong_form(problem);
        }
        r = set_option(address, name, value, problem);
        query += length + (query[length] == '&');
    }
    return r;
}

/* ---- Hosts ---- */

/* HOST, HOST:PORT or [V6]:PORT becomes HOST:PORT behind what is there. */
static bool add_host(struct slice in, struct bus_address *address)
{
    size_t host =
        in.length > 0 && in.text[0] == '[' ? strcspn(in.text, "]") + 1 : strcspn(in.text, ":,/?");
    char port_text[8] = "";
    int64_t port = KAFKA_PORT;
    if (host == 0 || host > in.length || host > HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host; i++) {
        if (!isalnum((unsigned char)in.text[i]) && strchr("-._:[]", in.text[i]) == NULL) {
            return false;
        }
    }
    if (host < in.length) {
        size_t digits = in.length - host - 1;
        if (in.text[host] != ':' || digits == 0 || digits >= sizeof port_text) {
            return false;
        }
        memcpy(port_text, in.text + host + 1, digits);
        if (!text_number(port_text, 1, PORT_MAX, &port)) {
            return false;
        }
    }
    size_t used = strlen(address->hosts);
    int more = snprintf(address->hosts + used, sizeof address->hosts - used, "%s%.*s:%d",
                        used > 0 ? "," : "", (int)host, in.text, (int)port);
    return more > 0 && (size_t)more < sizeof address->hosts - used;
}

static bool read_hosts(struct slice in, struct bus_address *address)
{
    const char *end = in.text + in.length;
    for (const char *at = in.text;; at++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma != NULL ? comma : end;
        if (!add_host((struct slice){at, (size_t)(stop - at)}, address)) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        at = comma;
    }
}

static bool read_user(struct slice in, struct bus_address *address)
{
    const char *colon = memchr(in.text, ':', in.length);
    if (colon == NULL || colon == in.text) {
        return false;
    }
    size_t user = (size_t)(colon - in.text);
    address->sasl = BUS_SASL_SCRAM_512;
    return decode((struct slice){in.text, user}, address->user, sizeof address->user) &&
           decode((struct slice){colon + 1, in.length - user - 1}, address->password,
                  sizeof address->password) &&
           address->password[0] != '\0';
}

static bool is_on_loopback(const char *hosts)
{
    for (const char *host = hosts; host != NULL; host = strchr(host, ',')) {
        host += *host == ',';
        if (strncmp(host, "127.", 4) != 0 && strncmp(host, "localhost:", 10) != 0 &&
            strncmp(host, "[::1]:", 6) != 0) {
            return false;
        }
    }
    return true;
}

/* What fits each other, and what Kafka takes as a name. */
static int check(const struct bus_address *address, struct problem *problem)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (strspn(address->prefix, legal) != strlen(address->prefix)) {
        return problem_set(problem, ERR_INVALID,
                           "bus.store: prefix may hold letters, digits, dots, hyphens and _");
    }
    if (address->sasl != BUS_SASL_NONE && address->user[0] == '\0') {
        return problem_set(problem, ERR_INVALID,
                           "bus.store has sasl, but no USER:PASSWORD@ before the hosts");
    }
    if (address->sasl == BUS_SASL_PLAIN && !address->tls && !is_on_loopback(address->hosts)) {
        return problem_set(problem, ERR_INVALID,
                           "bus.store would send its password in the clear; add tls=yes");
    }
    if (!address->tls && address->ca[0] + address->cert[0] + address->key[0] != 0) {
        return problem_set(problem, ERR_INVALID, "bus.store has certificates, but not tls=yes");
    }
    return (address->cert[0] == '\0') == (address->key[0] == '\0')
               ? 0
               : problem_set(problem, ERR_INVALID, "bus.store: cert and key come together");
}

static int parse_kafka(const char *rest, struct bus_address *address, struct problem *problem)
{
    size_t length = strcspn(rest, "?/");
    const char *at = memchr(rest, '@', length);
    const char *hosts = at != NULL ? at + 1 : rest;
    address->kind = BUS_KAFKA;
    if (rest[length] == '/' ||
        (at != NULL && !read_user((struct slice){rest, (size_t)(at - rest)}, address)) ||
        !read_hosts((struct slice){hosts, (size_t)(rest + length - hosts)}, address)) {
        return wrong_form(problem);
    }
    int r = rest[length] == '?' ? read_options(rest + length + 1, address, problem) : 0;
    return r != 0 ? r : check(address, problem);
}

static int parse_local(const char *rest, struct bus_address *address, struct problem *problem)
{
    if (rest[0] != '\0' && rest[0] != '?') {
        return wrong_form(problem);
    }
    return rest[0] == '?' ? read_options(rest + 1, address, problem) : 0;
}

int bus_address_parse(const char *url, struct bus_address *ret_address, struct problem *problem)
{
    static const char local[] = "local:", kafka[] = "kafka://";
    struct bus_address address = defaults;
    int r = strncmp(url, local, sizeof local - 1) == 0
                ? parse_local(url + sizeof local - 1, &address, problem)
            : strncmp(url, kafka, sizeof kafka - 1) == 0
                ? parse_kafka(url + sizeof kafka - 1, &address, problem)
                : wrong_form(problem);
    if (r == 0) {
        *ret_address = address;
    }
    sodium_memzero(&address, sizeof address);
    return r;
}

/* Until 2.6.1 librdkafka says its own nonce twice, which Kafka 4 takes for a wrong password. */
const char *bus_address_refused(const struct bus_address *address, int version)
{
    enum { NONCE_IS_RIGHT = 0x02060100 };
    bool scram = address->sasl == BUS_SASL_SCRAM_256 || address->sasl == BUS_SASL_SCRAM_512;
    return scram && version < NONCE_IS_RIGHT
               ? "it refuses our name and password; Kafka 4 does so whatever they are where "
                 "librdkafka is older than 2.6.1, so say sasl=plain with tls=yes, or cert and key"
               : "it refuses our name and password";
}
