/* catalog: artists, albums, tracks, genres, art, lyrics, versions of files. The contract for other
 * roles. Tables live in the `catalog` database, together with ingest's and transcode's.
 *
 * Functions that take a struct db_session belong inside the caller's own db_write or db_read (so
 * that one transaction holds the whole change); all others block on the database unless they say
 * otherwise, and may be called from any thread. Memory returned comes from call->arena.
 *
 * Events it emits (key "track:ID", "album:ID", "artist:ID", "art:ID"; ids are strings):
 *   track.uploaded  {trackId, version, bucket, key, filename, bytes}   a version's original is in
 *                                                                      place
 *   track.ready     {trackId, version}    the version plays from now on
 *   track.changed   {trackId} · track.deleted {trackId}
 *   album.changed   {albumId} · album.deleted {albumId}
 *   artist.changed  {artistId} · artist.deleted {artistId}
 *   art.uploaded    {artId, bucket, key}                               an original is in place
 * Events it consumes (emitted by transcode, key "track:ID"/"art:ID"; idempotent by their content):
 *   media.started   {trackId, version}                                 a worker has begun
 *   media.probed    {trackId, version, durationMs, samples, rate, channels, codec, lossless,
 *                    trackLufs, truePeakDb, histogram (base64), expected, tags{}, hasArt}
 *   media.rendition {trackId, version, rendition{…struct rendition}}   the first AAC 160 makes it
 *                                                                      READY
 *   media.complete  {trackId, version}                                 the ladder is whole
 *   media.failed    {trackId, version, code, reason}
 *   media.art       {trackId, version, bucket, key, type}  the file had a picture in it: the cover
 *                                                      of its album, if that has none
 *   art.ready       {artId, width, height} · art.failed {artId, reason}
 */
#pragma once

#include "backend/bus/bus.h"
#include "base/call.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct db;
struct db_session;
struct bus;
struct cache;
struct blob_store;
struct identity;
struct route;
struct catalog;

/* Objects outlive the row that named them by the longest life of a token (7 h). */
enum { CATALOG_OBJECT_GRACE_MS = 7 * 3600 * 1000 };

/* What its consumers take, ending with a NULL consumer. */
extern const struct bus_interest catalog_interests[];

struct catalog_config {
    struct db *db;
    struct bus *bus;
    struct cache *cache;
    struct blob_store *blobs;
    struct identity *identity; /* for POST /me/artist */
};

/* Applies the role's migrations. */
int catalog_open(const struct catalog_config *config, struct catalog **ret_catalog,
                 struct problem *problem);
void catalog_close(struct catalog *catalog);
const struct route *catalog_routes(unsigned *ret_count); /* context: the catalog */
/* Subscribes its consumers; called by boot where the role runs. */
int catalog_subscribe(struct catalog *catalog);

enum track_status {
    TRACK_CREATED,
    TRACK_UPLOADED,
    TRACK_PROCESSING,
    TRACK_READY,
    TRACK_FAILED,
};
const char *track_status_name(enum track_status status);

/* One encoded form of a track's version: one object m/{track}/{version}/{file}. */
struct rendition {
    char format[16];  /* aac mp3 opus vorbis flac original */
    unsigned bitrate; /* nominal kbit/s; 0 for flac and original */
    char file[64];    /* "aac-160.mp4", "mp3-320.mp3", "opus-96.opus", "flac.mp4", "original.wav" */
    char mime[64];    /* "audio/mp4" */
    char codecs[32];  /* "mp4a.40.2", "" where no manifest names it */
    int64_t bytes;
    int64_t samples;   /* N, at timescale */
    int64_t timescale; /* R, Hz */
    unsigned channels;
    int64_t init_bytes;                        /* ftyp+moov; 0 where not fragmented */
    int64_t index_bytes;                       /* sidx follows init */
    int64_t first_fragment_end;                /* offset after fragment 0 */
    int64_t bandwidth_peak, bandwidth_average; /* bit/s, measured over fragments */
    const uint32_t *fragments; /* pairs: bytes, duration in timescale units (presentation) */
    unsigned fragment_count;
};

