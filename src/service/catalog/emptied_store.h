/* SQL behind emptied.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct db_session;

/* 1: the album was published and is empty now (or the other way round), 0: nothing to do. */
int emptied_album_set(struct db_session *session, int64_t album_id, bool empty);
int emptied_artist_of_album(struct db_session *session, int64_t album_id, int64_t *ret_artist_id);
/* 1: an imported artist of whom nothing is left is out of the index now, 0: nothing to do. */
int emptied_artist_set(struct db_session *session, int64_t artist_id);
