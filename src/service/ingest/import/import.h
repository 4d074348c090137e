/* The import of folders, among the files of ingest; nobody else includes it.
 *
 *   import.c   a run: its library, its lock, its row, its end
 *   scan.c     the walk: what is new, changed or gone, by a stat a file
 *   read.c     tags of what is new, by tutti-media, many files at once
 *   group.c    which files are an album, and whose
 *   plan.c     what becomes of each file: new, followed, moved, another sound; copies
 *   apply.c    a folder's files in one transaction
 *   rejoin.c   files that came back in another encoding
 *   lists.c    playlists that lie among the music; lists_find.c: their entries among its files
 *   shelf.c    the catalogue's libraries, by paths
 *   sheets.c   cue sheets: files that are many tracks
 *   art.c      covers
 *   names.c    what paths tell
 *   encoding.c text of any encoding
 *   store.c    SQL
 *   follow.c   folders that the role itself follows
 *   watch.c    whether something changed in one
 *   http.c     routes
 *
 * Invariants:
 * 1. A file's row and its track are made in one transaction, and a row's name is unique: a kill, or
 *    two imports at once, make no track twice and forget none.
 * 2. Files outside are only ever read.
 * 3. What can't be read is told and left as it was: nothing is called missing because a folder
 * could not be opened.
 */
#pragma once

#include "service/ingest/import/cue.h"
#include "service/ingest/import/names.h"
#include "service/ingest/import/store.h"
#include "service/ingest/ingest_internal.h"

#include <jansson.h>

struct child;

enum {
    IMPORT_FOLDER_FILES_MAX = 500, /* handled at a time */
    IMPORT_DEPTH_MAX = 64,
    IMPORT_TEXT_BYTES_MAX = 256 * 1024, /* of lyrics beside a file */
    IMPORT_TROUBLES_MAX = 20,           /* lines that are no file's, kept with the run */
    IMPORT_MISSING_FREE = 20,           /* so many may be missing, whatever their part of all is */
};

/* What becomes of a file. */
enum import_action {
    IMPORT_NOTHING, /* dropped by hand, and the same as it was */
    IMPORT_BROKEN,
    IMPORT_ADD,
    IMPORT_FOLLOW, /* the same sound at the same place */
    IMPORT_MOVE,   /* the same sound from another place */
    IMPORT_SOUND,  /* another sound at the same place */
};

struct import_file {
    const char *name, *text;      /* as it is; escaped, with "/01" behind where it is a part */
    const struct cue_track *part; /* NULL: it is all of the file */
    const struct cue *sheet;
    int64_t beside_ns; /* of what lies beside it and tells of it; mtime_ns has it in it */
    int64_t bytes, mtime_ns;
    int64_t row_id;            /* 0: not known at this place */
    const char *code, *reason; /* of a broken one */
    json_t *answer;            /* tutti-media's; owned by the arena */
    json_t *tags;              /* of it */
    const json_t *sound;
    const char *hash;
    bool has_art, differs; /* from what is known; else it is here for the others' sake */
    struct path_names names;
    enum import_action action;
    struct file_row row; /* where action follows one */
    int64_t track_id;
    int version;
    const char *key, *lyrics;
    int group; /* -1: none */
};

struct import_group {
    const char *title, *title_key, *artist, *artist_key, *split;
    const char *artist_sort, *artist_mbid, *mbid;
    bool compilation, shares_title; /* with another group of the folder */
    unsigned first;                 /* a file of it */
    int64_t album_id, artist_id;
    bool fresh; /* the album was made now */
};

/* A cue sheet of the folder. Its tracks' files are the folder's own, or "". */
struct import_sheet {
    const char *name;
    int64_t mtime_ns;
    struct cue cue;
    const char *reason; /* it can't be used; NULL: it can */
    const char *absent; /* a file that it names and that is not there */
};

/* A folder at work. Memory of its arena. */
struct import_folder {
    struct arena *arena;
    int fd;
    const char *path; /* relative, escaped, "" for the library's */
    int64_t id;       /* 0: it has no row yet */
    int64_t shelf_id; /* the library of the catalogue that its music belongs into; 0: none */
    bool reshelved;   /* and another than it was put into */
    struct import_file *files;
    unsigned count;
    struct import_group *groups;
    unsigned group_count;
    const char *cover;   /* the best picture's name, NULL: none */
    const char *picture; /* the only one, whatever it is called */
    unsigned picture_count;
    const struct import_folder *above; /* NULL: it is the library's own */
    const char **words;
    unsigned word_count; /* .lrc files */
    const char **cues;
    unsigned cue_count; /* .cue files */
    const char **lists;
    unsigned list_count; /* playlists */
    struct import_sheet *sheets;
};

/* A playlist of the library. */
struct import_list {
    struct list_row row;
    bool seen, differs; /* in this run; from what is known */
};

/* What a rescan compares. */
struct known_file {
    int64_t folder_id, bytes, mtime_ns, id;
    uint64_t name_hash;
    bool present, seen;
};

struct import_run {
    struct ingest *ingest;
    const struct import_options *options;
    struct import_progress progress;
    struct problem *problem;
    struct library_row library;
    const char *name; /* the library's own */
    const char *root; /* absolute, as it is */
    struct run_row row;
    int64_t told_ms;
    struct child *child;
    struct arena *arena; /* of the run */
    struct known_file *known;
    size_t known_count, known_room;
    int64_t before_ms;          /* when the run before began; 0: there was none */
    int64_t moved_within;       /* of those that moved, from elsewhere in the library */
    struct folder_row *folders; /* sorted by path */
    unsigned folder_count;
    struct import_list *lists;
    unsigned list_count, list_room;
    struct catalog_shelf_folder *shelves;
    unsigned shelf_count;
    const char *unreadable[IMPORT_TROUBLES_MAX]; /* folders whose files are left as they are */
    unsigned unreadable_count;
    bool unreadable_all; /* more than these: nothing is called missing */
    bool held;           /* so many files are gone that none of them is called missing */
    unsigned char name_key[16];
};

