/* The contract of cache.h, for every engine (TUTTI_TEST_CACHE_URL, memory: unless said). */
#include "contract.h"

#include "backend/cache/cache.h"
#include "net/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static struct cache *open_cache(const char *name, size_t bytes_max)
{
    const char *url = getenv("TUTTI_TEST_CACHE_URL");
    struct cache *cache = NULL;
    struct problem problem = {0};
    if (cache_open(url != NULL ? url : "memory:", name, bytes_max, &cache, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return cache;
}

/* True when the key is there with this text. */
static bool holds(struct cache *cache, const char *key, const char *text)
{
    struct cache_entry *entry = cache_get(cache, key);
    size_t length = 0;
    bool same = entry != NULL;
    if (same) {
        const void *bytes = cache_entry_bytes(entry, &length);
        same = length == strlen(text) && memcmp(bytes, text, length) == 0;
    }
    cache_entry_unref(entry);
    return same;
}

static void bad_urls_are_refused(void **state)
{
    (void)state;
    struct cache *cache = NULL;
    struct problem problem = {0};
    assert_int_equal(cache_open("fridge:", "bad", 1000, &cache, &problem), ERR_INVALID);
    assert_int_equal(cache_open("memory:here", "bad", 1000, &cache, &problem), ERR_INVALID);
    assert_int_equal(cache_open("redis:", "bad", 1000, &cache, &problem), ERR_INVALID);
    assert_null(cache);
    cache_close(NULL);
    cache_entry_unref(NULL);
}

static void what_is_put_is_found(void **state)
{
    (void)state;
    struct cache *cache = open_cache("found", 1 << 20);
    assert_null(cache_get(cache, "a"));
    cache_put(cache, "a", "one", 3, 0);
    cache_put(cache, "b", "", 0, 0);
    assert_true(holds(cache, "a", "one"));
    assert_true(holds(cache, "b", ""));
    cache_put(cache, "a", "two", 3, 0);
    assert_true(holds(cache, "a", "two"));
    cache_drop(cache, "a");
    assert_null(cache_get(cache, "a"));
    cache_drop(cache, "never there");
    cache_close(cache);
}

static void a_reference_outlives_its_entry(void **state)
{
    (void)state;
    struct cache *cache = open_cache("references", 1 << 20);
    cache_put(cache, "a", "kept", 4, 0);
    struct cache_entry *entry = cache_get(cache, "a");
    cache_drop(cache, "a");
    cache_put(cache, "a", "new", 3, 0);
    cache_close(cache);
    size_t length;
    assert_memory_equal(cache_entry_bytes(entry, &length), "kept", 4);
    cache_entry_unref(entry);
}

static int count_held(struct cache *cache, int keys)
{
    char key[16];
    int held = 0;
    for (int i = 0; i < keys; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        held += holds(cache, key, "x");
    }
    return held;
}

/* Looks again and again, and judges by the clock at each look, so that a slow machine is no error.
 */
static void entries_expire_not_all_at_once(void **state)
{
    (void)state;
    enum { KEYS_PUT = 200, TTL_MS = 1500 };
    struct cache *cache = open_cache("expiry", 1 << 20);
    char key[16];
    int64_t began_ms = clock_monotonic_ms();
    for (int i = 0; i < KEYS_PUT; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        cache_put(cache, key, "x", 1, TTL_MS);
    }
    int64_t put_ms = clock_monotonic_ms();
    int held = KEYS_PUT, partly = 0;
    while (held > 0) {
        int64_t before_ms = clock_monotonic_ms();
        held = count_held(cache, KEYS_PUT);
        partly += held > 0 && held < KEYS_PUT;
        if (clock_monotonic_ms() - began_ms < TTL_MS * 9 / 10) {
            assert_int_equal(held, KEYS_PUT);
        }
        if (before_ms - put_ms > TTL_MS * 11 / 10) {
            assert_int_equal(held, 0);
        }
        pause_ms(5);
    }
    assert_true(partly > 0);
    cache_close(cache);
}

static int64_t metric_of(const char *metric, const char *name)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "cache=\"%s\"", name);
    enum metric_kind kind = strstr(metric, "_total") != NULL ? METRIC_COUNTER : METRIC_GAUGE;
    return metric_value(metric_get(kind, metric, "", labels));
}

