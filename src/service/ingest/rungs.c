/* Renditions of files that stay outside are made when somebody plays them, and are kept up to a
 * size ([import] rungs_max_bytes): beyond it those go whose track was played, or made, longest ago.
 * They can be made again; originals are never touched, nor what was uploaded. Called by the sweep;
 * in several processes at once each finds done what another did. */
#include "service/ingest/ingest_internal.h"

#include "base/error.h"
#include "net/metrics.h"
#include "service/ingest/import/store.h"
#include "service/library/library.h"

#include <stdlib.h>

enum { LISTED_MAX = 100000, ARENA_BYTES_MAX = 64 << 20 };

struct rungs {
    struct catalog_rungs of;
    int64_t used_ms;
};

struct trim {
    struct ingest *ingest;
    struct arena *arena;
    struct rungs *list;
    unsigned count;
    int64_t bytes;
};

static int compare_used(const void *a, const void *b)
{
    const struct rungs *left = a, *right = b;
    return left->used_ms < right->used_ms ? -1 : left->used_ms > right->used_ms;
}

static int64_t later(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

/* The one used longest ago first. */
static int order(struct trim *trim, const struct catalog_rungs *rungs)
{
    int64_t *ids = arena_array(trim->arena, trim->count + 1, sizeof *ids);
    int64_t *played = arena_array(trim->arena, trim->count + 1, sizeof *played);
    trim->list = arena_array(trim->arena, trim->count + 1, sizeof *trim->list);
    if (ids == NULL || played == NULL || trim->list == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < trim->count; i++) {
        ids[i] = rungs[i].track_id;
        played[i] = 0;
    }
    struct library *library = trim->ingest->config.library;
    int error =
        library != NULL ? library_last_plays(library, CATALOG_TRACK, ids, trim->count, played) : 0;
    for (unsigned i = 0; error == 0 && i < trim->count; i++) {
        trim->list[i] = (struct rungs){rungs[i], later(rungs[i].made_ms, played[i])};
    }
    if (error == 0 && trim->count > 1) {
        qsort(trim->list, trim->count, sizeof *trim->list, compare_used);
    }
    return error;
}

static int remove_work(struct db_session *session, void *argument)
{
    const struct catalog_rungs *rungs = argument;
    struct call call = {.arena = arena_new(0), .actor.roles = ROLE_SYSTEM};
    int64_t version = 0;
    int error =
        call.arena != NULL ? catalog_rungs_remove(session, &call, rungs, &version) : ERR_NO_MEMORY;
    arena_free(call.arena);
    return error != 0 ? error : file_again(session, rungs->track_id, rungs->version, version);
}

static void tell(int64_t bytes, unsigned removed)
{
    metric_set(metric_get(METRIC_GAUGE, "tutti_import_rungs_bytes",
                          "Bytes of renditions beside imported files that stay where they are.",
                          ""),
               bytes);
    metric_add(metric_get(METRIC_COUNTER, "tutti_import_rungs_removed_total",
                          "Tracks whose renditions were removed to keep to their size.", ""),
               removed);
}

static int trim_to(struct trim *trim, int64_t most, unsigned *removed)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < trim->count && trim->bytes > most; i++) {
        struct catalog_rungs *rungs = &trim->list[i].of;
        error = db_write(trim->ingest->config.db, remove_work, rungs);
        bool gone = error == 0;
        trim->bytes -= gone ? rungs->bytes : 0;
        *removed += gone;
        error = error == ERR_CONFLICT || error == ERR_NOT_FOUND ? 0 : error;
    }
    return error;
}

int rungs_trim(struct ingest *ingest, unsigned *ret_removed)
{
    struct trim trim = {.ingest = ingest};
    struct catalog_rungs *rungs = NULL;
    *ret_removed = 0;
    if (ingest->config.import_rungs_bytes == 0 || ingest->config.import_copy) {
        return 0;
    }
    trim.arena = arena_new(ARENA_BYTES_MAX);
    int error = trim.arena != NULL ? catalog_rungs_list(ingest->config.catalog, trim.arena,
                                                        LISTED_MAX, &rungs, &trim.count)
                                   : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < trim.count; i++) {
        trim.bytes += rungs[i].bytes;
    }
    if (error == 0 && trim.bytes > ingest->config.import_rungs_bytes) {
        error = order(&trim, rungs);
        error = error != 0 ? error : trim_to(&trim, ingest->config.import_rungs_bytes, ret_removed);
    }
    if (error == 0) {
        tell(trim.bytes, *ret_removed);
    }
    arena_free(trim.arena);
    return error;
}
