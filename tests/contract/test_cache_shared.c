/* Two caches over one Redis, as two processes have them (backend/cache/cache_shared.h): what is
 * shared, and that nothing old outlives a drop. The Redis is one of tests/engines/redis.py.
 */
#include "contract.h"

#include "backend/cache/cache.h"
#include "backend/redis/redis.h"
#include "net/metrics.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

static struct redis *open_redis(void)
{
    struct redis *redis = NULL;
    struct problem problem = {0};
    if (redis_open(getenv("TUTTI_TEST_REDIS_URL"), &redis, &problem) != 0) {
        fail_msg("%s", problem.detail);
    }
    return redis;
}

/* Two "processes": each with a client and a level of its own. */
struct pair {
    struct redis *redis[2];
    struct cache *caches[2];
};

static void pair_open_lagging(struct pair *pair, const char *name, unsigned lag_ms)
{
    for (int i = 0; i < 2; i++) {
        struct problem problem = {0};
        pair->redis[i] = open_redis();
        const struct cache_config config = {name, 1 << 20, pair->redis[i], "secret", lag_ms};
        assert_int_equal(cache_new(&config, &pair->caches[i], &problem), 0);
    }
}

static void pair_open(struct pair *pair, const char *name)
{
    pair_open_lagging(pair, name, 0);
}

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        cache_close(pair->caches[i]);
        redis_close(pair->redis[i]);
    }
}

/* A row of a database, and how a load reads it. */
struct row {
    _Atomic int value, loads;
    int result;
    struct cache *drops;             /* dropped while the load runs, after the row has changed */
    void (*meanwhile)(struct row *); /* runs between the look at the row and the result */
};

static int load_row(void *argument, void **ret_bytes, size_t *ret_length)
{
    struct row *row = argument;
    int value = atomic_load(&row->value);
    (void)atomic_fetch_add(&row->loads, 1);
    if (row->meanwhile != NULL) {
        row->meanwhile(row);
    }
    if (row->result == 0) {
        int *copy = malloc(sizeof *copy);
        *copy = value;
        *ret_bytes = copy;
        *ret_length = sizeof *copy;
    }
    return row->result;
}

/* What a reader gets; negative: the error. */
static int read_through(struct cache *cache, const char *key, struct row *row)
{
    struct cache_entry *entry = NULL;
    int value, r = cache_load(cache, key, 0, load_row, row, &entry);
    if (r < 0) {
        return r;
    }
    size_t length = 0;
    memcpy(&value, cache_entry_bytes(entry, &length), sizeof value);
    assert_int_equal(length, sizeof value);
    cache_entry_unref(entry);
    return value;
}

static int64_t counted(const char *metric, const char *name)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "cache=\"%s\"", name);
    return metric_value(metric_get(METRIC_COUNTER, metric, "", labels));
}

static void anothers_load_is_a_hit(void **state)
{
    (void)state;
    struct pair pair;
    struct row row = {.value = 7};
    pair_open(&pair, "hit");
    assert_int_equal(read_through(pair.caches[0], "k", &row), 7);
    assert_int_equal(read_through(pair.caches[1], "k", &row), 7);
    assert_int_equal(atomic_load(&row.loads), 1);
    assert_int_equal(counted("tutti_cache_shared_hits_total", "hit"), 1);
    assert_int_equal(read_through(pair.caches[1], "another", &row), 7);
    assert_int_equal(atomic_load(&row.loads), 2);
    pair_close(&pair);
}

static void caches_of_other_names_share_nothing(void **state)
{
    (void)state;
    struct pair one, other;
    struct row row = {.value = 1};
    pair_open(&one, "one");
    pair_open(&other, "other");
    assert_int_equal(read_through(one.caches[0], "k", &row), 1);
    atomic_store(&row.value, 2);
    assert_int_equal(read_through(other.caches[0], "k", &row), 2);
    pair_close(&one);
    pair_close(&other);
}

/* Who can write to Redis can lose entries, not make them: neither damaged nor from under another
 * key. */
static void what_was_tampered_with_is_not_taken(void **state)
{
    (void)state;
    static const struct redis_script swap = {
        "local keys = redis.call('KEYS', 'tutti:cache:tampered:*')\n"
        "local key = keys[1]:match('^(.*:)[ab]$')\n"
        "redis.call('SET', key .. 'a', redis.call('GET', key .. 'b'), 'PX', 60000)\n"
        "local value = redis.call('GET', key .. 'b')\n"
        "redis.call('SET', key .. 'b', value:sub(1, -2) .. 'x', 'PX', 60000)\n"};
    struct pair pair;
    struct row row = {.value = 1};
    pair_open(&pair, "tampered");
    assert_int_equal(read_through(pair.caches[0], "a", &row), 1);
    atomic_store(&row.value, 2);
    assert_int_equal(read_through(pair.caches[0], "b", &row), 2);
    const struct redis_words none = {NULL, NULL, 0};
    assert_int_equal(redis_run(pair.redis[0], NULL, &swap, 0, &none), 0);
    atomic_store(&row.value, 3);
    assert_int_equal(read_through(pair.caches[1], "a", &row), 3);
    assert_int_equal(read_through(pair.caches[1], "b", &row), 3);
    pair_close(&pair);
}

