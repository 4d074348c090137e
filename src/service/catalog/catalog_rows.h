/* The rows of the catalog and the statements on them (…_store.c): one function a statement. All
 * take a session; all memory comes from the arena given. "get" and "find" skip tombstones and say
 * ERR_NOT_FOUND for what is not there. Lists hold at most `limit` rows, in the order they name,
 * after the place given.
 */
#pragma once

#include "base/arena.h"
#include "service/catalog/catalog.h"
#include "service/page.h"

#include <stdbool.h>
#include <stdint.h>

struct db_session;

struct artist_row {
    int64_t id, owner_user_id;
    const char *name, *name_key, *bio, *sort_name, *mbid;
    const char *index_key; /* "" where it is not in the index */
    bool imported;
    int64_t image_art_id, pending_art_id;
    int64_t shelf_id; /* schema/007-shelves.sql; 0: none */
    bool shelved;     /* and only some see that */
    int64_t revision, created_at, updated_at;
};

struct artist_list {
    struct artist_row *rows;
    unsigned count;
};

int artist_insert(struct db_session *session, const struct artist_row *row);
int artist_get(struct db_session *session, struct arena *arena, int64_t id,
               struct artist_row *ret_row);
/* Those of ids[IDS_AT_ONCE] (0: none) that are there, in no order. */
enum { IDS_AT_ONCE = 16 };
int artist_list_of_ids(struct db_session *session, struct arena *arena, const int64_t *ids,
                       struct artist_list *ret_list);
int artist_update(struct db_session *session, const struct artist_row *row);
int artist_bury(struct db_session *session, int64_t id, int64_t now_ms);
/* In the order of the index. shelf_id, here and below: as in album_filter. */
int artist_list_by_index(struct db_session *session, struct arena *arena, int64_t shelf_id,
                         const struct list_place *place, struct artist_list *ret_list);
/* The letters of the index that have artists, in its order. */
enum { LETTERS_MAX = 4096 }; /* of all scripts there are fewer */
struct letter_row {
    const char *letter;
    int64_t artists;
};
int artist_letters(struct db_session *session, struct arena *arena, int64_t shelf_id,
                   struct letter_row **ret_rows, unsigned *ret_count);
int artist_list_unindexed(struct db_session *session, struct arena *arena, unsigned limit,
                          struct artist_list *ret_list);
/* Into the index again, which moves the revision. */
int artist_index_set(struct db_session *session, const struct artist_row *row);
/* Where the row has none yet. */
int artist_index_fill(struct db_session *session, const struct artist_row *row);
int artist_list_newest(struct db_session *session, struct arena *arena, int64_t shelf_id,
                       const struct list_place *place, struct artist_list *ret_list);
/* all: also what only some see. */
int artist_list_owned(struct db_session *session, struct arena *arena, int64_t owner_user_id,
                      bool all, const struct list_place *place, struct artist_list *ret_list);

struct album_row {
    int64_t id, artist_id, owner_user_id;
    const char *artist_name;
    const char *title, *title_key, *type, *status, *release_date;
    const char *genres; /* a JSON array of names */
    const char *sort_title, *original_date, *mbid, *group_mbid;
    const char *disc_titles; /* a JSON object */
    int64_t cover_art_id, pending_art_id;
    int64_t track_count, duration_ms, working;
    bool stale; /* shows something new under its ETag */
    bool has_lufs, has_peak;
    double lufs, peak_db;
    int64_t shelf_id; /* its artist's, as shelved; status is published all the same */
    bool shelved;
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
    bool guest;  /* only with artist_id: others' albums that a track of the artist is on */
    enum album_sort { ALBUM_NEWEST, ALBUM_BY_TITLE, ALBUM_BY_YEAR, ALBUM_RANDOM } sort;
    /* By year: the latest first; dates from since to before until ("1990", "2000"). */
    bool descending;
    const char *since, *until;
    int64_t shelf_id; /* those that stand there, seen by some; 0: those that everybody sees. Not
                         with artist_id, whose shelf was asked for */
};

/* Where the ring of all albums in random order has an album (album_order_store.c). */
enum { ALBUM_RING_BITS = 31 };
int64_t album_ring_place(int64_t id);

