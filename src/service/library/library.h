/* library: what follows a person from device to device: favourites, ratings, follows, the queue,
 * plays, history, what is playing now. The contract for boot and other roles. Plays and what is
 * made of them live in the `activity` database, all else in `users`.
 *
 * Events it emits, key "user:ID" (ids are strings). In `users`:
 *   mark.changed   {userId, what: favourite|rating|follow, kind, id, value, at}   value 0: no more
 *   playlist.changed, playlist.deleted  {playlistId}   with the key "playlist:ID"
 * In `activity`:
 *   play.recorded  {userId, playId, trackId, albumId, artistId, startedAt, playedMs, durationMs,
 *                   counted, source, sourceId, receivedAt}   once for a (userId, playId)
 * Events it consumes: play.recorded (history and counters are made of it), user.deleted.
 */
#pragma once

#include "backend/bus/bus.h"
#include "service/catalog/catalog.h"

struct db;
struct catalog;
struct library;
struct problem;
struct request;
struct route;

struct library_config {
    struct db *users, *activity;
    struct bus *bus;
    struct catalog *catalog;
    const char *public_url; /* server.url: whose tracks a playlist's file names */
};

/* What its consumers take of the activity database's events, ending with a NULL consumer. */
extern const struct bus_interest library_interests[];

/* Applies the role's migrations. */
int library_open(const struct library_config *config, struct library **ret_library,
                 struct problem *problem);
void library_close(struct library *library);             /* NULL is fine */
const struct route *library_routes(unsigned *ret_count); /* context: the library */
/* Subscribes its consumers; called by boot where the role runs. */
int library_subscribe(struct library *library);

/* For identity's POST /me/export (identity_export_with): answers what it says of the person with
 * all that the library holds of them. context: the library. */
int library_export(void *context, struct request *request, const json_t *account);

/* For search, which ranks by it: plays that count, of all people. The rows of a kind whose ids are
 * above after_id, in their order, at most limit. */
struct library_total {
    int64_t id, plays;
};
int library_totals(struct library *library, enum catalog_kind kind, int64_t after_id,
                   unsigned limit, struct library_total *ret_rows, unsigned *ret_count);
/* How often a person heard each of ids. */
int library_own_plays(struct library *library, int64_t user_id, enum catalog_kind kind,
                      const int64_t *ids, unsigned count, int64_t *ret_plays);
/* For ingest, which keeps what was played lately: when anybody last heard each of ids; 0: never. */
int library_last_plays(struct library *library, enum catalog_kind kind, const int64_t *ids,
                       unsigned count, int64_t *ret_times_ms);
/* For ingest: a playlist that lies as a file among imported music becomes one of owner's, private,
 * and follows the file. What was edited here since is left alone, but for its name and sharing;
 * what was deleted here is not made again. The same told twice changes nothing. ERR_UNAUTHENTICATED
 * (the owner is gone) and ERR_QUOTA with words. */
struct library_list {
    int64_t source_id; /* the file's, for good */
    int64_t owner_user_id;
    const char *title; /* clean, of any length */
    const char *description;
    const int64_t *tracks;
    unsigned count;
};
enum library_list_end { LIBRARY_LIST_FOLLOWED, LIBRARY_LIST_EDITED, LIBRARY_LIST_DELETED };
int library_list_follow(struct library *library, const struct library_list *list,
                        struct problem *problem, enum library_list_end *ret_end,
                        int64_t *ret_playlist_id);
/* A person's playlists, their own and those joined, the newest first; memory is the call's arena.
 */
struct playlist_row;
struct library_playlists {
    const char **titles;
    const struct playlist_row *rows;
    unsigned count;
};
int library_playlists(struct library *library, struct call *call,
                      struct library_playlists *ret_list);
/* One of them as its route answers it. NULL: out of memory. */
json_t *library_playlist_json(const struct library_playlists *list, unsigned at);
