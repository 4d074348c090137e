/* The catalog's life (catalog.h): migrations, the set of deleted tracks, the end. */
#include "service/catalog/catalog_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/gone.h"
#include "service/catalog/shelves.h"
#include "service/catalog/watch.h"
#include "service/idempotency.h"

#include <stdlib.h>

struct recall {
    struct arena *arena;
    int64_t *ids;
    unsigned count;
};

static int recall_work(struct db_session *session, void *argument)
{
    struct recall *recall = argument;
    return tracks_deleted_since(session, recall->arena, clock_wall_ms() - CATALOG_OBJECT_GRACE_MS,
                                &recall->ids, &recall->count);
}

/* What was deleted before a restart is known again after it. */
static int recall_gone(struct catalog *catalog)
{
    struct recall recall = {.arena = arena_new(0)};
    if (recall.arena == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = db_read(catalog->db, recall_work, &recall);
    for (unsigned i = 0; error == 0 && i < recall.count; i++) {
        gone_add(catalog->gone, recall.ids[i], clock_wall_ms());
    }
    arena_free(recall.arena);
    return error;
}

int catalog_open(const struct catalog_config *config, struct catalog **ret_catalog,
                 struct problem *problem)
{
    int error = db_migrate(config->db, catalog_migrations, catalog_migration_count, problem);
    if (error == 0) {
        error =
            db_migrate(config->db, idempotency_migrations, idempotency_migration_count, problem);
    }
    if (error != 0) {
        return error;
    }
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (catalog == NULL) {
        return ERR_NO_MEMORY;
    }
    catalog->db = config->db;
    catalog->bus = config->bus;
    catalog->cache = config->cache;
    catalog->blobs = config->blobs;
    catalog->identity = config->identity;
    catalog->gone = gone_new();
    error = catalog->gone != NULL ? recall_gone(catalog) : ERR_NO_MEMORY;
    error = error != 0 ? error : catalog_index_fill(catalog->db);
    error = error != 0 ? error : shelves_look(catalog);
    if (error == 0) {
        error = watch_start(catalog, &catalog->watch);
    }
    if (error != 0) {
        catalog_close(catalog);
        return problem_set(problem, error, "The catalog's tables can't be read");
    }
    *ret_catalog = catalog;
    return 0;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog != NULL) {
        watch_stop(catalog->watch);
        gone_free(catalog->gone);
        free(catalog->media_run);
        free(catalog);
    }
}
