/* What the files with SQL of albums share. */
#pragma once

#include "service/catalog/catalog_rows.h"

struct db_rows;

#define ALBUM_COLUMNS                                                                              \
    "SELECT a.id, a.artist_id, r.owner_user_id, r.name, a.title, a.title_key, a.type, a.status, "  \
    "a.release_date, a.genres, a.cover_art_id, a.pending_art_id, a.track_count, a.duration_ms, "   \
    "a.working, a.lufs, a.peak_db, a.revision, a.created_at, a.updated_at, a.stale, "              \
    "a.sort_title, a.original_date, a.mbid, a.group_mbid, a.disc_titles, a.shelf_id "
#define ALBUM_SELECT                                                                               \
    ALBUM_COLUMNS "FROM album a JOIN artist r ON r.id = a.artist_id WHERE a.deleted_at IS NULL "
/* Lists look among what everybody sees, or on a shelf, which the value of the place given names. */
#define ALBUM_ON(shelf_id, place, rest)                                                            \
    ((shelf_id) == 0 ? ALBUM_SELECT "AND a.status = 'published' AND CAST($" #place                 \
                                    " AS BIGINT) = 0 " rest                                        \
                     : ALBUM_SELECT "AND a.status = 'shelved' AND a.shelf_id = $" #place           \
                                    " AND a.shelf_id <> 0 " rest)
/* What a list by year is ordered by; the index album_by_year is on this very expression. */
#define ALBUM_DATE "(CASE WHEN a.original_date <> '' THEN a.original_date ELSE a.release_date END)"

/* Rows of ALBUM_SELECT. Closes the cursor. */
int album_collect(struct db_rows *rows, struct arena *arena, unsigned limit,
                  struct album_list *ret_list);