/* A rendition from its JSON form (camelCase members, as in media.rendition): fragments from the
 * arena. It comes from the media process and is not trusted: ERR_CORRUPT without file or format,
 * for names that would mean something else in a manifest or path, numbers out of their limits,
 * fragments that don't fill the file. ERR_NO_MEMORY. */
int catalog_rendition_read(struct arena *arena, const json_t *object, struct rendition *rendition);

/* A track as somebody may play it. All memory from the call's arena. */
struct playable {
    int64_t track_id, album_id, artist_id;
    int version;
    enum track_status status;
    const char *title, *album_title, *artist_name;
    int64_t duration_ms;
    bool complete; /* the ladder is whole */
    bool working;  /* renditions are under way */
    bool failed;   /* none are, since some could not be made */
    struct rendition *renditions;
    unsigned rendition_count;
};

/* Who may see it: the one function asked by every route, search and share. 0; ERR_NOT_FOUND for
 * what the actor may not know of (deleted, a draft of another). Tracks, albums and artists. */
enum catalog_kind { CATALOG_ARTIST, CATALOG_ALBUM, CATALOG_TRACK };
int catalog_may_see(struct catalog *catalog, struct call *call, enum catalog_kind kind, int64_t id);
/* What lists of other roles show: for each id the object as its route answers it, or null where the
 * caller may not see it (any more). *ret_objects is an array of count, the caller's to release. At
 * most CATALOG_DESCRIBE_MAX ids. */
enum { CATALOG_DESCRIBE_MAX = 501 };
int catalog_describe(struct catalog *catalog, struct call *call, enum catalog_kind kind,
                     const int64_t *ids, unsigned count, json_t **ret_objects);
/* A picture as JPEG in the smallest size that holds as many pixels as wanted: what pictures of
 * several are made of. Whose it is was asked before: its id stands in what the caller may see. The
 * bytes are the arena's. ERR_NOT_FOUND: there is none. */
int catalog_art_bytes(struct catalog *catalog, struct arena *arena, int64_t art_id, unsigned wanted,
                      const void **ret_bytes, size_t *ret_length);
/* Tracks that somebody else's words name, such as a playlist of another program: by our own id,
 * else MusicBrainz's id of the recording, else the ISRC, else artist and title, where lengths that
 * are both known are at most 3 s apart. Only what the actor may see; by words, only what is
 * published. */
struct catalog_wanted {
    int64_t id;                         /* 0: not said */
    const char *mbid, *isrc;            /* "" not said */
    const char *artist, *title, *album; /* clean text, "" not said */
    int64_t duration_ms;                /* 0: not said */
    int64_t track_id;                   /* the answer; 0: none */
    const char *by;                     /* "id", "recording", "isrc", "name"; "" none */
};
enum { CATALOG_MATCH_MAX = 500 };
int catalog_match(struct catalog *catalog, struct call *call, struct catalog_wanted *wanted,
                  unsigned count);
/* What rules ask of tracks (smart playlists): of published ones. Text in the arena. Who shows them
 * asks catalog_describe. */
struct catalog_fact {
    int64_t id, duration_ms, added_ms;
    int64_t year; /* 0: not known */
    const char *title, *artist, *album;
    const char *genres;  /* the album's: a JSON array of names */
    const char *details; /* struct catalog_track_facts */
};
struct catalog_facts {
    struct catalog_fact *rows;
    unsigned count, capacity;
};
/* The next portion, the newest first; genre_key (folded, NULL: all): of albums with that genre, the
 * newest album first. *before is INT64_MAX at first, and 0 after the last portion. */
int catalog_facts_before(struct catalog *catalog, struct arena *arena, const char *genre_key,
                         int64_t *before, struct catalog_facts *ret_facts);
/* Those of ids that there are, in no order. */
int catalog_facts_of(struct catalog *catalog, struct arena *arena, const int64_t *ids,
                     unsigned count, struct catalog_facts *ret_facts);
/* Who may change it: the owner (or ROLE_SYSTEM). 0, ERR_NOT_FOUND, ERR_FORBIDDEN. An admin
 * moderates: may delete, not edit. */
int catalog_may_edit(struct catalog *catalog, struct call *call, enum catalog_kind kind,
                     int64_t id);
