/* What paths tell of music, and paths as text. Pure functions; memory comes from the arena, NULL
 * means it is out of memory. */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of a path as text that any database and JSON hold, and back: what is no UTF-8, control
 * characters and "%" stand as %XX. */
const char *path_escape(struct arena *arena, const char *path);
const char *path_unescape(struct arena *arena, const char *text);

/* What a file is called by its path, where its tags say nothing. "" or 0: the path does not say. */
struct path_names {
    const char *artist, *album, *title;
    const char *disc_title;   /* of "CD 2 - Night" */
    const char *album_artist; /* what a cue sheet beside it says; paths do not */
    int64_t disc, number;
    char year[5];
    bool various; /* its folder says that several artists made the album */
};
/* library: the library's own name (its folder's), for files that lie in it; folder: relative, ""
 * for itself; file: the name with its extension; all as of path_escape. The names are as people
 * read them: nothing is escaped, and bytes that are no UTF-8 are taken for Windows-1252. title and
 * album are never "". */
int path_names(struct arena *arena, const char *library, const char *folder, const char *file,
               struct path_names *ret_names);
/* The folder an album is in: without a last part such as "CD 2", or an end such as "(Disc 2)"; its
 * disc's number, 0 for none. */
const char *path_album_folder(struct arena *arena, const char *folder, int64_t *ret_disc);

/* "Album (Disc 2: Night)", "Album [CD2]", "Album - CD 2": how long the title is without its mark;
 * 0: it has none, and nothing is returned. */
struct path_disc {
    int64_t number;
    const char *subtitle; /* within the title, "" none */
    size_t subtitle_length;
};
size_t path_disc_mark(const char *title, struct path_disc *ret_disc);

/* Whether a file is sound, by its extension; the MIME type players go by, NULL: it is none. */
const char *path_sound_type(const char *file);
/* How good a picture is as a cover, by its name: 0 none, 1 the best. */
unsigned path_cover_rank(const char *file);
/* Whether a picture could be the cover where it is the only one of its folder, by its name. */
bool path_may_be_cover(const char *file);
/* Lyrics of a file beside the sound, of any length and encoding (encoding.h): clean text; NULL:
 * there are none. */
const char *lrc_text(struct arena *arena, const char *bytes, size_t length);
