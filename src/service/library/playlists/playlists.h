/* Playlists: their rows, who may do what, and edits. All that takes a session belongs inside one of
 * the users database.
 *
 * Invariants of a playlist's items:
 *   1. An item is one row, for good; a move changes its place, a removal makes it a tombstone. So
 *      edits by several people can neither lose an item nor double it.
 *   2. No two live items have the same place.
 *   3. Edits of one playlist come one after the other (playlist_lock), whatever revision they saw:
 *      one that is stale is applied to what there is now.
 */
#pragma once

#include "base/arena.h"
#include "service/library/playlists/place.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct call;
struct db_session;
struct list_place;
struct library;

enum {
    PLAYLIST_ITEMS_MAX = 10000,
    PLAYLIST_TITLE_MAX = 300,
    PLAYLIST_DESCRIPTION_MAX = 3000,
    PLAYLIST_MEMBERS_MAX = 200,
    PLAYLIST_LINKS_MAX = 100,
    PLAYLISTS_MAX = 5000, /* of a person, one's own and those joined */
    OPS_MAX = 500,
};

enum access { ACCESS_NONE, ACCESS_VIEW, ACCESS_EDIT, ACCESS_OWNER };
const char *access_word(enum access access);
enum access access_of_word(const char *word);

struct playlist_row {
    int64_t id, owner_user_id;
    const char *title, *description;
    const char *rules; /* of a smart one (JSON); "" */
    int64_t item_count, revision, created_at, updated_at;
    bool shared;
    enum access access; /* the reader's */
};
json_t *playlist_json(const struct playlist_row *row);
/* As much of it as a title may have. NULL: out of memory. */
const char *playlist_title_fit(struct arena *arena, const char *title);

int playlist_insert(struct db_session *session, const struct playlist_row *row);
/* With the person's access. ERR_NOT_FOUND where there is none. */
int playlist_get(struct db_session *session, struct arena *arena, int64_t user_id, int64_t id,
                 struct playlist_row *ret_row);
/* As above, of any person; access is none. */
int playlist_find(struct db_session *session, struct arena *arena, int64_t id,
                  struct playlist_row *ret_row);
/* Others' edits of it wait for the end of this write. */
int playlist_lock(struct db_session *session, int64_t id);
/* What is written of it; the caller has counted the revision. */
int playlist_update(struct db_session *session, const struct playlist_row *row);
int playlist_bury(struct db_session *session, int64_t id, int64_t now_ms);
struct playlist_list {
    struct playlist_row *rows;
    unsigned count;
};
/* The person's own and those joined, the newest first, below place->id. */
int playlist_list(struct db_session *session, struct arena *arena, int64_t user_id,
                  const struct list_place *place, struct playlist_list *ret_list);
/* As many as playlist_list has in all. */
int playlist_count(struct db_session *session, int64_t user_id, int64_t *ret_count);

struct item_row {
    int64_t id, track_id, added_by, added_at;
    struct place_key place;
    bool removed;
};
int item_insert(struct db_session *session, int64_t playlist_id, const struct item_row *row);
/* Tombstones, too. ERR_NOT_FOUND: never there, or long gone. */
int item_get(struct db_session *session, int64_t playlist_id, int64_t item_id,
             struct item_row *ret_row);
int item_set_place(struct db_session *session, int64_t playlist_id, int64_t item_id,
                   const struct place_key *place);
int item_remove(struct db_session *session, int64_t playlist_id, int64_t item_id, int64_t now_ms);
/* The place of the live item behind a place, or of the last one; length 0: there is none. What
 * except_id names does not count. */
int item_next(struct db_session *session, int64_t playlist_id, const struct place_key *place,
              int64_t except_id, struct place_key *ret_place);
int item_last(struct db_session *session, int64_t playlist_id, int64_t except_id,
              struct place_key *ret_place);
struct item_list {
    struct item_row *rows;
    unsigned count;
};
/* Where a walk along the items goes on: behind this item, at the place that it had when the list
 * had been numbered anew so many times. All zeros: the beginning. */
