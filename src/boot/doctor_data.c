/* Doctor's checks of what is stored (doctor_checks.h): databases, events, jobs, objects. */
#include "boot/doctor_checks.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "boot/backup_objects.h"
#include "boot/config.h"
#include "boot/progress.h"
#include "boot/schemas.h"
#include "service/catalog/catalog.h"
#include "service/ingest/ingest.h"
#include "service/library/library.h"
#include "service/streaming/streaming.h"
#include "service/transcode/transcode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    STUCK_MS = 5 * 60 * 1000,
    OVERDUE_MS = 5 * 60 * 1000,
    REPLICA_MS = 5000, /* in which a replica is to be looked at */
    NAMED_MAX = 3,
    PARKED_MAX = 1000
};

static void no_database(struct finding *finding)
{
    finding_warn(finding, "", "not looked at: there is no database to ask, or nothing in it yet");
}

/* databases */

static void check_schema(struct doctor *doctor, enum place_database which, struct finding *finding)
{
    struct problem problem = {0};
    unsigned pending = 0;
    int error = schemas_pending(doctor->databases[which], which, &pending, &problem);
    if (error == ERR_VERSION) {
        finding_fail(finding, "install the newer version again, or restore an older backup", "%s",
                     finding_words(&problem, error));
    } else if (error != 0) {
        finding_fail(finding, "restore the last backup (docs/operations.md)", "%s",
                     finding_words(&problem, error));
    } else if (pending > 0) {
        finding_warn(finding, "the next start brings it to this version, or tutti migrate",
                     "%u migrations are not applied yet", pending);
    }
}

static void check_replicas(struct db *db, struct finding *finding)
{
    struct problem problem = {0};
    int64_t until_ms = clock_monotonic_ms() + REPLICA_MS;
    bool degraded = db_is_degraded(db, &problem);
    while (degraded && clock_monotonic_ms() < until_ms) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        degraded = db_is_degraded(db, &problem);
    }
    if (degraded) {
        finding_warn(finding,
                     "mend that server, or its address in database.…_replicas; the others are read",
                     "%s", problem.detail);
    }
}

/* What a database without tables lacks need not be told line by line. */
static void close_if_empty(struct db **db)
{
    bool empty = false;
    if (db_is_empty(*db, &empty) == 0 && empty) {
        db_close(*db);
        *db = NULL;
    }
}

/* The file of another database that holds something; NULL: there is no installation yet. */
static const char *filled_beside(const struct place *place, enum place_database which)
{
    struct stat status;
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &place->databases[i];
        if (i != which && !file->younger && file->path != NULL && stat(file->path, &status) == 0 &&
            status.st_size > 0) {
            return file->path;
        }
    }
    return NULL;
}

/* Whether an installation has this database for sure: those of older versions lack the younger one
 * until the first start of this one. */
static bool is_due(const struct doctor *doctor, enum place_database which)
{
    struct problem problem = {0};
    unsigned pending = 0;
    struct db *catalog = doctor->databases[PLACE_CATALOG];
    return !doctor->place.databases[which].younger ||
           (catalog != NULL && schemas_pending(catalog, PLACE_CATALOG, &pending, &problem) == 0 &&
            pending == 0);
}

/* Whether the file holds a database. What an installation had, and lacks, was lost: the next start
 * would make an empty one, and go on with that. */
static bool check_file(const struct doctor *doctor, enum place_database which,
                       const struct stat *status, int cause, struct finding *finding)
{
    const char *path = doctor->place.databases[which].path;
    const char *other = filled_beside(&doctor->place, which);
    if (cause != 0 && cause != ENOENT) {
        finding_fail(finding, "run as the user that owns the data directory",
                     "%s can't be looked at: %s", path, strerror(cause));
    } else if ((cause != 0 || status->st_size == 0) && other != NULL && is_due(doctor, which)) {
        finding_fail(
            finding,
            "restore the last backup (docs/operations.md); a start would make an empty one",
            "%s %s, but %s is there", path, cause != 0 ? "isn't there" : "is empty", other);
    } else if (cause != 0) {
        finding_warn(finding, "start the server once, or check --data", "%s isn't there", path);
    }
    return cause == 0;
}

