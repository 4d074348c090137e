/* The platform (platform.h).
 *
 *   data directory → databases → node lease → bus, cache, objects, mail → contracts of the roles
 *
 * opened in this order and closed in the reverse one. Which engine stands behind a need is said by
 * its URL in the configuration.
 */
#include "boot/platform.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "backend/cache/cache.h"
#include "backend/db/db.h"
#include "backend/mail/mail.h"
#include "backend/node/node_lease.h"
#include "base/call.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/config.h"
#include "boot/place.h"
#include "net/http.h"
#include "net/metrics.h"
#include "service/catalog/catalog.h"
#include "service/gateway/gateway.h"
#include "service/identity/identity.h"
#include "service/ingest/ingest.h"
#include "service/objectstore/objectstore.h"
#include "service/streaming/streaming.h"
#include "service/transcode/transcode.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct platform {
    const struct config *config;
    unsigned roles;
    struct db *catalog_db, *users_db;
    struct node_lease *node;
    struct bus *bus;
    struct cache *cache;
    struct blob_store *blobs;
    struct mailer *mailer;
    struct identity *identity;
    struct catalog *catalog;
    struct ingest *ingest;
    struct transcode *transcode;
    struct streaming *streaming;
    struct objectstore *objectstore;
    struct gateway *gateway;
};

/* A role: its word in --roles, its routes and the contract they are served with. */
struct role_row {
    const char *word;
    unsigned bit;
    const struct route *(*routes)(unsigned *ret_count);
    size_t context; /* offset of the contract in struct platform */
};

static const struct role_row role_rows[] = {
    {"gateway", PLATFORM_GATEWAY, gateway_routes, offsetof(struct platform, gateway)},
    {"identity", PLATFORM_IDENTITY, identity_routes, offsetof(struct platform, identity)},
    {"catalog", PLATFORM_CATALOG, catalog_routes, offsetof(struct platform, catalog)},
    {"ingest", PLATFORM_INGEST, ingest_routes, offsetof(struct platform, ingest)},
    {"transcode", PLATFORM_TRANSCODE, NULL, 0},
    {"streaming", PLATFORM_STREAMING, streaming_routes, offsetof(struct platform, streaming)},
    {"objectstore", PLATFORM_OBJECTSTORE, objectstore_routes,
     offsetof(struct platform, objectstore)},
};

static const struct role_row *find_role(const char *word, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(role_rows); i++) {
        if (strlen(role_rows[i].word) == length && strncmp(role_rows[i].word, word, length) == 0) {
            return &role_rows[i];
        }
    }
    return NULL;
}

static int unknown_role(const char *word, size_t length, struct problem *problem)
{
    char known[160] = "";
    for (size_t i = 0; i < COUNT_OF(role_rows); i++) {
        size_t at = strlen(known);
        (void)snprintf(known + at, sizeof known - at, "%s%s", i > 0 ? ", " : "", role_rows[i].word);
    }
    return problem_set(problem, ERR_INVALID, "there is no role \"%.*s\"; there are %s, or all",
                       (int)length, word, known);
}

int platform_parse_roles(const char *list, unsigned *ret_roles, struct problem *problem)
{
    if (strcmp(list, "all") == 0) {
        *ret_roles = PLATFORM_ALL;
        return 0;
    }
    unsigned roles = 0;
    for (const char *word = list;;) {
        size_t length = strcspn(word, ",");
        const struct role_row *row = find_role(word, length);
        if (row == NULL) {
            return unknown_role(word, length, problem);
        }
        roles |= row->bit;
        if (word[length] == '\0') {
            break;
        }
        word += length + 1;
    }
    *ret_roles = roles;
    return 0;
}

static int open_databases(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    int error = place_make_folder(config_data(config), problem);
    error = error != 0 ? error
                       : db_open(config_text(config, CONFIG_DATABASE_USERS), "users",
                                 &platform->users_db, problem);
    return error != 0 ? error
                      : db_open(config_text(config, CONFIG_DATABASE_CATALOG), "catalog",
                                &platform->catalog_db, problem);
}

