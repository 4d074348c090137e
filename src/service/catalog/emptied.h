/* Imported music that nothing is left of: an album whose tracks are all on others now (their tags
 * were written anew) or were deleted, an artist without album, track or credit. It is hidden, not
 * removed: the same music may come back, and with it the id, marks and plays. What somebody made by
 * hand is never hidden, empty or not.
 *
 *   album   status 'empty': for its owner and admins alone, like a draft, and in no list. The first
 *           track that is put into it publishes it again (album_refresh).
 *   artist  no key in the index: not in the index, not found. Still there for whoever has the id.
 *
 * All run inside the transaction that changed what is left.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct call;
struct db_session;

/* After an import took tracks from the album, or the last of its imported tracks was deleted. */
int emptied_album(struct db_session *session, int64_t album_id);
/* A track is in the album again. */
int emptied_album_refill(struct db_session *session, int64_t album_id);

/* Everybody a track, or an album and its tracks, is credited to: to be read before a change, and
 * looked at after it. */
struct emptied_artists {
    int64_t *ids;
    unsigned count;
};
int emptied_artists_of_track(struct db_session *session, struct arena *arena, int64_t track_id,
                             struct emptied_artists *ret_artists);
int emptied_artists_of_album(struct db_session *session, struct arena *arena, int64_t album_id,
                             struct emptied_artists *ret_artists);
int emptied_artists_hide(struct db_session *session, const struct emptied_artists *artists);
