/* The table of buckets, as rates.c and rates_shared.c see it. */
#pragma once

#include "net/rates.h"

#include <stdatomic.h>

struct rates_place {
    _Atomic uint64_t key;    /* 0: never used */
    _Atomic int64_t full_us; /* when the bucket is full again */
};

struct rates_shared;

struct rates {
    uint64_t set_mask;
    uint32_t place_count;
    struct rates_shared *shared; /* NULL: of this process alone; set before the first take */
    struct rates_place places[];
};

/* Any thread, never blocks: cost_us was taken from that place. */
void rates_shared_note(struct rates_shared *shared, uint32_t place, int64_t cost_us);
/* The place belongs to another key now. */
void rates_shared_forget(struct rates_shared *shared, uint32_t place);
void rates_part(struct rates *rates); /* the opposite of rates_join; nothing where that was not */
