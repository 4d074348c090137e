/* What went wrong, in words (problem.h). */
#include "base/problem.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int problem_set(struct problem *problem, int code, const char *format, ...)
{
    if (problem == NULL) {
        return code;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->detail, sizeof problem->detail, format, arguments);
    va_end(arguments);
    problem->code = code;
    return code;
}

int problem_field(struct problem *problem, const char *field, const char *format, ...)
{
    if (problem == NULL) {
        return ERR_INVALID;
    }
    problem->code = ERR_INVALID;
    if (problem->detail[0] == '\0') {
        (void)snprintf(problem->detail, sizeof problem->detail, "Some fields are not right");
    }
    if (problem->field_count < PROBLEM_FIELDS_MAX) {
        struct problem_field *row = &problem->fields[problem->field_count++];
        (void)snprintf(row->name, sizeof row->name, "%s", field);
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(row->message, sizeof row->message, format, arguments);
        va_end(arguments);
    }
    return ERR_INVALID;
}

void problem_reset(struct problem *problem)
{
    memset(problem, 0, sizeof *problem);
}
