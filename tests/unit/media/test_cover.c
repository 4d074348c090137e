/* Covers: sizes and colours come out right, and what must not be decoded is not. */
#include "base/error.h"
#include "base/mem.h"
#include "media/cover.h"
#include "media/picture.h"

#include "support.h"

#include <libavutil/log.h>
#include <sys/mman.h>

static void put(const char *name, const void *bytes, size_t length)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", support_folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static struct cover *open_cover(const char *name, struct failure *failure)
{
    int64_t bytes;
    int fd CLEANUP_CLOSE = support_open(name, &bytes);
    struct cover *cover = NULL;
    memset(failure, 0, sizeof *failure);
    (void)cover_open(fd, bytes, failure, &cover);
    return cover;
}

/* Writes one size; the result is a file in the folder, and its dimensions are given back. */
static struct picture scale(struct cover *cover, unsigned size, enum cover_format format,
                            const char *name)
{
    struct failure failure = {0};
    struct picture picture;
    int64_t bytes = 0;
    int fd CLEANUP_CLOSE = memfd_create("cover", MFD_CLOEXEC);
    assert_int_equal(cover_write(cover, size, format, fd, &failure, &bytes), 0);
    uint8_t *data CLEANUP_FREE = malloc((size_t)bytes);
    assert_int_equal(pread(fd, data, (size_t)bytes, 0), bytes);
    assert_int_equal(picture_read_header(data, (size_t)bytes, &picture), 0);
    put(name, data, (size_t)bytes);
    return picture;
}

/* The mean of a colour (0 red, 1 green, 2 blue) over a picture, by ffmpeg. */
static int mean(const char *name, int colour)
{
    return (int)support_number("ffmpeg -v error -i %s -vf scale=1:1:flags=area,format=rgb24 -f "
                               "rawvideo - | od -An -tu1 | awk '{print $%d}'",
                               name, colour + 1);
}

static void assert_orange(const char *name)
{
    assert_in_range(mean(name, 0), 250, 255);
    assert_in_range(mean(name, 1), 123, 133);
    assert_in_range(mean(name, 2), 0, 6);
}

static const char *const kinds[] = {"a.png", "a.jpg", "a.webp", "a.gif", "gray.jpg"};

static void test_all_kinds_scale_to_fit(void **state)
{
    struct failure failure;
    (void)state;
    support_run("ffmpeg -v error -f lavfi -i color=0xFF8000:s=1400x700 -frames:v 1 a.png");
    support_run("ffmpeg -v error -i a.png -q:v 2 a.jpg && ffmpeg -v error -i a.png a.webp");
    /* Of a moving picture the first frame: the second is blue. */
    support_run("ffmpeg -v error -i a.png -f lavfi -i color=blue:s=1400x700 -filter_complex "
                "'[0][1]concat=n=2' -r 1 -frames:v 2 a.gif");
    support_run("ffmpeg -v error -f lavfi -i color=gray:s=1400x700 -vf format=gray "
                "-frames:v 1 gray.jpg");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct cover *cover = open_cover(kinds[i], &failure);
        if (cover == NULL) {
            fail_msg("%s: %s", kinds[i], failure.reason);
        }
        assert_int_equal(cover_width(cover), 1400);
        assert_int_equal(cover_height(cover), 700);
        struct picture jpeg = scale(cover, 300, COVER_JPEG, "out.jpg");
        struct picture webp = scale(cover, 300, COVER_WEBP, "out.webp");
        assert_true(jpeg.type == PICTURE_JPEG && webp.type == PICTURE_WEBP);
        assert_true(jpeg.width == 300 && jpeg.height == 150);
        assert_true(webp.width == 300 && webp.height == 150);
        if (i < 4) {
            assert_orange("out.jpg");
            assert_orange("out.webp");
        }
        assert_int_equal(scale(cover, 4000, COVER_JPEG, "out.jpg").width, 1400); /* not enlarged */
        cover_free(cover);
    }
}

static void test_transparent_parts_are_white(void **state)
{
    struct failure failure;
    (void)state;
    support_run(
        "ffmpeg -v error -f lavfi -i color=black@0:s=64x64,format=rgba -frames:v 1 t.png && "
        "ffmpeg -v error -i t.png -vf "
        "'split[a][b];[b]palettegen[p];[a][p]paletteuse' t.gif");
    static const char *const names[] = {"t.png", "t.gif"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cover *cover = open_cover(names[i], &failure);
        assert_non_null(cover);
        (void)scale(cover, 64, COVER_JPEG, "t.jpg");
        assert_in_range(mean("t.jpg", 0), 253, 255);
        cover_free(cover);
    }
}

