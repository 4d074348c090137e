/* Imported music (catalog.h): artists, albums and tracks as files tell of them. Everything but
 * catalog_track_want runs inside the caller's transaction.
 *
 * An imported track is an ordinary one that was born ready: its version plays as it is, by its
 * original alone, and what transcode makes of it later comes by the same events as for an upload
 * (media.c), which leave a track that is ready as it is.
 */
#include "service/catalog/catalog_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/change.h"
#include "service/catalog/emptied.h"
#include "service/catalog/import_store.h"
#include "service/catalog/index_key.h"
#include "service/catalog/media.h"
#include "service/catalog/removal.h"
#include "service/catalog/resource.h"
#include "service/fields.h"

#include <stdio.h>
#include <string.h>

/* At most so many characters of it; "" for NULL. */
static const char *cut(struct arena *arena, const char *text, unsigned characters_max)
{
    unsigned characters = 0;
    size_t length = 0;
    while (text != NULL && text[length] != '\0') {
        if (((unsigned char)text[length] & 0xc0) != 0x80 && ++characters > characters_max) {
            return arena_printf(arena, "%.*s", (int)length, text);
        }
        length++;
    }
    return text != NULL ? text : "";
}

static const char *sort_key(struct arena *arena, const char *sort_name, const char *name)
{
    bool sorted = sort_name != NULL && sort_name[0] != '\0';
    return field_sort_key(arena, sorted ? sort_name : name);
}

/* A copy of the text in the arena, of JSON that is to be stored. */
static const char *dump(struct arena *arena, const json_t *value, const char *none)
{
    char *text CLEANUP_FREE = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    return text != NULL ? arena_strdup(arena, text) : value == NULL ? none : NULL;
}

/* --- artists --- */

int catalog_artist_add(struct db_session *session, struct call *call, int64_t id,
                       const struct catalog_artist_facts *facts)
{
    const char *sort_name = cut(call->arena, facts->sort_name, ARTIST_NAME_MAX);
    const char *name = cut(call->arena, facts->name, ARTIST_NAME_MAX);
    struct artist_row row = {.id = id,
                             .owner_user_id = facts->owner_user_id,
                             .name = name,
                             .name_key = sort_key(call->arena, sort_name, name),
                             .index_key = index_key(call->arena, name, sort_name),
                             .sort_name = sort_name,
                             .bio = "",
                             .created_at = clock_wall_ms()};
    int error = row.name_key != NULL && row.index_key != NULL ? artist_insert(session, &row)
                                                              : ERR_NO_MEMORY;
    if (error == 0) {
        error =
            import_artist_set(session, id, facts->mbid != NULL ? facts->mbid : "", facts->shelf_id);
    }
    return error != 0 ? error : change_emit(session, CATALOG_ARTIST, id, "artist.changed");
}

int catalog_artist_forsake(struct db_session *session, struct call *call, int64_t id)
{
    struct artist_row row;
    bool bare = false;
    int error = artist_get(session, call->arena, id, &row);
    error = error != 0 ? error : import_artist_is_bare(session, id, &bare);
    if (error != 0 || !bare) {
        return error == ERR_NOT_FOUND ? 0 : error;
    }
    error = remove_art(session, row.image_art_id, clock_wall_ms());
    error = error != 0 ? error : remove_art(session, row.pending_art_id, clock_wall_ms());
    error = error != 0 ? error : artist_bury(session, id, clock_wall_ms());
    return error != 0 ? error : change_emit(session, CATALOG_ARTIST, id, "artist.deleted");
}

int catalog_artist_again(struct db_session *session, struct call *call, int64_t id)
{
    struct artist_row row;
    int error = artist_get(session, call->arena, id, &row);
    if (error != 0 || row.index_key[0] != '\0') {
        return error;
    }
    row.index_key = index_key(call->arena, row.name, row.sort_name);
    error = row.index_key != NULL ? artist_index_set(session, &row) : ERR_NO_MEMORY;
    return error != 0 ? error : change_emit(session, CATALOG_ARTIST, id, "artist.changed");
}

