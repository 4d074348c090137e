/* The contract of bus.h, for every engine: local:, or with TUTTI_TEST_KAFKA (HOST:PORT,…, as
 * tests/engines/kafka.py sets it) kafka:, where every test has topics of its own. */
#include "contract.h"

#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/arena.h"
#include "net/metrics.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

enum { SEEN_MAX = 4096 };

static const struct db_migration tables[] = {
    {1, "test", "CREATE TABLE effect (id BIGINT PRIMARY KEY, by_pid BIGINT NOT NULL);\n"},
    {2, "test", "CREATE TABLE counter (name TEXT PRIMARY KEY, n BIGINT NOT NULL);\n"}};

enum { WAIT_MS = 60000 }; /* a bound, which a bus that works never comes near */

/* How a bus is opened; what is 0 stays as it is by default. */
struct manner {
    int retry_ms, retry_max_ms, lease_ms, prune_ms;
    int partitions; /* of Kafka: 1 unless said, so that there is one order */
};

/* No lease runs out during a test. Kafka alone knows who is dead, by the time it was silent. */
static const struct manner patient = {.lease_ms = 60000};
static const struct manner quick = {.retry_ms = 5, .retry_max_ms = 10, .lease_ms = 400};

static const char *kafka(void)
{
    return getenv("TUTTI_TEST_KAFKA");
}

/* On few cores a member of a group may be silent for a second without being dead. */
static int lease_of(const struct manner *manner)
{
    return kafka() == NULL ? manner->lease_ms : manner->lease_ms > 0 ? 3000 : 0;
}

static void add_option(char *url, size_t size, const char *name, int value)
{
    size_t length = strlen(url);
    if (value != 0) {
        (void)snprintf(url + length, size - length, "%s%s=%d", strchr(url, '?') != NULL ? "&" : "?",
                       name, value);
    }
}

static void bus_url(const struct place *place, const struct manner *manner, char *url, size_t size)
{
    if (kafka() == NULL) {
        (void)snprintf(url, size, "local:");
    } else {
        (void)snprintf(url, size, "kafka://%s?prefix=%s", kafka(), strrchr(place->folder, '-') + 1);
        add_option(url, size, "partitions", manner->partitions > 0 ? manner->partitions : 1);
    }
    add_option(url, size, "retry_ms", manner->retry_ms);
    add_option(url, size, "retry_max_ms", manner->retry_max_ms);
    add_option(url, size, "prune_ms", manner->prune_ms);
    add_option(url, size, "lease_ms", lease_of(manner));
}

struct rig {
    struct db *db;
    struct bus *bus;
};

