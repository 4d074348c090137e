/* SQL of what names a track from outside (match.c): candidates, at most MATCH_CANDIDATES_MAX.
 * Inside a read; text in the arena. */
#pragma once

#include "service/catalog/catalog.h"

enum { MATCH_CANDIDATES_MAX = 100 };

struct match_candidate {
    int64_t id, duration_ms;
    const char *artist, *album, *details;
};
struct match_list {
    struct match_candidate *rows;
    unsigned count;
};

int match_by_recording(struct db_session *session, struct arena *arena, const char *mbid,
                       struct match_list *ret_list);
int match_by_isrc(struct db_session *session, struct arena *arena, const char *isrc,
                  struct match_list *ret_list);
/* Published ones of a title, those by an artist of that name or key first. */
int match_by_title(struct db_session *session, struct arena *arena, const char *title_key,
                   const char *artist, const char *artist_key, struct match_list *ret_list);
