/* Ingest's life (ingest.h): limits, migrations, routes, and the thread that sweeps and makes
 * fingerprints. */
#include "service/ingest/prints/prints.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const struct db_migration ingest_migrations[];
extern const unsigned ingest_migration_count;

enum {
    ARTIST = ROLE_ARTIST,
    UPLOADS_OPEN_MAX = 1000,
    SWEEP_INTERVAL_S = 600,
    DAY_MS = 24 * 3600 * 1000,
};
static const int64_t UPLOAD_BYTES_MAX = INT64_C(2) << 30;
static const int64_t QUOTA_BYTES = INT64_C(200) << 30;

static const struct route routes[] = {
    {"GET", "/api/v1/tracks/upload-url", ARTIST, ROUTE_POOL, 0, RATE_UPLOAD, upload_url_get, NULL,
     0},
    {"GET", "/api/v1/tracks/update-url/{id}", ARTIST, ROUTE_POOL, 0, RATE_UPLOAD, update_url_get,
     NULL, 0},
    {"POST", "/api/v1/tracks", ARTIST, ROUTE_POOL, BODY_BYTES_MAX, RATE_UPLOAD, tracks_post, NULL,
     0},
    {"PATCH", "/api/v1/tracks/{id}", ARTIST, ROUTE_POOL, BODY_BYTES_MAX, RATE_WRITE, tracks_patch,
     NULL, 0},
    {"POST", "/api/v1/uploads", ARTIST, ROUTE_POOL, BODY_BYTES_MAX, RATE_UPLOAD, uploads_post, NULL,
     0},
    {"GET", "/api/v1/uploads/{id}", ARTIST, ROUTE_POOL, 0, RATE_READ, uploads_get, NULL, 0},
    {"POST", "/api/v1/uploads/{id}/complete", ARTIST, ROUTE_POOL, BODY_BYTES_MAX, RATE_UPLOAD,
     uploads_complete, NULL, 0},
    {"GET", "/api/v1/imports", ROLE_ADMIN, ROUTE_POOL, 0, RATE_READ, imports_get, NULL, 0},
    {"POST", "/api/v1/imports", ROLE_ADMIN, ROUTE_POOL, BODY_BYTES_MAX, RATE_WRITE, imports_post,
     NULL, 0},
    {"GET", "/api/v1/imports/files", ROLE_ADMIN, ROUTE_POOL, 0, RATE_READ, import_files_get, NULL,
     0},
    {"GET", "/api/v1/imports/playlists", ROLE_ADMIN, ROUTE_POOL, 0, RATE_READ, import_lists_get,
     NULL, 0},
    {"GET", "/api/v1/imports/duplicates", ROLE_ADMIN, ROUTE_POOL, 0, RATE_READ,
     import_duplicates_get, NULL, 0},
    {"DELETE", "/api/v1/uploads/{id}", ARTIST, ROUTE_POOL, 0, RATE_WRITE, uploads_delete, NULL, 0},
};

const struct route *ingest_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}

static void set_limits(struct ingest_config *config)
{
    config->upload_bytes_max =
        config->upload_bytes_max > 0 ? config->upload_bytes_max : UPLOAD_BYTES_MAX;
    config->quota_bytes = config->quota_bytes > 0 ? config->quota_bytes : QUOTA_BYTES;
    config->uploads_open_max =
        config->uploads_open_max > 0 ? config->uploads_open_max : UPLOADS_OPEN_MAX;
    config->sweep_interval_s =
        config->sweep_interval_s > 0 ? config->sweep_interval_s : SWEEP_INTERVAL_S;
    config->upload_life_ms = config->upload_life_ms > 0 ? config->upload_life_ms : DAY_MS;
    config->orphan_grace_ms =
        config->orphan_grace_ms > 0 ? config->orphan_grace_ms : INGEST_ORPHAN_GRACE_MS;
}

