/* What the targets of the media library share: a file in memory, and what is promised of a failure.
 */
#pragma once

#include "fuzz.h"
#include "media/failure.h"

#include <libavutil/log.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void fuzz_media_begin(void)
{
    av_log_set_level(AV_LOG_QUIET);
}

static inline int fuzz_file(const uint8_t *data, size_t size)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    return fd;
}

/* The closed list of failure.h. */
static inline bool fuzz_is_code(const char *code)
{
    static const char *const codes[] = {
        "not-audio",     "no-samples",   "truncated", "damaged",         "too-long",
        "bad-rate",      "bad-channels", "not-image", "too-many-pixels", "internal",
        "out-of-limits", "too-large",    "unreadable"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(code, codes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A failure has a code of the list and words, a success has none; a file is never our own fault. */
static inline void fuzz_check_failure(int result, const struct failure *failure)
{
    FUZZ_CHECK((result < 0) == (failure->code[0] != '\0'));
    FUZZ_CHECK((result < 0) == (failure->reason[0] != '\0'));
    FUZZ_CHECK(result >= 0 || fuzz_is_code(failure->code));
    FUZZ_CHECK(strcmp(failure->code, "internal") != 0);
}
