/* catalog: artists, albums, tracks, genres, art, lyrics, versions of files. The contract for other
 * roles. Tables live in the `catalog` database, together with ingest's and transcode's.
 *
 * Events it emits (key "track:ID", "album:ID", "artist:ID", "art:ID"):
 *   track.uploaded  {trackId, version, bucket, key, filename, bytes}   a version's original is in
 * place track.changed · track.deleted {trackId} · album.changed · album.deleted · artist.changed ·
 * … art.uploaded    {artId, bucket, key}                               an original cover is in
 * place Events it consumes (emitted by transcode, key "track:ID"/"art:ID"; idempotent by their
 * content): media.probed    {trackId, version, durationMs, samples, rate, channels, codec,
 * lossless, trackLufs, truePeakDb, histogram (base64), expected, tags{}, hasArt} media.rendition
 * {trackId, version, rendition{…struct rendition}}   the first AAC 160 makes it READY
 *   media.complete  {trackId, version}                                 the ladder is whole
 *   media.failed    {trackId, version, code, reason}
 *   art.ready       {artId, width, height} · art.failed {artId, reason}
 */
#pragma once

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

struct catalog_config {
    struct db *db;
    struct bus *bus;
    struct cache *cache;
    struct blob_store *blobs;
    struct identity *identity; /* for POST /me/artist */
};

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

/* A track with its ready version's renditions, through the cache (try: never blocks, ERR_BUSY where
 * it would have to load; then run again on the pool with try = false). */
int catalog_playable(struct catalog *catalog, struct call *call, int64_t track_id, bool try,
                     struct playable **ret_playable);

/* For ingest, inside its own write: a new version of a track's file becomes pending, and
 * track.uploaded is emitted. */
struct catalog_source {
    const char *bucket, *key, *filename, *etag;
    int64_t bytes;
};
struct track_fields; /* catalog_json.h: what POST and PATCH /tracks carry */
int catalog_track_create(struct db_session *session, struct call *call,
                         const struct track_fields *fields, int64_t track_id,
                         const struct catalog_source *source);
int catalog_track_replace(struct db_session *session, struct call *call, int64_t track_id,
                          const struct catalog_source *source, int *ret_version);
