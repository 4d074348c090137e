/* The head of a picture, and a PNG stripped to what makes its picture. A stripped PNG says the same
 * of itself, is no longer, keeps its picture's bytes, and stripping it again changes nothing.
 *
 * Covers: src/media/picture.c */
#include "base/error.h"
#include "fuzz.h"
#include "media/picture.h"

static void check_strip(const uint8_t *data, size_t size, const struct picture *before)
{
    struct picture after;
    uint8_t *bytes = (uint8_t *)fuzz_text(data, size);
    size_t length = picture_strip_png(bytes, size);
    FUZZ_CHECK(length <= size && length >= 8);
    for (size_t at = length; at < size; at++) {
        FUZZ_CHECK(bytes[at] == 0);
    }
    uint8_t *again = (uint8_t *)fuzz_text(bytes, length);
    FUZZ_CHECK(picture_strip_png(again, length) == length);
    FUZZ_CHECK(memcmp(again, bytes, length) == 0);
    /* The header is the first chunk, of 13 bytes with its own checksum, in every PNG that is one.
     */
    if (size >= 33 && memcmp(data + 8, "\0\0\0\rIHDR", 8) == 0) {
        FUZZ_CHECK(picture_read_header(bytes, length, &after) == 0);
        FUZZ_CHECK(after.width == before->width && after.height == before->height);
    }
    free(again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct picture picture = {0};
    uint8_t *exact = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, data, size);
    int error = picture_read_header(exact, size, &picture);
    FUZZ_CHECK(error == 0 || error == ERR_MEDIA_TYPE || error == ERR_CORRUPT);
    FUZZ_CHECK((error == 0) == (picture.width > 0 && picture.height > 0));
    if (error == 0 && picture.type == PICTURE_PNG) {
        check_strip(exact, size, &picture);
    }
    free(exact);
    return 0;
}
