/* Bytes at offsets of a caller's descriptor (output.h). */
#include "media/output.h"

#include "base/error.h"
#include "base/mem.h"
#include "media/sealed.h"

#include <errno.h>
#include <unistd.h>

enum { SHIFT_BYTES = 1 << 20 };

int output_write(int fd, int64_t offset, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t now =
            sealed_pwrite(fd, (const char *)bytes + done, length - done, offset + (int64_t)done);
        if (now < 0 && errno != EINTR) {
            return error_from_errno(errno);
        }
        done += now > 0 ? (size_t)now : 0;
    }
    return 0;
}

static int read_all(int fd, int64_t offset, char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t now = sealed_pread(fd, bytes + done, length - done, offset + (int64_t)done);
        if (now == 0 || (now < 0 && errno != EINTR)) {
            return ERR_IO;
        }
        done += now > 0 ? (size_t)now : 0;
    }
    return 0;
}

/* From the end backwards, so that nothing is overwritten before it has been read. */
int output_shift(int fd, int64_t length, int64_t distance)
{
    char *bytes CLEANUP_FREE = malloc(SHIFT_BYTES);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    for (int64_t left = length; left > 0;) {
        size_t now = left < SHIFT_BYTES ? (size_t)left : SHIFT_BYTES;
        left -= (int64_t)now;
        int error = read_all(fd, left, bytes, now);
        if (error == 0) {
            error = output_write(fd, left + distance, bytes, now);
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}
