/* The platform (platform.h): engines, and over them the contracts of the roles, opened in this
 * order and closed in the reverse one.
 */
#include "boot/platform.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "backend/redis/redis_rates.h"
#include "base/call.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/config.h"
#include "boot/engines.h"
#include "boot/health.h"
#include "boot/seen.h"
#include "boot/store_rules.h"
#include "net/http.h"
#include "service/catalog/catalog.h"
#include "service/gateway/gateway.h"
#include "service/identity/identity.h"
#include "service/ingest/ingest.h"
#include "service/library/library.h"
#include "service/objectstore/objectstore.h"
#include "service/search/search.h"
#include "service/streaming/streaming.h"
#include "service/transcode/transcode.h"

#include <assert.h>
#include <limits.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { URL_SIZE = 1024 };

struct platform {
    const struct config *config;
    unsigned roles;
    struct engines engines;
    struct seen seen;
    struct identity *identity;
    struct catalog *catalog;
    struct ingest *ingest;
    struct transcode *transcode;
    struct streaming *streaming;
    struct library *library;
    struct search *search;
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
    {"library", PLATFORM_LIBRARY, library_routes, offsetof(struct platform, library)},
    {"search", PLATFORM_SEARCH, search_routes, offsetof(struct platform, search)},
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

/* Without an edge, players have what an S3 store holds from the store itself. */
static bool plays_from_store(const struct platform *platform)
{
    return blob_is_remote(platform->engines.blobs) &&
           !config_is_set(platform->config, CONFIG_SERVER_MEDIA_URL);
}

static int open_identity(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    struct identity_config identity = {
        .users = platform->engines.databases[PLACE_USERS],
        .mailer = platform->engines.mailer,
        .redis = platform->engines.redis,
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
        .db = platform->engines.databases[PLACE_CATALOG],
        .bus = platform->engines.bus,
        .cache = platform->engines.cache,
        .blobs = platform->engines.blobs,
        .identity = platform->identity,
    };
    return catalog_open(&catalog, &platform->catalog, problem);
}

static int64_t first_admin(void *context)
{
    int64_t user_id = 0;
    (void)identity_first_admin(context, &user_id);
    return user_id;
}

static int open_ingest(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    char media[PATH_MAX];
    platform_media_program(config, media);
    bool copies = strcmp(config_text(config, CONFIG_IMPORT_MODE), "copy") == 0;
    struct ingest_config ingest = {
        .db = platform->engines.databases[PLACE_CATALOG],
        .bus = platform->engines.bus,
        .blobs = platform->engines.blobs,
        .catalog = platform->catalog,
        .library = platform->library,
        .objects_url = blob_public_url(platform->engines.blobs),
        .upload_bytes_max = config_number(config, CONFIG_INGEST_UPLOAD_BYTES),
        .quota_bytes = config_number(config, CONFIG_INGEST_QUOTA_BYTES),
        .media_path = media,
        .import_folders = config_text(config, CONFIG_IMPORT_FOLDERS),
        .import_interval_s = (unsigned)config_number(config, CONFIG_IMPORT_INTERVAL),
        .import_watch = config_text(config, CONFIG_IMPORT_WATCH),
        .import_poll_s = (unsigned)config_number(config, CONFIG_IMPORT_POLL),
        .import_missing_max = (unsigned)config_number(config, CONFIG_IMPORT_MISSING_MAX),
        .import_prints_percent = (unsigned)config_number(config, CONFIG_IMPORT_FINGERPRINTS),
        .import_rungs_bytes = config_number(config, CONFIG_IMPORT_RUNGS),
        .import_copy = copies || blob_is_remote(platform->engines.blobs),
        .import_ahead = strcmp(config_text(config, CONFIG_IMPORT_RENDITIONS), "ahead") == 0,
        .import_owner = first_admin,
        .import_owner_context = platform->identity,
    };
    int error = ingest_open(&ingest, &platform->ingest, problem);
    if (error == 0) {
        blob_outside_set(platform->engines.blobs, ingest_outside, platform->ingest);
    }
    return error;
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
        .db = platform->engines.databases[PLACE_CATALOG],
        .bus = platform->engines.bus,
        .blobs = platform->engines.blobs,
        .media_path = media,
        .workers = (unsigned)config_number(platform->config, CONFIG_TRANSCODE_WORKERS),
    };
    return transcode_open(&transcode, &platform->transcode, problem);
}

