/* A run of an import (ingest.h, import.h): its library, its lock, its row, its end. The lock is one
 * on the folder itself and ends with the process, however that ends; so that a killed import is
 * begun again at once, and two of a folder never run on one machine. Any thread; one a run. */
#include "service/ingest/import/import.h"

#include "backend/rights.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/problem.h"
#include "service/transcode/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { TELL_EVERY_MS = 200, ROW_EVERY_MS = 1000, NICENESS = 5 };

/* --- telling --- */

static const char *dump_counts(struct arena *arena, const struct import_progress *progress)
{
    char *text CLEANUP_FREE = NULL;
    json_t *counts = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "folders", (json_int_t)progress->folders, "files",
        (json_int_t)progress->files, "unchanged", (json_int_t)progress->unchanged, "added",
        (json_int_t)progress->added, "changed", (json_int_t)progress->changed, "moved",
        (json_int_t)progress->moved, "missing", (json_int_t)progress->missing, "broken",
        (json_int_t)progress->broken, "playlists", (json_int_t)progress->playlists);
    text = counts != NULL ? json_dumps(counts, JSON_COMPACT) : NULL;
    json_decref(counts);
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

static int row_work(struct db_session *session, void *argument)
{
    struct import_run *run = argument;
    return run_update(session, &run->row);
}

static int keep_row(struct import_run *run)
{
    struct arena *arena = arena_new(0);
    run->row.counts = arena != NULL ? dump_counts(arena, &run->progress) : NULL;
    run->row.updated_at = clock_wall_ms();
    int error =
        run->row.counts != NULL ? db_write(run->ingest->config.db, row_work, run) : ERR_NO_MEMORY;
    run->row.counts = "{}";
    arena_free(arena);
    return error;
}

int import_tick(struct import_run *run)
{
    int64_t now_ms = clock_monotonic_ms();
    const struct import_options *options = run->options;
    if (ingest_is_ending(run->ingest)) {
        return ERR_CANCELLED;
    }
    if (now_ms - run->told_ms < TELL_EVERY_MS) {
        return 0;
    }
    run->told_ms = now_ms;
    if (clock_wall_ms() - run->row.updated_at >= ROW_EVERY_MS) {
        (void)keep_row(run); /* the next time, then */
    }
    return options->tell != NULL ? options->tell(options->context, &run->progress, NULL, NULL) : 0;
}

void import_trouble(struct import_run *run, const char *path, const char *reason)
{
    const struct import_options *options = run->options;
    if (options->tell != NULL) {
        (void)options->tell(options->context, &run->progress, path[0] != '\0' ? path : ".", reason);
    }
}

/* --- beginning --- */

static int begin_work(struct db_session *session, void *argument)
{
    struct import_run *run = argument;
    const char *path = run->library.path;
    int64_t owner = run->library.owner_user_id;
    int error = library_find(session, run->arena, path, &run->library);
    if (error == ERR_NOT_FOUND) {
        run->library = (struct library_row){.id = id_next(),
                                            .path = path,
                                            .owner_user_id = owner,
                                            .created_at = run->row.started_at};
        error = library_insert(session, &run->library);
    }
    run->row.library_id = run->library.id;
    return error != 0 ? error : run_insert(session, &run->row);
}

