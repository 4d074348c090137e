/* What is made of an original: the rungs of the ladder, in the order of their use. Pure. */
#pragma once

#include <stdbool.h>

struct rung {
    const char *format; /* as media/job.h has it */
    unsigned bitrate;   /* kbit/s, 0 for FLAC */
    const char *file;   /* in m/{track}/{version}/ */
    const char *mime;
};

enum { PLAN_RUNGS_MAX = 10 };

/* The rung that is published first. */
extern const struct rung plan_first;
/* The others: nine in all with the first, and FLAC. Adaptive play's rungs come first. */
unsigned plan_ladder(bool flac, const struct rung *out[PLAN_RUNGS_MAX]);
/* Renditions of a version in all, with the original. */
unsigned plan_expected(bool flac);