static void the_bound_holds(void **state)
{
    (void)state;
    enum { BYTES_MAX = 3 << 20 };
    struct cache *cache = open_cache("bound", BYTES_MAX);
    assert_int_equal(metric_of("tutti_cache_bytes", "bound"), 0);
    char *large = calloc(1, 300000), key[16];
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        (void)snprintf(key, sizeof key, "%d", (int)(random % 5000));
        struct cache_entry *entry = cache_get(cache, key);
        if (entry == NULL) {
            cache_put(cache, key, large, i % 100 == 0 ? 300000 : (size_t)(random >> 40) % 5000, 0);
        }
        cache_entry_unref(entry);
        assert_in_range(metric_of("tutti_cache_bytes", "bound"), 0, BYTES_MAX);
    }
    assert_true(metric_of("tutti_cache_bytes", "bound") > BYTES_MAX / 2);
    char *too_large = calloc(1, BYTES_MAX + 1);
    cache_put(cache, "elephant", too_large, BYTES_MAX + 1, 0);
    assert_null(cache_get(cache, "elephant"));
    free(too_large);
    free(large);
    cache_close(cache);
    assert_int_equal(metric_of("tutti_cache_bytes", "bound"), 0);
    assert_int_equal(metric_of("tutti_cache_entries", "bound"), 0);
}

/* ---- Hit ratios, side by side with a plain LRU of as many bytes ---- */

enum { KEYS = 60000, ENTRY_BYTES = 1000, CACHE_ENTRIES = 3000, QUESTIONS = 200000 };

struct plain_lru {
    int64_t asked[KEYS]; /* when last, 0: not held */
    int order[QUESTIONS + 1];
    int held, oldest;
};

static bool plain_lru_ask(struct plain_lru *lru, int key, int now)
{
    bool hit = lru->asked[key] != 0;
    lru->asked[key] = now;
    lru->order[now] = key;
    lru->held += !hit;
    while (lru->held > CACHE_ENTRIES) {
        int old = ++lru->oldest;
        if (lru->asked[lru->order[old]] == old) {
            lru->asked[lru->order[old]] = 0;
            lru->held--;
        }
    }
    return hit;
}

static bool ask(struct cache *cache, int number)
{
    static const char value[ENTRY_BYTES];
    char key[16];
    (void)snprintf(key, sizeof key, "%d", number);
    struct cache_entry *entry = cache_get(cache, key);
    bool hit = entry != NULL;
    if (!hit) {
        cache_put(cache, key, value, sizeof value, 0);
    }
    cache_entry_unref(entry);
    return hit;
}

/* Zipf by inversion, s = 1: key k with a chance in proportion to 1/k. */
static int zipf(uint64_t *random)
{
    *random ^= *random << 13, *random ^= *random >> 7, *random ^= *random << 17;
    double uniform = (double)(*random >> 11) / 9007199254740992.0;
    return (int)exp(uniform * log(KEYS / 2)) - 1;
}

/* scan: every second question walks through keys that are asked for once. */
static void compare(const char *name, bool scan, double *ret_ours, double *ret_plain)
{
    struct cache *cache = open_cache(name, (size_t)CACHE_ENTRIES * (ENTRY_BYTES + 120));
    struct plain_lru *lru = calloc(1, sizeof *lru);
    uint64_t random = 88172645463325252u;
    int ours = 0, plain = 0, counted = 0, scanned = 0;
    for (int now = 1; now <= QUESTIONS; now++) {
        bool is_scan = scan && now % 2 == 0;
        int key = is_scan ? KEYS / 2 + scanned++ % (KEYS / 2) : zipf(&random);
        bool our_hit = ask(cache, key), plain_hit = plain_lru_ask(lru, key, now);
        if (now > QUESTIONS / 4 && !is_scan) {
            counted++;
            ours += our_hit;
            plain += plain_hit;
        }
    }
    *ret_ours = (double)ours / counted;
    *ret_plain = (double)plain / counted;
    print_message("%s: hit ratio %.3f, plain LRU %.3f\n", name, *ret_ours, *ret_plain);
    free(lru);
    cache_close(cache);
}

static void scans_do_not_wash_it_out(void **state)
{
    (void)state;
    double ours, plain;
    compare("popular", false, &ours, &plain);
    assert_true(ours > plain + 0.02);
    double alone = ours, plain_alone = plain;
    compare("popular and scan", true, &ours, &plain);
    assert_true(ours > plain + 0.08);
    assert_true(alone - ours < (plain_alone - plain) / 2);
}

