/* Copying objects for backups (backup_objects.h). */
#include "boot/backup_objects.h"

#include "backend/rights.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/command.h"
#include "boot/place.h"
#include "boot/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int backup_store_open(const char *url, const char *keys, struct blob_store **ret_store,
                      struct problem *problem)
{
    const struct blob_config config = {.url = url, .keys_path = keys};
    return blob_store_open(&config, ret_store, problem);
}

int backup_store_check_folder(const char *folder, struct problem *problem)
{
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/objects", folder);
    return rights_stat(AT_FDCWD, path, &status) == 0 && S_ISDIR(status.st_mode)
               ? 0
               : problem_set(problem, ERR_NOT_FOUND, "%s holds no objects: there is no folder %s",
                             folder, path);
}

static int make_folder(const char *folder, struct problem *problem)
{
    int fd CLEANUP_CLOSE = rights_open(AT_FDCWD, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        return 0; /* whether it can be written to is seen when the store is opened */
    }
    rights_begin(AT_FDCWD, folder);
    int error = place_make_folder("the folder of --blobs", folder, problem);
    rights_end();
    return error;
}

int backup_store_open_folder(const char *folder, int make, const char *keys,
                             struct blob_store **ret_store, struct problem *problem)
{
    char path[PATH_MAX];
    int error = make ? make_folder(folder, problem) : backup_store_check_folder(folder, problem);
    (void)snprintf(path, sizeof path, "file:%s", folder);
    return error != 0 ? error : backup_store_open(path, keys, ret_store, problem);
}

