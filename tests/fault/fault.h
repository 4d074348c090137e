/* What the parts of the preloaded library share. See README.md for what it stands in for. */
#pragma once

#include <stdbool.h>
#include <time.h>

/* clock.c: the wall clock as the process is to see it; false where it is left alone. */
bool fault_clock_now(struct timespec *ret_now);
