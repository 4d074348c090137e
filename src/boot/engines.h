/* The engines of a process: databases, events, cache, objects, mail. Which one stands behind a need
 * is said by its address in the configuration. Opened and closed on the main thread.
 */
#pragma once

#include "boot/place.h"

struct blob_store;
struct bus;
struct cache;
struct config;
struct db;
struct mailer;
struct node_lease;
struct problem;
struct redis;

/* Zeroed before it is opened; what is NULL is not open. */
struct engines {
    const struct config *config;
    struct db *databases[PLACE_DATABASES_];
    bool catalog_is_new; /* it had no tables yet */
    struct node_lease *node;
    struct bus *bus;
    struct redis *redis; /* NULL: nothing is shared but the databases */
    struct cache *cache;
    struct blob_store *blobs;
    struct mailer *mailer;
};

/* All of them; on error some stay open, for engines_close. */
int engines_open(struct engines *engines, const struct config *config, struct problem *problem);
/* Databases, events and Redis alone: what commands need. */
int engines_open_data(struct engines *engines, const struct config *config,
                      struct problem *problem);
/* No event is handed to a consumer any more; called before the roles that consume are closed. */
void engines_end_events(struct engines *engines);
void engines_close(struct engines *engines);
