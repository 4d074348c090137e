/* Routes of playlists themselves. Handlers run on the pool; memory is the request's arena. */
#include "service/library/playlists/playlist_work.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/fields.h"
#include "service/library/lists.h"
#include "service/library/smart/smart.h"
#include "service/page.h"

#include <stdio.h>

static const struct text_rule title_rule = {.field = "title", .characters_max = PLAYLIST_TITLE_MAX};
static const struct text_rule description_rule = {.field = "description",
                                                  .characters_max = PLAYLIST_DESCRIPTION_MAX,
                                                  .empty_ok = true,
                                                  .lines = true};

struct playlist_fields {
    bool has_title, has_description;
    const char *title, *description;
    const char *rules; /* "" not said */
};

int playlist_emit(struct db_session *session, const char *type, int64_t id)
{
    char key[16 + ID_TEXT_SIZE], text[ID_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "playlist:%s", id_format(id, text));
    return bus_emit(session, type, key, json_pack("{s:o}", "playlistId", json_id(id)));
}

int playlist_open(struct db_session *session, struct edit *edit, enum access least,
                  struct playlist_row *row)
{
    struct call *call = edit->call;
    int error = playlist_lock(session, edit->id);
    error =
        error != 0 ? error : playlist_get(session, call->arena, call->actor.user_id, edit->id, row);
    if (error == 0 && row->access < least) {
        return problem_set(&call->problem, ERR_FORBIDDEN,
                           least == ACCESS_OWNER ? "Only the playlist's owner may do that"
                                                 : "You may read this playlist, not change it");
    }
    return error;
}

int playlist_close(struct db_session *session, struct edit *edit, struct playlist_row *row)
{
    row->revision++;
    row->updated_at = edit->now_ms;
    int error = playlist_update(session, row);
    return error != 0 ? error : playlist_emit(session, "playlist.changed", row->id);
}

struct look {
    struct call *call;
    int64_t id;
    struct playlist_row *row;
};

static int look_work(struct db_session *session, void *argument)
{
    struct look *look = argument;
    return playlist_get(session, look->call->arena, look->call->actor.user_id, look->id, look->row);
}

int playlist_look(struct library *library, struct call *call, int64_t id,
                  struct playlist_row *ret_row)
{
    struct look look = {.call = call, .id = id, .row = ret_row};
    return db_read(library->users, look_work, &look);
}

/* Checked, and as they are kept. */
static int rules_read(struct call *call, const json_t *body, const char **ret_rules)
{
    const json_t *object = json_object_get(body, "smart");
    struct smart smart;
    *ret_rules = "";
    if (object == NULL || json_is_null(object)) {
        return 0;
    }
    int error = smart_read(call, object, &smart);
    if (error != 0) {
        return error;
    }
    char *text CLEANUP_FREE = json_dumps(object, JSON_COMPACT);
    *ret_rules = text != NULL ? arena_strdup(call->arena, text) : NULL;
    return *ret_rules != NULL ? 0 : ERR_NO_MEMORY;
}

static int fields_read(struct request *request, bool create, struct playlist_fields *fields)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    struct call *call = &request->call;
    *fields = (struct playlist_fields){.title = "", .description = ""};
    int errors =
        field_text(call, body, &title_rule, &fields->title, &fields->has_title) |
        field_text(call, body, &description_rule, &fields->description, &fields->has_description) |
        (create ? field_required(call, "title", fields->has_title) : 0);
    error = rules_read(call, body, &fields->rules);
    return errors != 0 ? ERR_INVALID : error;
}

int playlist_room(struct db_session *session, struct call *call)
{
    int64_t count = 0;
    int error = playlist_count(session, call->actor.user_id, &count);
    return error != 0 || count < PLAYLISTS_MAX
               ? error
               : problem_set(&call->problem, ERR_QUOTA,
                             "You have %d playlists with those you joined, which is all",
                             PLAYLISTS_MAX);
}

int playlist_make(struct db_session *session, struct edit *edit, struct playlist_row *row)
{
    int64_t user_id = edit->call->actor.user_id;
    row->id = edit->id;
    row->owner_user_id = user_id;
    row->revision = 1;
    row->created_at = row->updated_at = edit->now_ms;
    row->access = ACCESS_OWNER;
    int error = playlist_room(session, edit->call);
    error = error != 0 ? error : playlist_insert(session, row);
    error = error != 0 ? error : member_put(session, row->id, user_id, ACCESS_OWNER, edit->now_ms);
    return error != 0 ? error : playlist_emit(session, "playlist.changed", row->id);
}

