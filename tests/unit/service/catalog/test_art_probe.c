/* service/catalog/art_probe: kind and size from the header, limits before any decoder. */
#include "service/catalog/art_probe.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

static int probe(const char *bytes, size_t length, struct art_info *info, struct problem *problem)
{
    int fd CLEANUP_CLOSE = memfd_create("art", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    *problem = (struct problem){0};
    return art_probe(fd, length, info, problem);
}

#define PROBE(bytes) probe(bytes, sizeof(bytes) - 1, &info, &problem)

static const char jpeg[] = "\xff\xd8\xff\xe0\x00\x04xx" /* APP0 */
                           "\xff\xff\xe1\x00\x03y"      /* fill byte, APP1 */
                           "\xff\xc4\x00\x03z"          /* DHT is no frame header */
                           "\xff\xc2\x00\x0b\x08\x01\x02\x03\x04\x03";
#define PNG(w, h)  "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" w h "\x08\x02\x00\x00\x00"
#define WEBP(rest) "RIFF\x40\x00\x00\x00WEBP" rest

static void sizes_are_read(void **state)
{
    (void)state;
    struct art_info info = {0};
    struct problem problem;
    assert_int_equal(PROBE(jpeg), 0);
    assert_string_equal(info.mime, "image/jpeg");
    assert_int_equal(info.height, 0x102);
    assert_int_equal(info.width, 0x304);
    assert_int_equal(PROBE(PNG("\x00\x00\x01\x00", "\x00\x00\x00\x07")), 0);
    assert_string_equal(info.mime, "image/png");
    assert_int_equal(info.width, 256);
    assert_int_equal(info.height, 7);
    assert_int_equal(PROBE(WEBP("VP8X\n\x00\x00\x00\x00\x00\x00\x00\x63\x00\x00\xc7\x00\x00")), 0);
    assert_int_equal(info.width, 100);
    assert_int_equal(info.height, 200);
    assert_int_equal(
        PROBE(WEBP("VP8 \x10\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x80\x02\xe0\x41\x00\x00")), 0);
    assert_int_equal(info.width, 640);
    assert_int_equal(info.height, 480); /* the two upper bits are a scale */
    assert_int_equal(PROBE(WEBP("VP8L\x10\x00\x00\x00\x2f\x63\xc0\x31\x00\x00\x00\x00\x00\x00")),
                     0);
    assert_int_equal(info.width, 100);
    assert_int_equal(info.height, 200);
}

static void gif_has_a_size_too(void **state)
{
    (void)state;
    struct art_info info = {0};
    struct problem problem;
    assert_int_equal(PROBE("GIF89a\x40\x01\xf0\x00\x00\x00"), 0);
    assert_string_equal(info.mime, "image/gif");
    assert_int_equal(info.width, 320);
    assert_int_equal(info.height, 240);
    assert_int_equal(PROBE("GIF87a\xff\xff\xff\xff\x00\x00"), ERR_INVALID);
    assert_int_equal(PROBE("GIF87a\x01\x00\x00\x00\x00\x00"), ERR_INVALID);
}

static void large_ones_are_refused(void **state)
{
    (void)state;
    struct art_info info = {0};
    struct problem problem;
    assert_int_equal(PROBE(PNG("\x00\x01\x86\xa0", "\x00\x01\x86\xa0")), ERR_INVALID);
    assert_non_null(strstr(problem.detail, "100000 × 100000"));
    assert_non_null(strstr(problem.detail, "12000"));
    assert_int_equal(PROBE(PNG("\x00\x00\x2e\xe0", "\x00\x00\x2e\xe0")), ERR_INVALID);
    assert_non_null(strstr(problem.detail, "64 million"));
    assert_int_equal(PROBE(PNG("\x00\x00\x00\x00", "\x00\x00\x00\x01")), ERR_INVALID);
    assert_null(info.mime);
}

static void others_are_refused(void **state)
{
    (void)state;
    struct art_info info = {0};
    struct problem problem;
    assert_int_equal(PROBE("GIF90a\x10\x00\x10\x00\x00\x00"), ERR_MEDIA_TYPE);
    assert_int_equal(PROBE("BM\x10\x00\x10\x00\x00\x00\x00\x00\x00\x00"), ERR_MEDIA_TYPE);
    assert_int_equal(PROBE(""), ERR_MEDIA_TYPE);
    assert_int_equal(PROBE("<svg xmlns='x'></svg>"), ERR_MEDIA_TYPE);
    assert_int_equal(PROBE("\xff\xd8\xff\xe0\x00\x01xxxxxxxx"), ERR_INVALID);
    assert_int_equal(PROBE("\xff\xd8\xff\xe0\xff\xffxxxxxxxx"), ERR_INVALID);
    assert_int_equal(PROBE("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), ERR_INVALID);
    assert_int_equal(PROBE(WEBP("VP9 aaaaaaaaaaaaaaaaaaaaaa")), ERR_INVALID);
    /* Every piece of a good one that ends before its width does is refused, and read within bounds;
     * the last byte counts components, which nobody asks for. */
    for (size_t length = 0; length < sizeof jpeg - 2; length++) {
        assert_true(probe(jpeg, length, &info, &problem) < 0);
    }
    assert_null(info.mime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(gif_has_a_size_too),
        cmocka_unit_test(large_ones_are_refused),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
