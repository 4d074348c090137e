/* Libraries that admins make, and what stands on them (schema/007-shelves.sql has the picture; the
 * API calls them libraries). access.c has the rule of who sees what; here is what it asks, the
 * lists of what somebody sees beyond everybody's, and the changes.
 *
 * Invariants:
 * 1. What only some see is never "published" to a query: a list that knows nothing of shelves shows
 *    none of it.
 * 2. An album stands where its artist does, a track where its album does: the statements that write
 *    them say so, not their callers.
 * 3. Who sees a shelf changes in one transaction with all that stands on it.
 */
#pragma once

#include "base/arena.h"
#include "service/catalog/catalog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor;
struct catalog;
struct db_session;
struct request;

enum { SHELVES_MAX = CATALOG_SHELVES_MAX, SHELF_READERS_MAX = 1000, SHELF_FOLDERS_MAX = 32 };

struct shelf_row {
    int64_t id;
    const char *name, *name_key;
    bool some;     /* only some see it: its readers, and who has one of roles */
    int64_t roles; /* of enum role */
    int64_t revision, created_at, updated_at;
};

/* Those that somebody sees and others don't. */
struct shelves {
    int64_t ids[SHELVES_MAX];
    unsigned count;
};

/* ---- shelves_store.c: one function a statement ---- */
int shelf_is_open(struct db_session *session, int64_t id, const struct actor *actor,
                  bool *ret_open);
/* All of them to admins. */
int shelves_open_to(struct db_session *session, const struct actor *actor,
                    struct shelves *ret_shelves);
/* All in which the actor may find something: those open to it, also those open to everybody, and
 * where it owns an artist. */
int shelves_seen_by(struct db_session *session, const struct actor *actor,
                    struct shelves *ret_shelves);
int shelves_any(struct db_session *session, bool *ret_any);
int shelf_insert(struct db_session *session, const struct shelf_row *row);
int shelf_get(struct db_session *session, struct arena *arena, int64_t id,
              struct shelf_row *ret_row);
int shelf_update(struct db_session *session, const struct shelf_row *row);
int shelf_bury(struct db_session *session, int64_t id, int64_t now_ms);
int shelf_list(struct db_session *session, struct arena *arena, struct shelf_row **ret_rows,
               unsigned *ret_count);
int shelf_named(struct db_session *session, const char *name_key, int64_t except_id,
                bool *ret_there);
int shelf_readers(struct db_session *session, struct arena *arena, int64_t id, int64_t **ret_ids,
                  unsigned *ret_count);
int shelf_reader_insert(struct db_session *session, int64_t id, int64_t user_id);
int shelf_readers_delete(struct db_session *session, int64_t id);
int shelf_folders(struct db_session *session, struct arena *arena, int64_t id,
                  const char ***ret_paths, unsigned *ret_count);
/* ERR_EXISTS: another shelf has it. */
int shelf_folder_insert(struct db_session *session, int64_t id, const char *path);
int shelf_folders_delete(struct db_session *session, int64_t id);
/* Ids of what stands there, kinds of catalog.h, after an id. */
int shelf_ids_after(struct db_session *session, struct arena *arena, int kind, int64_t id,
                    int64_t after_id, unsigned limit, int64_t **ret_ids, unsigned *ret_count);
/* Marks all that stands there as seen by some, or by everybody. */
int shelf_mark_genres(struct db_session *session, int64_t id, bool some);
int shelf_mark_album_genres(struct db_session *session, int64_t id, bool some);
int shelf_mark_albums(struct db_session *session, int64_t id, bool some);
int shelf_mark_tracks(struct db_session *session, int64_t id, bool some);
int shelf_mark_artists(struct db_session *session, int64_t id, bool some);
/* What stands there stands on none. */
int shelf_empty_artists(struct db_session *session, int64_t id);
int shelf_empty_albums(struct db_session *session, int64_t id);
int shelf_empty_tracks(struct db_session *session, int64_t id);

/* ---- shelves.c ---- */
/* Whether the catalog has any that only some see is looked up again; at the start, and after each
 * change, wherever it was made. */
int shelves_look(struct catalog *catalog);
/* What the request's actor sees beyond everybody; true where its lists are its own, so that none is
 * taken from a cache or put there (also on the loop, where that is not known). */
bool shelves_of(struct request *request, struct shelves *ret_shelves);
/* Joins everybody's list (shelf 0) and that of each shelf, each at most limit rows in the order of
 * compare, to one like them. list fills *ret_rows, an array of rows of row_bytes. */
typedef int shelf_lister(struct db_session *session, void *context, int64_t shelf_id,
                         void **ret_rows, unsigned *ret_count);
struct shelf_merge {
    struct arena *arena;
    const struct shelves *shelves;
    unsigned limit;
    size_t row_bytes;
    shelf_lister *list;
    int (*compare)(const void *context, const void *a, const void *b);
    void *context; /* of both */
};
int shelves_merge(struct db_session *session, const struct shelf_merge *merge, void **ret_rows,
                  unsigned *ret_count);
/* Tells that what stands there shows something else. */
int shelf_tell(struct db_session *session, struct arena *arena, int64_t id);
/* Who sees it is another now. */
int shelf_mark(struct db_session *session, struct arena *arena, int64_t id, bool some);
/* What is cached of all that stands there, after the commit. */
int shelf_forget(struct catalog *catalog, int64_t id);
