/* Clocks. All wall times in Tutti are integer milliseconds since 1970, UTC; all durations and
 * deadlines use the monotonic clock, which a changed wall clock does not move. Any thread. */
#pragma once

#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void);
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
/* Milliseconds as the system's calls take them: a pause for nanosleep, or a time of
 * clock_monotonic_ms for a wait on a condition of the monotonic clock. Not negative. */
struct timespec clock_timespec(int64_t ms);
/* The monotonic time so long from now, for such a wait. */
struct timespec clock_monotonic_after(int64_t ms);
/* For tests: adds to the wall clock of this process. */
void clock_wall_skew_ms(int64_t skew_ms);
