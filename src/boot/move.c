/* Moving to other engines (move.h): one database, or the objects, a run. What is there already is
 * passed over, so a run that was cut is just started again; at the end as much is there as here.
 *
 *   --from sqlite:PATH  --to postgresql://…   (default: the database of that name in the
 * configuration)
 *   --from file:DIR     --to s3://…           (default: blob.store)
 *   --from s3://…       --to file:DIR
 */
#include "boot/move.h"

#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "backend/db/db_copy.h"
#include "backend/rights.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/backup_objects.h"
#include "boot/command.h"
#include "boot/config.h"
#include "boot/place.h"
#include "boot/progress.h"
#include "boot/schemas.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Which of them a file is, by a table that only it has. */
static const char *const own_tables[PLACE_DATABASES_] = {
    [PLACE_CATALOG] = "track", [PLACE_USERS] = "users", [PLACE_ACTIVITY] = "play_history"};

/* They tell of the database that they are in: its migrations, its place in time, its processes. */
static const char *const passed_over[] = {"db_migration", "db_position", "node_lease", NULL};

struct moving {
    struct place place;
    const char *from, *to;
    enum place_database which;
    struct progress progress;
    char table[64];
};

static int find_which(struct moving *moving, const char *path, struct problem *problem)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        int has = 0;
        int error = db_sqlite_has_table(path, own_tables[i], &has, problem);
        if (error != 0) {
            return error;
        }
        if (has) {
            moving->which = i;
            return 0;
        }
    }
    return problem_set(problem, ERR_INVALID, "%s is no database of Tutti", path);
}

/* The file must be of this version, since tables are copied as they are. */
static int check_version(const struct moving *moving, struct problem *problem)
{
    struct db *db = NULL;
    unsigned pending = 0;
    rights_begin(AT_FDCWD, moving->from + strlen("sqlite:")); /* its threads end before the end */
    int error = db_open(moving->from, moving->place.databases[moving->which].name, &db, problem);
    error = error != 0 ? error : schemas_pending(db, moving->which, &pending, problem);
    db_close(db);
    rights_end();
    return error != 0     ? error
           : pending == 0 ? 0
                          : problem_set(problem, ERR_VERSION,
                                        "%s is of an older version; run tutti migrate on it first",
                                        moving->from);
}

static void show_table(void *argument, const char *table, int64_t rows, int64_t of)
{
    struct moving *moving = argument;
    (void)of;
    (void)snprintf(moving->table, sizeof moving->table, "%s", table);
    progress_show(&moving->progress, rows, 0);
}

static int open_target(const struct moving *moving, struct db **ret_db, struct problem *problem)
{
    const char *name = moving->place.databases[moving->which].name;
    return moving->to != NULL
               ? db_open(moving->to, name, ret_db, problem)
               : place_open_database(&moving->place.databases[moving->which], ret_db, problem);
}

static int move_rows(struct moving *moving, const char *path, struct db *to,
                     struct arena *statements, struct problem *problem)
{
    int64_t rows = 0;
    const struct db_copy copy = {.path = path,
                                 .to = to,
                                 .passed_over = passed_over,
                                 .statements = statements,
                                 .show = show_table,
                                 .argument = moving};
    progress_begin(&moving->progress, moving->place.databases[moving->which].name);
    int error = schemas_migrate(to, moving->which, problem);
    error = error != 0 ? error : db_copy_sqlite(&copy, &rows, problem);
    if (error == 0) {
        progress_end(&moving->progress, "%lld rows are in %s", (long long)rows, db_where(to));
    }
    return error;
}

static bool is_in_use(const struct moving *moving)
{
    rights_begin(AT_FDCWD, moving->from + strlen("sqlite:"));
    bool in_use = db_in_use(moving->from);
    rights_end();
    return in_use;
}

static int move_database(struct moving *moving, struct problem *problem)
{
    const char *path = moving->from + strlen("sqlite:");
    struct db *to = NULL;
    if (is_in_use(moving)) {
        return problem_set(problem, ERR_CONFLICT,
                           "%s is in use; stop the server, so that nothing is written to it that "
                           "is not moved",
                           path);
    }
    int error = find_which(moving, path, problem);
    error = error != 0 ? error : check_version(moving, problem);
    struct arena *statements = error == 0 ? arena_new(0) : NULL;
    error = error == 0 && statements == NULL ? ERR_NO_MEMORY : error;
    error = error != 0 ? error : open_target(moving, &to, problem);
    error = error != 0 ? error : move_rows(moving, path, to, statements, problem);
    db_close(to);
    arena_free(statements);
    return error;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int check_apart(const char *from, const char *to, struct problem *problem)
{
    size_t scheme = strlen("file:");
    return starts(from, "file:") && starts(to, "file:")
               ? backup_check_apart(from + scheme, to + scheme, problem)
               : 0;
}

/* Opening a folder makes a store of it, and an empty one is moved in no time. */
static int check_source(const struct moving *moving, struct problem *problem)
{
    return starts(moving->from, "file:")
               ? backup_store_check_folder(moving->from + strlen("file:"), problem)
               : 0;
}

static int move_objects(struct moving *moving, struct backup_objects *sums, struct problem *problem)
{
    struct blob_store *from = NULL, *to = NULL;
    const char *target = moving->to != NULL ? moving->to : moving->place.objects_url;
    int error = check_source(moving, problem);
    error = error != 0 ? error : check_apart(moving->from, target, problem);
    error =
        error != 0 ? error : backup_store_open(moving->from, moving->place.keys, &from, problem);
    error = error != 0 ? error : blob_ping(from, problem);
    error = error != 0 ? error : backup_store_open(target, moving->place.keys, &to, problem);
    error = error != 0 ? error : blob_ping(to, problem);
    error = error != 0 ? error : backup_objects_copy(from, to, NULL, "objects", sums, problem);
    if (error == 0 && sums->damaged > 0) {
        error = problem_set(
            problem, ERR_CORRUPT,
            "%llu objects are damaged, or can't be told from damaged ones: each is named",
            (unsigned long long)sums->damaged);
    }
    blob_store_close(from);
    blob_store_close(to);
    return error;
}

int command_move(const struct command_line *line)
{
    struct problem problem = {0};
    struct moving moving = {.from = line->options[OPTION_FROM], .to = line->options[OPTION_TO]};
    place_of(line->config, &moving.place);
    bool database = starts(moving.from, "sqlite:");
    bool objects = starts(moving.from, "file:") || starts(moving.from, "s3:");
    if (!database && !objects) {
        (void)fprintf(stderr, "tutti: --from can be sqlite:PATH, file:DIR or s3://…\n");
        return EXIT_USAGE;
    }
    struct backup_objects sums = {.read = backup_read_all(line), .keep_newer = true};
    if (database && sums.read.turns > 0) {
        (void)fprintf(stderr, "tutti: --verify is for objects: --from file:DIR or s3://…\n");
        return EXIT_USAGE;
    }
    int error =
        database ? move_database(&moving, &problem) : move_objects(&moving, &sums, &problem);
    return error != 0 ? command_complain(&problem, error) : EXIT_DONE;
}
