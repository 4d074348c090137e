/* service/objectstore/checksum: the check values of "123456789" (the catalogue of parametrised CRC
 * algorithms; FIPS 180-4 for the hashes), in one piece and in every two pieces. */
#include "service/objectstore/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char text[] = "123456789";

static void assert_checksum(enum checksum_kind kind, const char *bytes, const char *expected)
{
    for (size_t cut = 0; cut <= strlen(bytes); cut++) {
        struct checksum checksum;
        char out[CHECKSUM_TEXT_SIZE];
        checksum_init(&checksum, kind);
        checksum_update(&checksum, bytes, cut);
        checksum_update(&checksum, bytes + cut, strlen(bytes) - cut);
        checksum_final(&checksum, out);
        assert_string_equal(out, expected);
    }
}

static void the_check_values_come_out(void **state)
{
    (void)state;
    assert_checksum(CHECKSUM_CRC32, text, "y/Q5Jg==");         /* cbf43926 */
    assert_checksum(CHECKSUM_CRC32C, text, "4waSgw==");        /* e3069283 */
    assert_checksum(CHECKSUM_CRC64NVME, text, "rosUhgp5mIg="); /* ae8b14860a799888 */
    assert_checksum(CHECKSUM_SHA1, text, "98O8HYCOBHMq32eZZczDTKeuNEE=");
    assert_checksum(CHECKSUM_SHA256, text, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=");
    assert_checksum(
        CHECKSUM_SHA512, text,
        "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/"
        "+hQ==");
    assert_checksum(CHECKSUM_MD5, text, "JfnnlDI7RTiF9RgfG2JNCw==");
}

static void sum_up(enum checksum_kind kind, const char *bytes, size_t length,
                   char out[CHECKSUM_TEXT_SIZE])
{
    struct checksum checksum;
    checksum_init(&checksum, kind);
    checksum_update(&checksum, bytes, length);
    checksum_final(&checksum, out);
}

static void crcs_are_joined(void **state)
{
    (void)state;
    static char bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * i >> 3);
    }
    for (enum checksum_kind kind = 0; kind < CHECKSUM_KINDS_; kind++) {
        char whole[CHECKSUM_TEXT_SIZE], sum[CHECKSUM_TEXT_SIZE], next[CHECKSUM_TEXT_SIZE];
        sum_up(kind, bytes, sizeof bytes, whole);
        for (size_t cut = 0; cut <= sizeof bytes; cut += 500) {
            sum_up(kind, bytes, cut, sum);
            sum_up(kind, bytes + cut, sizeof bytes - cut, next);
            bool joins = kind <= CHECKSUM_CRC64NVME;
            assert_int_equal(checksum_join(kind, sum, next, sizeof bytes - cut), joins);
            assert_int_equal(strcmp(sum, whole) == 0, joins || cut == sizeof bytes);
        }
        assert_false(checksum_join(kind, sum, "AAAA", 1));
        assert_false(checksum_join(kind, sum, "", 1));
    }
}

static void longer_texts_pass_through_all_tables(void **state)
{
    (void)state;
    /* zlib's crc32 of the alphabet twice and a rest */
    assert_checksum(CHECKSUM_CRC32, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012",
                    "gxMnyg==");
}

static void kinds_are_found_by_their_header(void **state)
{
    (void)state;
    enum checksum_kind kind;
    assert_true(checksum_kind_of("x-amz-checksum-crc64nvme", &kind));
    assert_int_equal(kind, CHECKSUM_CRC64NVME);
    assert_false(checksum_kind_of("x-amz-checksum-xxhash64", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_values_come_out),
        cmocka_unit_test(crcs_are_joined),
        cmocka_unit_test(longer_texts_pass_through_all_tables),
        cmocka_unit_test(kinds_are_found_by_their_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
