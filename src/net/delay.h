/* The delay of a queue: how long what comes now will have waited when its turn comes, the sign of
 * load that rate limits follow (rates.h). Written under the queue's lock, read from any thread.
 *
 * Two signs, the larger counts: the average wait of those that were served (of each, an eighth
 * enters; it halves each half second in which nobody is served, since an empty queue has no delay),
 * and the age of the one that waits first (a queue that is stuck serves nobody, and its average
 * says nothing).
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct delay {
    _Atomic int64_t average_us, noted_us, first_us;
};

/* One was served at now_us that had waited since since_us. */
void delay_note(struct delay *delay, int64_t since_us, int64_t now_us);
/* The first that waits came at since_us; 0: nobody waits. */
void delay_wait(struct delay *delay, int64_t since_us);
int64_t delay_us(const struct delay *delay, int64_t now_us);