static int find_root(struct import_run *run, int *ret_fd)
{
    const char *path = run->options->path;
    rights_begin(AT_FDCWD, path);
    char *absolute CLEANUP_FREE = realpath(path, NULL);
    int fd CLEANUP_CLOSE =
        absolute != NULL ? open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    rights_end();
    if (fd < 0) {
        return problem_set(run->problem, ERR_NOT_FOUND, "\"%s\" can't be opened: %s", path,
                           strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return problem_set(run->problem, ERR_CONFLICT, "an import of \"%s\" is running already",
                           path);
    }
    const char *slash = strrchr(absolute, '/');
    run->root = arena_strdup(run->arena, absolute);
    run->name = path_escape(run->arena, slash[1] != '\0' ? slash + 1 : "Music");
    run->library.path = path_escape(run->arena, absolute[1] != '\0' ? absolute : "");
    if (run->root == NULL || run->name == NULL || run->library.path == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int find_owner(struct import_run *run)
{
    const struct ingest_config *config = &run->ingest->config;
    int64_t owner = run->options->owner_user_id;
    if (owner == 0 && config->import_owner != NULL) {
        owner = config->import_owner(config->import_owner_context);
    }
    run->library.owner_user_id = owner;
    return owner != 0 ? 0
                      : problem_set(run->problem, ERR_CONFLICT,
                                    "there is no admin yet, to whom the music would belong");
}

static int begin(struct import_run *run, int *ret_fd)
{
    int64_t now_ms = clock_wall_ms();
    run->row = (struct run_row){.id = id_next(),
                                .state = "running",
                                .reason = "",
                                .counts = "{}",
                                .started_at = now_ms,
                                .updated_at = now_ms};
    int error = find_root(run, ret_fd);
    error = error != 0 ? error : find_owner(run);
    error = error != 0 ? error : db_write(run->ingest->config.db, begin_work, run);
    if (error == 0) {
        run->child = child_new(run->ingest->media_path, NICENESS);
        error = run->child != NULL ? 0 : ERR_NO_MEMORY;
    }
    return error;
}

static void end(struct import_run *run, int error)
{
    if (run->row.library_id != 0) {
        run->row.state = error == 0               ? (run->held ? "held" : "done")
                         : error == ERR_CANCELLED ? "stopped"
                                                  : "failed";
        if (!run->held) {
            run->row.reason = error == 0 || error == ERR_CANCELLED ? "" : error_title(error);
        }
        run->row.ended_at = clock_wall_ms();
        (void)keep_row(run); /* else it is seen as stopped, a minute later */
    }
    child_free(run->child);
    free(run->known);
}

int ingest_import(struct ingest *ingest, const struct import_options *options,
                  struct import_progress *ret_progress, struct problem *problem)
{
    struct import_run run = {.ingest = ingest,
                             .options = options,
                             .problem = problem,
                             .progress.folder = "",
                             .arena = arena_new((size_t)1 << 30)};
    int root CLEANUP_CLOSE = -1;
    int error = run.arena != NULL ? begin(&run, &root) : ERR_NO_MEMORY;
    error = error != 0 ? error : import_scan(&run, root);
    end(&run, error);
    run.progress.folder = "";
    *ret_progress = run.progress;
    arena_free(run.arena);
    return error;
}

/* --- files outside of the store --- */

struct outside {
    struct arena *arena;
    int64_t track_id, version;
    struct file_row row;
};

static int outside_work(struct db_session *session, void *argument)
{
    struct outside *outside = argument;
    return file_of_track(session, outside->arena, outside->track_id, outside->version,
                         &outside->row);
}

int ingest_outside(void *context, const char *key, int *ret_fd)
{
    struct ingest *ingest = context;
    struct outside outside = {0};
    long long track = 0, version = 0;
    int end_of_prefix = 0;
    if (sscanf(key, "m/%lld/%lld/original.%n", &track, &version, &end_of_prefix) != 2 ||
        end_of_prefix == 0) {
        return ERR_NOT_FOUND;
    }
    outside.track_id = track;
    outside.version = version;
    outside.arena = arena_new(0);
    int error =
        outside.arena != NULL ? db_read(ingest->config.db, outside_work, &outside) : ERR_NO_MEMORY;
    const char *path = error == 0 ? import_path_of(outside.arena, &outside.row) : NULL;
    if (path != NULL) {
        *ret_fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        error = *ret_fd >= 0 ? 0 : errno == ENOTDIR ? ERR_NOT_FOUND : error_from_errno(errno);
    }
    arena_free(outside.arena);
    return error == 0 && path == NULL ? ERR_NO_MEMORY : error;
}