/* A string literal with what may be NULs in it. */
static size_t append(uint8_t *bytes, size_t at, const char *part, size_t size)
{
    memcpy(bytes + at, part, size - 1);
    return at + size - 1;
}

#define APPEND(bytes, at, part)   append(bytes, at, part, sizeof(part))
#define SIGN                      "\x89PNG\r\n\x1a\n"
#define CHUNK(length, name, body) "\0\0\0" length name body "CRC!"

static void test_a_png_is_stripped_to_its_picture(void **state)
{
    uint8_t bytes[256], wanted[256];
    (void)state;
    size_t kept = APPEND(wanted, 0, SIGN CHUNK("\2", "IHDR", "hh") CHUNK("\3", "IDAT", "ddd"));
    kept = APPEND(wanted, kept, "\0\1\0\0IDATcut off");
    size_t length = APPEND(bytes, 0, SIGN CHUNK("\4", "zTXt", "IDAT") CHUNK("\2", "IHDR", "hh"));
    length = APPEND(bytes, length, CHUNK("\0", "iCCP", "") CHUNK("\3", "IDAT", "ddd"));
    length = APPEND(bytes, length, CHUNK("\1", "acTL", "x") "\0\1\0\0IDATcut off");
    assert_int_equal(picture_strip_png(bytes, length), kept);
    assert_memory_equal(bytes, wanted, kept);
    for (size_t at = kept; at < length; at++) {
        assert_int_equal(bytes[at], 0);
    }
    assert_int_equal(picture_strip_png(bytes, kept), kept);
    length = APPEND(bytes, 0, SIGN "\xff\xff\xff\xffzTXtall the rest");
    assert_int_equal(picture_strip_png(bytes, length), 8);
    length = APPEND(bytes, 0, SIGN "\0\0\0");
    assert_int_equal(picture_strip_png(bytes, length), 8);
}

static void test_thin_pictures_keep_a_pixel(void **state)
{
    struct failure failure;
    (void)state;
    support_run("ffmpeg -v error -f lavfi -i color=red:s=2000x2 -frames:v 1 thin.png");
    struct cover *cover = open_cover("thin.png", &failure);
    assert_non_null(cover);
    struct picture picture = scale(cover, 64, COVER_JPEG, "thin.jpg");
    assert_true(picture.width == 64 && picture.height == 1);
    cover_free(cover);
}

static void test_bad_pictures_say_why(void **state)
{
    /* A PNG's head that claims 100,000 × 100,000. */
    static const uint8_t huge[] = {0x89, 'P',  'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0, 0,
                                   13,   'I',  'H', 'D', 'R',  0,    1,    0x86, 0xa0, 0, 1,
                                   0x86, 0xa0, 8,   2,   0,    0,    0,    0,    0,    0, 0};
    static const struct {
        const char *name, *code, *words;
    } bad[] = {
        {"huge.png", "too-many-pixels", "100000 × 100000"},
        {"text.jpg", "not-image", "JPEG, PNG, WebP and GIF"},
        {"empty.jpg", "not-image", "JPEG, PNG, WebP and GIF"},
        {"head.jpg", "damaged", "damaged"},
        {"none.gif", "damaged", "damaged"},
    };
    (void)state;
    put("huge.png", huge, sizeof huge);
    put("text.jpg", "this is text, whatever its name", 31);
    put("empty.jpg", "", 0);
    put("none.gif", "GIF89a\x05\0\x05\0\0\0\0;", 14);
    support_run("ffmpeg -v error -f lavfi -i testsrc=s=800x800 -frames:v 1 whole.jpg && "
                "head -c 300 whole.jpg > head.jpg");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct failure failure;
        assert_null(open_cover(bad[i].name, &failure));
        assert_true(failure.final);
        if (strcmp(failure.code, bad[i].code) != 0 || !strstr(failure.reason, bad[i].words)) {
            fail_msg("%s: %s: %s", bad[i].name, failure.code, failure.reason);
        }
    }
}

static int setup(void **state)
{
    av_log_set_level(AV_LOG_QUIET);
    return support_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_scale_to_fit),
        cmocka_unit_test(test_transparent_parts_are_white),
        cmocka_unit_test(test_a_png_is_stripped_to_its_picture),
        cmocka_unit_test(test_thin_pictures_keep_a_pixel),
        cmocka_unit_test(test_bad_pictures_say_why),
    };
    return cmocka_run_group_tests(tests, setup, support_teardown);
}