static struct rig rig_open(const struct place *place, struct manner manner)
{
    struct rig rig = {0};
    struct problem problem = {0};
    char url[512];
    bus_url(place, &manner, url, sizeof url);
    if (open_place(place->url, "test", &rig.db, &problem) < 0 ||
        db_migrate(rig.db, tables, COUNT_OF(tables), &problem) < 0 ||
        bus_open(url, &rig.bus, &problem) < 0 || bus_attach(rig.bus, rig.db, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return rig;
}

static void rig_close(struct rig *rig)
{
    bus_close(rig->bus);
    db_close(rig->db);
}

struct emission {
    const char *type, *key;
    int64_t number;
    int result;
};

static int emit(struct db_session *session, void *argument)
{
    const struct emission *emission = argument;
    int r = bus_emit(session, emission->type, emission->key,
                     json_pack("{s:I}", "n", (json_int_t)emission->number));
    return r < 0 ? r : emission->result;
}

static void tell(struct rig *rig, const char *type, const char *key, int64_t number)
{
    struct emission emission = {type, key, number, 0};
    assert_int_equal(db_write(rig->db, emit, &emission), 0);
}

/* A consumer that writes down what it gets, and fails on demand. */
struct notes {
    pthread_mutex_t lock;
    char seen[SEEN_MAX]; /* "a1 b2 …": key and number, in order */
    atomic_uint count;
    _Atomic int64_t last_us;
    char poison[16]; /* fails on this key */
    int64_t poison_number;
    atomic_int poisoned; /* how often it failed */
    int64_t slow_ms;
};

static bool is_poison(struct notes *notes, const struct event *event, int64_t number)
{
    (void)pthread_mutex_lock(&notes->lock);
    bool poison = strcmp(event->key, notes->poison) == 0 &&
                  (notes->poison_number == 0 || notes->poison_number == number);
    (void)pthread_mutex_unlock(&notes->lock);
    return poison;
}

static void set_poison(struct notes *notes, const char *key, int64_t number)
{
    (void)pthread_mutex_lock(&notes->lock);
    (void)snprintf(notes->poison, sizeof notes->poison, "%s", key);
    notes->poison_number = number;
    (void)pthread_mutex_unlock(&notes->lock);
}

static int note(void *context, const struct event *event)
{
    struct notes *notes = context;
    int64_t number = strtoll(strchr(event->payload, ':') + 1, NULL, 10);
    if (is_poison(notes, event, number)) {
        (void)atomic_fetch_add(&notes->poisoned, 1);
        return ERR_UNAVAILABLE;
    }
    if (notes->slow_ms > 0) {
        pause_ms(notes->slow_ms);
    }
    (void)pthread_mutex_lock(&notes->lock);
    size_t length = strlen(notes->seen);
    (void)snprintf(notes->seen + length, SEEN_MAX - length, "%s%lld ", event->key,
                   (long long)number);
    (void)pthread_mutex_unlock(&notes->lock);
    atomic_store(&notes->last_us, clock_monotonic_us());
    (void)atomic_fetch_add(&notes->count, 1);
    return 0;
}

static void follow(struct rig *rig, const char *name, const char *const *types, int from_start,
                   struct notes *notes)
{
    struct bus_consumer consumer = {
        .name = name, .types = types, .from_start = from_start, .handle = note, .context = notes};
    assert_int_equal(bus_subscribe(rig->bus, rig->db, &consumer), 0);
}

static bool has_seen(struct notes *notes, const char *expected)
{
    (void)pthread_mutex_lock(&notes->lock);
    bool same = strcmp(notes->seen, expected) == 0;
    (void)pthread_mutex_unlock(&notes->lock);
    return same;
}

static void wait_for(struct notes *notes, const char *expected)
{
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (!has_seen(notes, expected) && clock_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    if (!has_seen(notes, expected)) {
        fail_msg("expected %s, saw %s", expected, notes->seen);
    }
}

static const struct notes fresh = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void bad_urls_are_refused(void **state)
{
    (void)state;
    struct bus *bus = NULL;
    struct problem problem = {0};
    assert_int_equal(bus_open("carrier-pigeon:", &bus, &problem), ERR_INVALID);
    assert_null(bus);
    bus_close(NULL);
}

static void events_come_in_order_to_who_wants_them(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes all = fresh, some = fresh;
    static const char *const wanted[] = {"track.ready", "track.gone", NULL};
    follow(&rig, "all", NULL, 1, &all);
    follow(&rig, "some", wanted, 1, &some);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "track.made", "a", 1);
    tell(&rig, "track.ready", "b", 2);
    tell(&rig, "track.gone", "a", 3);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_string_equal(all.seen, "a1 b2 a3 ");
    assert_string_equal(some.seen, "b2 a3 ");
    rig_close(&rig);
}

static void what_was_rolled_back_was_never_told(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes notes = fresh;
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    struct emission emission = {"x", "a", 1, ERR_PRECONDITION};
    assert_int_equal(db_write(rig.db, emit, &emission), ERR_PRECONDITION);
    tell(&rig, "x", "a", 2);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_string_equal(notes.seen, "a2 ");
    rig_close(&rig);
}

static int emit_text(struct db_session *session, void *argument)
{
    return bus_emit(session, "x", "a", json_pack("{s:s}", "text", (const char *)argument));
}

static void too_large_is_refused(void **state)
{
    struct rig rig = rig_open(*state, quick);
    char *large = malloc(BUS_PAYLOAD_BYTES_MAX + 1);
    memset(large, 'x', BUS_PAYLOAD_BYTES_MAX);
    large[BUS_PAYLOAD_BYTES_MAX] = '\0';
    assert_int_equal(db_write(rig.db, emit_text, large), ERR_TOO_LARGE);
    free(large);
    rig_close(&rig);
}

static void new_consumers_start_where_they_say(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes from_start = fresh, from_now = fresh;
    tell(&rig, "x", "a", 1);
    follow(&rig, "old", NULL, 1, &from_start);
    follow(&rig, "new", NULL, 0, &from_now);
    tell(&rig, "x", "a", 2);
    assert_int_equal(bus_start(rig.bus), 0);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_string_equal(from_start.seen, "a1 a2 ");
    assert_string_equal(from_now.seen, "a2 ");
    rig_close(&rig);
}

static void a_restart_goes_on_at_the_position(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes first = fresh, second = fresh;
    follow(&rig, "all", NULL, 1, &first);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    bus_close(rig.bus);
    tell(&rig, "x", "a", 2); /* while nobody listens */
    db_close(rig.db);

    rig = rig_open(*state, quick);
    follow(&rig, "all", NULL, 1, &second);
    assert_int_equal(bus_start(rig.bus), 0);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_string_equal(first.seen, "a1 ");
    assert_string_equal(second.seen, "a2 ");
    rig_close(&rig);
}

static void a_failing_event_holds_back_its_key_alone(void **state)
{
    struct rig rig =
        rig_open(*state, (struct manner){.retry_ms = 50, .retry_max_ms = 50, .lease_ms = 400});
    struct notes notes = fresh;
    set_poison(&notes, "a", 0);
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    tell(&rig, "x", "b", 2);
    tell(&rig, "x", "a", 3);
    tell(&rig, "x", "c", 4);
    wait_for(&notes, "b2 c4 ");
    assert_true(atomic_load(&notes.poisoned) >= 1);
    set_poison(&notes, "none", 0); /* the cause is gone */
    wait_for(&notes, "b2 c4 a1 a3 ");
    tell(&rig, "x", "a", 5); /* the key flows again */
    wait_for(&notes, "b2 c4 a1 a3 a5 ");
    rig_close(&rig);
}

static struct bus_parked *parked(struct rig *rig, struct arena *arena, unsigned expected)
{
    struct bus_parked *list = NULL;
    unsigned count = 0;
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    do {
        pause_ms(2);
        assert_int_equal(bus_parked_list(rig->db, arena, 10, &list, &count), 0);
    } while (count != expected && clock_monotonic_ms() < deadline_ms);
    assert_int_equal(count, expected);
    return list;
}

static void a_poison_event_is_parked_and_shown(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct arena *arena = arena_new(0);
    struct notes notes = fresh;
    set_poison(&notes, "a", 1);
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    tell(&rig, "x", "a", 2);
    tell(&rig, "x", "b", 3);
    struct bus_parked *list = parked(&rig, arena, 1);
    assert_int_equal(atomic_load(&notes.poisoned), BUS_TRIES_MAX);
    assert_string_equal(list[0].consumer, "all");
    assert_string_equal(list[0].event.key, "a");
    assert_string_equal(list[0].error, "unavailable");
    assert_int_equal(list[0].tries, BUS_TRIES_MAX);
    assert_int_equal(list[0].behind, 1);
    pause_ms(50);
    assert_int_equal(atomic_load(&notes.poisoned), BUS_TRIES_MAX); /* it is left alone */
    assert_true(has_seen(&notes, "b3 "));

    assert_int_equal(bus_parked_retry(rig.db, "all", list[0].event.id), 0); /* still poison */
    (void)parked(&rig, arena, 0);
    list = parked(&rig, arena, 1);
    assert_int_equal(atomic_load(&notes.poisoned), 2 * BUS_TRIES_MAX);
    set_poison(&notes, "none", 0); /* mended */
    assert_int_equal(bus_parked_retry(rig.db, "all", list[0].event.id), 0);
    wait_for(&notes, "b3 a1 a2 ");
    assert_int_equal(bus_parked_retry(rig.db, "all", list[0].event.id), ERR_NOT_FOUND);
    arena_free(arena);
    rig_close(&rig);
}

static void a_parked_event_can_be_given_up(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct arena *arena = arena_new(0);
    struct notes notes = fresh;
    set_poison(&notes, "a", 1);
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    tell(&rig, "x", "a", 2);
    const struct bus_parked *list = parked(&rig, arena, 1);
    assert_int_equal(bus_parked_drop(rig.db, "nobody", list[0].event.id), ERR_NOT_FOUND);
    assert_int_equal(bus_parked_drop(rig.db, "all", list[0].event.id), 0);
    wait_for(&notes, "a2 ");
    (void)parked(&rig, arena, 0);
    assert_int_equal(bus_forget(rig.db, "nobody"), ERR_NOT_FOUND);
    arena_free(arena);
    rig_close(&rig);
}

struct giving_up {
    struct rig *rig;
    struct notes notes;
    int64_t parked_id; /* is given up while an event of the key b is handled */
};

static int note_and_give_up(void *context, const struct event *event)
{
    struct giving_up *giving_up = context;
    if (strcmp(event->key, "b") == 0) {
        int r = bus_parked_drop(giving_up->rig->db, "all", giving_up->parked_id);
        if (r < 0 && r != ERR_NOT_FOUND) { /* it was, before */
            return r;
        }
    }
    return note(&giving_up->notes, event);
}

static int emit_both(struct db_session *session, void *argument)
{
    struct emission *both = argument;
    int r = emit(session, &both[0]);
    return r < 0 ? r : emit(session, &both[1]);
}

/* The next of its key was read when there was something to wait for, and is put aside when there is
 * not. */
static void an_event_behind_one_that_is_given_up_comes(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct arena *arena = arena_new(0);
    struct giving_up giving_up = {.rig = &rig, .notes = fresh};
    const struct bus_consumer consumer = {
        .name = "all", .from_start = 1, .handle = note_and_give_up, .context = &giving_up};
    set_poison(&giving_up.notes, "a", 1);
    assert_int_equal(bus_subscribe(rig.bus, rig.db, &consumer), 0);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    giving_up.parked_id = parked(&rig, arena, 1)[0].event.id;
    struct emission both[] = {{"x", "b", 2, 0}, {"x", "a", 3, 0}};
    assert_int_equal(db_write(rig.db, emit_both, both), 0);
    wait_for(&giving_up.notes, "b2 a3 ");
    tell(&rig, "x", "a", 4);
    wait_for(&giving_up.notes, "b2 a3 a4 ");
    (void)parked(&rig, arena, 0);
    arena_free(arena);
    rig_close(&rig);
}

/* An effect in the database of the event, that fails after it wrote. */
static int insert_effect(struct db_session *session, const struct event *event)
{
    return db_exec(session, "INSERT INTO effect (id, by_pid) VALUES ($1, $2)",
                   DB_BIND(db_int(event->id), db_int(getpid())));
}

static int effect_in(struct db_session *session, void *context, const struct event *event)
{
    struct notes *notes = context;
    int r = insert_effect(session, event);
    if (r >= 0 && is_poison(notes, event, 0)) {
        (void)atomic_fetch_add(&notes->poisoned, 1);
        return ERR_CONFLICT;
    }
    return r;
}

static int count_effects(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r =
        db_query(session, &rows, "SELECT COUNT(*), COUNT(DISTINCT by_pid) FROM effect", DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) < 0) {
        return r;
    }
    ((int64_t *)argument)[0] = db_get_int(rows, 0);
    ((int64_t *)argument)[1] = db_get_int(rows, 1);
    return 0;
}

static int64_t effects(struct db *db, int64_t *ret_pids)
{
    int64_t counts[2] = {-1, -1};
    assert_int_equal(db_read(db, count_effects, counts), 0);
    if (ret_pids != NULL) {
        *ret_pids = counts[1];
    }
    return counts[0];
}

static void effects_inside_happen_once(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct arena *arena = arena_new(0);
    struct notes notes = fresh;
    set_poison(&notes, "bad", 0);
    struct bus_consumer consumer = {
        .name = "inside", .from_start = 1, .handle_in = effect_in, .context = &notes};
    assert_int_equal(bus_subscribe(rig.bus, rig.db, &consumer), 0);
    for (int i = 0; i < 100; i++) {
        tell(&rig, "x", i == 50 ? "bad" : "good", i);
    }
    assert_int_equal(bus_start(rig.bus), 0);
    (void)parked(&rig, arena, 1);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0); /* the others of its lane come after it */
    assert_int_equal(effects(rig.db, NULL), 99); /* the bad one's insert was undone each time */
    assert_true(atomic_load(&notes.poisoned) >= BUS_TRIES_MAX);
    arena_free(arena);
    rig_close(&rig);
}

