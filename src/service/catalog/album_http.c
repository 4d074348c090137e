/* Routes of albums and genres. Handlers run on the pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/removal.h"
#include "service/catalog/resource.h"
#include "service/fields.h"
#include "service/page.h"

#include <string.h>

static const char *const types[] = {"album", "single", "ep", "compilation", NULL};
static const char *const statuses[] = {"published", "draft", NULL};
static const struct text_rule title_rule = {.field = "title", .characters_max = ALBUM_TITLE_MAX};
static const struct text_rule genre_rule = {.field = "genres", .characters_max = GENRE_NAME_MAX};

struct genre_name {
    const char *name, *name_key;
};

struct album_fields {
    bool has_artist_id, has_title, has_type, has_status, has_release_date, has_genres;
    int64_t artist_id;
    const char *title, *type, *status, *release_date;
    const char *genres_json;
    struct genre_name genres[ALBUM_GENRES_MAX];
    unsigned genre_count;
};

static int genre_add(struct call *call, const json_t *item, struct album_fields *fields)
{
    struct genre_name genre = {0};
    if (!json_is_string(item)) {
        return problem_field(&call->problem, "genres", "must be a list of names");
    }
    int error =
        text_clean(call->arena, &genre_rule, json_string_value(item), &call->problem, &genre.name);
    if (error != 0) {
        return error;
    }
    genre.name_key = text_fold(call->arena, genre.name);
    if (genre.name_key == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < fields->genre_count; i++) {
        if (strcmp(fields->genres[i].name_key, genre.name_key) == 0) {
            return 0;
        }
    }
    fields->genres[fields->genre_count++] = genre;
    return 0;
}

static int genres_to_json(struct call *call, struct album_fields *fields)
{
    CLEANUP_JSON json_t *list = json_array();
    for (unsigned i = 0; list != NULL && i < fields->genre_count; i++) {
        if (json_array_append_new(list, json_string(fields->genres[i].name)) != 0) {
            return ERR_NO_MEMORY;
        }
    }
    char *text CLEANUP_FREE = list != NULL ? json_dumps(list, JSON_COMPACT) : NULL;
    fields->genres_json = text != NULL ? arena_strdup(call->arena, text) : NULL;
    return fields->genres_json != NULL ? 0 : ERR_NO_MEMORY;
}

static int genres_read(struct call *call, const json_t *body, struct album_fields *fields)
{
    const json_t *list = json_object_get(body, "genres");
    if (list != NULL) {
        fields->has_genres = true;
        if (!json_is_array(list) || json_array_size(list) > ALBUM_GENRES_MAX) {
            return problem_field(&call->problem, "genres", "must be a list of at most %d names",
                                 ALBUM_GENRES_MAX);
        }
        size_t index;
        json_t *item;
        json_array_foreach((json_t *)list, index, item)
        {
            int error = genre_add(call, item, fields);
            if (error != 0) {
                return error;
            }
        }
    }
    return genres_to_json(call, fields);
}

static int album_fields_read(struct request *request, bool create, struct album_fields *fields)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    struct call *call = &request->call;
    *fields = (struct album_fields){
        .title = "", .type = "album", .status = "published", .release_date = ""};
    int errors[] = {
        field_id(call, body, "artistId", &fields->artist_id, &fields->has_artist_id),
        field_text(call, body, &title_rule, &fields->title, &fields->has_title),
        field_word(call, body, "type", types, &fields->type, &fields->has_type),
        field_word(call, body, "status", statuses, &fields->status, &fields->has_status),
        field_date(call, body, "releaseDate", &fields->release_date, &fields->has_release_date),
        genres_read(call, body, fields),
        create ? field_required(call, "artistId", fields->has_artist_id) : 0,
        create ? field_required(call, "title", fields->has_title) : 0,
    };
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        error = errors[i] != 0 ? errors[i] : error;
    }
    return error;
}

static int album_apply(struct call *call, const struct album_fields *fields, bool create,
                       struct album_row *row)
{
    if (fields->has_title) {
        row->title = fields->title;
        row->title_key = field_sort_key(call->arena, fields->title);
    }
    if (create || fields->has_type) {
        row->type = fields->type;
    }
    if (create || fields->has_status) {
        row->status = fields->status;
    }
    if (create || fields->has_release_date) {
        row->release_date = fields->release_date;
    }
    if (create || fields->has_genres) {
        row->genres = fields->genres_json;
    }
    return row->title_key != NULL ? 0 : ERR_NO_MEMORY;
}

static int album_link_genres(struct db_session *session, struct call *call,
                             const struct album_row *row)
{
    CLEANUP_JSON json_t *list = json_loads(row->genres, 0, NULL);
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        const char *name = json_string_value(item);
        const char *name_key = text_fold(call->arena, name);
        int error = name_key != NULL ? genre_link(session, name_key, name, row) : ERR_NO_MEMORY;
        if (error != 0) {
            return error;
        }
    }
    return list != NULL ? 0 : ERR_NO_MEMORY;
}

/* The page an album is put under must be the caller's own. */
static int album_take_artist(struct db_session *session, struct call *call, int64_t artist_id,
                             struct album_row *row)
{
    struct artist_row artist;
    int error = catalog_permit(session, call, CATALOG_ARTIST, artist_id, CATALOG_EDIT);
    if (error == ERR_NOT_FOUND) {
        return problem_field(&call->problem, "artistId", "names no artist");
    }
    if (error == 0) {
        error = artist_get(session, call->arena, artist_id, &artist);
    }
    if (error == 0) {
        row->artist_id = artist.id;
        row->artist_name = artist.name;
        row->owner_user_id = artist.owner_user_id;
    }
    return error;
}

