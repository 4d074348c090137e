/* What the media pipeline reports, applied to tracks, versions and pictures. Each function is the
 * effect of one event, inside one write; done again, or come late, it changes nothing. Where it
 * says so in *ret_track (else 0s), that track and its album changed. */
#pragma once

#include "service/catalog/catalog_rows.h"

#include <jansson.h>

struct media_effect {
    struct arena *arena;
    int64_t now_ms;
    int64_t track_id, album_id; /* changed; 0: nothing did */
    int64_t artist_id;          /* its image changed */
};

int media_started(struct db_session *session, struct media_effect *effect, int64_t track_id,
                  int64_t version);
int media_probed(struct db_session *session, struct media_effect *effect,
                 const struct version_row *probe);
int media_rendition(struct db_session *session, struct media_effect *effect, int64_t track_id,
                    int64_t version, const struct rendition *rendition);
int media_complete(struct db_session *session, struct media_effect *effect, int64_t track_id,
                   int64_t version);
int media_failed(struct db_session *session, struct media_effect *effect, int64_t track_id,
                 int64_t version, const char *code, const char *reason);
int media_art_ready(struct db_session *session, struct media_effect *effect, int64_t art_id,
                    int64_t width, int64_t height);
int media_art_failed(struct db_session *session, struct media_effect *effect, int64_t art_id,
                     const char *reason);
/* What answers show of a version's renditions, from their rows. *ret_playable: AAC 160 is there. */
int media_count(struct db_session *session, struct arena *arena, int64_t track_id, int64_t version,
                bool *ret_playable);
