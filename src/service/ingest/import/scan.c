/* The walk through a library (import.h). Each folder is listed, its files are compared by name,
 * size and time with what is known, and those that differ go on to be read, grouped, planned and
 * applied; if any does, all of the folder's files do, since albums are seen by their folder. What
 * is known is kept as 48 bytes a file, so that an unchanged library costs a stat a file and one
 * query.
 *
 * Links to folders are followed, but not to where the walk is in already. Runs on the import's
 * thread.
 */
#include "service/ingest/import/import.h"

#include "backend/rights.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_BYTES_MAX = 256 << 20 };

/* Where the walk is: from the folder to the library's, by device and number. */
struct place {
    const struct place *above;
    const struct import_folder *folder;
    dev_t device;
    ino_t number;
    unsigned depth;
};

/* What a folder holds, by name; memory of the folder's arena. */
struct listing {
    const char **files, **folders;
    unsigned file_count, folder_count, file_room, folder_room;
};

/* --- what is known --- */

static uint64_t hash_name(const struct import_run *run, const char *text)
{
    uint64_t hash;
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text, strlen(text),
                           run->name_key);
    return hash;
}

static int keep_known(void *context, const struct file_row *row)
{
    struct import_run *run = context;
    if (run->known_count == run->known_room) {
        size_t wider = run->known_room > 0 ? 2 * run->known_room : 1024;
        struct known_file *more = reallocarray(run->known, wider, sizeof *more);
        if (more == NULL) {
            return ERR_NO_MEMORY;
        }
        run->known = more;
        run->known_room = wider;
    }
    run->known[run->known_count++] = (struct known_file){
        .folder_id = row->folder_id,
        .bytes = row->bytes,
        .mtime_ns = row->mtime_ns,
        .id = row->id,
        .name_hash = hash_name(run, row->name),
        .present = strcmp(row->state, "missing") != 0,
    };
    return 0;
}

static int compare_known(const void *a, const void *b)
{
    const struct known_file *left = a, *right = b;
    if (left->folder_id != right->folder_id) {
        return left->folder_id < right->folder_id ? -1 : 1;
    }
    return left->name_hash < right->name_hash ? -1 : left->name_hash > right->name_hash;
}

static int compare_folders(const void *a, const void *b)
{
    return strcmp(((const struct folder_row *)a)->path, ((const struct folder_row *)b)->path);
}

static int known_work(struct db_session *session, void *argument)
{
    struct import_run *run = argument;
    run->known_count = 0;
    int error =
        folder_list(session, run->arena, run->library.id, &run->folders, &run->folder_count);
    error = error != 0 ? error : import_shelves_load(session, run);
    error = error != 0 ? error : run_before(session, run->library.id, &run->before_ms);
    return error != 0 ? error : file_known(session, run->library.id, keep_known, run);
}

static int load_known(struct import_run *run)
{
    randombytes_buf(run->name_key, sizeof run->name_key);
    int error = db_read(run->ingest->config.db, known_work, run);
    if (error == 0 && run->known_count > 0) {
        qsort(run->known, run->known_count, sizeof *run->known, compare_known);
    }
    if (error == 0 && run->folder_count > 0) {
        qsort(run->folders, run->folder_count, sizeof *run->folders, compare_folders);
    }
    return error;
}

static struct known_file *find_known(struct import_run *run, int64_t folder_id, const char *text)
{
    const struct known_file wanted = {.folder_id = folder_id, .name_hash = hash_name(run, text)};
    return folder_id == 0 || run->known_count == 0
               ? NULL
               : bsearch(&wanted, run->known, run->known_count, sizeof wanted, compare_known);
}

bool import_has_seen(struct import_run *run, const struct file_row *row)
{
    const struct known_file *known = find_known(run, row->folder_id, row->name);
    return known != NULL && known->id == row->id && known->seen;
}

bool import_was_present(struct import_run *run, const struct file_row *row)
{
    const struct known_file *known = find_known(run, row->folder_id, row->name);
    return known != NULL && known->id == row->id && known->present;
}

