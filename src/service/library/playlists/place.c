/* Fractions (place.h). No I/O; any thread. */
#include "service/library/playlists/place.h"

#include <assert.h>
#include <string.h>

/* Steps at the end of a list: from 1/4 on, 2^32 in all. */
static const uint64_t STEP = UINT64_C(1) << 24, FIRST = UINT64_C(1) << 46;
enum { STEP_BYTES = 6 };

bool place_of_bytes(const void *bytes, size_t length, struct place_key *ret_place)
{
    const unsigned char *digits = bytes;
    if (length == 0 || length > PLACE_MAX || digits[length - 1] == 0) {
        return false;
    }
    *ret_place = (struct place_key){.length = length};
    memcpy(ret_place->bytes, bytes, length);
    return true;
}

static void trim(struct place_key *place)
{
    while (place->length > 0 && place->bytes[place->length - 1] == 0) {
        place->length--;
    }
}

/* The digit at an index; behind the last ones are zeros, and behind an open end there is none. */
static unsigned digit(const struct place_key *place, size_t at)
{
    return at < place->length ? place->bytes[at] : 0;
}

/* A place about in the middle. before->length 0: the end, 1. */
static bool between(const struct place_key *after, const struct place_key *before,
                    struct place_key *ret_middle)
{
    bool open = before->length == 0;
    struct place_key middle = {.length = 0};
    for (size_t at = 0; at < PLACE_MAX; at++) {
        unsigned low = digit(after, at), high = open ? 256 : digit(before, at);
        middle.bytes[middle.length++] = (unsigned char)low;
        if (high > low + 1) { /* room at this digit */
            middle.bytes[at] = (unsigned char)(low + (high - low) / 2);
            *ret_middle = middle;
            return true;
        }
        if (high < low) {
            return false; /* after is not before */
        }
        open = open || high == low + 1; /* below the next digit everything is free */
    }
    return false;
}

static uint64_t to_number(const struct place_key *place)
{
    uint64_t number = 0;
    for (size_t at = 0; at < STEP_BYTES; at++) {
        number = number << 8 | digit(place, at);
    }
    return number;
}

static struct place_key of_number(uint64_t number)
{
    struct place_key place = {.length = STEP_BYTES};
    for (size_t at = STEP_BYTES; at > 0; at--) {
        place.bytes[at - 1] = (unsigned char)number;
        number >>= 8;
    }
    trim(&place);
    return place;
}

/* At the end of the list. False: the steps are used up. */
static bool append(const struct place_key *after, unsigned count, struct place_key *places)
{
    uint64_t last = after->length > 0 ? to_number(after) : FIRST - STEP;
    uint64_t room = ((UINT64_C(1) << (8 * STEP_BYTES)) - 1 - last) / STEP;
    if (count > room) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        places[i] = of_number(last + (i + 1) * STEP);
    }
    return true;
}

bool place_spread(const struct place_key *after, const struct place_key *before, unsigned count,
                  struct place_key *places)
{
    assert(count <= PLACES_MAX);
    if (count == 0 || (before->length == 0 && append(after, count, places))) {
        return true;
    }
    unsigned middle = count / 2; /* halves, so that places get no longer than the logarithm */
    return between(after, before, &places[middle]) &&
           place_spread(after, &places[middle], middle, places) &&
           place_spread(&places[middle], before, count - middle - 1, places + middle + 1);
}
