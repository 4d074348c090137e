/* service/objectstore/s3_keys: keys are made once, kept readable to nobody else, and known at once.
 */
#include "base/error.h"
#include "base/problem.h"
#include "service/objectstore/s3_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/tutti-keys-XXXXXX";
static char folder[64];

static void assert_private(const char *name)
{
    char path[128];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void the_internal_key_stays(void **state)
{
    (void)state;
    struct problem problem = {0};
    struct objectstore_key first;
    struct objectstore_key second;
    assert_int_equal(objectstore_internal_key(folder, &first, &problem), 0);
    assert_int_equal(objectstore_internal_key(folder, &second, &problem), 0);
    assert_string_equal(first.id, second.id);
    assert_string_equal(first.secret, second.secret);
    assert_int_equal(strlen(first.id), 20);
    assert_int_equal(strlen(first.secret), 40);
    assert_private("s3-internal");
}

static void an_outside_key_counts_at_once(void **state)
{
    (void)state;
    struct problem problem = {0};
    struct s3_keys *keys = NULL;
    struct objectstore_key added;
    char secret[SIGV4_SECRET_SIZE];
    bool internal = true;
    assert_int_equal(s3_keys_open(folder, &keys, &problem), 0);
    assert_false(s3_keys_find(keys, "NOBODY", secret, &internal));
    assert_int_equal(objectstore_key_add(folder, "label", &added, &problem), 0);
    assert_private("s3-keys");
    assert_true(s3_keys_find(keys, added.id, secret, &internal));
    assert_string_equal(secret, added.secret);
    assert_false(internal);
    struct objectstore_key own;
    assert_int_equal(objectstore_internal_key(folder, &own, &problem), 0);
    assert_true(s3_keys_find(keys, own.id, secret, &internal));
    assert_true(internal);
    s3_keys_close(keys);
}

/* As when its file system is unmounted for a moment. */
static void keys_whose_file_was_away_count_again(void **state)
{
    (void)state;
    struct problem problem = {0};
    struct s3_keys *keys = NULL;
    struct objectstore_key added;
    char secret[SIGV4_SECRET_SIZE], path[128], away[128];
    bool internal;
    (void)snprintf(path, sizeof path, "%s/s3-keys", folder);
    (void)snprintf(away, sizeof away, "%s/away", root);
    assert_int_equal(s3_keys_open(folder, &keys, &problem), 0);
    assert_int_equal(objectstore_key_add(folder, "moved", &added, &problem), 0);
    assert_true(s3_keys_find(keys, added.id, secret, &internal));
    assert_int_equal(rename(path, away), 0);
    assert_false(s3_keys_find(keys, added.id, secret, &internal));
    assert_int_equal(rename(away, path), 0);
    assert_true(s3_keys_find(keys, added.id, secret, &internal));
    assert_string_equal(secret, added.secret);
    s3_keys_close(keys);
}

static void names_are_checked_and_unique(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a b", "a\nb", "../x", "é"};
    struct problem problem = {0};
    struct objectstore_key key;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(objectstore_key_add(folder, bad[i], &key, &problem), ERR_INVALID);
    }
    assert_int_equal(objectstore_key_add(folder, "twice", &key, &problem), 0);
    assert_int_equal(objectstore_key_add(folder, "twice", &key, &problem), ERR_EXISTS);
    assert_non_null(strstr(problem.detail, "twice"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_internal_key_stays),
        cmocka_unit_test(an_outside_key_counts_at_once),
        cmocka_unit_test(keys_whose_file_was_away_count_again),
        cmocka_unit_test(names_are_checked_and_unique),
    };
    if (sodium_init() < 0 || mkdtemp(root) == NULL) {
        return 1;
    }
    (void)snprintf(folder, sizeof folder, "%s/keys", root);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/s3-internal", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/s3-keys", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    (void)rmdir(root);
    return failed;
}
