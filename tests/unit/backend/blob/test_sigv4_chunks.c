/* backend/blob/sigv4_chunks: the chunked example of the Amazon S3 API reference, in pieces of any
 * size, and bodies that must not pass. */
#include "backend/blob/sigv4_chunks.h"
#include "base/error.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define LONG_TRAILER                                                                               \
    "0\r\na-name-that-is-longer-than-any-of-a-checksum-that-somebody-may-announce:1\r\n\r\n"

enum { FIRST = 65536, SECOND = 1024 };

static struct sigv4_signed start;

static void verify_seed(void)
{
    struct vector_header headers[] = {
        {"Host", "s3.amazonaws.com"},
        {"x-amz-date", "20130524T000000Z"},
        {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
        {"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
        {"Content-Encoding", "aws-chunked"},
        {"x-amz-decoded-content-length", "66560"},
        {"Content-Length", "66824"},
        {"Authorization",
         "AWS4-HMAC-SHA256 Credential=" VECTOR_KEY_ID "/20130524/us-east-1/s3/aws4_request,"
         "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
         "x-amz-decoded-content-length;x-amz-storage-class,Signature="
         "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"},
        {NULL, NULL}};
    struct arena *arena = arena_new(0);
    assert_int_equal(vector_verify(arena, "PUT", "/examplebucket/chunkObject.txt", headers,
                                   vector_time_ms, &start),
                     SIGV4_OK);
    arena_free(arena);
}

static char *example(size_t *ret_length)
{
    char *body = malloc(70000);
    int at = sprintf(body, "10000;chunk-signature="
                           "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n");
    memset(body + at, 'a', FIRST);
    at += FIRST;
    at +=
        sprintf(body + at, "\r\n400;chunk-signature="
                           "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n");
    memset(body + at, 'a', SECOND);
    at += SECOND;
    at += sprintf(body + at,
                  "\r\n0;chunk-signature="
                  "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n");
    *ret_length = (size_t)at;
    return body;
}

static int count_bytes(void *argument, const void *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)argument += length;
    return 0;
}

static int feed(const char *body, size_t length, size_t piece, size_t *ret_payload)
{
    struct sigv4_chunks chunks;
    *ret_payload = 0;
    sigv4_chunks_init(&chunks, &start, count_bytes, ret_payload);
    int error = 0;
    for (size_t at = 0; error == 0 && at < length; at += piece) {
        error = sigv4_chunks_feed(&chunks, body + at, length - at < piece ? length - at : piece);
    }
    error = error != 0 ? error : sigv4_chunks_end(&chunks);
    sigv4_chunks_done(&chunks);
    return error;
}

static void the_example_passes_in_any_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 4096, 100000};
    size_t length = 0;
    char *body = example(&length);
    assert_int_equal(length, 66824);
    verify_seed();
    for (unsigned i = 0; i < 4; i++) {
        size_t payload = 0;
        assert_int_equal(feed(body, length, pieces[i], &payload), 0);
        assert_int_equal(payload, FIRST + SECOND);
    }
    free(body);
}

static void a_changed_byte_is_seen(void **state)
{
    (void)state;
    size_t length = 0;
    size_t payload = 0;
    char *body = example(&length);
    verify_seed();
    body[1000] = 'b';
    assert_int_equal(feed(body, length, length, &payload), ERR_FORBIDDEN);
    body[1000] = 'a';
    body[length - 10] ^= 1; /* the last signature */
    assert_int_equal(feed(body, length, length, &payload), ERR_FORBIDDEN);
    body[length - 10] ^= 1;
    assert_int_equal(feed(body, length - 90, length, &payload), ERR_MALFORMED); /* cut */
    assert_int_equal(feed(body, length - 2, length, &payload), ERR_MALFORMED);
    free(body);
}

static int feed_unsigned(const char *body, struct sigv4_chunks *chunks, size_t *ret_payload)
{
    struct sigv4_signed plain = {.payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"};
    *ret_payload = 0;
    sigv4_chunks_init(chunks, &plain, count_bytes, ret_payload);
    int error = sigv4_chunks_feed(chunks, body, strlen(body));
    error = error != 0 ? error : sigv4_chunks_end(chunks);
    sigv4_chunks_done(chunks);
    return error;
}

static void a_trailer_is_read(void **state)
{
    (void)state;
    struct sigv4_chunks chunks;
    size_t payload = 0;
    assert_int_equal(feed_unsigned("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
                                   &chunks, &payload),
                     0);
    assert_int_equal(payload, 5);
    assert_int_equal(chunks.trailer_count, 1);
    assert_string_equal(chunks.trailers[0].name, "x-amz-checksum-crc32");
    assert_string_equal(chunks.trailers[0].value, "NhCmhg==");
}

static void malformed_bodies_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "x\r\n",
                                      "5\r\nhell",
                                      "5\r\nhelloX\r\n0\r\n\r\n",
                                      "-5\r\nhello\r\n0\r\n\r\n",
                                      "5 \r\nhello\r\n0\r\n\r\n",
                                      "ffffffffffffffff\r\n",
                                      "0\r\n\r\nmore",
                                      "0\r\nno colon\r\n\r\n",
                                      LONG_TRAILER,
                                      "0\r\na:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\n\r\n"};
    struct sigv4_chunks chunks;
    size_t payload = 0;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(feed_unsigned(bad[i], &chunks, &payload), ERR_MALFORMED);
    }
    char long_line[SIGV4_LINE_MAX + 10];
    memset(long_line, '0', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = '\0';
    assert_int_equal(feed_unsigned(long_line, &chunks, &payload), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_passes_in_any_pieces),
        cmocka_unit_test(a_changed_byte_is_seen),
        cmocka_unit_test(a_trailer_is_read),
        cmocka_unit_test(malformed_bodies_are_refused),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
