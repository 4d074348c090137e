/* Cue sheets: which parts of a sound file are which tracks. The text comes from outside and names
 * files as somebody's computer did; nothing is opened by such a name. Pure; memory of the arena. */
#pragma once

#include "base/arena.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CUE_BYTES_MAX = 256 * 1024,
    CUE_TRACKS_MAX = 999,
    CUE_FRAMES_MAX = 75 * 3600 * 24, /* of a time: a day */
};

struct cue_track {
    const char *file; /* as it is named, without folders; of several files a sheet may tell */
    const char *title, *performer, *songwriter, *isrc; /* "" none; clean text */
    unsigned number;                                   /* as it is written, 1 … 9999 */
    int64_t from, to;                                  /* 75ths of a second; to 0: the file's end */
};

struct cue {
    const char *title, *performer, *songwriter, *date, *genre; /* of the album; "" none */
    unsigned disc;                                             /* 1 … 99; 0 none */
    struct cue_track *tracks;                                  /* in the order they are written */
    unsigned count;
};

/* bytes: as encoding.h takes them. 0; ERR_INVALID with *ret_reason in words;
 * ERR_NO_MEMORY. */
int cue_read(struct arena *arena, const char *bytes, size_t length, struct cue *ret_cue,
             const char **ret_reason);
