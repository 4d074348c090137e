/* Recently deleted tracks (gone.h): an open-addressing table that doubles, swept of what is over
 * the grace whenever it is half full. Deleting is rare and asking is not, hence a read-write lock.
 */
#include "service/catalog/gone.h"

#include "base/clock.h"
#include "service/catalog/catalog.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS_MIN = 64 };

struct gone_slot {
    int64_t track_id; /* 0: free */
    int64_t at_ms;
};

struct gone_set {
    pthread_rwlock_t lock;
    struct gone_slot *slots;
    size_t slot_count; /* a power of two */
    size_t used;
};

static size_t slot_of(const struct gone_set *set, int64_t track_id)
{
    uint64_t hash = (uint64_t)track_id * 0x9e3779b97f4a7c15u;
    return (size_t)(hash >> 32) & (set->slot_count - 1);
}

struct gone_set *gone_new(void)
{
    struct gone_set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return NULL;
    }
    set->slots = calloc(SLOTS_MIN, sizeof *set->slots);
    set->slot_count = SLOTS_MIN;
    if (set->slots == NULL || pthread_rwlock_init(&set->lock, NULL) != 0) {
        free(set->slots);
        free(set);
        return NULL;
    }
    return set;
}

void gone_free(struct gone_set *set)
{
    if (set != NULL) {
        (void)pthread_rwlock_destroy(&set->lock);
        free(set->slots);
        free(set);
    }
}

static void put(struct gone_set *set, struct gone_slot slot)
{
    size_t at = slot_of(set, slot.track_id);
    while (set->slots[at].track_id != 0 && set->slots[at].track_id != slot.track_id) {
        at = (at + 1) & (set->slot_count - 1);
    }
    set->used += set->slots[at].track_id == 0 ? 1 : 0;
    set->slots[at] = slot;
}

/* Room for one more: what is over the grace leaves, and a table still half full doubles. */
static bool make_room(struct gone_set *set, int64_t now_ms)
{
    if (set->used * 2 < set->slot_count) {
        return true;
    }
    size_t living = 0;
    for (size_t i = 0; i < set->slot_count; i++) {
        living +=
            set->slots[i].track_id != 0 && set->slots[i].at_ms + CATALOG_OBJECT_GRACE_MS > now_ms;
    }
    struct gone_set next = {.slot_count = set->slot_count};
    while (living * 4 >= next.slot_count && next.slot_count < GONE_MAX) {
        next.slot_count *= 2;
    }
    next.slots = calloc(next.slot_count, sizeof *next.slots);
    if (next.slots == NULL) {
        return set->used + 1 < set->slot_count;
    }
    for (size_t i = 0; i < set->slot_count && next.used * 2 < next.slot_count; i++) {
        if (set->slots[i].track_id != 0 && set->slots[i].at_ms + CATALOG_OBJECT_GRACE_MS > now_ms) {
            put(&next, set->slots[i]);
        }
    }
    free(set->slots);
    set->slots = next.slots;
    set->slot_count = next.slot_count;
    set->used = next.used;
    return set->used + 1 < set->slot_count;
}

void gone_add(struct gone_set *set, int64_t track_id, int64_t now_ms)
{
    (void)pthread_rwlock_wrlock(&set->lock);
    if (make_room(set, clock_wall_ms())) {
        put(set, (struct gone_slot){.track_id = track_id, .at_ms = now_ms});
    }
    (void)pthread_rwlock_unlock(&set->lock);
}

bool gone_has(struct gone_set *set, int64_t track_id)
{
    (void)pthread_rwlock_rdlock(&set->lock);
    size_t at = slot_of(set, track_id);
    while (set->slots[at].track_id != 0 && set->slots[at].track_id != track_id) {
        at = (at + 1) & (set->slot_count - 1);
    }
    bool has = set->slots[at].track_id == track_id;
    (void)pthread_rwlock_unlock(&set->lock);
    return has;
}
