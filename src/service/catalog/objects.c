/* Walking over the objects that rows need (catalog.h: catalog_objects_walk), for `tutti doctor`.
 * One table of kinds; each is read in portions, so that no read holds the log for long. Main thread
 * of the command.
 */
#include "service/catalog/catalog.h"

#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "base/error.h"
#include "base/mem.h"
#include "service/catalog/objects_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_AT_ONCE = 500 };

typedef int visit_key(void *argument, const char *key, int64_t bytes);

static int visit_original(const struct object_row *row, visit_key *visit, void *argument)
{
    return visit(argument, row->name, row->bytes);
}

static int visit_rendition(const struct object_row *row, visit_key *visit, void *argument)
{
    char key[BLOB_KEY_MAX + 1];
    (void)snprintf(key, sizeof key, "m/%" PRId64 "/%" PRId64 "/%s", row->id, row->version,
                   row->name);
    return visit(argument, key, row->bytes);
}

static int visit_picture(const struct object_row *row, visit_key *visit, void *argument)
{
    static const char *const sizes[] = {"64", "128", "300", "600", "1200"};
    static const char *const types[] = {"jpg", "webp"};
    int error = visit(argument, row->name, row->bytes);
    for (unsigned i = 0; error == 0 && row->ready && i < COUNT_OF(sizes) * COUNT_OF(types); i++) {
        char key[BLOB_KEY_MAX + 1];
        (void)snprintf(key, sizeof key, "art/%" PRId64 "/%s.%s", row->id,
                       sizes[i / COUNT_OF(types)], types[i % COUNT_OF(types)]);
        error = visit(argument, key, -1);
    }
    return error;
}

static const struct kind {
    int (*read)(struct db_session *session, struct arena *arena, const struct object_place *place,
                unsigned limit, struct object_row **ret_rows, unsigned *ret_count);
    int (*visit)(const struct object_row *row, visit_key *visit, void *argument);
} kinds[] = {
    {objects_originals, visit_original},
    {objects_renditions, visit_rendition},
    {objects_pictures, visit_picture},
};

struct portion {
    const struct kind *kind;
    struct arena *arena;
    struct object_place place;
    struct object_row *rows;
    unsigned count;
};

static int read_portion(struct db_session *session, void *argument)
{
    struct portion *portion = argument;
    return portion->kind->read(session, portion->arena, &portion->place, ROWS_AT_ONCE,
                               &portion->rows, &portion->count);
}

static int walk_kind(struct db *db, const struct kind *kind, bool outside, visit_key *visit,
                     void *argument)
{
    char file[BLOB_KEY_MAX + 1] = "";
    struct portion portion = {.kind = kind, .place = {.file = file, .outside = outside}};
    int error = 0;
    do {
        portion.arena = arena_new(0);
        portion.count = 0;
        error = portion.arena != NULL ? db_read(db, read_portion, &portion) : ERR_NO_MEMORY;
        for (unsigned i = 0; error == 0 && i < portion.count; i++) {
            error = kind->visit(&portion.rows[i], visit, argument);
        }
        if (error == 0 && portion.count > 0) {
            const struct object_row *last = &portion.rows[portion.count - 1];
            (void)snprintf(file, sizeof file, "%s", last->name);
            portion.place = (struct object_place){last->id, last->version, file, outside};
        }
        arena_free(portion.arena);
    } while (error == 0 && portion.count == ROWS_AT_ONCE);
    return error;
}

int catalog_objects_walk(struct db *db, bool outside, visit_key *visit, void *argument)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(kinds); i++) {
        error = walk_kind(db, &kinds[i], outside, visit, argument);
    }
    return error;
}
