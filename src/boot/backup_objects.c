/* Copying objects for backups (backup_objects.h). */
#include "boot/backup_objects.h"

#include "base/error.h"
#include "base/problem.h"
#include "boot/command.h"
#include "boot/place.h"
#include "boot/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int backup_store_open(const char *url, const char *keys, struct blob_store **ret_store,
                      struct problem *problem)
{
    const struct blob_config config = {.url = url, .keys_path = keys};
    return blob_store_open(&config, ret_store, problem);
}

int backup_store_open_folder(const char *folder, int make, const char *keys,
                             struct blob_store **ret_store, struct problem *problem)
{
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/objects", folder);
    if (!make && (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))) {
        return problem_set(problem, ERR_NOT_FOUND, "%s holds no objects of a backup", folder);
    }
    int error = make ? place_make_folder(folder, problem) : 0;
    (void)snprintf(path, sizeof path, "file:%s", folder);
    return error != 0 ? error : backup_store_open(path, keys, ret_store, problem);
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
               "or gone";
    case BLOB_MIRRORED_UNEQUAL:
        return "has other bytes than what it is a copy of, and nothing tells which are right: "
               "remove the one that is wrong";
    case BLOB_MIRRORED_ALREADY:
    case BLOB_MIRRORED_READ:
    case BLOB_MIRRORED_NOW:
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
                              outcome != BLOB_MIRRORED_DAMAGED
                          ? 1
                          : 0;
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
    if (words != NULL && sums->damaged + sums->mended < BACKUP_NAMED_MAX) {
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
    char bytes[PROGRESS_BYTES_SIZE], read[96] = "";
    if (sums->read.turns > 0) {
        (void)snprintf(read, sizeof read,
                       ", %llu read (%llu had wrong bytes and were copied again)",
                       (unsigned long long)(sums->was_read - before->was_read),
                       (unsigned long long)(sums->mended - before->mended));
    }
    progress_end(&copying->progress, "%llu copied (%s), %llu looked at%s, %llu damaged",
                 (unsigned long long)(sums->copied - before->copied),
                 progress_bytes(sums->copied_bytes - before->copied_bytes, bytes),
                 (unsigned long long)(sums->seen - before->seen), read,
                 (unsigned long long)(sums->damaged - before->damaged));
}

int backup_objects_copy(struct blob_store *from, struct blob_store *to, const char *bucket,
                        const char *label, struct backup_objects *sums, struct problem *problem)
{
    struct backup_objects before = *sums;
    struct copying copying = {.sums = sums};
    progress_begin(&copying.progress, label);
    const struct blob_mirror mirror = {visit, &copying, sums->read};
    struct problem found = {0};
    int error = blob_mirror(from, to, bucket, &mirror, &found);
    if (error != 0) {
        return problem_set(problem, error, "The objects can't be copied: %s",
                           found.detail[0] != '\0' ? found.detail : error_title(error));
    }
    tell(&copying, &before);
    return 0;
}
