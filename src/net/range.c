/* Byte ranges (range.h). */
#include "net/range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char *skip_space(const char *at)
{
    while (*at == ' ' || *at == '\t') {
        at++;
    }
    return at;
}

/* Reads digits; false when there is none or they exceed 63 bits. */
static bool read_number(const char **at, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (number > (INT64_MAX - 9) / 10) {
            return false;
        }
        number = number * 10 + (uint64_t)(**at - '0');
    }
    *ret_number = number;
    return *at > start;
}

/* Reads "first-last", "first-" or "-suffix". False: malformed. *satisfiable tells whether range
 * holds something of size bytes. */
static bool read_spec(const char **at, uint64_t size, struct range *range, bool *satisfiable)
{
    uint64_t first, last;
    if (**at == '-') {
        (*at)++;
        uint64_t suffix;
        if (!read_number(at, &suffix)) {
            return false;
        }
        suffix = suffix < size ? suffix : size;
        *range = (struct range){size - suffix, suffix};
        *satisfiable = suffix > 0;
        return true;
    }
    if (!read_number(at, &first) || **at != '-') {
        return false;
    }
    (*at)++;
    if (**at < '0' || **at > '9') {
        last = INT64_MAX;
    } else if (!read_number(at, &last) || last < first) {
        return false;
    }
    *satisfiable = first < size;
    last = last < size ? last : size - 1;
    *range = (struct range){first, *satisfiable ? last - first + 1 : 0};
    return true;
}

int range_parse(const char *header, uint64_t size, struct range ranges[RANGES_MAX])
{
    if (strncasecmp(header, "bytes=", 6) != 0) {
        return RANGE_IGNORE;
    }
    int count = 0;
    unsigned specs = 0;
    uint64_t left = size; /* of what may be asked for in all */
    bool too_much = false;
    for (const char *at = header + 6; *at != '\0';) {
        at = skip_space(at);
        if (*at == ',') { /* empty list elements are legal */
            at++;
            continue;
        }
        struct range range;
        bool satisfiable;
        if (*at == '\0') {
            break;
        }
        if (++specs > RANGES_MAX || !read_spec(&at, size, &range, &satisfiable)) {
            return RANGE_IGNORE;
        }
        at = skip_space(at);
        if (*at != ',' && *at != '\0') {
            return RANGE_IGNORE;
        }
        if (satisfiable) {
            too_much = too_much || range.length > left;
            left -= too_much ? 0 : range.length;
            ranges[count++] = range;
        }
    }
    if (specs == 0 || too_much) {
        return RANGE_IGNORE;
    }
    return count;
}
