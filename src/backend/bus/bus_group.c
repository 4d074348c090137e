/* A consumer as a member of its group (bus_kafka.h): reads the topic of its database, hands events
 * over, keeps in the database how far it came. On the worker's thread.
 *
 * Kafka shares the partitions among the processes that have the consumer. A partition is a lane:
 * its row in bus_lane has the sequence of the newest event that is done, waiting or unwanted.
 *
 *   message ──► not newer than the lane's position? ──yes──► passed over (published or read again)
 *                 │ no
 *                 ▼
 *               a run: messages of one lane ──► bus_handle_batch ──► effect and position, in one
 *                                                   transaction for handle_in ──► offset committed
 *
 * 1. In a lane sequences grow, but for repetitions (bus_relay.c, 3). So its position tells what is
 * a repetition, exactly, whatever offsets say; offsets only save reading.
 * 2. An offset is stored after the row has the position, and committed within a second, or when the
 *    partition is given back.
 * 3. Whoever gets a partition writes itself into the lane's row before it handles an event. Who had
 *    it and does not know better fails at its next write (ERR_CANCELLED), and joins the group anew.
 * 4. Events that fail go where those of local: go, bus_waiting; who has the lane of their key tries
 *    them again. So `tutti events` knows no engine, and an event that waits for days outlives the
 *    topic's retention: it is read from the outbox.
 * 5. The position of the whole consumer (bus_consumer: prune, lag, doctor) follows: the newest
 *    event before which the outbox has none that its lane has not passed.
 */
#include "backend/bus/bus_group.h"
#include "backend/bus/bus_lane_store.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"

#include <stdlib.h>

enum {
    POLL_MS_MAX = 5000, /* then waiting events are looked at in any case */
    PROBE_MS = 1000,    /* how often, and how long, a lost Kafka is looked for */
    NO_TOPIC_MS = 200,  /* how often a topic is looked for that its relay is yet to make */
    NO_TOPIC_MS_MAX = 10 * 1000,
    REFUSED_LEASES = 3,   /* as many leases, who was refused waits before it tries anew */
    LEAVE_MS = 60 * 1000, /* a database in trouble for so long: others may fare better */
};

/* ---- Handling ---- */

static int mark_behind(struct db_session *session, void *argument)
{
    struct bus_worker *worker = argument;
    int64_t waiting, due_ms;
    int r = bus_lane_store_waiting(session, worker->consumer.name, 0, &waiting, &due_ms);
    for (unsigned i = 0; r >= 0 && i < worker->batch.count; i++) {
        struct bus_item *item = &worker->batch.items[i];
        r = waiting == 0 ? 0
                         : bus_lane_store_waits(session, worker->consumer.name, item->event.key);
        item->behind = r > 0;
    }
    return r < 0 ? r : 0;
}

static void drop_handled(struct bus_worker *worker)
{
    struct bus_batch *batch = &worker->batch;
    int64_t position = atomic_load(&worker->lane->position);
    unsigned kept = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        if (batch->items[i].sequence > position) {
            batch->items[kept++] = batch->items[i];
        }
    }
    batch->count = kept;
}

/* Handles what is left of the run. Where it fails, the rest stays for the next pass. */
static int handle_run(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    struct bus_lane *lane = worker->lane;
    int r = 0;
    bool recorded = worker->batch.count > 0;
    while (r >= 0 && worker->batch.count > 0 && !bus_is_ending(worker->bus)) {
        r = db_read(worker->source->db, mark_behind, worker);
        r = r < 0 ? r : bus_handle_batch(worker, group->last);
        drop_handled(worker);
    }
    if (r < 0 || worker->batch.count > 0) {
        return r;
    }
    if (atomic_load(&lane->position) < group->last) { /* unwanted ones at its end */
        atomic_store(&lane->position, group->last);
        lane->dirty = true;
    }
    lane->dirty = lane->dirty || !recorded;
    lane->next_offset = group->next_offset;
    group->moved = true;
    group->looked_ms = worker->put_aside ? 0 : group->looked_ms;
    worker->put_aside = false;
    if (!lane->dirty) {
        group_store_offset(worker, lane);
    }
    return 0;
}

/* ---- Waiting events ---- */

struct due_work {
    struct bus_worker *worker;
    int64_t now_ms, after;
    int64_t count, due_ms;
};

