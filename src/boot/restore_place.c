/* Placing (restore.h): the names are changed, all or none, and servers are filled. */
#include "boot/restore.h"

#include "backend/db/db.h"
#include "backend/db/db_copy.h"
#include "backend/folder.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "boot/command.h"
#include "boot/restoring.h"
#include "boot/schemas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", "-peers"};

int restore_claim(struct restore *restore)
{
    const struct place *place = &restore->place;
    int error = restoring_begin(place->data, &restore->problem);
    return error == 0 && db_in_use(place->databases[PLACE_CATALOG].config.url)
               ? problem_set(&restore->problem, ERR_BUSY,
                             "A server runs on %s; stop it first, or restore into another --data",
                             place->data)
               : error;
}

/* What is at a path goes into a folder beside it, which is on the same file system. */
static int plan_aside(struct restore *restore, const char *path)
{
    char name[PATH_MAX], target[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!restore_exists(path)) {
        return 0;
    }
    (void)snprintf(name, sizeof name, "%s/%s", restore->aside, slash != NULL ? slash + 1 : path);
    if (!restore_beside(path, name, target)) {
        return restore_trouble(restore, path, ENAMETOOLONG);
    }
    restore->asides++;
    return renames_add(&restore->renames, path, target, &restore->problem);
}

/* A database goes with its log: without it, it would be an older one. */
static int plan_database_aside(struct restore *restore, const char *path)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(suffixes); i++) {
        char file[PATH_MAX];
        (void)snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        error = plan_aside(restore, file);
    }
    return error;
}

static int plan_in_place(struct restore *restore, const char *path)
{
    char from[PATH_MAX];
    return restore_staged(path, from)
               ? renames_add(&restore->renames, from, path, &restore->problem)
               : restore_trouble(restore, path, ENAMETOOLONG);
}

/* First all that goes aside: what is there and what comes are never mixed by a name. */
static int plan(struct restore *restore)
{
    const struct place *place = &restore->place;
    (void)rmdir(place->keys); /* an empty one is in the way */
    int error = plan_aside(restore, place->keys);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = plan_database_aside(restore, restore->files[i]);
    }
    const char *const texts[] = {restore->has_configuration ? restore->configuration : NULL,
                                 restore->has_environment ? restore->environment : NULL};
    for (unsigned i = 0; error == 0 && i < COUNT_OF(texts); i++) {
        error = texts[i] != NULL ? plan_aside(restore, texts[i]) : 0;
    }
    error = error != 0 ? error : plan_in_place(restore, place->keys);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = place->databases[i].path != NULL ? plan_in_place(restore, restore->files[i]) : 0;
    }
    for (unsigned i = 0; error == 0 && i < COUNT_OF(texts); i++) {
        error = texts[i] != NULL ? plan_in_place(restore, texts[i]) : 0;
    }
    return error;
}

void restore_write_asides(const struct restore *restore, FILE *out)
{
    const char *last = NULL;
    for (unsigned i = 0; i < restore->asides; i++) {
        const char *to = restore->renames.to[i];
        size_t length = (size_t)(strrchr(to, '/') - to);
        if (last == NULL || strncmp(to, last, length + 1) != 0) {
            (void)fprintf(out, "%s%.*s", last == NULL ? "" : " and ", (int)length, to);
            last = to;
        }
    }
}

static int write_journal(struct restore *restore)
{
    char *words CLEANUP_FREE = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&words, &length);
    if (out == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)fputs(restore->asides > 0 ? "What was there before goes into " : "", out);
    restore_write_asides(restore, out);
    return fclose(out) == 0
               ? renames_write(&restore->renames, restore->journal, words, &restore->problem)
               : ERR_NO_MEMORY;
}

/* Of one that can't be written for sure nothing stays: nothing is renamed yet, no server touched.
 * But one that a restore left which had filled servers does. */
static int begin_journal(struct restore *restore)
{
    bool was_there = restore_exists(restore->journal);
    int error = write_journal(restore);
    if (error != 0 && !was_there) {
        (void)unlink(restore->journal);
    }
    restore->journaled = restore_exists(restore->journal);
    return error;
}

int restore_begin_placing(struct restore *restore)
{
    char keys[PATH_MAX];
    int error = restore_claim(restore); /* a server with another data directory has come */
    error = error != 0 ? error : plan(restore);
    if (error == 0 && restore_staged(restore->place.keys, keys) && folder_sync(keys) != 0) {
        error = restore_trouble(restore, keys, errno);
    }
    return error != 0 ? error : begin_journal(restore);
}

/* Into a server: the rows of the staged file. What is there goes aside under a name of its own. */
static int fill_server(struct restore *restore, enum place_database which)
{
    static const char *const passed_over[] = {"db_migration", "db_position", NULL};
    char path[PATH_MAX];
    int64_t rows = 0;
    bool empty = true;
    struct db *db = NULL;
    struct arena *statements = arena_new(0);
    int error = statements != NULL && restore_staged(restore->files[which], path)
                    ? place_open_database(&restore->place.databases[which], &db, &restore->problem)
                    : ERR_NO_MEMORY;
    error = error != 0 ? error : db_is_empty(db, &empty);
    if (error == 0 && !empty) {
        restore->put_aside = true;
        error = db_put_aside(db, restore->aside, &restore->problem);
    }
    const struct db_copy copy = {
        .path = path, .to = db, .passed_over = passed_over, .statements = statements};
    error = error != 0 ? error : schemas_migrate(db, which, &restore->problem);
    error = error != 0 ? error : db_copy_sqlite(&copy, &rows, &restore->problem);
    db_close(db);
    arena_free(statements);
    return error;
}

