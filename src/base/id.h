/* Ids: 63-bit, time-ordered. 41 bits of milliseconds since 2026-01-01 UTC, 10 bits of node, 12 bits
 * of sequence. Strings of decimal digits in JSON. An id never goes back when the clock does: the
 * generator then counts on from the last millisecond it used. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ID_NODES = 1024, ID_TEXT_SIZE = 21 };

/* Sets this process's node (0 … 1023), leased at start so that no two living processes share one,
 * and the lowest id that may be given out next (0, or the highest one known to be used by this
 * node). */
void id_init(unsigned node, int64_t floor_id);
int64_t id_next(void);
/* The wall time in which an id was made, ms UTC. */
int64_t id_time_ms(int64_t id);
/* Parses 1 to 19 digits, value 1 … 2^63-1; false for anything else. A leading 0 is none, so that an
 * id has one spelling, as what is kept by its address (edges, browsers) supposes. */
bool id_parse(const char *text, int64_t *ret_id);
/* Writes the digits into out[ID_TEXT_SIZE]; returns out. */
const char *id_format(int64_t id, char out[ID_TEXT_SIZE]);
