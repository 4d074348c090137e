/* What went wrong, in words: the body of a problem document (RFC 9457) before it is JSON.
 *
 * Lives in a struct call (call.h), is filled where the error is found, and shown by whoever
 * answers: the net layer as application/problem+json, the command line as one line.
 */
#pragma once

#include <stdbool.h>

enum { PROBLEM_DETAIL_MAX = 512, PROBLEM_FIELDS_MAX = 16 };

struct problem_field {
    char name[64];
    char message[192];
};

struct problem {
    int code;          /* enum error, 0 while nothing is wrong */
    int retry_after_s; /* > 0: also sent as Retry-After */
    char detail[PROBLEM_DETAIL_MAX];
    unsigned field_count;
    struct problem_field fields[PROBLEM_FIELDS_MAX];
};

/* Sets code and detail (printf form: what is wrong, where, what would be right) and returns the
 * code, so that a rule reads `return problem_set(p, ERR_CONFLICT, "…")`. A NULL problem only
 * returns it. */
int problem_set(struct problem *problem, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a bad field and returns ERR_INVALID. Past PROBLEM_FIELDS_MAX the rest are dropped. */
int problem_field(struct problem *problem, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void problem_reset(struct problem *problem);
