/* What every cache must do: keep, forget, stay within its bytes, resist scans, load once for many.
 */
#include "backend/cache/cache.h"

#include "contract.h"

#include <pthread.h>
#include <stdatomic.h>

static struct cache *open_cache(size_t bytes_max)
{
    const char *url = getenv("TUTTI_TEST_CACHE_URL");
    struct cache *cache = NULL;
    struct problem problem = {0};
    assert_int_equal(cache_open(url != NULL ? url : "memory:", "test", bytes_max, &cache, &problem),
                     0);
    return cache;
}

static bool holds(struct cache *cache, const char *key, const char *text)
{
    struct cache_entry *entry = cache_get(cache, key);
    size_t length = 0;
    bool same = entry != NULL &&
                memcmp(cache_entry_bytes(entry, &length), text, strlen(text)) == 0 &&
                length == strlen(text);
    cache_entry_unref(entry);
    return same;
}

static void what_is_put_is_there_until_dropped(void **state)
{
    (void)state;
    struct cache *cache = open_cache(1 << 20);
    assert_null(cache_get(cache, "a"));
    cache_put(cache, "a", "one", 3, 0);
    assert_true(holds(cache, "a", "one"));
    struct cache_entry *old = cache_get(cache, "a");
    cache_put(cache, "a", "other", 5, 0);
    assert_true(holds(cache, "a", "other"));
    assert_memory_equal(cache_entry_bytes(old, NULL), "one", 3);
    cache_entry_unref(old);
    cache_drop(cache, "a");
    assert_null(cache_get(cache, "a"));
    cache_put(cache, "empty", "", 0, 0);
    assert_true(holds(cache, "empty", ""));
    cache_close(cache);
}

static void lives_end(void **state)
{
    (void)state;
    struct cache *cache = open_cache(1 << 20);
    cache_put(cache, "short", "x", 1, 50);
    cache_put(cache, "long", "x", 1, 3600 * 1000);
    int64_t deadline = clock_monotonic_ms() + 5000;
    struct cache_entry *entry;
    while ((entry = cache_get(cache, "short")) != NULL && clock_monotonic_ms() < deadline) {
        cache_entry_unref(entry);
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    assert_null(entry);
    assert_true(holds(cache, "long", "x"));
    cache_close(cache);
}

static size_t kept_bytes(struct cache *cache, unsigned keys, size_t size)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < keys; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%u", i);
        struct cache_entry *entry = cache_get(cache, key);
        bytes += entry != NULL ? size : 0;
        cache_entry_unref(entry);
    }
    return bytes;
}

static void it_stays_within_its_bytes(void **state)
{
    (void)state;
    enum { KEYS = 4000, SIZE = 1000, BOUND = 1 << 20 };
    struct cache *cache = open_cache(BOUND);
    char *bytes = calloc(1, BOUND);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%u", i);
        cache_put(cache, key, bytes, SIZE, 0);
    }
    size_t kept = kept_bytes(cache, KEYS, SIZE);
    assert_true(kept <= BOUND);
    assert_true(kept >= BOUND / 2);
    cache_put(cache, "giant", bytes, BOUND, 0);
    assert_true(kept_bytes(cache, KEYS, SIZE) >= BOUND / 2);
    free(bytes);
    cache_close(cache);
}

/* A plain LRU of `capacity` keys, as the thing to beat. */
struct lru {
    unsigned keys[512];
    unsigned count, capacity;
};

static bool lru_touch(struct lru *lru, unsigned key)
{
    unsigned at = 0;
    while (at < lru->count && lru->keys[at] != key) {
        at++;
    }
    bool hit = at < lru->count;
    lru->count += !hit && lru->count < lru->capacity;
    at = at < lru->count ? at : lru->count - 1;
    memmove(lru->keys + 1, lru->keys, at * sizeof lru->keys[0]);
    lru->keys[0] = key;
    return hit;
}