/* ---- One load for many ---- */

enum { THREADS = 32 };

struct loading {
    struct cache *cache;
    atomic_int loads, waiting, good;
    int result;
    bool drop_meanwhile;
};

static int load_slowly(void *argument, void **ret_bytes, size_t *ret_length)
{
    struct loading *loading = argument;
    (void)atomic_fetch_add(&loading->loads, 1);
    for (int i = 0; i < 2000 && atomic_load(&loading->waiting) < THREADS; i++) {
        pause_ms(1);
    }
    pause_ms(30); /* all are inside of cache_load by now */
    if (loading->drop_meanwhile) {
        cache_drop(loading->cache, "slow");
    }
    if (loading->result == 0) {
        *ret_bytes = strdup("loaded");
        *ret_length = 6;
    }
    return loading->result;
}

static void *ask_for_it(void *argument)
{
    struct loading *loading = argument;
    struct cache_entry *entry = NULL;
    (void)atomic_fetch_add(&loading->waiting, 1);
    int r = cache_load(loading->cache, "slow", 0, load_slowly, loading, &entry);
    size_t length = 0;
    bool good =
        r == loading->result &&
        (r < 0 ? entry == NULL : memcmp(cache_entry_bytes(entry, &length), "loaded", 6) == 0);
    (void)atomic_fetch_add(&loading->good, good);
    cache_entry_unref(entry);
    return NULL;
}

static void all_ask(struct loading *loading)
{
    pthread_t threads[THREADS];
    atomic_store(&loading->loads, 0);
    atomic_store(&loading->waiting, 0);
    atomic_store(&loading->good, 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_it, loading), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static void one_load_serves_all(void **state)
{
    (void)state;
    struct loading loading = {.cache = open_cache("load", 1 << 20)};
    all_ask(&loading);
    assert_int_equal(atomic_load(&loading.loads), 1);
    assert_int_equal(atomic_load(&loading.good), THREADS);
    assert_true(holds(loading.cache, "slow", "loaded"));
    cache_close(loading.cache);
}

static void errors_reach_all_and_are_not_kept(void **state)
{
    (void)state;
    struct loading loading = {.cache = open_cache("errors", 1 << 20), .result = ERR_NOT_FOUND};
    all_ask(&loading);
    assert_int_equal(atomic_load(&loading.loads), 1);
    assert_int_equal(atomic_load(&loading.good), THREADS);
    loading.result = 0;
    all_ask(&loading);
    assert_int_equal(atomic_load(&loading.loads), 1);
    assert_int_equal(atomic_load(&loading.good), THREADS);
    cache_close(loading.cache);
}

static void a_drop_during_the_load_wins(void **state)
{
    (void)state;
    struct loading loading = {.cache = open_cache("drop", 1 << 20), .drop_meanwhile = true};
    all_ask(&loading);
    assert_int_equal(atomic_load(&loading.good), THREADS);
    assert_false(holds(loading.cache, "slow", "loaded"));
    cache_close(loading.cache);
}

static void *hammer(void *argument)
{
    struct cache *cache = argument;
    uint64_t random = (uintptr_t)&random;
    char key[16];
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        (void)snprintf(key, sizeof key, "%d", (int)(random % 3000));
        struct cache_entry *entry = cache_get(cache, key);
        size_t length = strlen(key);
        if (entry != NULL) {
            const void *bytes = cache_entry_bytes(entry, &length);
            assert_true(length == strlen(key) && memcmp(bytes, key, length) == 0);
        } else if (random % 7 == 0) {
            cache_drop(cache, key);
        } else {
            cache_put(cache, key, key, length, random % 3 == 0 ? 1 : 0);
        }
        cache_entry_unref(entry);
    }
    return NULL;
}

static void many_threads_get_what_they_asked_for(void **state)
{
    (void)state;
    struct cache *cache = open_cache("hammer", 100000);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, cache), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_urls_are_refused),
        cmocka_unit_test(what_is_put_is_found),
        cmocka_unit_test(a_reference_outlives_its_entry),
        cmocka_unit_test(entries_expire_not_all_at_once),
        cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(scans_do_not_wash_it_out),
        cmocka_unit_test(one_load_serves_all),
        cmocka_unit_test(errors_reach_all_and_are_not_kept),
        cmocka_unit_test(a_drop_during_the_load_wins),
        cmocka_unit_test(many_threads_get_what_they_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
