/* The catalogue into a new index, portion by portion, each a read of its own: what changes
 * meanwhile is behind the place that was taken first, and brought again from there. */
#include "service/search/search_internal.h"

#include "backend/db/db.h"
#include "base/error.h"
#include "service/library/library.h"

#include <stdlib.h>

static const enum catalog_kind kinds[] = {CATALOG_ARTIST, CATALOG_ALBUM, CATALOG_TRACK};

struct building {
    struct search *search;
    struct index_build *build;
    struct arena *arena;
    enum catalog_kind kind;
    int64_t after_id;
    struct catalog_name *names;
    unsigned count;
    int64_t place;
    /* Plays of what comes next, in the order of ids. */
    struct library_total totals[PORTION];
    unsigned total_count, total_at;
    bool totals_end;
};

static int place_work(struct db_session *session, void *argument)
{
    struct building *building = argument;
    struct bus_news *news = NULL;
    unsigned count = 0;
    building->place = -1;
    return bus_news(session, building->arena, &building->place, &news, &count);
}

static int names_work(struct db_session *session, void *argument)
{
    struct building *building = argument;
    return catalog_names_after(session, building->arena, building->kind, building->after_id,
                               PORTION, &building->names, &building->count);
}

static uint32_t popularity(int64_t plays)
{
    return plays < 0 ? 0 : plays < UINT32_MAX ? (uint32_t)plays : UINT32_MAX;
}

/* Names and totals both go by id. */
static int take_plays(struct building *building, int64_t id, uint32_t *ret_popularity)
{
    *ret_popularity = 0;
    for (;;) {
        while (building->total_at < building->total_count) {
            const struct library_total *total = &building->totals[building->total_at];
            if (total->id >= id) {
                *ret_popularity = total->id == id ? popularity(total->plays) : 0;
                return 0;
            }
            building->total_at++;
        }
        if (building->totals_end) {
            return 0;
        }
        int64_t after =
            building->total_count > 0 ? building->totals[building->total_count - 1].id : 0;
        int error = library_totals(building->search->library, building->kind, after, PORTION,
                                   building->totals, &building->total_count);
        if (error != 0) {
            return error;
        }
        building->total_at = 0;
        building->totals_end = building->total_count < PORTION;
        if (building->total_count == 0) {
            return 0;
        }
    }
}

static int add_name(struct building *building, const struct catalog_name *name)
{
    uint32_t plays = 0;
    struct index_doc doc;
    int error = take_plays(building, name->id, &plays);
    error = error != 0
                ? error
                : document_make(building->arena, document_kind(building->kind), name, plays, &doc);
    return error != 0 ? error : index_build_add(building->build, &doc);
}

static int build_kind(struct building *building)
{
    int error = 0;
    building->after_id = 0;
    building->total_count = building->total_at = 0;
    building->totals_end = false;
    do {
        arena_reset(building->arena);
        error = db_read(building->search->db, names_work, building);
        for (unsigned i = 0; error == 0 && i < building->count; i++) {
            error = add_name(building, &building->names[i]);
            building->after_id = building->names[i].id;
        }
    } while (error == 0 && building->count == PORTION);
    return error;
}

int build_index(struct search *search, struct index *index, int64_t *ret_place,
                struct problem *problem)
{
    struct building *building = calloc(1, sizeof *building);
    struct arena *arena = building != NULL ? arena_new(0) : NULL;
    int error = arena == NULL ? ERR_NO_MEMORY : 0;
    if (error == 0) {
        building->search = search;
        building->arena = arena;
        error = db_read(search->db, place_work, building);
        error = error != 0 ? error : index_build_begin(index, building->place, &building->build);
    }
    for (unsigned i = 0; error == 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
        building->kind = kinds[i];
        error = build_kind(building);
    }
    if (error == 0) {
        error = index_build_end(building->build, problem);
        *ret_place = building->place;
    } else if (building != NULL) {
        index_build_free(building->build);
    }
    arena_free(arena);
    free(building);
    return error;
}

int popularity_of(struct search *search, enum catalog_kind kind, int64_t id,
                  uint32_t *ret_popularity)
{
    struct library_total total;
    unsigned count = 0;
    int error = library_totals(search->library, kind, id - 1, 1, &total, &count);
    *ret_popularity = error == 0 && count > 0 && total.id == id ? popularity(total.plays) : 0;
    return error;
}