static void a_drop_reaches_what_is_shared(void **state)
{
    (void)state;
    struct pair pair;
    struct row row = {.value = 1};
    pair_open(&pair, "dropped");
    assert_int_equal(read_through(pair.caches[0], "k", &row), 1);
    atomic_store(&row.value, 2);
    cache_drop(pair.caches[0], "k");
    assert_int_equal(read_through(pair.caches[1], "k", &row), 2);
    const char *keys[] = {"k", "never there"};
    atomic_store(&row.value, 3);
    cache_drop_all(pair.caches[1], keys, 2);
    assert_int_equal(read_through(pair.caches[1], "k", &row), 3);
    pair_close(&pair);
}

static void change_and_drop(struct row *row)
{
    row->meanwhile = NULL;
    atomic_store(&row->value, 2);
    cache_drop(row->drops, "k");
}

/* The load began before the change and ends after the drop, which another process made. */
static void a_load_begun_before_the_drop_is_not_put(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, "race");
    struct row row = {.value = 1, .drops = pair.caches[1], .meanwhile = change_and_drop};
    assert_int_equal(read_through(pair.caches[0], "k", &row), 1);
    assert_int_equal(read_through(pair.caches[1], "k", &row), 2);
    pair_close(&pair);
}

/* As above, and somebody loads anew before the old load ends: his entry stays. */
static struct cache *newer_reader;
static struct row newer_row = {.value = 2};

static void change_drop_and_load(struct row *row)
{
    change_and_drop(row);
    assert_int_equal(read_through(newer_reader, "k", &newer_row), 2);
}

static void an_old_load_does_not_replace_a_new_one(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, "replace");
    newer_reader = pair.caches[1];
    struct row row = {.value = 1, .drops = pair.caches[1], .meanwhile = change_drop_and_load};
    assert_int_equal(read_through(pair.caches[0], "k", &row), 1);
    cache_drop(pair.caches[1], "other"); /* nothing of k */
    struct pair third;
    pair_open(&third, "replace");
    assert_int_equal(read_through(third.caches[0], "k", &row), 2);
    assert_int_equal(atomic_load(&row.loads), 1);
    pair_close(&third);
    pair_close(&pair);
}

/* A process that has not heard of a change loads from a replica that lags, after the drop; nothing
 * in Redis can tell. Who has heard does not take it. */
static void what_a_replica_said_late_is_not_believed(void **state)
{
    (void)state;
    struct pair pair;
    pair_open_lagging(&pair, "lagging", 1000);
    struct row now = {.value = 2}, before = {.value = 1};
    assert_int_equal(read_through(pair.caches[1], "k", &before), 1);
    cache_drop(pair.caches[1], "k"); /* heard of the change here alone */
    assert_int_equal(read_through(pair.caches[0], "k", &before), 1);
    assert_int_equal(read_through(pair.caches[1], "k", &now), 2);
    assert_int_equal(read_through(pair.caches[0], "other", &now), 2);
    assert_int_equal(read_through(pair.caches[1], "other", &before), 2); /* shared as ever */
    pair_close(&pair);
}

static void what_failed_to_load_is_not_waited_for(void **state)
{
    (void)state;
    struct pair pair;
    struct row row = {.value = 1, .result = ERR_NOT_FOUND};
    pair_open(&pair, "failed");
    assert_int_equal(read_through(pair.caches[0], "k", &row), ERR_NOT_FOUND);
    row.result = 0;
    assert_int_equal(read_through(pair.caches[1], "k", &row), 1);
    assert_int_equal(counted("tutti_cache_shared_waits_total", "failed"), 0);
    pair_close(&pair);
}

/* ---- one load for many, across processes ---- */

struct asker {
    struct cache *cache;
    struct row *row;
    pthread_t thread;
    int value;
};

/* The load goes on until the other one waits for it. */
static void wait_for_the_other(struct row *row)
{
    (void)row;
    for (int i = 0; i < 1500 && counted("tutti_cache_shared_waits_total", "both") == 0; i++) {
        pause_ms(1);
    }
}

