/* Clocks. All wall times in Tutti are integer milliseconds since 1970, UTC; all durations and
 * deadlines use the monotonic clock, which a changed wall clock does not move. Any thread. */
#pragma once

#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void);
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
/* The monotonic time so long from now, for pthread_cond_clockwait with CLOCK_MONOTONIC. */
struct timespec clock_monotonic_after(int64_t ms);
/* For tests: adds to the wall clock of this process. */
void clock_wall_skew_ms(int64_t skew_ms);
