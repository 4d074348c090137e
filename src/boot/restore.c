/* `tutti restore` (backup.h).
 *
 *   RECOVER → LOOK → STAGE → CHECK → OBJECTS → PLACE
 *
 * What comes out of the archive is staged beside its place, under names that end in ".restoring",
 * and stays there until the whole archive was authenticated, the databases were gone through and
 * brought to this version, and the objects are copied. Only then are the names changed. So a
 * damaged file, a wrong passphrase, a full disk or a kill leave what was there before.
 *
 * Names are changed all or none (renames.h): an error takes them back. After a kill or a power cut
 * in between, the journal keeps everybody off the data (restoring.h), and the next restore takes
 * them back before it begins. What servers hold (PostgreSQL) is not taken back: there the journal
 * stays until a restore went through.
 */
#include "boot/backup.h"

#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/archive.h"
#include "boot/backup_objects.h"
#include "boot/command.h"
#include "boot/config.h"
#include "boot/restore.h"
#include "boot/restoring.h"
#include "boot/schemas.h"
#include "boot/secret.h"
#include "service/catalog/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

enum { ASIDES_MAX = 1000 };

bool restore_staged(const char *path, char ret_staged[PATH_MAX])
{
    return (size_t)snprintf(ret_staged, PATH_MAX, "%s" RESTORE_STAGED, path) < PATH_MAX;
}

int restore_trouble(struct restore *restore, const char *path, int cause)
{
    return problem_set(&restore->problem, error_from_errno(cause), "%s: %s", path, strerror(cause));
}

bool restore_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

bool restore_beside(const char *path, const char *name, char ret_path[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int length = slash != NULL ? (int)(slash - path) + 1 : 0;
    return (size_t)snprintf(ret_path, PATH_MAX, "%.*s%s", length, path, name) < PATH_MAX;
}

/* LOOK */

/* Whether a folder has anything that a restore would be in the way of. Objects are not: those that
 * the archive's databases name are looked for among them. */
static bool is_filled(const char *path)
{
    DIR *folder = opendir(path);
    bool filled = false;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        const char *name = entry->d_name;
        filled = filled || !(name[0] == '.' || strcmp(name, "lost+found") == 0 ||
                             strcmp(name, "objects") == 0 || strstr(name, RESTORE_STAGED) != NULL);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return filled;
}

/* Whether a database that is no file has anything. */
static int look_at_server(struct restore *restore, enum place_database which, bool *ret_filled)
{
    struct db *db = NULL;
    bool empty = true;
    if (restore->place.databases[which].path != NULL) {
        return 0;
    }
    int error = place_open_database(&restore->place.databases[which], &db, &restore->problem);
    error = error != 0 ? error : db_is_empty(db, &empty);
    db_close(db);
    *ret_filled = *ret_filled || !empty;
    return error;
}

static int refuse_filled(struct restore *restore)
{
    const struct place *place = &restore->place;
    bool filled = is_filled(place->data) || is_filled(place->keys);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        filled = filled || restore_exists(restore->files[i]);
    }
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        int error = look_at_server(restore, i, &filled);
        if (error != 0) {
            return error;
        }
    }
    if (filled && restore->line->options[OPTION_REPLACE] == NULL) {
        return problem_set(
            &restore->problem, ERR_EXISTS,
            "%s is not empty; restore into another --data, or say --replace: what is "
            "there is then put aside",
            place->data);
    }
    return 0;
}

/* What is free where the path is, or is to be; 0 where that was counted for another one. */
static uint64_t free_bytes_of(const char *path, dev_t *devices, unsigned *count)
{
    static const uint64_t unknown = UINT64_MAX >> 8; /* to a file system that tells no sizes */
    char folder[PATH_MAX];
    struct stat status;
    struct statvfs about;
    if (!restore_beside(path, ".", folder) || stat(folder, &status) != 0 ||
        statvfs(folder, &about) != 0) {
        return 0;
    }
    for (unsigned i = 0; i < *count; i++) {
        if (devices[i] == status.st_dev) {
            return 0;
        }
    }
    devices[(*count)++] = status.st_dev;
    return about.f_blocks > 0 ? (uint64_t)about.f_bavail * about.f_frsize : unknown;
}

/* The archive is little more than databases. On which file system how much of it goes is not known
 * yet, so all of them are counted. */