/* --- albums --- */

/* At most so many, each once and not too long. */
static json_t *genre_list_of(struct call *call, const json_t *genres)
{
    json_t *list = json_array();
    const char *keys[ALBUM_GENRES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(genres); i++) {
        const char *name =
            cut(call->arena, json_string_value(json_array_get(genres, i)), GENRE_NAME_MAX);
        const char *key = text_fold(call->arena, name);
        size_t k = 0;
        while (key != NULL && k < count && strcmp(keys[k], key) != 0) {
            k++;
        }
        if (key != NULL && name[0] != '\0' && k == count && count < ALBUM_GENRES_MAX) {
            keys[count++] = key;
            (void)json_array_append_new(list, json_string(name));
        }
    }
    return list;
}

static int link_genres(struct db_session *session, struct call *call, const struct album_row *row)
{
    CLEANUP_JSON json_t *list = json_loads(row->genres, 0, NULL);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        const char *key = text_fold(call->arena, name);
        int error = key != NULL ? genre_link(session, key, name, row) : ERR_NO_MEMORY;
        if (error != 0) {
            return error;
        }
    }
    return list != NULL ? 0 : ERR_NO_MEMORY;
}

/* A folder tells of its own discs; what others told of theirs stays. */
static const char *merge_discs(struct arena *arena, const char *former, const json_t *titles)
{
    CLEANUP_JSON json_t *all = former != NULL ? json_loads(former, 0, NULL) : NULL;
    const char *disc;
    json_t *title;
    all = all != NULL ? all : json_object();
    json_object_foreach((json_t *)titles, disc, title)
    {
        if (json_is_string(title)) {
            (void)json_object_set(all, disc, title);
        } else {
            (void)json_object_del(all, disc);
        }
    }
    return dump(arena, all, NULL);
}

static int fill_album(struct call *call, const struct catalog_album_facts *facts,
                      struct album_row *row)
{
    CLEANUP_JSON json_t *genres = genre_list_of(call, facts->genres);
    row->artist_id = facts->artist_id;
    row->title = cut(call->arena, facts->title, ALBUM_TITLE_MAX);
    row->sort_title = cut(call->arena, facts->sort_title, ALBUM_TITLE_MAX);
    row->title_key = sort_key(call->arena, row->sort_title, row->title);
    row->type = facts->type;
    row->release_date = facts->date != NULL ? facts->date : "";
    row->original_date = facts->original_date != NULL ? facts->original_date : "";
    row->mbid = facts->mbid != NULL ? facts->mbid : "";
    row->group_mbid = facts->group_mbid != NULL ? facts->group_mbid : "";
    row->genres = dump(call->arena, genres, NULL);
    row->disc_titles = merge_discs(call->arena, row->disc_titles, facts->disc_titles);
    return row->title_key != NULL && row->genres != NULL && row->disc_titles != NULL
               ? 0
               : ERR_NO_MEMORY;
}

int catalog_album_add(struct db_session *session, struct call *call, int64_t id,
                      const struct catalog_album_facts *facts)
{
    struct album_row row = {.id = id, .status = "published", .created_at = clock_wall_ms()};
    int error = fill_album(call, facts, &row);
    error = error != 0 ? error : album_insert(session, &row);
    error = error != 0 ? error : import_album_set(session, &row);
    return error != 0 ? error : link_genres(session, call, &row);
}

static bool same_album(const struct album_row *a, const struct album_row *b)
{
    return a->artist_id == b->artist_id && strcmp(a->title, b->title) == 0 &&
           strcmp(a->title_key, b->title_key) == 0 && strcmp(a->type, b->type) == 0 &&
           strcmp(a->release_date, b->release_date) == 0 && strcmp(a->genres, b->genres) == 0 &&
           strcmp(a->sort_title, b->sort_title) == 0 &&
           strcmp(a->original_date, b->original_date) == 0 && strcmp(a->mbid, b->mbid) == 0 &&
           strcmp(a->group_mbid, b->group_mbid) == 0 && strcmp(a->disc_titles, b->disc_titles) == 0;
}