static int open_bus(struct platform *platform, struct problem *problem)
{
    int error = bus_open(config_text(platform->config, CONFIG_BUS_STORE), &platform->bus, problem);
    error = error != 0 ? error : bus_attach(platform->bus, platform->users_db, problem);
    return error != 0 ? error : bus_attach(platform->bus, platform->catalog_db, problem);
}

/* Without its node number a process must make no more ids: it drains and ends, to be started anew.
 */
static void node_lost(void *argument)
{
    (void)argument;
    log_event(LOG_ERROR, "node.lost", log_text("reason", "its lease could not be held"));
    (void)kill(getpid(), SIGTERM);
}

static int open_node(struct platform *platform, struct problem *problem)
{
    return node_lease_take(platform->catalog_db, node_lost, NULL, &platform->node, problem);
}

static int open_objects(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
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
    };
    error = blob_store_open(&blob, &platform->blobs, problem);
    sodium_memzero(&key, sizeof key);
    return error;
}

static int open_engines(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    int error = open_node(platform, problem);
    error = error != 0 ? error : open_bus(platform, problem);
    error = error != 0 ? error
                       : cache_open(config_text(config, CONFIG_CACHE_STORE), "catalog",
                                    (size_t)config_number(config, CONFIG_CACHE_BYTES),
                                    &platform->cache, problem);
    error = error != 0 ? error : open_objects(platform, problem);
    return error != 0
               ? error
               : mail_open(config_text(config, CONFIG_MAIL_URL),
                           config_text(config, CONFIG_MAIL_FROM), &platform->mailer, problem);
}

static int open_identity(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    struct identity_config identity = {
        .users = platform->users_db,
        .mailer = platform->mailer,
        .keys_path = config_text(config, CONFIG_KEYS_STORE),
        .data_path = config_data(config),
        .public_url = config_text(config, CONFIG_SERVER_URL),
        .default_plan = config_text(config, CONFIG_PLAN_DEFAULT),
    };
    return identity_open(&identity, &platform->identity, problem);
}

static int open_catalog(struct platform *platform, struct problem *problem)
{
    struct catalog_config catalog = {
        .db = platform->catalog_db,
        .bus = platform->bus,
        .cache = platform->cache,
        .blobs = platform->blobs,
        .identity = platform->identity,
    };
    return catalog_open(&catalog, &platform->catalog, problem);
}

static int open_ingest(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    struct ingest_config ingest = {
        .db = platform->catalog_db,
        .bus = platform->bus,
        .blobs = platform->blobs,
        .catalog = platform->catalog,
        .objects_url = config_text(config, CONFIG_BLOB_PUBLIC_URL),
        .upload_bytes_max = config_number(config, CONFIG_INGEST_UPLOAD_BYTES),
        .quota_bytes = config_number(config, CONFIG_INGEST_QUOTA_BYTES),
    };
    return ingest_open(&ingest, &platform->ingest, problem);
}

void platform_media_program(const struct config *config, char path[PATH_MAX])
{
    assert(path != NULL);
    const char *set = config_text(config, CONFIG_TRANSCODE_MEDIA);
    if (set[0] != '\0') {
        (void)snprintf(path, PATH_MAX, "%s", set);
        return;
    }
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    (void)snprintf(path + folder, PATH_MAX - folder, "tutti-media");
}

static int open_transcode(struct platform *platform, struct problem *problem)
{
    char media[PATH_MAX];
    platform_media_program(platform->config, media);
    struct transcode_config transcode = {
        .db = platform->catalog_db,
        .bus = platform->bus,
        .blobs = platform->blobs,
        .media_path = media,
        .workers = (unsigned)config_number(platform->config, CONFIG_TRANSCODE_WORKERS),
    };
    return transcode_open(&transcode, &platform->transcode, problem);
}

