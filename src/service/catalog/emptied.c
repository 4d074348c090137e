/* Hiding what imports left empty (emptied.h). */
#include "service/catalog/emptied.h"

#include "service/catalog/change.h"
#include "service/catalog/emptied_store.h"

#include "base/error.h"

int emptied_album(struct db_session *session, int64_t album_id)
{
    int hidden = emptied_album_set(session, album_id, true);
    if (hidden <= 0) {
        return hidden;
    }
    int error = genre_follow_status(session, album_id);
    int64_t artist_id = 0;
    error = error != 0 ? error : emptied_artist_of_album(session, album_id, &artist_id);
    const struct emptied_artists artist = {.ids = &artist_id, .count = 1};
    return error != 0 ? error : emptied_artists_hide(session, &artist);
}

int emptied_album_refill(struct db_session *session, int64_t album_id)
{
    int shown = emptied_album_set(session, album_id, false);
    if (shown <= 0) {
        return shown;
    }
    int error = genre_follow_status(session, album_id);
    return error != 0 ? error : track_publish_of_album(session, album_id, true);
}

int emptied_artists_hide(struct db_session *session, const struct emptied_artists *artists)
{
    for (unsigned i = 0; i < artists->count; i++) {
        int hidden = emptied_artist_set(session, artists->ids[i]);
        int error = hidden > 0
                        ? change_emit(session, CATALOG_ARTIST, artists->ids[i], "artist.changed")
                        : hidden;
        if (error != 0) {
            return error;
        }
    }
    return 0;
}
