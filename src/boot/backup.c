/* `tutti backup` (backup.h).
 *
 *   OPEN → UPLOADS → MOMENT → DATABASES → OBJECTS → SEAL
 *
 * The order keeps every reference whole while the server goes on writing:
 * 1. An object is durable before a row names it, and outlives the last row that did by hours (the
 *    catalog's grace). So objects are copied after the databases' moment: whatever these name is
 *    still there.
 * 2. Only what artists have just sent (the bucket "uploads", and parts) goes at once when a track
 *    takes it. So that is copied before the moment, too: an upload acknowledged before the backup
 *    began is there as upload or as track.
 * 3. All databases are held while a write keeps users.db still: no user in the one is missing in
 *    the other, and no event is told in the one that the other has not acted on.
 * 4. The file appears under its name last: where it is, everything it needs is there.
 */
#include "boot/backup.h"

#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "backend/rights.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
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
#include "version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { COPY_BYTES = 256 * 1024, SMALL_FILE_BYTES_MAX = 1024 * 1024, KEY_FILES_MAX = 1000 };

struct backup {
    const struct command_line *line;
    const char *path;
    struct archive_secret *secret;
    struct place place;
    struct problem problem;
    int64_t created_ms;
    struct db *databases[PLACE_DATABASES_];
    struct db_snapshot *snapshots[PLACE_DATABASES_];
    struct blob_store *objects, *copies; /* NULL without --blobs */
    struct backup_objects sums;
    int work_fd;         /* of the folder of copies, locked while we work; -1: not ours */
    char work[PATH_MAX]; /* DATA/.backup */
    struct archive_writer *writer;
};

/* OPEN */

static void remove_copies(const struct backup *backup)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        char name[64];
        static const char *const suffixes[] = {"", ".part", "-wal", "-shm", "-peers"};
        for (unsigned part = 0; part < COUNT_OF(suffixes); part++) {
            (void)snprintf(name, sizeof name, "%s.db%s", backup->place.databases[i].name,
                           suffixes[part]);
            (void)unlinkat(backup->work_fd, name, 0);
        }
    }
}

/* The folder of copies, made and locked. 1: its owner removed it as we came, so there is another to
 * be made; ERR_BUSY: another backup has it. */
static int lock_work(struct backup *backup)
{
    struct stat status;
    if (mkdir(backup->work, 0700) != 0 && errno != EEXIST) {
        return problem_set(&backup->problem, error_from_errno(errno), "%s can't be made: %s",
                           backup->work, strerror(errno));
    }
    int fd CLEANUP_CLOSE = open(backup->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT) {
        return problem_set(&backup->problem, error_from_errno(errno), "%s can't be opened: %s",
                           backup->work, strerror(errno));
    }
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return problem_set(&backup->problem, ERR_BUSY, "another backup of %s runs right now",
                           backup->place.data);
    }
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_nlink == 0) {
        return 1;
    }
    backup->work_fd = TAKE_FD(fd);
    return 0;
}

static int open_work(struct backup *backup)
{
    (void)snprintf(backup->work, sizeof backup->work, "%s/.backup", backup->place.data);
    int error;
    do {
        error = lock_work(backup);
    } while (error == 1);
    if (error == 0) {
        remove_copies(backup); /* of a backup that was killed */
    }
    return error;
}

/* Before anybody is asked for a passphrase. */
static int check_place(struct backup *backup)
{
    const char *folder = backup->line->options[OPTION_BLOBS];
    int error = place_check_databases(&backup->place, &backup->problem);
    return error != 0 ? error : backup_check_copies(&backup->place, folder, &backup->problem);
}

static int open_stores(struct backup *backup)
{
    const char *folder = backup->line->options[OPTION_BLOBS];
    if (folder == NULL) {
        return 0;
    }
    int error = backup_store_open(backup->place.objects_url, backup->place.keys, &backup->objects,
                                  &backup->problem);
    return error != 0 ? error
                      : backup_store_open_folder(folder, true, backup->place.keys, &backup->copies,
                                                 &backup->problem);
}

static int open_all(struct backup *backup)
{
    int error = place_check_databases(&backup->place, &backup->problem);
    error = error != 0 ? error : open_work(backup);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &backup->place.databases[i];
        error = place_open_database(file, &backup->databases[i], &backup->problem);
        error = error != 0 ? error : db_check(backup->databases[i], &backup->problem);
    }
    error = error != 0 ? error : open_stores(backup);
    return error != 0 ? error
                      : archive_write_open(backup->path, backup->secret, backup->created_ms,
                                           &backup->writer, &backup->problem);
}

/* UPLOADS, OBJECTS */

static int copy_uploads(struct backup *backup)
{
    return backup->copies == NULL
               ? 0
               : backup_objects_copy(backup->objects, backup->copies, BLOB_UPLOADS, "uploads",
                                     &backup->sums, &backup->problem);
}

