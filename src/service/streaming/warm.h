/* The thread that writes the counts of answers and keeps edges warm: with the tracks that were
 * asked for most in the last days, and with those of albums that are announced or new. It lives
 * where edges are configured and the role runs; of all such processes one at a time goes its round.
 */
#pragma once

#include <stdint.h>

struct streaming;
struct warmer;

struct warmer_config {
    struct streaming *streaming; /* must outlive the warmer */
    const char *edge_urls;
    unsigned tracks_max; /* of either kind */
    int64_t interval_ms;
};

/* Starts the thread. */
int warmer_start(const struct warmer_config *config, struct warmer **ret_warmer);
/* Ends it within a request to an edge, and writes what was counted. NULL is fine. */
void warmer_stop(struct warmer *warmer);
