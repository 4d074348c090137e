/* Progress of long commands (progress.h). */
#include "boot/progress.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { BAR_CELLS = 30, SHOW_EVERY_MS = 100 };

#define CLEAR_LINE "\r\033[K"

const char *progress_bytes(uint64_t bytes, char out[PROGRESS_BYTES_SIZE])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(out, PROGRESS_BYTES_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

void progress_begin(struct progress *progress, const char *label)
{
    *progress = (struct progress){.label = label, .terminal = isatty(STDERR_FILENO) != 0};
}

void progress_show(struct progress *progress, int64_t done_bytes, int64_t all_bytes)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!progress->terminal || now_ms - progress->shown_ms < SHOW_EVERY_MS) {
        return;
    }
    progress->shown_ms = now_ms;
    char done[PROGRESS_BYTES_SIZE];
    (void)fprintf(stderr, CLEAR_LINE "%-12s ", progress->label);
    if (all_bytes > 0) {
        int full = (int)((double)done_bytes / (double)all_bytes * BAR_CELLS);
        for (int cell = 0; cell < BAR_CELLS; cell++) {
            (void)fputs(cell < full ? "█" : "░", stderr);
        }
    }
    (void)fprintf(stderr, " %s", progress_bytes((uint64_t)done_bytes, done));
    (void)fflush(stderr);
}

void progress_clear(const struct progress *progress)
{
    if (progress->terminal) {
        (void)fputs(CLEAR_LINE, stderr);
    }
}

void progress_end(struct progress *progress, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    progress_clear(progress);
    (void)fprintf(stderr, "%-12s ", progress->label);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}