/* ---- Runs: what waits is handled many at a time ---- */

struct run {
    struct notes notes;
    struct db *other;    /* somebody else's way into the database; NULL: nobody is in the way */
    unsigned events, at; /* of the run so far; the events of all that were committed */
    unsigned runs, most; /* committed; the events of the longest */
    bool met;            /* they were */
};

static void run_begins(void *context)
{
    ((struct run *)context)->events = 0;
}

static void run_is_committed(void *context)
{
    struct run *run = context;
    run->at += run->events;
    run->most = run->events > run->most ? run->events : run->most;
    run->runs++;
}

static int effect_of_run(struct db_session *session, void *context, const struct event *event)
{
    struct run *run = context;
    int r = effect_in(session, &run->notes, event);
    run->events += r >= 0;
    return r;
}

static void follow_in_runs(struct rig *rig, struct run *run,
                           int (*handle)(struct db_session *, void *, const struct event *))
{
    struct bus_consumer consumer = {.name = "runs",
                                    .from_start = 1,
                                    .handle_in = handle,
                                    .before = run_begins,
                                    .after = run_is_committed,
                                    .context = run};
    assert_int_equal(bus_subscribe(rig->bus, rig->db, &consumer), 0);
}

static void a_backlog_is_handled_in_runs(void **state)
{
    enum { EVENTS = 4 * BUS_RUN_MAX };
    struct rig rig = rig_open(*state, quick);
    struct arena *arena = arena_new(0);
    struct run run = {.notes = fresh};
    set_poison(&run.notes, "bad", 0);
    follow_in_runs(&rig, &run, effect_of_run);
    for (int i = 0; i < EVENTS; i++) {
        tell(&rig, "x", i == 2 * BUS_RUN_MAX + 9 ? "bad" : "good", i);
    }
    assert_int_equal(bus_start(rig.bus), 0);
    (void)parked(&rig, arena, 1);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_int_equal(effects(rig.db, NULL), EVENTS - 1);
    assert_int_equal(run.at, EVENTS - 1); /* what was undone is not told of */
    assert_in_range(run.most, 2, BUS_RUN_MAX);
    if (kafka() == NULL) { /* brokers hand out what they have at the time */
        assert_int_equal(run.most, BUS_RUN_MAX);
        assert_int_equal(run.runs, 5); /* the bad one ends a run early */
    }
    arena_free(arena);
    rig_close(&rig);
}

