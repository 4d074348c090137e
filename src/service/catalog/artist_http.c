/* Routes of artists. Handlers run on the pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/credits.h"
#include "service/catalog/index_key.h"
#include "service/catalog/removal.h"
#include "service/catalog/resource.h"
#include "service/fields.h"
#include "service/identity/identity.h"

#include <string.h>

struct artist_fields {
    bool has_name, has_bio, has_sort_name;
    const char *name, *bio, *sort_name;
};

static const struct text_rule name_rule = {.field = "name", .characters_max = ARTIST_NAME_MAX};
static const struct text_rule sort_name_rule = {
    .field = "sortName", .characters_max = ARTIST_NAME_MAX, .empty_ok = true};
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
    *fields = (struct artist_fields){.name = "", .bio = "", .sort_name = ""};
    int bad = field_text(call, body, &name_rule, &fields->name, &fields->has_name);
    error = field_text(call, body, &bio_rule, &fields->bio, &fields->has_bio);
    bad = error != 0 ? error : bad;
    error = field_text(call, body, &sort_name_rule, &fields->sort_name, &fields->has_sort_name);
    bad = error != 0 ? error : bad;
    if (create && field_required(call, "name", fields->has_name) != 0) {
        bad = ERR_INVALID;
    }
    return bad;
}

/* A new name is not sorted as the old one was. */
static int artist_apply(struct call *call, const struct artist_fields *fields,
                        struct artist_row *row)
{
    bool renamed = fields->has_name && strcmp(fields->name, row->name) != 0;
    if (fields->has_name) {
        row->name = fields->name;
    }
    if (fields->has_sort_name || renamed) {
        row->sort_name = fields->sort_name;
        row->name_key =
            field_sort_key(call->arena, row->sort_name[0] != '\0' ? row->sort_name : row->name);
        row->index_key = index_key(call->arena, row->name, row->sort_name);
    }
    if (fields->has_bio) {
        row->bio = fields->bio;
    }
    return row->name_key != NULL && row->index_key != NULL ? 0 : ERR_NO_MEMORY;
}

static int artist_create_work(struct db_session *session, struct change *change)
{
    struct artist_row row = {.id = change->id,
                             .owner_user_id = change->call->actor.user_id,
                             .name = "",
                             .bio = "",
                             .sort_name = "",
                             .mbid = "",
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
    return error != 0 ? error : change_create(request, &fields, artist_create_work, NULL);
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
    if (error == 0) {
        error = identity_grant(catalog->identity, &request->call, request->call.actor.user_id,
                               ROLE_ARTIST);
    }
    return error != 0 ? error : change_create(request, &fields, me_artist_work, me_artist_finish);
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
    const struct artist_fields *fields = change->fields;
    row.revision++;
    row.updated_at = change->now_ms;
    error = artist_update(session, &row);
    if (error == 0 && fields->has_name) {
        error = credits_rename(session, change, row.id, row.name);
    }
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
    int error = artist_fields_read(request, false, &fields);
    return error != 0 ? error : change_patch(request, &fields, artist_patch_work, NULL);
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
