/* identity/passwords: OWASP's parameters, normal form, unknown people. */
#include "service/identity/passwords.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void hashes_with_owasp_parameters(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    assert_int_equal(passwords_hash("demo-password", hash), 0);
    assert_non_null(strstr(hash, "$argon2id$v=19$m=19456,t=2,p=1$"));
    bool matches = false, outdated = true;
    assert_int_equal(passwords_verify("demo-password", hash, &matches, &outdated), 0);
    assert_true(matches);
    assert_false(outdated);
    assert_int_equal(passwords_verify("demo-passworD", hash, &matches, &outdated), 0);
    assert_false(matches);
}

static void composed_and_decomposed_are_one(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    bool matches = false, outdated = false;
    assert_int_equal(passwords_hash("caf\xc3\xa9-password", hash), 0);
    assert_int_equal(passwords_verify("cafe\xcc\x81-password", hash, &matches, &outdated), 0);
    assert_true(matches);
}

static void weaker_hash_is_outdated(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    bool matches = false, outdated = false;
    assert_int_equal(crypto_pwhash_str(hash, "demo-password", 13, 1, 8 * 1024 * 1024), 0);
    assert_int_equal(passwords_verify("demo-password", hash, &matches, &outdated), 0);
    assert_true(matches);
    assert_true(outdated);
}

static void nobody_matches_nothing(void **state)
{
    (void)state;
    bool matches = true, outdated = true;
    assert_int_equal(passwords_verify("demo-password", NULL, &matches, &outdated), 0);
    assert_false(matches);
    assert_false(outdated);
}

int main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_with_owasp_parameters),
        cmocka_unit_test(composed_and_decomposed_are_one),
        cmocka_unit_test(weaker_hash_is_outdated),
        cmocka_unit_test(nobody_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
