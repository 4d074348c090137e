/* The rows of the catalog and the statements on them (…_store.c): one function a statement. All
 * take a session; all memory comes from the arena given. "get" and "find" skip tombstones and say
 * ERR_NOT_FOUND for what is not there. Lists hold at most `limit` rows, in the order they name,
 * after the place given.
 */
#pragma once

#include "base/arena.h"
#include "service/catalog/catalog.h"

#include <stdbool.h>
#include <stdint.h>

struct db_session;

struct artist_row {
    int64_t id, owner_user_id;
    const char *name, *name_key, *bio;
    int64_t image_art_id, pending_art_id;
    int64_t revision, created_at, updated_at;
};

struct artist_list {
    struct artist_row *rows;
    unsigned count;
};

/* Where a keyset list goes on: rows behind (key, id), or below id for lists newest first. */
struct list_place {
    const char *key;
    int64_t id;
    int64_t disc, number; /* lists of an album's tracks */
    unsigned limit;
};

int artist_insert(struct db_session *session, const struct artist_row *row);
int artist_get(struct db_session *session, struct arena *arena, int64_t id,
               struct artist_row *ret_row);
int artist_update(struct db_session *session, const struct artist_row *row);
int artist_bury(struct db_session *session, int64_t id, int64_t now_ms);
int artist_list_by_name(struct db_session *session, struct arena *arena,
                        const struct list_place *place, struct artist_list *ret_list);
int artist_list_newest(struct db_session *session, struct arena *arena,
                       const struct list_place *place, struct artist_list *ret_list);
int artist_list_owned(struct db_session *session, struct arena *arena, int64_t owner_user_id,
                      const struct list_place *place, struct artist_list *ret_list);

struct album_row {
    int64_t id, artist_id, owner_user_id;
    const char *artist_name;
    const char *title, *title_key, *type, *status, *release_date;
    const char *genres; /* a JSON array of names */
    int64_t cover_art_id, pending_art_id;
    int64_t track_count, duration_ms, working;
    bool stale; /* shows something new under its ETag */
    bool has_lufs, has_peak;
    double lufs, peak_db;
    int64_t revision, created_at, updated_at;
};

struct album_list {
    struct album_row *rows;
    unsigned count;
};

/* What a list of albums is narrowed to. Zero and NULL: not by this. */
struct album_filter {
    int64_t artist_id;
    const char *genre_key;
    const char *type;
    bool drafts; /* only with artist_id: the owner sees them */
    bool by_title;
};

int album_insert(struct db_session *session, const struct album_row *row);
int album_get(struct db_session *session, struct arena *arena, int64_t id,
              struct album_row *ret_row);
int album_update(struct db_session *session, const struct album_row *row);
int album_bury(struct db_session *session, int64_t id, int64_t now_ms);
/* Counts its tracks anew: count, length, work under way, loudness (from histograms). */
int album_refresh(struct db_session *session, int64_t id);
/* One more revision: a client changed its tracks. */
int album_touch(struct db_session *session, int64_t id, int64_t now_ms);
int album_list(struct db_session *session, struct arena *arena, const struct album_filter *filter,
               const struct list_place *place, struct album_list *ret_list);
/* The artist's name is in their answers. */
int album_stale_of_artist(struct db_session *session, int64_t artist_id);
/* Ids of all living albums of an artist. */
int album_ids_of_artist(struct db_session *session, struct arena *arena, int64_t artist_id,
                        int64_t **ret_ids, unsigned *ret_count);

/* Genres follow their album: call before (with the old row) and after (with the new). */
int genre_unlink_album(struct db_session *session, int64_t album_id);
int genre_link(struct db_session *session, const char *name_key, const char *name,
               const struct album_row *album);
struct genre_row {
    const char *name_key, *name;
    int64_t albums;
};
int genre_list(struct db_session *session, struct arena *arena, const struct list_place *place,
               struct genre_row **ret_rows, unsigned *ret_count);

struct track_row {
    int64_t id, album_id, artist_id, owner_user_id;
    const char *album_title, *artist_name;
    int64_t cover_art_id;
    const char *title, *title_key;
    int64_t track_number, disc_number;
    bool explicit, has_lyrics, published;
    const char *isrc;
    const char *status; /* track_status_name */
    const char *failure_code, *failure_reason;
    int64_t version, pending_version, version_last;
    bool working;
    int64_t duration_ms;
    int64_t revision, created_at, updated_at;
    bool has_album_lufs;
    double album_lufs;
    /* of the version that plays (or is on its way): */
    const char *filename, *codec, *summary;
    int64_t source_bytes, rate, channels;
    bool lossless, has_track_lufs, has_true_peak;
    double track_lufs, true_peak_db;
    bool settled; /* nothing under way, and nothing stale: its ETag tells all that it shows */
    /* of the version that workers are at: */
    int64_t done, expected;
};

struct track_list {
    struct track_row *rows;
    unsigned count;
};

int track_insert(struct db_session *session, const struct track_row *row);
int track_get(struct db_session *session, struct arena *arena, int64_t id,
              struct track_row *ret_row);
