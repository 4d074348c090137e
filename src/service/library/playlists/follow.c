/* Playlists that follow a file of an imported folder (library_list_follow). A file that changed
 * changes the items between those that stay in front and those that stay behind, so that positions
 * which somebody holds keep their items. Whether a person edited the playlist is seen by its
 * tracks: they are no more those that were last written. On any thread; the work on the writer's.
 */
#include "service/library/playlists/playlist_work.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"

#include <sodium.h>
#include <string.h>

enum { HASH_BYTES = crypto_generichash_BYTES_MIN };
static const int64_t TOMBSTONE_MS = INT64_C(30) * 24 * 3600 * 1000;

struct following {
    const struct library_list *list;
    struct call call; /* the owner's */
    const char *title;
    int64_t now_ms;
    enum library_list_end end;
    int64_t playlist_id;
};

static const char *hash_of(struct arena *arena, const int64_t *tracks, unsigned count)
{
    unsigned char hash[HASH_BYTES];
    char *text = arena_alloc(arena, 2 * sizeof hash + 1);
    if (text == NULL) {
        return NULL;
    }
    (void)crypto_generichash(hash, sizeof hash, (const unsigned char *)tracks,
                             count * sizeof *tracks, NULL, 0);
    return sodium_bin2hex(text, 2 * sizeof hash + 1, hash, sizeof hash);
}

static int keep_source(struct db_session *session, const struct following *following)
{
    const struct library_list *list = following->list;
    const struct source_row source = {
        .id = list->source_id,
        .playlist_id = following->playlist_id,
        .owner_user_id = list->owner_user_id,
        .title = following->title,
        .items_hash = hash_of(following->call.arena, list->tracks, list->count)};
    return source.items_hash != NULL ? source_put(session, &source) : ERR_NO_MEMORY;
}

/* Tracks of the list from a place in it on, between two places of the playlist. ERR_EXISTS: there
 * is no room. */
static int insert(struct db_session *session, const struct following *following, unsigned from,
                  unsigned count, const struct place_key between[2])
{
    const struct item_row like = {.added_by = following->list->owner_user_id,
                                  .added_at = following->now_ms};
    struct place_key *places = arena_array(following->call.arena, count + 1, sizeof *places);
    if (places == NULL) {
        return ERR_NO_MEMORY;
    }
    return place_spread(&between[0], &between[1], count, places)
               ? item_insert_all(session, following->playlist_id, &like,
                                 following->list->tracks + from, count, places)
               : ERR_EXISTS;
}

static int make(struct db_session *session, struct following *following)
{
    const struct library_list *list = following->list;
    const struct place_key everywhere[2] = {{.length = 0}, {.length = 0}};
    struct edit edit = {.call = &following->call, .id = id_next(), .now_ms = following->now_ms};
    struct playlist_row row = {.title = following->title,
                               .description = list->description,
                               .rules = "",
                               .item_count = list->count};
    following->playlist_id = edit.id;
    int error = playlist_make(session, &edit, &row);
    error = error != 0 ? error : insert(session, following, 0, list->count, everywhere);
    return error != 0 ? error : keep_source(session, following);
}

static int remove_some(struct db_session *session, const struct following *following,
                       const struct item_row *rows, unsigned count)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = item_remove(session, following->playlist_id, rows[i].id, following->now_ms);
    }
    return error;
}

/* The items become the list's tracks. */
static int replace(struct db_session *session, const struct following *following,
                   const struct item_list *items)
{
    const struct library_list *list = following->list;
    const struct item_row *rows = items->rows;
    unsigned least = items->count < list->count ? items->count : list->count, front = 0, back = 0;
    while (front < least && rows[front].track_id == list->tracks[front]) {
        front++;
    }
    while (back < least - front &&
           rows[items->count - 1 - back].track_id == list->tracks[list->count - 1 - back]) {
        back++;
    }
    struct place_key between[2] = {{.length = 0}, {.length = 0}};
    between[0] = front > 0 ? rows[front - 1].place : between[0];
    between[1] = back > 0 ? rows[items->count - back].place : between[1];
    int error = remove_some(session, following, rows + front, items->count - front - back);
    error =
        error != 0 ? error : insert(session, following, front, list->count - front - back, between);
    if (error == ERR_EXISTS) { /* all of them anew, then */
        const struct place_key everywhere[2] = {{.length = 0}, {.length = 0}};
        error = remove_some(session, following, rows, front);
        error =
            error != 0 ? error : remove_some(session, following, rows + items->count - back, back);
        error = error != 0 ? error : insert(session, following, 0, list->count, everywhere);
    }
    return error != 0 ? error
                      : item_forget_removed(session, following->playlist_id,
                                            following->now_ms - TOMBSTONE_MS);
}