/* Its row and where it belongs, of folder's path. */
static void place_folder(struct import_run *run, struct import_folder *folder)
{
    const struct folder_row wanted = {.path = folder->path};
    const struct folder_row *row =
        run->folder_count == 0
            ? NULL
            : bsearch(&wanted, run->folders, run->folder_count, sizeof wanted, compare_folders);
    folder->id = row != NULL ? row->id : 0;
    folder->shelf_id = import_shelf_of(run, folder->path);
    folder->reshelved = row != NULL && row->shelf_id != folder->shelf_id;
}

/* --- troubles --- */

/* What is below it stays as it is known. */
static void leave_alone(struct import_run *run, const char *path, const char *reason)
{
    import_trouble(run, path, reason);
    if (run->unreadable_count == IMPORT_TROUBLES_MAX) {
        run->unreadable_all = true;
        return;
    }
    run->unreadable[run->unreadable_count] = arena_strdup(run->arena, path);
    run->unreadable_all = run->unreadable_all || run->unreadable[run->unreadable_count] == NULL;
    run->unreadable_count += !run->unreadable_all;
}

bool import_is_left_alone(const struct import_run *run, const char *folder)
{
    for (unsigned i = 0; i < run->unreadable_count; i++) {
        size_t length = strlen(run->unreadable[i]);
        if (strncmp(folder, run->unreadable[i], length) == 0 &&
            (length == 0 || folder[length] == '\0' || folder[length] == '/')) {
            return true;
        }
    }
    return run->unreadable_all;
}

/* --- a folder's entries --- */

static int add_name(struct arena *arena, const char ***list, unsigned *count, unsigned *room,
                    const char *name)
{
    if (*count == *room) {
        unsigned wider = *room > 0 ? 2 * *room : 32;
        const char **copy = arena_array(arena, wider, sizeof *copy);
        if (copy == NULL) {
            return ERR_NO_MEMORY;
        }
        if (*count > 0) {
            memcpy(copy, *list, *count * sizeof *copy);
        }
        *list = copy;
        *room = wider;
    }
    (*list)[*count] = arena_strdup(arena, name);
    return (*list)[(*count)++] != NULL ? 0 : ERR_NO_MEMORY;
}

/* Room for 32 at a time. */
static int add_beside(struct arena *arena, const char ***list, unsigned *count, const char *name)
{
    unsigned room = *count % 32 == 0 ? *count : *count + 1;
    return add_name(arena, list, count, &room, name);
}

static bool is_folder(int fd, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return rights_stat(fd, entry->d_name, &status) == 0 && S_ISDIR(status.st_mode);
}

static void offer_cover(struct import_folder *folder, const char *name)
{
    unsigned rank = path_cover_rank(name);
    if (path_may_be_cover(name) && folder->picture_count++ == 0) {
        folder->picture = arena_strdup(folder->arena, name);
    }
    if (rank != 0 && (folder->cover == NULL || rank < path_cover_rank(folder->cover))) {
        folder->cover = arena_strdup(folder->arena, name);
    }
}

/* One dot hides; two begin a name: "...And Justice for All". */
static bool is_hidden(const char *name)
{
    return name[0] == '.' && (name[1] != '.' || name[2] == '\0');
}

