/* identity/delays: they grow, they end, they don't lock anybody out. Time is an argument. */
#include "service/identity/delays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

static struct delays *delays;

static void fail_times(const struct delay_keys *keys, unsigned times, int64_t now_ms)
{
    for (unsigned i = 0; i < times; i++) {
        delays_failed(delays, keys, now_ms);
    }
}

static void grows_and_ends(void **state)
{
    (void)state;
    struct delay_keys keys = delays_keys(delays, "grows", "192.0.2.1");
    int64_t now_ms = 1000000;
    fail_times(&keys, 3, now_ms);
    assert_int_equal(delays_left_ms(delays, &keys, false, now_ms), 0);
    int64_t expected_ms = 1000;
    for (unsigned i = 0; i < 12; i++) {
        delays_failed(delays, &keys, now_ms);
        assert_int_equal(delays_left_ms(delays, &keys, false, now_ms), expected_ms);
        assert_int_equal(delays_left_ms(delays, &keys, false, now_ms + expected_ms), 0);
        now_ms += expected_ms;
        expected_ms = expected_ms * 2 < 300000 ? expected_ms * 2 : 300000;
    }
    delays_succeeded(delays, &keys);
    assert_int_equal(delays_left_ms(delays, &keys, false, now_ms - 1), 0);
}

/* The pair's three free ones and not the address's hundred; nobody else's row is touched. */
static void account_alone(void **state)
{
    (void)state;
    struct delay_keys keys = delays_keys_of_account(delays, "alone");
    fail_times(&keys, 3, 2000);
    assert_int_equal(delays_left_ms(delays, &keys, false, 2000), 0);
    delays_failed(delays, &keys, 2000);
    assert_int_equal(delays_left_ms(delays, &keys, false, 2000), 1000);
    delays_failed(delays, &keys, 3000);
    assert_int_equal(delays_left_ms(delays, &keys, false, 3000), 2000);
    struct delay_keys elsewhere = delays_keys(delays, "alone", "192.0.2.3");
    assert_int_equal(delays_left_ms(delays, &elsewhere, false, 3000), 0);
    delays_succeeded(delays, &keys);
    assert_int_equal(delays_left_ms(delays, &keys, false, 3000), 0);
}

static void quiet_forgets(void **state)
{
    (void)state;
    struct delay_keys keys = delays_keys(delays, "quiet", "192.0.2.2");
    fail_times(&keys, 6, 1000);
    assert_true(delays_left_ms(delays, &keys, false, 1000) > 0);
    int64_t later_ms = 1000 + 31 * 60 * 1000;
    delays_failed(delays, &keys, later_ms);
    assert_int_equal(delays_left_ms(delays, &keys, false, later_ms), 0);
}

/* A guesser elsewhere slows others at that account by 30 s at most, and its owner at home not at
 * all. */
static void owner_is_not_kept_out(void **state)
{
    (void)state;
    char address[32];
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(address, sizeof address, "198.51.100.%u", i);
        struct delay_keys guesser = delays_keys(delays, "victim", address);
        delays_failed(delays, &guesser, 5000);
    }
    struct delay_keys owner = delays_keys(delays, "victim", "203.0.113.9");
    assert_int_equal(delays_left_ms(delays, &owner, false, 5000), 30000);
    assert_int_equal(delays_left_ms(delays, &owner, true, 5000), 0);
}

static void one_address_many_accounts(void **state)
{
    (void)state;
    char account[32];
    for (unsigned i = 0; i < 102; i++) {
        (void)snprintf(account, sizeof account, "account%u", i);
        struct delay_keys keys = delays_keys(delays, account, "2001:db8:1:2::5");
        delays_failed(delays, &keys, 7000);
    }
    struct delay_keys same_network = delays_keys(delays, "fresh", "2001:db8:1:2:ffff::1");
    struct delay_keys other_network = delays_keys(delays, "fresh", "2001:db8:1:3::1");
    assert_int_equal(delays_left_ms(delays, &same_network, true, 7000), 2000);
    assert_int_equal(delays_left_ms(delays, &other_network, false, 7000), 0);
}

static void table_is_bounded(void **state)
{
    (void)state;
    char account[32];
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(account, sizeof account, "flood%u", i);
        struct delay_keys keys = delays_keys(delays, account, "192.0.2.77");
        delays_failed(delays, &keys, 9000);
    }
    struct delay_keys keys = delays_keys(delays, "flood99999", "192.0.2.77");
    assert_int_equal(delays_left_ms(delays, &keys, true, 9000), 60000);
}

int main(void)
{
    static const unsigned char secret[DELAYS_SECRET_BYTES] = "any";
    if (sodium_init() < 0 || delays_new(secret, &delays) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_ends),
        cmocka_unit_test(account_alone),
        cmocka_unit_test(quiet_forgets),
        cmocka_unit_test(owner_is_not_kept_out),
        cmocka_unit_test(one_address_many_accounts),
        cmocka_unit_test(table_is_bounded),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    delays_free(delays);
    return failed;
}
