/* The rules of tracks and their versions: the part of the contract that ingest writes through
 * (catalog.h). Everything runs inside the caller's transaction.
 *
 * 1. version is the file that plays or, while none ever did, the one on its way.
 * 2. pending_version is 0, or a newer file that takes over when its first rendition is ready;
 *    until then version plays on.
 * 3. version_last only grows; a number is never used twice, so that the objects of two versions
 *    never share a key.
 * 4. A version that is neither of the two is removed: its objects go after the grace.
 */
#include "service/catalog/catalog_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/change.h"
#include "service/catalog/removal.h"
#include "service/catalog/resource.h"
#include "service/fields.h"

#include <string.h>

const char *track_status_name(enum track_status status)
{
    static const char *const names[] = {"created", "uploaded", "processing", "ready", "failed"};
    return names[status];
}

static const struct text_rule title_rule = {.field = "title", .characters_max = TRACK_TITLE_MAX};
static const struct text_rule url_rule = {.field = "trackUrl", .characters_max = TRACK_URL_MAX};
static const struct text_rule lyrics_rule = {
    .field = "lyrics", .characters_max = LYRICS_MAX, .empty_ok = true, .lines = true};

int catalog_track_fields(struct call *call, const json_t *body, bool create,
                         struct track_fields *ret_fields)
{
    struct track_fields fields = {.disc_number = 1, .title = "", .isrc = "", .lyrics = ""};
    bool has_url = false;
    int errors[] = {
        field_id(call, body, "albumId", &fields.album_id, &fields.has_album_id),
        field_text(call, body, &title_rule, &fields.title, &fields.has_title),
        field_number(call, body, "trackNumber", 1, TRACK_NUMBER_MAX, &fields.track_number,
                     &fields.has_track_number),
        field_number(call, body, "discNumber", 1, DISC_NUMBER_MAX, &fields.disc_number,
                     &fields.has_disc_number),
        field_bool(call, body, "explicit", &fields.explicit, &fields.has_explicit),
        field_isrc(call, body, "isrc", &fields.isrc, &fields.has_isrc),
        field_text(call, body, &lyrics_rule, &fields.lyrics, &fields.has_lyrics),
        field_text(call, body, &url_rule, &fields.track_url, &has_url),
        create ? field_required(call, "albumId", fields.has_album_id) : 0,
        create ? field_required(call, "title", fields.has_title) : 0,
        create ? field_required(call, "trackUrl", has_url) : 0,
    };
    int error = 0;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        error = errors[i] != 0 ? errors[i] : error;
    }
    if (error == 0) {
        *ret_fields = fields;
    }
    return error;
}

/* The album a track is put into must be one that the caller may edit. */
static int take_album(struct db_session *session, struct call *call, int64_t album_id,
                      struct track_row *row)
{
    struct album_row album;
    int error = catalog_permit(session, call, CATALOG_ALBUM, album_id, CATALOG_EDIT);
    if (error == ERR_NOT_FOUND) {
        return problem_field(&call->problem, "albumId", "names no album");
    }
    if (error == 0) {
        error = album_get(session, call->arena, album_id, &album);
    }
    if (error != 0) {
        return error;
    }
    if (album.track_count >= ALBUM_TRACKS_MAX) {
        return problem_set(&call->problem, ERR_CONFLICT, "An album holds at most %d tracks",
                           ALBUM_TRACKS_MAX);
    }
    row->album_id = album.id;
    row->artist_id = album.artist_id;
    row->owner_user_id = album.owner_user_id;
    row->published = strcmp(album.status, "published") == 0;
    return 0;
}

static int apply(struct call *call, const struct track_fields *fields, struct track_row *row)
{
    if (fields->has_title) {
        row->title = fields->title;
        row->title_key = field_sort_key(call->arena, fields->title);
    }
    if (fields->has_track_number) {
        row->track_number = fields->track_number;
    }
    if (fields->has_disc_number) {
        row->disc_number = fields->disc_number;
    }
    if (fields->has_explicit) {
        row->explicit = fields->explicit;
    }
    if (fields->has_isrc) {
        row->isrc = fields->isrc;
    }
    if (fields->has_lyrics) {
        row->has_lyrics = fields->lyrics[0] != '\0';
    }
    return row->title_key != NULL ? 0 : ERR_NO_MEMORY;
}

static int write_lyrics(struct db_session *session, const struct track_fields *fields, int64_t id,
                        int64_t now_ms)
{
    if (!fields->has_lyrics) {
        return 0;
    }
    return fields->lyrics[0] != '\0' ? lyrics_put(session, id, fields->lyrics, now_ms)
                                     : lyrics_delete(session, id);
}

static int add_version(struct db_session *session, const struct track_row *row, int64_t version,
                       const struct catalog_source *source, int64_t now_ms)
{
    struct version_row file = {
        .track_id = row->id,
        .version = version,
        .owner_user_id = row->owner_user_id,
        .source_key = source->key,
        .source_bytes = source->bytes,
        .filename = source->filename,
        .created_at = now_ms,
    };
    int error = version_insert(session, &file);
    return error != 0 ? error : change_emit_uploaded(session, &file);
}

/* The album's sums follow, both it and the track are told as changed. */
static int announce(struct db_session *session, int64_t track_id, int64_t album_id, int64_t now_ms)
{
    int error = album_touch(session, album_id, now_ms);
    if (error == 0) {
        error = album_refresh(session, album_id);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_TRACK, track_id, "track.changed");
    }
    return error != 0 ? error : change_emit(session, CATALOG_ALBUM, album_id, "album.changed");
}

