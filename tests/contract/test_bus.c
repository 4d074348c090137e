/* The contract of bus.h, for every engine. */
#include "contract.h"

#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/arena.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

enum { SEEN_MAX = 4096 };

static const struct db_migration tables[] = {
    {1, "test", "CREATE TABLE effect (id BIGINT PRIMARY KEY, by_pid BIGINT NOT NULL);\n"}};

static const char patient[] = "local:?lease_ms=60000";
static const char quick[] = "local:?retry_ms=5&retry_max_ms=10&lease_ms=400";

struct rig {
    struct db *db;
    struct bus *bus;
};

static struct rig rig_open(const struct place *place, const char *bus_url)
{
    struct rig rig = {0};
    struct problem problem = {0};
    if (db_open(place->url, "test", &rig.db, &problem) < 0 ||
        db_migrate(rig.db, tables, COUNT_OF(tables), &problem) < 0 ||
        bus_open(bus_url, &rig.bus, &problem) < 0 || bus_attach(rig.bus, rig.db, &problem) < 0) {
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
    int64_t deadline_ms = clock_monotonic_ms() + 5000;
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
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
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
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
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
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
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
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
    bus_close(rig.bus);
    tell(&rig, "x", "a", 2); /* while nobody listens */
    db_close(rig.db);

    rig = rig_open(*state, quick);
    follow(&rig, "all", NULL, 1, &second);
    assert_int_equal(bus_start(rig.bus), 0);
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
    assert_string_equal(first.seen, "a1 ");
    assert_string_equal(second.seen, "a2 ");
    rig_close(&rig);
}

static void a_failing_event_holds_back_its_key_alone(void **state)
{
    struct rig rig = rig_open(*state, "local:?retry_ms=50&retry_max_ms=50&lease_ms=400");
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
    int64_t deadline_ms = clock_monotonic_ms() + 5000;
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
    assert_int_equal(effects(rig.db, NULL), 99); /* the bad one's insert was undone each time */
    assert_true(atomic_load(&notes.poisoned) >= BUS_TRIES_MAX);
    arena_free(arena);
    rig_close(&rig);
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
        while (notes.count < i && clock_monotonic_us() - told_us < 2000000) {
            pause_ms(1);
        }
        assert_int_equal(notes.count, i);
        int64_t took_us = notes.last_us - told_us;
        best_us = took_us < best_us ? took_us : best_us;
    }
    assert_true(best_us < 20000); /* a poll would show its period */
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

static void serve(const struct place *place, const char *bus_url)
{
    struct rig rig = rig_open(place, bus_url);
    follow_with_effects(&rig);
    for (;;) {
        pause_ms(1000);
    }
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
    int64_t deadline_ms = clock_monotonic_ms() + 15000;
    while (effects(rig.db, NULL) < EVENTS && clock_monotonic_ms() < deadline_ms) {
        pause_ms(5);
    }
    assert_int_equal(effects(rig.db, NULL), EVENTS);
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
    int64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (effects(rig.db, NULL) < 10 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    int64_t before = effects(rig.db, NULL);
    assert_in_range(before, 10, EVENTS - 1);
    follow(&rig, "effects", NULL, 1, &notes); /* the same consumer, here */
    assert_int_equal(bus_start(rig.bus), 0);
    assert_int_equal(bus_settle(rig.bus, 10000), 0);
    assert_true(before + notes.count >= EVENTS); /* none lost, a few twice */
    char last[16];
    (void)snprintf(last, sizeof last, "a%d ", EVENTS - 1);
    size_t length = strlen(notes.seen);
    assert_true(length > strlen(last));
    assert_string_equal(notes.seen + length - strlen(last), last);
    rig_close(&rig);
}

static void a_slow_handler_keeps_its_lease(void **state)
{
    struct rig first = rig_open(*state, "local:?retry_ms=5&lease_ms=800");
    struct rig second = rig_open(*state, "local:?retry_ms=5&lease_ms=800");
    struct notes one = fresh, two = fresh;
    one.slow_ms = two.slow_ms = 1500;
    follow(&first, "slow", NULL, 1, &one);
    follow(&second, "slow", NULL, 1, &two);
    assert_int_equal(bus_start(first.bus), 0);
    assert_int_equal(bus_start(second.bus), 0);
    tell(&first, "x", "a", 1);
    int64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (one.count + two.count == 0 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(5);
    }
    pause_ms(900);
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
    struct rig rig = rig_open(*state, "local:?retry_ms=200&retry_max_ms=200&lease_ms=400");
    struct notes notes = fresh;
    set_poison(&notes, "a", 0);
    follow(&rig, "all", NULL, 1, &notes);
    assert_int_equal(bus_start(rig.bus), 0);
    tell(&rig, "x", "a", 1);
    int64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (db_write(rig.db, wait_for_hours, NULL) != 1 && clock_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    set_poison(&notes, "none", 0);
    wait_for(&notes, "a1 ");
    rig_close(&rig);
}

static void old_events_go_when_all_have_passed(void **state)
{
    struct rig rig = rig_open(*state, "local:?retry_ms=5&retry_max_ms=10&prune_ms=20");
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
    int64_t left = 0, deadline_ms = clock_monotonic_ms() + 5000;
    do {
        pause_ms(5);
        assert_int_equal(db_read(rig.db, count_outbox, &left), 0);
    } while (left != 2 && clock_monotonic_ms() < deadline_ms);
    assert_int_equal(left, 2); /* the parked one, and the newest, which holds the numbering */
    tell(&rig, "x", "good", 11);
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
    assert_non_null(strstr(notes.seen, "good11 "));
    arena_free(arena);
    rig_close(&rig);
}

int main(void)
{
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
        in_place(effects_inside_happen_once),
        in_place(an_event_comes_within_milliseconds),
        in_place(two_processes_never_both_handle),
        in_place(a_killed_process_is_taken_over),
        in_place(a_slow_handler_keeps_its_lease),
        in_place(a_clock_put_back_delays_nothing),
        in_place(old_events_go_when_all_have_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
