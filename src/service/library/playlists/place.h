/* Places in a list as fractions: between any two there is another one, so that an insertion or a
 * move writes one row.
 *
 * A place is 1 to PLACE_MAX bytes, read as digits to the base 256 behind the point, compared by
 * memcmp and then by length, as databases compare. The last byte is never 0, so one fraction has
 * one form and between two different places there is always room; a place that would get too long
 * says that the list is to be numbered anew (D. Greenspan, "Implementing Fractional Indexing",
 * 2020, has the idea). At the end of a list places count on in steps and stay short. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLACE_MAX = 48, PLACES_MAX = 1 << 14 };

struct place_key {
    unsigned char bytes[PLACE_MAX];
    size_t length; /* 0: the beginning, before which nothing stands; as an upper end: the end */
};

/* count places in order, after `after` and before `before`. False: they would get too long, or
 * there is no room (after is not before `before`): number the list anew. */
bool place_spread(const struct place_key *after, const struct place_key *before, unsigned count,
                  struct place_key *ret_places);
/* What is no place (it comes from the database) is refused. */
bool place_of_bytes(const void *bytes, size_t length, struct place_key *ret_place);