static int open_library(struct platform *platform, struct problem *problem)
{
    const struct library_config library = {
        .users = platform->engines.databases[PLACE_USERS],
        .activity = platform->engines.databases[PLACE_ACTIVITY],
        .bus = platform->engines.bus,
        .catalog = platform->catalog,
        .public_url = config_text(platform->config, CONFIG_SERVER_URL),
    };
    int error = library_open(&library, &platform->library, problem);
    if (error == 0) {
        identity_export_with(platform->identity, library_export, platform->library);
    }
    return error;
}

static int open_search(struct platform *platform, struct problem *problem)
{
    const struct search_config search = {
        .store = config_text(platform->config, CONFIG_SEARCH_STORE),
        .catalog_db = platform->engines.databases[PLACE_CATALOG],
        .catalog = platform->catalog,
        .library = platform->library,
    };
    return search_open(&search, &platform->search, problem);
}

static int open_delivery(struct platform *platform, struct problem *problem)
{
    const struct config *config = platform->config;
    struct streaming_config streaming = {
        .catalog = platform->catalog,
        .blobs = platform->engines.blobs,
        .keys_path = config_text(config, CONFIG_KEYS_STORE),
        .media_url = config_text(config, CONFIG_SERVER_MEDIA_URL),
        .db = platform->engines.databases[PLACE_CATALOG],
        .bus = platform->engines.bus,
        .edge_urls = config_text(config, CONFIG_EDGE_URLS),
        .warm_tracks = (unsigned)config_number(config, CONFIG_EDGE_WARM),
        .warm_interval_ms = config_number(config, CONFIG_EDGE_INTERVAL) * 1000,
        .from_store = plays_from_store(platform),
    };
    const char *store_url = blob_public_url(platform->engines.blobs);
    char built_in[URL_SIZE]; /* where the built-in store's outside users reach it */
    (void)snprintf(built_in, sizeof built_in, "%s/s3", config_text(config, CONFIG_SERVER_URL));
    struct objectstore_config objects = {
        .blobs = platform->engines.blobs,
        .keys_path = config_text(config, CONFIG_KEYS_STORE),
        .public_url = blob_is_remote(platform->engines.blobs) ? built_in : store_url,
        .upload_bytes_max = config_number(config, CONFIG_INGEST_UPLOAD_BYTES),
    };
    struct gateway_config gateway = {
        .base_path = config_text(config, CONFIG_SERVER_BASE_PATH),
        .media_url =
            plays_from_store(platform) ? store_url : config_text(config, CONFIG_SERVER_MEDIA_URL),
        .upload_url = store_url,
    };
    int error = streaming_open(&streaming, &platform->streaming, problem);
    error = error != 0 ? error : objectstore_open(&objects, &platform->objectstore, problem);
    return error != 0 ? error : gateway_open(&gateway, &platform->gateway, problem);
}

static int open_roles(struct platform *platform, struct problem *problem)
{
    int error = open_identity(platform, problem);
    error = error != 0 ? error : open_catalog(platform, problem);
    error = error != 0 ? error : open_library(platform, problem);
    error = error != 0 ? error : open_ingest(platform, problem);
    error = error != 0 ? error : open_transcode(platform, problem);
    error = error != 0 ? error : open_search(platform, problem);
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
    int error = engines_open(&platform->engines, config, problem);
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
    int error = engines_open_data(&platform->engines, config, problem);
    error = error != 0 ? error : open_identity(platform, problem);
    return opened(platform, error, ret_platform);
}

void platform_close(struct platform *platform)
{
    if (platform == NULL) {
        return;
    }
    health_gauges_end(&platform->engines);
    health_gauge_search_end(platform->search);
    transcode_close(platform->transcode);
    ingest_close(platform->ingest);
    engines_end_events(&platform->engines);
    gateway_close(platform->gateway);
    objectstore_close(platform->objectstore);
    streaming_close(platform->streaming);
    search_close(platform->search);
    library_close(platform->library);
    catalog_close(platform->catalog);
    identity_close(platform->identity);
    engines_close(&platform->engines);
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
    if (error == 0 && (platform->roles & PLATFORM_STREAMING) != 0) {
        error = streaming_subscribe(platform->streaming);
    }
    if (error == 0 && (platform->roles & PLATFORM_LIBRARY) != 0) {
        error = library_subscribe(platform->library);
    }
    return error;
}

/* A store that can't be told now, or not by this key, still does all else; but one that is known to
 * give uploaders what is not theirs ends the start. */
