/* Where Redis is: what a URL says, and what is said of one that says nothing. */
#include "backend/redis/redis_address.h"

#include "base/error.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct redis_address parse(const char *url)
{
    struct redis_address address;
    struct problem problem = {0};
    if (redis_address_parse(url, &address, &problem) != 0) {
        fail_msg("%s: %s", url, problem.detail);
    }
    return address;
}

static void simple_ones(void **state)
{
    (void)state;
    struct redis_address address = parse("redis://cache.example.org");
    assert_string_equal(address.places[0].host, "cache.example.org");
    assert_int_equal(address.places[0].port, 6379);
    assert_int_equal(address.place_count, 1);
    assert_int_equal(address.database, 0);
    assert_int_equal(address.timeout_ms, 50);
    assert_int_equal(address.life_ms, 5000);
    assert_string_equal(address.user, "");
    assert_string_equal(address.password, "");
    assert_string_equal(address.sentinel, "");
    address = parse("redis://:p%40ss:%2F@[::1]:7000/15?timeout_ms=200&life_ms=100");
    assert_string_equal(address.places[0].host, "::1");
    assert_int_equal(address.places[0].port, 7000);
    assert_int_equal(address.database, 15);
    assert_string_equal(address.password, "p@ss:/");
    assert_int_equal(address.timeout_ms, 200);
    assert_int_equal(address.life_ms, 100);
    address = parse("redis://tutti:secret@10.0.0.1:1/");
    assert_string_equal(address.user, "tutti");
    assert_string_equal(address.password, "secret");
    char text[REDIS_TEXT_SIZE];
    redis_place_text(&address.places[0], text);
    assert_string_equal(text, "10.0.0.1:1");
    address = parse("redis://[fe80::1]:7");
    redis_place_text(&address.places[0], text);
    assert_string_equal(text, "[fe80::1]:7");
}

static void sentinels(void **state)
{
    (void)state;
    struct redis_address address = parse("redis://:pw@a,b:7,[::1]/2?sentinel=my%20main");
    assert_int_equal(address.place_count, 3);
    assert_int_equal(address.places[0].port, 26379);
    assert_int_equal(address.places[1].port, 7);
    assert_string_equal(address.places[2].host, "::1");
    assert_string_equal(address.sentinel, "my main");
    assert_int_equal(address.database, 2);
}

static void bad_ones_are_told_without_their_secrets(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "http://a",
        "redis:",
        "redis://",
        "redis://:secret@",
        "redis://secret@a",
        "redis://:@a",
        "redis://:secret%@a",
        "redis://:secret%zz@a",
        "redis://:secret%00@a",
        "redis://:secret@secret@a",
        "redis://:secret@a:0",
        "redis://:secret@a:65536",
        "redis://:secret@a:b",
        "redis://:secret@a b",
        "redis://:secret@[::1",
        "redis://:secret@[::1]x",
        "redis://:secret@a/x",
        "redis://:secret@a/-1",
        "redis://:secret@a,b",
        "redis://:secret@a,,b?sentinel=x",
        "redis://:secret@a,b,c,d,e,f,g,h,i?sentinel=x",
        "redis://:secret@a?sentinel=",
        "redis://:secret@a?timeout_ms=9",
        "redis://:secret@a?life_ms=5s",
        "redis://:secret@a?colour=red",
        "rediss://:secret@a",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct redis_address address = {.place_count = 4711};
        struct problem problem = {0};
        assert_int_equal(redis_address_parse(urls[i], &address, &problem), ERR_INVALID);
        assert_non_null(strstr(problem.detail, "redis://"));
        assert_null(strstr(problem.detail, "secret"));
        assert_null(strchr(problem.detail, '\n'));
        assert_int_equal(address.place_count, 4711);
    }
}

static void long_ones(void **state)
{
    (void)state;
    char url[6000];
    struct redis_address address;
    struct problem problem = {0};
    for (size_t length = 300; length < sizeof url; length += 1200) {
        (void)snprintf(url, sizeof url, "redis://");
        memset(url + 8, 'a', length);
        url[8 + length] = '\0';
        assert_int_equal(redis_address_parse(url, &address, &problem), ERR_INVALID);
        memcpy(url + 8, "a:", 2);
        memcpy(url + 4 + length, "@a", 3);
        if (length > 1000) {
            assert_int_equal(redis_address_parse(url, &address, &problem), ERR_INVALID);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_ones),
        cmocka_unit_test(sentinels),
        cmocka_unit_test(bad_ones_are_told_without_their_secrets),
        cmocka_unit_test(long_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
