/* Which migrations belong to which database: for the commands that look at databases without the
 * roles that own their tables. Main thread. */
#pragma once

#include "boot/place.h"

struct db;
struct problem;

/* Brings a database to this version, as the roles do when they open. ERR_VERSION: it is of a newer
 * one; ERR_CORRUPT: an applied migration had another text. */
int schemas_migrate(struct db *db, enum place_database which, struct problem *problem);
/* How many migrations are missing; changes nothing. */
int schemas_pending(struct db *db, enum place_database which, unsigned *ret_pending,
                    struct problem *problem);
