/* base/buffer: growth, the maximum, the sticky failure. */
#include "base/buffer.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void it_grows_and_stays_a_string(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buffer_printf(&buffer, "%d,", i), 0);
        assert_int_equal(buffer.data[buffer.length], 0);
    }
    assert_int_equal(strlen(buffer.data), buffer.length);
    buffer_done(&buffer);
}

static void past_its_maximum_it_fails_and_stays_failed(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 4);
    assert_int_equal(buffer_add(&buffer, "1234"), 0);
    assert_int_equal(buffer_add(&buffer, "5"), ERR_TOO_LARGE);
    assert_int_equal(buffer_add(&buffer, ""), ERR_TOO_LARGE);
    assert_string_equal(buffer.data, "1234");
    assert_int_equal(buffer_error(&buffer), ERR_TOO_LARGE);
    buffer_reset(&buffer);
    assert_int_equal(buffer_add(&buffer, "ok"), 0);
    buffer_done(&buffer);
}

static void what_is_taken_is_the_callers(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 64);
    (void)buffer_add(&buffer, "coda");
    size_t length = 0;
    char *taken = buffer_take(&buffer, &length);
    assert_string_equal(taken, "coda");
    assert_int_equal(length, 4);
    assert_int_equal(buffer.length, 0);
    free(taken);
    buffer_done(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_and_stays_a_string),
        cmocka_unit_test(past_its_maximum_it_fails_and_stays_failed),
        cmocka_unit_test(what_is_taken_is_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
