/* Lyrics in the form of an LRC file: "[01:02.50]a line", a line's words perhaps with times of their
 * own, "[ti:…]" and the like about them, "[offset:…]". Lyrics are kept as they came; this takes
 * them apart where they are shown or searched. Pure; any thread. */
#pragma once

#include "base/arena.h"

#include <stdint.h>

enum {
    LRC_LINES_MAX = 5000,
    LRC_BYTES_MAX = 1 << 20, /* of all lines: a chorus may be told of many times */
};

struct lrc_line {
    int64_t at_ms;
    const char *text; /* "" for a pause */
};

struct lrc {
    const char *text; /* the words alone, in the order they are written */
    const struct lrc_line *lines;
    unsigned count; /* by time; 0: the lyrics have no times, and text is all of them */
};

/* text: UTF-8 with lines. What comes is in the arena. 0 or ERR_NO_MEMORY. */
int lrc_read(struct arena *arena, const char *text, struct lrc *ret_lrc);
