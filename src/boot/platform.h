/* The platform: engines opened by configuration, and the roles' contracts wired over them. The only
 * place that names concrete engines. A process opens every contract (they are thin) and runs the
 * routes, consumers and workers of its own roles. Opened and closed on the main thread.
 */
#pragma once

#include "net/http.h"

#include <limits.h>

struct call;
struct config;
struct identity;
struct problem;
struct platform;

enum platform_role {
    PLATFORM_GATEWAY = 1 << 0,
    PLATFORM_IDENTITY = 1 << 1,
    PLATFORM_CATALOG = 1 << 2,
    PLATFORM_INGEST = 1 << 3,
    PLATFORM_TRANSCODE = 1 << 4,
    PLATFORM_STREAMING = 1 << 5,
    PLATFORM_OBJECTSTORE = 1 << 6,
    PLATFORM_LIBRARY = 1 << 7,
    PLATFORM_SEARCH = 1 << 8,
    PLATFORM_ALL = (1 << 9) - 1,
};

/* "identity,catalog" or "all" as bits. ERR_INVALID names the unknown role and those there are. */
int platform_parse_roles(const char *list, unsigned *ret_roles, struct problem *problem);

/* Creates the data directory if need be, opens databases and migrates them. Words in problem. */
int platform_open(const struct config *config, unsigned roles, struct platform **ret_platform,
                  struct problem *problem);
/* Databases, keys and identity alone: what commands need. */
int platform_open_data(const struct config *config, struct platform **ret_platform,
                       struct problem *problem);
void platform_close(struct platform *platform);

/* Adds the routes of the roles. */
int platform_add_routes(struct platform *platform, struct http_server *server);
/* Starts consumers and workers. */
int platform_start(struct platform *platform, struct problem *problem);
/* What the HTTP server asks of us: who a token is, whether the engines are there. */
struct http_hooks platform_hooks(struct platform *platform);
/* Tells /metrics which engines answer, until platform_close. */
void platform_gauges(struct platform *platform);
/* Where there is no admin yet: makes the set-up code and shows it on a terminal. */
void platform_announce(struct platform *platform);

/* The databases that have an outbox; borrowed. */
enum { PLATFORM_DATABASES = 3 };
struct db;
void platform_databases(struct platform *platform, struct db *ret_databases[PLATFORM_DATABASES]);
/* Where tutti-media is: beside tutti unless the configuration says otherwise. */
void platform_media_program(const struct config *config, char ret_path[PATH_MAX]);
struct identity *platform_identity(struct platform *platform); /* borrowed */
/* What the sweep does in portions, at once: all that nothing names any more and whose grace is over
 * goes (ingest.h). Needs a platform of platform_open. */
struct ingest_swept;
int platform_sweep(struct platform *platform, bool accept_lost, struct ingest_swept *ret_swept);
/* The search index of this machine, built anew. Needs a platform of platform_open. */
struct search_built;
int platform_search_rebuild(struct platform *platform, struct search_built *ret_built,
                            struct problem *problem);
/* Imports a folder (ingest.h). Needs a platform of platform_open. */
struct import_options;
struct import_progress;
int platform_import(struct platform *platform, const struct import_options *options,
                    struct import_progress *ret_progress, struct problem *problem);
/* New signing keys for access tokens and media URLs. */
int platform_rotate_keys(struct platform *platform, struct call *call);