int catalog_album_follow(struct db_session *session, struct call *call, int64_t id,
                         const struct catalog_album_facts *facts)
{
    struct album_row old, row;
    int error = album_get(session, call->arena, id, &old);
    row = old;
    error = error != 0 ? error : fill_album(call, facts, &row);
    if (error != 0 || same_album(&old, &row)) {
        return error;
    }
    row.revision++;
    row.updated_at = clock_wall_ms();
    error = genre_unlink_album(session, id);
    error = error != 0 ? error : album_update(session, &row);
    error = error != 0 ? error : import_album_set(session, &row);
    error = error != 0 ? error : link_genres(session, call, &row);
    if (error == 0 && row.artist_id != old.artist_id) { /* it may stand on another shelf */
        error = track_publish_of_album(session, id, strcmp(row.status, "published") == 0);
    }
    error = error != 0 ? error : track_stale_of_album(session, id);
    const struct emptied_artists former = {.ids = &old.artist_id, .count = 1};
    return error != 0 ? error : emptied_artists_hide(session, &former);
}

int catalog_album_forsake(struct db_session *session, struct call *call, int64_t id)
{
    struct album_row row;
    int error = album_get(session, call->arena, id, &row);
    if (error != 0 || row.track_count > 0) {
        return error == ERR_NOT_FOUND ? 0 : error;
    }
    error = remove_art(session, row.cover_art_id, clock_wall_ms());
    error = error != 0 ? error : remove_art(session, row.pending_art_id, clock_wall_ms());
    error = error != 0 ? error : genre_unlink_album(session, id);
    error = error != 0 ? error : album_bury(session, id, clock_wall_ms());
    return error != 0 ? error : change_emit(session, CATALOG_ALBUM, id, "album.deleted");
}

int catalog_album_artist(struct db_session *session, struct call *call, int64_t id,
                         int64_t *ret_artist_id, int64_t *ret_shelf_id)
{
    struct album_row row;
    int error = album_get(session, call->arena, id, &row);
    if (error == 0) {
        *ret_artist_id = row.artist_id;
        *ret_shelf_id = row.shelf_id;
    }
    return error;
}

int catalog_album_settle(struct db_session *session, int64_t id)
{
    int error = album_touch(session, id, clock_wall_ms());
    error = error != 0 ? error : album_refresh(session, id);
    error = error != 0 ? error : emptied_album(session, id);
    error = error != 0 ? error : change_emit(session, CATALOG_ALBUM, id, "album.changed");
    return error == ERR_NOT_FOUND ? 0 : error;
}

/* --- tracks --- */

static int fill_track(struct call *call, const struct catalog_track_facts *facts,
                      struct track_row *row)
{
    row->album_id = facts->album_id;
    row->artist_id = facts->artist_id;
    row->title = cut(call->arena, facts->title, TRACK_TITLE_MAX);
    row->title_key = sort_key(
        call->arena, json_string_value(json_object_get(facts->details, "sortTitle")), row->title);
    row->disc_number = facts->disc_number > 0 ? facts->disc_number : 1;
    row->isrc = facts->isrc != NULL ? facts->isrc : "";
    row->has_lyrics = facts->lyrics != NULL && facts->lyrics[0] != '\0';
    row->details = dump(call->arena, facts->details, "{}");
    return row->title_key != NULL && row->details != NULL ? 0 : ERR_NO_MEMORY;
}

