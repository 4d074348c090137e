/* Playlists that lie among the music (import.h): noted as the walk passes them, and read once all
 * of the library's files are known, since they may name any. One that is new or another than before
 * becomes a playlist of the library's owner (library_list_follow); so does one of whose entries
 * some were not found, once files came. Its row is written before and after, and tells the playlist
 * by its own id, so that whatever a kill leaves is done again and nothing twice. Runs on the
 * import's thread. */
#include "service/ingest/import/lists.h"

#include "backend/rights.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "service/library/library.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIBRARY_BYTES_MAX = 256 << 20, LIST_BYTES_MAX = 128 << 20, LISTS_MAX = 5000 };

/* By its ending. */
static bool format_of(const char *name, enum list_format *ret_format)
{
    char word[8] = "";
    const char *dot = strrchr(name, '.');
    size_t length = dot != NULL ? strlen(dot + 1) : 0;
    if (length == 0 || length >= sizeof word) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        word[i] = (char)tolower((unsigned char)dot[1 + i]);
    }
    return list_format_of_word(word, ret_format);
}

bool import_is_list(const char *name)
{
    enum list_format format;
    return format_of(name, &format);
}

/* --- what is known, and what is seen --- */

static int load_work(struct db_session *session, void *argument)
{
    struct import_run *run = argument;
    struct list_row *rows = NULL;
    unsigned count = 0;
    int error = list_known(session, run->arena, run->library.id, &rows, &count);
    run->lists = error == 0 ? arena_array(run->arena, count + 1, sizeof *run->lists) : NULL;
    run->list_count = run->list_room = 0;
    for (unsigned i = 0; run->lists != NULL && i < count; i++) {
        run->lists[i] = (struct import_list){.row = rows[i]};
        run->list_count++;
    }
    run->list_room = run->list_count;
    return error == 0 && run->lists == NULL ? ERR_NO_MEMORY : error;
}

int import_lists_load(struct import_run *run)
{
    return db_read(run->ingest->config.db, load_work, run);
}

static struct import_list *find_list(struct import_run *run, const char *path)
{
    for (unsigned i = 0; i < run->list_count; i++) {
        if (strcmp(run->lists[i].row.path, path) == 0) {
            return &run->lists[i];
        }
    }
    return NULL;
}

static struct import_list *add_list(struct import_run *run, const char *path)
{
    if (run->list_count == run->list_room) {
        unsigned wider = run->list_room > 0 ? 2 * run->list_room : 16;
        struct import_list *more = arena_array(run->arena, wider, sizeof *more);
        for (unsigned i = 0; more != NULL && i < run->list_count; i++) {
            more[i] = run->lists[i];
        }
        if (more == NULL) {
            return NULL;
        }
        run->lists = more;
        run->list_room = wider;
    }
    struct import_list *list = &run->lists[run->list_count++];
    *list = (struct import_list){.row = {.library_id = run->library.id,
                                         .state = "",
                                         .reason = "",
                                         .unfound = "[]",
                                         .path = arena_strdup(run->arena, path)}};
    return list->row.path != NULL ? list : NULL;
}

static int64_t time_of(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

static int note(struct import_run *run, struct import_folder *folder, const char *name)
{
    struct stat status;
    const char *text = path_escape(folder->arena, name);
    const char *path = text != NULL ? arena_printf(folder->arena, "%s%s%s", folder->path,
                                                   folder->path[0] != '\0' ? "/" : "", text)
                                    : NULL;
    if (path == NULL) {
        return ERR_NO_MEMORY;
    }
    if (rights_stat(folder->fd, name, &status) != 0 || !S_ISREG(status.st_mode)) {
        return 0; /* it left, or is no file */
    }
    struct import_list *list = find_list(run, path);
    if (list == NULL && run->list_count >= LISTS_MAX) {
        import_trouble(run, path, "The library has more than 5,000 playlists.");
        return 0;
    }
    list = list != NULL ? list : add_list(run, path);
    if (list == NULL) {
        return ERR_NO_MEMORY;
    }
    list->seen = true;
    list->differs = list->row.id == 0 || strcmp(list->row.state, "missing") == 0 ||
                    list->row.bytes != status.st_size || list->row.mtime_ns != time_of(&status);
    list->row.bytes = status.st_size;
    list->row.mtime_ns = time_of(&status);
    return 0;
}

int import_lists_note(struct import_run *run, struct import_folder *folder)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < folder->list_count; i++) {
        error = note(run, folder, folder->lists[i]);
    }
    return error;
}

/* --- one of them --- */

struct reading {
    struct import_run *run;
    struct listed_library *library;
    struct import_list *list;
    struct arena *arena; /* the library's scratch */
    struct list_file file;
    struct listed_tracks tracks;
    enum list_format format;
    bool hold; /* looked at again the next time */
};

