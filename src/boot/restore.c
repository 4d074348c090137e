/* `tutti restore` (backup.h).
 *
 *   LOOK → STAGE → CHECK → OBJECTS → PLACE
 *
 * What comes out of the archive is staged beside its place, under names that end in ".restoring",
 * and stays there until the whole archive was authenticated, both databases were gone through and
 * brought to this version, and the objects are copied. Only then are the names changed. So a
 * damaged file, a wrong passphrase, a full disk or a kill leave what was there before.
 */
#include "boot/backup.h"

#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "backend/db/db_copy.h"
#include "backend/folder.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/archive.h"
#include "boot/backup_objects.h"
#include "boot/command.h"
#include "boot/config.h"
#include "boot/place.h"
#include "boot/progress.h"
#include "boot/schemas.h"
#include "boot/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { COPY_BYTES = 256 * 1024 };

#define STAGED ".restoring"

struct restore {
    const struct command_line *line;
    const char *path;
    struct archive_secret *secret;
    struct archive_about about;
    struct place place;
    struct problem problem;
    struct backup_objects sums;
    struct progress progress;
    uint64_t read_bytes;
    bool has_configuration, has_environment;
    bool has_database[PLACE_DATABASES_];
    char configuration[PATH_MAX], environment[PATH_MAX]; /* where they go */
    char files[PLACE_DATABASES_]
              [PATH_MAX]; /* the databases; of one that is no file, where it is staged */
    bool put_aside;       /* what a server had is under another name there */
    char aside[PATH_MAX]; /* where what was there goes; "": nothing was */
};

/* "PATH.restoring"; false: too long. */
static bool staged(const char *path, char out[PATH_MAX])
{
    return (size_t)snprintf(out, PATH_MAX, "%s" STAGED, path) < PATH_MAX;
}

static int trouble(struct restore *restore, const char *path, int cause)
{
    return problem_set(&restore->problem, error_from_errno(cause), "%s: %s", path, strerror(cause));
}

/* LOOK */

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* Whether a folder has anything that a restore would be in the way of. Objects are not: those that
 * the archive's databases name are looked for among them. */
static bool is_filled(const char *path)
{
    DIR *folder = opendir(path);
    bool filled = false;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        const char *name = entry->d_name;
        filled = filled || !(name[0] == '.' || strcmp(name, "lost+found") == 0 ||
                             strcmp(name, "objects") == 0 || strstr(name, STAGED) != NULL);
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
        filled = filled || exists(restore->files[i]);
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

static int look(struct restore *restore)
{
    const struct place *place = &restore->place;
    if (db_in_use(place->databases[PLACE_CATALOG].config.url)) {
        return problem_set(&restore->problem, ERR_BUSY,
                           "A server runs on %s; stop it first, or restore into another --data",
                           place->data);
    }
    int error = refuse_filled(restore);
    return error != 0 ? error : place_make_folder(place->data, &restore->problem);
}

/* STAGE */

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        bytes += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int copy_out(struct restore *restore, struct archive_reader *reader,
                    const struct archive_entry *entry, int fd, const char *path)
{
    char *bytes CLEANUP_FREE = malloc(COPY_BYTES);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = 0;
    for (uint64_t left = entry->bytes; error == 0 && left > 0;) {
        size_t length = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        error = archive_read(reader, bytes, length, &restore->problem);
        int cause = error == 0 ? write_all(fd, bytes, length) : 0;
        error = cause != 0 ? trouble(restore, path, cause) : error;
        left -= length;
        restore->read_bytes += length;
        progress_show(&restore->progress, (int64_t)restore->read_bytes,
                      (int64_t)restore->about.bytes);
    }
    sodium_memzero(bytes, COPY_BYTES);
    return error == 0 && fsync(fd) != 0 ? trouble(restore, path, errno) : error;
}

static int extract(struct restore *restore, struct archive_reader *reader,
                   const struct archive_entry *entry, const char *path)
{
    (void)unlink(path);
    int fd CLEANUP_CLOSE = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd >= 0 ? copy_out(restore, reader, entry, fd, path) : trouble(restore, path, errno);
}

/* Reads an entry and forgets it. */
static int skip(struct restore *restore, struct archive_reader *reader,
                const struct archive_entry *entry)
{
    char bytes[4096];
    int error = 0;
    for (uint64_t left = entry->bytes; error == 0 && left > 0;) {
        size_t length = left < sizeof bytes ? (size_t)left : sizeof bytes;
        error = archive_read(reader, bytes, length, &restore->problem);
        left -= length;
    }
    sodium_memzero(bytes, sizeof bytes);
    return error;
}

static int extract_key(struct restore *restore, struct archive_reader *reader,
                       const struct archive_entry *entry)
{
    const char *name = entry->name + strlen("keys/");
    char path[PATH_MAX];
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
        (size_t)snprintf(path, sizeof path, "%s" STAGED "/%s", restore->place.keys, name) >=
            sizeof path) {
        return problem_set(&restore->problem, ERR_CORRUPT, "%s names a key \"%s\"", restore->path,
                           name);
    }
    return extract(restore, reader, entry, path);
}

