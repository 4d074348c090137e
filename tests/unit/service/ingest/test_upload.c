/* service/ingest/upload: endings of names, sizes of parts. */
#include "service/ingest/ingest_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect_extension(const char *filename, const char *expected)
{
    char extension[EXTENSION_MAX + 1];
    upload_extension(filename, extension);
    assert_string_equal(extension, expected);
}

static void endings_are_safe_in_keys(void **state)
{
    (void)state;
    expect_extension("Song.FLAC", "flac");
    expect_extension("a.tar.m4a", "m4a");
    expect_extension("12345678.abcdefgh", "abcdefgh");
    expect_extension("long.abcdefghi", "bin");
    expect_extension("none", "bin");
    expect_extension("", "bin");
    expect_extension("dot.", "bin");
    expect_extension("x.wav/../../y", "bin");
    expect_extension("x.w\xc3\xa4v", "bin");
    expect_extension("x.f l", "bin");
}

static void parts_are_few_enough(void **state)
{
    (void)state;
    const int64_t mebibyte = 1 << 20;
    const int64_t sizes[] = {1, PART_BYTES_DEFAULT, 80000 * mebibyte, 80000 * mebibyte + 1,
                             5 * mebibyte * mebibyte};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int64_t part = upload_part_bytes(sizes[i]);
        assert_true(part >= PART_BYTES_DEFAULT && part % mebibyte == 0);
        assert_true((sizes[i] + part - 1) / part <= PARTS_MAX);
        assert_true(part == PART_BYTES_DEFAULT || (part - mebibyte) * PARTS_MAX < sizes[i]);
    }
    assert_int_equal(upload_part_bytes(80000 * mebibyte), PART_BYTES_DEFAULT);
    assert_int_equal(upload_part_bytes(80000 * mebibyte + 1), PART_BYTES_DEFAULT + mebibyte);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endings_are_safe_in_keys),
        cmocka_unit_test(parts_are_few_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