static bool cache_touch(struct cache *cache, unsigned key)
{
    static const char bytes[872];
    char text[32];
    (void)snprintf(text, sizeof text, "%u", key);
    struct cache_entry *entry = cache_get(cache, text);
    if (entry == NULL) {
        cache_put(cache, text, bytes, sizeof bytes, 0);
    }
    cache_entry_unref(entry);
    return entry != NULL;
}

/* Popular keys with a scan of keys that are never asked for again between them. */
static void a_scan_does_not_wash_out_what_is_popular(void **state)
{
    (void)state;
    enum { ROUNDS = 60000, POPULAR = 400 };
    struct cache *cache = open_cache(512 * 1024);
    struct lru lru = {.capacity = 512};
    unsigned random = 12345, hits = 0, lru_hits = 0, asked = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        random = random * 1664525 + 1013904223;
        bool scan = (random >> 16) % 2 == 0;
        unsigned key = scan ? 1000000 + i : (random >> 8) % POPULAR;
        bool hit = cache_touch(cache, key), lru_hit = lru_touch(&lru, key);
        if (!scan && i > ROUNDS / 2) {
            asked++;
            hits += hit;
            lru_hits += lru_hit;
        }
    }
    cache_close(cache);
    print_message("hits of popular keys: %u of %u, plain LRU %u\n", hits, asked, lru_hits);
    assert_true(hits > lru_hits + asked / 10);
}

struct loading {
    struct cache *cache;
    _Atomic unsigned loads, right;
    int error;
    bool drop;
};

static int load(void *argument, void **ret_bytes, size_t *ret_length)
{
    struct loading *loading = argument;
    atomic_fetch_add(&loading->loads, 1);
    (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    if (loading->drop) {
        cache_drop(loading->cache, "key");
    }
    if (loading->error != 0) {
        return loading->error;
    }
    *ret_bytes = strdup("loaded");
    *ret_length = 6;
    return 0;
}

static void *load_in_thread(void *argument)
{
    struct loading *loading = argument;
    struct cache_entry *entry = NULL;
    int error = cache_load(loading->cache, "key", 0, load, loading, &entry);
    bool right = error == loading->error &&
                 (error != 0 || memcmp(cache_entry_bytes(entry, NULL), "loaded", 6) == 0);
    atomic_fetch_add(&loading->right, right);
    cache_entry_unref(entry);
    return NULL;
}

static void run_loaders(struct loading *loading)
{
    enum { THREADS = 32 };
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, load_in_thread, loading), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(loading->right, THREADS);
}

static void many_waiters_share_one_load(void **state)
{
    (void)state;
    struct loading loading = {.cache = open_cache(1 << 20)};
    run_loaders(&loading);
    assert_int_equal(loading.loads, 1);
    assert_true(holds(loading.cache, "key", "loaded"));
    cache_close(loading.cache);
}

static void a_failed_load_is_told_to_all_and_not_kept(void **state)
{
    (void)state;
    struct loading loading = {.cache = open_cache(1 << 20), .error = ERR_UNAVAILABLE};
    run_loaders(&loading);
    assert_null(cache_get(loading.cache, "key"));
    cache_close(loading.cache);
}

static void what_was_dropped_while_it_loaded_is_not_kept(void **state)
{
    (void)state;
    struct loading loading = {.cache = open_cache(1 << 20), .drop = true};
    (void)load_in_thread(&loading);
    assert_int_equal(loading.right, 1);
    assert_null(cache_get(loading.cache, "key"));
    cache_close(loading.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_there_until_dropped),
        cmocka_unit_test(lives_end),
        cmocka_unit_test(it_stays_within_its_bytes),
        cmocka_unit_test(a_scan_does_not_wash_out_what_is_popular),
        cmocka_unit_test(many_waiters_share_one_load),
        cmocka_unit_test(a_failed_load_is_told_to_all_and_not_kept),
        cmocka_unit_test(what_was_dropped_while_it_loaded_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
