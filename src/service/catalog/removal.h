/* Deleting: hidden at once, a tombstone without text in the same transaction, objects removed later
 * by the cleanup rows it leaves (cleanup.c). An album takes its tracks along, an artist its
 * albums, its tracks on others' albums, and its name from the credits of others' tracks.
 */
#pragma once

#include "service/catalog/change.h"

int remove_track(struct db_session *session, struct change *change, int64_t id);
int remove_album(struct db_session *session, struct change *change, int64_t id);
int remove_artist(struct db_session *session, struct change *change, int64_t id);
/* The objects of one version, or of one picture, go after the grace. */
int remove_version_objects(struct db_session *session, int64_t track_id, int64_t version,
                           int64_t now_ms);
int remove_art(struct db_session *session, int64_t art_id, int64_t now_ms);
