/* backend/blob/sigv4_header: the examples of the Amazon S3 API reference ("Signature Calculations
 * for the Authorization Header: Transferring Payload in a Single Chunk"). */
#include "backend/blob/sigv4_header.h"
#include "base/error.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#define HOST "examplebucket.s3.amazonaws.com"
#define DATE "20130524T000000Z"

static const struct sigv4_credentials credentials = {VECTOR_KEY_ID, VECTOR_SECRET, "us-east-1"};

static void expect(struct sigv4_header what, const char *signature)
{
    char out[SIGV4_AUTHORIZATION_SIZE];
    assert_true(sigv4_date_parse(DATE, &what.date_ms));
    what.credentials = &credentials;
    assert_int_equal(sigv4_authorize(&what, out), 0);
    const char *found = strstr(out, "Signature=");
    assert_non_null(found);
    assert_string_equal(found + strlen("Signature="), signature);
}

static void the_examples_come_out(void **state)
{
    (void)state;
    const struct sigv4_pair get[] = {{"range", "bytes=0-9"},
                                     {"x-amz-content-sha256", VECTOR_EMPTY},
                                     {"x-amz-date", DATE},
                                     {"host", HOST}};
    expect((struct sigv4_header){.method = "GET",
                                 .path = "/test.txt",
                                 .headers = get,
                                 .header_count = 4,
                                 .payload = VECTOR_EMPTY},
           "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    const struct sigv4_pair plain[] = {
        {"x-amz-date", DATE}, {"host", HOST}, {"x-amz-content-sha256", VECTOR_EMPTY}};
    const struct sigv4_pair lifecycle[] = {{"lifecycle", ""}};
    expect((struct sigv4_header){.method = "GET",
                                 .path = "/",
                                 .query = lifecycle,
                                 .query_count = 1,
                                 .headers = plain,
                                 .header_count = 3,
                                 .payload = VECTOR_EMPTY},
           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    const struct sigv4_pair list[] = {{"prefix", "J"}, {"max-keys", "2"}};
    expect((struct sigv4_header){.method = "GET",
                                 .path = "/",
                                 .query = list,
                                 .query_count = 2,
                                 .headers = plain,
                                 .header_count = 3,
                                 .payload = VECTOR_EMPTY},
           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void too_many_are_refused(void **state)
{
    (void)state;
    struct sigv4_pair many[SIGV4_PAIRS_MAX + 1];
    struct buffer out;
    char text[SIGV4_AUTHORIZATION_SIZE];
    for (unsigned i = 0; i <= SIGV4_PAIRS_MAX; i++) {
        many[i] = (struct sigv4_pair){"a", "b"};
    }
    buffer_init(&out, 1024);
    assert_int_equal(sigv4_query(many, SIGV4_PAIRS_MAX + 1, &out), ERR_TOO_LARGE);
    buffer_done(&out);
    const struct sigv4_header what = {.method = "GET",
                                      .path = "/",
                                      .headers = many,
                                      .header_count = SIGV4_PAIRS_MAX + 1,
                                      .payload = VECTOR_EMPTY,
                                      .credentials = &credentials};
    assert_int_equal(sigv4_authorize(&what, text), ERR_TOO_LARGE);
}

int main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_come_out),
        cmocka_unit_test(too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
