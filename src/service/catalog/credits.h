/* The artists that a track is credited to beside its own: rows of track_artist, and the list that
 * its details show. Both inside a write; they say what changed. */
#pragma once

#include "service/catalog/change.h"

/* Others' tracks show another name of the artist. */
int credits_rename(struct db_session *session, struct change *change, int64_t artist_id,
                   const char *name);
/* Others' tracks are not credited to the artist any more. What their releases say of it in words
 * (credit) stays. */
int credits_remove(struct db_session *session, struct change *change, int64_t artist_id);