static void *ask(void *argument)
{
    struct asker *asker = argument;
    asker->value = read_through(asker->cache, "k", asker->row);
    return NULL;
}

static void one_load_serves_both(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, "both");
    struct row row = {.value = 5, .meanwhile = wait_for_the_other};
    struct asker askers[2];
    for (int i = 0; i < 2; i++) {
        askers[i] = (struct asker){.cache = pair.caches[i], .row = &row};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].value, 5);
    }
    /* On a machine that sleeps in between, the second gives up waiting and loads himself. */
    assert_in_range(atomic_load(&row.loads), 1, 2);
    assert_true(counted("tutti_cache_shared_waits_total", "both") >= 1);
    pair_close(&pair);
}

/* A loader who dies: nobody waits for him longer than a moment, and what he left runs out. */
static void hang(struct row *row)
{
    static struct row own = {.value = 9};
    row->meanwhile = NULL;
    assert_int_equal(read_through(newer_reader, "k", &own), 9);
    assert_int_equal(atomic_load(&own.loads), 1);
}

static void a_loader_who_hangs_holds_nobody(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, "hangs");
    newer_reader = pair.caches[1];
    struct row row = {.value = 1, .meanwhile = hang};
    assert_int_equal(read_through(pair.caches[0], "k", &row), 1);
    pair_close(&pair);
}

/* ---- with a Redis that is away ---- */

static void stop_redis(int signal_number)
{
    assert_int_equal(kill((pid_t)atoi(getenv("TUTTI_TEST_REDIS_PID")), signal_number), 0);
}

static void wait_until_up(struct redis *redis, bool up)
{
    for (int i = 0; i < 3000 && redis_is_up(redis, NULL) != up; i++) {
        pause_ms(10);
    }
    assert_int_equal(redis_is_up(redis, NULL), up);
}

/* A drop that Redis did not hear: from then on this process believes nothing that Redis has, until
 * whatever it has must have run out. */
static void a_drop_that_was_not_heard_blinds(void **state)
{
    (void)state;
    struct pair pair;
    struct row row = {.value = 1};
    pair_open(&pair, "blind");
    assert_int_equal(read_through(pair.caches[0], "k", &row), 1);
    stop_redis(SIGSTOP);
    atomic_store(&row.value, 2);
    cache_drop(pair.caches[1], "k");
    assert_int_equal(read_through(pair.caches[1], "k", &row), 2);
    stop_redis(SIGCONT);
    wait_until_up(pair.redis[1], true);
    cache_drop(pair.caches[1], "another"); /* this one is heard */
    atomic_store(&row.value, 3);
    struct cache_entry *own = cache_get(pair.caches[1], "k");
    assert_non_null(own); /* its own level goes on */
    cache_entry_unref(own);
    assert_true(counted("tutti_cache_shared_blind_total", "blind") >= 1);
    pair_close(&pair);
}

static void without_redis_it_is_a_cache_still(void **state)
{
    (void)state;
    struct pair pair;
    struct row row = {.value = 1};
    pair_open(&pair, "without");
    stop_redis(SIGKILL);
    assert_int_equal(read_through(pair.caches[0], "k", &row), 1);
    assert_int_equal(read_through(pair.caches[0], "k", &row), 1);
    assert_int_equal(read_through(pair.caches[1], "k", &row), 1);
    assert_int_equal(atomic_load(&row.loads), 2);
    cache_drop(pair.caches[0], "k");
    atomic_store(&row.value, 2);
    assert_int_equal(read_through(pair.caches[0], "k", &row), 2);
    wait_until_up(pair.redis[0], false);
    struct problem problem = {0};
    assert_false(redis_is_up(pair.redis[0], &problem));
    assert_true(strstr(problem.detail, "127.0.0.1:") != NULL);
    assert_null(strstr(problem.detail, "for-tests"));
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anothers_load_is_a_hit),
        cmocka_unit_test(caches_of_other_names_share_nothing),
        cmocka_unit_test(what_was_tampered_with_is_not_taken),
        cmocka_unit_test(a_drop_reaches_what_is_shared),
        cmocka_unit_test(a_load_begun_before_the_drop_is_not_put),
        cmocka_unit_test(an_old_load_does_not_replace_a_new_one),
        cmocka_unit_test(what_a_replica_said_late_is_not_believed),
        cmocka_unit_test(what_failed_to_load_is_not_waited_for),
        cmocka_unit_test(one_load_serves_both),
        cmocka_unit_test(a_loader_who_hangs_holds_nobody),
        cmocka_unit_test(a_drop_that_was_not_heard_blinds),
        cmocka_unit_test(without_redis_it_is_a_cache_still), /* the last: it kills it */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
