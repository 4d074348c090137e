/* Addresses, networks, and what proxies say. */
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct address parse(const char *text)
{
    struct address address;
    assert_true(address_parse(text, &address));
    return address;
}

static void addresses_go_round(void **state)
{
    (void)state;
    static const char *const texts[] = {"1.2.3.4", "255.255.255.255", "::1", "2001:db8::5"};
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[ADDRESS_TEXT_SIZE];
        struct address address = parse(texts[i]);
        address_format(&address, text);
        assert_string_equal(text, texts[i]);
    }
    struct address address;
    assert_false(address_parse("1.2.3", &address));
    assert_false(address_parse("", &address));
}

static void owners_are_networks_in_ipv6(void **state)
{
    (void)state;
    struct address one = parse("2001:db8::1"), two = parse("2001:db8::ffff:1"),
                   other = parse("2001:db8:0:1::1");
    one = address_owner(&one);
    two = address_owner(&two);
    other = address_owner(&other);
    assert_memory_equal(&one, &two, sizeof one);
    assert_memory_not_equal(&one, &other, sizeof one);
    struct address v4 = parse("1.2.3.4"), neighbour = parse("1.2.3.5");
    v4 = address_owner(&v4);
    neighbour = address_owner(&neighbour);
    assert_memory_not_equal(&v4, &neighbour, sizeof v4);
}

static bool holds(const char *list, const char *text)
{
    struct networks networks;
    struct address address = parse(text);
    assert_true(networks_parse(list, &networks));
    return networks_hold(&networks, &address);
}

static void networks_hold_addresses(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8, ::1", "10.255.1.1"));
    assert_true(holds("10.0.0.0/8, ::1", "::1"));
    assert_false(holds("10.0.0.0/8, ::1", "11.0.0.1"));
    assert_true(holds("192.168.1.128/25", "192.168.1.200"));
    assert_false(holds("192.168.1.128/25", "192.168.1.100"));
    assert_true(holds("0.0.0.0/0", "9.9.9.9"));
    assert_false(holds("0.0.0.0/0", "2001::1"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_false(holds("", "1.1.1.1"));
    struct networks networks;
    static const char *const bad[] = {"10.0.0.0/33", "x",      "10.0.0.0/",
                                      "10.0.0.0/-1", "::/129", "1.1.1.1,,x"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(networks_parse(bad[i], &networks));
    }
}

/* X-Forwarded-For, the later line first; the peer is 10.0.0.1, 10/8 is trusted. */
static const struct {
    const char *lines[3];
    const char *client;
} walks[] = {
    {{NULL}, "10.0.0.1"},
    {{"1.1.1.1"}, "1.1.1.1"},
    {{"1.1.1.1, 2.2.2.2"}, "2.2.2.2"}, /* the left one is a claim */
    {{"1.1.1.1, 10.0.0.2,10.0.0.3 "}, "1.1.1.1"},
    {{"10.0.0.9"}, "10.0.0.9"},
    {{"1.1.1.1, nonsense"}, "10.0.0.1"},
    {{"1.1.1.1:555"}, "1.1.1.1"},
    {{"[2001:db8::1]:555"}, "2001:db8::1"},
    {{""}, "10.0.0.1"},
    {{"2.2.2.2", "1.1.1.1"}, "2.2.2.2"}, /* the earlier line is a claim */
    {{"10.0.0.3", "1.1.1.1, 10.0.0.2"}, "1.1.1.1"},
    {{"nonsense", "1.1.1.1"}, "10.0.0.1"},
};

static void proxies_are_walked_from_the_right(void **state)
{
    (void)state;
    struct networks trusted;
    assert_true(networks_parse("10.0.0.0/8", &trusted));
    for (unsigned i = 0; i < sizeof walks / sizeof walks[0]; i++) {
        struct address client = parse("10.0.0.1");
        bool goes_on = true;
        for (const char *const *line = walks[i].lines; goes_on && *line != NULL; line++) {
            goes_on = forwarded_walk(&trusted, *line, &client);
        }
        char text[ADDRESS_TEXT_SIZE];
        address_format(&client, text);
        if (strcmp(text, walks[i].client) != 0) {
            fail_msg("row %u: %s", i, text);
        }
    }
}

static void the_nearest_proxy_says_whether_it_was_tls(void **state)
{
    (void)state;
    assert_true(forwarded_https("https"));
    assert_true(forwarded_https("http, HTTPS "));
    assert_false(forwarded_https("https, http"));
    assert_false(forwarded_https("https,"));
    assert_false(forwarded_https(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_go_round),
        cmocka_unit_test(owners_are_networks_in_ipv6),
        cmocka_unit_test(networks_hold_addresses),
        cmocka_unit_test(proxies_are_walked_from_the_right),
        cmocka_unit_test(the_nearest_proxy_says_whether_it_was_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
