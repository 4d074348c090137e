/* Entries of playlists found among the library's files (lists.h). A location is a path, as some
 * program on some machine wrote it: relative to the playlist's folder, or absolute and then within
 * the library; with slashes or backslashes, "file://" in front or not. It is compared with names
 * folded (case, normal forms), since file systems differ in them; of several that fold alike the
 * one that is the same to the byte is meant. A file that a cue sheet parts stands for all its
 * parts. */
#include "service/ingest/import/lists.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TRACKS_MAX = LIST_ENTRIES_MAX };

static const char *const outside = "It points outside of the library";
static const char *const nowhere = "There is no such file in the library";

/* --- the library --- */

static int compare_folders(const void *a, const void *b)
{
    const struct listed_folder *left = a, *right = b;
    return strcmp(left->folded, right->folded);
}

static int compare_files(const void *a, const void *b)
{
    const struct listed_file *left = a, *right = b;
    int order = strcmp(left->folded, right->folded);
    return order != 0 ? order : strcmp(left->name, right->name);
}

struct opening {
    struct listed_library *library;
    int64_t library_id;
    struct folder_row *rows;
};

static int open_work(struct db_session *session, void *argument)
{
    struct opening *opening = argument;
    return folder_list(session, opening->library->arena, opening->library_id, &opening->rows,
                       &opening->library->folder_count);
}

