/* Tags of what is new (import.h): files are opened here and read in tutti-media, many a request. A
 * batch that ends the process is asked for again file by file, so that one file alone is broken.
 * Runs on the import's thread. */
#include "service/ingest/import/import.h"

#include "backend/rights.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "media/job.h"
#include "service/transcode/child.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CPU_S_MAX = 30,
    SILENCE_MS_MAX = 60000,
    WALL_MS_MAX = 120000,
    PICTURE_BYTES_MAX = 32 << 20, /* longer ones are left where they are */
};
enum { CODE_MAX = sizeof((struct child_failure *)0)->code - 1 };

static const char nonsense[] = "The media process spoke nonsense.";

static void decref(void *value)
{
    json_decref(value);
}

static int tick(void *context)
{
    return import_tick(context);
}

static int run_child(struct import_run *run, json_t *request, const int *fds, unsigned count,
                     int64_t file_bytes_max, json_t **ret_answer, struct child_failure *failure)
{
    struct child_job job = {.request = request,
                            .fds = fds,
                            .fd_count = count,
                            .cpu_s_max = CPU_S_MAX,
                            .file_bytes_max = file_bytes_max,
                            .silence_ms_max = SILENCE_MS_MAX,
                            .wall_ms_max = WALL_MS_MAX,
                            .tick = tick,
                            .context = run};
    return request != NULL ? child_run(run->child, &job, ret_answer, failure) : ERR_NO_MEMORY;
}

static void breaks(struct import_file *file, const char *code, const char *reason)
{
    file->code = code;
    file->reason = reason;
}

/* Who gives the right to read a file changes neither its size nor its time: it is looked at again
 * the next time. */
static void is_unreadable(struct import_file *file, const char *reason)
{
    file->mtime_ns = 0;
    breaks(file, "unreadable", reason);
}

/* A file as it was found, open; -1: it is broken now. */
static int open_file(struct import_folder *folder, struct import_file *file)
{
    struct stat status;
    int fd CLEANUP_CLOSE =
        rights_open(folder->fd, file->name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        is_unreadable(file, arena_strdup(folder->arena, strerror(errno)));
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        breaks(file, "not-audio", "It is no file.");
        return -1;
    }
    return TAKE_FD(fd);
}

static bool is_as_it_was(const struct import_file *file, int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_size == file->bytes &&
           (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec + file->beside_ns ==
               file->mtime_ns;
}

static bool is_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* What the media process reads may make it say anything: a file has tags and a hash, or a code with
 * words, or that was nonsense. */
static int take_answer(struct import_folder *folder, struct import_file *file, int fd,
                       json_t *answer)
{
    const char *code = json_string_value(json_object_get(answer, "code"));
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    const char *hash = json_string_value(json_object_get(answer, "hash"));
    if (arena_at_end(folder->arena, decref, json_incref(answer)) != 0) {
        json_decref(answer);
        return ERR_NO_MEMORY;
    }
    if (!is_as_it_was(file, fd)) {
        file->mtime_ns = 0; /* looked at again the next time */
        breaks(file, "changing", "It changed while it was read.");
    } else if (code != NULL && (!is_text(code) || !is_text(reason) || strlen(code) > CODE_MAX)) {
        breaks(file, "internal", nonsense);
    } else if (code != NULL && strcmp(code, "unreadable") == 0) {
        is_unreadable(file, reason);
    } else if (code != NULL || !is_text(hash)) {
        breaks(file, code != NULL ? code : "internal", code != NULL ? reason : nonsense);
    } else {
        file->answer = answer;
        file->tags = json_object_get(answer, "tags");
        file->sound = json_object_get(answer, "sound");
        file->has_art = json_is_true(json_object_get(answer, "hasArt"));
        file->hash = hash;
        return file->part != NULL ? import_cue_apply(folder, file) : 0;
    }
    return 0;
}

/* A batch: files that are open, with their descriptors. */
struct batch {
    struct import_file *files[MEDIA_JOB_FDS_MAX];
    int fds[MEDIA_JOB_FDS_MAX];
    unsigned count;
};

static json_t *tags_request(const struct batch *batch, unsigned from, unsigned count)
{
    json_t *sizes = json_array();
    for (unsigned i = from; i < from + count; i++) {
        (void)json_array_append_new(sizes, json_integer(batch->files[i]->bytes));
    }
    return json_pack("{s:s,s:o}", "job", "tags", "files", sizes);
}

/* *ret_done: so many were answered. */
static int ask(struct import_run *run, struct import_folder *folder, struct batch *batch,
               unsigned from, unsigned count, unsigned *ret_done)
{
    CLEANUP_JSON json_t *request = tags_request(batch, from, count);
    CLEANUP_JSON json_t *answer = NULL;
    struct child_failure failure = {.code = ""};
    int error = run_child(run, request, batch->fds + from, count, 0, &answer, &failure);
    const json_t *list = json_object_get(answer, "files");
    *ret_done = 0;
    if (error == 0 && json_array_size(list) == 0) {
        error = ERR_INVALID; /* it says nothing of any: as if it had ended */
    }
    if (error == ERR_INVALID && count == 1) {
        breaks(batch->files[from], "internal",
               is_text(failure.reason) ? arena_strdup(folder->arena, failure.reason) : nonsense);
        *ret_done = 1;
        return 0;
    }
    if (error != 0) {
        return error;
    }
    for (unsigned i = 0; error == 0 && i < count && i < json_array_size(list); i++) {
        error = take_answer(folder, batch->files[from + i], batch->fds[from + i],
                            json_array_get(list, i));
        ++*ret_done;
    }
    return error;
}

static int read_batch(struct import_run *run, struct import_folder *folder, struct batch *batch)
{
    int error = 0;
    bool alone = false;
    for (unsigned at = 0; error == 0 && at < batch->count;) {
        unsigned done = 0;
        error = ask(run, folder, batch, at, alone ? 1 : batch->count - at, &done);
        if (error == ERR_INVALID && !alone) {
            alone = true; /* one of them ended the process */
            error = 0;
        }
        at += done;
    }
    for (unsigned i = 0; i < batch->count; i++) {
        (void)close(batch->fds[i]);
    }
    batch->count = 0;
    return error;
}

int import_read(struct import_run *run, struct import_folder *folder)
{
    struct batch batch = {.count = 0};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        struct import_file *file = &folder->files[i];
        int fd = open_file(folder, file);
        if (fd >= 0) {
            batch.files[batch.count] = file;
            batch.fds[batch.count++] = fd;
        }
        if (batch.count == MEDIA_JOB_FDS_MAX) {
            error = read_batch(run, folder, &batch);
        }
    }
    int last = read_batch(run, folder, &batch);
    return error != 0 ? error : last;
}

int import_read_picture(struct import_run *run, int file_fd, int out_fd, int64_t *ret_bytes)
{
    struct stat status;
    CLEANUP_JSON json_t *answer = NULL;
    struct child_failure failure = {.code = ""};
    *ret_bytes = 0;
    if (fstat(file_fd, &status) != 0) {
        return 0;
    }
    CLEANUP_JSON json_t *request =
        json_pack("{s:s,s:I}", "job", "tags-picture", "bytes", (json_int_t)status.st_size);
    const int fds[] = {file_fd, out_fd};
    int error = run_child(run, request, fds, 2, PICTURE_BYTES_MAX, &answer, &failure);
    if (error == 0) {
        *ret_bytes = json_integer_value(json_object_get(answer, "bytes"));
        *ret_bytes = *ret_bytes > 0 ? *ret_bytes : 0;
    }
    return error == ERR_INVALID ? 0 : error; /* a picture that can't be had is no failure */
}
