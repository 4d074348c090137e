/* How far a long command is: a bar that is redrawn on a terminal, one line a step elsewhere. To
 * standard error, so that a command's result stays alone on standard output. Main thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    bool terminal;
    int64_t shown_ms;
};

/* A step begins. */
void progress_begin(struct progress *progress, const char *label);
/* So many of so many bytes; all 0: their number isn't known. Shown ten times a second at most. */
void progress_show(struct progress *progress, int64_t done_bytes, int64_t all_bytes);
/* The step is done; the words say what came of it. */
void progress_end(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The step is done, and its command tells of it itself. */
void progress_clear(const struct progress *progress);
/* "3.4 MB" of a number of bytes. */
enum { PROGRESS_BYTES_SIZE = 24 };
const char *progress_bytes(uint64_t bytes, char out[PROGRESS_BYTES_SIZE]);
