/* The delay of a queue (delay.h). */
#include "net/delay.h"

enum { HALVED_US = 500 * 1000, SHARE_SHIFT = 3, HALVINGS_MAX = 40 };

/* Halved for each half second, along a straight line between the halvings. */
static int64_t faded(int64_t average_us, int64_t age_us)
{
    if (age_us <= 0) {
        return average_us;
    }
    int64_t halvings = age_us / HALVED_US;
    if (halvings >= HALVINGS_MAX) {
        return 0;
    }
    average_us >>= halvings;
    return average_us - average_us * (age_us % HALVED_US) / (2 * HALVED_US);
}

static int64_t average(const struct delay *delay, int64_t now_us)
{
    return faded(atomic_load_explicit(&delay->average_us, memory_order_relaxed),
                 now_us - atomic_load_explicit(&delay->noted_us, memory_order_relaxed));
}

void delay_note(struct delay *delay, int64_t since_us, int64_t now_us)
{
    int64_t average_us = average(delay, now_us);
    average_us += (now_us - since_us - average_us) / (1 << SHARE_SHIFT);
    atomic_store_explicit(&delay->average_us, average_us, memory_order_relaxed);
    atomic_store_explicit(&delay->noted_us, now_us, memory_order_relaxed);
}

void delay_wait(struct delay *delay, int64_t since_us)
{
    atomic_store_explicit(&delay->first_us, since_us, memory_order_relaxed);
}

int64_t delay_us(const struct delay *delay, int64_t now_us)
{
    int64_t average_us = average(delay, now_us);
    int64_t first_us = atomic_load_explicit(&delay->first_us, memory_order_relaxed);
    int64_t age_us = first_us != 0 && now_us > first_us ? now_us - first_us : 0;
    return average_us > age_us ? average_us : age_us;
}