/* With --verify all copies are read, else today's share of them. */
static int copy_objects(struct backup *backup)
{
    const int64_t day_ms = (int64_t)24 * 60 * 60 * 1000;
    backup->sums.read = backup_read_all(backup->line);
    if (backup->sums.read.turns == 0) {
        backup->sums.read = (struct blob_share){
            .turns = BACKUP_TURNS, .turn = (unsigned)(backup->created_ms / day_ms % BACKUP_TURNS)};
    }
    return backup->copies == NULL ? 0
                                  : backup_objects_copy(backup->objects, backup->copies, NULL,
                                                        "objects", &backup->sums, &backup->problem);
}

/* MOMENT */

static int take_all(struct db_session *session, void *argument)
{
    struct backup *backup = argument;
    int error = db_hold(session); /* the users stand still; nothing is written */
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        db_snapshot_free(backup->snapshots[i]);
        backup->snapshots[i] = NULL;
        error = db_snapshot_take(backup->databases[i], &backup->snapshots[i], &backup->problem);
    }
    return error;
}

static int hold_moment(struct backup *backup)
{
    int error = db_write(backup->databases[PLACE_USERS], take_all, backup);
    if (error < 0 && backup->problem.code == 0) {
        return problem_set(&backup->problem, error, "The databases can't be held: %s", db_words());
    }
    return error < 0 ? error : 0;
}

/* DATABASES */

static void show_copy(void *argument, int64_t done_bytes, int64_t all_bytes)
{
    progress_show(argument, done_bytes, all_bytes);
}

/* A database that is no file goes row by row into one, so that a backup is the same wherever it was
 * taken, and can be restored anywhere. */
static int copy_one(struct backup *backup, enum place_database which, const char *path,
                    const struct db_progress *progress)
{
    if (backup->place.databases[which].path != NULL) {
        return db_snapshot_copy(backup->snapshots[which], path, progress, &backup->problem);
    }
    char url[PATH_MAX + 8];
    struct db *file = NULL;
    (void)snprintf(url, sizeof url, "sqlite:%s", path);
    int error = db_open(url, backup->place.databases[which].name, &file, &backup->problem);
    error = error != 0 ? error : schemas_migrate(file, which, &backup->problem);
    error = error != 0
                ? error
                : db_snapshot_transfer(backup->snapshots[which], file, progress, &backup->problem);
    db_close(file);
    return error;
}

static int copy_databases(struct backup *backup)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        char path[PATH_MAX];
        struct progress progress;
        progress_begin(&progress, backup->place.databases[i].name);
        const struct db_progress shown = {show_copy, &progress};
        if ((size_t)snprintf(path, sizeof path, "%s/%s.db", backup->work,
                             backup->place.databases[i].name) >= sizeof path) {
            return problem_set(&backup->problem, ERR_INVALID,
                               "the data directory's path is too long");
        }
        error = copy_one(backup, i, path, &shown);
        struct stat status;
        if (error == 0 && stat(path, &status) == 0) {
            char bytes[PROGRESS_BYTES_SIZE];
            progress_end(&progress, "%s", progress_bytes((uint64_t)status.st_size, bytes));
        }
        db_snapshot_free(TAKE_PTR(backup->snapshots[i])); /* the log may be started over again */
    }
    return error;
}

/* SEAL */

static int unreadable(struct backup *backup, const char *name, int cause)
{
    return problem_set(&backup->problem, error_from_errno(cause), "%s can't be read: %s", name,
                       strerror(cause));
}

/* An open file as an entry. A file that gets shorter meanwhile is an error, growth is left out. */
static int add_file(struct backup *backup, const char *entry, int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return unreadable(backup, entry, errno);
    }
    char *bytes CLEANUP_FREE = malloc(COPY_BYTES);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    uint64_t left = (uint64_t)status.st_size;
    int error = archive_write_begin(backup->writer, entry, status.st_mode & 0777, left);
    while (error == 0 && left > 0) {
        ssize_t got = read(fd, bytes, left < COPY_BYTES ? (size_t)left : COPY_BYTES);
        if (got <= 0) {
            error = unreadable(backup, entry, got < 0 ? errno : EIO);
            break;
        }
        error = archive_write(backup->writer, bytes, (size_t)got);
        left -= (uint64_t)got;
    }
    sodium_memzero(bytes, COPY_BYTES);
    return error;
}

static int add_text(struct backup *backup, const char *entry, const char *text)
{
    size_t length = strlen(text);
    int error = archive_write_begin(backup->writer, entry, 0600, length);
    return error != 0 ? error : archive_write(backup->writer, text, length);
}

static int add_about(struct backup *backup)
{
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    json_t *about CLEANUP_JSON =
        json_pack("{s:s, s:I, s:s, s:b}", "version", TUTTI_VERSION, "createdAt",
                  (json_int_t)backup->created_ms, "host", host, "blobs", backup->copies != NULL);
    char *text CLEANUP_FREE = about != NULL ? json_dumps(about, JSON_COMPACT) : NULL;
    return text != NULL ? add_text(backup, "about.json", text) : ERR_NO_MEMORY;
}

