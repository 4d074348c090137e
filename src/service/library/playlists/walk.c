/* A playlist from its beginning to its end (playlist_work.h), a page in memory at a time. Any
 * thread that may block. */
#include "service/library/playlists/playlist_work.h"

#include "base/error.h"
#include "base/json.h"

enum { AT_ONCE = 250 };

struct walk {
    struct library *library;
    struct call call; /* with an arena of its own, emptied for each page */
    const struct playlist_row *row;
    int (*visit)(void *argument, const json_t *track);
    void *argument;
    struct item_cursor cursor;
    struct item_list list;
};

static int visit_ids(struct walk *walk, const int64_t *ids, unsigned count)
{
    CLEANUP_JSON json_t *tracks = NULL;
    int error =
        catalog_describe(walk->library->catalog, &walk->call, CATALOG_TRACK, ids, count, &tracks);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        const json_t *track = json_array_get(tracks, i);
        error = json_is_object(track) ? walk->visit(walk->argument, track) : 0;
    }
    arena_reset(walk->call.arena);
    return error;
}

static int page_work(struct db_session *session, void *argument)
{
    struct walk *walk = argument;
    return item_list(session, walk->call.arena, walk->row->id, &walk->cursor, AT_ONCE, &walk->list);
}

static int walk_kept(struct walk *walk)
{
    int error = 0;
    do {
        int64_t ids[AT_ONCE];
        error = db_read(walk->library->users, page_work, walk);
        for (unsigned i = 0; error == 0 && i < walk->list.count; i++) {
            ids[i] = walk->list.rows[i].track_id;
            walk->cursor.place = walk->list.rows[i].place;
            walk->cursor.id = walk->list.rows[i].id;
        }
        error = error != 0 ? error : visit_ids(walk, ids, walk->list.count);
    } while (error == 0 && walk->list.count == AT_ONCE);
    return error;
}

static int walk_smart(struct walk *walk)
{
    struct smart_hits hits = {.count = 0};
    struct arena *arena = arena_new(0);
    int error = arena != NULL
                    ? playlist_smart_find(walk->library, &walk->call, arena, walk->row, &hits)
                    : ERR_NO_MEMORY;
    for (unsigned from = 0; error == 0 && from < hits.count; from += AT_ONCE) {
        int64_t ids[AT_ONCE];
        unsigned count = 0;
        for (; count < AT_ONCE && from + count < hits.count; count++) {
            ids[count] = hits.rows[from + count].id;
        }
        error = visit_ids(walk, ids, count);
    }
    arena_free(arena);
    return error;
}

int playlist_walk(struct library *library, struct call *call, const struct playlist_row *row,
                  int (*visit)(void *argument, const json_t *track), void *argument)
{
    struct walk walk = {
        .library = library, .call = *call, .row = row, .visit = visit, .argument = argument};
    walk.call.arena = arena_new(0);
    int error = walk.call.arena == NULL ? ERR_NO_MEMORY
                : row->rules[0] != '\0' ? walk_smart(&walk)
                                        : walk_kept(&walk);
    arena_free(walk.call.arena);
    call->problem = walk.call.problem;
    return error;
}
