/* SQL of what imports alone write (import.c), one function a statement. */
#pragma once

#include "service/catalog/catalog_rows.h"

struct catalog_sound;

/* What answers show of a version that has its original alone. (import.c) */
const char *catalog_original_summary(struct arena *arena, int64_t bytes, const char *mime);

int import_artist_set(struct db_session *session, int64_t id, const char *mbid, int64_t shelf_id);
/* Who has the artist, and with it all of its music. */
int import_artist_owner_set(struct db_session *session, int64_t id, int64_t user_id,
                            int64_t now_ms);
/* Against whose quota the files of its albums count. */
int import_files_owner_set(struct db_session *session, int64_t artist_id, int64_t user_id);
/* Whether no living album and no living track is left with it. */
int import_artist_is_bare(struct db_session *session, int64_t id, bool *ret_bare);
int import_album_set(struct db_session *session, const struct album_row *row);
int import_track_set(struct db_session *session, int64_t id, const char *details,
                     const char *title_key, const char *recording_mbid);
/* Since somebody else changed: its answer is stale from here on. */
int import_details_set(struct db_session *session, int64_t id, const char *details);
/* A version that plays as it is. summary: the JSON of its one rendition. */
int import_version_insert(struct db_session *session, const struct version_row *row, bool outside);
int import_version_file(struct db_session *session, int64_t track_id, int64_t version,
                        const char *filename, int64_t bytes);
int import_rendition_bytes(struct db_session *session, int64_t track_id, int64_t version,
                           int64_t bytes);
/* The version with its original alone, of the same file, as another version. */
int import_version_again(struct db_session *session, const struct version_row *row,
                         int64_t new_version);
struct catalog_rungs;
/* Of versions that no work goes on at, and whose file stays outside and has a rendition of its own.
 */
int import_rungs_list(struct db_session *session, struct arena *arena, unsigned limit,
                      struct catalog_rungs **ret_rows, unsigned *ret_count);
struct catalog_failed;
/* catalog_failed_list */
int import_failed_list(struct db_session *session, struct arena *arena, int64_t after_id,
                       unsigned limit, struct catalog_failed **ret_rows, unsigned *ret_count);
int import_missing_set(struct db_session *session, int64_t track_id, bool missing);
/* Without a client's write: its answer is stale from here on. */
int import_working_set(struct db_session *session, int64_t track_id);
int track_artist_insert(struct db_session *session, int64_t track_id, int64_t artist_id,
                        int64_t place);
int track_artist_delete(struct db_session *session, int64_t track_id);
/* The artist is credited on nothing any more. */
int track_artist_leave(struct db_session *session, int64_t artist_id);
int track_ids_credited(struct db_session *session, struct arena *arena, int64_t artist_id,
                       int64_t **ret_ids, unsigned *ret_count);
