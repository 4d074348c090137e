/* Doctor's deep check (doctor_checks.h): the bytes of every object in the folder are read and held
 * against what their trailer says. Objects are listed in portions; those that are wrong are each
 * named on standard error, the first of them in the finding as well.
 */
#include "boot/doctor_checks.h"

#include "backend/blob/blob.h"
#include "base/arena.h"
#include "base/error.h"
#include "boot/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS_AT_ONCE = 500, NAMED_MAX = 3 };

struct reading {
    struct blob_store *store;
    struct progress progress;
    const char *bucket;
    uint64_t seen, bytes, wrong, untold;
    char named[NAMED_MAX][BLOB_BUCKET_MAX + BLOB_KEY_MAX + 2];
    struct arena *arena; /* of a portion */
    unsigned count;
    const char *keys[KEYS_AT_ONCE];
};

static int keep(void *argument, const char *key, const struct blob_stat *stat)
{
    struct reading *reading = argument;
    (void)stat;
    const char *copy = arena_strdup(reading->arena, key);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    reading->keys[reading->count++] = copy;
    return 0;
}

static void name_it(struct reading *reading, const char *key, int error)
{
    char name[sizeof reading->named[0]];
    (void)snprintf(name, sizeof name, "%s/%s", reading->bucket, key);
    if (reading->wrong < NAMED_MAX) {
        (void)snprintf(reading->named[reading->wrong], sizeof name, "%s", name);
    }
    (void)fprintf(stderr, "%stutti: %s %s\n", reading->progress.terminal ? "\n" : "", name,
                  error == ERR_CORRUPT ? "is damaged" : "can't be read");
}

/* A disk that can't read some bytes is no reason to leave the others unread. */
static int read_one(struct reading *reading, const char *key)
{
    struct blob_stat stat = {.bytes = 0};
    int error = blob_check(reading->store, reading->bucket, key, &stat);
    if (error == ERR_NOT_FOUND) {
        return 0; /* deleted meanwhile */
    }
    reading->seen++;
    reading->bytes += stat.bytes;
    progress_show(&reading->progress, (int64_t)reading->bytes, 0);
    if (error == ERR_CORRUPT || error == ERR_IO) {
        name_it(reading, key, error);
        reading->wrong++;
        return 0;
    }
    reading->untold += error == ERR_UNSUPPORTED ? 1 : 0;
    return error == ERR_UNSUPPORTED ? 0 : error;
}

/* A portion after a key, which moves on. */
static int read_portion(struct reading *reading, char after[BLOB_KEY_MAX + 1])
{
    reading->count = 0;
    reading->arena = arena_new(0);
    int error = reading->arena != NULL ? blob_list(reading->store, reading->bucket, "", after,
                                                   KEYS_AT_ONCE, keep, reading)
                                       : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < reading->count; i++) {
        error = read_one(reading, reading->keys[i]);
    }
    if (reading->count > 0) {
        (void)snprintf(after, BLOB_KEY_MAX + 1, "%s", reading->keys[reading->count - 1]);
    }
    arena_free(reading->arena);
    return error;
}

static int read_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    struct reading *reading = argument;
    char after[BLOB_KEY_MAX + 1] = "";
    int error = 0;
    (void)created_ms;
    reading->bucket = bucket;
    do {
        error = read_portion(reading, after);
    } while (error == 0 && reading->count == KEYS_AT_ONCE);
    return error;
}

static void tell(const struct doctor *doctor, const struct reading *reading,
                 struct finding *finding)
{
    char bytes[PROGRESS_BYTES_SIZE], advice[sizeof finding->advice], untold[96] = "";
    if (reading->untold > 0) {
        (void)snprintf(untold, sizeof untold, "; %" PRIu64 " of parts tell no hash to hold against",
                       reading->untold);
    }
    finding_ok(finding, "all %" PRIu64 " objects hold what was written (%s)%s", reading->seen,
               progress_bytes(reading->bytes, bytes), untold);
    if (reading->wrong > 0) {
        (void)snprintf(advice, sizeof advice,
                       "look at the disk (smartctl, dmesg), and bring them back from a backup's "
                       "objects: tutti migrate --from file:COPIES --to file:%s --verify",
                       doctor->place.objects);
        finding_fail(finding, advice,
                     "%" PRIu64 " of %" PRIu64 " objects are damaged or can't be read: "
                     "%.150s%s%.150s%s%.150s",
                     reading->wrong, reading->seen, reading->named[0],
                     reading->named[1][0] != '\0' ? ", " : "", reading->named[1],
                     reading->named[2][0] != '\0' ? ", " : "", reading->named[2]);
    }
}

void doctor_check_bytes(struct doctor *doctor, struct finding *finding)
{
    if (doctor->objects == NULL) {
        finding_warn(finding, "see the line \"objects\"", "not read: the store can't be opened");
        return;
    }
    if (blob_is_remote(doctor->objects)) {
        finding_ok(finding, "not read: an S3 store checks its objects' bytes itself");
        return;
    }
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        finding_fail(finding, "", "%s", error_title(ERR_NO_MEMORY));
        return;
    }
    reading->store = doctor->objects;
    progress_begin(&reading->progress, "bytes");
    int error = blob_bucket_list(doctor->objects, read_bucket, reading);
    progress_clear(&reading->progress);
    if (error != 0) {
        finding_fail(finding, "check the folder's rights and the disk",
                     "the store can't be gone through: %s", error_title(error));
    } else {
        tell(doctor, reading, finding);
    }
    free(reading);
}