int album_insert(struct db_session *session, const struct album_row *row);
int album_get(struct db_session *session, struct arena *arena, int64_t id,
              struct album_row *ret_row);
int album_list_of_ids(struct db_session *session, struct arena *arena, const int64_t *ids,
                      struct album_list *ret_list);
/* A stale one stays so unless this moves its revision. */
int album_update(struct db_session *session, const struct album_row *row);
int album_bury(struct db_session *session, int64_t id, int64_t now_ms);
/* Counts its tracks anew: count, length, work under way, loudness (from histograms); its settled
 * tracks, whose answers repeat the loudness, are stale where that is, or will be, another. One that
 * was emptied and has tracks again is published. */
int album_refresh(struct db_session *session, int64_t id);
/* One more revision: a client changed its tracks. */
int album_touch(struct db_session *session, int64_t id, int64_t now_ms);
int album_list(struct db_session *session, struct arena *arena, const struct album_filter *filter,
               const struct list_place *place, struct album_list *ret_list);
/* Orders of all that was published: by the date of the music (originally, else of the release; what
 * has none is not in it), place->key and id; and around the ring, from place->number and id in the
 * round place->disc (0 to the ring's end, 1 from its beginning to place->key, where it started). */
int album_list_by_year(struct db_session *session, struct arena *arena,
                       const struct album_filter *filter, const struct list_place *place,
                       struct album_list *ret_list);
int album_list_by_ring(struct db_session *session, struct arena *arena,
                       const struct album_filter *filter, const struct list_place *place,
                       struct album_list *ret_list);
/* What an album is ordered by in a list by year. */
const char *album_date(const struct album_row *row);
/* It is about to show something new, and no client's write moves its ETag. */
int album_stale(struct db_session *session, int64_t id);
/* The artist's name is in their answers. */
int album_stale_of_artist(struct db_session *session, int64_t artist_id);
/* Ids of all living albums of an artist. */
int album_ids_of_artist(struct db_session *session, struct arena *arena, int64_t artist_id,
                        int64_t **ret_ids, unsigned *ret_count);

/* Genres follow their album: call before (with the old row) and after (with the new). */
int genre_unlink_album(struct db_session *session, int64_t album_id);
int genre_link(struct db_session *session, const char *name_key, const char *name,
               const struct album_row *album);
/* The album's row has another status. */
int genre_follow_status(struct db_session *session, int64_t album_id);
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
    int64_t shelf_id; /* its album's */
    bool shelved;
    const char *isrc;
    const char *details; /* a JSON object */
    bool missing;
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
int track_list_of_ids(struct db_session *session, struct arena *arena, const int64_t *ids,
                      struct track_list *ret_list);
/* What clients write; adds one to the revision. */
int track_update(struct db_session *session, const struct track_row *row);
/* What workers write: status, failure, versions, working, duration. The revision stays. */
int track_update_state(struct db_session *session, const struct track_row *row);
/* One more revision: what is known of its file is another. */
int track_touch(struct db_session *session, int64_t id, int64_t now_ms);
int track_bury(struct db_session *session, int64_t id, int64_t now_ms);
int track_publish_of_album(struct db_session *session, int64_t album_id, bool published);
int track_move_of_album(struct db_session *session, int64_t album_id, int64_t artist_id);
/* What the album's tracks show of it is about to change: while nothing is under way in the album,
 * copies of their answers may be kept, and their ETags won't tell. */
int track_stale_of_album(struct db_session *session, int64_t album_id);
int track_stale_of_artist(struct db_session *session, int64_t artist_id);
int track_list_of_album(struct db_session *session, struct arena *arena, int64_t album_id,
                        const struct list_place *place, struct track_list *ret_list);
int track_list_newest(struct db_session *session, struct arena *arena, int64_t shelf_id,
                      const struct list_place *place, struct track_list *ret_list);
int track_list_by_title(struct db_session *session, struct arena *arena, int64_t shelf_id,
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
    bool outside; /* only read */
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
int version_set_complete(struct db_session *session, int64_t track_id, int64_t version,
                         int64_t now_ms);
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
