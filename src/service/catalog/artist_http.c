/* Routes of artists. Handlers run on the pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/fields.h"
#include "service/catalog/page.h"
#include "service/catalog/removal.h"
#include "service/catalog/resource.h"
#include "service/identity/identity.h"

struct artist_fields {
    bool has_name, has_bio;
    const char *name, *bio;
};

static const struct text_rule name_rule = {.field = "name", .characters_max = ARTIST_NAME_MAX};
static const struct text_rule bio_rule = {
    .field = "bio", .characters_max = ARTIST_BIO_MAX, .empty_ok = true, .lines = true};

static int artist_fields_read(struct request *request, bool create, struct artist_fields *fields)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    struct call *call = &request->call;
    *fields = (struct artist_fields){.name = "", .bio = ""};
    int bad = field_text(call, body, &name_rule, &fields->name, &fields->has_name);
    error = field_text(call, body, &bio_rule, &fields->bio, &fields->has_bio);
    bad = error != 0 ? error : bad;
    if (create && field_required(call, "name", fields->has_name) != 0) {
        bad = ERR_INVALID;
    }
    return bad;
}

static int artist_apply(struct call *call, const struct artist_fields *fields,
                        struct artist_row *row)
{
    if (fields->has_name) {
        row->name = fields->name;
        row->name_key = field_sort_key(call->arena, fields->name);
    }
    if (fields->has_bio) {
        row->bio = fields->bio;
    }
    return row->name_key != NULL ? 0 : ERR_NO_MEMORY;
}

static int artist_create_work(struct db_session *session, struct change *change)
{
    struct artist_row row = {.id = change->id,
                             .owner_user_id = change->call->actor.user_id,
                             .bio = "",
                             .revision = 1,
                             .created_at = change->now_ms,
                             .updated_at = change->now_ms};
    int error = artist_apply(change->call, change->fields, &row);
    if (error == 0) {
        error = artist_insert(session, &row);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_ARTIST, row.id, "artist.changed");
    }
    if (error == 0) {
        error = change_touch(change, CATALOG_ARTIST, row.id);
    }
    return error != 0 ? error : change_answer(change, artist_json(&row), row.revision);
}

int artist_post(struct request *request)
{
    struct artist_fields fields;
    int error = artist_fields_read(request, true, &fields);
    if (error != 0) {
        return error;
    }
    struct change change = {.catalog = request->context,
                            .request = request,
                            .id = id_next(),
                            .fields = &fields,
                            .work = artist_create_work,
                            .status = 201};
    return change_run(&change);
}

/* {artist, accessToken, expiresIn}: the role is granted first, since granting twice does no harm;
 * who asks again after a failure between the two databases gets what was missing. */
static int me_artist_work(struct db_session *session, struct change *change)
{
    int error = artist_create_work(session, change);
    if (error != 0) {
        return error;
    }
    json_t *artist = change->answer;
    return change_answer(change, json_pack("{s:o}", "artist", artist), 0);
}

/* A token that says what the user is now. */
static int me_artist_finish(struct change *change)
{
    return identity_token_for(change->catalog->identity, change->call, change->answer);
}

int me_artist_post(struct request *request)
{
    struct catalog *catalog = request->context;
    struct artist_fields fields;
    int error = artist_fields_read(request, true, &fields);
    if (error != 0) {
        return error;
    }
    error =
        identity_grant(catalog->identity, &request->call, request->call.actor.user_id, ROLE_ARTIST);
    if (error != 0) {
        return error;
    }
    struct change change = {.catalog = catalog,
                            .request = request,
                            .id = id_next(),
                            .fields = &fields,
                            .work = me_artist_work,
                            .finish = me_artist_finish,
                            .status = 201};
    return change_run(&change);
}

int artist_get_one(struct request *request)
{
    return resource_get(request, CATALOG_ARTIST);
}

