/* The engines (engines.h).
 *
 *   data directory → databases → node lease → bus → Redis → cache → objects → mail
 *
 * opened in this order and closed in the reverse one.
 */
#include "boot/engines.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "backend/cache/cache.h"
#include "backend/db/db.h"
#include "backend/mail/mail.h"
#include "backend/node/node_lease.h"
#include "backend/redis/redis.h"
#include "base/error.h"
#include "base/log.h"
#include "base/problem.h"
#include "boot/config.h"
#include "boot/restoring.h"
#include "service/objectstore/objectstore.h"

#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

static int open_databases(struct engines *engines, struct problem *problem)
{
    const struct config *config = engines->config;
    int error = place_check_apart(config, problem);
    error =
        error != 0 ? error : place_make_folder("the data directory", config_data(config), problem);
    error = error != 0 ? error : restoring_keep_off(config_data(config), problem);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        struct place_file file;
        place_database(config, i, &file);
        error = place_open_database(&file, &engines->databases[i], problem);
    }
    return error != 0 ? error
                      : db_is_empty(engines->databases[PLACE_CATALOG], &engines->catalog_is_new);
}

static int open_bus(struct engines *engines, struct problem *problem)
{
    int error = bus_open(config_text(engines->config, CONFIG_BUS_STORE), &engines->bus, problem);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = bus_attach(engines->bus, engines->databases[i], problem);
    }
    return error;
}

/* Without its node number a process must make no more ids: it drains and ends, to be started anew.
 */
static void node_lost(void *argument)
{
    (void)argument;
    log_event(LOG_ERROR, "node.lost", log_text("reason", "its lease could not be held"));
    (void)kill(getpid(), SIGINT); /* at once, without notice */
}

static int open_node(struct engines *engines, struct problem *problem)
{
    return node_lease_take(engines->databases[PLACE_CATALOG], node_lost, NULL, &engines->node,
                           problem);
}

/* What only another configuration mends stops the start; a store that is away for now does not: it
 * is told, and readiness says so until it is back. */
static int look_at_objects(struct engines *engines, struct problem *problem)
{
    struct problem found = {0};
    int error = blob_ping(engines->blobs, &found);
    if (error == ERR_INVALID) {
        *problem = found;
        return error;
    }
    if (error != 0) {
        log_event(LOG_WARNING, "blob.away", log_text("reason", found.detail));
    }
    return 0;
}

static int open_objects(struct engines *engines, struct problem *problem)
{
    const struct config *config = engines->config;
    const char *keys = config_text(config, CONFIG_KEYS_STORE);
    struct objectstore_key key;
    int error = objectstore_internal_key(keys, &key, problem);
    if (error != 0) {
        return error;
    }
    struct blob_config blob = {
        .url = config_text(config, CONFIG_BLOB_STORE),
        .public_url = config_text(config, CONFIG_BLOB_PUBLIC_URL),
        .key_id = key.id,
        .secret = key.secret,
        .region = "us-east-1",
        .keys_path = keys,
        .seal = config_switch(config, CONFIG_BLOB_ENCRYPT),
        .spool_path = config_data(config),
    };
    error = blob_store_open(&blob, &engines->blobs, problem);
    sodium_memzero(&key, sizeof key);
    return error != 0 ? error : look_at_objects(engines, problem);
}

/* What processes share beside the databases. */
static int open_redis(struct engines *engines, struct problem *problem)
{
    const char *url = config_text(engines->config, CONFIG_CACHE_STORE);
    if (strcmp(url, "memory:") == 0) {
        return 0;
    }
    struct problem why = {0};
    int error = redis_open(url, &engines->redis, &why);
    return error == 0 ? 0 : problem_set(problem, error, "cache.store: %s", why.detail);
}

static int open_cache(struct engines *engines, struct problem *problem)
{
    const struct config *config = engines->config;
    struct objectstore_key key;
    int error = objectstore_internal_key(config_text(config, CONFIG_KEYS_STORE), &key, problem);
    struct cache_config cache = {
        .name = "catalog",
        .bytes_max = (size_t)config_number(config, CONFIG_CACHE_BYTES),
        .redis = engines->redis,
        .secret = key.secret,
        .lag_ms = config_text(config, CONFIG_DATABASE_CATALOG_REPLICAS)[0] != '\0'
                      ? (unsigned)config_number(config, CONFIG_DATABASE_LAG)
                      : 0,
    };
    error = error != 0 ? error : cache_new(&cache, &engines->cache, problem);
    sodium_memzero(&key, sizeof key);
    return error;
}

int engines_open_data(struct engines *engines, const struct config *config, struct problem *problem)
{
    engines->config = config;
    int error = open_databases(engines, problem);
    error = error != 0 ? error : open_node(engines, problem);
    error = error != 0 ? error : open_bus(engines, problem);
    return error != 0 ? error : open_redis(engines, problem);
}

int engines_open(struct engines *engines, const struct config *config, struct problem *problem)
{
    int error = engines_open_data(engines, config, problem);
    error = error != 0 ? error : open_cache(engines, problem);
    error = error != 0 ? error : open_objects(engines, problem);
    return error != 0 ? error
                      : mail_open(config_text(config, CONFIG_MAIL_URL),
                                  config_text(config, CONFIG_MAIL_FROM), &engines->mailer, problem);
}

void engines_end_events(struct engines *engines)
{
    bus_close(engines->bus);
    engines->bus = NULL;
}

void engines_close(struct engines *engines)
{
    mail_close(engines->mailer);
    blob_store_close(engines->blobs);
    cache_close(engines->cache);
    redis_close(engines->redis);
    bus_close(engines->bus);
    node_lease_release(engines->node);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        db_close(engines->databases[i]);
    }
}
