/* ingest: how files come in. Upload sessions (one pre-signed PUT, or resumable in parts), the
 * making of tracks from what was uploaded, the replacing of their files, and the collection of what
 * nobody came back for. The contract for boot and other roles. Tables live in the `catalog`
 * database, because the use of an upload and the birth of its track are one transaction.
 *
 * Invariants:
 * 1. A trackUrl is matched with a row of ours and never fetched.
 * 2. What a pre-signed URL can still change is never what the pipeline reads: the object is copied
 *    inside the store, on condition of its ETag, to the version's own key.
 * 3. An upload is used once: the row's state changes in the transaction that makes the track.
 * 4. An object that no row names is removed, after a day in which a row might still come. But one
 *    that is older than the catalog database itself is left: another catalog's rows named it. So
 *    are many in a row, whose rows may be what is missing. A person may say that they go, too.
 */
#pragma once

#include "base/call.h"

#include <stdbool.h>
#include <stdint.h>

struct db;
struct bus;
struct blob_store;
struct catalog;
struct library;
struct route;
struct ingest;

/* In which a row that names an object might still come. */
enum { INGEST_ORPHAN_GRACE_MS = 24 * 3600 * 1000 };

struct ingest_config {
    struct db *db; /* the catalog's */
    struct bus *bus;
    struct blob_store *blobs;
    struct catalog *catalog;
    struct library *library;
    const char *objects_url;   /* where clients reach the store: "http://localhost:4040/s3" */
    int64_t upload_bytes_max;  /* 0: 2 GiB */
    int64_t quota_bytes;       /* of one artist's originals; 0: 200 GiB */
    unsigned uploads_open_max; /* of one artist; 0: 1,000 */
    unsigned sweep_interval_s; /* 0: 600; the sweep's own thread */
    int64_t upload_life_ms;    /* 0: 24 h from the first URL to the sweep */
    int64_t orphan_grace_ms;   /* 0: 24 h */
    /* The import of folders. */
    const char *media_path;         /* the program tutti-media */
    const char *import_folders;     /* gone through by the role itself, commas between; "": none */
    unsigned import_interval_s;     /* how often, whatever is heard */
    const char *import_watch;       /* "auto", "poll": inotify is not asked */
    unsigned import_poll_s;         /* how often where changes can't be heard of */
    unsigned import_missing_max;    /* percent of a folder's files that one look may call missing */
    unsigned import_prints_percent; /* of a core, for fingerprints in the background; 0: none */
    int64_t import_rungs_bytes;     /* of renditions beside files that stay outside; 0: any */
    bool import_copy;               /* files are copied into the store, not played where they are */
    bool import_ahead;              /* renditions are made at once, not when somebody plays */
    int64_t (*import_owner)(void *context); /* the admin that music without an owner is given to; 0:
                                               there is none yet */
    void *import_owner_context;
};

/* Applies the role's migrations. Texts are copied. */
int ingest_open(const struct ingest_config *config, struct ingest **ret_ingest,
                struct problem *problem);
/* Starts the timer of the sweep; boot calls it where the role runs. */
int ingest_start(struct ingest *ingest);
/* Ends the timer after a running sweep. NULL is fine. */
void ingest_close(struct ingest *ingest);
const struct route *ingest_routes(unsigned *ret_count); /* context: the ingest */

/* ---- the import of folders ---- */

struct import_progress {
    int64_t folders, files; /* gone through so far; of sound */
    int64_t unchanged, added, changed, moved, missing, broken;
    int64_t playlists;  /* that were made or follow their changed file */
    const char *folder; /* where it is; for people */
};
struct import_options {
    const char *path;      /* an existing folder */
    int64_t owner_user_id; /* 0: the first admin */
    /* Called now and then, and for each file that is broken or folder that can't be read (reason
     * not NULL, path relative to the library's, for people). Not 0 ends the run. May be NULL. */
    int (*tell)(void *context, const struct import_progress *progress, const char *path,
                const char *reason);
    void *context;
    bool accept_missing; /* however many files are gone: they are missing */
    /* Called with each folder before it is listed. May be NULL. */
    void (*entered)(void *context, int folder_fd);
    void *entered_context;
};
/* Goes through a folder of music and makes the catalogue follow it. Blocks until it is done; any
 * thread. Killed at any point and run again, nothing is there twice and nothing is missing.
 * ERR_NOT_FOUND: no such folder; ERR_CONFLICT: an import of it runs; both with words. */
int ingest_import(struct ingest *ingest, const struct import_options *options,
                  struct import_progress *ret_progress, struct problem *problem);
/* What the store asks for objects that are files outside of it (blob.h); context: the ingest. */
int ingest_outside(void *context, const char *key, int *ret_fd);

struct ingest_swept {
    unsigned uploads; /* abandoned, given up */
    unsigned objects; /* removed: of replaced and deleted files, and orphans */
    unsigned rungs;   /* tracks whose renditions were taken away, to keep to import_rungs_bytes */
    unsigned older;   /* left though no row names them: older than the catalog */
    unsigned held;    /* left, too: so many in a row that the rows may be what is missing */
};
/* One sweep: abandoned uploads, objects whose grace is over, a portion of the walk over all
 * objects. Several processes may sweep at once. */
int ingest_sweep(struct ingest *ingest, struct ingest_swept *ret_swept);
/* What a sweep would find in the store, without removing it; damaged: objects whose description
 * can't be read. visit is told of those and of each orphan. */
struct ingest_store_look {
    uint64_t objects, bytes, orphans, orphan_bytes, damaged;
    /* What a sweep leaves, not among the orphans: older than the catalog; many in a row. */
    uint64_t older, held, left_bytes;
};
int ingest_store_look(struct db *catalog, struct blob_store *blobs,
                      void (*visit)(void *argument, const char *bucket, const char *key,
                                    bool damaged),
                      void *argument, struct ingest_store_look *ret_look);
/* All there is to sweep, the walk from its beginning to its end: as long as the store is large.
 * accept_lost: also what is older than the catalog, and what is held. */
int ingest_sweep_all(struct ingest *ingest, bool accept_lost, struct ingest_swept *ret_swept);
