/* A folder's files in one transaction (import.h): rows that moved, artists, albums, tracks, and at
 * the end each album once. The work may run more than once: what it decides is made anew each time.
 * Runs on the writer's thread. */
#include "service/ingest/import/import.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARTISTS_MAX = 20, CACHE_MAX = 64, ALBUMS_LEFT_MAX = 64, COLLISIONS_ASKED = 3 };

struct apply {
    struct import_run *run;
    struct import_folder *folder;
    struct call call;
    int64_t now_ms, folder_id;
    struct {
        const char *key;
        int64_t id;
    } artists[CACHE_MAX];
    unsigned artist_count;
    struct import_left left;
    struct import_progress counts; /* of this folder, added once it is committed */
};

static int64_t owner(const struct apply *apply)
{
    return apply->run->library.owner_user_id;
}

/* --- artists --- */

static bool is_there(struct db_session *session, struct apply *apply, enum catalog_kind kind,
                     int64_t id, int *error)
{
    int result = catalog_permit(session, &apply->call, kind, id, CATALOG_SEE);
    *error = result == ERR_NOT_FOUND ? 0 : result;
    return result == 0;
}

/* An artist of the name, by MusicBrainz's id first; 0: there is none yet. */
static int find_artist(struct db_session *session, struct apply *apply, const char *const keys[2],
                       int64_t *ret_id)
{
    int error = 0;
    *ret_id = 0;
    for (unsigned i = 0; error == 0 && *ret_id == 0 && i < 2; i++) {
        int64_t id = 0;
        error = keys[i] != NULL ? name_find(session, owner(apply), "artist", keys[i], &id)
                                : ERR_NOT_FOUND;
        if (error == 0 && is_there(session, apply, CATALOG_ARTIST, id, &error)) {
            *ret_id = id;
        }
        error = error == ERR_NOT_FOUND ? 0 : error;
    }
    return error;
}

static int make_artist(struct db_session *session, struct apply *apply,
                       const struct catalog_artist_facts *facts, const char *const keys[2],
                       int64_t *ret_id)
{
    *ret_id = id_next();
    int error = catalog_artist_add(session, &apply->call, *ret_id, facts);
    for (unsigned i = 0; error == 0 && i < 2; i++) {
        error = keys[i] != NULL ? name_put(session, owner(apply), "artist", keys[i], *ret_id) : 0;
    }
    return error;
}

static int artist_of(struct db_session *session, struct apply *apply, const char *name,
                     const char *sort_name, const char *mbid, int64_t *ret_id)
{
    struct arena *arena = apply->folder->arena;
    const char *folded = text_fold(arena, name);
    const char *key = folded != NULL
                          ? import_shelf_key(apply->folder, arena_printf(arena, "n:%s", folded))
                          : NULL;
    if (key == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < apply->artist_count; i++) {
        if (strcmp(apply->artists[i].key, key) == 0) {
            *ret_id = apply->artists[i].id;
            return 0;
        }
    }
    const char *by_mbid = mbid[0] != '\0' ? arena_printf(arena, "m:%s", mbid) : NULL;
    const char *const keys[2] = {import_shelf_key(apply->folder, by_mbid), key};
    const struct catalog_artist_facts facts = {.owner_user_id = owner(apply),
                                               .shelf_id = apply->folder->shelf_id,
                                               .name = name,
                                               .sort_name = sort_name,
                                               .mbid = mbid};
    int error = find_artist(session, apply, keys, ret_id);
    if (error == 0) {
        error = *ret_id != 0 ? catalog_artist_again(session, &apply->call, *ret_id)
                             : make_artist(session, apply, &facts, keys, ret_id);
    }
    if (error == 0 && apply->artist_count < CACHE_MAX) {
        apply->artists[apply->artist_count].key = key;
        apply->artists[apply->artist_count++].id = *ret_id;
    }
    return error;
}

/* --- albums --- */

/* The keys by which the group's album is found: MusicBrainz's id, its folder, its artist. */
struct album_keys {
    const char *mbid, *folder, *name;
};

