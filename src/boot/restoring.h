/* A restore that was cut off in the midst of changing names: nobody takes what is left for an
 * installation. The journal of a restore's renames (renames.h) is there from before the first
 * change until after the last. Main thread. */
#pragma once

#include <limits.h>
#include <stdbool.h>

struct problem;

/* For whoever opens the data. ERR_CONFLICT with words: a restore was cut off. */
int restoring_keep_off(const char *data, struct problem *problem);
/* Where the journal is; whether it is there. */
bool restoring_journal(const char *data, char ret_path[PATH_MAX]);
