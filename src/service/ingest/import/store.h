/* SQL of imports (ingest_internal.h has the picture), one function a statement. Texts read go into
 * the arena; "get" and "find" say ERR_NOT_FOUND for what is not there. */
#pragma once

#include "backend/db/db.h"
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct library_row {
    int64_t id, owner_user_id, created_at;
    const char *path; /* escaped */
};
int library_insert(struct db_session *session, const struct library_row *row);
int library_find(struct db_session *session, struct arena *arena, const char *path,
                 struct library_row *ret_row);
int library_list(struct db_session *session, struct arena *arena, struct library_row **ret_rows,
                 unsigned *ret_count);

struct folder_row {
    int64_t id;
    const char *path;
    int64_t shelf_id; /* that its music was put on; 0: none */
    bool seen;        /* not of the table: in this run */
};
int folder_insert(struct db_session *session, int64_t library_id, const struct folder_row *row);
int folder_shelf_set(struct db_session *session, int64_t id, int64_t shelf_id);
/* In the paths' byte order on every engine. */
int folder_list(struct db_session *session, struct arena *arena, int64_t library_id,
                struct folder_row **ret_rows, unsigned *ret_count);

struct file_row {
    int64_t id, library_id, folder_id;
    const char *name; /* escaped */
    int64_t bytes, mtime_ns;
    const char *hash;
    int64_t track_id, version;
    const char *state, *code, *reason;
    const char *folder_path, *library_path; /* only read */
    int64_t owner_user_id;                  /* the library's; only read */
    int64_t shelf_id;                       /* the folder's; only read */
};
int file_insert(struct db_session *session, const struct file_row *row, int64_t now_ms);
/* A version that is newer by now (file_again) stays. */
int file_update(struct db_session *session, const struct file_row *row, int64_t now_ms);
int file_get(struct db_session *session, struct arena *arena, int64_t id, struct file_row *ret_row);
/* Some of those with the sound. */
enum { FILES_OF_SOUND_MAX = 8 };
int file_of_hash(struct db_session *session, struct arena *arena, const char *hash,
                 struct file_row *rows, unsigned *ret_count);
int file_of_track(struct db_session *session, struct arena *arena, int64_t track_id,
                  int64_t version, struct file_row *ret_row);
/* A missing file of the track, which is in a folder of that shelf and the owner's, and no part of a
 * file. ERR_NOT_FOUND: there is none. */
int file_missing_of(struct db_session *session, struct arena *arena, int64_t track_id,
                    int64_t owner_user_id, int64_t shelf_id, struct file_row *ret_row);
int file_delete(struct db_session *session, int64_t id);
/* The same file is another version of its track from now on; its fingerprint is that one's. */
int file_again(struct db_session *session, int64_t track_id, int64_t version, int64_t new_version);
/* What a rescan compares: called for each of the library's files. name is borrowed. */
typedef int file_visit(void *context, const struct file_row *row);
int file_known(struct db_session *session, int64_t library_id, file_visit *visit, void *context);
/* Those that are not present, of all libraries, after an id, at most limit. */
int file_troubled(struct db_session *session, struct arena *arena, int64_t after_id, unsigned limit,
                  struct file_row **ret_rows, unsigned *ret_count);
/* Whether another folder's file is this track of the album. */
int file_collides(struct db_session *session, int64_t album_id, int64_t folder_id,
                  const int64_t disc_and_number[2], bool *ret_collides);

/* Whether another folder's file is a track of the album. */
int file_elsewhere(struct db_session *session, int64_t album_id, int64_t folder_id,
                   bool *ret_elsewhere);

/* Of each album without a cover that the folder has files of, a track's. */
struct bare_file {
    int64_t track_id;
    int version;
};
int file_bare(struct db_session *session, struct arena *arena, int64_t folder_id,
              struct bare_file **ret_rows, unsigned *ret_count);

/* kind: "artist" or "album". */
int name_find(struct db_session *session, int64_t owner, const char *kind, const char *key,
              int64_t *ret_id);
int name_put(struct db_session *session, int64_t owner, const char *kind, const char *key,
             int64_t id);

struct run_row {
    int64_t id, library_id;
    const char *state, *reason, *counts;
    int64_t started_at, updated_at, ended_at;
    const char *library_path; /* only read */
};
int run_insert(struct db_session *session, const struct run_row *row);
int run_update(struct db_session *session, const struct run_row *row);
/* When the last run of the library that came to its end had begun; 0: none did. */
int run_before(struct db_session *session, int64_t library_id, int64_t *ret_started_at);
/* The newest first, below before_id. */
int run_list(struct db_session *session, struct arena *arena, int64_t before_id, unsigned limit,
             struct run_row **ret_rows, unsigned *ret_count);

/* A playlist among imported music (schema/007-lists.sql). */
struct list_row {
    int64_t id, library_id;
    const char *path;
    int64_t bytes, mtime_ns;
    const char *state, *reason;
    int64_t entries, found;
    const char *unfound;
    int64_t playlist_id;
    const char *library_path; /* only read */
};
/* New, or as it is now: by its id. ERR_EXISTS: another has its path. */
int list_put(struct db_session *session, const struct list_row *row, int64_t now_ms);
/* A library's. */
int list_known(struct db_session *session, struct arena *arena, int64_t library_id,
               struct list_row **ret_rows, unsigned *ret_count);
/* Of all libraries, after an id, at most limit. */
int list_page(struct db_session *session, struct arena *arena, int64_t after_id, unsigned limit,
              struct list_row **ret_rows, unsigned *ret_count);

/* What an entry may name: a folder's files. */
struct listed_file {
    const char *name, *state, *reason;
    int64_t track_id;
    const char *folded; /* not of the table */
};
int file_list(struct db_session *session, struct arena *arena, int64_t folder_id,
              struct listed_file **ret_rows, unsigned *ret_count);
