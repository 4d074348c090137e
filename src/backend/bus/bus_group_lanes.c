/* Lanes of a group's member (bus_group.h): who has them, how far they are (invariants:
 * bus_group.c). */
#include "backend/bus/bus_group.h"
#include "backend/bus/bus_lane_store.h"
#include "base/clock.h"

enum { FLUSH_MS_MAX = 10 * 1000 };

struct bus_lane *group_lane(struct bus_worker *worker, int32_t partition)
{
    return partition >= 0 && (unsigned)partition < worker->source->partitions
               ? &worker->lanes[partition]
               : NULL;
}

struct claim_work {
    struct bus_worker *worker;
    unsigned lane;
    int64_t position;
};

static int claim_row(struct db_session *session, void *argument)
{
    struct claim_work *work = argument;
    return bus_lane_store_claim(session, work->worker->consumer.name, work->worker->source->topic,
                                work->lane, work->worker->bus->owner, &work->position);
}

int group_claim(struct bus_worker *worker, struct bus_lane *lane)
{
    if (atomic_load(&lane->claimed)) {
        return 0;
    }
    struct claim_work work = {.worker = worker, .lane = lane->number};
    int r = db_write(worker->source->db, claim_row, &work);
    if (r >= 0) {
        atomic_store(&lane->position, work.position);
        atomic_store(&lane->claimed, true);
        lane->dirty = false;
        lane->next_offset = -1;
    }
    return r < 0 ? r : 0;
}

void group_store_offset(struct bus_worker *worker, struct bus_lane *lane)
{
    struct group *group = worker->engine;
    if (lane->next_offset < 0 || group->client.handle == NULL) {
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, worker->source->topic, (int32_t)lane->number)->offset =
        lane->next_offset;
    (void)rd_kafka_offsets_store(group->client.handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    lane->next_offset = -1;
}

/* ---- How far the whole consumer is ---- */

struct view {
    struct bus_worker *worker;
    int64_t positions[BUS_PARTITIONS_MAX];
    int64_t seen;
};

static bool is_passed(void *argument, int64_t sequence, const char *key)
{
    struct view *view = argument;
    unsigned lane = bus_partition(key, view->worker->source->partitions);
    if (sequence > view->positions[lane]) {
        return false;
    }
    view->seen = sequence;
    return true;
}

static int read_seen(struct db_session *session, void *argument)
{
    struct view *view = argument;
    struct bus_worker *worker = view->worker;
    int64_t whole;
    int r = bus_lane_store_positions(session, worker->consumer.name, worker->source->topic,
                                     view->positions, worker->source->partitions, &whole);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < worker->source->partitions; i++) {
        const struct bus_lane *lane = &worker->lanes[i];
        int64_t position = atomic_load(&lane->position);
        if (atomic_load(&lane->claimed) && position > view->positions[i]) {
            view->positions[i] = position;
        }
    }
    int64_t seen = atomic_load(&worker->seen);
    view->seen = seen > whole ? seen : whole;
    do {
        const struct bus_reading reading = {
            .after = view->seen, .take = is_passed, .argument = view};
        r = bus_lane_store_read(session, &reading);
    } while (r > 0);
    return r;
}

static void raise_seen(struct bus_worker *worker, int64_t seen)
{
    int64_t before = atomic_load(&worker->seen);
    while (before < seen && !atomic_compare_exchange_weak(&worker->seen, &before, seen)) {
    }
}

int bus_group_look(struct bus_worker *worker)
{
    struct view view = {.worker = worker};
    int r = db_read(worker->source->db, read_seen, &view);
    if (r == 0) {
        raise_seen(worker, view.seen);
    }
    return r;
}

static int flush_rows(struct db_session *session, void *argument)
{
    struct view *view = argument;
    struct bus_worker *worker = view->worker;
    int r = 0;
    for (unsigned i = 0; r >= 0 && i < worker->source->partitions; i++) {
        const struct bus_lane *lane = &worker->lanes[i];
        if (lane->dirty && atomic_load(&lane->claimed)) {
            r = bus_lane_store_move(session, worker->consumer.name, worker->source->topic, i,
                                    worker->bus->owner, atomic_load(&lane->position));
        }
    }
    r = r < 0 ? r : read_seen(session, view);
    return r < 0 ? r : bus_lane_store_advance(session, worker->consumer.name, view->seen);
}

int group_flush(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    struct view view = {.worker = worker};
    group->flushed_ms = clock_monotonic_ms();
    int r = db_write(worker->source->db, flush_rows, &view);
    if (r < 0) {
        return r;
    }
    group->moved = false;
    raise_seen(worker, view.seen);
    for (unsigned i = 0; i < worker->source->partitions; i++) {
        if (worker->lanes[i].dirty) {
            worker->lanes[i].dirty = false;
            group_store_offset(worker, &worker->lanes[i]);
        }
    }
    return 0;
}

int64_t group_flush_in_ms(const struct bus_worker *worker)
{
    const struct group *group = worker->engine;
    int64_t every_ms = worker->bus->prune_ms < FLUSH_MS_MAX ? worker->bus->prune_ms : FLUSH_MS_MAX;
    int64_t left_ms = group->flushed_ms + every_ms - clock_monotonic_ms();
    return !group->moved ? INT64_MAX : left_ms > 0 ? left_ms : 0;
}
