/* Where an installation keeps what it must not lose: its databases, keys and objects, by the
 * configuration. For the commands that work on the files themselves. Main thread. */
#pragma once

#include <limits.h>
#include <stdbool.h>

struct config;
struct problem;

enum place_database { PLACE_CATALOG, PLACE_USERS, PLACE_DATABASES_ };

struct place {
    const char *data; /* borrowed of the configuration, as are the others */
    const char *keys;
    const char *objects; /* NULL where the store is no folder */
    const char *objects_url;
    struct place_file {
        const char *name; /* "catalog" */
        const char *url;  /* as db_open takes it */
        const char *path; /* NULL where the database is no file */
    } databases[PLACE_DATABASES_];
};

void place_of(const struct config *config, struct place *ret_place);
/* ERR_NOT_FOUND with words where a database isn't there: commands on data make none. */
int place_check_databases(const struct place *place, struct problem *problem);
/* mkdir -p, durably, the last one with mode 0700, and a look whether we may write there. */
int place_make_folder(const char *path, struct problem *problem);