static const char *advice_to_open(const struct place_file *file, int error)
{
    bool unread = error == ERR_UNAVAILABLE || error == ERR_DISK_FULL || error == ERR_IO ||
                  error == ERR_BUSY || error == ERR_NO_MEMORY;
    return file->path == NULL ? "mend the address, the server or the user's rights "
                                "(docs/operations.md, PostgreSQL)"
           : unread ? "mend what it says: rights, room, or the disk and its mount (dmesg); the "
                      "database may well be whole"
                    : "restore the last backup (docs/operations.md)";
}

static void check_database(struct doctor *doctor, enum place_database which,
                           struct finding *finding)
{
    const struct place_file *file = &doctor->place.databases[which];
    struct problem problem = {0};
    struct stat status = {.st_size = 0};
    int cause = file->path != NULL && stat(file->path, &status) != 0 ? errno : 0;
    if (file->path != NULL && !check_file(doctor, which, &status, cause, finding)) {
        return;
    }
    int error = place_open_database(file, &doctor->databases[which], &problem);
    if (error != 0) {
        finding_fail(finding, advice_to_open(file, error), "%s", finding_words(&problem, error));
        return;
    }
    char bytes[PROGRESS_BYTES_SIZE], size[PROGRESS_BYTES_SIZE + 4] = "";
    if (file->path != NULL) {
        (void)snprintf(size, sizeof size, " (%s)", progress_bytes((uint64_t)status.st_size, bytes));
    }
    finding_ok(finding, "%s is whole and of this version%s", db_where(doctor->databases[which]),
               size);
    check_schema(doctor, which, finding);
    error = db_check(doctor->databases[which], &problem);
    if (error == ERR_FORBIDDEN) {
        finding_fail(finding, "GRANT it, or let the user own the database and its tables", "%s",
                     finding_words(&problem, error));
    } else if (error != 0) {
        finding_fail(finding, "stop the server and restore the last backup (docs/operations.md)",
                     "%s", finding_words(&problem, error));
    }
    check_replicas(doctor->databases[which], finding);
    close_if_empty(&doctor->databases[which]);
}

void doctor_check_catalog(struct doctor *doctor, struct finding *finding)
{
    check_database(doctor, PLACE_CATALOG, finding);
}

void doctor_check_users(struct doctor *doctor, struct finding *finding)
{
    check_database(doctor, PLACE_USERS, finding);
}

void doctor_check_activity(struct doctor *doctor, struct finding *finding)
{
    check_database(doctor, PLACE_ACTIVITY, finding);
}

/* events */

static void judge_unseen(const char *consumer, const struct bus_unseen *unseen,
                         struct finding *finding)
{
    int64_t age_ms = clock_wall_ms() - unseen->oldest_ms;
    if (unseen->count > 0 && age_ms > STUCK_MS) {
        finding_warn(finding, "start a server with the role that takes them",
                     "%" PRId64 " events wait for the consumer %s, the oldest for %" PRId64
                     " minutes",
                     unseen->count, consumer, age_ms / 60000);
    }
}

static int check_interests(struct db *db, const struct bus_interest *interests,
                           struct finding *finding)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && interests[i].consumer != NULL; i++) {
        struct bus_unseen unseen = {.count = 0};
        error = bus_unseen_look(db, &interests[i], &unseen);
        judge_unseen(interests[i].consumer, &unseen, finding);
        error = error == ERR_NOT_FOUND ? 0 : error; /* a process with that role never ran */
    }
    return error;
}

static int check_parked(struct db *db, struct finding *finding)
{
    struct bus_parked *parked = NULL;
    unsigned count = 0;
    struct arena *arena = arena_new(0);
    int error =
        arena != NULL ? bus_parked_list(db, arena, PARKED_MAX, &parked, &count) : ERR_NO_MEMORY;
    if (error == 0 && count > 0) {
        finding_fail(finding,
                     "tutti events parked says which; tutti events retry EVENT, once mended",
                     "%u events were given up after all tries, the oldest by the consumer %s",
                     count, parked[0].consumer);
    }
    arena_free(arena);
    return error;
}

void doctor_check_events(struct doctor *doctor, struct finding *finding)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        if (doctor->databases[i] == NULL) {
            no_database(finding);
            return;
        }
    }
    struct db *catalog = doctor->databases[PLACE_CATALOG];
    int error = check_interests(catalog, catalog_interests, finding);
    error = error != 0 ? error : check_interests(catalog, transcode_interests, finding);
    error = error != 0 ? error : check_interests(catalog, streaming_interests, finding);
    error = error != 0
                ? error
                : check_interests(doctor->databases[PLACE_ACTIVITY], library_interests, finding);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = check_parked(doctor->databases[i], finding);
    }
    if (error != 0) {
        finding_warn(finding, "tutti migrate", "the events can't be read: %s", db_words());
    }
    finding_ok(finding, "none waits for long, none was given up");
}