static int tell_store(struct platform *platform, struct problem *problem)
{
    struct problem passing = {0};
    if (blob_is_remote(platform->engines.blobs) &&
        store_rules(platform->config, platform->engines.blobs, true, &passing) != 0) {
        log_event(LOG_WARNING, "blob.rules", log_text("reason", passing.detail));
    }
    problem_reset(&passing);
    if (blob_guard(platform->engines.blobs, &passing) == ERR_INVALID) {
        *problem = passing;
        return ERR_INVALID;
    }
    if (passing.code != 0) {
        log_event(LOG_WARNING, "blob.guard", log_text("reason", passing.detail));
    }
    return 0;
}

/* A new catalog beside accounts that are there is one that was lost, or has another address. */
static void tell_new_catalog(const struct platform *platform)
{
    int64_t user_id = 0;
    if (platform->engines.catalog_is_new &&
        identity_first_admin(platform->identity, &user_id) == 0 && user_id != 0) {
        log_event(LOG_WARNING, "catalog.new",
                  log_text("where", db_where(platform->engines.databases[PLACE_CATALOG])),
                  log_text("reason", "there was no catalog and an empty one was made, though there "
                                     "are accounts: if it was lost, restore it; if it is "
                                     "elsewhere, mend database.catalog"));
    }
}

int platform_start(struct platform *platform, struct problem *problem)
{
    tell_new_catalog(platform);
    int error = subscribe(platform);
    error = error != 0 ? error : bus_start(platform->engines.bus);
    if (error == 0 && (platform->roles & PLATFORM_INGEST) != 0) {
        error = tell_store(platform, problem);
        error = error != 0 ? error : ingest_start(platform->ingest);
    }
    if (error == 0 && (platform->roles & PLATFORM_STREAMING) != 0) {
        error = streaming_start(platform->streaming);
    }
    if (error == 0 && (platform->roles & PLATFORM_TRANSCODE) != 0) {
        error = transcode_start(platform->transcode, problem);
    }
    if (error == 0 && (platform->roles & PLATFORM_SEARCH) != 0) {
        error = search_start(platform->search, problem);
    }
    return error;
}

void platform_gauges(struct platform *platform)
{
    health_gauges(&platform->engines);
    health_gauge_search(platform->search);
}

static bool is_ready(void *context, json_t *ret_states)
{
    struct platform *platform = context;
    health_tell_search(platform->search, ret_states);
    return health_is_ready(&platform->engines, ret_states);
}

static int exchange_rates(void *context, struct rates_spent *spent, unsigned count)
{
    return redis_rates_exchange(((struct platform *)context)->engines.redis, spent, count);
}

static int authenticate(void *context, struct request *request, const char *bearer)
{
    struct platform *platform = context;
    return identity_authenticate(platform->identity, request, bearer);
}

static void handle_begins(void *context, struct request *request)
{
    seen_begin(&((struct platform *)context)->seen, request);
}

static void handle_ended(void *context, struct request *request)
{
    seen_end(&((struct platform *)context)->seen, request);
}

struct http_hooks platform_hooks(struct platform *platform)
{
    const char *base = config_text(platform->config, CONFIG_SERVER_BASE_PATH);
    platform->seen = (struct seen){.cookie_path = base[0] != '\0' ? base : "/",
                                   .redis = platform->engines.redis};
    platform_databases(platform, platform->seen.databases);
    return (struct http_hooks){
        .context = platform,
        .authenticate = authenticate,
        .ready = is_ready,
        .handle_begins = handle_begins,
        .handle_ended = handle_ended,
        .exchange_rates = platform->engines.redis != NULL ? exchange_rates : NULL,
    };
}

void platform_databases(struct platform *platform, struct db *ret_databases[PLATFORM_DATABASES])
{
    memcpy(ret_databases, platform->engines.databases, sizeof platform->engines.databases);
}

struct identity *platform_identity(struct platform *platform)
{
    return platform->identity;
}

int platform_rotate_keys(struct platform *platform, struct call *call)
{
    int error = identity_keys_rotate(platform->identity, call);
    int64_t delay_ms = config_number(platform->config, CONFIG_EDGE_KEY_DELAY) * 1000;
    return error != 0 ? error
                      : streaming_keys_rotate(config_text(platform->config, CONFIG_KEYS_STORE),
                                              delay_ms, &call->problem);
}

int platform_search_rebuild(struct platform *platform, struct search_built *ret_built,
                            struct problem *problem)
{
    return search_rebuild(platform->search, ret_built, problem);
}

int platform_import(struct platform *platform, const struct import_options *options,
                    struct import_progress *ret_progress, struct problem *problem)
{
    return ingest_import(platform->ingest, options, ret_progress, problem);
}

int platform_sweep(struct platform *platform, bool accept_lost, struct ingest_swept *ret_swept)
{
    return ingest_sweep_all(platform->ingest, accept_lost, ret_swept);
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