struct item_cursor {
    int64_t id, numbered;
    struct place_key place;
};
/* In order, behind the cursor; it then says how often the list was numbered anew. A list that was
 * since the cursor was written goes on behind the cursor's item. */
int item_list(struct db_session *session, struct arena *arena, int64_t playlist_id,
              struct item_cursor *cursor, unsigned limit, struct item_list *ret_list);
/* All places are others now. */
int item_count_numbering(struct db_session *session, int64_t playlist_id);
/* In order, tombstones too, at most limit. */
int item_list_all(struct db_session *session, struct arena *arena, int64_t playlist_id,
                  unsigned limit, struct item_list *ret_list);
/* New items, one a track, at places of theirs. */
int item_insert_all(struct db_session *session, int64_t playlist_id, const struct item_row *like,
                    const int64_t *tracks, unsigned count, const struct place_key *places);
int item_forget_removed(struct db_session *session, int64_t playlist_id, int64_t before_ms);

int member_put(struct db_session *session, int64_t playlist_id, int64_t user_id, enum access access,
               int64_t now_ms);
/* ERR_NOT_FOUND: no member. */
int member_delete(struct db_session *session, int64_t playlist_id, int64_t user_id);
int member_count(struct db_session *session, int64_t playlist_id, int64_t *ret_count);
struct member_row {
    int64_t user_id, joined_at;
    const char *access;
};
struct member_list {
    struct member_row *rows;
    unsigned count;
};
int member_list(struct db_session *session, struct arena *arena, int64_t playlist_id,
                struct member_list *ret_list);

enum { LINK_HASH_BYTES = 32 };
struct link_row {
    unsigned char hash[LINK_HASH_BYTES];
    int64_t playlist_id, created_at, expires_at; /* expires_at 0: never */
    const char *grants;                          /* "share", "edit", "view" */
};
int link_insert(struct db_session *session, const struct link_row *row);
/* ERR_NOT_FOUND: none, or over. */
int link_find(struct db_session *session, struct arena *arena,
              const unsigned char hash[LINK_HASH_BYTES], int64_t now_ms, struct link_row *ret_row);
int link_delete_shares(struct db_session *session, int64_t playlist_id);
int link_delete_invites(struct db_session *session, int64_t playlist_id);
int link_count(struct db_session *session, int64_t playlist_id, int64_t *ret_count);

/* The file that a playlist follows (schema/006-sources.sql). */
struct source_row {
    int64_t id, playlist_id, owner_user_id;
    const char *title, *items_hash;
};
int source_get(struct db_session *session, struct arena *arena, int64_t id,
               struct source_row *ret_row);
int source_put(struct db_session *session, const struct source_row *row);

/* What a person's erasure takes: their playlists, and their part in others'. */
int playlist_erase_person(struct db_session *session, int64_t user_id, int64_t now_ms);

/* ---- edits (playlist_ops.c) ---- */

enum op_kind { OP_ADD, OP_MOVE, OP_REMOVE };
enum op_where { AT_END, AT_START, AFTER_ITEM };
struct op {
    enum op_kind kind;
    int64_t item;  /* of a move, a removal; of an addition the new item's */
    int64_t track; /* of an addition */
    enum op_where where;
    int64_t after;
    const char *skipped; /* why it did nothing; NULL: it was done */
};
/* Reads the list "ops" (items of additions get ids). ERR_INVALID with words. */
int ops_read(struct call *call, const json_t *list, struct op **ret_ops, unsigned *ret_count);
/* Applies them in turn to a locked playlist, whose count moves along. An operation whose item is
 * gone is skipped; an addition behind what is gone stands where that stood, and behind what was
 * never there at the end. ERR_INVALID: too many items. */
int ops_apply(struct db_session *session, struct call *call, struct playlist_row *playlist,
              struct op *ops, unsigned count, int64_t now_ms);
