/* identity/token, keys, token_cache: a token is ours, whole and young, or it is nothing. */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "service/identity/keys.h"
#include "service/identity/roles.h"
#include "service/identity/token.h"
#include "service/identity/token_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ISSUER "http://localhost:4040"

static char directory[64];
static struct key_ring *ring;
static struct arena *arena;

/* The wall clock, so many milliseconds ahead of the true one. */
static void skew_to(int64_t ahead_ms)
{
    static int64_t now_ahead_ms;
    clock_wall_skew_ms(ahead_ms - now_ahead_ms);
    now_ahead_ms = ahead_ms;
}

static const char *issue(struct token_claims *claims)
{
    *claims = (struct token_claims){
        .user_id = 11, .session_id = 12, .roles = ROLE_LISTENER | ROLE_ARTIST, .plan = "premium"};
    const char *text = NULL;
    assert_int_equal(token_issue(ring, ISSUER, claims, arena, &text), 0);
    return text;
}

static int verify(const char *text, int64_t now_ms, struct token_claims *claims)
{
    const char *why = NULL;
    int error = token_verify(ring, ISSUER, text, strlen(text), now_ms, claims, &why);
    assert_true(error == 0 || (error == ERR_UNAUTHENTICATED && why != NULL));
    return error;
}

/* A token signed by our own key over a header and claims of somebody's choice. */
static const char *forge(const char *header_json, const char *claims_json)
{
    struct signing_key key;
    char header[256], payload[1024], signature_text[128];
    unsigned char signature[crypto_sign_BYTES];
    assert_int_equal(key_ring_current(ring, &key), 0);
    if (header_json == NULL) {
        (void)snprintf(header, sizeof header, "%s", key.header);
    } else {
        (void)sodium_bin2base64(header, sizeof header, (const unsigned char *)header_json,
                                strlen(header_json), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    }
    (void)sodium_bin2base64(payload, sizeof payload, (const unsigned char *)claims_json,
                            strlen(claims_json), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *signed_part = arena_printf(arena, "%s.%s", header, payload);
    (void)crypto_sign_detached(signature, NULL, (unsigned char *)signed_part, strlen(signed_part),
                               key.secret_key);
    (void)sodium_bin2base64(signature_text, sizeof signature_text, signature, sizeof signature,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return arena_printf(arena, "%s.%s", signed_part, signature_text);
}

static const char *claims_json(const char *issuer, const char *roles, int64_t issued_s,
                               int64_t life_s)
{
    return arena_printf(
        arena,
        "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"11\",\"sid\":\"12\",\"jti\":\"13\","
        "\"roles\":%s,\"plan\":\"free\",\"iat\":%lld,\"exp\":%lld}",
        issuer, issuer, roles, (long long)issued_s, (long long)(issued_s + life_s));
}

static void round_trip(void **state)
{
    (void)state;
    struct token_claims made, read = {0};
    const char *text = issue(&made);
    assert_int_equal(verify(text, clock_wall_ms(), &read), 0);
    assert_memory_equal(&made, &read, sizeof made);
    assert_int_equal(read.expires_s - read.issued_s, 900);
    assert_int_equal(verify(text, read.expires_s * 1000, &read), ERR_UNAUTHENTICATED);
    assert_int_equal(verify(text, read.expires_s * 1000 - 1, &read), 0);
}

static void any_changed_character_is_refused(void **state)
{
    (void)state;
    struct token_claims claims;
    const char *text = issue(&claims);
    char *changed = arena_strdup(arena, text);
    for (size_t i = 0; text[i] != '\0'; i++) {
        changed[i] = text[i] == 'A' ? 'B' : 'A';
        assert_int_equal(verify(changed, clock_wall_ms(), &claims), ERR_UNAUTHENTICATED);
        changed[i] = text[i];
    }
    for (size_t length = 0; length < strlen(text); length++) {
        const char *why = NULL;
        assert_int_equal(token_verify(ring, ISSUER, text, length, clock_wall_ms(), &claims, &why),
                         ERR_UNAUTHENTICATED);
    }
}

static void only_our_header_and_claims(void **state)
{
    (void)state;
    struct token_claims claims;
    int64_t now_ms = clock_wall_ms(), now_s = now_ms / 1000;
    const char *good = claims_json(ISSUER, "[\"listener\"]", now_s, 900);
    assert_int_equal(verify(forge(NULL, good), now_ms, &claims), 0);
    assert_int_equal(verify(forge("{\"alg\":\"none\"}", good), now_ms, &claims),
                     ERR_UNAUTHENTICATED);
    assert_int_equal(verify(forge("{\"alg\":\"EdDSA\"}", good), now_ms, &claims),
                     ERR_UNAUTHENTICATED);
    const char *const bad[] = {
        claims_json("http://elsewhere", "[\"listener\"]", now_s, 900),
        claims_json(ISSUER, "[\"owner\"]", now_s, 900),
        claims_json(ISSUER, "[\"admin\",\"admin\"]", now_s, 900),
        claims_json(ISSUER, "\"admin\"", now_s, 900),
        claims_json(ISSUER, "[\"listener\"]", now_s, 86400),
        claims_json(ISSUER, "[\"listener\"]", now_s + 600, 900),
        "[]",
        "{}",
        "{\"iss\":\"" ISSUER "\",\"iss\":\"" ISSUER "\"}",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(verify(forge(NULL, bad[i]), now_ms, &claims), ERR_UNAUTHENTICATED);
    }
}

static void rotation(void **state)
{
    (void)state;
    struct token_claims claims;
    struct key_ring *neighbour = NULL;
    assert_int_equal(key_ring_open(directory, &neighbour, NULL), 0);
    const char *old = issue(&claims);
    struct signing_key before, after;
    assert_int_equal(key_ring_current(ring, &before), 0);
    assert_int_equal(key_ring_rotate(neighbour, NULL), 0);
    assert_int_equal(key_ring_current(neighbour, &after), 0);
    assert_string_not_equal(before.id, after.id);
    /* The neighbour's new tokens are known here at once, the old ones there as well. */
    struct token_claims new_claims = {
        .user_id = 1, .session_id = 2, .roles = ROLE_LISTENER, .plan = "free"};
    const char *text = NULL, *why = NULL;
    assert_int_equal(token_issue(neighbour, ISSUER, &new_claims, arena, &text), 0);
    assert_int_equal(verify(text, clock_wall_ms(), &claims), 0);
    assert_int_equal(
        token_verify(neighbour, ISSUER, old, strlen(old), clock_wall_ms(), &claims, &why), 0);
    json_t *jwks = key_ring_jwks(ring);
    assert_int_equal(json_array_size(json_object_get(jwks, "keys")), 2);
    assert_null(json_object_get(json_array_get(json_object_get(jwks, "keys"), 0), "d"));
    json_decref(jwks);
    /* When every token of the old key has run out, so has the key, and the next rotation removes
     * its file. */
    skew_to(KEY_OVERLAP_MS + 1000);
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    assert_false(key_ring_find(ring, before.header, strlen(before.header), public_key));
    assert_true(key_ring_find(ring, after.header, strlen(after.header), public_key));
    char file[160];
    (void)snprintf(file, sizeof file, "%s/ed25519-%s.jwk", directory, before.id);
    assert_int_equal(access(file, F_OK), 0);
    assert_int_equal(key_ring_rotate(ring, NULL), 0);
    assert_int_not_equal(access(file, F_OK), 0);
    skew_to(0);
    key_ring_close(neighbour);
}

static void readable_key_stops_the_start(void **state)
{
    (void)state;
    struct signing_key key;
    char file[160];
    assert_int_equal(key_ring_current(ring, &key), 0);
    (void)snprintf(file, sizeof file, "%s/ed25519-%s.jwk", directory, key.id);
    assert_int_equal(chmod(file, 0644), 0);
    struct key_ring *other = NULL;
    struct problem problem = {0};
    assert_int_equal(key_ring_open(directory, &other, &problem), ERR_INVALID);
    assert_non_null(strstr(problem.detail, "chmod 600"));
    assert_int_equal(chmod(file, 0600), 0);
}

static void cache_keeps_until_expiry(void **state)
{
    (void)state;
    struct token_cache *cache = NULL;
    struct token_claims claims, found;
    assert_int_equal(token_cache_new(&cache), 0);
    const char *text = issue(&claims);
    struct token_tag tag = token_cache_tag(cache, text, strlen(text));
    assert_false(token_cache_find(cache, tag, 0, &found));
    assert_true(token_cache_keep(cache, tag, &claims));
    assert_true(token_cache_find(cache, tag, claims.expires_s * 1000 - 1, &found));
    assert_memory_equal(&found, &claims, sizeof found);
    assert_false(token_cache_find(cache, tag, claims.expires_s * 1000, &found));
    token_cache_free(cache);
}

static void bars_end_sessions_and_outdate_people(void **state)
{
    (void)state;
    struct token_cache *cache = NULL;
    struct token_claims claims, found;
    assert_int_equal(token_cache_new(&cache), 0);
    const char *text = issue(&claims);
    struct token_tag tag = token_cache_tag(cache, text, strlen(text));
    assert_true(token_cache_keep(cache, tag, &claims));
    int64_t now_ms = clock_wall_ms();
    token_cache_bar(cache, claims.session_id + 1, INT64_MAX, now_ms);
    assert_true(token_cache_find(cache, tag, now_ms, &found));
    token_cache_bar(cache, claims.user_id, id_next(), now_ms);
    assert_false(token_cache_find(cache, tag, now_ms, &found));
    assert_false(token_cache_keep(cache, tag, &claims));
    /* A token made after the change is good, until its session ends. */
    text = issue(&claims);
    tag = token_cache_tag(cache, text, strlen(text));
    assert_true(token_cache_keep(cache, tag, &claims));
    token_cache_bar(cache, claims.session_id, INT64_MAX, now_ms);
    assert_false(token_cache_find(cache, tag, now_ms, &found));
    assert_false(token_cache_keep(cache, tag, &claims));
    token_cache_free(cache);
}

static void cache_is_bounded(void **state)
{
    (void)state;
    struct token_cache *cache = NULL;
    assert_int_equal(token_cache_new(&cache), 0);
    struct token_claims claims, found;
    (void)issue(&claims);
    for (uint64_t i = 0; i < 100000; i++) {
        struct token_tag tag = token_cache_tag(cache, (const char *)&i, sizeof i);
        claims.token_id = (int64_t)i + 1;
        assert_true(token_cache_keep(cache, tag, &claims));
        assert_true(token_cache_find(cache, tag, clock_wall_ms(), &found));
        assert_int_equal(found.token_id, i + 1);
    }
    token_cache_free(cache);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/tutti-test-keys-%d", (int)getpid());
    arena = arena_new(0);
    return sodium_init() < 0 ? -1 : key_ring_open(directory, &ring, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    key_ring_close(ring);
    arena_free(arena);
    DIR *files = opendir(directory);
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        (void)unlinkat(dirfd(files), entry->d_name, 0);
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(any_changed_character_is_refused),
        cmocka_unit_test(only_our_header_and_claims),
        cmocka_unit_test(rotation),
        cmocka_unit_test(readable_key_stops_the_start),
        cmocka_unit_test(cache_keeps_until_expiry),
        cmocka_unit_test(bars_end_sessions_and_outdate_people),
        cmocka_unit_test(cache_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
