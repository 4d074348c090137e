/* The sweep (ingest.h): abandoned uploads, objects whose grace is over, and a walk over all objects
 * for those that no row names. The walk takes a portion each time and remembers where it was, so
 * that a large store is gone through in many small steps.
 */
#include "service/ingest/ingest_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "net/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Uploads in parts that no row of ours knows: begun by outside keys of the built-in store, and
 * left. */
static const int64_t ended_life_ms = (int64_t)30 * 24 * 3600 * 1000;
static const int64_t foreign_upload_life_ms = (int64_t)7 * 24 * 3600 * 1000;

enum { UPLOADS_AT_ONCE = 100, CLEANUPS_AT_ONCE = 100 };

struct expired {
    struct arena *arena;
    struct upload_row *rows;
    unsigned count;
};

static int expired_work(struct db_session *session, void *argument)
{
    struct expired *expired = argument;
    return upload_expired(session, expired->arena, clock_wall_ms(), UPLOADS_AT_ONCE, &expired->rows,
                          &expired->count);
}

static int sweep_uploads(struct ingest *ingest, struct ingest_swept *swept)
{
    struct expired expired = {.arena = arena_new(0)};
    int error =
        expired.arena != NULL ? db_read(ingest->config.db, expired_work, &expired) : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < expired.count; i++) {
        error = upload_abort(ingest, &expired.rows[i]);
        swept->uploads += error == 0 ? 1 : 0;
        error = error == ERR_CONFLICT ? 0 : error; /* used this very moment */
    }
    arena_free(expired.arena);
    return error;
}

static bool may_go(const struct orphans *orphans, unsigned i, bool accept_lost)
{
    return orphans->objects[i].kind == ORPHAN_OURS ||
           (accept_lost && orphans->objects[i].kind != ORPHAN_NONE);
}

static int remove_orphans(struct ingest *ingest, const char *bucket, const struct orphans *orphans,
                          bool accept_lost, struct ingest_swept *swept)
{
    const char **keys = arena_array(orphans->arena, orphans->count + 1, sizeof *keys);
    unsigned count = 0;
    for (unsigned i = 0; keys != NULL && i < orphans->count; i++) {
        if (may_go(orphans, i, accept_lost)) {
            keys[count++] = orphans->objects[i].key;
        }
    }
    int error =
        keys != NULL ? blob_delete_many(ingest->config.blobs, bucket, keys, count) : ERR_NO_MEMORY;
    swept->objects += error == 0 ? count : 0;
    return error;
}

/* Once a walk is at its end, how much it left. */
static void tell_left(const char *bucket, struct walk *walk)
{
    char labels[64];
    if (walk->place[0] == '\0') {
        (void)snprintf(labels, sizeof labels, "bucket=\"%s\"", bucket);
        metric_set(metric_get(METRIC_GAUGE, "tutti_ingest_objects_left",
                              "Objects that no row names and the sweep leaves: older than the "
                              "catalog, or too many at once.",
                              labels),
                   (int64_t)walk->older + walk->held);
        walk->older = walk->held = 0;
    }
}

/* One portion of a bucket. Past its end it starts anew. */
static int walk_bucket(struct ingest *ingest, const char *bucket, struct walk *walk,
                       bool accept_lost, struct ingest_swept *swept)
{
    struct orphans *orphans = calloc(1, sizeof *orphans);
    if (orphans == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = orphans_find(ingest->config.db, ingest->config.blobs, bucket, walk,
                             clock_wall_ms() - ingest->config.orphan_grace_ms, orphans);
    error = error != 0 ? error : remove_orphans(ingest, bucket, orphans, accept_lost, swept);
    if (error != 0) {
        *walk = (struct walk){.place = ""};
    } else if (!accept_lost) {
        swept->older += orphans->of[ORPHAN_OLDER];
        swept->held += orphans->of[ORPHAN_HELD];
        walk->older += orphans->of[ORPHAN_OLDER];
        walk->held += orphans->of[ORPHAN_HELD];
    }
    if (error == 0) {
        tell_left(bucket, walk);
    }
    orphans_done(orphans);
    free(orphans);
    return error;
}

/* Rows that tell of what is over: uploads that ended a month ago, answers kept for a day. */
static int forget_work(struct db_session *session, void *argument)
{
    (void)argument;
    int64_t now_ms = clock_wall_ms();
    int error = idempotency_sweep(session, now_ms);
    return error != 0 ? error : upload_forget_ended(session, now_ms - ended_life_ms);
}

/* What rows tell of. */
static int sweep_rows(struct ingest *ingest, struct ingest_swept *swept)
{
    unsigned removed = 0;
    int error = sweep_uploads(ingest, swept);
    if (error == 0) {
        error = catalog_cleanup_sweep(ingest->config.catalog, CLEANUPS_AT_ONCE, &removed);
        swept->objects += removed;
    }
    if (error == 0) {
        error = rungs_trim(ingest, &removed);
        swept->rungs += error == 0 ? removed : 0;
    }
    return error != 0 ? error : db_write(ingest->config.db, forget_work, NULL);
}

static int sweep_multiparts(struct ingest *ingest)
{
    return blob_multipart_sweep(ingest->config.blobs, clock_wall_ms() - foreign_upload_life_ms);
}

int ingest_sweep(struct ingest *ingest, struct ingest_swept *ret_swept)
{
    struct ingest_swept swept = {0};
    int error = sweep_rows(ingest, &swept);
    if (error == 0) {
        error = walk_bucket(ingest, BLOB_UPLOADS, &ingest->walk_uploads, false, &swept);
    }
    if (error == 0) {
        error = walk_bucket(ingest, BLOB_MEDIA, &ingest->walk_media, false, &swept);
    }
    if (error == 0) {
        error = sweep_multiparts(ingest);
    }
    *ret_swept = swept;
    return error;
}

static int walk_whole_bucket(struct ingest *ingest, const char *bucket, bool accept_lost,
                             struct ingest_swept *swept)
{
    struct walk walk = {.place = ""};
    int error;
    do {
        error = walk_bucket(ingest, bucket, &walk, accept_lost, swept);
    } while (error == 0 && walk.place[0] != '\0');
    return error;
}

int ingest_sweep_all(struct ingest *ingest, bool accept_lost, struct ingest_swept *ret_swept)
{
    struct ingest_swept swept = {0}, before;
    int error;
    do {
        before = swept;
        error = sweep_rows(ingest, &swept);
    } while (error == 0 && (swept.uploads != before.uploads || swept.objects != before.objects));
    if (error == 0) {
        error = walk_whole_bucket(ingest, BLOB_UPLOADS, accept_lost, &swept);
    }
    if (error == 0) {
        error = walk_whole_bucket(ingest, BLOB_MEDIA, accept_lost, &swept);
    }
    if (error == 0) {
        error = sweep_multiparts(ingest);
    }
    *ret_swept = swept;
    return error;
}
