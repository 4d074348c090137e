/* Many objects by their ids, as lists of other roles show them (catalog.h: catalog_describe). Reads
 * sixteen at a time; any thread that may block. */
#include "service/catalog/catalog_internal.h"

#include "base/error.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/catalog_rows.h"

#include <assert.h>
#include <string.h>

struct describe {
    struct call *call;
    enum catalog_kind kind;
    const int64_t *ids;
    unsigned count;
    json_t *objects;
};

/* At each place of ids that holds the row's. Takes the reference. */
static int put(struct describe *describe, unsigned from, unsigned count, int64_t id, json_t *object)
{
    int error = object != NULL ? 0 : ERR_NO_MEMORY;
    for (unsigned i = from; error == 0 && i < from + count; i++) {
        if (describe->ids[i] == id && json_array_set(describe->objects, i, object) != 0) {
            error = ERR_NO_MEMORY;
        }
    }
    json_decref(object);
    return error;
}

static int put_artists(struct db_session *session, struct describe *describe, const int64_t *ids,
                       unsigned from, unsigned count)
{
    struct artist_list list;
    int error = artist_list_of_ids(session, describe->call->arena, ids, &list);
    for (unsigned i = 0; error == 0 && i < list.count; i++) {
        const struct artist_row *row = &list.rows[i];
        const struct sight sight = {row->owner_user_id, true, row->shelved ? row->shelf_id : 0};
        error = catalog_sees_in(session, &describe->call->actor, &sight);
        error = error == 0               ? put(describe, from, count, row->id, artist_json(row))
                : error == ERR_NOT_FOUND ? 0
                                         : error;
    }
    return error;
}

static int put_albums(struct db_session *session, struct describe *describe, const int64_t *ids,
                      unsigned from, unsigned count)
{
    struct album_list list;
    int error = album_list_of_ids(session, describe->call->arena, ids, &list);
    for (unsigned i = 0; error == 0 && i < list.count; i++) {
        const struct album_row *row = &list.rows[i];
        const struct sight sight = {row->owner_user_id, strcmp(row->status, "published") == 0,
                                    row->shelved ? row->shelf_id : 0};
        error = catalog_sees_in(session, &describe->call->actor, &sight);
        error = error == 0               ? put(describe, from, count, row->id, album_json(row))
                : error == ERR_NOT_FOUND ? 0
                                         : error;
    }
    return error;
}

static int put_tracks(struct db_session *session, struct describe *describe, const int64_t *ids,
                      unsigned from, unsigned count)
{
    struct track_list list;
    int error = track_list_of_ids(session, describe->call->arena, ids, &list);
    for (unsigned i = 0; error == 0 && i < list.count; i++) {
        const struct track_row *row = &list.rows[i];
        const struct sight sight = {row->owner_user_id, row->published,
                                    row->shelved ? row->shelf_id : 0};
        error = catalog_sees_in(session, &describe->call->actor, &sight);
        error = error == 0               ? put(describe, from, count, row->id, track_json(row))
                : error == ERR_NOT_FOUND ? 0
                                         : error;
    }
    return error;
}

static int describe_some(struct db_session *session, struct describe *describe, unsigned from)
{
    int64_t ids[IDS_AT_ONCE] = {0};
    unsigned left = describe->count - from, count = left < IDS_AT_ONCE ? left : IDS_AT_ONCE;
    memcpy(ids, describe->ids + from, count * sizeof *ids);
    switch (describe->kind) {
    case CATALOG_ARTIST:
        return put_artists(session, describe, ids, from, count);
    case CATALOG_ALBUM:
        return put_albums(session, describe, ids, from, count);
    case CATALOG_TRACK:
        break;
    }
    return put_tracks(session, describe, ids, from, count);
}

static int describe_work(struct db_session *session, void *argument)
{
    struct describe *describe = argument;
    int error = 0;
    for (unsigned from = 0; error == 0 && from < describe->count; from += IDS_AT_ONCE) {
        error = describe_some(session, describe, from);
    }
    return error;
}

int catalog_describe(struct catalog *catalog, struct call *call, enum catalog_kind kind,
                     const int64_t *ids, unsigned count, json_t **ret_objects)
{
    assert(count <= CATALOG_DESCRIBE_MAX);
    struct describe describe = {
        .call = call, .kind = kind, .ids = ids, .count = count, .objects = json_array()};
    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(describe.objects, json_null());
    }
    int error = describe.objects != NULL && json_array_size(describe.objects) == count
                    ? db_read(catalog->db, describe_work, &describe)
                    : ERR_NO_MEMORY;
    if (error != 0) {
        json_decref(describe.objects);
        return error;
    }
    *ret_objects = describe.objects;
    return 0;
}
