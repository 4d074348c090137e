/* The files of an installation (place.h). */
#include "boot/place.h"

#include "backend/folder.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What follows the scheme; NULL where the URL has another one. */
static const char *behind(const char *url, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncmp(url, scheme, length) == 0 ? url + length : NULL;
}

void place_database(const struct config *config, enum place_database which,
                    struct place_file *ret_file)
{
    static const struct {
        const char *name;
        enum config_setting url, replicas, direct;
        bool younger;
    } rows[PLACE_DATABASES_] = {
        [PLACE_CATALOG] = {"catalog", CONFIG_DATABASE_CATALOG, CONFIG_DATABASE_CATALOG_REPLICAS,
                           CONFIG_DATABASE_CATALOG_DIRECT, false},
        [PLACE_USERS] = {"users", CONFIG_DATABASE_USERS, CONFIG_DATABASE_USERS_REPLICAS,
                         CONFIG_DATABASE_USERS_DIRECT, false},
        [PLACE_ACTIVITY] = {"activity", CONFIG_DATABASE_ACTIVITY, CONFIG_DATABASE_ACTIVITY_REPLICAS,
                            CONFIG_DATABASE_ACTIVITY_DIRECT, true},
    };
    *ret_file = (struct place_file){
        .name = rows[which].name,
        .path = behind(config_text(config, rows[which].url), "sqlite:"),
        .younger = rows[which].younger,
        .config = {
            .url = config_text(config, rows[which].url),
            .replicas = config_text(config, rows[which].replicas),
            .direct = config_text(config, rows[which].direct),
            .connections_max = (unsigned)config_number(config, CONFIG_DATABASE_CONNECTIONS),
            .statement_ms = (unsigned)config_number(config, CONFIG_DATABASE_STATEMENT),
            .lock_ms = (unsigned)config_number(config, CONFIG_DATABASE_LOCK),
            .wait_ms = (unsigned)config_number(config, CONFIG_DATABASE_WAIT),
            .lag_ms = (unsigned)config_number(config, CONFIG_DATABASE_LAG),
        }};
}

int place_check_apart(const struct config *config, struct problem *problem)
{
    struct place_file files[PLACE_DATABASES_];
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        place_database(config, i, &files[i]);
        for (unsigned other = 0; other < i; other++) {
            if (strcmp(files[i].config.url, files[other].config.url) == 0) {
                return problem_set(problem, ERR_INVALID,
                                   "database.%s and database.%s are the same one; each must be a "
                                   "database of its own",
                                   files[other].name, files[i].name);
            }
        }
    }
    return 0;
}

int place_open_database(const struct place_file *file, struct db **ret_db, struct problem *problem)
{
    return db_open_with(&file->config, file->name, ret_db, problem);
}

void place_of(const struct config *config, struct place *ret_place)
{
    *ret_place = (struct place){
        .data = config_data(config),
        .keys = config_text(config, CONFIG_KEYS_STORE),
        .objects_url = config_text(config, CONFIG_BLOB_STORE),
        .objects = behind(config_text(config, CONFIG_BLOB_STORE), "file:"),
    };
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        place_database(config, i, &ret_place->databases[i]);
    }
}

int place_check_databases(const struct place *place, struct problem *problem)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &place->databases[i];
        struct stat status;
        if (file->path != NULL && !file->younger && stat(file->path, &status) != 0) {
            return problem_set(
                problem, ERR_NOT_FOUND,
                "The database %s isn't there: %s: %s; is --data or --config another?", file->name,
                file->path, strerror(errno));
        }
    }
    return 0;
}

/* A server's database that was never migrated is as good as none: its address is another's. */
static int check_filled(const struct place_file *file, struct problem *problem)
{
    struct db *db = NULL;
    bool empty = false;
    int error = place_open_database(file, &db, problem);
    if (error == 0 && (error = db_is_empty(db, &empty)) < 0) {
        error =
            problem_set(problem, error, "Can't read the database %s: %s", file->name, db_words());
    }
    if (error == 0 && empty) {
        error = problem_set(problem, ERR_NOT_FOUND,
                            "There is nothing in the database %s at %s: start the server once, or "
                            "check --config and database.%s",
                            file->name, db_where(db), file->name);
    }
    db_close(db);
    return error;
}

int place_check_installed(const struct place *place, struct problem *problem)
{
    struct stat status;
    int error = place_check_databases(place, problem);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &place->databases[i];
        error = file->path == NULL && !file->younger ? check_filled(file, problem) : 0;
    }
    if (error == 0 && stat(place->keys, &status) != 0) {
        error = problem_set(problem, ERR_NOT_FOUND,
                            "The keys' folder isn't there: %s: %s; start the server once, or check "
                            "--data and --config",
                            place->keys, strerror(errno));
    }
    return error;
}

int place_make_folder(const char *what, const char *path, struct problem *problem)
{
    char copy[PATH_MAX];
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy) {
        return problem_set(problem, ERR_INVALID, "the path of %s is too long", what);
    }
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0755);
        (void)folder_sync_of(copy); /* also where it is there: its maker may have been killed */
        *slash = '/';
    }
    if (folder_make(copy) != 0) {
        return problem_set(problem, ERR_INVALID, "%s %s can't be made: %s", what, path,
                           strerror(errno));
    }
    if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return problem_set(problem, ERR_INVALID,
                           "%s %s can't be used: %s; it must be a directory that "
                           "this user may read and write",
                           what, path, strerror(errno));
    }
    return 0;
}
