/* Why a job of the media process failed, in words the artist understands.
 *
 * Filled where the fault is found, sent over the socket by the job server, shown by the API as the
 * track's `failure`. Codes are a closed list, because the API promises them:
 *
 *   not-audio     no sound file of a kind that is known, or no frame of it decodes
 *   no-samples    a sound file without a single sample
 *   truncated     the file ends before its own header says it would
 *   damaged       too much of it cannot be decoded
 *   too-long      more than MEDIA_DURATION_S_MAX
 *   bad-rate      a sample rate outside MEDIA_RATE_MIN … MEDIA_RATE_MAX
 *   bad-channels  no channel at all, or more than MEDIA_CHANNELS_MAX
 *   not-image · too-many-pixels     of covers
 *   too-large · unreadable          of tags, when a folder is imported
 *   out-of-limits  memory or CPU time ran out (trying again may help)
 *   disk-full · io  what was made could not be written (trying again may help)
 *   internal      our own fault (trying again may help)
 */
#pragma once

#include <stdbool.h>

enum {
    MEDIA_DURATION_S_MAX = 6 * 3600,
    MEDIA_RATE_MIN = 8000,
    MEDIA_RATE_MAX = 192000,
    MEDIA_CHANNELS_MAX = 8,
};

struct failure {
    char code[24]; /* "" while nothing failed */
    char reason[320];
    bool final; /* trying again cannot help */
};

/* The first failure stays: later ones are its consequences. Both return ERR_INVALID (final) or
 * ERR_INTERNAL, so that a rule reads `return failure_final(f, "no-samples", "…")`. */
int failure_final(struct failure *failure, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int failure_passing(struct failure *failure, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Out of memory: out-of-limits. */
int failure_no_memory(struct failure *failure);