static int make_keys(struct apply *apply, const struct import_group *group, struct album_keys *keys)
{
    struct arena *arena = apply->folder->arena;
    int64_t disc = 0;
    const char *folder = path_album_folder(arena, apply->folder->path, &disc);
    const char *split = group->shares_title ? group->split : "";
    keys->mbid = group->mbid[0] != '\0' ? arena_printf(arena, "m:%s", group->mbid) : NULL;
    keys->folder = folder != NULL
                       ? arena_printf(arena, "f:%" PRId64 "/%s\n%s\n%s", apply->run->library.id,
                                      folder, group->title_key, split)
                       : NULL;
    keys->name = arena_printf(arena, "n:%s\n%s", group->artist_key, group->title_key);
    keys->mbid = import_shelf_key(apply->folder, keys->mbid);
    keys->folder = import_shelf_key(apply->folder, keys->folder);
    keys->name = import_shelf_key(apply->folder, keys->name);
    return keys->folder != NULL && keys->name != NULL ? 0 : ERR_NO_MEMORY;
}

/* Two editions of an album in two folders have the same tracks; they stay two. */
static int collides(struct db_session *session, struct apply *apply, int group, int64_t album_id,
                    bool *ret_collides)
{
    int error = 0;
    unsigned asked = 0;
    *ret_collides = false;
    for (unsigned i = 0; i < apply->folder->count && asked < COLLISIONS_ASKED; i++) {
        const struct import_file *file = &apply->folder->files[i];
        int64_t number = json_integer_value(json_object_get(file->tags, "trackNumber"));
        int64_t disc = json_integer_value(json_object_get(file->tags, "discNumber"));
        int64_t place[2] = {disc > 0               ? disc
                            : file->names.disc > 0 ? file->names.disc
                                                   : 1,
                            number > 0 ? number : file->names.number};
        if (file->group != group || place[1] == 0 || *ret_collides) {
            continue;
        }
        asked++;
        error = file_collides(session, album_id, apply->folder_id, place, ret_collides);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int album_by(struct db_session *session, struct apply *apply, int group, const char *key,
                    bool own_folder, int64_t *ret_id)
{
    int64_t id = 0;
    bool elsewhere = false;
    int error = key != NULL ? name_find(session, owner(apply), "album", key, &id) : ERR_NOT_FOUND;
    if (error == 0 && !is_there(session, apply, CATALOG_ALBUM, id, &error)) {
        id = 0;
    }
    if (error == 0 && id != 0 && !own_folder) {
        error = collides(session, apply, group, id, &elsewhere);
    }
    *ret_id = error == 0 && !elsewhere ? id : 0;
    return error == ERR_NOT_FOUND ? 0 : error;
}

static bool is_claimed(const struct apply *apply, int64_t album_id)
{
    for (unsigned i = 0; i < apply->folder->group_count; i++) {
        if (apply->folder->groups[i].album_id == album_id) {
            return true;
        }
    }
    return false;
}

/* An album of another library comes along only if all of its files do. 0 if not. */
static int stays_whole(struct db_session *session, struct apply *apply, int64_t *album_id)
{
    int64_t artist_id = 0, shelf_id = 0;
    bool elsewhere = false;
    int error = catalog_album_artist(session, &apply->call, *album_id, &artist_id, &shelf_id);
    if (error == 0 && shelf_id != apply->folder->shelf_id) {
        error = file_elsewhere(session, *album_id, apply->folder_id, &elsewhere);
    }
    *album_id = error == 0 && !elsewhere ? *album_id : 0;
    return error == ERR_NOT_FOUND ? 0 : error;
}

/* The album that the group's files were in before their tags were written anew. */
static int former_album(struct db_session *session, struct apply *apply, int group, int64_t *ret_id)
{
    *ret_id = 0;
    for (unsigned i = 0; i < apply->folder->count; i++) {
        const struct import_file *file = &apply->folder->files[i];
        bool followed = file->action == IMPORT_FOLLOW || file->action == IMPORT_MOVE;
        if (file->group != group || !followed) {
            continue;
        }
        json_t *object = NULL;
        int64_t revision = 0;
        int error = catalog_track_answer(session, &apply->call, file->row.track_id, &object,
                                         &revision, ret_id);
        json_decref(object);
        if (error == ERR_NOT_FOUND) {
            continue;
        }
        *ret_id = error == 0 && !is_claimed(apply, *ret_id) ? *ret_id : 0;
        return error != 0 || *ret_id == 0 ? error : stays_whole(session, apply, ret_id);
    }
    return 0;
}

static json_t *group_genres(const struct import_folder *folder, int group)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < folder->count; i++) {
        if (folder->files[i].group == group) {
            (void)json_array_extend(all, json_object_get(folder->files[i].tags, "genres"));
        }
    }
    return all;
}