/* jobs */

void doctor_check_jobs(struct doctor *doctor, struct finding *finding)
{
    struct transcode_queue queue;
    if (doctor->databases[PLACE_CATALOG] == NULL) {
        no_database(finding);
        return;
    }
    int error = transcode_queue_look(doctor->databases[PLACE_CATALOG], OVERDUE_MS, &queue);
    if (error != 0) {
        finding_warn(finding, "tutti migrate", "the queue can't be read: %s", db_words());
    } else if (queue.overdue > 0) {
        finding_warn(finding, "start a server with the role transcode; see the line \"media\"",
                     "nobody has taken %" PRId64 " of %" PRId64 " media jobs for %d minutes",
                     queue.overdue, queue.waiting + queue.running, OVERDUE_MS / 60000);
    }
    finding_ok(finding, "%" PRId64 " media jobs wait, %" PRId64 " run", queue.waiting,
               queue.running);
}

/* objects: what rows need */

struct needs {
    struct blob_store *store;
    struct progress progress;
    uint64_t seen, bytes, missing, other;
    char named[NAMED_MAX][BLOB_KEY_MAX + 1]; /* the first that aren't right */
};

static void name_it(struct needs *needs, const char *key)
{
    uint64_t count = needs->missing + needs->other;
    if (count < NAMED_MAX) {
        (void)snprintf(needs->named[count], sizeof needs->named[count], "%s", key);
    }
}

static int visit_needed(void *argument, const char *key, int64_t bytes)
{
    struct needs *needs = argument;
    struct blob_stat stat = {.bytes = 0};
    struct blob_source source = {.fd = -1};
    /* in a folder opened, not just looked at: an encrypted one needs its key */
    int error = blob_is_remote(needs->store)
                    ? blob_stat(needs->store, BLOB_MEDIA, key, &stat)
                    : blob_open(needs->store, BLOB_MEDIA, key, &source, &stat);
    blob_source_close(&source);
    needs->seen++;
    needs->bytes += stat.bytes;
    if (error == ERR_NOT_FOUND) {
        name_it(needs, key);
        needs->missing++;
    } else if (error == ERR_CORRUPT ||
               (error == 0 && bytes >= 0 && (uint64_t)bytes != stat.bytes)) {
        name_it(needs, key);
        needs->other++;
    } else if (error != 0) {
        return error;
    }
    progress_show(&needs->progress, (int64_t)needs->bytes, 0);
    return 0;
}

static int count_needed(void *argument, const char *key, int64_t bytes)
{
    (void)key;
    (void)bytes;
    *(uint64_t *)argument += 1;
    return 0;
}

/* Before the first start there is no folder, and nothing that a row would need of it. */
static void tell_no_folder(const struct doctor *doctor, int cause, struct finding *finding)
{
    const char *path = doctor->place.objects;
    uint64_t needed = 0;
    (void)catalog_objects_walk(doctor->databases[PLACE_CATALOG], false, count_needed, &needed);
    if (cause != ENOENT) {
        finding_fail(finding, "run as the user that owns the data directory", "%s: %s", path,
                     strerror(cause));
    } else if (needed > 0) {
        finding_fail(
            finding,
            "mount the disk that it is on, or bring them back from a backup: tutti migrate "
            "--from file:COPIES (docs/operations.md, Backup)",
            "%s isn't there, nor any of the %" PRIu64 " objects that tracks and pictures need",
            path, needed);
    } else {
        finding_warn(finding, "the first start makes it", "%s isn't there", path);
    }
}

static bool open_objects(struct doctor *doctor, struct finding *finding)
{
    struct problem problem = {0};
    struct stat status;
    if (doctor->objects != NULL) {
        return true;
    }
    if (doctor->place.objects == NULL) {
        finding_fail(finding, "see the line \"s3\"", "the object store can't be used");
        return false;
    }
    if (stat(doctor->place.objects, &status) != 0) {
        tell_no_folder(doctor, errno, finding);
        return false;
    }
    int error = backup_store_open(doctor->place.objects_url, doctor->place.keys, &doctor->objects,
                                  &problem);
    if (error != 0) {
        finding_fail(finding, "check blob.store and the folder's rights", "%s",
                     finding_words(&problem, error));
    }
    return error == 0;
}

