/* identity/strangers: what bad tokens an address may try in a second. Time is an argument. */
#include "service/identity/strangers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

static struct strangers *strangers;

static void bounded_in_each_second(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STRANGER_CHECKS_PER_SECOND; i++) {
        assert_true(strangers_may_try(strangers, "192.0.2.1", 5000));
        strangers_failed(strangers, "192.0.2.1", 5999);
    }
    assert_false(strangers_may_try(strangers, "192.0.2.1", 5999));
    assert_true(strangers_may_try(strangers, "192.0.2.2", 5999));
    assert_true(strangers_may_try(strangers, "192.0.2.1", 6000));
}

/* Who has a /64 has as many addresses as they want. */
static void counts_the_owner(void **state)
{
    (void)state;
    char address[64];
    for (unsigned i = 0; i < STRANGER_CHECKS_PER_SECOND; i++) {
        (void)snprintf(address, sizeof address, "2001:db8:1:2:%x::%x", i + 1, i);
        assert_true(strangers_may_try(strangers, address, 7000));
        strangers_failed(strangers, address, 7000);
    }
    assert_false(strangers_may_try(strangers, "2001:db8:1:2:ffff::1", 7000));
    assert_true(strangers_may_try(strangers, "2001:db8:1:3::1", 7000));
}

int main(void)
{
    if (sodium_init() < 0 || strangers_new(&strangers) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounded_in_each_second),
        cmocka_unit_test(counts_the_owner),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    strangers_free(strangers);
    return failed;
}
