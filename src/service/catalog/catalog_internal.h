/* What the files of the catalog share among themselves; nobody else includes it. */
#pragma once

#include "service/catalog/catalog.h"

#include "backend/db/db.h"
#include "net/http.h"

#include <stdatomic.h>

struct gone_set;
struct media_run;
struct watch;

struct catalog {
    struct db *db;
    struct bus *bus;
    struct cache *cache;
    struct blob_store *blobs;
    struct identity *identity;
    struct watch *watch;         /* other processes' changes (watch.c) */
    struct gone_set *gone;       /* tracks deleted within the life of a token (catalog_gone.c) */
    struct media_run *media_run; /* of the consumer (catalog_events.c); NULL: none */
    _Atomic uint64_t generation; /* moves with every change that a list may show */
    atomic_bool shelves;         /* there is one that only some see */
};

/* Limits of what people write, in characters unless the name says otherwise. */
enum {
    ARTIST_NAME_MAX = 200,
    ARTIST_BIO_MAX = 10000,
    ALBUM_TITLE_MAX = 300,
    ALBUM_GENRES_MAX = 10,
    ALBUM_TRACKS_MAX = 2000,
    GENRE_NAME_MAX = 60,
    TRACK_TITLE_MAX = 300,
    TRACK_URL_MAX = 4096,
    TRACK_NUMBER_MAX = 9999,
    DISC_NUMBER_MAX = 999,
    LYRICS_MAX = 100000,
    LYRICS_LINES_BODY_MAX = 1 << 19, /* bytes of a request */
    JSON_BODY_MAX = 1 << 16,         /* bytes of any other request */
    ART_BYTES_MAX = 20 << 20,
    ART_SIDE_MAX = 12000,              /* pixels */
    ART_PIXELS_MAX = 64 * 1000 * 1000, /* decoded it takes four bytes a pixel */
};

extern const struct db_migration catalog_migrations[];
extern const unsigned catalog_migration_count;

/* Gives a key of the index to every artist that has none yet: at the start, and with each sweep,
 * since a process of the version before may still write some. */
int catalog_index_fill(struct db *db);

/* What the rule of sight asks of something. */
struct sight {
    int64_t owner_user_id;
    bool published;
    int64_t shelf_id; /* that it stands on, where only some see that; 0: everybody does */
};
/* The rule itself, for what is known already (a cached entry). SIGHT_ASK: it depends on whether the
 * shelf is open to the actor, which catalog_enters knows. */
enum seen { SIGHT_NO, SIGHT_YES, SIGHT_ASK };
enum seen catalog_sees(const struct actor *actor, const struct sight *sight);
/* 0 or ERR_NOT_FOUND, inside a read; and outside of one, where it blocks. */
int catalog_sees_in(struct db_session *session, const struct actor *actor,
                    const struct sight *sight);
int catalog_enters(struct catalog *catalog, const struct actor *actor, const struct sight *sight);
/* Whether drafts of what it is of show, too. */
bool catalog_sees_drafts(const struct actor *actor, const struct sight *sight);
/* Whether the caller sees the drafts of an artist it may see. */
int catalog_permit_drafts(struct db_session *session, struct call *call, int64_t artist_id,
                          bool *ret_drafts);

/* Of a playable track in the cache (playable.c), by its id; with the number of its form, since
 * processes of two versions may share a cache. */
#define PLAYABLE_KEY "play3:%" PRId64