static int count_one(struct db_session *session, void *argument)
{
    return db_exec(session,
                   "INSERT INTO counter (name, n) VALUES ($1, 1)"
                   " ON CONFLICT (name) DO UPDATE SET n = counter.n + 1",
                   DB_BIND(db_text(argument)));
}

/* A run that reads what somebody else changes before it does: PostgreSQL undoes it. */
static int effect_got_in_the_way(struct db_session *session, void *context,
                                 const struct event *event)
{
    struct run *run = context;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT n FROM counter WHERE name = 'shared'", DB_NO_BIND);
    r = r < 0 ? r : db_next(rows);
    if (r >= 0 && !run->met) {
        run->met = db_write(run->other, count_one, "shared") >= 0;
    }
    r = r < 0 ? r : effect_of_run(session, context, event);
    return r < 0 ? r : count_one(session, "shared");
}

static void a_run_in_the_way_of_others_gets_shorter(void **state)
{
    const struct place *place = *state;
    if (strncmp(place->url, "postgres", 8) != 0) {
        skip(); /* SQLite's writes come one after another */
    }
    enum { EVENTS = 32 };
    struct rig rig = rig_open(place, quick);
    struct problem problem = {0};
    struct run run = {.notes = fresh};
    assert_int_equal(open_place(place->url, "other", &run.other, &problem), 0);
    assert_true(db_write(rig.db, count_one, "shared") >= 0);
    for (int i = 0; i < EVENTS; i++) {
        tell(&rig, "x", "good", i);
    }
    follow_in_runs(&rig, &run, effect_got_in_the_way);
    assert_int_equal(bus_start(rig.bus), 0);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_true(run.met);
    assert_int_equal(effects(rig.db, NULL), EVENTS);
    assert_int_equal(run.at, EVENTS);
    assert_int_equal(atomic_load(&run.notes.poisoned), 0);
    if (kafka() == NULL) {
        assert_int_equal(run.most, EVENTS / 2);
        assert_int_equal(run.runs, 2);
    }
    bus_close(rig.bus);
    db_close(run.other);
    db_close(rig.db);
}

