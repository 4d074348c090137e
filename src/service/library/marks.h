/* Marks: favourites, ratings, follows. Each is one value of a person's for one thing, changed on
 * any device, perhaps offline.
 *
 * Merging: a change carries its time and its device. The change with the greater (time, device,
 * value) holds, so the outcome is the same in whatever order, and however often, changes arrive. A
 * time in the future (a clock that is ahead) is taken for now, lest nothing could change it any
 * more.
 *
 * The statements (marks_store.c) belong inside a session of the users database. */
#pragma once

#include "base/arena.h"
#include "service/catalog/catalog.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct list_place;

enum { CHANGES_MAX = 500, DEVICE_MAX = 64, RATING_MAX = 5 };

struct mark {
    int64_t user_id;
    const char *what; /* "favourite", "rating", "follow" */
    const char *kind; /* "track", "album", "artist" */
    int64_t id;
    int64_t value; /* 0: taken away; a rating is 1 to 5, the others 1 */
    int64_t changed_at;
    const char *device; /* "" not said */
    int64_t revision;
};

/* When and where a change was made: at and device of a body or of its absence. ERR_INVALID with the
 * fields named. */
int mark_stamp(struct call *call, const json_t *body, int64_t now_ms, int64_t *ret_at,
               const char **ret_device);
/* One of POST /me/changes. */
int mark_read(struct call *call, const json_t *change, int64_t now_ms, struct mark *ret_mark);
json_t *mark_json(const struct mark *mark);
enum catalog_kind mark_kind(const struct mark *mark);

/* Counts one more change of the person's. */
int mark_next_revision(struct db_session *session, int64_t user_id, int64_t *ret_revision);
/* 1: it holds now, 0: a later one does. */
int mark_put(struct db_session *session, const struct mark *mark);
/* ERR_NOT_FOUND: never marked. Fills value, changed_at, device, revision. */
int mark_find(struct db_session *session, struct arena *arena, struct mark *mark);
struct mark_list {
    struct mark *rows;
    unsigned count;
};
/* Those with a value, the latest first, before (place->number, place->id). */
int mark_list(struct db_session *session, struct arena *arena, const struct mark *of,
              const struct list_place *place, struct mark_list *ret_list);
/* The greatest value first, of those alike the latest, before (place->disc, number, id). */
int mark_list_by_value(struct db_session *session, struct arena *arena, const struct mark *of,
                       const struct list_place *place, struct mark_list *ret_list);
/* All that changed after a revision, oldest first, those taken away too. */
int mark_changes(struct db_session *session, struct arena *arena, int64_t user_id, int64_t after,
                 unsigned limit, struct mark_list *ret_list);
/* Of a person's tracks with a value, the latest first, at most max: rows[max]. */
struct mark_value {
    int64_t id, value;
};
int mark_values(struct db_session *session, int64_t user_id, const char *what,
                struct mark_value *rows, unsigned max, unsigned *ret_count);
int mark_erase_person(struct db_session *session, int64_t user_id);