static int extract_entry(struct restore *restore, struct archive_reader *reader,
                         const struct archive_entry *entry)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &restore->place.databases[i];
        size_t length = strlen(file->name);
        if (strncmp(entry->name, file->name, length) == 0 &&
            strcmp(entry->name + length, ".db") == 0 && staged(restore->files[i], path)) {
            restore->has_database[i] = true;
            return extract(restore, reader, entry, path);
        }
    }
    if (strncmp(entry->name, "keys/", 5) == 0) {
        return extract_key(restore, reader, entry);
    }
    if (strcmp(entry->name, "tutti.conf") == 0 && staged(restore->configuration, path)) {
        restore->has_configuration = true;
        return extract(restore, reader, entry, path);
    }
    if (strcmp(entry->name, "environment") == 0 && staged(restore->environment, path)) {
        restore->has_environment = true;
        return extract(restore, reader, entry, path);
    }
    return skip(restore, reader, entry); /* about.json, and what later versions add */
}

static void remove_staged_keys(const struct restore *restore)
{
    char path[PATH_MAX];
    DIR *folder = staged(restore->place.keys, path) ? opendir(path) : NULL;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder != NULL) {
        (void)closedir(folder);
        (void)rmdir(path);
    }
}

static void remove_staged_file(const char *file)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", "-peers"};
    char path[PATH_MAX];
    for (unsigned i = 0; i < COUNT_OF(suffixes); i++) {
        if ((size_t)snprintf(path, sizeof path, "%s" STAGED "%s", file, suffixes[i]) <
            sizeof path) {
            (void)unlink(path);
        }
    }
}

/* Removes what was staged, of this restore or one that was killed. */
static void remove_staged(const struct restore *restore)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        remove_staged_file(restore->files[i]);
    }
    const char *const texts[] = {restore->configuration, restore->environment};
    for (unsigned i = 0; i < COUNT_OF(texts); i++) {
        if (staged(texts[i], path)) {
            (void)unlink(path);
        }
    }
    remove_staged_keys(restore);
}

static int stage(struct restore *restore)
{
    remove_staged(restore);
    char keys[PATH_MAX];
    if (!staged(restore->place.keys, keys) || mkdir(keys, 0700) != 0) {
        return trouble(restore, restore->place.keys, errno);
    }
    struct archive_reader *reader = NULL;
    int error = archive_read_open(restore->path, restore->secret, &reader, &restore->problem);
    if (error != 0) {
        return error;
    }
    progress_begin(&restore->progress, "unsealing");
    struct archive_entry entry;
    int next = 0;
    while (error == 0 && (next = archive_read_next(reader, &entry, &restore->problem)) > 0) {
        error = extract_entry(restore, reader, &entry);
    }
    archive_read_close(reader);
    error = error != 0 ? error : next;
    if (error == 0) {
        char bytes[PROGRESS_BYTES_SIZE];
        progress_end(&restore->progress, "%s", progress_bytes(restore->read_bytes, bytes));
    }
    return error;
}

/* CHECK */

static int check_database(struct restore *restore, enum place_database which)
{
    const struct place_file *file = &restore->place.databases[which];
    if (!restore->has_database[which] && !file->younger) {
        return problem_set(&restore->problem, ERR_CORRUPT, "%s lacks the database %s",
                           restore->path, file->name);
    }
    char url[PATH_MAX + sizeof "sqlite:" STAGED];
    (void)snprintf(url, sizeof url, "sqlite:%s" STAGED, restore->files[which]);
    struct db *db = NULL;
    int error = db_open(url, file->name, &db, &restore->problem);
    error = error != 0 ? error : db_check(db, &restore->problem);
    error = error != 0 ? error : schemas_migrate(db, which, &restore->problem);
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
    if (!staged(restore->place.keys, keys)) {
        return trouble(restore, restore->place.keys, ENAMETOOLONG);
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

/* PLACE */

/* Moves what is at a path into the folder of what was there before. */
static int put_aside(struct restore *restore, const char *path)
{
    if (!exists(path)) {
        return 0;
    }
    const char *slash = strrchr(path, '/');
    char target[PATH_MAX];
    if (mkdir(restore->aside, 0700) != 0 && errno != EEXIST) {
        return trouble(restore, restore->aside, errno);
    }
    if ((size_t)snprintf(target, sizeof target, "%s/%s", restore->aside,
                         slash != NULL ? slash + 1 : path) >= sizeof target ||
        rename(path, target) != 0) {
        return trouble(restore, path, errno);
    }
    return 0;
}

/* Into a server: the rows of the staged file. What is there goes aside under a name of its own. */
static int fill_server(struct restore *restore, enum place_database which)
{
    static const char *const passed_over[] = {"db_migration", "db_position", NULL};
    char path[PATH_MAX], name[64];
    int64_t rows = 0;
    bool empty = true;
    struct db *db = NULL;
    struct arena *statements = arena_new(0);
    const char *slash = strrchr(restore->aside, '/');
    (void)snprintf(name, sizeof name, "%.60s", slash != NULL ? slash + 1 : restore->aside);
    int error = statements != NULL && staged(restore->files[which], path)
                    ? place_open_database(&restore->place.databases[which], &db, &restore->problem)
                    : ERR_NO_MEMORY;
    error = error != 0 ? error : db_is_empty(db, &empty);
    if (error == 0 && !empty) {
        restore->put_aside = true;
        error = db_put_aside(db, name, &restore->problem);
    }
    const struct db_copy copy = {
        .path = path, .to = db, .passed_over = passed_over, .statements = statements};
    error = error != 0 ? error : schemas_migrate(db, which, &restore->problem);
    error = error != 0 ? error : db_copy_sqlite(&copy, &rows, &restore->problem);
    db_close(db);
    arena_free(statements);
    return error;
}

static int fill_servers(struct restore *restore)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        if (restore->place.databases[i].path == NULL) {
            error = fill_server(restore, i);
        }
    }
    return error;
}