/* Of the discs that the folder has files of; null: without a title. */
static json_t *group_discs(const struct import_folder *folder, int group)
{
    json_t *titles = json_object();
    for (unsigned i = 0; i < folder->count; i++) {
        const struct import_file *file = &folder->files[i];
        const char *tag = import_tag(file, "discSubtitle");
        const char *title = tag[0] != '\0' ? tag : file->names.disc_title;
        json_int_t disc = json_integer_value(json_object_get(file->tags, "discNumber"));
        char number[24];
        disc = disc > 0 ? disc : file->names.disc;
        (void)snprintf(number, sizeof number, "%lld", (long long)(disc > 0 ? disc : 1));
        if (file->group == group && title[0] != '\0') {
            (void)json_object_set_new(titles, number, json_string(title));
        } else if (file->group == group && json_object_get(titles, number) == NULL) {
            (void)json_object_set_new(titles, number, json_null());
        }
    }
    return titles;
}

/* The first that any of the group's files has. */
static const char *group_tag(const struct import_folder *folder, int group, const char *name)
{
    const char *value = "";
    for (unsigned i = 0; value[0] == '\0' && i < folder->count; i++) {
        value = folder->files[i].group == group ? import_tag(&folder->files[i], name) : "";
    }
    return value;
}

static int write_album(struct db_session *session, struct apply *apply, int index)
{
    const struct import_folder *folder = apply->folder;
    struct import_group *group = &apply->folder->groups[index];
    CLEANUP_JSON json_t *genres = group_genres(folder, index);
    CLEANUP_JSON json_t *discs = group_discs(folder, index);
    const char *date = group_tag(folder, index, "date");
    const struct catalog_album_facts facts = {
        .artist_id = group->artist_id,
        .title = group->title,
        .sort_title = group_tag(folder, index, "albumSort"),
        .type = group->compilation ? "compilation" : "album",
        .date = date[0] != '\0' ? date : folder->files[group->first].names.year,
        .original_date = group_tag(folder, index, "originalDate"),
        .mbid = group->mbid,
        .group_mbid = group_tag(folder, index, "musicbrainzReleaseGroupId"),
        .genres = genres,
        .disc_titles = discs,
    };
    group->fresh = group->album_id == 0;
    if (!group->fresh) {
        return catalog_album_follow(session, &apply->call, group->album_id, &facts);
    }
    group->album_id = id_next();
    return catalog_album_add(session, &apply->call, group->album_id, &facts);
}

static int find_album(struct db_session *session, struct apply *apply, int index,
                      const struct album_keys *keys, bool last_pass)
{
    struct import_group *group = &apply->folder->groups[index];
    int error = album_by(session, apply, index, keys->folder, true, &group->album_id);
    if (error == 0 && group->album_id == 0) {
        error = album_by(session, apply, index, keys->mbid, false, &group->album_id);
    }
    if (error == 0 && group->album_id == 0 && last_pass) {
        int64_t id = 0;
        error = former_album(session, apply, index, &id);
        group->album_id = id;
    }
    if (error == 0 && group->album_id == 0 && last_pass) {
        error = album_by(session, apply, index, keys->name, false, &group->album_id);
    }
    return error;
}

static int keep_keys(struct db_session *session, struct apply *apply,
                     const struct import_group *group, const struct album_keys *keys)
{
    const char *const list[] = {keys->mbid, keys->folder, keys->name};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(list); i++) {
        error = list[i] != NULL ? name_put(session, owner(apply), "album", list[i], group->album_id)
                                : 0;
    }
    return error;
}

/* Those that are found by what they are first, so that no other takes their albums. */
static int apply_albums(struct db_session *session, struct apply *apply)
{
    struct import_folder *folder = apply->folder;
    struct album_keys *keys = arena_array(folder->arena, folder->group_count + 1, sizeof *keys);
    int error = keys != NULL ? 0 : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < folder->group_count; i++) {
        folder->groups[i].album_id = 0;
        error = make_keys(apply, &folder->groups[i], &keys[i]);
    }
    for (unsigned i = 0; error == 0 && i < folder->group_count; i++) {
        error = find_album(session, apply, (int)i, &keys[i], false);
    }
    for (unsigned i = 0; error == 0 && i < folder->group_count; i++) {
        struct import_group *group = &folder->groups[i];
        if (group->album_id == 0) {
            error = find_album(session, apply, (int)i, &keys[i], true);
        }
        error = error != 0 ? error
                           : artist_of(session, apply, group->artist, group->artist_sort,
                                       group->artist_mbid, &group->artist_id);
        error = error != 0 ? error : write_album(session, apply, (int)i);
        error = error != 0 ? error : keep_keys(session, apply, group, &keys[i]);
    }
    return error;
}