int ingest_open(const struct ingest_config *config, struct ingest **ret_ingest,
                struct problem *problem)
{
    int error = db_migrate(config->db, ingest_migrations, ingest_migration_count, problem);
    if (error != 0) {
        return error;
    }
    struct ingest *ingest = calloc(1, sizeof *ingest);
    char *objects_url = strdup(config->objects_url);
    char *media_path = strdup(config->media_path != NULL ? config->media_path : "");
    char *folders = strdup(config->import_folders != NULL ? config->import_folders : "");
    if (ingest == NULL || objects_url == NULL || media_path == NULL || folders == NULL) {
        free(ingest);
        free(folders);
        free(objects_url);
        free(media_path);
        return ERR_NO_MEMORY;
    }
    ingest->config = *config;
    ingest->objects_url = objects_url;
    ingest->media_path = media_path;
    ingest->import_folders = folders;
    set_limits(&ingest->config);
    (void)pthread_mutex_init(&ingest->lock, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&ingest->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    *ret_ingest = ingest;
    return 0;
}

bool ingest_is_ending(struct ingest *ingest)
{
    (void)pthread_mutex_lock(&ingest->lock);
    bool ending = ingest->ending;
    (void)pthread_mutex_unlock(&ingest->lock);
    return ending;
}

bool ingest_wait(struct ingest *ingest, int64_t wait_ms)
{
    const struct timespec until = clock_monotonic_after(wait_ms);
    (void)pthread_mutex_lock(&ingest->lock);
    while (!ingest->ending &&
           pthread_cond_timedwait(&ingest->wake, &ingest->lock, &until) != ETIMEDOUT) {
    }
    bool goes_on = !ingest->ending;
    (void)pthread_mutex_unlock(&ingest->lock);
    return goes_on;
}

static void sweep(struct ingest *ingest)
{
    struct ingest_swept swept = {0};
    int error = ingest_sweep(ingest, &swept);
    if (error != 0) {
        log_event(LOG_WARNING, "ingest.sweep_failed", log_text("error", error_name(error)));
    } else if (swept.uploads > 0 || swept.objects > 0 || swept.rungs > 0) {
        log_event(LOG_INFO, "ingest.swept", log_number("uploads", swept.uploads),
                  log_number("objects", swept.objects), log_number("rungs", swept.rungs));
    }
    if (error == 0 && swept.older + swept.held > 0) {
        log_event(LOG_WARNING, "ingest.objects_left", log_number("older", swept.older),
                  log_number("held", swept.held),
                  log_text("reason", "no row names them, and they are older than the catalog, or "
                                     "many in a row: was a database lost? See tutti doctor"));
    }
}

static void *timer_main(void *argument)
{
    struct ingest *ingest = argument;
    struct prints prints = {0};
    int64_t interval_ms = (int64_t)ingest->config.sweep_interval_s * 1000;
    int64_t swept_ms = clock_monotonic_ms();
    while (ingest_wait(ingest, interval_ms < PRINTS_TICK_MS ? interval_ms : PRINTS_TICK_MS)) {
        if (clock_monotonic_ms() - swept_ms >= interval_ms) {
            swept_ms = clock_monotonic_ms();
            sweep(ingest);
        }
        prints_tick(ingest, &prints);
    }
    return NULL;
}

int ingest_start(struct ingest *ingest)
{
    int failure = pthread_create(&ingest->timer, NULL, timer_main, ingest);
    ingest->timer_runs = failure == 0;
    return failure == 0 ? import_follow_start(ingest) : error_from_errno(failure);
}

void ingest_close(struct ingest *ingest)
{
    if (ingest == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&ingest->lock);
    ingest->ending = true;
    (void)pthread_cond_broadcast(&ingest->wake);
    (void)pthread_mutex_unlock(&ingest->lock);
    if (ingest->timer_runs) {
        (void)pthread_join(ingest->timer, NULL);
    }
    import_follow_end(ingest);
    (void)pthread_cond_destroy(&ingest->wake);
    (void)pthread_mutex_destroy(&ingest->lock);
    free(ingest->objects_url);
    free(ingest->media_path);
    free(ingest->import_folders);
    free(ingest);
}
