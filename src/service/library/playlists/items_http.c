/* Routes of what is in a playlist. Handlers run on the pool; memory is the request's arena. */
#include "service/library/playlists/playlist_work.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "service/fields.h"
#include "service/library/lists.h"
#include "service/page.h"

#include <sodium.h>
#include <string.h>

/* ---- reading ---- */

struct items_page {
    struct arena *arena;
    int64_t playlist_id;
    struct item_cursor cursor;
    struct list_place at;
    struct item_list list;
};

static int items_work(struct db_session *session, void *argument)
{
    struct items_page *page = argument;
    return item_list(session, page->arena, page->playlist_id, &page->cursor, page->at.limit,
                     &page->list);
}

json_t *playlist_item_json(const struct item_row *row, json_t *track, bool for_strangers)
{
    return for_strangers
               ? json_pack("{s:o, s:O}", "id", json_id(row->id), "track", track) /* no people */
               : json_pack("{s:o, s:o, s:o, s:I, s:O}", "id", json_id(row->id), "trackId",
                           json_id(row->track_id), "addedBy", json_id(row->added_by), "addedAt",
                           (json_int_t)row->added_at, "track", track);
}

static json_t *member_item(const void *item, json_t *track, void *argument)
{
    (void)argument;
    return playlist_item_json(item, track, false);
}

static json_t *stranger_item(const void *item, json_t *track, void *argument)
{
    (void)argument;
    return playlist_item_json(item, track, true);
}

/* Of a cursor the key is a place in hexadecimal, the number how often the list was numbered. */
static bool read_cursor(struct items_page *page)
{
    unsigned char bytes[PLACE_MAX];
    size_t length = 0;
    const char *key = page->at.key;
    page->cursor.id = page->at.id;
    page->cursor.numbered = page->at.number;
    return key[0] == '\0' ||
           (sodium_hex2bin(bytes, sizeof bytes, key, strlen(key), NULL, &length, NULL) == 0 &&
            place_of_bytes(bytes, length, &page->cursor.place));
}

static int kept_items_page(struct request *request, int64_t playlist_id, bool for_strangers,
                           json_t **ret_page)
{
    struct library *library = request->context;
    struct items_page page = {
        .arena = request->call.arena, .playlist_id = playlist_id, .at = {.key = ""}};
    int error = page_begin(request, 'x', &page.at);
    if (error == 0 && !read_cursor(&page)) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "cursor is none of this list; leave it out for the first page");
    }
    error = error != 0 ? error : db_read(library->users, items_work, &page);
    if (error != 0) {
        return error;
    }
    unsigned shown = page_shown(page.list.count, &page.at);
    char hex[2 * PLACE_MAX + 1] = "";
    struct list_place last = {.key = hex, .number = page.cursor.numbered};
    if (shown > 0) {
        const struct item_row *row = &page.list.rows[shown - 1];
        (void)sodium_bin2hex(hex, sizeof hex, row->place.bytes, row->place.length);
        last.id = row->id;
    }
    const struct described_list list = {.kind = CATALOG_TRACK,
                                        .rows = page.list.rows,
                                        .row_bytes = sizeof *page.list.rows,
                                        .id_at = offsetof(struct item_row, track_id),
                                        .count = shown,
                                        .item = for_strangers ? stranger_item : member_item};
    json_t *items = NULL;
    error = lists_items(request, &list, &items);
    if (error == 0) {
        *ret_page = page_answer(page.arena, items, 'x', page.list.count > shown ? &last : NULL);
    }
    return error;
}

int playlist_items_page(struct request *request, const struct playlist_row *row, bool for_strangers,
                        json_t **ret_page)
{
    return row->rules[0] != '\0' ? playlist_smart_page(request, row, for_strangers, ret_page)
                                 : kept_items_page(request, row->id, for_strangers, ret_page);
}

int items_get(struct request *request)
{
    int64_t id = 0;
    json_t *page = NULL;
    struct playlist_row row;
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : playlist_look(request->context, &request->call, id, &row);
    error = error != 0 ? error : playlist_items_page(request, &row, false, &page);
    if (error == 0 && page != NULL) {
        (void)json_object_set_new(page, "revision", json_integer(row.revision));
    }
    return error != 0 ? error : lists_reply_private(request, page);
}

/* ---- editing ---- */

struct items_edit {
    struct op *ops;
    unsigned count;
    int64_t seen; /* revision; 0: not said */
};

static json_t *skipped_json(const struct items_edit *items)
{
    json_t *skipped = json_array();
    for (unsigned i = 0; i < items->count; i++) {
        if (items->ops[i].skipped != NULL) {
            (void)json_array_append_new(
                skipped, json_pack("{s:i, s:s}", "index", (int)i, "reason", items->ops[i].skipped));
        }
    }
    return skipped;
}

static json_t *added_json(const struct items_edit *items)
{
    json_t *added = json_array();
    for (unsigned i = 0; i < items->count; i++) {
        if (items->ops[i].kind == OP_ADD) {
            (void)json_array_append_new(added, json_id(items->ops[i].item));
        }
    }
    return added;
}

