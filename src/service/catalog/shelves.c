/* What stands on shelves, and lists over several of them (shelves.h). */
#include "service/catalog/shelves.h"

#include "base/error.h"
#include "base/mem.h"
#include "service/catalog/catalog_internal.h"
#include "service/catalog/change.h"
#include "service/catalog/resource.h"

#include <pthread.h>
#include <string.h>

enum { AT_ONCE = 1000 };

static int any_work(struct db_session *session, void *argument)
{
    return shelves_any(session, argument);
}

/* One look after another: who read earlier must not write later. */
int shelves_look(struct catalog *catalog)
{
    static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;
    bool any = false;
    (void)pthread_mutex_lock(&looking);
    int error = db_read(catalog->db, any_work, &any);
    if (error == 0) {
        atomic_store(&catalog->shelves, any);
    }
    (void)pthread_mutex_unlock(&looking);
    return error;
}

struct opening {
    const struct actor *actor;
    struct shelves *shelves;
};

static int open_work(struct db_session *session, void *argument)
{
    struct opening *opening = argument;
    return shelves_open_to(session, opening->actor, opening->shelves);
}

bool shelves_of(struct request *request, struct shelves *ret_shelves)
{
    struct catalog *catalog = request->context;
    ret_shelves->count = 0;
    if (!atomic_load(&catalog->shelves)) {
        return false;
    }
    if (!request_may_block(request)) {
        return true;
    }
    struct opening opening = {&request->call.actor, ret_shelves};
    if (db_read(catalog->db, open_work, &opening) != 0) {
        ret_shelves->count = 0; /* what everybody sees, then */
        return true;
    }
    return ret_shelves->count > 0;
}

static int seen_work(struct db_session *session, void *argument)
{
    struct opening *opening = argument;
    return shelves_seen_by(session, opening->actor, opening->shelves);
}

int catalog_shelves_seen(struct catalog *catalog, const struct actor *actor,
                         int64_t ret_ids[CATALOG_SHELVES_MAX], unsigned *ret_count, bool *ret_all)
{
    struct shelves shelves = {.count = 0};
    struct opening opening = {actor, &shelves};
    *ret_all = !atomic_load(&catalog->shelves) || (actor->roles & (unsigned)ROLE_ADMIN) != 0;
    int error = *ret_all ? 0 : db_read(catalog->db, seen_work, &opening);
    *ret_count = shelves.count;
    memcpy(ret_ids, shelves.ids, sizeof shelves.ids);
    return error;
}

/* --- one list of many --- */

struct strand {
    char *rows;
    unsigned count, at;
};

/* The strand whose next row comes first; NULL: all are at their ends. */
static struct strand *first_of(const struct shelf_merge *merge, struct strand *strands,
                               unsigned count)
{
    struct strand *first = NULL;
    for (unsigned i = 0; i < count; i++) {
        struct strand *strand = &strands[i];
        if (strand->at < strand->count &&
            (first == NULL ||
             merge->compare(merge->context, strand->rows + strand->at * merge->row_bytes,
                            first->rows + first->at * merge->row_bytes) < 0)) {
            first = strand;
        }
    }
    return first;
}

int shelves_merge(struct db_session *session, const struct shelf_merge *merge, void **ret_rows,
                  unsigned *ret_count)
{
    struct strand strands[1 + SHELVES_MAX] = {{.rows = NULL}};
    unsigned count = 1 + merge->shelves->count;
    for (unsigned i = 0; i < count; i++) {
        void *rows = NULL;
        int error = merge->list(session, merge->context, i > 0 ? merge->shelves->ids[i - 1] : 0,
                                &rows, &strands[i].count);
        if (error != 0) {
            return error;
        }
        strands[i].rows = rows;
    }
    if (count == 1) {
        *ret_rows = strands[0].rows;
        *ret_count = strands[0].count;
        return 0;
    }
    char *joined = arena_array(merge->arena, merge->limit, merge->row_bytes);
    struct strand *next;
    unsigned used = 0;
    while (joined != NULL && used < merge->limit &&
           (next = first_of(merge, strands, count)) != NULL) {
        memcpy(joined + used++ * merge->row_bytes, next->rows + next->at++ * merge->row_bytes,
               merge->row_bytes);
    }
    *ret_rows = joined;
    *ret_count = used;
    return joined != NULL ? 0 : ERR_NO_MEMORY;
}

/* --- changes --- */

/* Whatever shows an artist shows what is under it, so that its event tells of all. */
int shelf_tell(struct db_session *session, struct arena *arena, int64_t id)
{
    int64_t after = 0, *ids = NULL;
    unsigned count = AT_ONCE;
    int error = 0;
    while (error == 0 && count == AT_ONCE) {
        error = shelf_ids_after(session, arena, CATALOG_ARTIST, id, after, AT_ONCE, &ids, &count);
        for (unsigned i = 0; error == 0 && i < count; i++) {
            error = change_emit(session, CATALOG_ARTIST, ids[i], "artist.changed");
            after = ids[i];
        }
    }
    return error;
}

int shelf_mark(struct db_session *session, struct arena *arena, int64_t id, bool some)
{
    int error = shelf_mark_genres(session, id, some);
    error = error != 0 ? error : shelf_mark_album_genres(session, id, some);
    error = error != 0 ? error : shelf_mark_tracks(session, id, some);
    error = error != 0 ? error : shelf_mark_albums(session, id, some);
    error = error != 0 ? error : shelf_mark_artists(session, id, some);
    return error != 0 ? error : shelf_tell(session, arena, id);
}

struct forgetting {
    struct arena *arena;
    enum catalog_kind kind;
    int64_t id, after;
    int64_t *ids;
    unsigned count;
};

static int forget_work(struct db_session *session, void *argument)
{
    struct forgetting *look = argument;
    return shelf_ids_after(session, look->arena, (int)look->kind, look->id, look->after, AT_ONCE,
                           &look->ids, &look->count);
}

static int forget_some(struct catalog *catalog, struct forgetting *look)
{
    struct resource_name names[AT_ONCE];
    look->arena = arena_new(0);
    int error = look->arena != NULL ? db_read(catalog->db, forget_work, look) : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < look->count; i++) {
        names[i] = (struct resource_name){look->kind, look->ids[i]};
        look->after = look->ids[i];
    }
    arena_free(look->arena);
    if (error == 0) {
        resource_forget_all(catalog, names, look->count);
    }
    return error;
}

int shelf_forget(struct catalog *catalog, int64_t id)
{
    static const enum catalog_kind kinds[] = {CATALOG_ARTIST, CATALOG_ALBUM, CATALOG_TRACK};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(kinds); i++) {
        struct forgetting look = {.kind = kinds[i], .id = id, .count = AT_ONCE};
        while (error == 0 && look.count == AT_ONCE) {
            error = forget_some(catalog, &look);
        }
    }
    return error;
}
