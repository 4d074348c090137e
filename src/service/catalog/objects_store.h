/* SQL of the objects that rows need (objects_store.c): each function gives the next rows after a
 * place, in order, and moves the place. Inside a read; strings in the arena. */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct db_session;

struct object_place {
    int64_t id, version;
    const char *file; /* "" before the first */
    bool outside;     /* originals that stay where they are, too */
};

struct object_row {
    int64_t id, version;
    const char *name; /* an original's or picture's whole key, a rendition's file */
    int64_t bytes;
    bool ready; /* of a picture: its sizes are there */
};

/* At most limit rows of versions that are there: their originals. */
int objects_originals(struct db_session *session, struct arena *arena,
                      const struct object_place *place, unsigned limit,
                      struct object_row **ret_rows, unsigned *ret_count);
int objects_renditions(struct db_session *session, struct arena *arena,
                       const struct object_place *place, unsigned limit,
                       struct object_row **ret_rows, unsigned *ret_count);
int objects_pictures(struct db_session *session, struct arena *arena,
                     const struct object_place *place, unsigned limit, struct object_row **ret_rows,
                     unsigned *ret_count);
