/* backend/blob/sigv4: the examples of the Amazon S3 API reference, and what must not pass. */
#include "backend/blob/blob.h"
#include "base/error.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define AUTHORIZATION(headers, signature)                                                          \
    "AWS4-HMAC-SHA256 Credential=" VECTOR_KEY_ID "/20130524/us-east-1/s3/aws4_request,"            \
    "SignedHeaders=" headers ",Signature=" signature

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    return arena == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void the_examples_with_headers_pass(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *extra, *value, *payload, *headers;
        const char *signature;
    } rows[] = {
        {"GET", "/test.txt", "range", "bytes=0-9", VECTOR_EMPTY,
         "host;range;x-amz-content-sha256;x-amz-date",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"GET", "/?lifecycle", "x-other", "1", VECTOR_EMPTY, "host;x-amz-content-sha256;x-amz-date",
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"GET", "/?max-keys=2&prefix=J", "x-other", "1", VECTOR_EMPTY,
         "host;x-amz-content-sha256;x-amz-date",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
        /* the same in another order */
        {"GET", "/?prefix=J&max-keys=2", "x-other", "1", VECTOR_EMPTY,
         "host;x-amz-content-sha256;x-amz-date",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char authorization[512];
        (void)snprintf(authorization, sizeof authorization, AUTHORIZATION("%s", "%s"),
                       rows[i].headers, rows[i].signature);
        struct vector_header headers[] = {
            {"Host", "examplebucket.s3.amazonaws.com"}, {"X-Amz-Date", "20130524T000000Z"},
            {"X-Amz-Content-Sha256", rows[i].payload},  {rows[i].extra, rows[i].value},
            {"Authorization", authorization},           {NULL, NULL}};
        struct sigv4_signed result;
        assert_int_equal(
            vector_verify(arena, rows[i].method, rows[i].target, headers, vector_time_ms, &result),
            SIGV4_OK);
        assert_string_equal(result.key_id, VECTOR_KEY_ID);
        assert_string_equal(result.payload, VECTOR_EMPTY);
        assert_false(result.presigned);
    }
}

static const char put_payload[] =
    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";

static enum sigv4_result put_example(const char *target, const char *date, const char *payload,
                                     const char *storage, int64_t now_ms)
{
    struct vector_header headers[] = {
        {"Host", "examplebucket.s3.amazonaws.com"},
        {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
        {"X-Amz-Date", date},
        {"X-Amz-Storage-Class", storage},
        {"X-Amz-Content-Sha256", payload},
        {"Authorization",
         AUTHORIZATION("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")},
        {NULL, NULL}};
    struct sigv4_signed result;
    return vector_verify(arena, "PUT", target, headers, now_ms, &result);
}

static void the_put_example_passes_and_nothing_near_it(void **state)
{
    (void)state;
    static const char date[] = "20130524T000000Z";
    static const char storage[] = "REDUCED_REDUNDANCY";
    const int64_t now = vector_time_ms;
    assert_int_equal(put_example("/test%24file.text", date, put_payload, storage, now), SIGV4_OK);
    assert_int_equal(put_example("/test$file.text", date, put_payload, storage, now), SIGV4_OK);
    assert_int_equal(
        put_example("/test$file.text", date, put_payload, "  REDUCED_REDUNDANCY ", now), SIGV4_OK);
    assert_int_equal(put_example("/test$file.tex", date, put_payload, storage, now),
                     SIGV4_MISMATCH);
    assert_int_equal(put_example("/test$file.text?x", date, put_payload, storage, now),
                     SIGV4_MISMATCH);
    assert_int_equal(put_example("/test$file.text", date, VECTOR_EMPTY, storage, now),
                     SIGV4_MISMATCH);
    assert_int_equal(put_example("/test$file.text", date, put_payload, "STANDARD", now),
                     SIGV4_MISMATCH);
    assert_int_equal(put_example("/test$file.text", date, put_payload, NULL, now), SIGV4_MISMATCH);
    assert_int_equal(put_example("/test$file.text", "20130524T000001Z", put_payload, storage, now),
                     SIGV4_MISMATCH);
    assert_int_equal(put_example("/test$file.text", "20130525T000000Z", put_payload, storage, now),
                     SIGV4_MALFORMED); /* another day than the credential's */
    assert_int_equal(
        put_example("/test$file.text", date, put_payload, storage, now + SIGV4_SKEW_MS_MAX + 1),
        SIGV4_SKEWED);
    assert_int_equal(
        put_example("/test$file.text", date, put_payload, storage, now - SIGV4_SKEW_MS_MAX - 1),
        SIGV4_SKEWED);
}

static const char presigned[] =
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
    "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-"
    "SignedHeaders=host&X-Amz-Signature="
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

static enum sigv4_result presigned_get(const char *method, const char *target, const char *host,
                                       int64_t now_ms)
{
    struct vector_header headers[] = {{"Host", host}, {NULL, NULL}};
    struct sigv4_signed result;
    return vector_verify(arena, method, target, headers, now_ms, &result);
}

static void the_presigned_example_lives_a_day(void **state)
{
    (void)state;
    static const char host[] = "examplebucket.s3.amazonaws.com";
    const int64_t day_ms = 86400000;
    assert_int_equal(presigned_get("GET", presigned, host, vector_time_ms), SIGV4_OK);
    assert_int_equal(presigned_get("GET", presigned, host, vector_time_ms + day_ms), SIGV4_OK);
    assert_int_equal(presigned_get("GET", presigned, host, vector_time_ms + day_ms + 1),
                     SIGV4_EXPIRED);
    assert_int_equal(presigned_get("GET", presigned, host, vector_time_ms - day_ms), SIGV4_NOT_YET);
    assert_int_equal(presigned_get("PUT", presigned, host, vector_time_ms), SIGV4_MISMATCH);
    assert_int_equal(presigned_get("GET", presigned, "evil.example.org", vector_time_ms),
                     SIGV4_MISMATCH);
    char *tampered = strdup(presigned);
    tampered[strlen(tampered) - 1] ^= 1;
    assert_int_equal(presigned_get("GET", tampered, host, vector_time_ms), SIGV4_MISMATCH);
    free(tampered);
    char longer[1024];
    (void)snprintf(longer, sizeof longer, "%s&versionId=1", presigned);
    assert_int_equal(presigned_get("GET", longer, host, vector_time_ms), SIGV4_MISMATCH);
}

static void what_is_no_signature_is_said_so(void **state)
{
    (void)state;
    static const char *const bad[] = {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ",
                                      "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
                                      "AWS4-HMAC-SHA256 Credential=a/b/c,SignedHeaders=host"};
    struct sigv4_signed result;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vector_header headers[] = {{"Host", "h"},
                                          {"X-Amz-Date", "20130524T000000Z"},
                                          {"Authorization", bad[i]},
                                          {NULL, NULL}};
        assert_int_equal(vector_verify(arena, "GET", "/x", headers, vector_time_ms, &result),
                         SIGV4_MALFORMED);
    }
    assert_int_equal(presigned_get("GET", "/x?a=b&&=&%", "h", vector_time_ms), SIGV4_ABSENT);
    assert_int_equal(presigned_get("GET", "/x?X-Amz-Signature=1", "h", vector_time_ms),
                     SIGV4_MALFORMED);
    assert_int_equal(
        presigned_get("GET", "/x?AWSAccessKeyId=a&Signature=b&Expires=1", "h", vector_time_ms),
        SIGV4_OTHER);
    struct vector_header unknown[] = {
        {"Host", "h"},
        {"X-Amz-Date", "20130524T000000Z"},
        {"X-Amz-Content-Sha256", VECTOR_EMPTY},
        {"Authorization", "AWS4-HMAC-SHA256 Credential=nobody/20130524/us-east-1/s3/aws4_request, "
                          "SignedHeaders=host, Signature=" VECTOR_EMPTY},
        {NULL, NULL}};
    assert_int_equal(vector_verify(arena, "GET", "/x", unknown, vector_time_ms, &result),
                     SIGV4_UNKNOWN_KEY);
}

static void our_own_urls_pass_with_exactly_their_length(void **state)
{
    (void)state;
    const struct sigv4_presign what = {
        .method = "PUT",
        .base_url = "http://music.example.org:4040/tutti/s3",
        .bucket = "uploads",
        .key = "12/Nöel & the +1.flac",
        .upload_id = "0123456789abcdef0123456789abcdef",
        .part_number = 3,
        .content_length = 1000,
        .expires_s = 3600,
        .date_ms = vector_time_ms,
        .credentials = {VECTOR_KEY_ID, VECTOR_SECRET, "us-east-1"},
    };
    char url[2048];
    assert_int_equal(sigv4_presign(&what, url, sizeof url), 0);
    const char *target = strstr(url, "/tutti/");
    assert_non_null(target);
    assert_memory_equal(target, "/tutti/s3/uploads/12/N%C3%B6el%20%26%20the%20%2B1.flac?", 53);
    struct sigv4_signed result;
    struct vector_header headers[] = {
        {"Host", "music.example.org:4040"}, {"Content-Length", "1000"}, {NULL, NULL}};
    assert_int_equal(vector_verify(arena, "PUT", target, headers, vector_time_ms, &result),
                     SIGV4_OK);
    assert_true(result.presigned);
    assert_true(sigv4_covers(&result, "Content-Length"));
    assert_true(sigv4_covers(&result, "host"));
    assert_false(sigv4_covers(&result, "content"));
    assert_false(sigv4_covers(&result, "x-amz-copy-source"));
    headers[1].value = "1001";
    assert_int_equal(vector_verify(arena, "PUT", target, headers, vector_time_ms, &result),
                     SIGV4_MISMATCH);
    assert_int_equal(sigv4_presign(&what, url, 200), ERR_TOO_LARGE);
    struct sigv4_presign forever = what;
    forever.expires_s = BLOB_PRESIGN_SECONDS_MAX + 1;
    assert_int_equal(sigv4_presign(&forever, url, sizeof url), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_examples_with_headers_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_put_example_passes_and_nothing_near_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_presigned_example_lives_a_day, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_signature_is_said_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(our_own_urls_pass_with_exactly_their_length, set_up,
                                        tear_down),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
