/* Objects that no row names (ingest_internal.h): found in portions for the sweep, which removes
 * them, and for `tutti doctor`, which only counts. Any thread.
 */
#include "service/ingest/ingest_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct finding {
    struct orphans *orphans;
    const char *bucket;
    char *place;
    int64_t old_ms;
};

static int keep(void *argument, const char *key, const struct blob_stat *stat)
{
    struct finding *finding = argument;
    struct orphans *orphans = finding->orphans;
    (void)text_copy(finding->place, BLOB_KEY_MAX + 1, key);
    const char *copy = arena_strdup(orphans->arena, key);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    orphans->objects[orphans->count].key = copy;
    orphans->objects[orphans->count].bytes = stat->bytes;
    orphans->objects[orphans->count].damaged = stat->etag[0] == '\0';
    orphans->objects[orphans->count++].orphan = stat->modified_ms < finding->old_ms;
    return 0;
}

static int judge(struct db_session *session, void *argument)
{
    const struct finding *finding = argument;
    struct orphans *orphans = finding->orphans;
    bool uploads = strcmp(finding->bucket, BLOB_UPLOADS) == 0;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < orphans->count; i++) {
        bool named = true;
        if (orphans->objects[i].orphan) {
            error = uploads ? upload_key_lives(session, orphans->objects[i].key, &named)
                            : catalog_object_named(session, orphans->objects[i].key, &named);
        }
        orphans->objects[i].orphan = !named;
    }
    return error;
}

int orphans_find(struct db *db, struct blob_store *blobs, const char *bucket, char *place,
                 int64_t old_ms, struct orphans *orphans)
{
    char after[BLOB_KEY_MAX + 1];
    (void)text_copy(after, sizeof after, place);
    orphans->arena = arena_new(0);
    orphans->count = 0;
    struct finding finding = {orphans, bucket, place, old_ms};
    int error = orphans->arena != NULL
                    ? blob_list(blobs, bucket, "", after, ORPHANS_AT_ONCE, keep, &finding)
                    : ERR_NO_MEMORY;
    if (error == 0 && orphans->count > 0) {
        error = db_read(db, judge, &finding);
    }
    if (orphans->count < ORPHANS_AT_ONCE) {
        place[0] = '\0';
    }
    return error;
}

void orphans_done(struct orphans *orphans)
{
    arena_free(orphans->arena);
}

static void add(const struct orphans *orphans, const char *bucket,
                void (*visit)(void *argument, const char *bucket, const char *key, bool damaged),
                void *argument, struct ingest_store_look *look)
{
    look->objects += orphans->count;
    for (unsigned i = 0; i < orphans->count; i++) {
        look->bytes += orphans->objects[i].bytes;
        look->damaged += orphans->objects[i].damaged ? 1 : 0;
        look->orphans += orphans->objects[i].orphan ? 1 : 0;
        look->orphan_bytes += orphans->objects[i].orphan ? orphans->objects[i].bytes : 0;
        if (orphans->objects[i].damaged || orphans->objects[i].orphan) {
            visit(argument, bucket, orphans->objects[i].key, orphans->objects[i].damaged);
        }
    }
}

int ingest_store_look(struct db *catalog, struct blob_store *blobs,
                      void (*visit)(void *argument, const char *bucket, const char *key,
                                    bool damaged),
                      void *argument, struct ingest_store_look *ret_look)
{
    static const char *const buckets[] = {BLOB_UPLOADS, BLOB_MEDIA};
    struct ingest_store_look look = {.objects = 0};
    struct orphans *orphans = calloc(1, sizeof *orphans);
    int error = orphans != NULL ? 0 : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(buckets); i++) {
        char place[BLOB_KEY_MAX + 1] = "";
        do {
            error = orphans_find(catalog, blobs, buckets[i], place,
                                 clock_wall_ms() - INGEST_ORPHAN_GRACE_MS, orphans);
            if (error == 0) {
                add(orphans, buckets[i], visit, argument, &look);
            }
            orphans_done(orphans);
        } while (error == 0 && place[0] != '\0');
    }
    free(orphans);
    if (error == 0) {
        *ret_look = look;
    }
    return error;
}