/* --- tracks --- */

static void set_text(json_t *details, const char *name, const char *text)
{
    if (text[0] != '\0') {
        (void)json_object_set_new(details, name, json_string(text));
    }
}

static json_t *gains_of(const struct import_file *file)
{
    static const char *const names[] = {"trackGain", "trackPeak", "albumGain", "albumPeak"};
    json_t *gains = json_object();
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        json_t *value = json_object_get(file->tags, names[i]);
        if (value != NULL) {
            (void)json_object_set(gains, names[i], value);
        }
    }
    return gains;
}

/* What answers show of it as it is. */
static json_t *details_of(const struct import_file *file, json_t *artists, const char *credit)
{
    json_t *details = json_object();
    json_t *gains = gains_of(file), *genres = json_object_get(file->tags, "genres");
    (void)json_object_set_new(details, "artists", artists);
    set_text(details, "credit", credit);
    set_text(details, "sortTitle", import_tag(file, "titleSort"));
    set_text(details, "composer", import_tag(file, "composer"));
    set_text(details, "musicbrainzTrackId", import_tag(file, "musicbrainzTrackId"));
    if (json_array_size(genres) > 0) {
        (void)json_object_set(details, "genres", genres);
    }
    if (json_object_size(gains) > 0) {
        (void)json_object_set(details, "replayGain", gains);
    }
    json_decref(gains);
    return details;
}

/* All that the track is credited to: its tags' artists, else the one its path names, else the
 * album's. */
static int credits_of(struct db_session *session, struct apply *apply,
                      const struct import_file *file, int64_t ids[ARTISTS_MAX], unsigned *ret_count,
                      json_t *artists)
{
    const struct import_group *group = &apply->folder->groups[file->group];
    const json_t *names = json_object_get(file->tags, "artists");
    const json_t *mbids = json_object_get(file->tags, "musicbrainzArtistIds");
    bool paired = json_array_size(names) == json_array_size(mbids);
    const char *one = file->names.artist[0] != '\0' ? file->names.artist : group->artist;
    unsigned count = (unsigned)json_array_size(names);
    count = count == 0 ? 1 : count > ARTISTS_MAX ? ARTISTS_MAX : count;
    for (unsigned i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const char *mbid = paired ? json_string_value(json_array_get(mbids, i)) : NULL;
        const char *sort = count == 1 ? import_tag(file, "artistSort") : "";
        name = name != NULL ? name : one;
        int error = artist_of(session, apply, name, sort, mbid != NULL ? mbid : "", &ids[i]);
        if (error != 0) {
            return error;
        }
        (void)json_array_append_new(artists,
                                    json_pack("{s:o, s:s}", "id", json_id(ids[i]), "name", name));
    }
    *ret_count = count;
    return 0;
}

static const char *lyrics_of(const struct import_file *file)
{
    const char *synced = import_tag(file, "syncedLyrics");
    return file->lyrics != NULL ? file->lyrics
           : synced[0] != '\0'  ? synced
                                : import_tag(file, "lyrics");
}

static struct catalog_sound sound_of(const struct apply *apply, const struct import_file *file)
{
    const json_t *sound = file->sound;
    const struct ingest_config *config = &apply->run->ingest->config;
    const char *codec = json_string_value(json_object_get(sound, "codec"));
    return (struct catalog_sound){
        .key = file->key,
        .filename = file->text,
        .codec = codec != NULL ? codec : "",
        .mime = path_sound_type(file->name),
        .bytes = file->bytes,
        .rate = json_integer_value(json_object_get(sound, "rate")),
        .channels = json_integer_value(json_object_get(sound, "channels")),
        .duration_ms = json_integer_value(json_object_get(sound, "durationMs")),
        .lossless = json_is_true(json_object_get(sound, "lossless")),
        .cut = file->part != NULL,
        .outside = !config->import_copy,
        .at_once = config->import_ahead,
    };
}

