/* What the files of ingest share among themselves; nobody else includes it. */
#pragma once

#include "service/ingest/ingest.h"

#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "net/http.h"
#include "service/catalog/catalog.h"
#include "service/idempotency.h"

#include <pthread.h>

enum {
    FILENAME_MAX_CHARACTERS = 255,
    PART_BYTES_DEFAULT = 8 << 20,
    PARTS_MAX = 10000,
    URL_LIFE_S = 3600,
    URL_SIZE_MAX = 4096,
    EXTENSION_MAX = 8,
    BODY_BYTES_MAX = 1 << 20, /* 10,000 parts with their ETags */
};

/* A walk over a bucket's objects: where it is, how many before that place are held without a break,
 * and what it has left until there though no row names it. Zeroed at its beginning. */
struct walk {
    char place[BLOB_KEY_MAX + 1];
    unsigned run;
    unsigned older, held;
};

struct ingest {
    struct ingest_config config;
    char *objects_url, *media_path, *import_folders;
    pthread_t timer;
    bool timer_runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;
    struct follower *follower;            /* import/follow.c; NULL: it follows nothing */
    struct walk walk_media, walk_uploads; /* of the sweep's */
};

struct upload_row {
    int64_t id, user_id;
    const char *filename;
    int64_t bytes, part_bytes;
    const char *object_key;
    const char *multipart_id; /* "" for a single PUT */
    const char *track_url;
    const char *state;
    int64_t track_id;
    int64_t created_at, expires_at;
};

/* Whether ingest_close has begun. */
bool ingest_is_ending(struct ingest *ingest);
/* So long, or until ingest_close has begun: then false. */
bool ingest_wait(struct ingest *ingest, int64_t wait_ms);

/* ingest_store.c */
int upload_insert(struct db_session *session, const struct upload_row *row);
int upload_get(struct db_session *session, struct arena *arena, int64_t id, int64_t user_id,
               struct upload_row *ret_row);
int upload_find_url(struct db_session *session, struct arena *arena, const char *track_url,
                    int64_t user_id, struct upload_row *ret_row);
/* From one of the living states to another; ERR_CONFLICT where it is in none any more. */
int upload_set_state(struct db_session *session, int64_t id, const char *state, int64_t track_id);
/* Of uploads under way; unsaid_bytes: of one whose size was not said. */
int upload_open_sums(struct db_session *session, int64_t user_id, int64_t unsaid_bytes,
                     int64_t *ret_count, int64_t *ret_bytes);
int upload_expired(struct db_session *session, struct arena *arena, int64_t now_ms, unsigned limit,
                   struct upload_row **ret_rows, unsigned *ret_count);
/* Used and given-up ones that ran out before before_ms; their trackUrl is then one that never was.
 */
int upload_forget_ended(struct db_session *session, int64_t before_ms);
int upload_key_lives(struct db_session *session, const char *object_key, bool *ret_lives);

/* upload.c: what the upload routes share. */
/* Lower-case letters and digits behind the last dot, at most EXTENSION_MAX; "bin" for none. */
void upload_extension(const char *filename, char out[EXTENSION_MAX + 1]);
/* A new upload of the caller within its limits: the row, and for parts the multipart in the store.
 */
struct upload_wish {
    const char *filename;
    int64_t bytes; /* 0: not said */
    bool parts;
    int64_t track_id;         /* of update-url; 0: none */
    struct idempotency *once; /* NULL: a GET */
};
int upload_begin(struct ingest *ingest, struct call *call, const struct upload_wish *wish,
                 struct upload_row *ret_row);
int upload_size_check(struct ingest *ingest, struct call *call, int64_t bytes);
/* What an upload counts for until its file is there: its size, or the most that it may be where
 * that was not said (0). */
int64_t upload_counted(const struct ingest *ingest, int64_t bytes);
int upload_quota_check(struct ingest *ingest, struct db_session *session, struct call *call,
                       int64_t more_bytes);
int64_t upload_part_bytes(int64_t bytes);
/* Gives it up: parts, object, row. */
int upload_abort(struct ingest *ingest, const struct upload_row *row);

/* For a request that came with an Idempotency-Key: true in *ret_replayed when its write is done
 * already (once->body is its answer). Asked before anything outside the database is done. */
int upload_replay(struct request *request, struct idempotency *once, bool *ret_replayed);

/* orphans.c: a portion of a bucket, and which of its objects no row names (README.md, "What the
 * sweep leaves"). Those that are older than the catalog itself can't have been its own. Where many
 * stand in a row without any that has a row, the rows are what is missing: they are held. */
enum { ORPHANS_AT_ONCE = 1000, ORPHANS_IN_A_ROW = 100 };
enum orphan_kind { ORPHAN_NONE, ORPHAN_OURS, ORPHAN_OLDER, ORPHAN_HELD, ORPHAN_KINDS_ };
struct orphans {
    struct arena *arena;
    unsigned count, of[ORPHAN_KINDS_];
    struct {
        const char *key;
        uint64_t bytes;
        int64_t modified_ms;
        bool damaged; /* its description can't be read */
        enum orphan_kind kind;
    } objects[ORPHANS_AT_ONCE];
};
/* From the walk's place on, which moves to the last key looked at, and back to "" past the bucket's
 * end. Only what is older than old_ms is an orphan. Ends with orphans_done, also on failure. */
int orphans_find(struct db *db, struct blob_store *blobs, const char *bucket, struct walk *walk,
                 int64_t old_ms, struct orphans *orphans);
void orphans_done(struct orphans *orphans);

/* rungs.c: keeps renditions of imported files to their size; how many tracks lost theirs. */
int rungs_trim(struct ingest *ingest, unsigned *ret_removed);

/* Handlers. */
int upload_url_get(struct request *request);
int update_url_get(struct request *request);
int uploads_post(struct request *request);
int uploads_get(struct request *request);
int uploads_complete(struct request *request);
int uploads_delete(struct request *request);
int tracks_post(struct request *request);
int tracks_patch(struct request *request);
int imports_get(struct request *request);
int imports_post(struct request *request);
int import_files_get(struct request *request);
int import_lists_get(struct request *request);
int import_duplicates_get(struct request *request);

/* import/follow.c: begins and ends the thread; now: false, there is none. */
int import_follow_start(struct ingest *ingest);
void import_follow_end(struct ingest *ingest);
bool import_follow_now(struct ingest *ingest, bool accept_missing);
/* The at-th folder that is followed, as it is now; false: there are no more. */
struct import_followed {
    const char *path;                /* the ingest's */
    const char *by;                  /* waiting, watch, poll, away; static */
    char reason[PROBLEM_DETAIL_MAX]; /* in words; "" of one that is watched */
};
bool import_follow_get(struct ingest *ingest, unsigned at, struct import_followed *ret_one);
