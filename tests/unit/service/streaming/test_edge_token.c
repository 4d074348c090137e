/* service/streaming/edge_token: what passes, what must not, and rotation. */
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "folder.h"
#include "service/streaming/edge_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t now_ms = 1763708399000; /* 2025-11-21 06:59:59 UTC */
static const struct edge_grant grant = {117834520193024000, 3, MANIFEST_CEILING_160, 1763732800};

static struct edge_keys *open_keys(const char *name)
{
    char path[64];
    struct problem problem = {0};
    struct edge_keys *keys = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", test_folder, name);
    assert_int_equal(edge_keys_open(path, &keys, &problem), 0);
    return keys;
}

static void a_token_says_what_was_granted(void **state)
{
    (void)state;
    struct edge_keys *keys = open_keys("a");
    char token[EDGE_TOKEN_SIZE];
    struct edge_grant read;
    edge_token_sign(keys, &grant, token);
    assert_memory_equal(token, "1763732800~117834520193024000.3.160~", 36);
    assert_int_equal(strlen(token), 36 + 64);
    assert_int_equal(edge_token_verify(keys, token, now_ms, &read), 0);
    assert_int_equal(read.track_id, grant.track_id);
    assert_int_equal(read.version, 3);
    assert_int_equal(read.ceiling, MANIFEST_CEILING_160);
    assert_int_equal(edge_token_verify(keys, token, grant.expires_s * 1000 - 1, &read), 0);
    assert_int_equal(edge_token_verify(keys, token, grant.expires_s * 1000, &read), ERR_FORBIDDEN);
    edge_keys_close(keys);
}

static void it_is_the_hmac_an_edge_computes(void **state)
{
    (void)state;
    struct edge_keys *keys = open_keys("a");
    char token[EDGE_TOKEN_SIZE];
    char path[96];
    char hex[65];
    long long created;
    (void)snprintf(path, sizeof path, "%s/a/edge-keys", test_folder);
    FILE *file = fopen(path, "r");
    assert_int_equal(fscanf(file, "%lld %64s", &created, hex), 2);
    (void)fclose(file);
    unsigned char hmac[32];
    char expected[65];
    crypto_auth_hmacsha256_state hashing;
    edge_token_sign(keys, &grant, token);
    crypto_auth_hmacsha256_init(&hashing, (const unsigned char *)hex, 64);
    crypto_auth_hmacsha256_update(&hashing, (const unsigned char *)token, 35);
    crypto_auth_hmacsha256_final(&hashing, hmac);
    (void)sodium_bin2hex(expected, sizeof expected, hmac, sizeof hmac);
    assert_string_equal(token + 36, expected);
    edge_keys_close(keys);
}

static void any_changed_byte_is_refused(void **state)
{
    (void)state;
    struct edge_keys *keys = open_keys("a");
    char token[EDGE_TOKEN_SIZE];
    struct edge_grant read;
    edge_token_sign(keys, &grant, token);
    for (size_t i = 0; token[i] != '\0'; i++) {
        char kept = token[i];
        token[i] = (char)(kept ^ 1);
        assert_int_equal(edge_token_verify(keys, token, now_ms, &read), ERR_FORBIDDEN);
        token[i] = kept;
    }
    static const char *const bad[] = {"", "~", "~~", "1~1.1.160~", "x", "1763732800~1.1.lossless"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(edge_token_verify(keys, bad[i], now_ms, &read), ERR_FORBIDDEN);
    }
    token[strlen(token) - 1] = '\0';
    assert_int_equal(edge_token_verify(keys, token, now_ms, &read), ERR_FORBIDDEN);
    edge_keys_close(keys);
}

static void another_servers_token_is_refused(void **state)
{
    (void)state;
    struct edge_keys *ours = open_keys("a");
    struct edge_keys *theirs = open_keys("b");
    char token[EDGE_TOKEN_SIZE];
    struct edge_grant read;
    edge_token_sign(theirs, &grant, token);
    assert_int_equal(edge_token_verify(ours, token, now_ms, &read), ERR_FORBIDDEN);
    edge_keys_close(ours);
    edge_keys_close(theirs);
}