static int read_due(struct db_session *session, void *argument)
{
    struct due_work *work = argument;
    const char *name = work->worker->consumer.name;
    arena_reset(work->worker->batch.arena);
    work->worker->batch.count = 0;
    int r = bus_lane_store_waiting(session, name, work->now_ms, &work->count, &work->due_ms);
    return r < 0 || work->count == 0
               ? r
               : bus_lane_store_due(session, name,
                                    bus_due_by(work->worker->bus, work->due_ms, work->now_ms),
                                    work->after, &work->worker->batch);
}

/* Those of the batch whose lane is ours. */
static int retry_ours(struct bus_worker *worker)
{
    int r = 0;
    for (unsigned i = 0; r >= 0 && i < worker->batch.count && !bus_is_ending(worker->bus); i++) {
        const struct bus_item *item = &worker->batch.items[i];
        worker->lane = &worker->lanes[bus_partition(item->event.key, worker->source->partitions)];
        if (worker->lane->assigned) {
            r = group_claim(worker, worker->lane);
            r = r < 0 ? r : bus_retry(worker, item);
            worker->put_aside = true; /* or the next of its key is due now */
        }
    }
    return r;
}

static int retry_due(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    struct due_work work = {.worker = worker, .now_ms = clock_wall_ms()};
    group->looked_ms = clock_monotonic_ms();
    int r;
    do {
        r = db_read(worker->source->db, read_due, &work);
        unsigned count = worker->batch.count;
        if (r >= 0 && count > 0) {
            work.after = worker->batch.items[count - 1].sequence;
            r = retry_ours(worker);
        }
        worker->batch.count = 0;
        if (r >= 0 && count < BUS_BATCH_MAX) {
            break;
        }
    } while (r >= 0 && !bus_is_ending(worker->bus));
    group->due_ms = work.due_ms;
    group->looked_ms = worker->put_aside ? 0 : group->looked_ms;
    worker->put_aside = false;
    return r < 0 ? r : 0;
}

/* ---- The pass ---- */

/* The brokers answer, which says nothing of what we may: a client that was refused is not told
 * again, and does not say once it is let. So another one joins after a while; where that is not
 * refused for as long, or reads an event, all is well. */
static void prove(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    if (clock_monotonic_ms() - group->refused_ms < worker->bus->lease_ms * REFUSED_LEASES) {
        return;
    }
    if (group->proving) {
        group_allowed(worker);
        return;
    }
    group->proving = true;
    group->refused_ms = clock_monotonic_ms();
    group_leave(worker);
}

/* Kafka is there or not, whatever the poll's callbacks said last. */
static void probe(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    struct bus_client *client = &group->client;
    const struct rd_kafka_metadata *metadata = NULL;
    struct problem problem = {0};
    int64_t now_ms = clock_monotonic_ms();
    bool troubled = client->error != 0 || client->words[0] != '\0';
    if (!troubled || now_ms - group->probed_ms < PROBE_MS) {
        return;
    }
    rd_kafka_resp_err_t error = rd_kafka_metadata(client->handle, 0, NULL, &metadata, PROBE_MS);
    rd_kafka_metadata_destroy(metadata);
    group->probed_ms = clock_monotonic_ms();
    if (error == 0 && group->refused_ms != 0) {
        prove(worker);
    } else if (error == 0) {
        client->error = 0;
        bus_client_tell(client, "");
    } else {
        (void)bus_client_problem(client, error, "reading events", &problem);
        bus_client_tell(client, problem.detail);
    }
}

static int64_t poll_ms(const struct bus_worker *worker)
{
    const struct group *group = worker->engine;
    int64_t wait_ms = POLL_MS_MAX, flush_ms = group_flush_in_ms(worker);
    int64_t ask_ms = group_ask_in_ms(worker);
    int64_t due_ms = group->due_ms == BUS_NEVER ? INT64_MAX : group->due_ms - clock_wall_ms();
    wait_ms = group->looked_ms == 0 ? 0 : wait_ms; /* something was put aside just now */
    wait_ms = flush_ms < wait_ms ? flush_ms : wait_ms;
    wait_ms = due_ms < wait_ms ? due_ms : wait_ms;
    wait_ms = ask_ms < wait_ms ? ask_ms : wait_ms;
    if (group->client.error != 0 || group->client.words[0] != '\0') {
        wait_ms = wait_ms < PROBE_MS ? wait_ms : PROBE_MS;
    }
    return wait_ms > 0 ? wait_ms : 0;
}

