/* The handlers of the catalog's routes (routes.c has the table) and what they share. */
#pragma once

#include "net/http.h"

/* sort=created (true) or sort=<other> (false, also when absent). */
int query_sort(struct request *request, const char *other, bool *ret_created);

int artist_list_get(struct request *request);
int artist_index_get(struct request *request);
int artist_post(struct request *request);
int artist_get_one(struct request *request);
int artist_patch(struct request *request);
int artist_delete(struct request *request);
int artist_owner_put(struct request *request);
int me_artist_post(struct request *request);

int album_list_get(struct request *request);
int album_list_of_artist_get(struct request *request);
int album_post(struct request *request);
int album_get_one(struct request *request);
int album_patch(struct request *request);
int album_delete(struct request *request);

int track_list_get(struct request *request);
int track_list_of_album_get(struct request *request);
int track_get_one(struct request *request);
int track_delete(struct request *request);
int lyrics_get_one(struct request *request);
int lyrics_put_one(struct request *request);
int lyrics_delete_one(struct request *request);
int waveform_get(struct request *request);
int genre_list_get(struct request *request);

int shelf_list_get(struct request *request);
int shelf_post(struct request *request);
int shelf_patch(struct request *request);
int shelf_delete(struct request *request);

int cover_put(struct request *request);
int cover_delete(struct request *request);
int image_put(struct request *request);
int image_delete(struct request *request);
int art_get_one(struct request *request);
