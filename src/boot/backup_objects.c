/* Copying objects for backups (backup_objects.h). */
#include "boot/backup_objects.h"

#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/problem.h"
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

static int visit(void *argument, const char *path, uint64_t bytes, enum blob_mirrored outcome)
{
    struct copying *copying = argument;
    struct backup_objects *sums = copying->sums;
    sums->seen++;
    copying->bytes += bytes;
    if (outcome == BLOB_MIRRORED_NOW) {
        sums->copied++;
        sums->copied_bytes += bytes;
    } else if (outcome == BLOB_MIRRORED_DAMAGED && sums->damaged++ < BACKUP_DAMAGED_SHOWN) {
        (void)fprintf(stderr, "%stutti: %s is damaged and was left out\n",
                      copying->progress.terminal ? "\n" : "", path);
    }
    progress_show(&copying->progress, (int64_t)copying->bytes, 0);
    return 0;
}

int backup_objects_copy(struct blob_store *from, struct blob_store *to, const char *bucket,
                        const char *label, struct backup_objects *sums, struct problem *problem)
{
    struct backup_objects before = *sums;
    struct copying copying = {.sums = sums};
    progress_begin(&copying.progress, label);
    const struct blob_mirror mirror = {visit, &copying};
    struct problem found = {0};
    int error = blob_mirror(from, to, bucket, &mirror, &found);
    if (error != 0) {
        return problem_set(problem, error, "The objects can't be copied: %s",
                           found.detail[0] != '\0' ? found.detail : error_title(error));
    }
    char bytes[PROGRESS_BYTES_SIZE];
    progress_end(&copying.progress, "%llu copied (%s), %llu looked at, %llu damaged",
                 (unsigned long long)(sums->copied - before.copied),
                 progress_bytes(sums->copied_bytes - before.copied_bytes, bytes),
                 (unsigned long long)(sums->seen - before.seen),
                 (unsigned long long)(sums->damaged - before.damaged));
    return 0;
}
