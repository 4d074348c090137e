/* What a playlist's file says, as files of the library (lists_find.c); among the files of the
 * import. Nothing is opened by what an entry says: it is a text that is looked up among known
 * files. */
#pragma once

#include "service/ingest/import/import.h"
#include "service/library/formats/list_file.h"

enum { LIST_UNFOUND_MAX = 50 }; /* listed of a file; the others are counted */

/* The library's files by folder, of which those are read that somebody's entries name. */
struct listed_folder {
    const char *folded, *path;
    int64_t id;
    bool loaded;
    struct listed_file *files; /* in the order of their folded names */
    unsigned count;
};
struct listed_library {
    struct arena *arena, *scratch; /* scratch: of the list at hand */
    struct db *db;
    const char *root; /* absolute, escaped; "" for the system's */
    struct listed_folder *folders;
    unsigned folder_count;
};
int listed_open(struct listed_library *library, struct import_run *run);

/* Where a location leads: relative to the library's folder, escaped as its names are. list_folder
 * is the playlist's own, likewise. NULL with the reason in words. Of the library it takes root and
 * scratch; nothing is opened. */
const char *listed_place(const struct listed_library *library, enum list_format format,
                         const char *list_folder, const char *location, const char **ret_reason);

/* Memory is the scratch. The tracks of the file at path (relative, escaped), in its order, and what
 * was not found. */
struct listed_tracks {
    int64_t *ids;
    unsigned count, found; /* found: entries */
    json_t *unfound;       /* of LIST_UNFOUND_MAX at most; owned */
    const char *first;     /* the first of them, for people; NULL: all were found */
};
int listed_find(struct listed_library *library, const char *path, enum list_format format,
                const struct list_file *file, struct listed_tracks *ret_tracks);
