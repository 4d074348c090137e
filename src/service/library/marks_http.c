/* Routes of favourites, ratings and follows, and of their changes, by which devices that were
 * offline say and hear what changed. Handlers run on the pool; memory is the request's arena. */
#include "service/library/library_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"
#include "service/fields.h"
#include "service/library/lists.h"
#include "service/library/marks.h"
#include "service/page.h"

#include <stdio.h>
#include <string.h>

/* ---- one ---- */

struct marking {
    struct call *call;
    struct mark mark; /* the change; then what holds */
};

static int emit(struct db_session *session, const struct mark *mark)
{
    char key[8 + ID_TEXT_SIZE], id[ID_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "user:%s", id_format(mark->user_id, id));
    return bus_emit(session, "mark.changed", key,
                    json_pack("{s:o, s:s, s:s, s:o, s:I, s:I}", "userId", json_id(mark->user_id),
                              "what", mark->what, "kind", mark->kind, "id", json_id(mark->id),
                              "value", (json_int_t)mark->value, "at",
                              (json_int_t)mark->changed_at));
}

/* 1: it holds now. */
static int apply(struct db_session *session, struct mark *mark)
{
    int error = mark_next_revision(session, mark->user_id, &mark->revision);
    int changed = error != 0 ? error : mark_put(session, mark);
    error = changed > 0 ? emit(session, mark) : changed;
    return error != 0 ? error : changed;
}

static int put_work(struct db_session *session, void *argument)
{
    struct marking *marking = argument;
    struct mark mark = marking->mark;
    int error = library_alive(session, marking->call);
    int changed = error != 0 ? error : apply(session, &mark);
    error = changed < 0 ? changed : mark_find(session, marking->call->arena, &mark);
    if (error == 0) {
        marking->mark = mark;
    }
    return error;
}

static int take_away_work(struct db_session *session, void *argument)
{
    struct marking *marking = argument;
    struct mark found = marking->mark, mark = marking->mark;
    int error = library_alive(session, marking->call);
    error = error != 0 ? error : mark_find(session, marking->call->arena, &found);
    int changed = error != 0 ? error : apply(session, &mark);
    return changed < 0 ? changed : 0;
}

/* The body may be absent. */
static int optional_body(struct request *request, json_t **ret_body)
{
    size_t length = 0;
    (void)request_body(request, &length);
    *ret_body = NULL;
    return length > 0 ? request_json(request, ret_body) : 0;
}

static int put_mark(struct request *request, struct mark *mark, const json_t *body)
{
    struct library *library = request->context;
    struct call *call = &request->call;
    struct marking marking = {.call = call};
    mark->user_id = call->actor.user_id;
    int error = mark_stamp(call, body, clock_wall_ms(), &mark->changed_at, &mark->device);
    if (error == 0 && mark->value != 0) {
        error = catalog_may_see(library->catalog, call, mark_kind(mark), mark->id);
    }
    marking.mark = *mark;
    error = error != 0 ? error : db_write(library->users, put_work, &marking);
    return error != 0 ? error : reply_json(request, 200, mark_json(&marking.mark));
}

/* at and device are in the query, since a DELETE has no body. */
static int take_away(struct request *request, struct mark *mark)
{
    struct library *library = request->context;
    struct call *call = &request->call;
    const char *device = request_query(request, "device");
    int64_t now_ms = clock_wall_ms(), at = now_ms;
    int error = request_query_number(request, "at", 0, INT64_MAX, now_ms, &at);
    CLEANUP_JSON json_t *stamp =
        json_pack("{s:I, s:s}", "at", (json_int_t)at, "device", device != NULL ? device : "");
    error = error != 0 ? error : mark_stamp(call, stamp, now_ms, &mark->changed_at, &mark->device);
    mark->user_id = call->actor.user_id;
    struct marking marking = {.call = call, .mark = *mark};
    error = error != 0 ? error : db_write(library->users, take_away_work, &marking);
    return error != 0 ? error : reply_empty(request, 204);
}

static int mark_of_path(struct request *request, const char *what, struct mark *ret_mark)
{
    enum catalog_kind kind;
    *ret_mark = (struct mark){.what = what, .value = 1};
    int error = library_kind(request, &kind, &ret_mark->kind);
    return error != 0 ? error : request_param_id(request, "id", &ret_mark->id);
}

static int follow_of_path(struct request *request, struct mark *ret_mark)
{
    *ret_mark = (struct mark){.what = "follow", .kind = "artist", .value = 1};
    return request_param_id(request, "artistId", &ret_mark->id);
}