static int look_for_room(struct restore *restore)
{
    dev_t devices[PLACE_DATABASES_ + 1];
    unsigned count = 0;
    char needed[PROGRESS_BYTES_SIZE], left[PROGRESS_BYTES_SIZE];
    uint64_t free_bytes = free_bytes_of(restore->journal, devices, &count);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        free_bytes += free_bytes_of(restore->files[i], devices, &count);
    }
    return free_bytes >= restore->about.bytes
               ? 0
               : problem_set(&restore->problem, ERR_DISK_FULL,
                             "What %s holds needs %s, and only %s are free for %s; make room, or "
                             "restore into another --data",
                             restore->path, progress_bytes(restore->about.bytes, needed),
                             progress_bytes(free_bytes, left), restore->place.data);
}

/* The folder that is named holds copies, and is not where they go. */
static int look_at_copies(struct restore *restore)
{
    const char *folder = restore->line->options[OPTION_BLOBS];
    int error = folder != NULL && folder[0] != '\0'
                    ? backup_store_check_folder(folder, &restore->problem)
                    : 0;
    return error != 0 ? error : backup_check_copies(&restore->place, folder, &restore->problem);
}

static int look(struct restore *restore)
{
    int error = archive_look(restore->path, &restore->about, &restore->problem);
    error = error != 0 ? error : look_at_copies(restore);
    error = error != 0
                ? error
                : place_make_folder("the data directory", restore->place.data, &restore->problem);
    error = error != 0 ? error : restore_claim(restore);
    error = error != 0 ? error : refuse_filled(restore);
    return error != 0 ? error : look_for_room(restore);
}

/* CHECK */

static int visit_object(void *argument, const char *key, int64_t bytes)
{
    (void)key;
    (void)bytes;
    *(bool *)argument = true;
    return 1; /* one is enough */
}

/* Without objects of the backup there may be none, which people are told. */
static int look_for_objects(struct restore *restore, struct db *catalog)
{
    int error = restore->line->options[OPTION_BLOBS] == NULL
                    ? catalog_objects_walk(catalog, false, visit_object, &restore->names_objects)
                    : 0;
    return error < 0 ? error : 0;
}

static int check_database(struct restore *restore, enum place_database which)
{
    const struct place_file *file = &restore->place.databases[which];
    if (!restore->has_database[which] && !file->younger) {
        return problem_set(&restore->problem, ERR_CORRUPT, "%s lacks the database %s",
                           restore->path, file->name);
    }
    char url[PATH_MAX + sizeof "sqlite:" RESTORE_STAGED];
    (void)snprintf(url, sizeof url, "sqlite:%s" RESTORE_STAGED, restore->files[which]);
    struct db *db = NULL;
    int error = db_open(url, file->name, &db, &restore->problem);
    error = error != 0 ? error : db_check(db, &restore->problem);
    error = error != 0 ? error : schemas_migrate(db, which, &restore->problem);
    error = error != 0 || which != PLACE_CATALOG ? error : look_for_objects(restore, db);
    db_close(db);
    return error;
}

static int check(struct restore *restore)
{
    progress_begin(&restore->progress, "checking");
    int error = 0;
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = check_database(restore, i);
    }
    if (error == 0) {
        progress_end(&restore->progress, "databases are whole");
    }
    return error;
}

/* OBJECTS */

static int copy_objects(struct restore *restore)
{
    const char *folder = restore->line->options[OPTION_BLOBS];
    if (folder == NULL) {
        return 0;
    }
    char keys[PATH_MAX]; /* not in place yet */
    if (!restore_staged(restore->place.keys, keys)) {
        return restore_trouble(restore, restore->place.keys, ENAMETOOLONG);
    }
    struct blob_store *from = NULL, *to = NULL;
    int error = backup_store_open_folder(folder, false, keys, &from, &restore->problem);
    error = error != 0
                ? error
                : backup_store_open(restore->place.objects_url, keys, &to, &restore->problem);
    error = error != 0
                ? error
                : backup_objects_copy(from, to, NULL, "objects", &restore->sums, &restore->problem);
    blob_store_close(from);
    blob_store_close(to);
    return error;
}

/* RUN */

/* What a server has now needs no file any more. */
static void remove_copied(const struct restore *restore)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        if (restore->place.databases[i].path == NULL) {
            restore_remove_staged_file(restore->files[i]);
        }
    }
}