int catalog_track_create(struct db_session *session, struct call *call,
                         const struct track_fields *fields, int64_t track_id,
                         const struct catalog_source *source)
{
    int64_t now_ms = clock_wall_ms();
    struct track_row row = {.id = track_id,
                            .disc_number = 1,
                            .isrc = "",
                            .status = track_status_name(TRACK_UPLOADED),
                            .version = 1,
                            .created_at = now_ms};
    int error = take_album(session, call, fields->album_id, &row);
    if (error == 0) {
        error = apply(call, fields, &row);
    }
    if (error == 0 && !fields->has_track_number) {
        error = track_number_next(session, row.album_id, row.disc_number, &row.track_number);
    }
    if (error == 0) {
        error = track_insert(session, &row);
    }
    if (error == 0) {
        error = write_lyrics(session, fields, row.id, now_ms);
    }
    if (error == 0) {
        error = add_version(session, &row, 1, source, now_ms);
    }
    return error != 0 ? error : announce(session, row.id, row.album_id, now_ms);
}

static int track_for_edit(struct db_session *session, struct call *call, int64_t track_id,
                          struct track_row *ret_row)
{
    int error = catalog_permit(session, call, CATALOG_TRACK, track_id, CATALOG_EDIT);
    return error != 0 ? error : track_get(session, call->arena, track_id, ret_row);
}

int catalog_version_reserve(struct db_session *session, struct call *call, int64_t track_id,
                            int *ret_version)
{
    struct track_row row;
    int error = track_for_edit(session, call, track_id, &row);
    if (error != 0) {
        return error;
    }
    row.version_last++;
    error = track_update_state(session, &row);
    if (error == 0) {
        *ret_version = (int)row.version_last;
    }
    return error;
}

int catalog_track_replace(struct db_session *session, struct call *call, int64_t track_id,
                          int version, const struct catalog_source *source)
{
    int64_t now_ms = clock_wall_ms();
    struct track_row row;
    int error = track_for_edit(session, call, track_id, &row);
    if (error != 0) {
        return error;
    }
    if (version <= row.version || version <= row.pending_version) {
        return problem_set(&call->problem, ERR_CONFLICT,
                           "A newer file has replaced this track's meanwhile");
    }
    bool plays = strcmp(row.status, track_status_name(TRACK_READY)) == 0;
    int64_t replaced = plays ? row.pending_version : row.version;
    if (replaced != 0) {
        error = remove_version_objects(session, row.id, replaced, now_ms);
    }
    if (error != 0) {
        return error;
    }
    if (plays) {
        row.pending_version = version;
    } else {
        row.version = version;
        row.status = track_status_name(TRACK_UPLOADED);
        row.duration_ms = 0;
    }
    row.failure_code = row.failure_reason = "";
    row.working = true;
    error = track_update_state(session, &row);
    if (error == 0) {
        error = add_version(session, &row, version, source, now_ms);
    }
    if (error == 0) {
        row.updated_at = now_ms;
        error = track_update(session, &row);
    }
    return error != 0 ? error : announce(session, row.id, row.album_id, now_ms);
}

int catalog_track_edit(struct db_session *session, struct call *call, int64_t track_id,
                       const struct track_fields *fields)
{
    int64_t now_ms = clock_wall_ms();
    struct track_row row;
    int error = track_for_edit(session, call, track_id, &row);
    int64_t old_album_id = error == 0 ? row.album_id : 0;
    if (error == 0 && fields->has_album_id && fields->album_id != old_album_id) {
        error = take_album(session, call, fields->album_id, &row);
    }
    if (error == 0) {
        error = apply(call, fields, &row);
    }
    if (error == 0) {
        error = write_lyrics(session, fields, row.id, now_ms);
    }
    if (error == 0) {
        row.updated_at = now_ms;
        error = track_update(session, &row);
    }
    if (error == 0 && row.album_id != old_album_id) {
        error = announce(session, row.id, old_album_id, now_ms);
    }
    return error != 0 ? error : announce(session, row.id, row.album_id, now_ms);
}

int catalog_track_answer(struct db_session *session, struct call *call, int64_t track_id,
                         json_t **ret_object, int64_t *ret_revision, int64_t *ret_album_id)
{
    struct track_row row;
    int error = catalog_permit(session, call, CATALOG_TRACK, track_id, CATALOG_SEE);
    if (error == 0) {
        error = track_get(session, call->arena, track_id, &row);
    }
    if (error != 0) {
        return error;
    }
    json_t *object = track_json(&row);
    if (object == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_object = object;
    *ret_revision = row.revision;
    if (ret_album_id != NULL) {
        *ret_album_id = row.album_id;
    }
    return 0;
}

int catalog_original_bytes(struct db_session *session, int64_t user_id, int64_t *ret_bytes)
{
    return version_bytes_of_owner(session, user_id, ret_bytes);
}

void catalog_track_forget(struct catalog *catalog, int64_t track_id)
{
    resource_forget(catalog, CATALOG_TRACK, track_id);
}

void catalog_album_forget(struct catalog *catalog, int64_t album_id)
{
    resource_forget(catalog, CATALOG_ALBUM, album_id);
}
