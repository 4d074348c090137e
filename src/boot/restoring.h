/* A restore and everybody else on one data directory: while the one is at work no other begins, and
 * where one was cut off in the midst of changing names nobody takes what is left for an
 * installation. Main thread.
 *
 * A lock of the data directory (flock(2)) is everybody's, or a restore's alone; the kernel lets it
 * go with the process, however that ends. The journal of a restore's renames (renames.h) is there
 * from before the first change until after the last.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

struct problem;

/* For whoever opens the data: no restore begins on it as long as this process lives. ERR_BUSY: one
 * is at work; ERR_CONFLICT: one was cut off. Both with words. A data directory that isn't there is
 * none's: 0, and to be asked again once it is made. */
int restoring_keep_off(const char *data, struct problem *problem);
/* For a restore: from now on this process alone works on the data, which must be there. ERR_BUSY
 * with words: another one does. */
int restoring_begin(const char *data, struct problem *problem);
/* Where the journal is; whether it is there. */
bool restoring_journal(const char *data, char ret_path[PATH_MAX]);
