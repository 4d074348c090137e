/* Deleting (removal.h). */
#include "service/catalog/removal.h"

#include "backend/blob/blob.h"
#include "service/catalog/album.h"
#include "service/catalog/credits.h"
#include "service/catalog/emptied.h"
#include "service/catalog/import_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int remove_version_objects(struct db_session *session, int64_t track_id, int64_t version,
                           int64_t now_ms)
{
    char prefix[64];
    (void)snprintf(prefix, sizeof prefix, "m/%" PRId64 "/%" PRId64 "/", track_id, version);
    int error = version_remove(session, track_id, version, now_ms);
    return error != 0
               ? error
               : cleanup_insert(session, BLOB_MEDIA, prefix, now_ms + CATALOG_OBJECT_GRACE_MS);
}

int remove_art(struct db_session *session, int64_t art_id, int64_t now_ms)
{
    if (art_id == 0) {
        return 0;
    }
    char prefix[64];
    (void)snprintf(prefix, sizeof prefix, "art/%" PRId64 "/", art_id);
    int error = art_bury(session, art_id, now_ms);
    return error != 0
               ? error
               : cleanup_insert(session, BLOB_MEDIA, prefix, now_ms + CATALOG_OBJECT_GRACE_MS);
}

/* The track alone; whoever calls counts the album anew. */
static int bury_track(struct db_session *session, struct change *change, int64_t id)
{
    char prefix[64];
    (void)snprintf(prefix, sizeof prefix, "m/%" PRId64 "/", id);
    int error = track_bury(session, id, change->now_ms);
    if (error == 0) {
        error = lyrics_delete(session, id);
    }
    if (error == 0) {
        error = track_artist_delete(session, id);
    }
    if (error == 0) {
        error = version_remove_all(session, id, change->now_ms);
    }
    if (error == 0) {
        error =
            cleanup_insert(session, BLOB_MEDIA, prefix, change->now_ms + CATALOG_OBJECT_GRACE_MS);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_TRACK, id, "track.deleted");
    }
    return error != 0 ? error : change_touch_gone(change, id);
}

/* Out of its album, which is to be settled, and whoever has nothing left out of the index. */
static int take_track(struct db_session *session, struct change *change, int64_t id,
                      struct track_row *ret_row)
{
    struct emptied_artists artists = {0};
    int error = track_get(session, change->call->arena, id, ret_row);
    if (error == 0) {
        error = emptied_artists_of_track(session, change->call->arena, id, &artists);
    }
    if (error == 0) {
        error = bury_track(session, change, id);
    }
    return error != 0 ? error : emptied_artists_hide(session, &artists);
}

/* The album that the track was taken from. What was imported has credits; an artist may take back
 * what was uploaded, and the album stays. */
static int settle_album(struct db_session *session, struct change *change,
                        const struct track_row *taken)
{
    bool imported = strcmp(taken->details, "{}") != 0;
    int error = album_touch(session, taken->album_id, change->now_ms);
    if (error == 0) {
        error = album_refresh(session, taken->album_id);
    }
    if (error == 0 && imported) {
        error = emptied_album(session, taken->album_id);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_ALBUM, taken->album_id, "album.changed");
    }
    return error != 0 ? error : change_touch(change, CATALOG_ALBUM, taken->album_id);
}

int remove_track(struct db_session *session, struct change *change, int64_t id)
{
    struct track_row row;
    int error = take_track(session, change, id, &row);
    return error != 0 ? error : settle_album(session, change, &row);
}

int remove_album(struct db_session *session, struct change *change, int64_t id)
{
    struct album_row row;
    int64_t *tracks = NULL;
    unsigned count = 0;
    struct emptied_artists artists = {0};
    int error = album_get(session, change->call->arena, id, &row);
    if (error == 0) {
        error = emptied_artists_of_album(session, change->call->arena, id, &artists);
    }
    if (error == 0) {
        error = track_ids_of_album(session, change->call->arena, id, &tracks, &count);
    }
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = bury_track(session, change, tracks[i]);
    }
    if (error == 0) {
        error = genre_unlink_album(session, id);
    }
    if (error == 0) {
        error = remove_art(session, row.cover_art_id, change->now_ms);
    }
    if (error == 0) {
        error = remove_art(session, row.pending_art_id, change->now_ms);
    }
    if (error == 0) {
        error = album_bury(session, id, change->now_ms);
    }
    if (error == 0) {
        error = emptied_artists_hide(session, &artists);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_ALBUM, id, "album.deleted");
    }
    return error != 0 ? error : change_touch(change, CATALOG_ALBUM, id);
}

/* The artist's tracks on others' albums, each of which is counted anew once. */
static int remove_elsewhere(struct db_session *session, struct change *change, int64_t artist_id)
{
    struct track_row row, last = {0};
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = catalog_ids_elsewhere(session, change->call->arena, artist_id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = take_track(session, change, ids[i], &row);
        if (error == 0 && last.album_id != 0 && last.album_id != row.album_id) {
            error = settle_album(session, change, &last);
        }
        last = row;
    }
    return error != 0 || count == 0 ? error : settle_album(session, change, &last);
}

int remove_artist(struct db_session *session, struct change *change, int64_t id)
{
    struct artist_row row;
    int64_t *albums = NULL;
    unsigned count = 0;
    int error = artist_get(session, change->call->arena, id, &row);
    if (error == 0) {
        error = album_ids_of_artist(session, change->call->arena, id, &albums, &count);
    }
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = remove_album(session, change, albums[i]);
    }
    if (error == 0) {
        error = remove_elsewhere(session, change, id);
    }
    if (error == 0) {
        error = credits_remove(session, change, id);
    }
    if (error == 0) {
        error = remove_art(session, row.image_art_id, change->now_ms);
    }
    if (error == 0) {
        error = remove_art(session, row.pending_art_id, change->now_ms);
    }
    if (error == 0) {
        error = artist_bury(session, id, change->now_ms);
    }
    if (error == 0) {
        error = change_emit(session, CATALOG_ARTIST, id, "artist.deleted");
    }
    return error != 0 ? error : change_touch(change, CATALOG_ARTIST, id);
}