static int put_work(struct db_session *session, void *argument)
{
    const struct import_list *list = argument;
    return list_put(session, &list->row, clock_wall_ms());
}

static int keep(struct import_run *run, struct import_list *list)
{
    return db_write(run->ingest->config.db, put_work, list);
}

static int spoil(struct reading *reading, const char *reason)
{
    struct list_row *row = &reading->list->row;
    row->state = "broken";
    row->reason = arena_strdup(reading->run->arena, reason);
    return row->reason != NULL ? 0 : ERR_NO_MEMORY;
}

/* *ret_bytes NULL: it is broken now. */
static int read_bytes(struct reading *reading, int root_fd, char **ret_bytes, size_t *ret_length)
{
    struct stat before, after;
    const char *path = path_unescape(reading->arena, reading->list->row.path);
    int fd CLEANUP_CLOSE =
        path != NULL ? rights_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
                     : -1;
    *ret_bytes = NULL;
    if (fd < 0 || fstat(fd, &before) != 0 || !S_ISREG(before.st_mode)) {
        reading->hold = true;
        return spoil(reading, fd < 0 ? strerror(errno) : "It is no file.");
    }
    if (before.st_size > LIST_FILE_BYTES_MAX) {
        return spoil(reading, "It has more than 6 MiB.");
    }
    size_t length = 0, size = (size_t)before.st_size;
    char *bytes = arena_alloc(reading->arena, size + 1);
    ssize_t got = 1;
    while (bytes != NULL && length < size + 1 && got > 0) {
        got = read(fd, bytes + length, size + 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    if (got < 0 || length != size || fstat(fd, &after) != 0 || after.st_size != before.st_size ||
        time_of(&after) != time_of(&before)) {
        reading->hold = true;
        return spoil(reading, "It changed while it was read.");
    }
    *ret_bytes = bytes;
    *ret_length = length;
    return 0;
}

static int parse(struct reading *reading, const char *bytes, size_t length)
{
    struct problem problem;
    if (!format_of(reading->list->row.path, &reading->format)) {
        return ERR_INTERNAL;
    }
    if (memmem(bytes, length, "#EXT-X-", strlen("#EXT-X-")) != NULL) {
        return spoil(reading, "It is a stream's manifest (HLS), no list of songs.");
    }
    problem_reset(&problem);
    int error = list_file_read(reading->arena, &problem, reading->format, bytes, length, "",
                               &reading->file);
    return error == ERR_MALFORMED || error == ERR_INVALID ? spoil(reading, problem.detail) : error;
}

/* Its own, else its file's. */
static const char *title_of(struct reading *reading)
{
    const char *path = reading->list->row.path, *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path, *dot = strrchr(name, '.');
    if (reading->file.title[0] != '\0') {
        return reading->file.title;
    }
    size_t length = dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
    const char *title = list_text(reading->arena, name, length, LIST_TEXT_BYTES_MAX);
    return title == NULL || title[0] != '\0' ? title : "Imported playlist";
}

static int tell_end(struct reading *reading, enum library_list_end end)
{
    struct list_row *row = &reading->list->row;
    row->state = end == LIBRARY_LIST_FOLLOWED ? "present"
                 : end == LIBRARY_LIST_EDITED ? "edited"
                                              : "deleted";
    row->reason = end == LIBRARY_LIST_FOLLOWED ? ""
                  : end == LIBRARY_LIST_EDITED
                      ? "Its playlist was edited here, and does not follow the file any more."
                      : "Its playlist was deleted here.";
    if (end == LIBRARY_LIST_FOLLOWED && reading->tracks.first != NULL) {
        row->reason = arena_printf(
            reading->run->arena, "%" PRId64 " of %" PRId64 " entries are not here; the first: %s.",
            row->entries - row->found, row->entries, reading->tracks.first);
    }
    return row->reason != NULL ? 0 : ERR_NO_MEMORY;
}

static int follow(struct reading *reading)
{
    struct list_row *row = &reading->list->row;
    const struct listed_tracks *tracks = &reading->tracks;
    enum library_list_end end;
    struct problem problem;
    const struct library_list list = {.source_id = row->id,
                                      .owner_user_id = reading->run->library.owner_user_id,
                                      .title = title_of(reading),
                                      .description = reading->file.description,
                                      .tracks = tracks->ids,
                                      .count = tracks->count};
    if (list.title == NULL) {
        return ERR_NO_MEMORY;
    }
    problem_reset(&problem);
    int error = library_list_follow(reading->run->ingest->config.library, &list, &problem, &end,
                                    &row->playlist_id);
    if (error == ERR_QUOTA || error == ERR_UNAUTHENTICATED) {
        return spoil(reading, problem.detail);
    }
    return error != 0 ? error : tell_end(reading, end);
}

static int resolve(struct reading *reading)
{
    struct list_row *row = &reading->list->row;
    struct listed_tracks *tracks = &reading->tracks;
    tracks->unfound = json_array();
    int error = listed_find(reading->library, row->path, reading->format, &reading->file, tracks);
    char *text CLEANUP_FREE = error == 0 ? json_dumps(tracks->unfound, JSON_COMPACT) : NULL;
    json_decref(tracks->unfound);
    tracks->unfound = NULL;
    row->unfound = text != NULL ? arena_strdup(reading->run->arena, text) : NULL;
    row->entries = reading->file.count;
    row->found = tracks->found;
    if (row->unfound == NULL) {
        row->unfound = "[]";
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    if (tracks->count > 0) {
        return follow(reading);
    }
    return spoil(reading, row->entries == 0 ? "It has no entries."
                                            : arena_printf(reading->arena,
                                                           "None of its %" PRId64
                                                           " entries is here; the first: %s.",
                                                           row->entries, tracks->first));
}

static int take_list(struct import_run *run, int root_fd, struct listed_library *library,
                     struct import_list *list)
{
    struct reading reading = {
        .run = run, .library = library, .list = list, .arena = library->scratch};
    const struct list_row seen = list->row;
    char *bytes = NULL;
    size_t length = 0;
    list->row.id = list->row.id != 0 ? list->row.id : id_next();
    list->row.mtime_ns = 0; /* until it is done */
    list->row.state = "reading";
    list->row.reason = "";
    list->row.entries = list->row.found = 0;
    list->row.unfound = "[]";
    int error = keep(run, list);
    error = error != 0 ? error : read_bytes(&reading, root_fd, &bytes, &length);
    error = error == 0 && bytes != NULL ? parse(&reading, bytes, length) : error;
    bool whole = error == 0 && strcmp(list->row.state, "reading") == 0;
    error = whole ? resolve(&reading) : error;
    list->row.mtime_ns = reading.hold ? 0 : seen.mtime_ns;
    error = error != 0 ? error : keep(run, list);
    if (error == 0 && list->row.reason[0] != '\0') {
        import_trouble(run, list->row.path, list->row.reason);
    }
    run->progress.playlists += error == 0 && strcmp(list->row.state, "present") == 0;
    return error;
}

/* --- all of them --- */

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* A new one that is the same file as one that left: it goes on with its playlist. */
static void find_moved(struct import_run *run, struct import_list *list)
{
    for (unsigned i = 0; list->row.id == 0 && i < run->list_count; i++) {
        struct import_list *other = &run->lists[i];
        if (other->row.id != 0 && !other->seen && other->row.bytes == list->row.bytes &&
            other->row.mtime_ns == list->row.mtime_ns &&
            strcmp(name_of(other->row.path), name_of(list->row.path)) == 0) {
            const char *path = list->row.path;
            list->row = other->row;
            list->row.path = path;
            other->row.id = 0;
        }
    }
}

static int lose(struct import_run *run, struct import_list *list)
{
    bool there = list->row.id != 0 && strcmp(list->row.state, "missing") != 0;
    const char *slash = strrchr(list->row.path, '/');
    const char *folder = arena_strndup(run->arena, list->row.path,
                                       slash != NULL ? (size_t)(slash - list->row.path) : 0);
    if (folder == NULL) {
        return ERR_NO_MEMORY;
    }
    if (!there || run->held || import_is_left_alone(run, folder)) {
        return 0;
    }
    list->row.state = "missing";
    list->row.reason = "The file is gone; its playlist stays.";
    return keep(run, list);
}

static int take_all(struct import_run *run, int root_fd, struct listed_library *library)
{
    bool came = run->progress.added + run->progress.changed + run->progress.moved > 0, open = false;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < run->list_count; i++) {
        struct import_list *list = &run->lists[i];
        bool wants = came && list->row.found < list->row.entries;
        if (!list->seen || !(list->differs || wants)) {
            error = list->seen ? 0 : lose(run, list);
            continue;
        }
        error = open ? 0 : listed_open(library, run);
        open = true;
        error = error != 0 ? error : take_list(run, root_fd, library, list);
        arena_reset(library->scratch);
        error = error != 0 ? error : import_tick(run);
    }
    return error;
}

int import_lists(struct import_run *run, int root_fd)
{
    if (run->list_count == 0) {
        return 0;
    }
    struct listed_library library = {.arena = arena_new(LIBRARY_BYTES_MAX),
                                     .scratch = arena_new(LIST_BYTES_MAX)};
    for (unsigned i = 0; i < run->list_count; i++) {
        if (run->lists[i].seen) {
            find_moved(run, &run->lists[i]);
        }
    }
    int error = library.arena != NULL && library.scratch != NULL ? take_all(run, root_fd, &library)
                                                                 : ERR_NO_MEMORY;
    arena_free(library.scratch);
    arena_free(library.arena);
    return error;
}