static int album_create_work(struct db_session *session, struct change *change)
{
    const struct album_fields *fields = change->fields;
    struct album_row row = {.id = change->id,
                            .sort_title = "",
                            .original_date = "",
                            .mbid = "",
                            .group_mbid = "",
                            .disc_titles = "{}",
                            .revision = 1,
                            .created_at = change->now_ms,
                            .updated_at = change->now_ms};
    int error = album_take_artist(session, change->call, fields->artist_id, &row);
    if (error == 0) {
        error = album_apply(change->call, fields, true, &row);
    }
    if (error == 0) {
        error = album_insert(session, &row);
    }
    if (error == 0) {
        error = album_link_genres(session, change->call, &row);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_ALBUM, row.id, "album.changed");
    }
    if (error == 0) {
        error = change_touch(change, CATALOG_ALBUM, row.id);
    }
    return error != 0 ? error : change_answer(change, album_json(&row), row.revision);
}

int album_post(struct request *request)
{
    struct album_fields fields;
    int error = album_fields_read(request, true, &fields);
    return error != 0 ? error : change_create(request, &fields, album_create_work, NULL);
}

int album_get_one(struct request *request)
{
    return resource_get(request, CATALOG_ALBUM);
}

/* The album's tracks and genres repeat its status and title. */
static int album_spread(struct db_session *session, struct change *change,
                        const struct album_row *row)
{
    int error = genre_unlink_album(session, row->id);
    if (error == 0) {
        error = album_link_genres(session, change->call, row);
    }
    if (error == 0) {
        error = track_publish_of_album(session, row->id, strcmp(row->status, "published") == 0);
    }
    if (error == 0) {
        error = track_stale_of_album(session, row->id);
    }
    if (error == 0) {
        error = change_touch_tracks(session, change, row->id);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_ALBUM, row->id, "album.changed");
    }
    return error != 0 ? error : change_touch(change, CATALOG_ALBUM, row->id);
}

static int album_patch_work(struct db_session *session, struct change *change)
{
    const struct album_fields *fields = change->fields;
    struct album_row row = {0};
    int error = catalog_permit(session, change->call, CATALOG_ALBUM, change->id, CATALOG_EDIT);
    if (error == 0) {
        error = album_get(session, change->call->arena, change->id, &row);
    }
    if (error == 0) {
        error = request_if_match(change->request, row.revision);
    }
    bool moves = error == 0 && fields->has_artist_id && fields->artist_id != row.artist_id;
    if (error == 0 && moves) {
        error = album_take_artist(session, change->call, fields->artist_id, &row);
    }
    if (error == 0) {
        error = album_apply(change->call, fields, false, &row);
    }
    if (error != 0) {
        return error;
    }
    row.revision++;
    row.updated_at = change->now_ms;
    error = album_update(session, &row);
    if (error == 0 && moves) {
        error = track_move_of_album(session, row.id, row.artist_id);
    }
    if (error == 0) {
        error = album_spread(session, change, &row);
    }
    return error != 0 ? error : change_answer(change, album_json(&row), row.revision);
}

int album_patch(struct request *request)
{
    struct album_fields fields;
    int error = album_fields_read(request, false, &fields);
    return error != 0 ? error : change_patch(request, &fields, album_patch_work, NULL);
}

static int album_delete_work(struct db_session *session, struct change *change)
{
    struct album_row row;
    int error = catalog_permit(session, change->call, CATALOG_ALBUM, change->id, CATALOG_DELETE);
    if (error == 0) {
        error = album_get(session, change->call->arena, change->id, &row);
    }
    if (error == 0) {
        error = request_if_match(change->request, row.revision);
    }
    return error != 0 ? error : remove_album(session, change, change->id);
}

int album_delete(struct request *request)
{
    return change_by_id(request, album_delete_work, 204);
}