/* What no client writes. */
static int set_facts(struct db_session *session, struct call *call, const struct track_row *row,
                     const struct catalog_track_facts *facts)
{
    const char *mbid = json_string_value(json_object_get(facts->details, "musicbrainzTrackId"));
    const char *key = text_fold(call->arena, mbid != NULL ? mbid : "");
    return key != NULL ? import_track_set(session, row->id, row->details, row->title_key, key)
                       : ERR_NO_MEMORY;
}

static int number_track(struct db_session *session, const struct catalog_track_facts *facts,
                        struct track_row *row)
{
    row->track_number = facts->track_number;
    return facts->track_number > 0
               ? 0
               : track_number_next(session, row->album_id, row->disc_number, &row->track_number);
}

/* Only where there are others than the track's own artist. */
static int credit(struct db_session *session, int64_t track_id,
                  const struct catalog_track_facts *facts, bool anew)
{
    int error = anew ? 0 : track_artist_delete(session, track_id);
    for (unsigned i = 0; error == 0 && facts->artist_count > 1 && i < facts->artist_count; i++) {
        error = track_artist_insert(session, track_id, facts->artist_ids[i], i);
    }
    return error;
}

/* *ret_changed: they were others before. */
static int write_words(struct db_session *session, struct call *call, int64_t id,
                       const char *lyrics, bool anew, bool *ret_changed)
{
    const char *text = cut(call->arena, lyrics, LYRICS_MAX), *former = "";
    int64_t updated_at = 0;
    int error = anew ? 0 : lyrics_get(session, call->arena, id, &former, &updated_at);
    error = error == ERR_NOT_FOUND ? 0 : error;
    *ret_changed = strcmp(text, former) != 0;
    if (error != 0 || !*ret_changed) {
        return error;
    }
    return text[0] == '\0' ? lyrics_delete(session, id)
                           : lyrics_put(session, id, text, clock_wall_ms());
}

bool catalog_cut_read(const char *key, int64_t *ret_from, int64_t *ret_to)
{
    const char *slash = strrchr(key, '/');
    unsigned from = 0, to = 0;
    int end = 0;
    bool cut =
        slash != NULL && sscanf(slash, "/original.%9u-%9u.%n", &from, &to, &end) == 2 && end > 0;
    *ret_from = cut ? from : 0;
    *ret_to = cut ? to : 0;
    return cut;
}

const char *catalog_original_summary(struct arena *arena, int64_t bytes, const char *mime)
{
    return arena_printf(arena,
                        "[{\"format\":\"original\",\"bitrate\":0,\"bytes\":%lld,\"mime\":\"%s\"}]",
                        (long long)bytes, mime);
}

/* The original as the one rendition that is there; of a part of a file there is none. */
static int add_sound(struct db_session *session, struct call *call, int64_t id, int64_t owner,
                     int64_t version, const struct catalog_sound *sound)
{
    struct rendition rendition = {.format = "original",
                                  .bytes = sound->bytes,
                                  .samples = sound->duration_ms * sound->rate / 1000,
                                  .timescale = sound->rate,
                                  .channels = (unsigned)sound->channels};
    const char *slash = strrchr(sound->key, '/');
    int64_t rate =
        sound->duration_ms > 0 ? sound->bytes * 8 * 1000 / sound->duration_ms : 0; /* bit/s */
    rendition.bandwidth_peak = rendition.bandwidth_average = rate;
    (void)snprintf(rendition.file, sizeof rendition.file, "%s", slash != NULL ? slash + 1 : "");
    (void)snprintf(rendition.mime, sizeof rendition.mime, "%s", sound->mime);
    struct version_row row = {.track_id = id,
                              .version = version,
                              .owner_user_id = owner,
                              .source_key = sound->key,
                              .source_bytes = sound->bytes,
                              .filename = sound->filename,
                              .codec = sound->codec,
                              .rate = sound->rate,
                              .channels = sound->channels,
                              .lossless = sound->lossless,
                              .duration_ms = sound->duration_ms,
                              .created_at = clock_wall_ms()};
    row.summary =
        sound->cut ? "[]" : catalog_original_summary(call->arena, sound->bytes, sound->mime);
    int error =
        row.summary != NULL ? import_version_insert(session, &row, sound->outside) : ERR_NO_MEMORY;
    if (error == 0 && !sound->cut) {
        error = rendition_insert(session, id, version, &rendition);
    }
    return error != 0 || !(sound->at_once || sound->cut) ? error
                                                         : change_emit_uploaded(session, &row);
}

