/* Routes of libraries, for admins: what there is, who sees it, and which folders' music comes into
 * it (shelves.h). Handlers run on the pool; memory is the request's arena. */
#include "service/catalog/shelves.h"

#include "backend/bus/bus.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/catalog/catalog_http.h"
#include "service/catalog/change.h"
#include "service/fields.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_CHARACTERS = 200 };

static const struct {
    const char *word;
    int64_t role;
} role_words[] = {{"listener", ROLE_LISTENER}, {"artist", ROLE_ARTIST}};

struct shelf_fields {
    bool has_name, has_seen_by, has_roles, has_users, has_folders;
    const char *name, *seen_by;
    int64_t roles;
    int64_t *users;
    const char **folders;
    unsigned user_count, folder_count;
};

/* --- the body --- */

static int read_roles(struct call *call, const json_t *list, struct shelf_fields *fields)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        int64_t role = 0;
        for (unsigned k = 0; word != NULL && k < COUNT_OF(role_words); k++) {
            role = strcmp(word, role_words[k].word) == 0 ? role_words[k].role : role;
        }
        if (role == 0) {
            return problem_field(&call->problem, "roles", "must be of listener and artist");
        }
        fields->roles |= role;
    }
    return 0;
}

static int read_users(struct call *call, const json_t *list, struct shelf_fields *fields)
{
    size_t count = json_array_size(list);
    if (count > SHELF_READERS_MAX) {
        return problem_field(&call->problem, "users", "must be at most 1,000");
    }
    fields->users = arena_array(call->arena, count + 1, sizeof *fields->users);
    for (size_t i = 0; fields->users != NULL && i < count; i++) {
        if (!json_is_id(json_array_get(list, i), &fields->users[i])) {
            return problem_field(&call->problem, "users", "must be ids of users");
        }
    }
    fields->user_count = (unsigned)count;
    return fields->users != NULL ? 0 : ERR_NO_MEMORY;
}

/* Absolute, and each in one way only; NULL: it is not. */
static const char *read_path(struct arena *arena, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t length = text != NULL ? strlen(text) : 0;
    if (length == 0 || length >= PATH_MAX || text[0] != '/' || strstr(text, "//") != NULL ||
        strstr(text, "/./") != NULL || strstr(text, "/../") != NULL) {
        return NULL;
    }
    while (length > 0 && text[length - 1] == '/') {
        length--;
    }
    return arena_printf(arena, "%.*s", (int)length, text); /* "": the root of all */
}

static int read_folders(struct call *call, const json_t *list, struct shelf_fields *fields)
{
    size_t count = json_array_size(list);
    if (count > SHELF_FOLDERS_MAX) {
        return problem_field(&call->problem, "folders", "must be at most 32");
    }
    fields->folders = arena_array(call->arena, count + 1, sizeof *fields->folders);
    for (size_t i = 0; fields->folders != NULL && i < count; i++) {
        fields->folders[i] = read_path(call->arena, json_array_get(list, i));
        if (fields->folders[i] == NULL) {
            return problem_field(&call->problem, "folders",
                                 "must be absolute paths, such as /srv/music/kids");
        }
    }
    fields->folder_count = (unsigned)count;
    return fields->folders != NULL ? 0 : ERR_NO_MEMORY;
}

typedef int list_read(struct call *call, const json_t *list, struct shelf_fields *fields);

static int read_list(struct call *call, const json_t *body, const char *name, list_read *read,
                     bool *ret_there, struct shelf_fields *fields)
{
    const json_t *list = json_object_get(body, name);
    *ret_there = list != NULL;
    if (list != NULL && !json_is_array(list)) {
        return problem_field(&call->problem, name, "must be a list");
    }
    return list != NULL ? read(call, list, fields) : 0;
}

static int read_fields(struct request *request, bool create, struct shelf_fields *fields)
{
    static const struct text_rule name_rule = {.field = "name",
                                               .characters_max = NAME_MAX_CHARACTERS};
    static const char *const seen_words[] = {"everybody", "some", NULL};
    struct call *call = &request->call;
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    *fields = (struct shelf_fields){.name = ""};
    const int errors[] = {
        field_text(call, body, &name_rule, &fields->name, &fields->has_name),
        field_word(call, body, "seenBy", seen_words, &fields->seen_by, &fields->has_seen_by),
        read_list(call, body, "roles", read_roles, &fields->has_roles, fields),
        read_list(call, body, "users", read_users, &fields->has_users, fields),
        read_list(call, body, "folders", read_folders, &fields->has_folders, fields),
        create ? field_required(call, "name", fields->has_name) : 0,
        create ? field_required(call, "seenBy", fields->has_seen_by) : 0,
    };
    for (unsigned i = 0; i < COUNT_OF(errors); i++) {
        error = errors[i] != 0 ? errors[i] : error;
    }
    return error;
}