static struct file_row row_of(const struct apply *apply, const struct import_file *file,
                              const char *state)
{
    struct file_row row = file->row;
    row.library_id = apply->run->library.id;
    row.folder_id = apply->folder_id;
    row.name = file->text;
    row.bytes = file->bytes;
    row.mtime_ns = file->mtime_ns;
    row.hash = file->hash != NULL ? file->hash : "";
    row.state = state;
    row.code = file->code != NULL ? file->code : "";
    row.reason = file->reason != NULL ? file->reason : "";
    return row;
}

static int keep_row(struct db_session *session, struct apply *apply, struct file_row *row)
{
    if (row->id != 0) {
        return file_update(session, row, apply->now_ms);
    }
    row->id = id_next();
    return file_insert(session, row, apply->now_ms);
}

/* What is deleted by hand stays deleted; its file is known and passed over. */
static int drop(struct db_session *session, struct apply *apply, const struct import_file *file)
{
    struct file_row row = row_of(apply, file, "dropped");
    return keep_row(session, apply, &row);
}

static int add_track(struct db_session *session, struct apply *apply,
                     const struct import_file *file, const struct catalog_track_facts *facts)
{
    const struct catalog_sound sound = sound_of(apply, file);
    struct file_row row = row_of(apply, file, "present");
    row.id = file->row_id;
    row.track_id = file->track_id;
    row.version = 1;
    apply->counts.added++;
    int error = catalog_track_add(session, &apply->call, file->track_id, facts, &sound);
    return error != 0 ? error : keep_row(session, apply, &row);
}

/* A file that is another than it was, if in nothing but its place, gets another try at what could
 * not be made of it. */
static int try_again(struct db_session *session, struct apply *apply,
                     const struct import_file *file, struct file_row *row)
{
    const struct ingest_config *config = &apply->run->ingest->config;
    int error = catalog_track_file(session, &apply->call, row->track_id, (int)row->version,
                                   file->text, file->bytes);
    error = error == 0 && file->differs
                ? import_try_again(session, &apply->call, row, config->import_ahead)
                : error;
    return error == ERR_CONFLICT ? 0 : error;
}

static int follow_track(struct db_session *session, struct apply *apply,
                        const struct import_file *file, const struct catalog_track_facts *facts)
{
    struct file_row row = row_of(apply, file, "present");
    bool moved = file->action == IMPORT_MOVE;
    int error = catalog_track_follow(session, &apply->call, row.track_id, facts);
    if (error == ERR_NOT_FOUND) {
        return drop(session, apply, file);
    }
    if (error == 0 && file->action == IMPORT_SOUND) {
        const struct catalog_sound sound = sound_of(apply, file);
        row.version = file->version;
        error = catalog_track_sound(session, &apply->call, row.track_id, file->version, &sound);
    } else if (error == 0 && !apply->run->ingest->config.import_copy) {
        error = try_again(session, apply, file, &row);
    }
    error = error != 0 ? error : catalog_track_missing(session, row.track_id, false);
    apply->counts.moved += moved;
    apply->counts.changed += !moved && file->differs;
    return error != 0 ? error : keep_row(session, apply, &row);
}

static int apply_track(struct db_session *session, struct apply *apply,
                       const struct import_file *file)
{
    const struct import_group *group = &apply->folder->groups[file->group];
    int64_t ids[ARTISTS_MAX];
    unsigned count = 0;
    json_t *artists = json_array();
    int error = credits_of(session, apply, file, ids, &count, artists);
    const char *credit = import_tag(file, "artist");
    const char *first = json_string_value(json_object_get(json_array_get(artists, 0), "name"));
    CLEANUP_JSON json_t *details =
        details_of(file, artists, credit[0] != '\0' || first == NULL ? credit : first);
    if (error != 0) {
        return error;
    }
    const char *title = import_tag(file, "title");
    int64_t number = json_integer_value(json_object_get(file->tags, "trackNumber"));
    int64_t disc = json_integer_value(json_object_get(file->tags, "discNumber"));
    const struct catalog_track_facts facts = {
        .album_id = group->album_id,
        .artist_id = ids[0],
        .artist_ids = ids,
        .artist_count = count,
        .title = title[0] != '\0' ? title : file->names.title,
        .isrc = strlen(import_tag(file, "isrc")) == 12 ? import_tag(file, "isrc") : "",
        .lyrics = lyrics_of(file),
        .track_number = number > 0 ? number : file->names.number,
        .disc_number = disc > 0 ? disc : file->names.disc,
        .details = details,
    };
    return file->action == IMPORT_ADD ? add_track(session, apply, file, &facts)
                                      : follow_track(session, apply, file, &facts);
}

