/* identity/ticket: only what we made is read, and only for its kind. */
#include "service/identity/keys.h"
#include "service/identity/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static unsigned char key[SEAL_KEY_BYTES], other_key[SEAL_KEY_BYTES];

static void comes_back(void **state)
{
    (void)state;
    struct ticket made, read;
    ticket_make(key, TICKET_REFRESH, 7, INT64_MAX, &made);
    assert_int_equal(strlen(made.text), TICKET_TEXT_SIZE - 1);
    assert_true(ticket_read(key, TICKET_REFRESH, made.text, &read));
    assert_int_equal(read.user_id, 7);
    assert_int_equal(read.session_id, INT64_MAX);
    assert_memory_equal(read.hash, made.hash, sizeof made.hash);
}

static void no_two_alike(void **state)
{
    (void)state;
    struct ticket one, two;
    ticket_make(key, TICKET_REFRESH, 7, 8, &one);
    ticket_make(key, TICKET_REFRESH, 7, 8, &two);
    assert_memory_not_equal(one.hash, two.hash, sizeof one.hash);
    assert_string_not_equal(one.text, two.text);
}

static void refuses_what_is_not_ours(void **state)
{
    (void)state;
    struct ticket made, read;
    ticket_make(key, TICKET_REFRESH, 7, 8, &made);
    assert_false(ticket_read(key, TICKET_RESET, made.text, &read));
    assert_false(ticket_read(other_key, TICKET_REFRESH, made.text, &read));
    assert_false(ticket_read(key, TICKET_REFRESH, "", &read));
    for (size_t i = 0; i < TICKET_TEXT_SIZE - 1; i++) {
        char changed[TICKET_TEXT_SIZE];
        memcpy(changed, made.text, sizeof changed);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_false(ticket_read(key, TICKET_REFRESH, changed, &read));
    }
}

int main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }
    randombytes_buf(key, sizeof key);
    randombytes_buf(other_key, sizeof other_key);
    const struct CMUnitTest tests[] = {cmocka_unit_test(comes_back), cmocka_unit_test(no_two_alike),
                                       cmocka_unit_test(refuses_what_is_not_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