/* --- the answer --- */

static json_t *roles_json(int64_t roles)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < COUNT_OF(role_words); i++) {
        if ((roles & role_words[i].role) != 0) {
            (void)json_array_append_new(list, json_string(role_words[i].word));
        }
    }
    return list;
}

static int shelf_json(struct db_session *session, struct arena *arena, const struct shelf_row *row,
                      json_t **ret_object)
{
    const char **folders = NULL;
    int64_t *users = NULL;
    unsigned folder_count = 0, user_count = 0;
    int error = shelf_folders(session, arena, row->id, &folders, &folder_count);
    error = error != 0 ? error : shelf_readers(session, arena, row->id, &users, &user_count);
    if (error != 0) {
        return error;
    }
    json_t *paths = json_array(), *readers = json_array();
    for (unsigned i = 0; i < folder_count; i++) {
        const char *path = folders[i][0] != '\0' ? folders[i] : "/";
        (void)json_array_append_new(paths, json_string(path));
    }
    for (unsigned i = 0; i < user_count; i++) {
        (void)json_array_append_new(readers, json_id(users[i]));
    }
    *ret_object = json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:I, s:I}", "id", json_id(row->id),
                            "name", row->name, "seenBy", row->some ? "some" : "everybody", "roles",
                            roles_json(row->roles), "users", readers, "folders", paths, "createdAt",
                            (json_int_t)row->created_at, "updatedAt", (json_int_t)row->updated_at);
    return *ret_object != NULL ? 0 : ERR_NO_MEMORY;
}

static int answer_with(struct db_session *session, struct change *change,
                       const struct shelf_row *row)
{
    json_t *object = NULL;
    int error = shelf_json(session, change->call->arena, row, &object);
    return error != 0 ? error : change_answer(change, object, row->revision);
}

struct listing {
    struct arena *arena;
    json_t *items;
};

static int list_work(struct db_session *session, void *argument)
{
    struct listing *listing = argument;
    struct shelf_row *rows = NULL;
    unsigned count = 0;
    json_decref(listing->items);
    listing->items = json_array();
    int error = shelf_list(session, listing->arena, &rows, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        json_t *object = NULL;
        error = shelf_json(session, listing->arena, &rows[i], &object);
        error = error != 0 ? error : json_array_append_new(listing->items, object);
    }
    return error;
}

int shelf_list_get(struct request *request)
{
    struct catalog *catalog = request->context;
    struct listing listing = {.arena = request->call.arena};
    int error = db_read(catalog->db, list_work, &listing);
    if (error != 0) {
        json_decref(listing.items);
        return error;
    }
    return reply_json(request, 200, json_pack("{s:o, s:n}", "items", listing.items, "next"));
}

/* --- changes --- */

static int write_folders(struct db_session *session, struct change *change,
                         const struct shelf_fields *fields)
{
    int error = shelf_folders_delete(session, change->id);
    for (unsigned i = 0; error == 0 && i < fields->folder_count; i++) {
        error = shelf_folder_insert(session, change->id, fields->folders[i]);
    }
    return error == ERR_EXISTS
               ? problem_field(&change->call->problem, "folders", "another library has one of them")
               : error;
}

static int write_users(struct db_session *session, struct change *change,
                       const struct shelf_fields *fields)
{
    int error = shelf_readers_delete(session, change->id);
    for (unsigned i = 0; error == 0 && i < fields->user_count; i++) {
        error = shelf_reader_insert(session, change->id, fields->users[i]);
    }
    return error;
}

static int tell(struct db_session *session, int64_t id)
{
    char key[40], digits[ID_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "library:%s", id_format(id, digits));
    return bus_emit(session, "library.changed", key, json_pack("{s:s}", "libraryId", digits));
}