/* The rule behind both, for a transaction that is running. */
enum catalog_want { CATALOG_SEE, CATALOG_EDIT, CATALOG_DELETE };
int catalog_permit(struct db_session *session, struct call *call, enum catalog_kind kind,
                   int64_t id, enum catalog_want want);

/* ---- music that is imported: what its files say of themselves, for ingest, inside its own writes.
 * The actor is ROLE_SYSTEM; owner_user_id is whose it is. Texts are clean, of any length (they are
 * cut to the catalog's limits); NULL and "" mean none. What is made here is published. ---- */
struct catalog_artist_facts {
    int64_t owner_user_id;
    int64_t shelf_id; /* the library that it and all of its music are in; 0: none */
    const char *name, *sort_name, *mbid;
};
int catalog_artist_add(struct db_session *session, struct call *call, int64_t id,
                       const struct catalog_artist_facts *facts);
/* Music is put under an artist that was there before: it is in the index, if it was taken out. */
int catalog_artist_again(struct db_session *session, struct call *call, int64_t id);
struct catalog_album_facts {
    int64_t artist_id;
    const char *title, *sort_title, *type; /* "album", "compilation" … */
    const char *date, *original_date;      /* YYYY, YYYY-MM or YYYY-MM-DD */
    const char *mbid, *group_mbid;
    const json_t *genres;      /* names */
    const json_t *disc_titles; /* {"2":"…"}; null: that disc has none; others stay as they are */
};
int catalog_album_add(struct db_session *session, struct call *call, int64_t id,
                      const struct catalog_album_facts *facts);
/* The folders whose music goes into libraries: absolute, as paths of imports are written; "" is the
 * root. Inside a read. */
struct catalog_shelf_folder {
    const char *path;
    int64_t shelf_id;
};
int catalog_shelf_folders(struct db_session *session, struct arena *arena,
                          struct catalog_shelf_folder **ret_folders, unsigned *ret_count);
/* An artist or album of imports goes if nothing is left with it. */
int catalog_artist_forsake(struct db_session *session, struct call *call, int64_t id);
int catalog_album_forsake(struct db_session *session, struct call *call, int64_t id);
int catalog_album_artist(struct db_session *session, struct call *call, int64_t id,
                         int64_t *ret_artist_id, int64_t *ret_shelf_id);
/* Where anything of it is another now. ERR_NOT_FOUND: it was deleted. */
int catalog_album_follow(struct db_session *session, struct call *call, int64_t id,
                         const struct catalog_album_facts *facts);
/* Once a write has changed tracks of the album: its sums, and album.changed. */
int catalog_album_settle(struct db_session *session, int64_t id);
struct catalog_track_facts {
    int64_t album_id, artist_id;
    const int64_t *artist_ids; /* all that it is credited to */
    unsigned artist_count;
    const char *title, *isrc, *lyrics;
    int64_t track_number, disc_number; /* 0: the next one; 1 */
    /* {"artists":[{"id","name"}],"credit","genres":[…],"sortTitle","composer",
     *  "musicbrainzTrackId","replayGain":{…}}: what answers show as it is */
    const json_t *details;
};
/* The file of an imported track: it plays as it is, and other renditions are made when somebody
 * wants them (catalog_track_want), or at once. */
struct catalog_sound {
    const char *key, *filename, *codec, *mime;
    int64_t bytes, rate, channels, duration_ms;
    bool lossless;
    bool cut;     /* a part of the file (catalog_cut_read): nothing plays before it is encoded */
    bool outside; /* it stays where it is: the store has no object under the key */
    bool at_once;
};
int catalog_track_add(struct db_session *session, struct call *call, int64_t id,
                      const struct catalog_track_facts *facts, const struct catalog_sound *sound);
/* A track that is a part of its file says so in its original's key, "…/original.FROM-TO.EXT": 75ths
 * of a second; to 0: up to the file's end. False for all other keys. Any thread. */
bool catalog_cut_read(const char *key, int64_t *ret_from, int64_t *ret_to);
/* Metadata alone, where it is another. */
int catalog_track_follow(struct db_session *session, struct call *call, int64_t id,
                         const struct catalog_track_facts *facts);