/* scan.c: goes through the library. */
int import_scan(struct import_run *run, int root_fd);
/* A line about something that is no file of the library (a folder that can't be opened). */
void import_trouble(struct import_run *run, const char *path, const char *reason);
/* Whether something could not be read there, so that nothing of it is called missing. */
bool import_is_left_alone(const struct import_run *run, const char *folder);
/* Whether the file, whose text, size and time are filled in, has to be looked at; if it is known it
 * is seen now. And that it is not seen: other files are what it was. */
bool import_know(struct import_run *run, const struct import_folder *folder,
                 struct import_file *file);
void import_forget(struct import_run *run, const struct import_folder *folder,
                   const struct import_file *file);
/* Tells whoever asked, at most some times a second, and keeps the row. ERR_CANCELLED: stop. */
int import_tick(struct import_run *run);

/* Whether the walk has come by the row's file, which was known before. */
bool import_has_seen(struct import_run *run, const struct file_row *row);
/* Whether the row's file was there when this run began. */
bool import_was_present(struct import_run *run, const struct file_row *row);

/* rejoin.c: at the end of a walk; how many have to be looked at again. */
int import_rejoin(struct import_run *run, int64_t *ret_joined);

/* recover.c: at the end of a walk; tracks whose renditions could not be made, and not for their
 * file's own sake, get another try if their file was seen. */
int import_recover(struct import_run *run);
/* The row's track does, whatever it failed of; the row goes along (catalog_track_again, whose
 * errors these are). */
int import_try_again(struct db_session *session, struct call *call, struct file_row *row,
                     bool at_once);

/* read.c: fills answer, or code and reason, of all files. */
int import_read(struct import_run *run, struct import_folder *folder);
/* The picture in a file into a descriptor; its bytes, 0: there is none. */
int import_read_picture(struct import_run *run, int file_fd, int out_fd, int64_t *ret_bytes);

/* group.c */
int import_group(struct import_run *run, struct import_folder *folder);
/* Where a file's artists are: its tags', else by its path, else the group's. */
const char *import_first_artist(const struct import_file *file);
static inline const char *import_tag(const struct import_file *file, const char *name)
{
    const char *text = json_string_value(json_object_get(file->tags, name));
    return text != NULL ? text : "";
}

/* plan.c */
int import_plan(struct import_run *run, struct import_folder *folder);
/* The absolute path of a file by its row, as it is. */
const char *import_path_of(struct arena *arena, const struct file_row *row);

/* shelf.c: what folder belongs into which library of the catalogue, by its path. */
int import_shelves_load(struct db_session *session, struct import_run *run);
int64_t import_shelf_of(const struct import_run *run, const char *folder);
/* Once all of the folder's files were applied. */
int import_shelf_keep(struct import_run *run, const struct import_folder *folder);
/* The key as others of the same library have it, since nothing is joined across libraries. */
const char *import_shelf_key(const struct import_folder *folder, const char *key);
/* What a file leaves behind in another library than shelf_id: note before, forsake after. */
struct import_left {
    int64_t albums[64], artists[256];
    unsigned album_count, artist_count;
};
int import_left_note(struct db_session *session, struct call *call, int64_t track_id,
                     int64_t shelf_id, struct import_left *left);
int import_left_forsake(struct db_session *session, struct call *call,
                        const struct import_left *left);

/* apply.c */
int import_apply(struct import_run *run, struct import_folder *folder);

/* sheets.c: reads the folder's sheets; finds the files they name among the folder's; tells of
 * those that can't be used. */
int import_cue_open(struct import_folder *folder);
void import_cue_resolve(struct import_folder *folder, const char *const *names, unsigned count);
void import_cue_tell(struct import_run *run, const struct import_folder *folder);
/* The sheet that parts the file, and into how many; NULL and 1: none does. */
const struct import_sheet *import_cue_of(const struct import_folder *folder, const char *name,
                                         unsigned *ret_count);
/* Where a sheet tells of files of one track each, what it says of the file stands for what its path
 * does; and when it did, 0: none does. */
void import_cue_name(const struct import_folder *folder, struct import_file *file);
int64_t import_cue_time(const struct import_folder *folder, const struct import_file *file);
/* Makes the file the sheet's index-th track of it. */
int import_cue_part(struct import_folder *folder, const struct import_sheet *sheet, unsigned index,
                    struct import_file *file);
/* Once its tags were read: what the sheet says of the part; or why it is broken. */
int import_cue_apply(struct import_folder *folder, struct import_file *file);
/* Once tags were read: files whose own tags have a sheet become its tracks. */
int import_cue_unfold(struct import_run *run, struct import_folder *folder);

/* art.c: covers for albums of the folder that were made now; and, where a picture came to its files
 * since the last run, for those that still have none. */
int import_art(struct import_run *run, struct import_folder *folder);
int import_art_late(struct import_run *run, struct import_folder *folder);

/* lists.c: what is known of the library's playlists; those of a folder, as the walk passes it; and
 * once all was walked, what becomes of them. */
bool import_is_list(const char *name);
int import_lists_load(struct import_run *run);
int import_lists_note(struct import_run *run, struct import_folder *folder);
int import_lists(struct import_run *run, int root_fd);
