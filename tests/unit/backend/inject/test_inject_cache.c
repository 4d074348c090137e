/* The cache when memory fails (inject.h): what is not kept is a loss, never an error and never what
 * it was before. */
#include "backend/cache/cache.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include "inject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 20, MANY = 300 };

static struct cache *cache;

static int open_one(struct cache **ret_cache)
{
    struct problem problem = {0};
    return cache_open("memory:", "injected", BYTES_MAX, ret_cache, &problem);
}

static int make_cache(void **state)
{
    return inject_setup(state) == 0 ? open_one(&cache) : -1;
}

static int close_cache(void **state)
{
    cache_close(cache);
    cache = NULL;
    return inject_teardown(state);
}

/* 1: the key has this text; 0: it is not there; -1: it has another. */
static int look(const char *key, const char *text)
{
    struct cache_entry *entry = cache_get(cache, key);
    if (entry == NULL) {
        return 0;
    }
    size_t length = 0;
    const void *bytes = cache_entry_bytes(entry, &length);
    int found = length == strlen(text) && memcmp(bytes, text, length) == 0 ? 1 : -1;
    cache_entry_unref(entry);
    return found;
}

static struct cache *opened;

static int run_open(void)
{
    opened = NULL;
    return open_one(&opened);
}

static void check_open(int result)
{
    assert_int_equal(result < 0 ? run_open() : 0, 0);
    cache_close(opened);
}

static void put_old(void)
{
    cache_put(cache, "key", "old", 3, 0);
    assert_int_equal(look("key", "old"), 1);
}

static int run_put(void)
{
    cache_put(cache, "key", "new", 3, 0);
    return 0;
}

static void check_put(int result)
{
    (void)result;
    assert_in_range(look("key", "new"), 0, 1);
    (void)run_put();
    assert_int_equal(look("key", "new"), 1);
}

static int run_put_many(void)
{
    char key[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        cache_put(cache, key, key, strlen(key), 0);
    }
    return 0;
}

static void check_put_many(int result)
{
    (void)result;
    char key[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        assert_in_range(look(key, key), 0, 1);
    }
    cache_close(cache); /* so that its tables grow again */
    cache = NULL;
    assert_int_equal(open_one(&cache), 0);
}

static unsigned loads;

static int load(void *argument, void **ret_bytes, size_t *ret_length)
{
    loads++;
    *ret_bytes = strdup(argument);
    *ret_length = strlen(argument);
    return *ret_bytes != NULL ? 0 : ERR_NO_MEMORY;
}

static struct cache_entry *loaded;

static int run_load(void)
{
    loaded = NULL;
    static char text[] = "new";
    return cache_load(cache, "key", 0, load, text, &loaded);
}

static void check_load(int result)
{
    assert_int_equal(loaded != NULL, result == 0);
    assert_in_range(look("key", "new"), 0, 1);
    cache_entry_unref(loaded);
    assert_int_equal(run_load(), 0);
    assert_int_equal(look("key", "new"), 1);
    cache_entry_unref(loaded);
    loads = 0;
    assert_int_equal(run_load(), 0);
    assert_int_equal(loads, 0);
    cache_entry_unref(loaded);
}

static void drop(void)
{
    cache_drop(cache, "key");
    assert_int_equal(look("key", "new"), 0);
}

static void caching(void **state)
{
    (void)state;
    const unsigned hits = INJECT_BIT(INJECT_MEMORY);
    const struct inject_case cases[] = {
        {.name = "cache_open", .hits = hits, .run = run_open, .check = check_open},
        {.name = "cache_put over another",
         .hits = hits,
         .prepare = put_old,
         .run = run_put,
         .check = check_put},
        {.name = "cache_load", .hits = hits, .prepare = drop, .run = run_load, .check = check_load},
        {.name = "cache_put of many", .hits = hits, .run = run_put_many, .check = check_put_many},
    };
    inject_each(cases, COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(caching, make_cache, close_cache)};
    return cmocka_run_group_tests(tests, inject_install, NULL);
}
