/* Byte ranges (RFC 9110 section 14). A pure parser; any thread. */
#pragma once

#include <stdint.h>

enum { RANGES_MAX = 16 };

struct range {
    uint64_t first, length;
};

enum range_result {
    RANGE_IGNORE = -1,      /* no byte ranges, or malformed: the whole is sent (200) */
    RANGE_UNSATISFIABLE = 0 /* 416; above it the number of ranges */
};

/* Parses a Range header for a representation of size bytes: RANGE_IGNORE, RANGE_UNSATISFIABLE, or
 * how many satisfiable ranges were put into ranges, in the order asked for. More than RANGES_MAX
 * ranges, or ranges that together ask for more than the whole (overlapping ones), are ignored: the
 * standard lets a server answer such floods with the whole. */
int range_parse(const char *header, uint64_t size, struct range ranges[RANGES_MAX]);
