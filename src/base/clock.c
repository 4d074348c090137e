/* Clocks (clock.h). */
#include "base/clock.h"

#include <stdatomic.h>

static _Atomic int64_t skew_ms;

static int64_t read_us(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000 + atomic_load_explicit(&skew_ms, memory_order_relaxed);
}

int64_t clock_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

struct timespec clock_timespec(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

struct timespec clock_monotonic_after(int64_t ms)
{
    int64_t us = clock_monotonic_us() + ms * 1000;
    return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

void clock_wall_skew_ms(int64_t by_ms)
{
    atomic_fetch_add(&skew_ms, by_ms);
}