void doctor_check_objects(struct doctor *doctor, struct finding *finding)
{
    if (doctor->databases[PLACE_CATALOG] == NULL) {
        no_database(finding);
        return;
    }
    if (!open_objects(doctor, finding)) {
        return;
    }
    static const char advice[] =
        "bring them back from a backup: tutti restore --blobs into another "
        "--data and copy, or upload those tracks again";
    struct needs needs = {.store = doctor->objects};
    progress_begin(&needs.progress, "objects");
    int error = catalog_objects_walk(doctor->databases[PLACE_CATALOG],
                                     blob_is_remote(doctor->objects), visit_needed, &needs);
    progress_clear(&needs.progress);
    if (error != 0) {
        finding_fail(finding, "tutti migrate, and see the line \"catalog\"",
                     "the objects can't be gone through: %s", error_title(error));
    } else if (needs.missing + needs.other > 0) {
        finding_fail(finding, advice,
                     "%" PRIu64 " of %" PRIu64
                     " objects that tracks and pictures need are missing, "
                     "%" PRIu64 " are damaged, of another length, or without their key: %s%s%s%s%s",
                     needs.missing, needs.seen, needs.other, needs.named[0],
                     needs.named[1][0] != '\0' ? ", " : "", needs.named[1],
                     needs.named[2][0] != '\0' ? ", " : "", needs.named[2]);
    }
    char bytes[PROGRESS_BYTES_SIZE];
    finding_ok(finding, "all %" PRIu64 " that tracks and pictures need are there (%s)", needs.seen,
               progress_bytes(needs.bytes, bytes));
}

/* store: what is in it */

struct first {
    char damaged[BLOB_BUCKET_MAX + BLOB_KEY_MAX + 2];
};

static void visit_odd(void *argument, const char *bucket, const char *key, bool damaged)
{
    struct first *first = argument;
    if (damaged && first->damaged[0] == '\0') {
        (void)snprintf(first->damaged, sizeof first->damaged, "%s/%s", bucket, key);
    }
}

static void tell_orphans(const struct ingest_store_look *look, struct finding *finding)
{
    static const char lost[] = "restore the database that named them; if it is gone for good, or "
                               "was left on purpose, tutti sweep --accept-lost removes them";
    char bytes[PROGRESS_BYTES_SIZE];
    if (look->orphans > 0) {
        finding_warn(finding, "tutti sweep removes them; a running server does so by itself",
                     "%" PRIu64 " of %" PRIu64 " objects (%s) are named by no row", look->orphans,
                     look->objects, progress_bytes(look->orphan_bytes, bytes));
    }
    if (look->older + look->held > 0) {
        finding_warn(finding, lost,
                     "%" PRIu64 " of %" PRIu64 " objects (%s) are named by no row, but no sweep "
                     "removes them: %" PRIu64 " are older than the catalog, %" PRIu64
                     " stand in a row; was a database lost, or is it an old one?",
                     look->older + look->held, look->objects,
                     progress_bytes(look->left_bytes, bytes), look->older, look->held);
    }
}

void doctor_check_store(struct doctor *doctor, struct finding *finding)
{
    if (doctor->databases[PLACE_CATALOG] == NULL) {
        no_database(finding);
        return;
    }
    if (doctor->objects == NULL) {
        finding_warn(finding, "see the line \"objects\"", "not looked at: it can't be opened");
        return;
    }
    struct ingest_store_look look = {.objects = 0};
    struct first first = {.damaged = ""};
    char bytes[PROGRESS_BYTES_SIZE];
    int error = ingest_store_look(doctor->databases[PLACE_CATALOG], doctor->objects, visit_odd,
                                  &first, &look);
    if (error != 0) {
        finding_fail(finding, "check the folder's rights and the disk",
                     "the store can't be gone through: %s", error_title(error));
        return;
    }
    finding_ok(finding, "%" PRIu64 " objects (%s), each named by a row or younger than a day",
               look.objects, progress_bytes(look.bytes, bytes));
    tell_orphans(&look, finding);
    if (look.damaged > 0) {
        finding_fail(finding,
                     "look at the disk (smartctl, dmesg), and bring them back from a backup",
                     "%" PRIu64 " of %" PRIu64 " objects are damaged, %s first", look.damaged,
                     look.objects, first.damaged);
    }
}
