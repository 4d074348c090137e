/* What a smart playlist shows (playlist_work.h). On the pool; what is found for a page lives as
 * long as that page is made. */
#include "service/library/playlists/playlist_work.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/library/lists.h"
#include "service/page.h"

static const int64_t DAY_MS = INT64_C(24) * 3600 * 1000;

/* Random order is another one each day, so that pages follow each other. */
int playlist_smart_find(struct library *library, struct call *call, struct arena *arena,
                        const struct playlist_row *row, struct smart_hits *ret_hits)
{
    return smart_find(library, call, arena, row->owner_user_id, row->rules,
                      row->id + clock_wall_ms() / DAY_MS, ret_hits);
}

struct showing {
    const struct playlist_row *row;
    bool for_strangers;
};

/* A track is in it once, so its id is the item's. */
static json_t *show_hit(const void *row, json_t *track, void *argument)
{
    const struct smart_hit *hit = row;
    const struct showing *showing = argument;
    const struct item_row item = {.id = hit->id,
                                  .track_id = hit->id,
                                  .added_by = showing->row->owner_user_id,
                                  .added_at = hit->added_ms};
    return playlist_item_json(&item, track, showing->for_strangers);
}

/* Rules look at all that is published; what the reader may not see of it is not shown to be there.
 */
static void drop_unseen(json_t *items)
{
    for (size_t i = json_array_size(items); i > 0; i--) {
        if (json_is_null(json_object_get(json_array_get(items, i - 1), "track"))) {
            (void)json_array_remove(items, i - 1);
        }
    }
}

static int show_page(struct request *request, const struct smart_hits *hits, int64_t from,
                     unsigned limit, struct showing *showing, json_t **ret_page)
{
    unsigned first = from < hits->count ? (unsigned)from : hits->count;
    unsigned left = hits->count - first, shown = left < limit ? left : limit;
    const struct list_place last = {.key = "", .number = first + shown};
    const struct described_list list = {.kind = CATALOG_TRACK,
                                        .rows = hits->rows + first,
                                        .row_bytes = sizeof *hits->rows,
                                        .id_at = offsetof(struct smart_hit, id),
                                        .count = shown,
                                        .item = show_hit,
                                        .argument = showing};
    json_t *items = NULL;
    int error = lists_items(request, &list, &items);
    if (error == 0) {
        drop_unseen(items);
        *ret_page = page_answer(request->call.arena, items, 'm', left > shown ? &last : NULL);
    }
    return error;
}

int playlist_smart_page(struct request *request, const struct playlist_row *row, bool for_strangers,
                        json_t **ret_page)
{
    struct list_place place = {.key = ""};
    struct showing showing = {.row = row, .for_strangers = for_strangers};
    struct smart_hits hits;
    int error = page_begin(request, 'm', &place);
    struct arena *arena = error == 0 ? arena_new(0) : NULL;
    if (arena == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    error = playlist_smart_find(request->context, &request->call, arena, row, &hits);
    error = error != 0
                ? error
                : show_page(request, &hits, place.number, place.limit - 1, &showing, ret_page);
    if (error == 0 && !hits.whole && *ret_page != NULL) {
        (void)json_object_set_new(*ret_page, "whole", json_false());
    }
    arena_free(arena);
    return error;
}