static void a_token_outlives_one_rotation(void **state)
{
    (void)state;
    char path[64];
    struct problem problem = {0};
    struct edge_keys *keys = open_keys("c");
    char first[EDGE_TOKEN_SIZE];
    char second[EDGE_TOKEN_SIZE];
    struct edge_grant read;
    edge_token_sign(keys, &grant, first);
    (void)snprintf(path, sizeof path, "%s/c", test_folder);
    assert_int_equal(edge_keys_rotate(path, 0, &problem), 0);

    struct edge_keys *other = open_keys("c"); /* another process: knows the new key */
    edge_token_sign(other, &grant, second);
    assert_string_not_equal(first, second);
    assert_int_equal(edge_token_verify(other, first, now_ms, &read), 0);
    (void)usleep(1100000); /* the running one notices */
    assert_int_equal(edge_token_verify(keys, second, now_ms, &read), 0);
    assert_int_equal(edge_token_verify(keys, first, now_ms, &read), 0);

    assert_int_equal(edge_keys_rotate(path, 0, &problem), 0);
    struct edge_keys *third = open_keys("c");
    assert_int_equal(edge_token_verify(third, second, now_ms, &read), 0);
    assert_int_equal(edge_token_verify(third, first, now_ms, &read), ERR_FORBIDDEN);
    edge_keys_close(keys);
    edge_keys_close(other);
    edge_keys_close(third);
}

static void a_key_is_good_before_it_signs(void **state)
{
    (void)state;
    char path[64];
    struct problem problem = {0};
    struct edge_keys *keys = open_keys("d");
    char before[EDGE_TOKEN_SIZE], waiting[EDGE_TOKEN_SIZE], after[EDGE_TOKEN_SIZE];
    struct edge_grant read;
    edge_token_sign(keys, &grant, before);
    (void)snprintf(path, sizeof path, "%s/d", test_folder);
    assert_int_equal(edge_keys_rotate(path, 3600 * 1000, &problem), 0);
    struct edge_keys *other = open_keys("d");
    edge_token_sign(other, &grant, waiting);
    assert_string_equal(waiting, before);

    char copy[64];
    char file[96];
    long long since = 0;
    char hex[65];
    (void)snprintf(copy, sizeof copy, "%s/e", test_folder);
    (void)snprintf(file, sizeof file, "%s/edge-keys", path);
    FILE *keys_file = fopen(file, "r");
    assert_int_equal(fscanf(keys_file, "%*d %*64s %lld %64s", &since, hex), 2);
    (void)fclose(keys_file);
    assert_true(since > clock_wall_ms() + 3500 * 1000);
    edge_keys_close(open_keys("e")); /* one that has the same newest key, whose time has come */
    (void)snprintf(file, sizeof file, "%s/edge-keys", copy);
    keys_file = fopen(file, "w");
    (void)fprintf(keys_file, "1 %064d\n2 %s\n", 7, hex);
    (void)fclose(keys_file);
    struct edge_keys *later = open_keys("e");
    edge_token_sign(later, &grant, after);
    assert_string_not_equal(after, before);
    assert_int_equal(edge_token_verify(other, after, now_ms, &read), 0);
    assert_int_equal(edge_token_verify(other, before, now_ms, &read), 0);
    edge_keys_close(keys);
    edge_keys_close(other);
    edge_keys_close(later);
}

static void ends_are_on_the_hour(void **state)
{
    (void)state;
    const int64_t hour = 1763708400; /* 07:00:00 */
    assert_int_equal(edge_token_expiry(hour * 1000), hour + 7 * 3600);
    assert_int_equal(edge_token_expiry(hour * 1000 + 3599999), hour + 7 * 3600);
    assert_int_equal(edge_token_expiry(hour * 1000 - 1), hour + 6 * 3600);
}

static void the_keys_are_nobody_elses(void **state)
{
    (void)state;
    char path[96];
    struct stat status;
    edge_keys_close(open_keys("a"));
    (void)snprintf(path, sizeof path, "%s/a/edge-keys", test_folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_what_was_granted),
        cmocka_unit_test(it_is_the_hmac_an_edge_computes),
        cmocka_unit_test(any_changed_byte_is_refused),
        cmocka_unit_test(another_servers_token_is_refused),
        cmocka_unit_test(a_token_outlives_one_rotation),
        cmocka_unit_test(a_key_is_good_before_it_signs),
        cmocka_unit_test(ends_are_on_the_hour),
        cmocka_unit_test(the_keys_are_nobody_elses),
    };
    if (sodium_init() < 0 || test_folder_make() != 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_folder_remove();
    return failed;
}