int favourite_put(struct request *request)
{
    struct mark mark;
    json_t *body = NULL;
    int error = mark_of_path(request, "favourite", &mark);
    error = error != 0 ? error : optional_body(request, &body);
    return error != 0 ? error : put_mark(request, &mark, body);
}

int favourite_delete(struct request *request)
{
    struct mark mark;
    int error = mark_of_path(request, "favourite", &mark);
    mark.value = 0;
    return error != 0 ? error : take_away(request, &mark);
}

int rating_put(struct request *request)
{
    struct mark mark;
    json_t *body = NULL;
    bool there = false;
    int error = mark_of_path(request, "rating", &mark);
    error = error != 0 ? error : request_json(request, &body);
    if (error == 0) {
        error = field_number(&request->call, body, "rating", 0, RATING_MAX, &mark.value, &there);
    }
    error = error != 0 ? error : field_required(&request->call, "rating", there);
    return error != 0 ? error : put_mark(request, &mark, body);
}

int follow_put(struct request *request)
{
    struct mark mark;
    json_t *body = NULL;
    int error = follow_of_path(request, &mark);
    error = error != 0 ? error : optional_body(request, &body);
    return error != 0 ? error : put_mark(request, &mark, body);
}

int follow_delete(struct request *request)
{
    struct mark mark;
    int error = follow_of_path(request, &mark);
    mark.value = 0;
    return error != 0 ? error : take_away(request, &mark);
}

/* ---- lists ---- */

struct mark_page {
    struct arena *arena;
    struct mark of;
    bool by_value; /* else by time */
    struct list_place place;
    struct mark_list list;
};

static int list_work(struct db_session *session, void *argument)
{
    struct mark_page *page = argument;
    return page->by_value
               ? mark_list_by_value(session, page->arena, &page->of, &page->place, &page->list)
               : mark_list(session, page->arena, &page->of, &page->place, &page->list);
}

static json_t *list_item(const void *row, json_t *object, void *argument)
{
    const struct mark *mark = row;
    const struct mark_page *page = argument;
    json_t *item =
        json_pack("{s:o, s:I, s:s, s:O}", "id", json_id(mark->id), "at",
                  (json_int_t)mark->changed_at, "device", mark->device, page->of.kind, object);
    if (strcmp(page->of.what, "rating") == 0) {
        (void)json_object_set_new(item, "rating", json_integer(mark->value));
    }
    return item;
}

/* A cursor is of one kind of mark and of thing, and of one order. */
static char letter_of(const struct mark_page *page)
{
    const struct mark *of = &page->of;
    static const char letters[][4] = {
        [CATALOG_ARTIST] = "abc", [CATALOG_ALBUM] = "def", [CATALOG_TRACK] = "ghj"};
    static const char by_value[] = {
        [CATALOG_ARTIST] = 'A', [CATALOG_ALBUM] = 'D', [CATALOG_TRACK] = 'G'};
    return page->by_value ? by_value[mark_kind(of)]
                          : letters[mark_kind(of)][of->what[0] == 'r'   ? 0
                                                   : of->what[1] == 'a' ? 1
                                                                        : 2];
}

static int list_marks(struct request *request, const char *what, const char *kind, bool by_value)
{
    struct library *library = request->context;
    struct mark_page page = {
        .arena = request->call.arena,
        .of = {.user_id = request->call.actor.user_id, .what = what, .kind = kind},
        .by_value = by_value,
        .place = {
            .id = INT64_MAX, .number = INT64_MAX, .disc = by_value ? INT64_MAX : 0, .key = ""}};
    char letter = letter_of(&page);
    int error = page_begin(request, letter, &page.place);
    error = error != 0 ? error : db_read(library->users, list_work, &page);
    if (error != 0) {
        return error;
    }
    unsigned shown = page_shown(page.list.count, &page.place);
    struct list_place last = {.key = ""};
    if (shown > 0) {
        last.number = page.list.rows[shown - 1].changed_at;
        last.id = page.list.rows[shown - 1].id;
        last.disc = by_value ? page.list.rows[shown - 1].value : 0;
    }
    const struct described_list list = {.kind = mark_kind(&page.of),
                                        .rows = page.list.rows,
                                        .row_bytes = sizeof *page.list.rows,
                                        .id_at = offsetof(struct mark, id),
                                        .count = shown,
                                        .item = list_item,
                                        .argument = &page,
                                        .letter = letter,
                                        .last = page.list.count > shown ? &last : NULL};
    return lists_reply(request, &list);
}

int favourites_get(struct request *request)
{
    enum catalog_kind kind;
    const char *word;
    int error = library_kind(request, &kind, &word);
    return error != 0 ? error : list_marks(request, "favourite", word, false);
}