/* A file that can't be read any more leaves its track as it was. */
static int apply_broken(struct db_session *session, struct apply *apply,
                        const struct import_file *file)
{
    struct file_row row = row_of(apply, file, "broken");
    row.hash = file->row_id != 0 ? file->row.hash : "";
    apply->counts.broken += file->differs;
    return keep_row(session, apply, &row);
}

static int apply_file(struct db_session *session, struct apply *apply,
                      const struct import_file *file)
{
    switch (file->action) {
    case IMPORT_NOTHING:
        return drop(session, apply, file);
    case IMPORT_BROKEN:
        return apply_broken(session, apply, file);
    default:
        return apply_track(session, apply, file);
    }
}

/* Rows that moved are at their new place before albums are looked for, so that they don't collide
 * with themselves. */
static int move_rows(struct db_session *session, struct apply *apply)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < apply->folder->count; i++) {
        const struct import_file *file = &apply->folder->files[i];
        if (file->action == IMPORT_MOVE) {
            struct file_row row = row_of(apply, file, "present");
            error = file_update(session, &row, apply->now_ms);
        }
    }
    return error;
}

static int make_folder(struct db_session *session, struct apply *apply)
{
    if (apply->folder->id != 0) {
        apply->folder_id = apply->folder->id;
        return 0;
    }
    apply->folder_id = id_next();
    const struct folder_row row = {
        .id = apply->folder_id, .path = apply->folder->path, .shelf_id = apply->folder->shelf_id};
    return folder_insert(session, apply->run->library.id, &row);
}

/* Where files come from another library, be it that they moved or that their folder was given to
 * another. */
static int note_left(struct db_session *session, struct apply *apply)
{
    const struct import_folder *folder = apply->folder;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        const struct import_file *file = &folder->files[i];
        bool moved = file->action == IMPORT_MOVE;
        if (file->row.track_id != 0 && (moved || folder->reshelved)) {
            error = import_left_note(session, &apply->call, file->row.track_id, folder->shelf_id,
                                     &apply->left);
        }
    }
    return error;
}

static int apply_work(struct db_session *session, void *argument)
{
    struct apply *apply = argument;
    struct import_folder *folder = apply->folder;
    apply->artist_count = 0;
    apply->counts = (struct import_progress){0};
    apply->left.album_count = apply->left.artist_count = 0;
    problem_reset(&apply->call.problem);
    int error = make_folder(session, apply);
    error = error != 0 ? error : note_left(session, apply);
    error = error != 0 ? error : move_rows(session, apply);
    error = error != 0 ? error : apply_albums(session, apply);
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        error = apply_file(session, apply, &folder->files[i]);
    }
    for (unsigned i = 0; error == 0 && i < folder->group_count; i++) {
        error = catalog_album_settle(session, folder->groups[i].album_id);
    }
    return error != 0 ? error : import_left_forsake(session, &apply->call, &apply->left);
}

static int64_t moved_within(const struct apply *apply)
{
    int64_t count = 0;
    for (unsigned i = 0; i < apply->folder->count; i++) {
        const struct import_file *file = &apply->folder->files[i];
        count += file->action == IMPORT_MOVE && file->row.library_id == apply->run->library.id;
    }
    return count;
}

/* After the commit: what this process has cached. */
static void forget(struct apply *apply)
{
    struct catalog *catalog = apply->run->ingest->config.catalog;
    for (unsigned i = 0; i < apply->folder->count; i++) {
        if (apply->folder->files[i].row.track_id != 0) {
            catalog_track_forget(catalog, apply->folder->files[i].row.track_id);
        }
    }
    for (unsigned i = 0; i < apply->folder->group_count; i++) {
        catalog_album_forget(catalog, apply->folder->groups[i].album_id);
    }
}

int import_apply(struct import_run *run, struct import_folder *folder)
{
    struct apply apply = {
        .run = run,
        .folder = folder,
        .call = {.arena = folder->arena, .actor.roles = ROLE_SYSTEM},
        .now_ms = clock_wall_ms(),
    };
    int error = db_write(run->ingest->config.db, apply_work, &apply);
    if (error == 0) {
        folder->id = apply.folder_id;
        run->progress.added += apply.counts.added;
        run->progress.changed += apply.counts.changed;
        run->progress.moved += apply.counts.moved;
        run->moved_within += moved_within(&apply);
        run->progress.broken += apply.counts.broken;
        forget(&apply);
    }
    return error;
}
