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
    struct rendition *renditions;
    unsigned rendition_count;
};

/* Who may see it: the one function asked by every route, search and share. 0; ERR_NOT_FOUND for
 * what the actor may not know of (deleted, a draft of another). Tracks, albums and artists. */
enum catalog_kind { CATALOG_ARTIST, CATALOG_ALBUM, CATALOG_TRACK };
int catalog_may_see(struct catalog *catalog, struct call *call, enum catalog_kind kind, int64_t id);
/* Who may change it: the owner (or ROLE_SYSTEM). 0, ERR_NOT_FOUND, ERR_FORBIDDEN. An admin
 * moderates: may delete, not edit. */
int catalog_may_edit(struct catalog *catalog, struct call *call, enum catalog_kind kind,
                     int64_t id);
/* The rule behind both, for a transaction that is running. */
enum catalog_want { CATALOG_SEE, CATALOG_EDIT, CATALOG_DELETE };
int catalog_permit(struct db_session *session, struct call *call, enum catalog_kind kind,
                   int64_t id, enum catalog_want want);

/* A track with its ready version's renditions, through the cache (try: never blocks, ERR_BUSY where
 * it would have to load; then run again on the pool with try = false). */
int catalog_playable(struct catalog *catalog, struct call *call, int64_t track_id, bool try,
                     struct playable **ret_playable);
/* The same of one version, without the cache, whatever its state: for transcode, which writes a
 * version's manifests from the renditions it has announced. */
int catalog_version_load(struct db_session *session, struct arena *arena, int64_t track_id,
                         int version, struct playable **ret_playable);
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
    const char *bucket, *key, *filename;
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

/* For transcode, inside its own write: a picture found in a track's file becomes the cover of the
 * album, if that has none and waits for none; emits art.uploaded. The object (key
 * art/{art_id}/original.EXT) must be in place; false in *ret_taken: nobody wants it. */
struct catalog_art_source {
    const char *key, *mime;
    int64_t bytes, width, height;
};
int catalog_cover_offer(struct db_session *session, int64_t track_id, int64_t art_id,
                        const struct catalog_art_source *source, bool *ret_taken);

/* Removes objects whose grace is over, at most limit prefixes; *ret_removed counts keys. */
int catalog_cleanup_sweep(struct catalog *catalog, unsigned limit, unsigned *ret_removed);
/* Whether a row names the object of the media bucket (for the collection of orphans). Inside a
 * read. */
int catalog_object_named(struct db_session *session, const char *key, bool *ret_named);
/* The other way round: tells visit every object of the media bucket that a row needs (originals,
 * renditions, pictures), with its length, -1 where the row doesn't say. Reads in portions, visits
 * between them; visit not 0 ends it and is returned. */
int catalog_objects_walk(struct db *db,
                         int (*visit)(void *argument, const char *key, int64_t bytes),
                         void *argument);