static int run(struct restore *restore)
{
    static int (*const steps[])(struct restore * restore) = {
        restore_stage,    check, copy_objects, restore_begin_placing, restore_fill_servers,
        restore_place_all};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(steps); i++) {
        error = steps[i](restore);
    }
    if (error == 0) {
        remove_copied(restore);
        return renames_forget(restore->journal, &restore->problem);
    }
    if (!restore->journaled || restore_take_back(restore)) {
        restore_remove_staged(restore);
    }
    return error;
}

/* NAMES */

static void name_database(struct restore *restore, enum place_database which)
{
    const struct place_file *file = &restore->place.databases[which];
    if (file->path != NULL) {
        (void)snprintf(restore->files[which], PATH_MAX, "%s", file->path);
    } else {
        (void)snprintf(restore->files[which], PATH_MAX, "%s/%s.db", restore->place.data,
                       file->name);
    }
}

static void name_keys(struct restore *restore)
{
    (void)snprintf(restore->keys, PATH_MAX, "%s", restore->place.keys);
    for (size_t end = strlen(restore->keys); end > 1 && restore->keys[end - 1] == '/'; end--) {
        restore->keys[end - 1] = '\0';
    }
    restore->place.keys = restore->keys;
}

static bool is_aside_taken(const struct restore *restore)
{
    char path[PATH_MAX];
    bool taken = restore_beside(restore->keys, restore->aside, path) && restore_exists(path);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        taken = taken ||
                (restore_beside(restore->files[i], restore->aside, path) && restore_exists(path));
    }
    return taken ||
           (restore_beside(restore->journal, restore->aside, path) && restore_exists(path));
}

/* By the time; where one is there of the same second, with a number. */
static void name_aside(struct restore *restore)
{
    struct tm moment;
    time_t now = time(NULL);
    char stamp[32];
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &moment));
    (void)snprintf(restore->aside, sizeof restore->aside, RESTORE_ASIDE "%s", stamp);
    for (unsigned i = 2; is_aside_taken(restore) && i < ASIDES_MAX; i++) {
        (void)snprintf(restore->aside, sizeof restore->aside, RESTORE_ASIDE "%s-%u", stamp, i);
    }
}

static void name_targets(struct restore *restore)
{
    const char *data = restore->place.data;
    (void)snprintf(restore->configuration, PATH_MAX, "%s/tutti.conf.restored", data);
    (void)snprintf(restore->environment, PATH_MAX, "%s/environment.restored", data);
    (void)restoring_journal(data, restore->journal);
    name_keys(restore);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        name_database(restore, i);
    }
}

static void tell(const struct restore *restore)
{
    struct tm moment;
    time_t made = (time_t)(restore->about.created_ms / 1000);
    char stamp[32];
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&made, &moment));
    (void)printf("%s is as it was at %s\n", restore->place.data, stamp);
    if (restore->asides > 0) {
        (void)fputs("what was there before is in ", stdout);
        restore_write_asides(restore, stdout);
        (void)putchar('\n');
    }
    if (restore->put_aside) {
        (void)printf("what the databases had before is in their schema %s\n", restore->aside);
    }
    if (restore->names_objects) {
        (void)puts("objects were left as they are (there was no --blobs); tutti doctor says "
                   "whether those that the catalog names are there");
    }
    if (restore->has_configuration) {
        (void)printf("the configuration of then is in %s\n", restore->configuration);
    }
    if (restore->has_environment) {
        (void)printf("settings that came from the environment are in %s\n", restore->environment);
    }
}

static int end(const struct restore *restore)
{
    tell(restore);
    return restore->sums.damaged > 0 ? EXIT_WRONG : EXIT_DONE;
}

int command_restore(const struct command_line *line)
{
    struct archive_secret secret;
    struct restore restore = {.line = line,
                              .path = line->words[line->word_count - 1],
                              .secret = &secret,
                              .sums = {.read = backup_read_all(line), .keep_newer = true}};
    place_of(line->config, &restore.place);
    name_targets(&restore);
    int error = restore_recover(&restore);
    name_aside(&restore);
    error = error != 0 ? error : look(&restore);
    int status = error != 0 ? command_complain(&restore.problem, error)
                            : secret_ask(line, false, &secret); /* nobody is asked in vain */
    if (status == EXIT_DONE) {
        error = run(&restore);
        sodium_memzero(&secret, sizeof secret);
        status = error != 0 ? command_complain(&restore.problem, error) : end(&restore);
    }
    renames_done(&restore.renames);
    return status;
}