static bool is_due(const struct group *group)
{
    return clock_wall_ms() >= group->due_ms || group->looked_ms == 0 ||
           clock_monotonic_ms() - group->looked_ms >= POLL_MS_MAX;
}

/* One run, and what is due besides. */
static int round_once(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    int r = worker->batch.count > 0 ? handle_run(worker) : 0; /* left by trouble */
    if (r == 0 && is_due(group)) {
        r = retry_due(worker);
    }
    if (r == 0 && group_flush_in_ms(worker) == 0) {
        r = group_flush(worker);
    }
    if (r < 0 || bus_is_ending(worker->bus)) {
        return r;
    }
    r = group_read_run(worker, poll_ms(worker));
    if (r == 0) {
        group->looked_ms = 0; /* woken, or it is time */
        probe(worker);
    }
    if (r == 0 && group_is_unshared(worker)) {
        group_leave(worker);
    }
    return r > 0 ? handle_run(worker) : r;
}

/* Trouble with the database: what was read is kept and tried again, for a while. A lane that is
 * another's: the group is joined anew. */
static int64_t troubled(struct bus_worker *worker, int error)
{
    struct group *group = worker->engine;
    int64_t now_ms = clock_monotonic_ms();
    if (error == ERR_CANCELLED) {
        group_leave(worker);
    } else {
        bus_worker_trouble(worker, error, db_words());
        group->troubled_ms = group->troubled_ms != 0 ? group->troubled_ms : now_ms;
        if (now_ms - group->troubled_ms > LEAVE_MS) {
            group_leave(worker);
        }
    }
    return clock_wall_ms() + BUS_TROUBLE_MS;
}

/* A topic that is not there yet is no trouble at first: its relay makes it. */
static int64_t not_joined(struct bus_worker *worker, int error, const struct problem *problem)
{
    struct group *group = worker->engine;
    int64_t now_ms = clock_monotonic_ms();
    group->joining_ms = group->joining_ms != 0 ? group->joining_ms : now_ms;
    if (error == ERR_NOT_FOUND && now_ms - group->joining_ms < NO_TOPIC_MS_MAX) {
        return clock_wall_ms() + NO_TOPIC_MS;
    }
    bus_client_tell(&group->client, problem->detail);
    return clock_wall_ms() + BUS_TROUBLE_MS;
}

static struct group *begin(struct bus_worker *worker)
{
    struct group *group = calloc(1, sizeof *group);
    if (group != NULL) {
        group->due_ms = BUS_NEVER;
        group->client.worker = worker;
        bus_client_begin(&group->client, worker->bus->kafka);
        worker->engine = group;
    }
    return group;
}

static int64_t group_pass(struct bus_worker *worker)
{
    struct group *group = worker->engine != NULL ? worker->engine : begin(worker);
    struct problem problem = {0};
    if (group == NULL) {
        return clock_wall_ms() + BUS_TROUBLE_MS;
    }
    if (group->queue == NULL) {
        int r = group_join(worker, &problem);
        if (r != 0) {
            return not_joined(worker, r, &problem);
        }
        group->joining_ms = 0;
        if (group->refused_ms == 0) {
            bus_client_tell(&group->client, "");
        }
    }
    int r = round_once(worker);
    if (r < 0) {
        return troubled(worker, r);
    }
    group->troubled_ms = 0;
    worker->troubled = false;
    return 0;
}

static void group_wake(struct bus_worker *worker)
{
    const struct group *group = worker->engine;
    if (group != NULL && group->queue != NULL) {
        rd_kafka_queue_yield(group->queue);
    }
}

static void group_end(struct bus_worker *worker)
{
    struct group *group = worker->engine;
    if (group == NULL) {
        return;
    }
    group_leave(worker);
    bus_client_end(&group->client);
    (void)pthread_mutex_lock(&worker->bus->lock);
    worker->engine = NULL;
    (void)pthread_mutex_unlock(&worker->bus->lock);
    free(group);
}

const struct bus_way bus_group_way = {.pass = group_pass, .wake = group_wake, .end = group_end};
