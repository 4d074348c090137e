/* Ids (id.h).
 *
 * The state is one atomic: the highest id given out. A new id is the greater of "this millisecond,
 * sequence 0" and "the last one plus one"; the sequence overflowing into the millisecond (past 4096
 * in one) only borrows from the next, so ids rise strictly whatever the clock does. The node's bits
 * sit between the two, so "plus one" carries over them by hand.
 */
#include "base/id.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <string.h>

enum { SEQUENCE_BITS = 12, NODE_BITS = 10 };

static const int64_t EPOCH_MS = 1767225600000; /* 2026-01-01T00:00:00Z */

static _Atomic uint64_t last_tick; /* (ms since the epoch << SEQUENCE_BITS) | sequence */
static _Atomic unsigned this_node;

static uint64_t tick_of(int64_t id)
{
    uint64_t value = (uint64_t)id;
    uint64_t ms = value >> (SEQUENCE_BITS + NODE_BITS);
    return (ms << SEQUENCE_BITS) | (value & ((1u << SEQUENCE_BITS) - 1));
}

void id_init(unsigned node, int64_t floor_id)
{
    atomic_store(&this_node, node % ID_NODES);
    uint64_t floor_tick = tick_of(floor_id);
    if (floor_tick > atomic_load(&last_tick)) {
        atomic_store(&last_tick, floor_tick);
    }
}

int64_t id_next(void)
{
    int64_t since = clock_wall_ms() - EPOCH_MS;
    uint64_t now_tick = since > 0 ? (uint64_t)since << SEQUENCE_BITS : 1;
    uint64_t last = atomic_load(&last_tick);
    uint64_t tick;
    do {
        tick = now_tick > last ? now_tick : last + 1;
    } while (!atomic_compare_exchange_weak(&last_tick, &last, tick));
    uint64_t sequence = tick & ((1u << SEQUENCE_BITS) - 1);
    uint64_t ms = tick >> SEQUENCE_BITS;
    return (int64_t)((((ms << NODE_BITS) | atomic_load(&this_node)) << SEQUENCE_BITS) | sequence);
}

int64_t id_time_ms(int64_t id)
{
    return (int64_t)((uint64_t)id >> (SEQUENCE_BITS + NODE_BITS)) + EPOCH_MS;
}

bool id_parse(const char *text, int64_t *ret_id)
{
    size_t length = text != NULL ? strnlen(text, 20) : 0;
    if (length == 0 || length > 19 || text[0] == '0') {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > INT64_MAX) {
        return false;
    }
    *ret_id = (int64_t)value;
    return true;
}

/* By hand: every answer holds some, and printf costs ten times as much. */
const char *id_format(int64_t id, char out[ID_TEXT_SIZE])
{
    char digits[ID_TEXT_SIZE];
    unsigned count = 0;
    uint64_t rest = id < 0 ? 0 - (uint64_t)id : (uint64_t)id;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    char *at = out;
    if (id < 0) {
        *at++ = '-';
    }
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at = '\0';
    return out;
}