/* The folder, or the nearest above it that is there. A descriptor, or -1. */
static int open_nearest(const char *path, bool *ret_itself)
{
    char at[PATH_MAX];
    (void)snprintf(at, sizeof at, "%s", path);
    *ret_itself = true;
    int fd = rights_open(AT_FDCWD, at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == ENOENT && strcmp(at, ".") != 0) {
        char *slash = strrchr(at, '/');
        *ret_itself = false;
        if (slash == NULL) {
            (void)snprintf(at, sizeof at, ".");
        } else {
            slash[slash == at ? 1 : 0] = '\0';
        }
        fd = rights_open(AT_FDCWD, at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    return fd;
}

static bool is_one(int left, int right)
{
    struct stat a, b;
    return fstat(left, &a) == 0 && fstat(right, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Whether going up from a folder comes by another; a folder is inside itself. */
static bool is_inside(int folder, int other)
{
    int at CLEANUP_CLOSE = rights_open(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (at >= 0 && !is_one(at, other)) {
        int above CLEANUP_CLOSE = rights_open(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (above < 0 || is_one(at, above)) {
            return false; /* the root */
        }
        (void)close(at);
        at = TAKE_FD(above);
    }
    return at >= 0;
}

int backup_check_copies(const struct place *place, const char *folder, struct problem *problem)
{
    return folder != NULL && place->objects != NULL
               ? backup_check_apart(place->objects, folder, problem)
               : 0;
}

int backup_check_apart(const char *from, const char *to, struct problem *problem)
{
    static const char advice[] = "name another folder, best on another disk";
    bool from_itself, to_itself;
    int source CLEANUP_CLOSE = open_nearest(from, &from_itself);
    int target CLEANUP_CLOSE = open_nearest(to, &to_itself);
    if (source < 0 || target < 0) {
        return 0; /* who opens them says why */
    }
    if (from_itself && to_itself && is_one(source, target)) {
        return problem_set(problem, ERR_INVALID,
                           "%s and %s are one folder, so nothing would be copied; %s", to, from,
                           advice);
    }
    if (from_itself && is_inside(target, source)) {
        return problem_set(problem, ERR_INVALID, "%s is inside %s, where the objects are; %s", to,
                           from, advice);
    }
    return to_itself && is_inside(source, target)
               ? problem_set(problem, ERR_INVALID, "%s holds %s, where the objects are; %s", to,
                             from, advice)
               : 0;
}

struct copying {
    struct backup_objects *sums;
    struct progress progress;
    uint64_t bytes; /* looked at */
};

struct blob_share backup_read_all(const struct command_line *line)
{
    return (struct blob_share){.turns = line->options[OPTION_VERIFY] != NULL ? 1 : 0};
}

/* What is said of an object; NULL: nothing. */
static const char *words_of(enum blob_mirrored outcome)
{
    switch (outcome) {
    case BLOB_MIRRORED_MENDED:
        return "had wrong bytes and was copied again";
    case BLOB_MIRRORED_DAMAGED:
        return "is damaged and was left out";
    case BLOB_MIRRORED_LOST:
        return "has wrong bytes, and can't be copied again: what it is a copy of is damaged, too, "
               "older, or gone";
    case BLOB_MIRRORED_UNEQUAL:
        return "has other bytes than what it is a copy of, and nothing tells which are right: "
               "remove the one that is wrong";
    case BLOB_MIRRORED_ALREADY:
    case BLOB_MIRRORED_READ:
    case BLOB_MIRRORED_NOW:
    case BLOB_MIRRORED_KEPT:
        break;
    }
    return NULL;
}

static void name_it(const struct copying *copying, const char *path, const char *words)
{
    (void)fprintf(stderr, "%stutti: %s %s\n", copying->progress.terminal ? "\n" : "", path, words);
}

static void count(struct backup_objects *sums, uint64_t bytes, enum blob_mirrored outcome)
{
    bool again = outcome == BLOB_MIRRORED_MENDED;
    bool copied = again || outcome == BLOB_MIRRORED_NOW;
    bool wrong = outcome >= BLOB_MIRRORED_DAMAGED;
    sums->seen++;
    sums->was_read += outcome != BLOB_MIRRORED_ALREADY && outcome != BLOB_MIRRORED_NOW &&
                              outcome != BLOB_MIRRORED_KEPT && outcome != BLOB_MIRRORED_DAMAGED
                          ? 1
                          : 0;
    sums->kept += outcome == BLOB_MIRRORED_KEPT ? 1 : 0;
    sums->copied += copied ? 1 : 0;
    sums->copied_bytes += copied ? bytes : 0;
    sums->mended += again ? 1 : 0;
    sums->damaged += wrong ? 1 : 0;
}

static int visit(void *argument, const char *path, uint64_t bytes, enum blob_mirrored outcome)
{
    struct copying *copying = argument;
    struct backup_objects *sums = copying->sums;
    const char *words = words_of(outcome);
    bool wanted = outcome >= BLOB_MIRRORED_DAMAGED || sums->mended < BACKUP_NAMED_MAX;
    if (words != NULL && wanted) {
        name_it(copying, path, words);
    }
    copying->bytes += bytes;
    count(sums, bytes, outcome);
    progress_show(&copying->progress, (int64_t)copying->bytes, 0);
    return 0;
}

/* "3 copied (1.2 MB), 40 looked at, 0 damaged", and what came of reading where there was some. */
static void tell(struct copying *copying, const struct backup_objects *before)
{
    const struct backup_objects *sums = copying->sums;
    char bytes[PROGRESS_BYTES_SIZE], read[96] = "", kept[64] = "";
    if (sums->read.turns > 0) {
        (void)snprintf(read, sizeof read,
                       ", %llu read (%llu had wrong bytes and were copied again)",
                       (unsigned long long)(sums->was_read - before->was_read),
                       (unsigned long long)(sums->mended - before->mended));
    }
    if (sums->kept > before->kept) {
        (void)snprintf(kept, sizeof kept, ", %llu left, since they are newer",
                       (unsigned long long)(sums->kept - before->kept));
    }
    progress_end(&copying->progress, "%llu copied (%s), %llu looked at%s%s, %llu damaged",
                 (unsigned long long)(sums->copied - before->copied),
                 progress_bytes(sums->copied_bytes - before->copied_bytes, bytes),
                 (unsigned long long)(sums->seen - before->seen), read, kept,
                 (unsigned long long)(sums->damaged - before->damaged));
}

int backup_objects_copy(struct blob_store *from, struct blob_store *to, const char *bucket,
                        const char *label, struct backup_objects *sums, struct problem *problem)
{
    struct backup_objects before = *sums;
    struct copying copying = {.sums = sums};
    progress_begin(&copying.progress, label);
    const struct blob_mirror mirror = {visit, &copying, sums->read, sums->keep_newer};
    struct problem found = {0};
    rights_begin_beneath(); /* one of the stores may be root's; an engine of files follows no link
                             */
    int error = blob_mirror(from, to, bucket, &mirror, &found);
    rights_end();
    if (error != 0) {
        return problem_set(problem, error, "The objects can't be copied: %s",
                           found.detail[0] != '\0' ? found.detail : error_title(error));
    }
    tell(&copying, &before);
    return 0;
}