/* A database goes with its log: without it, it would be an older one. */
static int put_database_aside(struct restore *restore, const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-peers"};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(suffixes); i++) {
        char file[PATH_MAX];
        (void)snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        error = put_aside(restore, file);
    }
    return error;
}

static int put_in_place(struct restore *restore, const char *path)
{
    char from[PATH_MAX];
    return staged(path, from) && rename(from, path) == 0 && folder_sync_of(path) == 0
               ? 0
               : trouble(restore, path, errno);
}

static int place_all(struct restore *restore)
{
    const struct place *place = &restore->place;
    (void)rmdir(place->keys); /* an empty one is in the way */
    int error = put_aside(restore, place->keys);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = put_database_aside(restore, restore->files[i]);
    }
    error = error != 0 ? error : put_in_place(restore, place->keys);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = place->databases[i].path != NULL ? put_in_place(restore, restore->files[i]) : 0;
    }
    if (error == 0 && restore->has_configuration) {
        error = put_in_place(restore, restore->configuration);
    }
    if (error == 0 && restore->has_environment) {
        error = put_in_place(restore, restore->environment);
    }
    return error;
}

/* What a server has now needs no file any more. */
static void remove_copied(const struct restore *restore)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        if (restore->place.databases[i].path == NULL) {
            remove_staged_file(restore->files[i]);
        }
    }
}

static int run(struct restore *restore)
{
    static int (*const steps[])(struct restore * restore) = {stage, check, copy_objects,
                                                             fill_servers, place_all};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(steps); i++) {
        error = steps[i](restore);
    }
    if (error != 0) {
        remove_staged(restore);
    } else {
        remove_copied(restore);
    }
    return error;
}

static void name_targets(struct restore *restore)
{
    struct tm moment;
    time_t now = time(NULL);
    char stamp[32];
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &moment));
    (void)snprintf(restore->configuration, PATH_MAX, "%s/tutti.conf.restored", restore->place.data);
    (void)snprintf(restore->environment, PATH_MAX, "%s/environment.restored", restore->place.data);
    (void)snprintf(restore->aside, PATH_MAX, "%s/before-restore-%s", restore->place.data, stamp);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &restore->place.databases[i];
        (void)snprintf(restore->files[i], PATH_MAX, "%s%s%s%s",
                       file->path != NULL ? file->path : restore->place.data,
                       file->path != NULL ? "" : "/", file->path != NULL ? "" : file->name,
                       file->path != NULL ? "" : ".db");
    }
}

static void tell(const struct restore *restore)
{
    struct tm moment;
    time_t made = (time_t)(restore->about.created_ms / 1000);
    char stamp[32];
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&made, &moment));
    (void)printf("%s is as it was at %s\n", restore->place.data, stamp);
    if (exists(restore->aside)) {
        (void)printf("what was there before is in %s\n", restore->aside);
    }
    if (restore->put_aside) {
        (void)printf("what the databases had before is in their schema %s\n",
                     strrchr(restore->aside, '/') + 1);
    }
    if (restore->has_configuration) {
        (void)printf("the configuration of then is in %s\n", restore->configuration);
    }
    if (restore->has_environment) {
        (void)printf("settings that came from the environment are in %s\n", restore->environment);
    }
}

int command_restore(const struct command_line *line)
{
    struct archive_secret secret;
    struct restore restore = {.line = line,
                              .path = line->words[line->word_count - 1],
                              .secret = &secret,
                              .sums = {.read = backup_read_all(line)}};
    place_of(line->config, &restore.place);
    name_targets(&restore);
    int error = archive_look(restore.path, &restore.about, &restore.problem);
    error = error != 0 ? error : look(&restore);
    if (error != 0) { /* before anybody is asked for a passphrase */
        return command_complain(&restore.problem, error);
    }
    int status = secret_ask(line, false, &secret);
    if (status != EXIT_DONE) {
        return status;
    }
    error = run(&restore);
    sodium_memzero(&secret, sizeof secret);
    if (error != 0) {
        return command_complain(&restore.problem, error);
    }
    tell(&restore);
    return restore.sums.damaged > 0 ? EXIT_WRONG : EXIT_DONE;
}
