/* Objects that no row names (ingest_internal.h): found in portions for the sweep, which removes
 * them, and for `tutti doctor`, which only counts. Any thread.
 *
 * A row of orphans that begins near a portion's end is left to the next portion, which begins with
 * it, and one that fills a portion is counted on in the walk: so it is seen as long as it is, and a
 * held one loses nothing at its ends.
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
    struct walk *walk;
    int64_t old_ms;
};

static int keep(void *argument, const char *key, const struct blob_stat *stat)
{
    struct finding *finding = argument;
    struct orphans *orphans = finding->orphans;
    (void)text_copy(finding->walk->place, sizeof finding->walk->place, key);
    const char *copy = arena_strdup(orphans->arena, key);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    orphans->objects[orphans->count].key = copy;
    orphans->objects[orphans->count].bytes = stat->bytes;
    orphans->objects[orphans->count].modified_ms = stat->modified_ms;
    orphans->objects[orphans->count++].damaged = stat->etag[0] == '\0';
    return 0;
}

static int is_named(struct db_session *session, const char *bucket, const char *key,
                    bool *ret_named)
{
    return strcmp(bucket, BLOB_UPLOADS) == 0 ? upload_key_lives(session, key, ret_named)
                                             : catalog_object_named(session, key, ret_named);
}

static int judge(struct db_session *session, void *argument)
{
    const struct finding *finding = argument;
    struct orphans *orphans = finding->orphans;
    int64_t born_ms;
    int error = db_born(session, &born_ms);
    for (unsigned i = 0; error == 0 && i < orphans->count; i++) {
        int64_t modified_ms = orphans->objects[i].modified_ms;
        bool named = true;
        if (modified_ms < finding->old_ms) {
            error = is_named(session, finding->bucket, orphans->objects[i].key, &named);
        }
        orphans->objects[i].kind = named                   ? ORPHAN_NONE
                                   : modified_ms < born_ms ? ORPHAN_OLDER
                                                           : ORPHAN_OURS;
    }
    return error;
}

/* How many orphans stand in a row before an object. */
static unsigned row_before(const struct orphans *orphans, unsigned end)
{
    unsigned row = 0;
    while (row < end && orphans->objects[end - row - 1].kind == ORPHAN_OURS) {
        row++;
    }
    return row;
}

/* Keys begin with the track, and tracks' ids grow with time: what a catalogue that was set back
 * doesn't know stands together, however little of the store it is. */
static void hold_rows(struct orphans *orphans, struct walk *walk)
{
    unsigned row = row_before(orphans, orphans->count);
    if (orphans->count == ORPHANS_AT_ONCE && row < orphans->count) {
        orphans->count -= row;
        (void)text_copy(walk->place, sizeof walk->place, orphans->objects[orphans->count - 1].key);
    }
    unsigned before = walk->run;
    walk->run = row == ORPHANS_AT_ONCE ? before + row : 0;
    for (unsigned end = orphans->count; end > 0; end -= row + (row < end)) {
        row = row_before(orphans, end);
        bool held = row + (row == end ? before : 0) > ORPHANS_IN_A_ROW;
        for (unsigned i = end - row; held && i < end; i++) {
            orphans->objects[i].kind = ORPHAN_HELD;
        }
    }
}

int orphans_find(struct db *db, struct blob_store *blobs, const char *bucket, struct walk *walk,
                 int64_t old_ms, struct orphans *orphans)
{
    char after[BLOB_KEY_MAX + 1];
    (void)text_copy(after, sizeof after, walk->place);
    *orphans = (struct orphans){.arena = arena_new(0)};
    struct finding finding = {orphans, bucket, walk, old_ms};
    int error = orphans->arena != NULL
                    ? blob_list(blobs, bucket, "", after, ORPHANS_AT_ONCE, keep, &finding)
                    : ERR_NO_MEMORY;
    if (error == 0 && orphans->count > 0) {
        error = db_read(db, judge, &finding);
    }
    bool more = orphans->count == ORPHANS_AT_ONCE;
    if (error == 0 && strcmp(bucket, BLOB_MEDIA) == 0) { /* most uploads may be left ones */
        hold_rows(orphans, walk);
    }
    for (unsigned i = 0; error == 0 && i < orphans->count; i++) {
        orphans->of[orphans->objects[i].kind]++;
    }
    if (!more) {
        walk->place[0] = '\0';
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
    look->orphans += orphans->of[ORPHAN_OURS];
    look->older += orphans->of[ORPHAN_OLDER];
    look->held += orphans->of[ORPHAN_HELD];
    for (unsigned i = 0; i < orphans->count; i++) {
        enum orphan_kind kind = orphans->objects[i].kind;
        look->bytes += orphans->objects[i].bytes;
        look->damaged += orphans->objects[i].damaged ? 1 : 0;
        look->orphan_bytes += kind == ORPHAN_OURS ? orphans->objects[i].bytes : 0;
        look->left_bytes +=
            kind == ORPHAN_OLDER || kind == ORPHAN_HELD ? orphans->objects[i].bytes : 0;
        if (orphans->objects[i].damaged || kind != ORPHAN_NONE) {
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
        struct walk walk = {.place = ""};
        do {
            error = orphans_find(catalog, blobs, buckets[i], &walk,
                                 clock_wall_ms() - INGEST_ORPHAN_GRACE_MS, orphans);
            if (error == 0) {
                add(orphans, buckets[i], visit, argument, &look);
            }
            orphans_done(orphans);
        } while (error == 0 && walk.place[0] != '\0');
    }
    free(orphans);
    if (error == 0) {
        *ret_look = look;
    }
    return error;
}
