/* Where OpenSearch is: what a URL says, and what is said of one that can't be used. */
#include "backend/index/opensearch_address.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct opensearch_address parse(const char *url)
{
    struct opensearch_address address;
    struct problem problem = {0};
    if (opensearch_address_parse(url, &address, &problem) != 0) {
        fail_msg("%s: %s", url, problem.detail);
    }
    return address;
}

static void what_can_be_left_out(void **state)
{
    (void)state;
    struct opensearch_address address = parse("opensearch://search.example.org");
    assert_int_equal(address.host_count, 1);
    assert_string_equal(address.hosts[0], "search.example.org:9200");
    assert_string_equal(address.name, "tutti");
    assert_string_equal(address.user, "");
    assert_string_equal(address.password, "");
    assert_string_equal(address.ca, "");
    assert_false(address.tls);
    assert_int_equal(address.shards, 1);
    assert_int_equal(address.timeout_ms, 2000);
    assert_int_equal(address.connections, 32);
    assert_string_equal(parse("opensearch://a/").name, "tutti");
    assert_string_equal(parse("opensearch://a?shards=2").hosts[0], "a:9200");
}

static void all_of_it(void **state)
{
    (void)state;
    struct opensearch_address address =
        parse("opensearch://me:p%40ss:%2F@a:1,[::1]:65535,[fe80::1]/music_2-x?tls=yes&"
              "ca=%2Fetc%2Fca.pem&shards=64&timeout_ms=100&connections=7");
    assert_int_equal(address.host_count, 3);
    assert_string_equal(address.hosts[0], "a:1");
    assert_string_equal(address.hosts[1], "[::1]:65535");
    assert_string_equal(address.hosts[2], "[fe80::1]:9200");
    assert_string_equal(address.user, "me");
    assert_string_equal(address.password, "p@ss:/");
    assert_string_equal(address.name, "music_2-x");
    assert_true(address.tls);
    assert_string_equal(address.ca, "/etc/ca.pem");
    assert_int_equal(address.shards, 64);
    assert_int_equal(address.timeout_ms, 100);
    assert_int_equal(address.connections, 7);
    address = parse("opensearch://me:p@ss@127.0.0.1:9/x"); /* the last @ */
    assert_string_equal(address.password, "p@ss");
    assert_string_equal(address.hosts[0], "127.0.0.1:9");
}

static void what_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "http://a",
        "opensearch:",
        "opensearch://",
        "opensearch:///name",
        "opensearch://a,",
        "opensearch://,a",
        "opensearch://a:0",
        "opensearch://a:65536",
        "opensearch://a:x",
        "opensearch://a b",
        "opensearch://::1",
        "opensearch://[::1",
        "opensearch://a,b,c,d,e,f,g,h,i",
        "opensearch://a/Name",
        "opensearch://a/_name",
        "opensearch://a/-name",
        "opensearch://a/na*me",
        "opensearch://a/x/y",
        "opensearch://a/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "opensearch://a?tls",
        "opensearch://a?tls=perhaps",
        "opensearch://a?shards=0",
        "opensearch://a?shards=65",
        "opensearch://a?timeout_ms=99",
        "opensearch://a?ssl=yes",
        "opensearch://a?ca=/x",
        "opensearch://SECRET@127.0.0.1",
        "opensearch://:SECRET@127.0.0.1",
        "opensearch://me:@127.0.0.1",
        "opensearch://me:SECRET%0d%0aX@127.0.0.1",
        "opensearch://me:SECRET@10.0.0.1",           /* in the clear */
        "opensearch://me:SECRET@127.0.0.1,10.0.0.1", /* to the second */
        "opensearch://me:SECRET@127.0.0.1/NAME",
        "opensearch://me:SECRET@127.0.0.1?password=SECRET",
    };
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct opensearch_address address;
        struct problem problem = {0};
        int error = opensearch_address_parse(urls[i], &address, &problem);
        if (error != ERR_INVALID || problem.detail[0] == '\0' ||
            strstr(problem.detail, "SECRET") != NULL) {
            fail_msg("%s: %d \"%s\"", urls[i], error, problem.detail);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_left_out),
        cmocka_unit_test(all_of_it),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
