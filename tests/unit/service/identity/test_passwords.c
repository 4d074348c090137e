/* identity/passwords: OWASP's parameters, normal form, unknown people, the gate. */
#include "base/error.h"
#include "base/problem.h"
#include "service/identity/passwords.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

static struct passwords *passwords;

static void hashes_with_owasp_parameters(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    assert_int_equal(passwords_hash(passwords, NULL, "demo-password", hash), 0);
    assert_non_null(strstr(hash, "$argon2id$v=19$m=19456,t=2,p=1$"));
    bool matches = false, outdated = true;
    assert_int_equal(passwords_verify(passwords, NULL, "demo-password", hash, &matches, &outdated),
                     0);
    assert_true(matches);
    assert_false(outdated);
    assert_int_equal(passwords_verify(passwords, NULL, "demo-passworD", hash, &matches, &outdated),
                     0);
    assert_false(matches);
}

static void composed_and_decomposed_are_one(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    bool matches = false, outdated = false;
    assert_int_equal(passwords_hash(passwords, NULL, "caf\xc3\xa9-password", hash), 0);
    assert_int_equal(
        passwords_verify(passwords, NULL, "cafe\xcc\x81-password", hash, &matches, &outdated), 0);
    assert_true(matches);
}

static void weaker_hash_is_outdated(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    bool matches = false, outdated = false;
    assert_int_equal(crypto_pwhash_str(hash, "demo-password", 13, 1, 8 * 1024 * 1024), 0);
    assert_int_equal(passwords_verify(passwords, NULL, "demo-password", hash, &matches, &outdated),
                     0);
    assert_true(matches);
    assert_true(outdated);
}

static void nobody_matches_nothing(void **state)
{
    (void)state;
    bool matches = true, outdated = true;
    assert_int_equal(passwords_verify(passwords, NULL, "demo-password", NULL, &matches, &outdated),
                     0);
    assert_false(matches);
    assert_false(outdated);
}

enum { CROWD = 8 };

static void *hash_once(void *argument)
{
    char hash[PASSWORD_HASH_SIZE];
    *(int *)argument = passwords_hash(passwords, NULL, "demo-password", hash);
    return NULL;
}

/* Two hash, one may wait, the others of a crowd are refused at once. */
static void crowd_is_refused(void **state)
{
    (void)state;
    pthread_t threads[CROWD];
    int errors[CROWD];
    unsigned done = 0, refused = 0;
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hash_once, &errors[i]), 0);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        (void)pthread_join(threads[i], NULL);
        done += errors[i] == 0;
        refused += errors[i] == ERR_BUSY;
    }
    assert_int_equal(done + refused, CROWD);
    assert_true(done >= 3);
    assert_true(refused >= 1);
}

int main(void)
{
    if (sodium_init() < 0 || passwords_new(2, 1, &passwords) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_with_owasp_parameters),
        cmocka_unit_test(composed_and_decomposed_are_one),
        cmocka_unit_test(weaker_hash_is_outdated),
        cmocka_unit_test(nobody_matches_nothing),
        cmocka_unit_test(crowd_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    passwords_free(passwords);
    return failed;
}
