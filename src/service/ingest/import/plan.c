/* What becomes of each file of a folder (import.h), before the transaction that does it: rows are
 * read, places looked at, versions reserved, copies made. Runs on the import's thread. */
#include "service/ingest/import/import.h"

#include "backend/rights.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct plan {
    struct import_run *run;
    struct import_folder *folder;
    struct import_file *file;
    struct call call;
    struct file_row of_sound[FILES_OF_SOUND_MAX];
    unsigned of_sound_count;
};

const char *import_path_of(struct arena *arena, const struct file_row *row)
{
    int length = (int)strcspn(row->name, "/"); /* "Album.flac/01" is a part of Album.flac */
    const char *text = arena_printf(arena, "%s/%s%s%.*s", row->library_path, row->folder_path,
                                    row->folder_path[0] != '\0' ? "/" : "", length, row->name);
    return text != NULL ? path_unescape(arena, text) : NULL;
}

static int read_work(struct db_session *session, void *argument)
{
    struct plan *plan = argument;
    struct import_file *file = plan->file;
    struct arena *arena = plan->folder->arena;
    int error = file->row_id != 0 ? file_get(session, arena, file->row_id, &file->row) : 0;
    plan->of_sound_count = 0;
    if (error != 0 || file->hash == NULL || file->row.track_id != 0) {
        return error;
    }
    return file_of_hash(session, arena, file->hash, plan->of_sound, &plan->of_sound_count);
}

/* True where nothing is at the row's place any more, or another sound is known to be. */
static bool has_left(struct plan *plan, const struct file_row *row)
{
    struct stat status;
    const char *path = import_path_of(plan->folder->arena, row);
    return path != NULL && rights_stat(AT_FDCWD, path, &status) != 0 &&
           (errno == ENOENT || errno == ENOTDIR);
}

/* Two new files may have the sound of one that has left: the first one is it. */
static bool is_taken(const struct plan *plan, int64_t row_id)
{
    for (unsigned i = 0; i < plan->folder->count; i++) {
        const struct import_file *other = &plan->folder->files[i];
        if (other != plan->file && other->action == IMPORT_MOVE && other->row.id == row_id) {
            return true;
        }
    }
    return false;
}

/* The same file, which another import knows of a folder above or below: it is ours from now on. */
static bool is_here(const struct plan *plan, const struct file_row *row)
{
    struct arena *arena = plan->folder->arena;
    const char *folder = path_unescape(arena, plan->folder->path);
    const char *own =
        arena_printf(arena, "%s/%s%s%s", plan->run->root, folder != NULL ? folder : "",
                     plan->folder->path[0] != '\0' ? "/" : "", plan->file->name);
    const char *known = import_path_of(arena, row);
    return row->library_id != plan->run->library.id && folder != NULL && own != NULL &&
           known != NULL && strcmp(own, known) == 0;
}

/* From wherever it was, also out of another folder that is imported. */
static void find_moved(struct plan *plan)
{
    struct import_file *file = plan->file;
    for (unsigned i = 0; file->row_id == 0 && i < plan->of_sound_count; i++) {
        const struct file_row *row = &plan->of_sound[i];
        bool dropped = strcmp(row->state, "dropped") == 0, here = is_here(plan, row);
        if (row->owner_user_id == plan->run->library.owner_user_id && !is_taken(plan, row->id) &&
            (here || (!dropped && has_left(plan, row)))) {
            file->action = dropped ? IMPORT_NOTHING : IMPORT_MOVE;
            file->row = *row;
            return;
        }
    }
}

static void decide(struct plan *plan)
{
    struct import_file *file = plan->file;
    if (file->code != NULL) {
        file->action = IMPORT_BROKEN;
    } else if (file->row.track_id == 0) {
        file->action = IMPORT_ADD;
        find_moved(plan);
    } else if (strcmp(file->row.hash, file->hash) == 0) {
        bool dropped = strcmp(file->row.state, "dropped") == 0;
        file->action = dropped ? IMPORT_NOTHING : IMPORT_FOLLOW;
    } else {
        file->action = IMPORT_SOUND;
    }
}

/* --- the original's key, and its copy --- */

static int reserve_work(struct db_session *session, void *argument)
{
    struct plan *plan = argument;
    problem_reset(&plan->call.problem);
    return catalog_version_reserve(session, &plan->call, plan->file->row.track_id,
                                   &plan->file->version);
}

