/* Structured logs: one JSON object a line on standard error (`{"t":…,"level":…,"event":…,…}`), or
 * plain text on a terminal. The event is a fixed word; what varies goes into fields. Library code
 * never logs, the top (boot, steps of net, loops of roles) logs once. Secrets never go in: mask
 * before. Any thread; a line is one write(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *name;
    enum { LOG_TEXT, LOG_NUMBER, LOG_REAL } kind;
    const char *text;
    int64_t number;
    double real;
};

#define log_text(n, v) ((struct log_field){.name = (n), .kind = LOG_TEXT, .text = (v)})
#define log_number(n, v)                                                                           \
    ((struct log_field){.name = (n), .kind = LOG_NUMBER, .number = (int64_t)(v)})
#define log_real(n, v) ((struct log_field){.name = (n), .kind = LOG_REAL, .real = (v)})

void log_init(enum log_level level, bool json);
void log_level_set(enum log_level level);
/* The level of a word ("error" "warning" "info" "debug"), -1 for none of them. */
int log_level_parse(const char *word);
bool log_wanted(enum log_level level);
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned count);

/* For who writes so many lines that one write(2) each is too much: makes the line, with its end,
 * in out (of LOG_LINE_MAX bytes) and returns its length; log_put writes many at once. */
enum { LOG_LINE_MAX = 4096 };
size_t log_format(char out[LOG_LINE_MAX], enum log_level level, const char *event,
                  const struct log_field *fields, unsigned count);
void log_put(const char *lines, size_t length);

#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        const struct log_field fields_[] = {__VA_ARGS__};                                          \
        log_write((level), (event), fields_, sizeof fields_ / sizeof fields_[0]);                  \
    } while (0)
