/* bus.store: what is taken, and that what is refused is said without its password. */
#include "backend/bus/bus_address.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct bus_address parsed(const char *url)
{
    struct bus_address address;
    struct problem problem = {0};
    if (bus_address_parse(url, &address, &problem) != 0) {
        fail_msg("%s: %s", url, problem.detail);
    }
    return address;
}

static void local_is_plain(void **state)
{
    (void)state;
    struct bus_address address = parsed("local:");
    assert_int_equal(address.kind, BUS_LOCAL);
    assert_int_equal(address.retry_ms, 1000);
    assert_int_equal(address.lease_ms, 6000);
    assert_int_equal(parsed("local:?retry_ms=5&prune_ms=20").prune_ms, 20);
}

static void hosts_get_ports(void **state)
{
    (void)state;
    assert_string_equal(parsed("kafka://one").hosts, "one:9092");
    assert_string_equal(parsed("kafka://one,two:19092,[::1]:7").hosts,
                        "one:9092,two:19092,[::1]:7");
    struct bus_address address = parsed("kafka://one");
    assert_int_equal(address.kind, BUS_KAFKA);
    assert_int_equal(address.replicas, 3);
    assert_string_equal(address.prefix, "tutti");
    assert_int_equal(address.sasl, BUS_SASL_NONE);
    assert_false(address.tls);
}

static void names_and_passwords_are_decoded(void **state)
{
    (void)state;
    struct bus_address address =
        parsed("kafka://us%65r:p%40ss%3a%2Fword@one:1,two:2?tls=yes&ca=/etc/ca%20s.pem&sasl=plain");
    assert_string_equal(address.user, "user");
    assert_string_equal(address.password, "p@ss:/word");
    assert_string_equal(address.ca, "/etc/ca s.pem");
    assert_int_equal(address.sasl, BUS_SASL_PLAIN);
    assert_true(address.tls);
    assert_int_equal(parsed("kafka://u:p@one").sasl, BUS_SASL_SCRAM_512);
    assert_int_equal(parsed("kafka://u:p@127.0.0.1?sasl=plain").sasl, BUS_SASL_PLAIN);
}

static void scram_of_an_old_client_is_named_where_it_is_refused(void **state)
{
    (void)state;
    struct bus_address scram = parsed("kafka://u:p@one"), plain = parsed("kafka://u:p@127.0.0.1?"
                                                                         "sasl=plain");
    assert_non_null(strstr(bus_address_refused(&scram, 0x020002ff), "sasl=plain"));
    assert_null(strstr(bus_address_refused(&scram, 0x020601ff), "sasl=plain"));
    assert_null(strstr(bus_address_refused(&plain, 0x020002ff), "sasl=plain"));
}

static void the_rest_is_refused_without_the_password(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "carrier-pigeon:",
        "localhost",
        "local://",
        "local:?retry_ms",
        "local:?retry_ms=",
        "local:?retry_ms=0",
        "local:?retry_ms=5x",
        "local:?colour=red",
        "local:?sasl=plain",
        "local:?tls=yes",
        "local:?partitions=3",
        "kafka:one",
        "kafka://",
        "kafka://?replicas=1",
        "kafka://one,",
        "kafka://,one",
        "kafka://one,,two",
        "kafka://one:",
        "kafka://one:0",
        "kafka://one:65536",
        "kafka://one:12:13",
        "kafka://one two",
        "kafka://[::1",
        "kafka://one/topic",
        "kafka://secret@one",
        "kafka://:secret@one",
        "kafka://user:@one",
        "kafka://user:secret@",
        "kafka://user:secret%@one",
        "kafka://user:secret%0@one",
        "kafka://user:secret%zz@one",
        "kafka://user:secret%00@one",
        "kafka://user:secret@one?sasl=plain", /* in the clear to another machine */
        "kafka://user:secret@127.0.0.1,one?sasl=plain",
        "kafka://user:secret@one?sasl=gssapi",
        "kafka://one?sasl=plain",
        "kafka://one?tls=maybe",
        "kafka://one?ca=/etc/ca.pem",
        "kafka://one?tls=yes&cert=/etc/cert.pem",
        "kafka://one?prefix=",
        "kafka://one?prefix=a/b",
        "kafka://one?replicas=0",
        "kafka://one?partitions=65",
        "kafka://one?partitions=3&&replicas=1",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct bus_address address;
        struct problem problem = {0};
        int r = bus_address_parse(wrong[i], &address, &problem);
        if (r != ERR_INVALID || strstr(problem.detail, "bus.store") == NULL ||
            strstr(problem.detail, "secret") != NULL) {
            fail_msg("\"%s\" gave %d, \"%s\"", wrong[i], r, problem.detail);
        }
    }
}

static void long_ones_are_refused(void **state)
{
    (void)state;
    char url[4096] = "kafka://";
    while (strlen(url) < 2000) {
        (void)strcat(url, "a-host-of-some-name,");
    }
    (void)strcat(url, "one");
    struct bus_address address;
    assert_int_equal(bus_address_parse(url, &address, NULL), ERR_INVALID);
    (void)snprintf(url, sizeof url, "kafka://u:%0300d@one", 7);
    assert_int_equal(bus_address_parse(url, &address, NULL), ERR_INVALID);
    (void)snprintf(url, sizeof url, "kafka://one?prefix=%065d", 7);
    assert_int_equal(bus_address_parse(url, &address, NULL), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_is_plain),
        cmocka_unit_test(hosts_get_ports),
        cmocka_unit_test(names_and_passwords_are_decoded),
        cmocka_unit_test(scram_of_an_old_client_is_named_where_it_is_refused),
        cmocka_unit_test(the_rest_is_refused_without_the_password),
        cmocka_unit_test(long_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
