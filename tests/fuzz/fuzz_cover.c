/* A picture, decoded and scaled. It is refused with a code of the list, or becomes a JPEG and a
 * WebP that fit, of a size that its header told; a picture's header never promises less than is
 * decoded.
 *
 * Covers: src/media/cover.c src/media/picture.c src/media/io.c */
#include "fuzz_media.h"
#include "media/cover.h"
#include "media/picture.h"

enum { SIZE = 64, PIXELS_MAX = 1 << 20 }; /* larger ones cost time, not paths of ours */

static void check_output(struct cover *cover, enum cover_format format, enum picture_type type)
{
    struct failure failure = {0};
    struct picture picture;
    int64_t bytes = 0;
    int fd = fuzz_file(NULL, 0);
    int result = cover_write(cover, SIZE, format, fd, &failure, &bytes);
    fuzz_check_failure(result, &failure);
    if (result == 0) {
        uint8_t *made = malloc((size_t)bytes);
        FUZZ_CHECK(made != NULL && pread(fd, made, (size_t)bytes, 0) == bytes);
        FUZZ_CHECK(picture_read_header(made, (size_t)bytes, &picture) == 0);
        FUZZ_CHECK(picture.type == type && picture.width <= SIZE && picture.height <= SIZE);
        free(made);
    }
    FUZZ_CHECK(close(fd) == 0);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_media_begin();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct failure failure = {0};
    struct picture picture = {0};
    struct cover *cover = NULL;
    int header = picture_read_header(data, size, &picture);
    if (header == 0 && (uint64_t)picture.width * picture.height > PIXELS_MAX) {
        return -1;
    }
    int fd = fuzz_file(data, size);
    int result = cover_open(fd, (int64_t)size, &failure, &cover);
    fuzz_check_failure(result, &failure);
    FUZZ_CHECK((result == 0) == (cover != NULL));
    FUZZ_CHECK(result != 0 || header == 0);
    if (result == 0) {
        FUZZ_CHECK((uint64_t)cover_width(cover) * cover_height(cover) <= COVER_PIXELS_MAX);
        check_output(cover, COVER_JPEG, PICTURE_JPEG);
        check_output(cover, COVER_WEBP, PICTURE_WEBP);
    }
    cover_free(cover);
    FUZZ_CHECK(close(fd) == 0);
    return 0;
}