static int open_delivery(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    struct streaming_config streaming = {
        .catalog = platform->catalog,
        .blobs = platform->blobs,
        .keys_path = config_text(config, CONFIG_KEYS_STORE),
        .media_url = config_text(config, CONFIG_SERVER_MEDIA_URL),
    };
    struct objectstore_config objects = {
        .blobs = platform->blobs,
        .keys_path = config_text(config, CONFIG_KEYS_STORE),
        .public_url = config_text(config, CONFIG_BLOB_PUBLIC_URL),
    };
    struct gateway_config gateway = {
        .base_path = config_text(config, CONFIG_SERVER_BASE_PATH),
        .media_url = config_text(config, CONFIG_SERVER_MEDIA_URL),
        .upload_url = config_text(config, CONFIG_BLOB_PUBLIC_URL),
    };
    int error = streaming_open(&streaming, &platform->streaming, problem);
    error = error != 0 ? error : objectstore_open(&objects, &platform->objectstore, problem);
    return error != 0 ? error : gateway_open(&gateway, &platform->gateway, problem);
}

static int open_roles(struct platform *platform, struct problem *problem)
{
    int error = open_identity(platform, problem);
    error = error != 0 ? error : open_catalog(platform, problem);
    error = error != 0 ? error : open_ingest(platform, problem);
    error = error != 0 ? error : open_transcode(platform, problem);
    return error != 0 ? error : open_delivery(platform, problem);
}

static int opened(struct platform *platform, int error, struct platform **ret_platform)
{
    if (error != 0) {
        platform_close(platform);
        return error;
    }
    *ret_platform = platform;
    return 0;
}

int platform_open(const struct config *config, unsigned roles, struct platform **ret_platform,
                  struct problem *problem)
{
    struct platform *platform = calloc(1, sizeof *platform);
    if (platform == NULL) {
        return ERR_NO_MEMORY;
    }
    platform->config = config;
    platform->roles = roles;
    int error = open_databases(platform, problem);
    error = error != 0 ? error : open_engines(platform, problem);
    error = error != 0 ? error : open_roles(platform, problem);
    return opened(platform, error, ret_platform);
}

int platform_open_data(const struct config *config, struct platform **ret_platform,
                       struct problem *problem)
{
    struct platform *platform = calloc(1, sizeof *platform);
    if (platform == NULL) {
        return ERR_NO_MEMORY;
    }
    platform->config = config;
    int error = open_databases(platform, problem);
    error = error != 0 ? error : open_node(platform, problem);
    error = error != 0 ? error : open_bus(platform, problem);
    error = error != 0 ? error : open_identity(platform, problem);
    return opened(platform, error, ret_platform);
}

void platform_close(struct platform *platform)
{
    if (platform == NULL) {
        return;
    }
    metric_ask_end(platform);
    transcode_close(platform->transcode);
    ingest_close(platform->ingest);
    bus_close(platform->bus);
    gateway_close(platform->gateway);
    objectstore_close(platform->objectstore);
    streaming_close(platform->streaming);
    catalog_close(platform->catalog);
    identity_close(platform->identity);
    mail_close(platform->mailer);
    blob_store_close(platform->blobs);
    cache_close(platform->cache);
    node_lease_release(platform->node);
    db_close(platform->catalog_db);
    db_close(platform->users_db);
    free(platform);
}