int listed_open(struct listed_library *library, struct import_run *run)
{
    struct opening opening = {.library = library, .library_id = run->library.id};
    library->db = run->ingest->config.db;
    library->root = run->library.path;
    int error = db_read(library->db, open_work, &opening);
    library->folders = error == 0 ? arena_array(library->arena, library->folder_count + 1,
                                                sizeof *library->folders)
                                  : NULL;
    if (library->folders == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < library->folder_count; i++) {
        struct listed_folder *folder = &library->folders[i];
        *folder = (struct listed_folder){.id = opening.rows[i].id,
                                         .path = opening.rows[i].path,
                                         .folded = text_fold(library->arena, opening.rows[i].path)};
        if (folder->folded == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    if (library->folder_count > 1) {
        qsort(library->folders, library->folder_count, sizeof *library->folders, compare_folders);
    }
    return 0;
}

struct loading {
    struct listed_library *library;
    struct listed_folder *folder;
};

static int load_work(struct db_session *session, void *argument)
{
    struct loading *loading = argument;
    return file_list(session, loading->library->arena, loading->folder->id, &loading->folder->files,
                     &loading->folder->count);
}

static int load(struct listed_library *library, struct listed_folder *folder)
{
    struct loading loading = {.library = library, .folder = folder};
    int error = db_read(library->db, load_work, &loading);
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        folder->files[i].folded = text_fold(library->arena, folder->files[i].name);
        error = folder->files[i].folded != NULL ? 0 : ERR_NO_MEMORY;
    }
    if (error == 0 && folder->count > 1) {
        qsort(folder->files, folder->count, sizeof *folder->files, compare_files);
    }
    folder->loaded = error == 0;
    return error;
}

/* --- paths --- */

/* "%20" and its like; in place. */
static void decode(char *text)
{
    char *out = text;
    for (; *text != '\0'; out++) {
        const char digits[3] = {text[0] == '%' ? text[1] : '\0', text[1] != '\0' ? text[2] : '\0'};
        char *end = NULL;
        long byte = strtol(digits, &end, 16);
        bool coded = text[0] == '%' && end == digits + 2 && byte > 0 && digits[0] != ' ' &&
                     digits[0] != '+' && digits[0] != '-';
        *out = coded ? (char)byte : *text;
        text += coded ? 3 : 1;
    }
    *out = '\0';
}

/* The location as a path of this system, where it is one; else NULL. */
static char *path_of(struct arena *arena, enum list_format format, const char *location)
{
    static const char scheme[] = "file://";
    bool address = strncasecmp(location, scheme, strlen(scheme)) == 0;
    if (address) {
        location += strlen(scheme);
        location += strcspn(location, "/"); /* the host */
    } else if (strstr(location, "://") != NULL) {
        return NULL;
    }
    char *path = arena_strdup(arena, location);
    if (path != NULL && (address || format == LIST_XSPF || format == LIST_JSPF)) {
        decode(path);
    }
    for (char *at = path; at != NULL && *at != '\0'; at++) {
        *at = *at == '\\' ? '/' : *at;
    }
    return path;
}

/* Without "." and "..", as the system goes them; absolute, without a slash in front. */
static const char *normal(struct arena *arena, const char *path)
{
    char *parts = arena_strdup(arena, path), *whole = arena_strdup(arena, path), *save = NULL;
    char *end = whole;
    if (parts == NULL || whole == NULL) {
        return NULL;
    }
    *end = '\0';
    for (char *part = strtok_r(parts, "/", &save); part != NULL;
         part = strtok_r(NULL, "/", &save)) {
        if (strcmp(part, "..") == 0) {
            char *slash = strrchr(whole, '/');
            end = slash != NULL ? slash : whole;
            *end = '\0';
        } else if (strcmp(part, ".") != 0) {
            *end = '/';
            end += end != whole;
            memcpy(end, part, strlen(part) + 1);
            end += strlen(part);
        }
    }
    return whole;
}

const char *listed_place(const struct listed_library *library, enum list_format format,
                         const char *list_folder, const char *location, const char **ret_reason)
{
    struct arena *arena = library->scratch;
    const char *path = path_of(arena, format, location);
    *ret_reason = path != NULL ? outside : "It is an address, not a file";
    if (path == NULL || (path[0] != '\0' && path[1] == ':')) { /* a drive of Windows */
        return NULL;
    }
    const char *text = path_escape(arena, path);
    if (text != NULL && text[0] != '/') {
        text = arena_printf(arena, "%s/%s/%s", library->root, list_folder, text);
    }
    const char *root = normal(arena, library->root);
    text = text != NULL && root != NULL ? normal(arena, text) : NULL;
    size_t length = root != NULL ? strlen(root) : 0;
    if (text == NULL || strncmp(text, root, length) != 0) {
        return NULL;
    }
    return length == 0 ? text : text[length] == '/' ? text + length + 1 : NULL;
}

/* --- entries --- */

static int find_folder(struct listed_library *library, const char *path,
                       struct listed_folder **ret_folder)
{
    const struct listed_folder wanted = {.folded = text_fold(library->scratch, path)};
    struct listed_folder *first = library->folders, *found = NULL;
    if (wanted.folded == NULL) {
        return ERR_NO_MEMORY;
    }
    found = bsearch(&wanted, first, library->folder_count, sizeof *first, compare_folders);
    while (found != NULL && found > first && strcmp(found[-1].folded, wanted.folded) == 0) {
        found--;
    }
    *ret_folder = found;
    for (const struct listed_folder *end = first + library->folder_count;
         found != NULL && found < end && strcmp(found->folded, wanted.folded) == 0; found++) {
        *ret_folder = strcmp(found->path, path) == 0 ? found : *ret_folder;
    }
    return *ret_folder != NULL && !(*ret_folder)->loaded ? load(library, *ret_folder) : 0;
}

/* The first of the folder's files whose folded name is not before the one wanted. */
static unsigned lower_bound(const struct listed_folder *folder, const char *folded)
{
    unsigned low = 0, high = folder->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (strcmp(folder->files[middle].folded, folded) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* NULL, or why it is none of the playlist. */
static const char *take(struct listed_tracks *tracks, const struct listed_file *file)
{
    if (strcmp(file->state, "dropped") == 0) {
        return "Its track was deleted here";
    }
    if (file->track_id == 0) {
        return file->reason[0] != '\0' ? file->reason : nowhere;
    }
    if (tracks->count == TRACKS_MAX) {
        return "The playlist is full";
    }
    tracks->ids[tracks->count++] = file->track_id;
    return NULL;
}

/* Those that a cue sheet made of the file. NULL: any was taken. */
static const char *take_parts(struct listed_tracks *tracks, const struct listed_folder *folder,
                              unsigned at, const char *folded)
{
    const char *reason = nowhere;
    size_t length = strlen(folded);
    for (bool any = false; at < folder->count; at++) {
        const struct listed_file *file = &folder->files[at];
        if (strncmp(file->folded, folded, length) != 0) {
            break;
        }
        if (file->folded[length] == '/') {
            const char *one = take(tracks, file);
            any = any || one == NULL;
            reason = any ? NULL : one;
        }
    }
    return reason;
}

static const char *take_named(struct listed_tracks *tracks, const struct listed_folder *folder,
                              const char *name, const char *folded)
{
    const struct listed_file *same = NULL;
    unsigned at = lower_bound(folder, folded);
    for (; at < folder->count && strcmp(folder->files[at].folded, folded) == 0; at++) {
        bool exact = strcmp(folder->files[at].name, name) == 0;
        same = same == NULL || exact ? &folder->files[at] : same;
    }
    bool present = same != NULL && strcmp(same->state, "present") == 0;
    const char *reason = present ? nowhere : take_parts(tracks, folder, at, folded);
    return reason != NULL && same != NULL ? take(tracks, same) : reason;
}

static int find_entry(struct listed_library *library, struct listed_tracks *tracks,
                      const char *place, const char **ret_reason)
{
    const char *slash = strrchr(place, '/'), *name = slash != NULL ? slash + 1 : place;
    const char *path =
        arena_strndup(library->scratch, place, slash != NULL ? (size_t)(slash - place) : 0);
    const char *folded = text_fold(library->scratch, name);
    struct listed_folder *folder = NULL;
    int error =
        path != NULL && folded != NULL ? find_folder(library, path, &folder) : ERR_NO_MEMORY;
    *ret_reason = nowhere;
    if (error == 0 && folder != NULL && name[0] != '\0') {
        *ret_reason = take_named(tracks, folder, name, folded);
    }
    return error;
}

static void note_unfound(struct listed_library *library, struct listed_tracks *tracks,
                         const struct list_entry *entry, const char *reason)
{
    if (tracks->first == NULL) {
        tracks->first = arena_printf(library->scratch, "line %u, \"%.200s\": %s", entry->line,
                                     entry->location, reason);
    }
    if (json_array_size(tracks->unfound) < LIST_UNFOUND_MAX) {
        (void)json_array_append_new(tracks->unfound,
                                    json_pack("{s:i, s:s, s:s}", "line", (int)entry->line,
                                              "location", entry->location, "reason", reason));
    }
}

int listed_find(struct listed_library *library, const char *path, enum list_format format,
                const struct list_file *file, struct listed_tracks *ret_tracks)
{
    const char *slash = strrchr(path, '/');
    const char *folder =
        arena_strndup(library->scratch, path, slash != NULL ? (size_t)(slash - path) : 0);
    ret_tracks->ids = arena_array(library->scratch, TRACKS_MAX, sizeof *ret_tracks->ids);
    int error = folder != NULL && ret_tracks->ids != NULL ? 0 : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < file->count; i++) {
        const struct list_entry *entry = &file->entries[i];
        const char *reason = NULL;
        const char *place = listed_place(library, format, folder, entry->location, &reason);
        error = place != NULL ? find_entry(library, ret_tracks, place, &reason) : 0;
        ret_tracks->found += error == 0 && reason == NULL;
        if (error == 0 && reason != NULL) {
            note_unfound(library, ret_tracks, entry, reason);
        }
    }
    return error;
}