static void an_event_comes_within_milliseconds(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes notes = fresh;
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    int64_t best_us = INT64_MAX;
    for (unsigned i = 1; i <= 20; i++) {
        tell(&rig, "x", "a", i);
        int64_t told_us = clock_monotonic_us();
        while (notes.count < i && clock_monotonic_us() - told_us < WAIT_MS * 1000) {
            pause_ms(1);
        }
        assert_int_equal(notes.count, i);
        int64_t took_us = notes.last_us - told_us;
        best_us = took_us < best_us ? took_us : best_us;
    }
    assert_true(best_us < (kafka() == NULL ? 20000 : 200000)); /* a poll would show its period */
    rig_close(&rig);
}

/* ---- Several processes ---- */

struct outside {
    struct db *db;
    const struct event *event;
};

static int write_effect(struct db_session *session, void *argument)
{
    return insert_effect(session, ((struct outside *)argument)->event);
}

/* Not idempotent on purpose: a second handling of the same event shows as ERR_EXISTS, parked. */
static int effect_of_a_process(void *context, const struct event *event)
{
    struct outside outside = {.db = context, .event = event};
    pause_ms(1);
    int r = db_write(outside.db, write_effect, &outside);
    return r < 0 ? r : 0;
}

static void follow_with_effects(struct rig *rig)
{
    struct bus_consumer consumer = {
        .name = "effects", .from_start = 1, .handle = effect_of_a_process, .context = rig->db};
    assert_int_equal(bus_subscribe(rig->bus, rig->db, &consumer), 0);
    assert_int_equal(bus_start(rig->bus), 0);
}

static void serve(const struct place *place, struct manner manner)
{
    struct rig rig = rig_open(place, manner);
    follow_with_effects(&rig);
    for (;;) {
        pause_ms(1000);
    }
}

static void wait_for_effects(struct rig *rig, int64_t count)
{
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (effects(rig->db, NULL) < count && clock_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    assert_int_equal(effects(rig->db, NULL), count);
}

static void two_processes_never_both_handle(void **state)
{
    enum { EVENTS = 200, PROCESSES = 3 };
    struct rig rig = rig_open(*state, quick);
    rig_close(&rig);
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            serve(*state, quick);
        }
    }
    rig = rig_open(*state, quick);
    struct arena *arena = arena_new(0);
    for (int i = 0; i < EVENTS; i++) {
        tell(&rig, "x", "a", i);
    }
    wait_for_effects(&rig, EVENTS);
    pause_ms(100);
    (void)parked(&rig, arena, 0);
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    }
    arena_free(arena);
    rig_close(&rig);
}