int platform_add_routes(struct platform *platform, struct http_server *server)
{
    for (size_t i = 0; i < COUNT_OF(role_rows); i++) {
        const struct role_row *row = &role_rows[i];
        if ((platform->roles & row->bit) == 0 || row->routes == NULL) {
            continue;
        }
        unsigned count = 0;
        const struct route *routes = row->routes(&count);
        void *context = *(void **)((char *)platform + row->context);
        int error = http_server_add_routes(server, routes, count, context);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int subscribe(struct platform *platform)
{
    int error = 0;
    if ((platform->roles & PLATFORM_CATALOG) != 0) {
        error = catalog_subscribe(platform->catalog);
    }
    if (error == 0 && (platform->roles & PLATFORM_TRANSCODE) != 0) {
        error = transcode_subscribe(platform->transcode);
    }
    return error;
}

int platform_start(struct platform *platform, struct problem *problem)
{
    int error = subscribe(platform);
    error = error != 0 ? error : bus_start(platform->bus);
    if (error == 0 && (platform->roles & PLATFORM_INGEST) != 0) {
        error = ingest_start(platform->ingest);
    }
    if (error == 0 && (platform->roles & PLATFORM_TRANSCODE) != 0) {
        error = transcode_start(platform->transcode, problem);
    }
    return error;
}

static int64_t ask_catalog_up(void *argument)
{
    return db_ping(((struct platform *)argument)->catalog_db) == 0;
}

static int64_t ask_users_up(void *argument)
{
    return db_ping(((struct platform *)argument)->users_db) == 0;
}

static int64_t ask_blobs_up(void *argument)
{
    return blob_ping(((struct platform *)argument)->blobs) == 0;
}

void platform_gauges(struct platform *platform)
{
    static const char name[] = "tutti_engine_up", help[] = "1: the engine answers, 0: it does not.";
    metric_ask(name, help, "engine=\"catalog\"", ask_catalog_up, platform);
    metric_ask(name, help, "engine=\"users\"", ask_users_up, platform);
    metric_ask(name, help, "engine=\"blob\"", ask_blobs_up, platform);
}

static bool engine_state(json_t *engines, const char *name, int error)
{
    (void)json_object_set_new(engines, name, json_string(error == 0 ? "ok" : error_name(error)));
    return error == 0;
}

static bool is_ready(void *context, json_t *engines)
{
    struct platform *platform = context;
    bool ready = engine_state(engines, "catalog", db_ping(platform->catalog_db));
    ready = engine_state(engines, "users", db_ping(platform->users_db)) && ready;
    return engine_state(engines, "blob", blob_ping(platform->blobs)) && ready;
}

static int authenticate(void *context, struct request *request, const char *bearer)
{
    struct platform *platform = context;
    return identity_authenticate(platform->identity, request, bearer);
}

struct http_hooks platform_hooks(struct platform *platform)
{
    return (struct http_hooks){
        .context = platform,
        .authenticate = authenticate,
        .ready = is_ready,
    };
}

void platform_databases(struct platform *platform, struct db *ret_databases[PLATFORM_DATABASES])
{
    ret_databases[0] = platform->users_db;
    ret_databases[1] = platform->catalog_db;
}

struct identity *platform_identity(struct platform *platform)
{
    return platform->identity;
}

int platform_rotate_keys(struct platform *platform, struct call *call)
{
    int error = identity_keys_rotate(platform->identity, call);
    return error != 0 ? error
                      : streaming_keys_rotate(config_text(platform->config, CONFIG_KEYS_STORE),
                                              &call->problem);
}

int platform_sweep(struct platform *platform, unsigned *ret_uploads, unsigned *ret_objects)
{
    struct ingest_swept swept = {0};
    int error = ingest_sweep_all(platform->ingest, &swept);
    *ret_uploads = swept.uploads;
    *ret_objects = swept.objects;
    return error;
}

void platform_announce(struct platform *platform)
{
    struct call call = {.arena = arena_new(0), .actor.roles = ROLE_SYSTEM};
    bool needed = false;
    char code[64];
    if (call.arena != NULL && (platform->roles & PLATFORM_IDENTITY) != 0 &&
        identity_setup_begin(platform->identity, &call, &needed, code) == 0 && needed &&
        isatty(STDOUT_FILENO) != 0) {
        (void)printf("\n  %s has no admin yet. Open it and enter this code:\n\n      %s\n\n",
                     config_text(platform->config, CONFIG_SERVER_URL), code);
        (void)fflush(stdout);
    }
    sodium_memzero(code, sizeof code);
    arena_free(call.arena);
}
