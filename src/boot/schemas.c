/* The migrations of each database (schemas.h). A role that gets tables gets a row here; the test of
 * the first release's data in tests/operations finds a forgotten one. */
#include "boot/schemas.h"

#include "backend/db/db.h"
#include "base/mem.h"

/* Made by the build of each component's schema/ folder. */
#define X(component)                                                                               \
    extern const struct db_migration component##_migrations[];                                     \
    extern const unsigned component##_migration_count;
X(bus)
X(catalog)
X(idempotency)
X(identity)
X(ingest)
X(library)
X(node)
X(plays)
X(streaming)
X(transcode)
#undef X

static const struct schema {
    enum place_database which;
    const struct db_migration *migrations;
    const unsigned *count;
} schemas[] = {
    {PLACE_CATALOG, node_migrations, &node_migration_count},
    {PLACE_CATALOG, bus_migrations, &bus_migration_count},
    {PLACE_CATALOG, catalog_migrations, &catalog_migration_count},
    {PLACE_CATALOG, idempotency_migrations, &idempotency_migration_count},
    {PLACE_CATALOG, ingest_migrations, &ingest_migration_count},
    {PLACE_CATALOG, streaming_migrations, &streaming_migration_count},
    {PLACE_CATALOG, transcode_migrations, &transcode_migration_count},
    {PLACE_USERS, bus_migrations, &bus_migration_count},
    {PLACE_USERS, identity_migrations, &identity_migration_count},
    {PLACE_USERS, idempotency_migrations, &idempotency_migration_count},
    {PLACE_USERS, library_migrations, &library_migration_count},
    {PLACE_ACTIVITY, bus_migrations, &bus_migration_count},
    {PLACE_ACTIVITY, plays_migrations, &plays_migration_count},
};

int schemas_migrate(struct db *db, enum place_database which, struct problem *problem)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(schemas); i++) {
        if (schemas[i].which == which) {
            error = db_migrate(db, schemas[i].migrations, *schemas[i].count, problem);
        }
    }
    return error;
}

int schemas_pending(struct db *db, enum place_database which, unsigned *ret_pending,
                    struct problem *problem)
{
    unsigned pending = 0;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(schemas); i++) {
        unsigned missing = 0;
        if (schemas[i].which == which) {
            error =
                db_migrate_pending(db, schemas[i].migrations, *schemas[i].count, &missing, problem);
        }
        pending += missing;
    }
    if (error == 0) {
        *ret_pending = pending;
    }
    return error;
}