static int artist_patch_work(struct db_session *session, struct change *change)
{
    struct artist_row row;
    int error = catalog_permit(session, change->call, CATALOG_ARTIST, change->id, CATALOG_EDIT);
    if (error == 0) {
        error = artist_get(session, change->call->arena, change->id, &row);
    }
    if (error == 0) {
        error = request_if_match(change->request, row.revision);
    }
    if (error == 0) {
        error = artist_apply(change->call, change->fields, &row);
    }
    if (error != 0) {
        return error;
    }
    row.revision++;
    row.updated_at = change->now_ms;
    error = artist_update(session, &row);
    if (error == 0) {
        error = album_stale_of_artist(session, row.id);
    }
    if (error == 0) {
        error = track_stale_of_artist(session, row.id);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_ARTIST, row.id, "artist.changed");
    }
    if (error == 0) {
        error = change_touch_artist(session, change, row.id);
    }
    return error != 0 ? error : change_answer(change, artist_json(&row), row.revision);
}

int artist_patch(struct request *request)
{
    struct artist_fields fields;
    struct change change = {.catalog = request->context,
                            .request = request,
                            .fields = &fields,
                            .work = artist_patch_work,
                            .status = 200};
    int error = request_param_id(request, "id", &change.id);
    if (error == 0) {
        error = artist_fields_read(request, false, &fields);
    }
    return error != 0 ? error : change_run(&change);
}

static int artist_delete_work(struct db_session *session, struct change *change)
{
    struct artist_row row;
    int error = catalog_permit(session, change->call, CATALOG_ARTIST, change->id, CATALOG_DELETE);
    if (error == 0) {
        error = artist_get(session, change->call->arena, change->id, &row);
    }
    if (error == 0) {
        error = request_if_match(change->request, row.revision);
    }
    return error != 0 ? error : remove_artist(session, change, change->id);
}

int artist_delete(struct request *request)
{
    return change_by_id(request, artist_delete_work, 204);
}

/* Lists: by name, newest first, or those of one owner (newest first). */
struct artist_page {
    struct call *call;
    int64_t owner_user_id;
    char order; /* 'N' name, 'C' created, 'O' one owner's */
    struct list_place place;
    struct artist_list list;
};

static int artist_list_work(struct db_session *session, void *argument)
{
    struct artist_page *page = argument;
    struct arena *arena = page->call->arena;
    if (page->order == 'O') {
        return artist_list_owned(session, arena, page->owner_user_id, &page->place, &page->list);
    }
    if (page->order == 'C') {
        return artist_list_newest(session, arena, &page->place, &page->list);
    }
    return artist_list_by_name(session, arena, &page->place, &page->list);
}

static json_t *artist_page_json(const struct artist_page *page)
{
    unsigned shown = page->place.limit - 1;
    bool more = page->list.count > shown;
    unsigned count = more ? shown : page->list.count;
    json_t *items = json_array();
    for (unsigned i = 0; items != NULL && i < count; i++) {
        if (json_array_append_new(items, artist_json(&page->list.rows[i])) != 0) {
            json_decref(items);
            items = NULL;
        }
    }
    if (items == NULL) {
        return NULL;
    }
    const struct artist_row *row = more ? &page->list.rows[count - 1] : NULL;
    struct list_place last = {0};
    if (row != NULL) {
        last.id = row->id;
        last.key = page->order == 'N' ? row->name_key : "";
    }
    return page_answer(page->call->arena, items, page->order, row != NULL ? &last : NULL);
}

int artist_list_get(struct request *request)
{
    struct catalog *catalog = request->context;
    struct artist_page page = {.call = &request->call, .order = 'N', .place = {.key = ""}};
    const char *owner = request_query(request, "ownerId");
    bool created = false;
    int error = query_sort(request, "name", &created);
    if (error != 0) {
        return error;
    }
    if (owner != NULL && !id_parse(owner, &page.owner_user_id)) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "ownerId must be an id");
    }
    page.order = owner != NULL ? 'O' : created ? 'C' : 'N';
    page.place.id = page.order == 'N' ? 0 : INT64_MAX;
    error = page_begin(request, page.order, &page.place);
    if (error != 0) {
        return error;
    }
    struct list_answer answer = {.published = true};
    const char filter[] = {page.order, '\0'};
    list_key(request, &answer, "artists", page.owner_user_id, filter);
    error = list_cached(request, &answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, artist_list_work, &page);
    return error != 0 ? error : list_reply(request, &answer, artist_page_json(&page));
}
