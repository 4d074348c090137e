/* Renames that belong together (renames.h). A journal is text: a line for people, then for each
 * rename a line of its source and one of its target, in their order. */
#include "boot/renames.h"

#include "backend/folder.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int trouble(const char *path, int cause, struct problem *problem)
{
    return problem_set(problem, error_from_errno(cause), "%s: %s", path, strerror(cause));
}

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* A journal is read from another working directory than it was written from. */
static char *absolute(const char *path)
{
    if (path[0] == '/') {
        return strdup(path);
    }
    char *folder CLEANUP_FREE = getcwd(NULL, 0);
    char *made = NULL;
    return folder != NULL && asprintf(&made, "%s/%s", folder, path) >= 0 ? made : NULL;
}

int renames_add(struct renames *renames, const char *from, const char *to, struct problem *problem)
{
    if (renames->count == RENAMES_MAX) {
        return problem_set(problem, ERR_INVALID, "More than %d files would be renamed",
                           RENAMES_MAX);
    }
    if (strchr(from, '\n') != NULL || strchr(to, '\n') != NULL) {
        return problem_set(problem, ERR_INVALID,
                           "A path has a line break in it; the data must be in another one: %s",
                           from);
    }
    char *source CLEANUP_FREE = absolute(from), *target CLEANUP_FREE = absolute(to);
    if (source == NULL || target == NULL) {
        return ERR_NO_MEMORY;
    }
    renames->from[renames->count] = TAKE_PTR(source);
    renames->to[renames->count] = TAKE_PTR(target);
    renames->count++;
    return 0;
}

void renames_done(struct renames *renames)
{
    for (unsigned i = 0; i < renames->count; i++) {
        free(renames->from[i]);
        free(renames->to[i]);
    }
    renames->count = 0;
}

/* The folder that holds an absolute path. NULL: no memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static bool in_one_folder(const char *left, const char *right)
{
    const char *slash = strrchr(left, '/');
    size_t length = (size_t)(slash - left) + 1;
    return strncmp(left, right, length) == 0 && strchr(right + length, '/') == NULL;
}

/* Durably. The folder of the new name is synced first: a power cut may leave both names, but never
 * none. */
static int move(const char *from, const char *to, struct problem *problem)
{
    if (rename(from, to) != 0) {
        return problem_set(problem, error_from_errno(errno), "%s can't be renamed to %s: %s", from,
                           to, strerror(errno));
    }
    if (folder_sync_of(to) != 0 || (!in_one_folder(from, to) && folder_sync_of(from) != 0)) {
        return trouble(to, errno, problem);
    }
    return 0;
}

static int make(const char *from, const char *to, struct problem *problem)
{
    char *folder CLEANUP_FREE = folder_of(to);
    if (folder == NULL) {
        return ERR_NO_MEMORY;
    }
    if (is_there(to)) {
        return trouble(to, EEXIST, problem);
    }
    return !in_one_folder(from, to) && folder_make(folder) != 0 ? trouble(folder, errno, problem)
                                                                : move(from, to, problem);
}

int renames_make(const struct renames *renames, struct problem *problem)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < renames->count; i++) {
        error = make(renames->from[i], renames->to[i], problem);
    }
    return error;
}

/* Whether the target is what this one brought. Not where the source is still there, or again: it
 * was taken back by hand. Nor where an earlier one that has the target for its source is not made:
 * then it is what was there before, and who lacks is what was staged. */
static bool is_made(const struct renames *renames, unsigned which)
{
    const char *to = renames->to[which];
    if (is_there(renames->from[which]) || !is_there(to)) {
        return false;
    }
    for (unsigned i = 0; i < which; i++) {
        if (strcmp(renames->from[i], to) == 0) {
            return is_there(renames->to[i]);
        }
    }
    return true;
}

/* Before anything is renamed: who finds a name lost shall find the others as they were. */
static int check_none_lost(const struct renames *renames, struct problem *problem)
{
    for (unsigned i = 0; i < renames->count; i++) {
        const char *from = renames->from[i], *to = renames->to[i];
        if (!is_there(from) && !is_there(to)) {
            return problem_set(problem, ERR_CONFLICT,
                               "Neither %s nor %s is there, so the renames can't be taken back; "
                               "bring one of them back, or take the two lines out of the journal",
                               to, from);
        }
    }
    return 0;
}

static int undo(const struct renames *renames, unsigned which, struct problem *problem)
{
    const char *from = renames->from[which], *to = renames->to[which];
    int error = is_made(renames, which) ? move(to, from, problem) : 0;
    if (error == 0 && !in_one_folder(from, to)) {
        char *folder CLEANUP_FREE = folder_of(to);
        if (folder != NULL) {
            (void)rmdir(folder); /* others may still be in it */
        }
    }
    return error;
}

int renames_undo(const struct renames *renames, struct problem *problem)
{
    int error = check_none_lost(renames, problem);
    for (unsigned i = renames->count; error == 0 && i > 0; i--) {
        error = undo(renames, i - 1, problem);
    }
    return error;
}

static int write_lines(const struct renames *renames, const char *words, FILE *file)
{
    (void)fprintf(file, "%s\n", words);
    for (unsigned i = 0; i < renames->count; i++) {
        (void)fprintf(file, "%s\n%s\n", renames->from[i], renames->to[i]);
    }
    return fflush(file) == 0 && ferror(file) == 0 && fsync(fileno(file)) == 0 ? 0 : errno;
}

static int write_file(const struct renames *renames, const char *path, const char *words)
{
    (void)unlink(path); /* of one that was killed; never through a link */
    int fd CLEANUP_CLOSE = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        return errno;
    }
    (void)TAKE_FD(fd);
    int cause = write_lines(renames, words, file);
    return fclose(file) != 0 && cause == 0 ? errno : cause;
}

int renames_write(const struct renames *renames, const char *journal, const char *words,
                  struct problem *problem)
{
    char *part CLEANUP_FREE = NULL;
    if (asprintf(&part, "%s.part", journal) < 0) {
        part = NULL;
        return ERR_NO_MEMORY;
    }
    int cause = write_file(renames, part, words);
    if (cause != 0) {
        (void)unlink(part);
        return trouble(part, cause, problem);
    }
    return move(part, journal, problem);
}

/* A line without its end, the caller's; NULL: there is none. */
static char *read_line(FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, file);
    if (length <= 0 || line[length - 1] != '\n') {
        free(line);
        return NULL;
    }
    line[length - 1] = '\0';
    return line;
}

static int read_lines(struct renames *renames, FILE *file, struct problem *problem)
{
    int error = 0;
    free(read_line(file)); /* the words for people */
    while (error == 0) {
        char *from CLEANUP_FREE = read_line(file);
        char *to CLEANUP_FREE = from != NULL ? read_line(file) : NULL;
        if (to == NULL) {
            break;
        }
        error = renames_add(renames, from, to, problem);
    }
    return error;
}

int renames_read(struct renames *renames, const char *journal, struct problem *problem)
{
    int fd CLEANUP_CLOSE = open(journal, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (file == NULL) {
        return trouble(journal, errno, problem);
    }
    (void)TAKE_FD(fd);
    int error = read_lines(renames, file, problem);
    error = error == 0 && ferror(file) != 0 ? trouble(journal, EIO, problem) : error;
    (void)fclose(file);
    return error;
}

int renames_forget(const char *journal, struct problem *problem)
{
    return unlink(journal) == 0 && folder_sync_of(journal) == 0 ? 0
                                                                : trouble(journal, errno, problem);
}