int ratings_get(struct request *request)
{
    enum catalog_kind kind;
    const char *word;
    int error = library_kind(request, &kind, &word);
    if (error != 0) {
        return error;
    }
    const char *sort = request_query(request, "sort");
    bool by_value = sort != NULL && strcmp(sort, "rating") == 0;
    if (sort != NULL && !by_value && strcmp(sort, "recent") != 0) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "sort must be recent or rating");
    }
    return list_marks(request, "rating", word, by_value);
}

int follows_get(struct request *request)
{
    return list_marks(request, "follow", "artist", false);
}

/* ---- changes ---- */

struct changes {
    struct call *call;
    struct mark *marks;
    unsigned count, applied;
    json_t *refused;
};

static int changes_work(struct db_session *session, void *argument)
{
    struct changes *changes = argument;
    int error = library_alive(session, changes->call);
    changes->applied = 0;
    for (unsigned i = 0; error == 0 && i < changes->count; i++) {
        int changed = apply(session, &changes->marks[i]);
        if (changed < 0) {
            return changed;
        }
        changes->applied += (unsigned)changed;
    }
    return error;
}

static int read_change(struct request *request, const json_t *change, int64_t now_ms,
                       struct mark *mark)
{
    struct library *library = request->context;
    struct call *call = &request->call;
    int error = mark_read(call, change, now_ms, mark);
    if (error == 0 && mark->value != 0) {
        error = catalog_may_see(library->catalog, call, mark_kind(mark), mark->id);
    }
    if (error == ERR_NOT_FOUND) {
        problem_reset(&call->problem);
        return problem_field(&call->problem, "id", "names no %s", mark->kind);
    }
    return error;
}

static int read_changes(struct request *request, const json_t *list, struct changes *changes)
{
    int64_t now_ms = clock_wall_ms();
    size_t index;
    json_t *change;
    json_array_foreach((json_t *)list, index, change)
    {
        struct mark *mark = &changes->marks[changes->count];
        int error = read_change(request, change, now_ms, mark);
        if (error == 0) {
            changes->count++;
        }
        error = error == ERR_INVALID
                    ? lists_refuse(&request->call, changes->refused, (unsigned)index, change)
                    : error;
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int run_changes(struct request *request, const json_t *list, struct changes *changes)
{
    struct library *library = request->context;
    int error = changes->refused != NULL ? read_changes(request, list, changes) : ERR_NO_MEMORY;
    if (error == 0 && changes->count > 0) {
        error = db_write(library->users, changes_work, changes);
    }
    if (error != 0) {
        json_decref(changes->refused);
        return error;
    }
    return reply_json(request, 200,
                      json_pack("{s:i, s:i, s:o}", "applied", (int)changes->applied, "older",
                                (int)(changes->count - changes->applied), "refused",
                                changes->refused));
}

int changes_post(struct request *request)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    const json_t *list = json_object_get(body, "changes");
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > CHANGES_MAX) {
        return problem_field(&request->call.problem, "changes", "must be a list of 1 to %d changes",
                             CHANGES_MAX);
    }
    struct changes changes = {
        .call = &request->call,
        .marks = arena_array(request->call.arena, CHANGES_MAX, sizeof *changes.marks)};
    if (changes.marks == NULL) {
        return ERR_NO_MEMORY;
    }
    changes.refused = json_array();
    return run_changes(request, list, &changes);
}

struct changed {
    struct arena *arena;
    int64_t user_id, after, limit;
    struct mark_list list;
};

static int changed_work(struct db_session *session, void *argument)
{
    struct changed *changed = argument;
    return mark_changes(session, changed->arena, changed->user_id, changed->after,
                        (unsigned)changed->limit + 1, &changed->list);
}

int changes_get(struct request *request)
{
    struct library *library = request->context;
    struct changed changed = {.arena = request->call.arena, .user_id = request->call.actor.user_id};
    int error = request_query_number(request, "after", 0, INT64_MAX, 0, &changed.after);
    error = error != 0 ? error
                       : request_query_number(request, "limit", 1, PAGE_LIMIT_MAX, PAGE_LIMIT_MAX,
                                              &changed.limit);
    error = error != 0 ? error : db_read(library->users, changed_work, &changed);
    if (error != 0) {
        return error;
    }
    bool more = changed.list.count > changed.limit;
    unsigned count = more ? (unsigned)changed.limit : changed.list.count;
    json_t *items = json_array();
    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(items, mark_json(&changed.list.rows[i]));
    }
    int64_t revision = count > 0 ? changed.list.rows[count - 1].revision : changed.after;
    return lists_reply_private(request, json_pack("{s:o, s:I, s:b}", "items", items, "revision",
                                                  (json_int_t)revision, "more", more));
}
