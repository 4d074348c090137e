/* Edits of a playlist's items (playlists.h), each one row but for a list that is numbered anew. On
 * the writer's thread, in a locked playlist. */
#include "service/library/playlists/playlists.h"

#include "backend/db/db.h"
#include "base/call.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "service/fields.h"

#include <string.h>

/* How long tombstones serve devices that were away, once a list is numbered anew. */
static const int64_t TOMBSTONE_MS = INT64_C(30) * 24 * 3600 * 1000;

/* ---- reading ---- */

static int read_after(struct call *call, const json_t *object, struct op *op)
{
    const json_t *after = json_object_get(object, "after");
    if (after == NULL || json_is_null(after)) {
        op->where = after == NULL ? AT_END : AT_START;
        return 0;
    }
    op->where = AFTER_ITEM;
    return json_is_id(after, &op->after)
               ? 0
               : problem_field(&call->problem, "after",
                               "must be the id of an item, null for the beginning, or left out "
                               "for the end");
}

static int read_op(struct call *call, const json_t *object, struct op *op)
{
    static const char *const words[] = {"add", "move", "remove", NULL};
    const char *word = "";
    bool has_op = false, has_item = false, has_track = false;
    if (!json_is_object(object)) {
        return problem_field(&call->problem, "ops", "must be objects");
    }
    int errors = field_word(call, object, "op", words, &word, &has_op) |
                 field_required(call, "op", has_op) | read_after(call, object, op);
    op->kind = word[0] == 'a' ? OP_ADD : word[0] == 'm' ? OP_MOVE : OP_REMOVE;
    if (op->kind == OP_ADD) {
        op->item = id_next();
        errors |= field_id(call, object, "trackId", &op->track, &has_track) |
                  field_required(call, "trackId", has_track);
    } else {
        errors |= field_id(call, object, "item", &op->item, &has_item) |
                  field_required(call, "item", has_item);
    }
    return errors != 0 ? ERR_INVALID : 0;
}

int ops_read(struct call *call, const json_t *list, struct op **ret_ops, unsigned *ret_count)
{
    size_t count = json_array_size(list);
    if (count == 0 || count > OPS_MAX) {
        return problem_field(&call->problem, "ops", "must be a list of 1 to %d operations",
                             OPS_MAX);
    }
    struct op *ops = arena_array(call->arena, count, sizeof *ops);
    int error = ops != NULL ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; error == 0 && i < count; i++) {
        error = read_op(call, json_array_get(list, i), &ops[i]);
    }
    *ret_ops = ops;
    *ret_count = (unsigned)count;
    return error;
}

/* ---- applying ---- */

struct editing {
    struct db_session *session;
    struct arena *arena;
    int64_t playlist_id, now_ms;
};

/* Gives all items short places again, in the order they have. */
static int number_anew(struct editing *editing)
{
    struct item_list list;
    struct place_key nowhere = {.length = 0};
    int error =
        item_forget_removed(editing->session, editing->playlist_id, editing->now_ms - TOMBSTONE_MS);
    error = error != 0 ? error
                       : item_list_all(editing->session, editing->arena, editing->playlist_id,
                                       PLACES_MAX, &list);
    if (error == 0 && list.count == PLACES_MAX) { /* no room for tombstones */
        error = item_forget_removed(editing->session, editing->playlist_id, INT64_MAX);
        error = error != 0 ? error
                           : item_list_all(editing->session, editing->arena, editing->playlist_id,
                                           PLACES_MAX, &list);
    }
    struct place_key *places =
        error == 0 ? arena_array(editing->arena, list.count + 1, sizeof *places) : NULL;
    if (places == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    if (!place_spread(&nowhere, &nowhere, list.count, places)) {
        return ERR_INTERNAL;
    }
    for (unsigned i = 0; error == 0 && i < list.count; i++) {
        error = item_set_place(editing->session, editing->playlist_id, list.rows[i].id, &places[i]);
    }
    return error != 0 ? error : item_count_numbering(editing->session, editing->playlist_id);
}

/* The places between which the operation's item goes. An item that was never there is no place. */
static int find_gap(struct editing *editing, const struct op *op, struct place_key *ret_after,
                    struct place_key *ret_before)
{
    struct item_row after;
    *ret_after = *ret_before = (struct place_key){.length = 0};
    int error = 0;
    if (op->where == AFTER_ITEM) {
        error = item_get(editing->session, editing->playlist_id, op->after, &after);
        if (error == 0) {
            *ret_after = after.place;
        }
    }
    if (op->where == AT_END || (op->kind == OP_ADD && error == ERR_NOT_FOUND)) {
        return item_last(editing->session, editing->playlist_id, op->item, ret_after);
    }
    return error != 0
               ? error
               : item_next(editing->session, editing->playlist_id, ret_after, op->item, ret_before);
}

static int find_place(struct editing *editing, const struct op *op, struct place_key *ret_place)
{
    struct place_key after, before;
    int error = find_gap(editing, op, &after, &before);
    if (error != 0 || place_spread(&after, &before, 1, ret_place)) {
        return error;
    }
    error = number_anew(editing);
    error = error != 0 ? error : find_gap(editing, op, &after, &before);
    return error != 0 ? error : place_spread(&after, &before, 1, ret_place) ? 0 : ERR_INTERNAL;
}

static int apply_add(struct editing *editing, struct call *call, struct playlist_row *playlist,
                     struct op *op)
{
    struct item_row item = {.id = op->item,
                            .track_id = op->track,
                            .added_by = call->actor.user_id,
                            .added_at = editing->now_ms};
    if (playlist->item_count >= PLAYLIST_ITEMS_MAX) {
        return problem_field(&call->problem, "ops", "a playlist holds at most %d items",
                             PLAYLIST_ITEMS_MAX);
    }
    int error = find_place(editing, op, &item.place);
    error = error != 0 ? error : item_insert(editing->session, playlist->id, &item);
    playlist->item_count += error == 0;
    return error;
}

static int apply_move(struct editing *editing, struct op *op)
{
    struct item_row item;
    struct place_key place;
    if (op->where == AFTER_ITEM && op->after == op->item) {
        op->skipped = "it can't stand behind itself";
        return 0;
    }
    int error = item_get(editing->session, editing->playlist_id, op->item, &item);
    if (error == ERR_NOT_FOUND || (error == 0 && item.removed)) {
        op->skipped = "the item is gone";
        return 0;
    }
    error = error != 0 ? error : find_place(editing, op, &place);
    if (error == ERR_NOT_FOUND) {
        op->skipped = "what it should stand behind was never there";
        return 0;
    }
    return error != 0 ? error
                      : item_set_place(editing->session, editing->playlist_id, op->item, &place);
}

static int apply_remove(struct editing *editing, struct playlist_row *playlist, struct op *op)
{
    int error = item_remove(editing->session, playlist->id, op->item, editing->now_ms);
    if (error == ERR_NOT_FOUND) {
        op->skipped = "the item is gone";
        return 0;
    }
    playlist->item_count -= error == 0;
    return error;
}

int ops_apply(struct db_session *session, struct call *call, struct playlist_row *playlist,
              struct op *ops, unsigned count, int64_t now_ms)
{
    struct editing editing = {
        .session = session, .arena = call->arena, .playlist_id = playlist->id, .now_ms = now_ms};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        ops[i].skipped = NULL;
        error = ops[i].kind == OP_ADD    ? apply_add(&editing, call, playlist, &ops[i])
                : ops[i].kind == OP_MOVE ? apply_move(&editing, &ops[i])
                                         : apply_remove(&editing, playlist, &ops[i]);
    }
    return error;
}