int restore_fill_servers(struct restore *restore)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        if (restore->place.databases[i].path == NULL) {
            error = fill_server(restore, i);
        }
    }
    return error;
}

int restore_place_all(struct restore *restore)
{
    return renames_make(&restore->renames, &restore->problem);
}

static bool has_servers(const struct restore *restore)
{
    bool any = false;
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        any = any || restore->place.databases[i].path == NULL;
    }
    return any;
}

/* All names are as they were before; only servers may not be. */
static int end_undone(struct restore *restore, struct problem *problem)
{
    static const char words[] = "What the databases had before may be in a schema before-restore-…";
    renames_done(&restore->renames);
    return has_servers(restore) ? renames_write(&restore->renames, restore->journal, words, problem)
                                : renames_forget(restore->journal, problem);
}

static int undo(struct restore *restore, struct problem *problem)
{
    int error = renames_undo(&restore->renames, problem);
    return error != 0 ? error : end_undone(restore, problem);
}

bool restore_take_back(struct restore *restore)
{
    struct problem problem = {0};
    int error = restore_exists(restore->journal) ? undo(restore, &problem) : 0;
    if (error != 0) {
        (void)command_complain(&problem, error);
    } else if (has_servers(restore)) {
        (void)fprintf(stderr,
                      "tutti: what servers hold is not taken back; nothing starts on %s until a "
                      "restore went through\n",
                      restore->place.data);
    }
    return error == 0;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Whether two paths are one name in one folder, whatever ways lead there. */
static bool is_same(const char *left, const char *right)
{
    char folder[PATH_MAX];
    struct stat here, there;
    return strcmp(last_name(left), last_name(right)) == 0 && restore_beside(left, ".", folder) &&
           stat(folder, &here) == 0 && restore_beside(right, ".", folder) &&
           stat(folder, &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Whether a restore here puts aside or brings what has this path. */
static bool is_placed(const struct restore *restore, const char *path)
{
    const char *const singles[] = {restore->keys, restore->configuration, restore->environment};
    for (unsigned i = 0; i < COUNT_OF(singles); i++) {
        if (is_same(path, singles[i])) {
            return true;
        }
    }
    for (unsigned i = 0; i < PLACE_DATABASES_ * COUNT_OF(suffixes); i++) {
        char file[PATH_MAX];
        const char *suffix = suffixes[i % COUNT_OF(suffixes)];
        if ((size_t)snprintf(file, sizeof file, "%s%s", restore->files[i / COUNT_OF(suffixes)],
                             suffix) < sizeof file &&
            is_same(path, file)) {
            return true;
        }
    }
    return false;
}

/* "A/NAME" to "A/before-restore-TIME/NAME". */
static bool goes_aside(const char *from, const char *to)
{
    const char *name = last_name(from);
    size_t length = (size_t)(name - from);
    if (strncmp(from, to, length) != 0 ||
        strncmp(to + length, RESTORE_ASIDE, strlen(RESTORE_ASIDE)) != 0) {
        return false;
    }
    const char *slash = strchr(to + length, '/');
    return slash != NULL && strcmp(slash + 1, name) == 0;
}

/* "A/NAME.restoring" to "A/NAME". */
static bool comes(const char *from, const char *to)
{
    size_t length = strlen(to);
    return strncmp(from, to, length) == 0 && strcmp(from + length, RESTORE_STAGED) == 0;
}

/* Nothing else is renamed, whoever wrote the journal. */
static int check_journal(struct restore *restore)
{
    for (unsigned i = 0; i < restore->renames.count; i++) {
        const char *from = restore->renames.from[i], *to = restore->renames.to[i];
        const char *placed = goes_aside(from, to) ? from : comes(from, to) ? to : NULL;
        if (placed == NULL || !is_placed(restore, placed)) {
            return problem_set(&restore->problem, ERR_CONFLICT,
                               "%s names %s and %s, which no restore into %s with this "
                               "configuration renames; look at it, and take the names back by hand",
                               restore->journal, from, to, restore->place.data);
        }
    }
    return 0;
}

int restore_recover(struct restore *restore)
{
    if (!restore_exists(restore->journal)) {
        return 0;
    }
    int error = restore_claim(restore);
    error =
        error != 0 ? error : renames_read(&restore->renames, restore->journal, &restore->problem);
    error = error != 0 ? error : check_journal(restore);
    error = error != 0 ? error : undo(restore, &restore->problem);
    if (error == 0) {
        (void)fputs("a restore was cut off here; the names that it changed are taken back\n",
                    stderr);
    }
    return error;
}