static int add_configuration(struct backup *backup)
{
    const char *path = command_config_file(backup->line);
    int fd CLEANUP_CLOSE = path != NULL ? rights_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (path != NULL && fd < 0) {
        return unreadable(backup, path, errno);
    }
    int error = path != NULL ? add_file(backup, "tutti.conf", fd) : 0;
    char *text CLEANUP_FREE = NULL;
    size_t length = 0;
    FILE *out = error == 0 ? open_memstream(&text, &length) : NULL;
    if (out == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    config_write_environment(backup->line->config, out);
    if (fclose(out) != 0) {
        return ERR_NO_MEMORY;
    }
    error = length > 0 ? add_text(backup, "environment", text) : 0;
    sodium_memzero(text, length);
    return error;
}

static int add_databases(struct backup *backup)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s.db", backup->place.databases[i].name);
        int fd CLEANUP_CLOSE = openat(backup->work_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        error = fd >= 0 ? add_file(backup, name, fd) : unreadable(backup, name, errno);
    }
    return error;
}

/* One file of the keys; names that begin with a dot are somebody's who is just writing. */
static int add_key(struct backup *backup, int folder, const char *name)
{
    char entry[ARCHIVE_NAME_MAX + 1];
    struct stat status;
    int fd CLEANUP_CLOSE = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (name[0] == '.' || (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) ||
        (fd < 0 && errno == ENOENT)) {
        return 0;
    }
    if (fd < 0 || (size_t)snprintf(entry, sizeof entry, "keys/%s", name) >= sizeof entry) {
        return unreadable(backup, name, fd < 0 ? errno : ENAMETOOLONG);
    }
    return add_file(backup, entry, fd);
}

static int add_keys(struct backup *backup)
{
    DIR *folder = opendir(backup->place.keys);
    if (folder == NULL) {
        return unreadable(backup, backup->place.keys, errno);
    }
    int error = 0;
    unsigned count = 0;
    for (struct dirent *entry; error == 0 && (entry = readdir(folder)) != NULL;) {
        error = ++count > KEY_FILES_MAX
                    ? problem_set(&backup->problem, ERR_INVALID, "%s holds more than %d files",
                                  backup->place.keys, KEY_FILES_MAX)
                    : add_key(backup, dirfd(folder), entry->d_name);
    }
    (void)closedir(folder);
    return error;
}

static int seal(struct backup *backup)
{
    struct progress progress;
    progress_begin(&progress, "sealing");
    int error = add_about(backup);
    error = error != 0 ? error : add_configuration(backup);
    error = error != 0 ? error : add_databases(backup);
    error = error != 0 ? error : add_keys(backup);
    if (error != 0) {
        (void)archive_write_error(backup->writer, &backup->problem);
        return error;
    }
    uint64_t bytes = 0;
    error = archive_write_commit(TAKE_PTR(backup->writer), &bytes, &backup->problem);
    if (error == 0) {
        char text[PROGRESS_BYTES_SIZE];
        progress_end(&progress, "%s", progress_bytes(bytes, text));
    }
    return error;
}

static void close_all(struct backup *backup)
{
    archive_write_abort(backup->writer);
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        db_snapshot_free(backup->snapshots[i]);
        db_close(backup->databases[i]);
    }
    blob_store_close(backup->objects);
    blob_store_close(backup->copies);
    if (backup->work_fd >= 0) {
        remove_copies(backup);
        (void)rmdir(backup->work);
        (void)close(backup->work_fd);
    }
}

static int run(struct backup *backup)
{
    static int (*const steps[])(struct backup * backup) = {
        open_all, copy_uploads, hold_moment, copy_databases, copy_objects, seal,
    };
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(steps); i++) {
        error = steps[i](backup);
    }
    close_all(backup);
    return error;
}

int command_backup(const struct command_line *line)
{
    struct archive_secret secret;
    struct backup backup = {.line = line,
                            .path = line->words[line->word_count - 1],
                            .secret = &secret,
                            .created_ms = clock_wall_ms(),
                            .work_fd = -1};
    place_of(line->config, &backup.place);
    int error = check_place(&backup);
    if (error != 0) {
        return command_complain(&backup.problem, error);
    }
    int status = secret_ask(line, true, &secret);
    if (status != EXIT_DONE) {
        return status;
    }
    error = run(&backup);
    sodium_memzero(&secret, sizeof secret);
    if (error != 0) {
        return command_complain(&backup.problem, error);
    }
    (void)printf("%s holds everything up to now%s\n", backup.path,
                 backup.copies != NULL ? "" : ", but no objects (see --blobs)");
    return backup.sums.damaged > 0 ? EXIT_WRONG : EXIT_DONE;
}