static int copy_bytes(struct blob_writer *writer, int fd)
{
    char bytes[64 * 1024];
    ssize_t got;
    int error = 0;
    while (error == 0 && (got = read(fd, bytes, sizeof bytes)) != 0) {
        error = got < 0 ? error_from_errno(errno) : blob_put_write(writer, bytes, (size_t)got);
    }
    return error;
}

/* The parts of a file share its bytes where the store can link them. */
static int copy_of_part(const struct plan *plan, bool *ret_done)
{
    const struct import_file *file = plan->file;
    struct blob_stat stat;
    *ret_done = false;
    for (const struct import_file *other = plan->folder->files; other < file; other++) {
        if (other->name == file->name && other->key != NULL && other->code == NULL) {
            *ret_done = true;
            return blob_copy(plan->run->ingest->config.blobs, BLOB_MEDIA, other->key, NULL,
                             BLOB_MEDIA, file->key, &stat);
        }
    }
    return 0;
}

static int copy_in(struct plan *plan)
{
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    bool done = false;
    int copied = plan->file->part != NULL ? copy_of_part(plan, &done) : 0;
    if (copied != 0 || done) {
        return copied;
    }
    const struct blob_meta meta = {.content_type = path_sound_type(plan->file->name)};
    int fd CLEANUP_CLOSE = rights_open(plan->folder->fd, plan->file->name, O_RDONLY | O_CLOEXEC);
    int error = fd < 0 ? error_from_errno(errno)
                       : blob_put_open(plan->run->ingest->config.blobs, BLOB_MEDIA, plan->file->key,
                                       &meta, &writer);
    if (error != 0) {
        return error;
    }
    error = copy_bytes(writer, fd);
    if (error != 0) {
        blob_put_abort(writer);
        return error;
    }
    error = blob_put_commit(writer, false, &stat);
    if (error == 0 && (int64_t)stat.bytes != plan->file->bytes) {
        plan->file->action = IMPORT_BROKEN;
        plan->file->code = "changing";
        plan->file->reason = "It changed while it was copied.";
        plan->file->mtime_ns = 0;
    }
    return error;
}

/* A track that is gone meanwhile is not followed any more. */
static int reserve(struct plan *plan)
{
    int error = db_write(plan->run->ingest->config.db, reserve_work, plan);
    if (error == ERR_NOT_FOUND) {
        plan->file->action = IMPORT_FOLLOW; /* which finds out the same, and drops the row */
        error = 0;
    }
    return error;
}

static const char *original_key(const struct plan *plan, const char *extension)
{
    const struct import_file *file = plan->file;
    struct arena *arena = plan->folder->arena;
    if (file->part == NULL) {
        return arena_printf(arena, "m/%" PRId64 "/%d/original.%s", file->track_id, file->version,
                            extension);
    }
    return arena_printf(arena, "m/%" PRId64 "/%d/original.%" PRId64 "-%" PRId64 ".%s",
                        file->track_id, file->version, file->part->from, file->part->to, extension);
}

static int prepare_sound(struct plan *plan)
{
    struct import_file *file = plan->file;
    char extension[EXTENSION_MAX + 1];
    file->track_id = file->action == IMPORT_SOUND ? file->row.track_id : id_next();
    file->version = 1;
    int error = file->action == IMPORT_SOUND ? reserve(plan) : 0;
    upload_extension(file->name, extension);
    file->key = original_key(plan, extension);
    if (error != 0 || file->key == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    return plan->run->ingest->config.import_copy ? copy_in(plan) : 0;
}

int import_plan(struct import_run *run, struct import_folder *folder)
{
    struct plan plan = {
        .run = run,
        .folder = folder,
        .call = {.arena = folder->arena, .actor.roles = ROLE_SYSTEM},
    };
    int error = 0;
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        plan.file = &folder->files[i];
        error = db_read(run->ingest->config.db, read_work, &plan);
        if (error == 0) {
            decide(&plan);
        }
        bool new_sound = plan.file->action == IMPORT_ADD || plan.file->action == IMPORT_SOUND;
        error = error == 0 && new_sound ? prepare_sound(&plan) : error;
    }
    return error;
}
