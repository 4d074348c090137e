/* Threads for encoders and analyses. All there will be are hired before the sandbox shuts, since in
 * it none can be made: what runs wild there has no more threads than honest work needs.
 *
 * They belong to the process and live as long as it does. Any thread may start and wait. */
#pragma once

struct hand;

/* Hires until there are so many hands, at most CREW_HANDS_MAX. 0 or ERR_NO_MEMORY. */
enum { CREW_HANDS_MAX = 64 };
int crew_hire(unsigned count);

/* Has an idle hand do it; where all are busy, one more is hired, which the sandbox refuses. NULL:
 * there is none. */
struct hand *crew_start(void (*work)(void *context), void *context);
/* Returns when the work is done. The hand may then be started for something else. */
void crew_wait(struct hand *hand);