static int edit_work_items(struct db_session *session, struct edit *edit)
{
    struct playlist_row row;
    const struct items_edit *items = edit->fields;
    int error = playlist_open(session, edit, ACCESS_EDIT, &row);
    if (error == 0 && row.rules[0] != '\0') {
        return problem_set(&edit->call->problem, ERR_CONFLICT,
                           "What is in a smart playlist follows from its rules; change those");
    }
    int64_t before = error == 0 ? row.revision : 0;
    error = error != 0
                ? error
                : ops_apply(session, edit->call, &row, items->ops, items->count, edit->now_ms);
    error = error != 0 ? error : playlist_close(session, edit, &row);
    if (error != 0) {
        return error;
    }
    bool merged = items->seen != 0 && items->seen != before;
    return edit_answer(edit,
                       json_pack("{s:I, s:I, s:b, s:o, s:o}", "revision", (json_int_t)row.revision,
                                 "itemCount", (json_int_t)row.item_count, "merged", merged, "added",
                                 added_json(items), "skipped", skipped_json(items)),
                       row.revision);
}

/* Whether the person may see all tracks that are to be added. */
static int check_tracks(struct request *request, const struct items_edit *items)
{
    struct library *library = request->context;
    struct call *call = &request->call;
    int64_t *ids = arena_array(call->arena, items->count + 1, sizeof *ids);
    unsigned count = 0;
    for (unsigned i = 0; ids != NULL && i < items->count; i++) {
        if (items->ops[i].kind == OP_ADD) {
            ids[count++] = items->ops[i].track;
        }
    }
    CLEANUP_JSON json_t *tracks = NULL;
    int error = ids != NULL
                    ? catalog_describe(library->catalog, call, CATALOG_TRACK, ids, count, &tracks)
                    : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        if (!json_is_object(json_array_get(tracks, i))) {
            error =
                problem_field(&call->problem, "trackId", "%lld names no track", (long long)ids[i]);
        }
    }
    return error;
}

static int run_edit(struct request *request, int64_t playlist_id, struct items_edit *items)
{
    struct edit edit = {.request = request,
                        .id = playlist_id,
                        .fields = items,
                        .work = edit_work_items,
                        .status = 200};
    struct playlist_row row;
    int error = playlist_look(request->context, &request->call, playlist_id, &row);
    error = error != 0 ? error : check_tracks(request, items);
    return error != 0 ? error : edit_run(&edit);
}

int items_patch(struct request *request)
{
    struct items_edit items = {.ops = NULL};
    json_t *body = NULL;
    int64_t id = 0;
    bool there = false;
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : request_json(request, &body);
    error = error != 0
                ? error
                : field_number(&request->call, body, "revision", 1, INT64_MAX, &items.seen, &there);
    error = error != 0
                ? error
                : ops_read(&request->call, json_object_get(body, "ops"), &items.ops, &items.count);
    return error != 0 ? error : run_edit(request, id, &items);
}

/* {trackIds, after} as operations, each behind the one before. */
static int read_tracks(struct call *call, const json_t *body, struct items_edit *items)
{
    const json_t *list = json_object_get(body, "trackIds"), *after = json_object_get(body, "after");
    size_t count = json_array_size(list);
    if (count == 0 || count > OPS_MAX) {
        return problem_field(&call->problem, "trackIds", "must be a list of 1 to %d ids", OPS_MAX);
    }
    items->ops = arena_array(call->arena, count, sizeof *items->ops);
    if (items->ops == NULL) {
        return ERR_NO_MEMORY;
    }
    items->count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        struct op *op = &items->ops[i];
        *op = (struct op){.kind = OP_ADD, .item = id_next(), .where = AT_END};
        if (!json_is_id(json_array_get(list, i), &op->track)) {
            return problem_field(&call->problem, "trackIds", "must be a list of ids");
        }
        if (i > 0 && after != NULL) {
            op->where = AFTER_ITEM;
            op->after = items->ops[i - 1].item;
        }
    }
    struct op *first = &items->ops[0];
    first->where = after == NULL ? AT_END : json_is_null(after) ? AT_START : AFTER_ITEM;
    if (first->where == AFTER_ITEM && !json_is_id(after, &first->after)) {
        return problem_field(&call->problem, "after",
                             "must be the id of an item, null for the beginning, or left out for "
                             "the end");
    }
    return 0;
}

int items_post(struct request *request)
{
    struct items_edit items = {.ops = NULL};
    json_t *body = NULL;
    int64_t id = 0;
    bool there = false;
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : request_json(request, &body);
    error = error != 0
                ? error
                : field_number(&request->call, body, "revision", 1, INT64_MAX, &items.seen, &there);
    error = error != 0 ? error : read_tracks(&request->call, body, &items);
    return error != 0 ? error : run_edit(request, id, &items);
}
