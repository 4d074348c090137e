/* How often a job is tried, and when again (transcode_internal.h). Called by work.c; any thread.
 *
 * A file's own fault ends its job at once, and what the file does to the media process ends it
 * soon. Our own trouble is none of the artist's: a full disk or a database away shall not fail a
 * night's uploads, nor a weekend's. It has days; and some tries at least, since a job may have
 * waited for its first as long.
 */
#include "service/transcode/transcode_internal.h"

#include <sodium.h>
#include <string.h>

enum {
    TRIES_MAX = 5,        /* of what makes the media process end */
    TRIES_LIMITS_MAX = 2, /* of what runs past the limits: it would again, at hours of computing */
    TRIES_OURS_MAX = 20,  /* of what is our own trouble */
    OURS_MS_MAX = 3 * 86400 * 1000, /* and so long, where it may pass */
    DEATHS_MAX = 50,                /* of workers with it in their hands */
    BACKOFF_MS = 1000,
    BACKOFF_MS_MAX = 300000,
};

/* 1 s, 4 s, 16 s … with a quarter of jitter, so that what failed together does not come back
 * together. */
int64_t patience_wait_ms(int64_t tries)
{
    int64_t wait_ms = BACKOFF_MS;
    for (int64_t i = 0; i < tries && wait_ms < BACKOFF_MS_MAX; i++) {
        wait_ms *= 4;
    }
    wait_ms = wait_ms < BACKOFF_MS_MAX ? wait_ms : BACKOFF_MS_MAX;
    return wait_ms + randombytes_uniform((uint32_t)(wait_ms / 4) + 1);
}

/* Disk, database, store. What is wrong with the program or with what is stored does not pass, and
 * costs computing each time. */
static bool may_pass(const char *code)
{
    return strcmp(code, "internal") != 0 && strcmp(code, "corrupt") != 0;
}

bool patience_is_over(const struct job_row *job, const struct child_failure *failure,
                      int64_t now_ms)
{
    int64_t tries = job->tries + 1;
    if (failure->final) {
        return true;
    }
    if (strcmp(failure->code, "out-of-limits") == 0) {
        return tries >= TRIES_LIMITS_MAX;
    }
    if (strcmp(failure->code, "crashed") == 0) {
        return tries >= TRIES_MAX;
    }
    return tries >= TRIES_OURS_MAX &&
           (!may_pass(failure->code) || now_ms - job->created_ms > OURS_MS_MAX);
}

/* A worker that lived to tell of a failure has counted a try. */
bool patience_with_deaths_is_over(const struct job_row *job)
{
    return job->claims - job->tries > DEATHS_MAX;
}