static void a_killed_process_is_taken_over(void **state)
{
    enum { EVENTS = 300 };
    struct rig rig = rig_open(*state, quick);
    rig_close(&rig);
    pid_t pid = fork();
    if (pid == 0) {
        serve(*state, patient); /* no lease runs out in this test */
    }
    rig = rig_open(*state, patient);
    struct notes notes = fresh;
    for (int i = 0; i < EVENTS; i++) {
        tell(&rig, "x", "a", i);
    }
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (effects(rig.db, NULL) < 10 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    int64_t before = effects(rig.db, NULL);
    assert_in_range(before, 10, EVENTS - 1);
    follow(&rig, "effects", NULL, 1, &notes); /* the same consumer, here */
    assert_int_equal(bus_start(rig.bus), 0);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_true(before + notes.count >= EVENTS); /* none lost, a few twice */
    char last[16];
    (void)snprintf(last, sizeof last, "a%d ", EVENTS - 1);
    size_t length = strlen(notes.seen);
    assert_true(length > strlen(last));
    assert_string_equal(notes.seen + length - strlen(last), last);
    rig_close(&rig);
}

static int64_t writes(void)
{
    return metric_value(
        metric_get(METRIC_COUNTER, "tutti_db_writes_total", "", "database=\"test\""));
}

/* Every event wakes all that are interested: who does not have the lease looks, and that is all. */
static void who_has_not_the_lease_writes_nothing(void **state)
{
    enum { EVENTS = 40 };
    if (kafka() != NULL) {
        return; /* its consumers have lanes */
    }
    struct rig rig = rig_open(*state, patient);
    rig_close(&rig);
    pid_t pid = fork();
    if (pid == 0) {
        serve(*state, patient);
    }
    rig = rig_open(*state, patient);
    tell(&rig, "x", "a", 0);
    wait_for_effects(&rig, 1);
    follow_with_effects(&rig);
    int64_t before = writes();
    for (int i = 1; i <= EVENTS; i++) {
        tell(&rig, "x", "a", i);
        wait_for_effects(&rig, i + 1);
    }
    assert_in_range(writes() - before, EVENTS,
                    EVENTS + 1); /* those that told; it prunes, perhaps */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    rig_close(&rig);
}

static void a_slow_handler_keeps_its_lease(void **state)
{
    const struct manner manner = {.retry_ms = 5, .lease_ms = 800};
    struct rig first = rig_open(*state, manner);
    struct rig second = rig_open(*state, manner);
    struct notes one = fresh, two = fresh;
    one.slow_ms = two.slow_ms = 2 * lease_of(&manner);
    follow(&first, "slow", NULL, 1, &one);
    follow(&second, "slow", NULL, 1, &two);
    assert_int_equal(bus_start(first.bus), 0);
    assert_int_equal(bus_start(second.bus), 0);
    tell(&first, "x", "a", 1);
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (one.count + two.count == 0 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(5);
    }
    pause_ms(lease_of(&manner) + 100);
    assert_int_equal(one.count + two.count, 1);
    rig_close(&first);
    rig_close(&second);
}

static int age_everything(struct db_session *session, void *argument)
{
    (void)argument;
    return db_exec(session, "UPDATE bus_outbox SET created_at = 0", DB_NO_BIND);
}

static int count_outbox(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT COUNT(*) FROM bus_outbox", DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) < 0) {
        return r;
    }
    *(int64_t *)argument = db_get_int(rows, 0);
    return 0;
}

static int wait_for_hours(struct db_session *session, void *argument)
{
    (void)argument;
    return db_exec(session, "UPDATE bus_waiting SET next_at = $1 WHERE tries > 0",
                   DB_BIND(db_int(clock_wall_ms() + INT64_C(30) * 3600 * 1000)));
}