static int take_entry(struct import_folder *folder, struct listing *listing,
                      const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t length = strlen(name);
    if (is_hidden(name)) {
        return 0;
    }
    if (path_sound_type(name) != NULL && entry->d_type != DT_DIR) {
        return add_name(folder->arena, &listing->files, &listing->file_count, &listing->file_room,
                        name);
    }
    if (is_folder(folder->fd, entry)) {
        return add_name(folder->arena, &listing->folders, &listing->folder_count,
                        &listing->folder_room, name);
    }
    offer_cover(folder, name);
    if (length > 4 && strcasecmp(name + length - 4, ".cue") == 0) {
        return add_beside(folder->arena, &folder->cues, &folder->cue_count, name);
    }
    if (length > 4 && strcasecmp(name + length - 4, ".lrc") == 0) {
        return add_beside(folder->arena, &folder->words, &folder->word_count, name);
    }
    return import_is_list(name)
               ? add_beside(folder->arena, &folder->lists, &folder->list_count, name)
               : 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list_folder(struct import_folder *folder, struct listing *listing)
{
    int copy = rights_open(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    int error = stream != NULL ? 0 : ERR_IO;
    if (stream == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return error;
    }
    for (struct dirent *entry; error == 0 && (entry = readdir(stream)) != NULL;) {
        error = take_entry(folder, listing, entry);
    }
    (void)closedir(stream);
    if (listing->file_count > 1) {
        qsort(listing->files, listing->file_count, sizeof *listing->files, compare_names);
    }
    if (listing->folder_count > 1) {
        qsort(listing->folders, listing->folder_count, sizeof *listing->folders, compare_names);
    }
    return error;
}

/* --- a folder's files --- */

/* The .lrc of the same name; NULL: there is none. */
static const char *words_beside(const struct import_folder *folder, const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t stem = (size_t)(dot - name);
    for (unsigned i = 0; i < folder->word_count; i++) {
        const char *words = folder->words[i];
        if (strlen(words) == stem + 4 && strncmp(words, name, stem) == 0) {
            return words;
        }
    }
    return NULL;
}

static const char *lyrics_beside(struct import_folder *folder, const char *name)
{
    const char *words = words_beside(folder, name);
    int fd CLEANUP_CLOSE =
        words != NULL ? rights_open(folder->fd, words, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    char *text = fd >= 0 ? arena_alloc(folder->arena, IMPORT_TEXT_BYTES_MAX) : NULL;
    ssize_t got = text != NULL ? read(fd, text, IMPORT_TEXT_BYTES_MAX - 1) : -1;
    return got > 0 ? lrc_text(folder->arena, text, (size_t)got) : NULL;
}

/* Lyrics that changed make their file one that changed. */
static int64_t time_of_words(const struct import_folder *folder, const char *name)
{
    const char *words = words_beside(folder, name);
    struct stat status;
    return words != NULL && rights_stat(folder->fd, words, &status) == 0
               ? (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec
               : 0;
}

static bool is_same(const struct known_file *known, const struct import_file *file)
{
    return known != NULL && known->present && known->bytes == file->bytes &&
           known->mtime_ns == file->mtime_ns;
}

/* How many tracks a sheet in the file's tags made of it as it is; they are seen now. */
static unsigned known_parts(struct import_run *run, const struct import_folder *folder,
                            const struct import_file *file)
{
    for (unsigned count = 0;; count++) {
        const char *text = arena_printf(folder->arena, "%s/%02u", file->text, count + 1);
        struct known_file *known = text != NULL ? find_known(run, folder->id, text) : NULL;
        if (!is_same(known, file)) {
            return count;
        }
        known->seen = true;
    }
}

bool import_know(struct import_run *run, const struct import_folder *folder,
                 struct import_file *file)
{
    struct known_file *known = find_known(run, folder->id, file->text);
    if (known != NULL) {
        known->seen = true;
        file->row_id = known->id;
    }
    if (known == NULL && file->part == NULL && folder->id != 0) {
        unsigned parts = known_parts(run, folder, file);
        run->progress.files += parts > 0 ? parts - 1 : 0;
        run->progress.unchanged += parts > 0 ? parts - 1 : 0;
        return parts == 0;
    }
    return !is_same(known, file);
}

void import_forget(struct import_run *run, const struct import_folder *folder,
                   const struct import_file *file)
{
    struct known_file *known = find_known(run, folder->id, file->text);
    if (known != NULL) {
        known->seen = false;
    }
}

/* Fills in what a stat says; true where it has to be looked at. */
static bool differs(struct import_run *run, struct import_folder *folder, struct import_file *file)
{
    struct stat status;
    if (rights_stat(folder->fd, file->name, &status) != 0) {
        file->name = NULL; /* it left while the folder was listed */
        return false;
    }
    file->bytes = status.st_size;
    file->mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    file->mtime_ns += file->beside_ns;
    return import_know(run, folder, file);
}

static int name_files(struct import_run *run, struct import_folder *folder)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        struct import_file *file = &folder->files[i];
        error = path_names(folder->arena, run->name, folder->path, file->text, &file->names);
        import_cue_name(folder, file);
        file->lyrics = file->part == NULL ? lyrics_beside(folder, file->name) : NULL;
        file->group = -1;
    }
    return error;
}

/* Told one by one, since people mend them. */
static void tell_broken(struct import_run *run, const struct import_folder *folder)
{
    for (unsigned i = 0; i < folder->count; i++) {
        const struct import_file *file = &folder->files[i];
        if (file->action == IMPORT_BROKEN && file->differs) {
            const char *path = arena_printf(folder->arena, "%s%s%s", folder->path,
                                            folder->path[0] != '\0' ? "/" : "", file->text);
            import_trouble(run, path != NULL ? path : file->text, file->reason);
        }
    }
}

/* Another import may have been at the same files: then they are known, and found so the next time.
 */
static int bring_in(struct import_run *run, struct import_folder *folder)
{
    int error = name_files(run, folder);
    error = error != 0 ? error : import_read(run, folder);
    error = error != 0 ? error : import_cue_unfold(run, folder);
    error = error != 0 ? error : import_group(run, folder);
    error = error != 0 ? error : import_plan(run, folder);
    error = error != 0 ? error : import_apply(run, folder);
    if (error == ERR_EXISTS) {
        leave_alone(run, folder->path, "Another import is at this folder.");
        return 0;
    }
    if (error == 0) {
        tell_broken(run, folder);
        import_cue_tell(run, folder);
        error = import_art(run, folder);
    }
    return error;
}

/* The files of these names, each as often as cue sheets part it. */
static int list_files(struct import_folder *folder, const char *const *names, unsigned count)
{
    unsigned room = 0, parts = 1;
    for (unsigned i = 0; i < count; i++) {
        (void)import_cue_of(folder, names[i], &parts);
        room += parts;
    }
    folder->files = arena_array(folder->arena, room, sizeof *folder->files);
    int error = folder->files != NULL ? 0 : ERR_NO_MEMORY;
    folder->count = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        const struct import_sheet *sheet = import_cue_of(folder, names[i], &parts);
        const char *text = path_escape(folder->arena, names[i]);
        error = text != NULL ? 0 : ERR_NO_MEMORY;
        for (unsigned k = 0; error == 0 && k < parts; k++) {
            struct import_file *file = &folder->files[folder->count++];
            *file = (struct import_file){.name = names[i], .text = text};
            file->beside_ns =
                sheet != NULL ? 0 : time_of_words(folder, names[i]) + import_cue_time(folder, file);
            error = sheet != NULL ? import_cue_part(folder, sheet, k, file) : 0;
        }
    }
    return error;
}

/* Some of a folder's files; all of them where any is new or another. */
static int look_at_files(struct import_run *run, struct import_folder *folder,
                         const char *const *names, unsigned count)
{
    bool any = folder->reshelved;
    int error = list_files(folder, names, count);
    if (error != 0) {
        return error;
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < folder->count; i++) {
        struct import_file *file = &folder->files[kept];
        *file = folder->files[i];
        file->differs = differs(run, folder, file);
        any = any || file->differs;
        kept += file->name != NULL;
        run->progress.unchanged += file->name != NULL && !file->differs;
    }
    folder->count = kept;
    folder->group_count = 0;
    run->progress.files += kept;
    error = any && kept > 0 ? bring_in(run, folder) : 0;
    return error == 0 && kept > 0 ? import_art_late(run, folder) : error;
}

/* --- the walk --- */

static int walk(struct import_run *run, int fd, const char *path, const struct place *above);

static bool is_loop(const struct place *place)
{
    for (const struct place *at = place->above; at != NULL; at = at->above) {
        if (at->device == place->device && at->number == place->number) {
            return true;
        }
    }
    return false;
}

static int enter(struct import_run *run, int fd, const char *path, const char *name,
                 const struct place *here)
{
    struct arena *arena = arena_new(0);
    const char *text = arena != NULL ? path_escape(arena, name) : NULL;
    const char *below =
        text != NULL ? arena_printf(arena, "%s%s%s", path, path[0] != '\0' ? "/" : "", text) : NULL;
    int error = below != NULL ? 0 : ERR_NO_MEMORY;
    if (error == 0 && strlen(run->root) + strlen(below) >= PATH_MAX - NAME_MAX - 2) {
        leave_alone(run, below, "Its path is too long.");
    } else if (error == 0 && here->depth >= IMPORT_DEPTH_MAX) {
        leave_alone(run, below, "It is too deep: more than 64 folders in each other.");
    } else if (error == 0) {
        int inner CLEANUP_CLOSE = rights_open(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (inner >= 0) {
            error = walk(run, inner, below, here);
        } else if (errno != ENOENT) { /* it may leave while its folder is gone through */
            leave_alone(run, below, strerror(errno));
        }
    }
    arena_free(arena);
    return error;
}

static int walk_entries(struct import_run *run, struct import_folder *folder,
                        const struct listing *listing, const struct place *here)
{
    int error = import_cue_open(folder);
    if (error == 0) {
        import_cue_resolve(folder, listing->files, listing->file_count);
    }
    for (unsigned at = 0; error == 0 && at < listing->file_count; at += IMPORT_FOLDER_FILES_MAX) {
        unsigned left = listing->file_count - at;
        error = look_at_files(run, folder, listing->files + at,
                              left < IMPORT_FOLDER_FILES_MAX ? left : IMPORT_FOLDER_FILES_MAX);
    }
    error = error != 0 ? error : import_shelf_keep(run, folder);
    error = error != 0 ? error : import_lists_note(run, folder);
    for (unsigned i = 0; error == 0 && i < listing->folder_count; i++) {
        error = enter(run, folder->fd, folder->path, listing->folders[i], here);
    }
    return error;
}

static int walk(struct import_run *run, int fd, const char *path, const struct place *above)
{
    struct stat status;
    struct place here = {.above = above, .depth = above != NULL ? above->depth + 1 : 0};
    if (fstat(fd, &status) == 0) {
        here.device = status.st_dev;
        here.number = status.st_ino;
    }
    if (is_loop(&here)) {
        import_trouble(run, path, "It is a link to a folder that it is in.");
        return 0;
    }
    struct import_folder folder = {.arena = arena_new(ARENA_BYTES_MAX),
                                   .fd = fd,
                                   .path = path,
                                   .above = above != NULL ? above->folder : NULL};
    here.folder = &folder;
    place_folder(run, &folder);
    struct listing listing = {0};
    run->progress.folders++;
    run->progress.folder = path;
    int error = folder.arena != NULL ? import_tick(run) : ERR_NO_MEMORY;
    if (run->options->entered != NULL) {
        run->options->entered(run->options->entered_context, fd);
    }
    if (error == 0 && list_folder(&folder, &listing) != 0) {
        leave_alone(run, path, "It can't be listed.");
    } else if (error == 0) {
        error = walk_entries(run, &folder, &listing, &here);
    }
    run->progress.folder = "";
    arena_free(folder.arena);
    return error;
}

/* --- what is gone --- */

struct gone {
    struct import_run *run;
    struct arena *arena;
    size_t at; /* of known */
    int64_t now_ms, done;
};

static const char *folder_path(const struct import_run *run, int64_t id)
{
    for (unsigned i = 0; i < run->folder_count; i++) {
        if (run->folders[i].id == id) {
            return run->folders[i].path;
        }
    }
    return "";
}

static int lose(struct db_session *session, struct gone *gone, const struct known_file *known)
{
    struct file_row row;
    int error = file_get(session, gone->arena, known->id, &row);
    bool moved = error == 0 && row.folder_id != known->folder_id;
    if (error != 0 || moved || hash_name(gone->run, row.name) != known->name_hash) {
        return error == ERR_NOT_FOUND ? 0 : error; /* found again elsewhere meanwhile */
    }
    row.state = "missing";
    error = file_update(session, &row, gone->now_ms);
    if (error == 0 && row.track_id != 0) {
        error = catalog_track_missing(session, row.track_id, true);
    }
    gone->done++;
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int gone_work(struct db_session *session, void *argument)
{
    struct gone *gone = argument;
    struct import_run *run = gone->run;
    int error = 0;
    gone->done = 0;
    for (size_t i = gone->at; error == 0 && i < run->known_count && i < gone->at + 500; i++) {
        const struct known_file *known = &run->known[i];
        if (!known->seen && known->present &&
            !import_is_left_alone(run, folder_path(run, known->folder_id))) {
            error = lose(session, gone, known);
        }
    }
    return error;
}

/* Of the files that should be there, how many are not. Those that were found elsewhere are not seen
 * where they were, but not gone. */
static void count_gone(const struct import_run *run, int64_t *ret_gone, int64_t *ret_all)
{
    *ret_gone = *ret_all = 0;
    for (size_t i = 0; i < run->known_count; i++) {
        bool gone = !run->known[i].seen && run->known[i].present;
        *ret_all += run->known[i].present;
        *ret_gone += gone && !import_is_left_alone(run, folder_path(run, run->known[i].folder_id));
    }
    int64_t moved = run->moved_within < *ret_gone ? run->moved_within : *ret_gone;
    *ret_gone -= moved;
}

/* A disk that is away looks as a folder that was emptied: who did empty it says so. */
static bool is_held(struct import_run *run, int64_t gone, int64_t all)
{
    int64_t most = all * run->ingest->config.import_missing_max / 100;
    most = most > IMPORT_MISSING_FREE ? most : IMPORT_MISSING_FREE;
    if (gone == 0 || run->options->accept_missing || (gone <= most && run->progress.files > 0)) {
        return false;
    }
    run->row.reason = arena_printf(
        run->arena,
        "%" PRId64 " of %" PRId64 " files are gone: is a disk away? Nothing was changed for them. "
        "If they are gone for good, run tutti import --accept-missing, or POST /api/v1/imports "
        "with acceptMissing.",
        gone, all);
    run->row.reason = run->row.reason != NULL ? run->row.reason : "Too many files are gone.";
    run->held = true;
    import_trouble(run, "", run->row.reason);
    return true;
}

static int tell_gone(struct import_run *run)
{
    struct gone gone = {.run = run, .now_ms = clock_wall_ms()};
    int error = 0;
    int64_t lost, all;
    count_gone(run, &lost, &all);
    bool any = lost > 0 && !is_held(run, lost, all);
    for (; any && error == 0 && gone.at < run->known_count; gone.at += 500) {
        gone.arena = arena_new(0);
        error =
            gone.arena != NULL ? db_write(run->ingest->config.db, gone_work, &gone) : ERR_NO_MEMORY;
        arena_free(gone.arena);
        run->progress.missing += error == 0 ? gone.done : 0;
    }
    return error;
}

/* What was rejoined is at a place where a known file seems to have changed. What this walk counts
 * was counted before. */
static int walk_again(struct import_run *run, int root_fd)
{
    struct import_progress counted = run->progress;
    int error = load_known(run);
    error = error != 0 ? error : walk(run, root_fd, "", NULL);
    run->progress = counted;
    return error;
}

int import_scan(struct import_run *run, int root_fd)
{
    int64_t joined = 0;
    int error = load_known(run);
    error = error != 0 ? error : import_lists_load(run);
    error = error != 0 ? error : walk(run, root_fd, "", NULL);
    error = error != 0 ? error : tell_gone(run);
    if (error == 0 && run->progress.added > 0) {
        error = import_rejoin(run, &joined);
    }
    if (joined > 0) {
        int again = walk_again(run, root_fd);
        error = error != 0 ? error : again;
    }
    error = error != 0 ? error : import_recover(run);
    return error != 0 ? error : import_lists(run, root_fd);
}
