/* backend/blob/sigv2: the example of Amazon's S3 developer guide, and what must not pass. */
#include "backend/blob/sigv2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEY_ID    "AKIAIOSFODNN7EXAMPLE"
#define SIGNATURE "NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D"
#define EXPIRES   "1175139620"
#define QUERY(id, signature, expires)                                                              \
    "?AWSAccessKeyId=" id "&Signature=" signature "&Expires=" expires

static const char *content_type;

static const char *header(void *argument, const char *name)
{
    (void)argument;
    return strcasecmp(name, "content-type") == 0 ? content_type : NULL;
}

static bool secret(void *argument, const char *key_id, char out[SIGV4_SECRET_SIZE])
{
    (void)argument;
    (void)snprintf(out, SIGV4_SECRET_SIZE, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    return strcmp(key_id, KEY_ID) == 0;
}

static enum sigv4_result verify(const char *method, const char *target, const char *path)
{
    struct sigv4_signed result = {.signed_headers = NULL};
    struct arena *arena = arena_new(0);
    struct sigv4_request request = {.method = method,
                                    .target = target,
                                    .header = header,
                                    .now_ms = 1175139600000,
                                    .secret = secret,
                                    .form_count = path != NULL ? 1 : 0,
                                    .forms = {{"host", path}}};
    assert_true(sigv2_presigned(&request));
    enum sigv4_result outcome = sigv2_verify(arena, &request, &result);
    if (outcome == SIGV4_OK) {
        assert_string_equal(result.key_id, KEY_ID);
        assert_string_equal(result.payload, "UNSIGNED-PAYLOAD");
        assert_false(sigv4_covers(&result, "x-amz-copy-source"));
    }
    arena_free(arena);
    return outcome;
}

#define EXAMPLE "/johnsmith/photos/puppy.jpg"

static void the_example_passes(void **state)
{
    (void)state;
    assert_int_equal(verify("GET", EXAMPLE QUERY(KEY_ID, SIGNATURE, EXPIRES), NULL), SIGV4_OK);
    /* under /s3, signed without it */
    assert_int_equal(verify("GET", "/s3" EXAMPLE QUERY(KEY_ID, SIGNATURE, EXPIRES), EXAMPLE),
                     SIGV4_OK);
    /* what is no sub-resource is not signed */
    assert_int_equal(verify("GET", EXAMPLE QUERY(KEY_ID, SIGNATURE, EXPIRES) "&more=1", NULL),
                     SIGV4_OK);
}

static void what_is_signed_can_not_be_changed(void **state)
{
    (void)state;
    static const char good[] = EXAMPLE QUERY(KEY_ID, SIGNATURE, EXPIRES);
    assert_int_equal(verify("PUT", good, NULL), SIGV4_MISMATCH);
    assert_int_equal(verify("GET", "/s3" EXAMPLE QUERY(KEY_ID, SIGNATURE, EXPIRES), NULL),
                     SIGV4_MISMATCH);
    assert_int_equal(verify("GET", EXAMPLE "x" QUERY(KEY_ID, SIGNATURE, EXPIRES), NULL),
                     SIGV4_MISMATCH);
    assert_int_equal(verify("GET", EXAMPLE QUERY(KEY_ID, SIGNATURE, "1175139621"), NULL),
                     SIGV4_MISMATCH);
    static const char *const added[] = {"&uploads", "&uploadId=1", "&partNumber=1", "&delete",
                                        "&response-content-type=text/html"};
    for (unsigned i = 0; i < sizeof added / sizeof added[0]; i++) {
        char target[256];
        (void)snprintf(target, sizeof target, "%s%s", good, added[i]);
        assert_int_equal(verify("GET", target, NULL), SIGV4_MISMATCH);
    }
    content_type = "text/html";
    assert_int_equal(verify("GET", good, NULL), SIGV4_MISMATCH);
    content_type = NULL;
}

static void what_is_missing_or_late_is_refused(void **state)
{
    (void)state;
    assert_int_equal(verify("GET", EXAMPLE QUERY("NOBODY", SIGNATURE, EXPIRES), NULL),
                     SIGV4_UNKNOWN_KEY);
    assert_int_equal(verify("GET", EXAMPLE "?AWSAccessKeyId=" KEY_ID "&Expires=" EXPIRES, NULL),
                     SIGV4_MALFORMED);
    assert_int_equal(verify("GET", EXAMPLE "?AWSAccessKeyId=" KEY_ID "&Signature=" SIGNATURE, NULL),
                     SIGV4_MALFORMED);
    static const char *const bad[] = {"", "x", "-1", "99999999999999999999", "1175139620.5"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char target[256];
        (void)snprintf(
            target, sizeof target, "%s%s",
            EXAMPLE "?AWSAccessKeyId=" KEY_ID "&Signature=" SIGNATURE "&Expires=", bad[i]);
        assert_int_equal(verify("GET", target, NULL), SIGV4_MALFORMED);
    }
    /* HMAC-SHA1 of the example with Expires 1175139000, made with OpenSSL */
    assert_int_equal(
        verify("GET", EXAMPLE QUERY(KEY_ID, "w%2BGhHY7UO5C5%2FsiVRBjyVYFS7mo%3D", "1175139000"),
               NULL),
        SIGV4_EXPIRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_passes),
        cmocka_unit_test(what_is_signed_can_not_be_changed),
        cmocka_unit_test(what_is_missing_or_late_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
