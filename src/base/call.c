/* The deadline that this thread works under (call.h). */
#include "base/call.h"

#include "base/clock.h"

static _Thread_local int64_t current_ms;

int64_t call_deadline_enter(int64_t deadline_ms)
{
    int64_t before_ms = current_ms;
    current_ms = deadline_ms;
    return before_ms;
}

int64_t call_deadline_ms(void)
{
    return current_ms;
}

bool call_is_late(void)
{
    return current_ms != 0 && clock_monotonic_ms() >= current_ms;
}

int64_t call_remaining_ms(int64_t most_ms)
{
    int64_t left_ms = current_ms != 0 ? current_ms - clock_monotonic_ms() : most_ms;
    left_ms = left_ms < most_ms ? left_ms : most_ms;
    return left_ms > 1 ? left_ms : 1;
}