/* Another sound: it takes over at once as the version that was reserved. */
int catalog_track_sound(struct db_session *session, struct call *call, int64_t id, int version,
                        const struct catalog_sound *sound);
/* The same sound in a file of another name or size (it was moved, or its tags were written anew).
 */
int catalog_track_file(struct db_session *session, struct call *call, int64_t id, int version,
                       const char *filename, int64_t bytes);
/* It goes: its file is another track's, which came back. */
int catalog_track_forsake(struct db_session *session, struct call *call, int64_t id);
/* Its file is not where it was, or is again. */
int catalog_track_missing(struct db_session *session, int64_t id, bool missing);
/* What was made beside originals that stay outside, of a track's version; those of which can be
 * made again. */
struct catalog_rungs {
    int64_t track_id, version, bytes;
    int64_t made_ms; /* when all were; 0: not known, or some could not be made */
};
/* Those that were made first, at most limit. */
int catalog_rungs_list(struct catalog *catalog, struct arena *arena, unsigned limit,
                       struct catalog_rungs **ret_list, unsigned *ret_count);
/* Takes them away: the track goes on as another version of the same file, with its original alone,
 * and what plays goes on for CATALOG_OBJECT_GRACE_MS. The number of that version. ERR_CONFLICT: the
 * track has another version by now, or is at work; nothing was done. */
int catalog_rungs_remove(struct db_session *session, struct call *call,
                         const struct catalog_rungs *rungs, int64_t *ret_version);
/* Tracks whose file stays outside and whose renditions could not be made for a reason that was not
 * the file's own (it was away for a moment, the disk was full); after an id, at most limit. */
struct catalog_failed {
    int64_t track_id, version;
};
int catalog_failed_list(struct db_session *session, struct arena *arena, int64_t after_id,
                        unsigned limit, struct catalog_failed **ret_list, unsigned *ret_count);
/* Gives a failed track another try, whatever it failed of: it goes on as another version of the
 * same file, as by catalog_rungs_remove. at_once: as catalog_sound's. ERR_CONFLICT: it has another
 * version by now, is at work, did not fail, or its file is in the store; nothing was done. */
int catalog_track_again(struct db_session *session, struct call *call,
                        const struct catalog_failed *failed, bool at_once, int64_t *ret_version);
/* Somebody would play renditions that nobody has made: transcode is told, unless it is at it or
 * failed before. For what is there already, and for any track that was uploaded, does nothing. */
int catalog_track_want(struct catalog *catalog, int64_t track_id);

/* A track with its ready version's renditions, through the cache (try: never blocks, ERR_BUSY where
 * it would have to load; then run again on the pool with try = false). */
int catalog_playable(struct catalog *catalog, struct call *call, int64_t track_id, bool try,
                     struct playable **ret_playable);
/* True where this process knows the track as deleted, so that its media stops at once although
 * tokens live on. Never blocks. */
bool catalog_media_gone(struct catalog *catalog, int64_t track_id);

/* What POST and PATCH /tracks carry. Text is cleaned and in the call's arena. */
struct track_fields {
    bool has_album_id, has_title, has_track_number, has_disc_number, has_explicit, has_isrc,
        has_lyrics;
    int64_t album_id;
    const char *title;
    int64_t track_number; /* 0: none given; POST then takes the next free one */
    int64_t disc_number;
    bool explicit;
    const char *isrc;   /* "" none */
    const char *lyrics; /* "" none */
    const char *track_url;
};
/* Reads and checks them, every bad field named. create: albumId, title and trackUrl must be there.
 */
int catalog_track_fields(struct call *call, const json_t *body, bool create,
                         struct track_fields *ret_fields);

/* For ingest, inside its own write. A version's original must be in the store before. */
struct catalog_source {
    const char *key, *filename; /* of the media bucket; as it was called */
    int64_t bytes;
};
/* The track, its version 1, the event track.uploaded. ERR_INVALID, ERR_FORBIDDEN (album). */
int catalog_track_create(struct db_session *session, struct call *call,
                         const struct track_fields *fields, int64_t track_id,
                         const struct catalog_source *source);
