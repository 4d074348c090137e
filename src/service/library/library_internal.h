/* What the files of the library share among themselves; nobody else includes it. */
#pragma once

#include "service/library/library.h"

#include "backend/db/db.h"
#include "net/http.h"
#include "service/catalog/catalog.h"

struct library {
    struct db *users, *activity;
    struct bus *bus;
    struct catalog *catalog;
    const char *public_url;
};

extern const struct db_migration library_migrations[];
extern const unsigned library_migration_count;
extern const struct db_migration plays_migrations[];
extern const unsigned plays_migration_count;

/* Handlers (library.c has the table). */
int plays_post(struct request *request);
int history_get(struct request *request);
int played_get(struct request *request);
int totals_get(struct request *request);
int playing_get(struct request *request);
int playing_put(struct request *request);
int playing_delete(struct request *request);

int favourites_get(struct request *request);
int favourite_put(struct request *request);
int favourite_delete(struct request *request);
int ratings_get(struct request *request);
int rating_put(struct request *request);
int follows_get(struct request *request);
int follow_put(struct request *request);
int follow_delete(struct request *request);
int changes_get(struct request *request);
int changes_post(struct request *request);
int queue_get(struct request *request);
int queue_put(struct request *request);

int playlist_list_get(struct request *request);
int playlist_post(struct request *request);
int playlist_get_one(struct request *request);
int playlist_patch(struct request *request);
int playlist_delete(struct request *request);
int items_get(struct request *request);
int items_post(struct request *request);
int items_patch(struct request *request);
int share_post(struct request *request);
int share_delete(struct request *request);
int invite_post(struct request *request);
int invite_delete(struct request *request);
int join_post(struct request *request);
int members_get(struct request *request);
int member_delete_one(struct request *request);
int shared_get(struct request *request);
int shared_export_get(struct request *request);
int playlist_export_get(struct request *request);
int playlist_cover_get(struct request *request);
int shared_cover_get(struct request *request);
int playlist_import_post(struct request *request);

/* In each write of a person's: ERR_UNAUTHENTICATED once they were erased. */
int library_alive(struct db_session *session, struct call *call);
int erase_subscribe(struct library *library);
int plays_subscribe(struct library *library);

/* "track", "album", "artist" of a path. ERR_NOT_FOUND for any other word. */
int library_kind(struct request *request, enum catalog_kind *ret_kind, const char **ret_word);
