/* What the routes of playlists share. */
#pragma once

#include "service/library/edit.h"
#include "service/library/formats/list_file.h"
#include "service/library/playlists/playlists.h"
#include "service/library/smart/smart.h"

/* The playlist of an edit, locked, with what the person may do. ERR_NOT_FOUND for who may not know
 * of it, ERR_FORBIDDEN for less than least. */
int playlist_open(struct db_session *session, struct edit *edit, enum access least,
                  struct playlist_row *ret_row);
/* Counts one more revision, writes the row and tells the others. */
int playlist_close(struct db_session *session, struct edit *edit, struct playlist_row *row);
/* Tells of it: playlist.changed, playlist.deleted. */
int playlist_emit(struct db_session *session, const char *type, int64_t id);
/* For reading. */
int playlist_look(struct library *library, struct call *call, int64_t id,
                  struct playlist_row *ret_row);

/* ERR_QUOTA where the caller has as many as one may. */
int playlist_room(struct db_session *session, struct call *call);
/* A new one of the caller's, with what the row says but its times: edit->id. */
int playlist_make(struct db_session *session, struct edit *edit, struct playlist_row *row);

/* All its tracks in order, as call's actor sees them, but those it may not see. visit not 0 ends it
 * and is returned. */
int playlist_walk(struct library *library, struct call *call, const struct playlist_row *row,
                  int (*visit)(void *argument, const json_t *track), void *argument);
/* A track as its route answers it, as an entry of a file. */
int playlist_write_track(struct list_writer *writer, const char *here, const json_t *track);
/* Answers it as a file of the form that is asked for. */
int playlist_export(struct request *request, const struct playlist_row *row);

/* Answers it as a picture. */
int playlist_cover(struct request *request, const struct playlist_row *row);

/* A page of its items, by the request's limit and cursor: {items, next}. */
int playlist_items_page(struct request *request, const struct playlist_row *row, bool for_strangers,
                        json_t **ret_page);
/* What the rules of a smart one find. */
int playlist_smart_find(struct library *library, struct call *call, struct arena *arena,
                        const struct playlist_row *row, struct smart_hits *ret_hits);
int playlist_smart_page(struct request *request, const struct playlist_row *row, bool for_strangers,
                        json_t **ret_page);
/* An item as a page shows it. */
json_t *playlist_item_json(const struct item_row *row, json_t *track, bool for_strangers);