/* What clients write; adds one to the revision. */
int track_update(struct db_session *session, const struct track_row *row);
/* What workers write: status, failure, versions, working, duration. The revision stays. */
int track_update_state(struct db_session *session, const struct track_row *row);
int track_bury(struct db_session *session, int64_t id, int64_t now_ms);
int track_publish_of_album(struct db_session *session, int64_t album_id, bool published);
int track_move_of_album(struct db_session *session, int64_t album_id, int64_t artist_id);
/* What the album's tracks show of it is about to change: while nothing is under way in the album,
 * copies of their answers may be kept, and their ETags won't tell. except_id 0: all of them. */
int track_stale_of_album(struct db_session *session, int64_t album_id, int64_t except_id);
int track_stale_of_artist(struct db_session *session, int64_t artist_id);
int track_list_of_album(struct db_session *session, struct arena *arena, int64_t album_id,
                        const struct list_place *place, struct track_list *ret_list);
int track_list_newest(struct db_session *session, struct arena *arena,
                      const struct list_place *place, struct track_list *ret_list);
int track_list_by_title(struct db_session *session, struct arena *arena,
                        const struct list_place *place, struct track_list *ret_list);
int track_list_of_artist(struct db_session *session, struct arena *arena, int64_t artist_id,
                         bool drafts, const struct list_place *place, struct track_list *ret_list);
int track_ids_of_album(struct db_session *session, struct arena *arena, int64_t album_id,
                       int64_t **ret_ids, unsigned *ret_count);
/* The number behind the last one of the album's disc. */
int track_number_next(struct db_session *session, int64_t album_id, int64_t disc_number,
                      int64_t *ret_number);

int lyrics_get(struct db_session *session, struct arena *arena, int64_t track_id,
               const char **ret_text, int64_t *ret_updated_at);
int lyrics_put(struct db_session *session, int64_t track_id, const char *text, int64_t now_ms);
int lyrics_delete(struct db_session *session, int64_t track_id);

struct version_row {
    int64_t track_id, version, owner_user_id;
    const char *source_key, *filename, *codec;
    int64_t source_bytes, rate, channels, samples, duration_ms;
    bool lossless, has_track_lufs, has_true_peak, playable, complete;
    double track_lufs, true_peak_db;
    const void *histogram;
    size_t histogram_bytes;
    int64_t expected, done;
    const char *summary;
    int64_t created_at;
};

int version_insert(struct db_session *session, const struct version_row *row);
int version_get(struct db_session *session, struct arena *arena, int64_t track_id, int64_t version,
                struct version_row *ret_row);
int version_set_probe(struct db_session *session, const struct version_row *row);
int version_set_progress(struct db_session *session, int64_t track_id, int64_t version,
                         int64_t done, const char *summary, bool playable);
int version_set_complete(struct db_session *session, int64_t track_id, int64_t version);
/* Its file no longer counts against the quota; the row stays, so that its number is not used again.
 */
int version_remove(struct db_session *session, int64_t track_id, int64_t version, int64_t now_ms);
int version_remove_all(struct db_session *session, int64_t track_id, int64_t now_ms);
/* Also true of what was removed later than removed_since_ms: its cleanup may still wait. */
int version_exists(struct db_session *session, int64_t track_id, int64_t version,
                   int64_t removed_since_ms, bool *ret_exists);
int version_bytes_of_owner(struct db_session *session, int64_t user_id, int64_t *ret_bytes);

int rendition_insert(struct db_session *session, int64_t track_id, int64_t version,
                     const struct rendition *rendition);
int rendition_list(struct db_session *session, struct arena *arena, int64_t track_id,
                   int64_t version, struct rendition **ret_rows, unsigned *ret_count);
/* The rows of a version whose objects are to go. */
int rendition_delete_all(struct db_session *session, int64_t track_id, int64_t version);

int rendition_delete_of_track(struct db_session *session, int64_t track_id);

struct art_row {
    int64_t id;
    const char *owner_kind; /* "album" or "artist" */
    int64_t owner_id;
    const char *status; /* "uploaded", "ready", "failed" */
    const char *mime, *object_key, *reason;
    int64_t bytes, width, height;
    int64_t created_at;
};

int art_insert(struct db_session *session, const struct art_row *row);
int art_get(struct db_session *session, struct arena *arena, int64_t id, struct art_row *ret_row);
int art_set_state(struct db_session *session, int64_t id, const char *status, int64_t width,
                  int64_t height, const char *reason);
int art_exists(struct db_session *session, int64_t id, int64_t removed_since_ms, bool *ret_exists);
int art_bury(struct db_session *session, int64_t id, int64_t now_ms);

struct cleanup_row {
    const char *bucket, *prefix;
    int64_t due_at;
};
int cleanup_insert(struct db_session *session, const char *bucket, const char *prefix,
                   int64_t due_at);
int cleanup_due(struct db_session *session, struct arena *arena, int64_t now_ms, unsigned limit,
                struct cleanup_row **ret_rows, unsigned *ret_count);
int cleanup_delete(struct db_session *session, const char *bucket, const char *prefix);
/* Ids of tracks deleted later than since_ms. */
int tracks_deleted_since(struct db_session *session, struct arena *arena, int64_t since_ms,
                         int64_t **ret_ids, unsigned *ret_count);