static int owner_of(struct db_session *session, struct call *call, int64_t artist_id,
                    int64_t *ret_owner)
{
    struct artist_row artist;
    int error = artist_get(session, call->arena, artist_id, &artist);
    *ret_owner = error == 0 ? artist.owner_user_id : 0;
    return error;
}

int catalog_track_add(struct db_session *session, struct call *call, int64_t id,
                      const struct catalog_track_facts *facts, const struct catalog_sound *sound)
{
    struct track_row row = {.id = id,
                            .published = true,
                            .status = track_status_name(sound->cut ? TRACK_UPLOADED : TRACK_READY),
                            .version = 1,
                            .created_at = clock_wall_ms()};
    int64_t owner = 0;
    bool words = false;
    int error = fill_track(call, facts, &row);
    error = error != 0 ? error : number_track(session, facts, &row);
    error = error != 0 ? error : owner_of(session, call, facts->artist_id, &owner);
    error = error != 0 ? error : track_insert(session, &row);
    if (error == 0) {
        row.version_last = 1;
        row.working = sound->at_once || sound->cut;
        row.duration_ms = sound->duration_ms;
        row.failure_code = row.failure_reason = "";
        error = track_update_state(session, &row);
    }
    error = error != 0 ? error : set_facts(session, call, &row, facts);
    error = error != 0 ? error : credit(session, id, facts, true);
    error = error != 0 ? error : write_words(session, call, id, facts->lyrics, true, &words);
    error = error != 0 ? error : add_sound(session, call, id, owner, 1, sound);
    return error != 0 ? error : change_emit(session, CATALOG_TRACK, id, "track.changed");
}

static bool same_track(const struct track_row *a, const struct track_row *b)
{
    return a->album_id == b->album_id && a->artist_id == b->artist_id &&
           a->track_number == b->track_number && a->disc_number == b->disc_number &&
           a->has_lyrics == b->has_lyrics && strcmp(a->title, b->title) == 0 &&
           strcmp(a->title_key, b->title_key) == 0 && strcmp(a->isrc, b->isrc) == 0 &&
           strcmp(a->details, b->details) == 0;
}

int catalog_track_follow(struct db_session *session, struct call *call, int64_t id,
                         const struct catalog_track_facts *facts)
{
    struct track_row old, row;
    bool words = false;
    int error = track_get(session, call->arena, id, &old);
    row = old;
    error = error != 0 ? error : fill_track(call, facts, &row);
    if (error == 0 && facts->track_number > 0) {
        row.track_number = facts->track_number;
    }
    error = error != 0 ? error : write_words(session, call, id, facts->lyrics, false, &words);
    if (error != 0 || (!words && same_track(&old, &row))) {
        return error;
    }
    struct emptied_artists former = {0};
    row.updated_at = clock_wall_ms();
    error = emptied_artists_of_track(session, call->arena, id, &former);
    error = error != 0 ? error : track_update(session, &row);
    error = error != 0 ? error : set_facts(session, call, &row, facts);
    error = error != 0 ? error : credit(session, id, facts, false);
    if (error == 0 && old.album_id != row.album_id) {
        error = catalog_album_settle(session, old.album_id);
    }
    error = error != 0 ? error : emptied_artists_hide(session, &former);
    return error != 0 ? error : change_emit(session, CATALOG_TRACK, id, "track.changed");
}

