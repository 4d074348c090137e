/* The header of a picture. A picture that is taken has a size within the limits and one of four
 * kinds; what stands behind the length that was given is not looked at.
 *
 * Covers: src/service/catalog/art_probe.c */
#include "base/error.h"
#include "base/problem.h"
#include "fuzz.h"
#include "service/catalog/art_probe.h"
#include "service/catalog/catalog_internal.h"

#include <sys/mman.h>
#include <unistd.h>

static int fd = -1;

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fd = memfd_create("picture", 0);
    FUZZ_CHECK(fd >= 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct art_info info = {0}, shorter = {0};
    struct problem problem = {0};
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    int error = art_probe(fd, size, &info, &problem);
    FUZZ_CHECK(error == 0 || error == ERR_INVALID || error == ERR_MEDIA_TYPE);
    FUZZ_CHECK((error == 0) == (info.mime != NULL));
    if (error == 0) {
        FUZZ_CHECK(info.width >= 1 && info.width <= ART_SIDE_MAX);
        FUZZ_CHECK(info.height >= 1 && info.height <= ART_SIDE_MAX);
        FUZZ_CHECK((uint64_t)info.width * info.height <= ART_PIXELS_MAX);
    }
    /* the same bytes, and the same bytes with others behind them */
    size_t length = size / 2;
    int first = art_probe(fd, length, &shorter, &problem);
    FUZZ_CHECK(ftruncate(fd, (off_t)length) == 0);
    FUZZ_CHECK(art_probe(fd, length, &shorter, &problem) == first);
    return 0;
}
