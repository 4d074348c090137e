/* Rows as the JSON of answers (catalog_json.h). */
#include "service/catalog/catalog_json.h"

#include "base/json.h"
#include "service/catalog/index_key.h"

#include <math.h>

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

/* Two decimals: finer than any meter, and short. */
static json_t *real_or_null(bool there, double value)
{
    return there && isfinite(value) ? json_real(round(value * 100) / 100) : json_null();
}

json_t *artist_json(const struct artist_row *row)
{
    char letter[INDEX_LETTER_SIZE];
    return json_pack(
        "{s:o, s:o, s:b, s:o, s:s, s:o, s:o, s:o, s:s, s:o, s:b, s:I, s:I}", "id", json_id(row->id),
        "ownerId", json_id(row->owner_user_id), "imported", row->imported, "libraryId",
        json_id(row->shelf_id), "name", row->name, "sortName", text_or_null(row->sort_name),
        "indexLetter", text_or_null(index_letter(row->index_key, letter)), "musicbrainzId",
        text_or_null(row->mbid), "bio", row->bio, "imageArtId", json_id(row->image_art_id),
        "imagePending", row->pending_art_id != 0, "createdAt", (json_int_t)row->created_at,
        "updatedAt", (json_int_t)row->updated_at);
}

json_t *album_json(const struct album_row *row)
{
    json_t *genres = json_loads(row->genres, 0, NULL);
    if (genres == NULL) {
        return NULL;
    }
    json_t *album = json_pack(
        "{s:o, s:o, s:o, s:s, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:I, "
        "s:I, s:{s:o, s:o}, s:I, s:I}",
        "id", json_id(row->id), "libraryId", json_id(row->shelf_id), "artistId",
        json_id(row->artist_id), "artistName", row->artist_name, "title", row->title, "sortTitle",
        text_or_null(row->sort_title), "type", row->type, "status", row->status, "releaseDate",
        text_or_null(row->release_date), "originalDate", text_or_null(row->original_date),
        "musicbrainzAlbumId", text_or_null(row->mbid), "musicbrainzReleaseGroupId",
        text_or_null(row->group_mbid), "discTitles", json_loads(row->disc_titles, 0, NULL),
        "genres", genres, "coverArtId", json_id(row->cover_art_id), "coverPending",
        row->pending_art_id != 0, "trackCount", (json_int_t)row->track_count, "durationMs",
        (json_int_t)row->duration_ms, "loudness", "albumLufs",
        real_or_null(row->has_lufs, row->lufs), "truePeakDb",
        real_or_null(row->has_peak, row->peak_db), "createdAt", (json_int_t)row->created_at,
        "updatedAt", (json_int_t)row->updated_at);
    return album;
}

static json_t *track_source_json(const struct track_row *row)
{
    return json_pack("{s:s, s:I, s:o, s:I, s:I, s:b}", "filename", row->filename, "bytes",
                     (json_int_t)row->source_bytes, "codec", text_or_null(row->codec), "rate",
                     (json_int_t)row->rate, "channels", (json_int_t)row->channels, "lossless",
                     row->lossless);
}

static int track_add_failure(json_t *track, const struct track_row *row)
{
    if (row->failure_code[0] == '\0') {
        return 0;
    }
    return json_object_set_new(
        track, "failure",
        json_pack("{s:s, s:s}", "code", row->failure_code, "reason", row->failure_reason));
}

/* A detail, or what stands for none of it. */
static int set_detail(json_t *track, const json_t *details, const char *name, json_t *none)
{
    json_t *value = json_object_get(details, name);
    if (value == NULL) {
        return json_object_set_new(track, name, none);
    }
    json_decref(none);
    return json_object_set(track, name, value);
}

/* Files know the track's artist by the name it had when they were read. */
static void name_artist(json_t *artists, const struct track_row *row)
{
    size_t i;
    json_t *artist;
    json_array_foreach(artists, i, artist)
    {
        int64_t id = 0;
        if (json_is_id(json_object_get(artist, "id"), &id) && id == row->artist_id) {
            (void)json_object_set_new(artist, "name", json_string(row->artist_name));
        }
    }
}

/* What is known of a track beyond what artists write: credits, genres, gains (catalog.h). */
static int add_details(json_t *track, const struct track_row *row)
{
    CLEANUP_JSON json_t *details = json_loads(row->details, 0, NULL);
    name_artist(json_object_get(details, "artists"), row);
    json_t *self =
        json_pack("[{s:o, s:s}]", "id", json_id(row->artist_id), "name", row->artist_name);
    return set_detail(track, details, "artists", self) |
           set_detail(track, details, "credit", json_string(row->artist_name)) |
           set_detail(track, details, "genres", json_array()) |
           set_detail(track, details, "sortTitle", json_null()) |
           set_detail(track, details, "composer", json_null()) |
           set_detail(track, details, "musicbrainzTrackId", json_null()) |
           set_detail(track, details, "replayGain", json_null()) |
           json_object_set_new(track, "libraryId", json_id(row->shelf_id)) |
           json_object_set_new(track, "missing", json_boolean(row->missing));
}

json_t *track_json(const struct track_row *row)
{
    json_t *renditions = row->summary[0] != '\0' ? json_loads(row->summary, 0, NULL) : json_array();
    json_t *track = json_pack(
        "{s:o, s:s, s:o, s:s, s:o, s:s, s:o, s:I, s:I, s:b, s:o, s:b, s:s, s:I, s:o, s:{s:I, s:I}, "
        "s:I, s:{s:o, s:o, s:o}, s:o, s:o, s:I, s:I}",
        "id", json_id(row->id), "title", row->title, "albumId", json_id(row->album_id),
        "albumTitle", row->album_title, "artistId", json_id(row->artist_id), "artistName",
        row->artist_name, "coverArtId", json_id(row->cover_art_id), "trackNumber",
        (json_int_t)row->track_number, "discNumber", (json_int_t)row->disc_number, "explicit",
        row->explicit, "isrc", text_or_null(row->isrc), "hasLyrics", row->has_lyrics, "status",
        row->status, "version", (json_int_t)row->version, "pendingVersion",
        row->pending_version != 0 ? json_integer(row->pending_version) : json_null(), "progress",
        "done", (json_int_t)row->done, "of", (json_int_t)row->expected, "durationMs",
        (json_int_t)row->duration_ms, "loudness", "trackLufs",
        real_or_null(row->has_track_lufs, row->track_lufs), "albumLufs",
        real_or_null(row->has_album_lufs, row->album_lufs), "truePeakDb",
        real_or_null(row->has_true_peak, row->true_peak_db), "source", track_source_json(row),
        "renditions", renditions, "createdAt", (json_int_t)row->created_at, "updatedAt",
        (json_int_t)row->updated_at);
    if (track != NULL && (track_add_failure(track, row) | add_details(track, row)) != 0) {
        json_decref(track);
        return NULL;
    }
    return track;
}

json_t *genre_json(const struct genre_row *row)
{
    return json_pack("{s:s, s:s, s:I}", "id", row->name_key, "name", row->name, "albumCount",
                     (json_int_t)row->albums);
}
