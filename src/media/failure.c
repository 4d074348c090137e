/* Failures of media jobs: formatting only (failure.h). Any thread. */
#include "media/failure.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 4, 0))) static void
set(struct failure *failure, bool final, const char *code, const char *format, va_list list)
{
    if (failure->code[0] != '\0') {
        return;
    }
    failure->final = final;
    (void)snprintf(failure->code, sizeof failure->code, "%s", code);
    (void)vsnprintf(failure->reason, sizeof failure->reason, format, list);
}

int failure_final(struct failure *failure, const char *code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    set(failure, true, code, format, list);
    va_end(list);
    return ERR_INVALID;
}

int failure_passing(struct failure *failure, const char *code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    set(failure, false, code, format, list);
    va_end(list);
    return ERR_INTERNAL;
}

int failure_no_memory(struct failure *failure)
{
    (void)failure_passing(failure, "out-of-limits",
                          "The file needs more memory than one job may have.");
    return ERR_NO_MEMORY;
}
