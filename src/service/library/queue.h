/* The queue: what is to be played next, and where in it the person is; one for all devices.
 *
 * Merging: the list and the place in it are two parts, each with the time and device of its last
 * change; of two changes the one with the greater (time, device) holds. A place belongs to the list
 * it was reached in: a change of it alone names that list by its time (itemsAt), and does nothing
 * once there is another. So whoever was offline brings no old list back, and moves nobody's place.
 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct db_session;

enum { QUEUE_MAX = 2000 };

struct queue {
    int64_t user_id;
    const char *items; /* JSON: a list of track ids */
    int64_t items_at;
    const char *items_device;
    int64_t place, position_ms; /* index of the item, and where in it */
    int64_t place_at;
    const char *place_device;
    int64_t revision; /* 0: there is none yet */
};

/* An empty one where there is none. */
int queue_find(struct db_session *session, struct arena *arena, int64_t user_id,
               struct queue *ret_queue);
int queue_save(struct db_session *session, const struct queue *queue);
int queue_erase_person(struct db_session *session, int64_t user_id);