static int create_work(struct db_session *session, struct edit *edit)
{
    const struct playlist_fields *fields = edit->fields;
    struct playlist_row row = {
        .title = fields->title, .description = fields->description, .rules = fields->rules};
    int error = playlist_make(session, edit, &row);
    return error != 0 ? error : edit_answer(edit, playlist_json(&row), row.revision);
}

int playlist_post(struct request *request)
{
    struct playlist_fields fields;
    int error = fields_read(request, true, &fields);
    struct edit edit = {.request = request,
                        .id = error == 0 ? id_next() : 0,
                        .fields = &fields,
                        .work = create_work,
                        .status = 201};
    return error != 0 ? error : edit_run(&edit);
}

static int patch_work(struct db_session *session, struct edit *edit)
{
    const struct playlist_fields *fields = edit->fields;
    struct playlist_row row;
    int error = playlist_open(session, edit, ACCESS_EDIT, &row);
    error = error != 0 ? error : request_if_match(edit->request, row.revision);
    if (error != 0) {
        return error;
    }
    if (fields->rules[0] != '\0' && row.rules[0] == '\0') {
        return problem_field(&edit->call->problem, "smart",
                             "belongs to a playlist that was made with rules; this one has items");
    }
    row.rules = fields->rules[0] != '\0' ? fields->rules : row.rules;
    row.title = fields->has_title ? fields->title : row.title;
    row.description = fields->has_description ? fields->description : row.description;
    error = playlist_close(session, edit, &row);
    return error != 0 ? error : edit_answer(edit, playlist_json(&row), row.revision);
}

int playlist_patch(struct request *request)
{
    struct playlist_fields fields;
    struct edit edit = {.request = request, .fields = &fields, .work = patch_work, .status = 200};
    int error = request_param_id(request, "id", &edit.id);
    error = error != 0 ? error : fields_read(request, false, &fields);
    return error != 0 ? error : edit_run(&edit);
}

static int delete_work(struct db_session *session, struct edit *edit)
{
    struct playlist_row row;
    int error = playlist_open(session, edit, ACCESS_OWNER, &row);
    error = error != 0 ? error : request_if_match(edit->request, row.revision);
    error = error != 0 ? error : playlist_bury(session, row.id, edit->now_ms);
    return error != 0 ? error : playlist_emit(session, "playlist.deleted", row.id);
}

int playlist_delete(struct request *request)
{
    return edit_by_id(request, delete_work, 204);
}

int playlist_get_one(struct request *request)
{
    int64_t id = 0;
    struct playlist_row row;
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : playlist_look(request->context, &request->call, id, &row);
    /* What one may do is in it, and each member asks the same address. */
    error = error != 0 ? error : reply_header(request, "Cache-Control", "private, no-store");
    return error != 0 ? error : reply_resource(request, 200, playlist_json(&row), row.revision);
}

struct list_page {
    struct call *call;
    struct list_place place;
    struct playlist_list list;
};

static int list_work(struct db_session *session, void *argument)
{
    struct list_page *page = argument;
    return playlist_list(session, page->call->arena, page->call->actor.user_id, &page->place,
                         &page->list);
}

int playlist_list_get(struct request *request)
{
    struct library *library = request->context;
    struct list_page page = {.call = &request->call, .place = {.id = INT64_MAX, .key = ""}};
    int error = page_begin(request, 'y', &page.place);
    error = error != 0 ? error : db_read(library->users, list_work, &page);
    if (error != 0) {
        return error;
    }
    unsigned shown = page_shown(page.list.count, &page.place);
    json_t *items = json_array();
    for (unsigned i = 0; i < shown; i++) {
        (void)json_array_append_new(items, playlist_json(&page.list.rows[i]));
    }
    struct list_place last = {.key = "", .id = shown > 0 ? page.list.rows[shown - 1].id : 0};
    return lists_reply_private(request, page_answer(request->call.arena, items, 'y',
                                                    page.list.count > shown ? &last : NULL));
}

/* ---- for search (library.h) ---- */

int library_playlists(struct library *library, struct call *call,
                      struct library_playlists *ret_list)
{
    struct list_page page = {.call = call, .place = {.id = INT64_MAX, .limit = PLAYLISTS_MAX}};
    int error = db_read(library->users, list_work, &page);
    const char **titles =
        error == 0 ? arena_array(call->arena, page.list.count + 1, sizeof *titles) : NULL;
    if (titles == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < page.list.count; i++) {
        titles[i] = page.list.rows[i].title;
    }
    *ret_list = (struct library_playlists){titles, page.list.rows, page.list.count};
    return 0;
}

json_t *library_playlist_json(const struct library_playlists *list, unsigned at)
{
    return playlist_json(&list->rows[at]);
}