/* What the fields say, and what hangs on it. */
static int apply(struct db_session *session, struct change *change, struct shelf_row *row)
{
    const struct shelf_fields *fields = change->fields;
    struct call *call = change->call;
    bool there = false;
    row->name = fields->has_name ? fields->name : row->name;
    row->name_key = field_sort_key(call->arena, row->name);
    row->some = fields->has_seen_by ? fields->seen_by[0] == 's' : row->some;
    row->roles = fields->has_roles ? fields->roles : row->roles;
    row->updated_at = change->now_ms;
    int error = row->name_key != NULL ? shelf_named(session, row->name_key, row->id, &there)
                                      : ERR_NO_MEMORY;
    if (error == 0 && there) {
        error =
            problem_set(&call->problem, ERR_CONFLICT, "A library of that name is there already");
    }
    if (error == 0 && fields->has_folders) {
        error = write_folders(session, change, fields);
    }
    if (error == 0 && fields->has_users) {
        error = write_users(session, change, fields);
    }
    return error != 0 ? error : tell(session, row->id);
}

static int create_work(struct db_session *session, struct change *change)
{
    struct shelf_row *rows = NULL;
    unsigned count = 0;
    struct shelf_row row = {
        .id = change->id, .name = "", .revision = 1, .created_at = change->now_ms};
    int error = shelf_list(session, change->call->arena, &rows, &count);
    if (error == 0 && count >= SHELVES_MAX) {
        error = problem_set(&change->call->problem, ERR_CONFLICT, "There are 32 libraries already");
    }
    error = error != 0 ? error : apply(session, change, &row);
    error = error != 0 ? error : shelf_insert(session, &row);
    return error != 0 ? error : answer_with(session, change, &row);
}

/* After the commit: what is cached shows what was seen before. */
static int finish(struct change *change)
{
    int error = shelves_look(change->catalog);
    return error != 0 ? error : shelf_forget(change->catalog, change->id);
}

int shelf_post(struct request *request)
{
    struct shelf_fields fields;
    int error = read_fields(request, true, &fields);
    return error != 0 ? error : change_create(request, &fields, create_work, finish);
}

static int patch_work(struct db_session *session, struct change *change)
{
    struct shelf_row row;
    int error = shelf_get(session, change->call->arena, change->id, &row);
    error = error != 0 ? error : request_if_match(change->request, row.revision);
    if (error != 0) {
        return error;
    }
    bool was = row.some;
    row.revision++;
    error = apply(session, change, &row);
    error = error != 0 ? error : shelf_update(session, &row);
    if (error == 0 && row.some != was) {
        error = shelf_mark(session, change->call->arena, row.id, row.some);
    }
    return error != 0 ? error : answer_with(session, change, &row);
}

int shelf_patch(struct request *request)
{
    struct shelf_fields fields;
    int error = read_fields(request, false, &fields);
    return error != 0 ? error : change_patch(request, &fields, patch_work, finish);
}

/* What everybody sees there stands on none from then on; what only some see would be everybody's.
 */
static int delete_work(struct db_session *session, struct change *change)
{
    struct shelf_row row;
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = shelf_get(session, change->call->arena, change->id, &row);
    error = error != 0 ? error
                       : shelf_ids_after(session, change->call->arena, CATALOG_ARTIST, row.id, 0, 1,
                                         &ids, &count);
    if (error == 0 && row.some && count > 0) {
        error = problem_set(&change->call->problem, ERR_CONFLICT,
                            "Only some see its music, which would become everybody's: delete the "
                            "music, or let everybody see the library first");
    }
    error = error != 0 ? error : shelf_tell(session, change->call->arena, row.id);
    error = error != 0 ? error : shelf_empty_tracks(session, row.id);
    error = error != 0 ? error : shelf_empty_albums(session, row.id);
    error = error != 0 ? error : shelf_empty_artists(session, row.id);
    error = error != 0 ? error : shelf_folders_delete(session, row.id);
    error = error != 0 ? error : shelf_readers_delete(session, row.id);
    error = error != 0 ? error : shelf_bury(session, row.id, change->now_ms);
    return error != 0 ? error : tell(session, row.id);
}

int shelf_delete(struct request *request)
{
    struct catalog *catalog = request->context;
    int error = change_by_id(request, delete_work, 204);
    return error != 0 ? error : shelves_look(catalog);
}
