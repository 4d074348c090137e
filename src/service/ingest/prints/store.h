/* SQL of fingerprints (print.h, schema/005-prints.sql), one function a statement. */
#pragma once

#include "backend/db/db.h"
#include "base/arena.h"
#include "service/ingest/import/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file whose print is wanted: it is present, and its version has none. */
struct print_wanted {
    int64_t file_id, track_id, version, duration_ms;
    const char *key; /* of its object */
};
/* In the order of file_id, after it; those that were taken before stale_ms are wanted again. */
int print_wanted_list(struct db_session *session, struct arena *arena, int64_t after_file_id,
                      int64_t stale_ms, unsigned limit, struct print_wanted **ret_rows,
                      unsigned *ret_count);
/* Files of the library with rows above after_file_id that may be what is missing in another
 * encoding: of the same owner's missing files one has a print and is about as long. apart_ms: how
 * far apart they may be. */
int print_returned_list(struct db_session *session, struct arena *arena,
                        const struct library_row *library, int64_t after_file_id, int64_t apart_ms,
                        unsigned limit, struct print_wanted **ret_rows, unsigned *ret_count);
/* ERR_CONFLICT: it has one of this version, or another process is at it. */
int print_take(struct db_session *session, const struct print_wanted *wanted, int64_t stale_ms,
               int64_t now_ms);

struct print_row {
    int64_t track_id, version, duration_ms, group_id;
    const void *words; /* little-endian */
    size_t words_bytes;
};
/* state "done" or "failed". ERR_NOT_FOUND: it was taken for another version meanwhile. */
int print_put(struct db_session *session, const struct print_row *row, const char *state,
              int64_t now_ms);
int print_get(struct db_session *session, struct arena *arena, int64_t track_id,
              struct print_row *ret_row);
/* Prints of tracks that were deleted. */
int print_prune(struct db_session *session);
int print_group_set(struct db_session *session, int64_t track_id, int64_t group_id);
/* All of one group go to another. */
int print_group_merge(struct db_session *session, int64_t from, int64_t to);

int print_sketch_put(struct db_session *session, uint32_t word, int64_t track_id);
int print_sketch_delete(struct db_session *session, int64_t track_id);
/* Some of the tracks that have the word: at most limit. */
int print_sketch_find(struct db_session *session, uint32_t word, int64_t *ids, unsigned limit,
                      unsigned *ret_count);

/* When the newest runs were last told of. */
int print_runs_mark(struct db_session *session, int64_t *ret_mark);

/* Groups with at least two files that are there, after an id, at most limit. */
int print_group_list(struct db_session *session, struct arena *arena, int64_t after_id,
                     unsigned limit, int64_t **ret_ids, unsigned *ret_count);
struct print_file {
    int64_t track_id, bytes, duration_ms, rate, channels;
    bool lossless;
    const char *library_path, *folder_path, *name, *codec, *title;
};
/* The group's files that are there, the best first, at most limit. */
int print_group_files(struct db_session *session, struct arena *arena, int64_t group_id,
                      unsigned limit, struct print_file **ret_rows, unsigned *ret_count);