/* An event that failed while the clock was hours ahead is tried again all the same. */
static void a_clock_put_back_delays_nothing(void **state)
{
    struct rig rig =
        rig_open(*state, (struct manner){.retry_ms = 200, .retry_max_ms = 200, .lease_ms = 400});
    struct notes notes = fresh;
    set_poison(&notes, "a", 0);
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (db_write(rig.db, wait_for_hours, NULL) != 1 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    set_poison(&notes, "none", 0);
    wait_for(&notes, "a1 ");
    rig_close(&rig);
}

static void old_events_go_when_all_have_passed(void **state)
{
    struct rig rig =
        rig_open(*state, (struct manner){.retry_ms = 5, .retry_max_ms = 10, .prune_ms = 20});
    struct arena *arena = arena_new(0);
    struct notes notes = fresh;
    set_poison(&notes, "bad", 0);
    follow(&rig, "all", NULL, 1, &notes);
    for (int i = 0; i < 10; i++) {
        tell(&rig, "x", i == 3 ? "bad" : "good", i);
    }
    assert_int_equal(db_write(rig.db, age_everything, NULL), 10);
    assert_int_equal(bus_start(rig.bus), 0);
    (void)parked(&rig, arena, 1);
    int64_t left = 0, deadline_ms = clock_monotonic_ms() + WAIT_MS;
    do {
        pause_ms(5);
        assert_int_equal(db_read(rig.db, count_outbox, &left), 0);
    } while (left != 2 && clock_monotonic_ms() < deadline_ms);
    assert_int_equal(left, 2); /* the parked one, and the newest, which holds the numbering */
    tell(&rig, "x", "good", 11);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_non_null(strstr(notes.seen, "good11 "));
    arena_free(arena);
    rig_close(&rig);
}

/* Many keys, dealt out over whatever lanes there are: each one's events stay in order. */
static void every_key_keeps_its_order(void **state)
{
    enum { KEYS = 9, EVENTS = 40 };
    struct manner manner = quick;
    manner.partitions = 6;
    struct rig rig = rig_open(*state, manner);
    struct notes notes = fresh;
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    for (int i = 0; i < KEYS * EVENTS; i++) {
        const char key[] = {(char)('a' + i % KEYS), '\0'};
        tell(&rig, "x", key, i / KEYS);
    }
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    for (int key = 0; key < KEYS; key++) {
        int next = 0;
        for (const char *at = notes.seen; *at != '\0'; at = strchr(at, ' ') + 1) {
            if (*at == 'a' + key) {
                assert_int_equal(strtol(at + 1, NULL, 10), next++);
            }
        }
        assert_int_equal(next, EVENTS);
    }
    rig_close(&rig);
}

/* ---- Many writers ----
 *
 * Each write counts its key up and tells the number, some after a pause, so that writes that began
 * earlier commit later, and some fail after they told. Whoever follows must see 1, 2, 3 … of each
 * key, none missing, none twice. */

enum { TELLERS = 8, TELLS = 50, KEYS = 5 };

struct teller {
    struct db *db;
    unsigned number, done;
    unsigned turn;
};

static int count_and_tell(struct db_session *session, void *argument)
{
    struct teller *teller = argument;
    char key[8];
    (void)snprintf(key, sizeof key, "k%u", (teller->number + teller->turn) % KEYS);
    int64_t n = 0;
    {
        DB_ROWS rows = NULL;
        int r = db_query(session, &rows,
                         "INSERT INTO counter (name, n) VALUES ($1, 1) ON CONFLICT (name)"
                         " DO UPDATE SET n = counter.n + 1 RETURNING n",
                         DB_BIND(db_text(key)));
        if (r < 0 || (r = db_next(rows)) != 1) {
            return r < 0 ? r : ERR_INTERNAL;
        }
        n = db_get_int(rows, 0);
    }
    int r = bus_emit(session, "counted", key, json_pack("{s:I}", "n", (json_int_t)n));
    if (teller->turn % 7 == 0) {
        pause_ms(teller->turn % 5);
    }
    return r < 0 ? r : teller->turn % 11 == 0 ? ERR_PRECONDITION : 0;
}

static void *tell_many(void *argument)
{
    struct teller *teller = argument;
    for (teller->turn = 1; teller->turn <= TELLS; teller->turn++) {
        int r;
        while ((r = db_write(teller->db, count_and_tell, teller)) == ERR_BUSY) {
        }
        teller->done += r == 0;
    }
    return NULL;
}

struct followed {
    atomic_uint count, wrong;
    int64_t last[KEYS];
};

static int follow_counts(void *context, const struct event *event)
{
    struct followed *followed = context;
    json_t *payload = json_loads(event->payload, 0, NULL);
    int64_t n = json_integer_value(json_object_get(payload, "n"));
    json_decref(payload);
    int64_t *last = &followed->last[event->key[1] - '0'];
    if (n != *last + 1) {
        (void)atomic_fetch_add(&followed->wrong, 1);
    }
    *last = n;
    (void)atomic_fetch_add(&followed->count, 1);
    return 0;
}

static void many_writers_are_seen_in_the_order_of_their_keys(void **state)
{
    struct rig rig = rig_open(*state, patient);
    struct followed followed = {.count = 0};
    const struct bus_consumer consumer = {
        .name = "counts", .from_start = 1, .handle = follow_counts, .context = &followed};
    assert_int_equal(bus_subscribe(rig.bus, rig.db, &consumer), 0);
    assert_int_equal(bus_start(rig.bus), 0);
    pthread_t threads[TELLERS];
    struct teller tellers[TELLERS];
    unsigned told = 0;
    for (unsigned i = 0; i < TELLERS; i++) {
        tellers[i] = (struct teller){.db = rig.db, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, tell_many, &tellers[i]), 0);
    }
    for (unsigned i = 0; i < TELLERS; i++) {
        (void)pthread_join(threads[i], NULL);
        told += tellers[i].done;
    }
    assert_int_equal(told, TELLERS * (TELLS - TELLS / 11));
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_int_equal(atomic_load(&followed.wrong), 0);
    assert_int_equal(atomic_load(&followed.count), told);
    rig_close(&rig);
}

