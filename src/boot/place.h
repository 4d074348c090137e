/* Where an installation keeps what it must not lose: its databases, keys and objects, by the
 * configuration. For the commands that work on the files themselves. Main thread. */
#pragma once

#include "backend/db/db.h"

#include <limits.h>
#include <stdbool.h>

struct config;
struct problem;

/* In an order in which a backup may take them: who acts on another's events comes later. */
enum place_database { PLACE_CATALOG, PLACE_USERS, PLACE_ACTIVITY, PLACE_DATABASES_ };

struct place {
    const char *data; /* borrowed of the configuration, as are the others */
    const char *keys;
    const char *objects; /* NULL where the store is no folder */
    const char *objects_url;
    struct place_file {
        const char *name; /* "catalog" */
        const char *path; /* NULL where the database is no file */
        bool younger;     /* installations of older versions have none: it is made when missed */
        struct db_config config;
    } databases[PLACE_DATABASES_];
};

void place_of(const struct config *config, struct place *ret_place);
/* How the configuration says to open a database. */
void place_database(const struct config *config, enum place_database which,
                    struct place_file *ret_file);
/* Whether each has an address of its own: two in one would take the other's tables for theirs. */
int place_check_apart(const struct config *config, struct problem *problem);
int place_open_database(const struct place_file *file, struct db **ret_db, struct problem *problem);
/* ERR_NOT_FOUND with words where a database isn't there: commands on data make none. */
int place_check_databases(const struct place *place, struct problem *problem);
/* The same, and where a server's database has nothing in it, or the keys' folder is missing: what
 * works on an installation makes none. */
int place_check_installed(const struct place *place, struct problem *problem);
/* mkdir -p, durably, the last one with mode 0700, and a look whether we may write there. what: the
 * folder, in the words of an error ("the data directory"). */
int place_make_folder(const char *what, const char *path, struct problem *problem);
