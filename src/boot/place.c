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

void place_of(const struct config *config, struct place *ret_place)
{
    static const struct {
        const char *name;
        enum config_setting setting;
    } databases[PLACE_DATABASES_] = {[PLACE_CATALOG] = {"catalog", CONFIG_DATABASE_CATALOG},
                                     [PLACE_USERS] = {"users", CONFIG_DATABASE_USERS}};
    *ret_place = (struct place){
        .data = config_data(config),
        .keys = config_text(config, CONFIG_KEYS_STORE),
        .objects_url = config_text(config, CONFIG_BLOB_STORE),
        .objects = behind(config_text(config, CONFIG_BLOB_STORE), "file:"),
    };
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        const char *url = config_text(config, databases[i].setting);
        ret_place->databases[i] = (struct place_file){
            .name = databases[i].name, .url = url, .path = behind(url, "sqlite:")};
    }
}

int place_check_databases(const struct place *place, struct problem *problem)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &place->databases[i];
        struct stat status;
        if (file->path != NULL && stat(file->path, &status) != 0) {
            return problem_set(
                problem, ERR_NOT_FOUND,
                "The database %s isn't there: %s: %s; is --data or --config another?", file->name,
                file->path, strerror(errno));
        }
    }
    return 0;
}

int place_make_folder(const char *path, struct problem *problem)
{
    char copy[PATH_MAX];
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy) {
        return problem_set(problem, ERR_INVALID, "the data directory's path is too long");
    }
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0755);
        (void)folder_sync_of(copy); /* also where it is there: its maker may have been killed */
        *slash = '/';
    }
    if (folder_make(copy) != 0) {
        return problem_set(problem, ERR_INVALID, "the data directory %s can't be made: %s", path,
                           strerror(errno));
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        return problem_set(problem, ERR_INVALID,
                           "the data directory %s can't be used: %s; it must be a directory that "
                           "this user may read and write",
                           path, strerror(errno));
    }
    return 0;
}