/* The number of the track's next version; numbers are never used twice. */
int catalog_version_reserve(struct db_session *session, struct call *call, int64_t track_id,
                            int *ret_version);
/* A reserved version's file: it becomes pending while another plays, else it takes over at once. */
int catalog_track_replace(struct db_session *session, struct call *call, int64_t track_id,
                          int version, const struct catalog_source *source);
/* Metadata alone. */
int catalog_track_edit(struct db_session *session, struct call *call, int64_t track_id,
                       const struct track_fields *fields);
/* The track as it is answered, and its revision. ret_album_id may be NULL. */
int catalog_track_answer(struct db_session *session, struct call *call, int64_t track_id,
                         json_t **ret_object, int64_t *ret_revision, int64_t *ret_album_id);
/* After a write above was committed: forgets what this process has cached of it. */
void catalog_track_forget(struct catalog *catalog, int64_t track_id);
void catalog_album_forget(struct catalog *catalog, int64_t album_id);
/* Bytes of originals that count against a user's quota. */
int catalog_original_bytes(struct db_session *session, int64_t user_id, int64_t *ret_bytes);

/* Removes objects whose grace is over, at most limit prefixes; *ret_removed counts keys. */
int catalog_cleanup_sweep(struct catalog *catalog, unsigned limit, unsigned *ret_removed);
/* Removes a deleted track's objects now: its tokens are good for nothing, but an edge could still
 * fetch by them from a store that knows no tokens. */
int catalog_track_objects_remove(struct catalog *catalog, int64_t track_id);
/* The tracks that play of published albums whose release date is since_day ("2026-03-31") or later,
 * the earliest album first: ids[limit]. Inside a read. */
int catalog_announced_tracks(struct db_session *session, const char *since_day, unsigned limit,
                             int64_t *ids, unsigned *ret_count);
/* Whether a row names the object of the media bucket (for the collection of orphans). Inside a
 * read. */
int catalog_object_named(struct db_session *session, const char *key, bool *ret_named);
/* The other way round: tells visit every object of the media bucket that a row needs (originals,
 * renditions, pictures), with its length, -1 where the row doesn't say; with outside also those of
 * files that stay where they are, as a store that is not beside the files needs them. Reads in
 * portions, visits between them; visit not 0 ends it and is returned. */
int catalog_objects_walk(struct db *db, bool outside,
                         int (*visit)(void *argument, const char *key, int64_t bytes),
                         void *argument);

/* For search, inside a read: the names of what may be found (published, and a track that plays), by
 * everybody or by who sees its library. Text in the arena, "" where there is none; genres a JSON
 * array. */
struct catalog_name {
    int64_t id;
    int64_t shelf_id; /* of its library; 0: none */
    const char *name, *artist, *album, *genres, *release_date, *original_date, *lyrics;
};
/* Those of a kind whose ids are above after_id, in their order, at most limit. */
int catalog_names_after(struct db_session *session, struct arena *arena, enum catalog_kind kind,
                        int64_t after_id, unsigned limit, struct catalog_name **ret_names,
                        unsigned *ret_count);
/* ERR_NOT_FOUND: it is not to be found (any more). */
int catalog_name_find(struct db_session *session, struct arena *arena, enum catalog_kind kind,
                      int64_t id, struct catalog_name *ret_name);
/* The libraries in which the actor may find something, the rule of sight being asked for each: at
 * most CATALOG_SHELVES_MAX. *ret_all: nothing is hidden from it, and there is no list. */
enum { CATALOG_SHELVES_MAX = 32 };
int catalog_shelves_seen(struct catalog *catalog, const struct actor *actor,
                         int64_t ret_ids[CATALOG_SHELVES_MAX], unsigned *ret_count, bool *ret_all);
/* An artist's tracks on others' albums, which show its name, too; one album's after another's. */
int catalog_ids_elsewhere(struct db_session *session, struct arena *arena, int64_t artist_id,
                          int64_t **ret_ids, unsigned *ret_count);
/* What shows its name: an artist's albums, an album's tracks. */
int catalog_ids_under(struct db_session *session, struct arena *arena, enum catalog_kind kind,
                      int64_t id, int64_t **ret_ids, unsigned *ret_count);