int catalog_track_sound(struct db_session *session, struct call *call, int64_t id, int version,
                        const struct catalog_sound *sound)
{
    struct track_row row;
    int error = track_get(session, call->arena, id, &row);
    if (error == 0) {
        error = remove_version_objects(session, id, row.version, clock_wall_ms());
    }
    if (error == 0 && row.pending_version != 0) {
        error = remove_version_objects(session, id, row.pending_version, clock_wall_ms());
    }
    if (error != 0) {
        return error;
    }
    row.version = version;
    row.version_last = version > row.version_last ? version : row.version_last;
    row.pending_version = 0;
    row.status = track_status_name(sound->cut ? TRACK_UPLOADED : TRACK_READY);
    row.failure_code = row.failure_reason = "";
    row.working = sound->at_once || sound->cut;
    row.duration_ms = sound->duration_ms;
    row.updated_at = clock_wall_ms();
    error = track_update_state(session, &row);
    error = error != 0 ? error : track_update(session, &row);
    error = error != 0 ? error : add_sound(session, call, id, row.owner_user_id, version, sound);
    return error != 0 ? error : change_emit(session, CATALOG_TRACK, id, "track.changed");
}

int catalog_track_file(struct db_session *session, struct call *call, int64_t id, int version,
                       const char *filename, int64_t bytes)
{
    struct version_row file;
    bool playable = false;
    int error = version_get(session, call->arena, id, version, &file);
    if (error != 0) {
        return error == ERR_NOT_FOUND ? 0 : error; /* another file is the track's by now */
    }
    if (file.source_bytes == bytes && strcmp(file.filename, filename) == 0) {
        return 0;
    }
    error = import_version_file(session, id, version, filename, bytes);
    error = error != 0 ? error : import_rendition_bytes(session, id, version, bytes);
    error = error != 0 ? error : media_count(session, call->arena, id, version, &playable);
    return error != 0 ? error : track_touch(session, id, clock_wall_ms());
}

int catalog_track_forsake(struct db_session *session, struct call *call, int64_t id)
{
    struct change change = {.call = call, .id = id, .now_ms = clock_wall_ms()};
    int error = remove_track(session, &change, id);
    return error == ERR_NOT_FOUND ? 0 : error;
}

int catalog_track_missing(struct db_session *session, int64_t id, bool missing)
{
    int error = import_missing_set(session, id, missing);
    return error != 0 ? error : change_emit(session, CATALOG_TRACK, id, "track.changed");
}

/* --- on demand --- */

struct want {
    struct arena *arena;
    int64_t track_id;
    bool told;
};

static int want_work(struct db_session *session, void *argument)
{
    struct want *want = argument;
    struct track_row row;
    struct version_row file;
    want->told = false;
    int error = track_get(session, want->arena, want->track_id, &row);
    bool wanted = error == 0 && !row.working && row.failure_code[0] == '\0' &&
                  strcmp(row.status, track_status_name(TRACK_READY)) == 0;
    if (!wanted) {
        return error;
    }
    error = version_get(session, want->arena, row.id, row.version, &file);
    if (error != 0 || file.playable || file.complete) {
        return error;
    }
    want->told = true;
    error = import_working_set(session, row.id);
    error = error != 0 ? error : change_emit_uploaded(session, &file);
    error = error != 0 ? error : album_stale(session, row.album_id);
    error = error != 0 ? error : album_refresh(session, row.album_id);
    return error != 0 ? error : change_emit(session, CATALOG_TRACK, row.id, "track.changed");
}

int catalog_track_want(struct catalog *catalog, int64_t track_id)
{
    struct want want = {.arena = arena_new(0), .track_id = track_id};
    int error = want.arena != NULL ? db_write(catalog->db, want_work, &want) : ERR_NO_MEMORY;
    arena_free(want.arena);
    if (error == 0 && want.told) {
        resource_forget(catalog, CATALOG_TRACK, track_id);
    }
    return error;
}
