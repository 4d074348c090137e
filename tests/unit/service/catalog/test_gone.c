/* service/catalog/gone: what was deleted is known, and forgotten after the grace. */
#include "service/catalog/gone.h"

#include "base/clock.h"
#include "service/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void many_are_known(void **state)
{
    (void)state;
    struct gone_set *set = gone_new();
    int64_t now_ms = clock_wall_ms();
    for (int64_t id = 1; id <= 5000; id++) {
        gone_add(set, id * 4096, now_ms);
        gone_add(set, id * 4096, now_ms);
    }
    for (int64_t id = 1; id <= 5000; id++) {
        assert_true(gone_has(set, id * 4096));
        assert_false(gone_has(set, id * 4096 + 1));
    }
    gone_free(set);
}

static void old_ones_leave(void **state)
{
    (void)state;
    struct gone_set *set = gone_new();
    gone_add(set, 7, clock_wall_ms() - CATALOG_OBJECT_GRACE_MS - 1000);
    assert_true(gone_has(set, 7));
    for (int64_t id = 100; id < 200; id++) {
        gone_add(set, id, clock_wall_ms());
    }
    assert_false(gone_has(set, 7));
    assert_true(gone_has(set, 150));
    gone_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_are_known),
        cmocka_unit_test(old_ones_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