static int write_changes(struct db_session *session, struct following *following,
                         const struct source_row *source, struct playlist_row *row,
                         const struct item_list *items)
{
    struct edit edit = {.call = &following->call, .id = row->id, .now_ms = following->now_ms};
    bool named = strcmp(row->title, source->title) != 0; /* by a person */
    row->title = named ? row->title : following->title;
    row->item_count = following->list->count;
    int error = replace(session, following, items);
    error = error != 0 ? error : playlist_close(session, &edit, row);
    return error != 0 ? error : keep_source(session, following);
}

static int is_edited(const struct following *following, const struct source_row *source,
                     const struct item_list *items, bool *ret_edited)
{
    struct arena *arena = following->call.arena;
    int64_t *tracks = arena_array(arena, items->count + 1, sizeof *tracks);
    for (unsigned i = 0; tracks != NULL && i < items->count; i++) {
        tracks[i] = items->rows[i].track_id;
    }
    const char *hash = tracks != NULL ? hash_of(arena, tracks, items->count) : NULL;
    *ret_edited = hash != NULL && strcmp(hash, source->items_hash) != 0;
    return hash != NULL ? 0 : ERR_NO_MEMORY;
}

static int change(struct db_session *session, struct following *following,
                  const struct source_row *source)
{
    struct item_cursor beginning = {.id = 0};
    const struct library_list *list = following->list;
    struct arena *arena = following->call.arena;
    struct playlist_row row;
    struct item_list items;
    bool edited = false;
    following->playlist_id = source->playlist_id;
    int error = playlist_lock(session, source->playlist_id);
    error = error != 0 ? error : playlist_find(session, arena, source->playlist_id, &row);
    if (error == ERR_NOT_FOUND) {
        following->end = LIBRARY_LIST_DELETED;
        return 0;
    }
    error = error != 0 ? error
                       : item_list(session, arena, row.id, &beginning, PLAYLIST_ITEMS_MAX, &items);
    error = error != 0 ? error : is_edited(following, source, &items, &edited);
    if (error != 0 || edited) {
        following->end = LIBRARY_LIST_EDITED;
        return error;
    }
    const char *hash = hash_of(arena, list->tracks, list->count);
    bool same = hash != NULL && strcmp(hash, source->items_hash) == 0 &&
                strcmp(source->title, following->title) == 0;
    return hash == NULL ? ERR_NO_MEMORY
           : same       ? 0
                        : write_changes(session, following, source, &row, &items);
}

static int follow_work(struct db_session *session, void *argument)
{
    struct following *following = argument;
    struct source_row source;
    problem_reset(&following->call.problem);
    following->end = LIBRARY_LIST_FOLLOWED;
    int error = library_alive(session, &following->call);
    error = error != 0
                ? error
                : source_get(session, following->call.arena, following->list->source_id, &source);
    return error == 0               ? change(session, following, &source)
           : error == ERR_NOT_FOUND ? make(session, following)
                                    : error;
}

int library_list_follow(struct library *library, const struct library_list *list,
                        struct problem *problem, enum library_list_end *ret_end,
                        int64_t *ret_playlist_id)
{
    struct following following = {.list = list, .now_ms = clock_wall_ms()};
    following.call.arena = arena_new(0);
    following.call.actor.user_id = list->owner_user_id;
    following.title =
        following.call.arena != NULL ? playlist_title_fit(following.call.arena, list->title) : NULL;
    int error =
        following.title != NULL ? db_write(library->users, follow_work, &following) : ERR_NO_MEMORY;
    arena_free(following.call.arena);
    if (error != 0) {
        *problem = following.call.problem;
        return error;
    }
    *ret_end = following.end;
    *ret_playlist_id = following.playlist_id;
    return 0;
}
