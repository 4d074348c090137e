/* Where the engines are, as people write it into the configuration: addresses of Redis, PostgreSQL,
 * an S3 store, Kafka and OpenSearch. The first line is given to all of them. What is taken lies in
 * its limits; what is refused is refused in words; and where the line has a password, neither these
 * words nor those for people repeat it.
 *
 * Covers: src/backend/redis/redis_address.c src/backend/db/db_postgres_address.c
 * src/backend/blob/blob_s3_address.c src/backend/bus/bus_address.c
 * src/backend/index/opensearch_address.c */
#include "backend/blob/blob_s3_address.h"
#include "backend/bus/bus_address.h"
#include "backend/db/db_postgres.h"
#include "backend/index/opensearch_address.h"
#include "backend/redis/redis_address.h"
#include "base/mem.h"
#include "base/problem.h"
#include "fuzz.h"

#define PASSWORD "S3CRET"

/* Whether the address has PASSWORD in its password alone: behind its scheme, and the first colon of
 * what stands before the last @. */
static bool has_password(const char *url)
{
    const char *begin = strstr(url, "://"), *found = strstr(url, PASSWORD);
    if (begin == NULL ||
        strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789") < (size_t)(begin - url) ||
        found == NULL || strstr(found + 1, PASSWORD) != NULL) {
        return false;
    }
    const char *colon = strchr(begin + 3, ':'), *at = strrchr(url, '@');
    const char *slash = strpbrk(begin + 3, "/?#");
    return colon != NULL && at != NULL && colon < found && found < at &&
           (slash == NULL || slash > at);
}

/* The end of every parser: words where it refused, and the password in none. */
static void check_words(const char *url, int error, const struct problem *problem,
                        const char *shown)
{
    FUZZ_CHECK(error <= 0 && (error == 0) == (problem->detail[0] == '\0'));
    if (has_password(url)) {
        FUZZ_CHECK(strstr(problem->detail, PASSWORD) == NULL);
        FUZZ_CHECK(shown == NULL || strstr(shown, PASSWORD) == NULL);
    }
}

static void try_redis(const char *url)
{
    struct redis_address address = {.place_count = 0};
    struct problem problem = {0};
    int error = redis_address_parse(url, &address, &problem);
    check_words(url, error, &problem, NULL);
    if (error != 0) {
        return;
    }
    FUZZ_CHECK(address.place_count >= 1 && address.place_count <= REDIS_PLACES_MAX);
    FUZZ_CHECK(address.timeout_ms >= 10 && address.timeout_ms <= 60000);
    FUZZ_CHECK(address.life_ms >= 100 && address.life_ms <= 3600000);
    FUZZ_CHECK(address.sentinel[0] != '\0' || address.place_count == 1);
    for (unsigned i = 0; i < address.place_count; i++) {
        char text[REDIS_TEXT_SIZE];
        FUZZ_CHECK(address.places[i].host[0] != '\0');
        FUZZ_CHECK(address.places[i].port >= 1 && address.places[i].port <= 65535);
        redis_place_text(&address.places[i], text);
        check_words(url, 0, &problem, text);
    }
}

static void try_postgres(const char *url)
{
    struct postgres_address address = {.shown = NULL};
    struct problem problem = {0};
    int error = postgres_address_parse(url, "catalog", true, &address, &problem);
    check_words(url, error, &problem, address.shown);
    if (error == 0) {
        unsigned count = 0;
        while (address.keywords[count] != NULL) {
            FUZZ_CHECK(address.values[count] != NULL && ++count < COUNT_OF(address.values));
        }
        FUZZ_CHECK(address.values[count] == NULL && address.shown != NULL);
    }
    postgres_address_done(&address);
}

static void try_s3(const char *url)
{
    struct s3_address address = {.where = NULL};
    struct problem problem = {0};
    int error = blob_s3_address_parse(url, &address, &problem);
    check_words(url, error, &problem, address.where);
    if (error == 0) {
        char *base = blob_s3_address_base(&address, address.endpoint);
        FUZZ_CHECK(address.bucket[0] != '\0' && address.host[0] != '\0');
        FUZZ_CHECK(address.key_id[0] != '\0' && address.secret[0] != '\0');
        FUZZ_CHECK((address.upload_key[0] != '\0') == (address.upload_secret[0] != '\0'));
        FUZZ_CHECK(address.connections >= 1 && address.connections <= 1024);
        FUZZ_CHECK(base != NULL && strcmp(base, address.base) == 0);
        FUZZ_CHECK(strpbrk(address.host, " \t\r\n/@") == NULL);
        free(base);
    }
    blob_s3_address_done(&address);
}

static void try_bus(const char *url)
{
    struct bus_address address = {.kind = BUS_LOCAL};
    struct problem problem = {0};
    int error = bus_address_parse(url, &address, &problem);
    check_words(url, error, &problem, address.hosts);
    if (error == 0) {
        FUZZ_CHECK((address.kind == BUS_KAFKA) == (address.hosts[0] != '\0'));
        FUZZ_CHECK(address.retry_ms > 0 && address.retry_max_ms > 0);
        FUZZ_CHECK(address.partitions >= 0 && address.partitions <= BUS_PARTITIONS_MAX);
        FUZZ_CHECK(address.sasl == BUS_SASL_NONE || address.user[0] != '\0');
    }
}

static void try_opensearch(const char *url)
{
    struct opensearch_address address = {.host_count = 0};
    struct problem problem = {0};
    int error = opensearch_address_parse(url, &address, &problem);
    check_words(url, error, &problem, address.name);
    if (error != 0) {
        return;
    }
    FUZZ_CHECK(address.host_count >= 1 && address.host_count <= OPENSEARCH_HOSTS_MAX);
    FUZZ_CHECK(address.shards >= 1 && address.shards <= 64);
    FUZZ_CHECK(address.timeout_ms >= 100 && address.timeout_ms <= 60000);
    FUZZ_CHECK(address.connections >= 1 && address.connections <= 1024);
    FUZZ_CHECK(address.name[0] != '\0');
    for (unsigned i = 0; i < address.host_count; i++) {
        FUZZ_CHECK(strpbrk(address.hosts[i], " \t\r\n/@?#") == NULL);
        check_words(url, 0, &problem, address.hosts[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *url = fuzz_text(data, size);
    try_redis(url);
    try_postgres(url);
    try_s3(url);
    try_bus(url);
    try_opensearch(url);
    free(url);
    return 0;
}