/* ---- Of Kafka alone ---- */

static int put_relay_back(struct db_session *session, void *argument)
{
    (void)argument;
    return db_exec(session, "UPDATE bus_consumer SET position = 0 WHERE name LIKE 'kafka.%'",
                   DB_NO_BIND);
}

/* As when a relay dies between the brokers' word and its own note of it. */
static void what_is_published_again_is_passed_over(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes notes = fresh;
    struct bus_consumer consumer = {
        .name = "inside", .from_start = 1, .handle_in = effect_in, .context = &notes};
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_subscribe(rig.bus, rig.db, &consumer), 0);
    assert_int_equal(bus_start(rig.bus), 0);
    for (int i = 1; i <= 5; i++) {
        tell(&rig, "x", i % 2 == 0 ? "a" : "b", i);
    }
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_true(db_write(rig.db, put_relay_back, NULL) > 0);
    tell(&rig, "x", "a", 6);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_string_equal(notes.seen, "b1 a2 b3 a4 b5 a6 ");
    assert_int_equal(effects(rig.db, NULL), 6);
    struct arena *arena = arena_new(0);
    (void)parked(&rig, arena, 0);
    arena_free(arena);
    rig_close(&rig);
}

static void delete_topic(const struct place *place)
{
    char name[128], words[256];
    (void)snprintf(name, sizeof name, "%s.test", strrchr(place->folder, '-') + 1);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", kafka(), words, sizeof words);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    assert_non_null(handle);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(handle, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), 0);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
}

/* As when the brokers are new ones: what some consumer has not seen is published again. */
static void a_lost_topic_is_filled_from_the_outbox(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes early = fresh, late = fresh;
    follow(&rig, "early", NULL, 1, &early);
    assert_int_equal(bus_start(rig.bus), 0);
    for (int i = 1; i <= 5; i++) {
        tell(&rig, "x", "a", i);
    }
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    rig_close(&rig);
    delete_topic(*state);
    rig = rig_open(*state, quick);
    follow(&rig, "early", NULL, 1, &early);
    follow(&rig, "late", NULL, 1, &late);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 6);
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_string_equal(early.seen, "a1 a2 a3 a4 a5 a6 ");
    assert_string_equal(late.seen, "a1 a2 a3 a4 a5 a6 ");
    rig_close(&rig);
}

static int take_lanes_away(struct db_session *session, void *argument)
{
    (void)argument;
    return db_exec(session, "UPDATE bus_lane SET owner = 1", DB_NO_BIND);
}

/* As when a process was stopped in a handler for so long that another has its partitions: what it
 * did is not recorded, and whoever has the lane gets the event. */
static void who_lost_its_lane_records_nothing(void **state)
{
    struct rig rig = rig_open(*state, quick);
    struct notes notes = fresh;
    notes.slow_ms = 1000;
    follow(&rig, "slow", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (db_write(rig.db, take_lanes_away, NULL) < 1 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(10); /* until it has claimed its lane, and so begun */
    }
    wait_for(&notes, "a1 a1 ");
    assert_int_equal(bus_settle(rig.bus, WAIT_MS), 0);
    assert_string_equal(notes.seen, "a1 a1 ");
    rig_close(&rig);
}

int main(int count, char **arguments)
{
    cmocka_set_test_filter(count > 1 ? arguments[1] : NULL); /* such as "*parked*" */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_urls_are_refused),
        in_place(events_come_in_order_to_who_wants_them),
        in_place(what_was_rolled_back_was_never_told),
        in_place(too_large_is_refused),
        in_place(new_consumers_start_where_they_say),
        in_place(a_restart_goes_on_at_the_position),
        in_place(a_failing_event_holds_back_its_key_alone),
        in_place(a_poison_event_is_parked_and_shown),
        in_place(a_parked_event_can_be_given_up),
        in_place(an_event_behind_one_that_is_given_up_comes),
        in_place(effects_inside_happen_once),
        in_place(a_backlog_is_handled_in_runs),
        in_place(a_run_in_the_way_of_others_gets_shorter),
        in_place(an_event_comes_within_milliseconds),
        in_place(two_processes_never_both_handle),
        in_place(a_killed_process_is_taken_over),
        in_place(who_has_not_the_lease_writes_nothing),
        in_place(a_slow_handler_keeps_its_lease),
        in_place(a_clock_put_back_delays_nothing),
        in_place(old_events_go_when_all_have_passed),
        in_place(every_key_keeps_its_order),
        in_place(many_writers_are_seen_in_the_order_of_their_keys),
    };
    const struct CMUnitTest of_kafka[] = {
        in_place(what_is_published_again_is_passed_over),
        in_place(a_lost_topic_is_filled_from_the_outbox),
        in_place(who_lost_its_lane_records_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return kafka() == NULL ? failed : failed + cmocka_run_group_tests(of_kafka, NULL, NULL);
}
