/* Structured logs (log.h). A line is built on the stack and written by one write(2), so lines of
 * several threads never mix; what does not fit into LINE_MAX_BYTES is cut and says so. */
#include "base/log.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, TAIL_BYTES = 32 };

static _Atomic int wanted_level = LOG_INFO;
static _Atomic bool as_json = true;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t length;
    bool cut;
};

void log_init(enum log_level level, bool json)
{
    atomic_store(&wanted_level, (int)level);
    atomic_store(&as_json, json);
}

void log_level_set(enum log_level level)
{
    atomic_store(&wanted_level, (int)level);
}

int log_level_parse(const char *word)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof level_names[0]); i++) {
        if (strcmp(word, level_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

bool log_wanted(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&wanted_level, memory_order_relaxed);
}

static void add(struct line *line, const char *bytes, size_t length)
{
    size_t room = LINE_MAX_BYTES - TAIL_BYTES - line->length;
    if (length > room) {
        line->cut = true;
        return;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

/* A JSON string (RFC 8259 section 7); in plain text form the quotes are the same. */
static void add_quoted(struct line *line, const char *text)
{
    add(line, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        char escaped[8];
        if (*at == '"' || *at == '\\') {
            (void)snprintf(escaped, sizeof escaped, "\\%c", *at);
            add_text(line, escaped);
        } else if (*at < 0x20 || *at == 0x7f) {
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", *at);
            add_text(line, escaped);
        } else {
            add(line, (const char *)at, 1);
        }
    }
    add(line, "\"", 1);
}

static void add_value(struct line *line, const struct log_field *field)
{
    char number[48];
    switch (field->kind) {
    case LOG_TEXT:
        add_quoted(line, field->text != NULL ? field->text : "");
        return;
    case LOG_NUMBER:
        (void)snprintf(number, sizeof number, "%lld", (long long)field->number);
        break;
    case LOG_REAL:
        (void)snprintf(number, sizeof number, "%.6g", field->real);
        break;
    }
    add_text(line, number);
}

static void format_time(int64_t wall_ms, char out[40])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    char date[24];
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out, 40, "%s.%03dZ", date, (int)(wall_ms % 1000));
}

static void begin(struct line *line, bool json, enum log_level level, const char *event)
{
    char time_text[40];
    format_time(clock_wall_ms(), time_text);
    char head[160];
    (void)snprintf(head, sizeof head,
                   json ? "{\"t\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %-7s %s",
                   time_text, level_names[level], event);
    add_text(line, head);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned count)
{
    if (!log_wanted(level)) {
        return;
    }
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    struct line line = {.length = 0};
    begin(&line, json, level, event);
    for (unsigned i = 0; i < count; i++) {
        size_t before = line.length;
        add_text(&line, json ? ",\"" : " ");
        add_text(&line, fields[i].name);
        add_text(&line, json ? "\":" : "=");
        add_value(&line, &fields[i]);
        if (line.cut) {
            line.length = before;
            break;
        }
    }
    const char *tail = json ? (line.cut ? ",\"cut\":true}\n" : "}\n") : (line.cut ? " …\n" : "\n");
    memcpy(line.bytes + line.length, tail, strlen(tail));
    line.length += strlen(tail);
    ssize_t ignored = write(STDERR_FILENO, line.bytes, line.length);
    (void)ignored;
}
