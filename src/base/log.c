/* Structured logs (log.h). A line is built on the stack and written by one write(2), so lines of
 * several threads never mix; what does not fit into LOG_LINE_MAX is cut and says so. */
#include "base/log.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TAIL_BYTES = 32, SECOND_SIZE = 24, UTF8_BYTES_MAX = 4, REPLACEMENT_CHARACTER = 0xfffd };

static _Atomic int wanted_level = LOG_INFO;
static _Atomic bool as_json = true;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

struct line {
    char *bytes; /* of LOG_LINE_MAX */
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
    size_t room = LOG_LINE_MAX - TAIL_BYTES - line->length;
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

/* The bytes of the character at text that stand in a JSON string as they are; 0: it is escaped. */
static size_t plain_step(const char *text)
{
    unsigned char byte = (unsigned char)*text;
    if (byte >= 0x80) {
        return text_utf8_step(text, strnlen(text, UTF8_BYTES_MAX));
    }
    return byte >= 0x20 && byte != 0x7f && byte != '"' && byte != '\\' ? 1 : 0;
}

/* What is no UTF-8 becomes the replacement character: a reader of JSON refuses the line else. */
static void add_escaped(struct line *line, unsigned char byte)
{
    char escaped[8];
    (void)snprintf(escaped, sizeof escaped, byte == '"' || byte == '\\' ? "\\%c" : "\\u%04x",
                   byte < 0x80 ? byte : REPLACEMENT_CHARACTER);
    add_text(line, escaped);
}

/* A JSON string (RFC 8259 section 7); in plain text form the quotes are the same. */
static void add_quoted(struct line *line, const char *text)
{
    add(line, "\"", 1);
    const char *plain = text; /* from here on nothing needed escaping */
    while (*text != '\0') {
        size_t step = plain_step(text);
        if (step == 0) {
            add(line, plain, (size_t)(text - plain));
            add_escaped(line, (unsigned char)*text);
            plain = text + 1;
        }
        text += step > 0 ? step : 1;
    }
    add(line, plain, (size_t)(text - plain));
    add(line, "\"", 1);
}

static void add_number(struct line *line, int64_t number)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *--at = '-';
    }
    add(line, at, (size_t)(digits + sizeof digits - at));
}

static void add_value(struct line *line, const struct log_field *field)
{
    char number[48];
    switch (field->kind) {
    case LOG_TEXT:
        add_quoted(line, field->text != NULL ? field->text : "");
        return;
    case LOG_NUMBER:
        add_number(line, field->number);
        return;
    case LOG_REAL:
        (void)snprintf(number, sizeof number, "%.6g", field->real);
        break;
    }
    add_text(line, number);
}

/* "2026-01-02T03:04:05.678Z"; the part up to the second is kept for the next line. */
static void add_time(struct line *line, int64_t wall_ms)
{
    static _Thread_local time_t kept;
    static _Thread_local char second_text[SECOND_SIZE];
    time_t second = (time_t)(wall_ms / 1000);
    if (second != kept) {
        struct tm utc;
        (void)gmtime_r(&second, &utc);
        (void)strftime(second_text, sizeof second_text, "%Y-%m-%dT%H:%M:%S.", &utc);
        kept = second;
    }
    int ms = (int)(wall_ms % 1000);
    const char fraction[] = {(char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                             (char)('0' + ms % 10), 'Z'};
    add_text(line, second_text);
    add(line, fraction, sizeof fraction);
}

static void begin(struct line *line, bool json, enum log_level level, const char *event)
{
    static const char *const padded[] = {" error   ", " warning ", " info    ", " debug   "};
    add_text(line, json ? "{\"t\":\"" : "");
    add_time(line, clock_wall_ms());
    if (json) {
        add_text(line, "\",\"level\":\"");
        add_text(line, level_names[level]);
        add_text(line, "\",\"event\":\"");
    } else {
        add_text(line, padded[level]);
    }
    add_text(line, event);
    add_text(line, json ? "\"" : "");
}

static void add_field(struct line *line, bool json, const struct log_field *field)
{
    add_text(line, json ? ",\"" : " ");
    add_text(line, field->name);
    add_text(line, json ? "\":" : "=");
    add_value(line, field);
}

size_t log_format(char out[LOG_LINE_MAX], enum log_level level, const char *event,
                  const struct log_field *fields, unsigned count)
{
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    struct line line = {.bytes = out};
    begin(&line, json, level, event);
    for (unsigned i = 0; i < count && !line.cut; i++) {
        size_t before = line.length;
        add_field(&line, json, &fields[i]);
        line.length = line.cut ? before : line.length;
    }
    const char *tail = json ? (line.cut ? ",\"cut\":true}\n" : "}\n") : (line.cut ? " …\n" : "\n");
    size_t length = strlen(tail);
    memcpy(line.bytes + line.length, tail, length);
    return line.length + length;
}

void log_put(const char *lines, size_t length)
{
    ssize_t ignored = write(STDERR_FILENO, lines, length);
    (void)ignored;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned count)
{
    if (log_wanted(level)) {
        char line[LOG_LINE_MAX];
        log_put(line, log_format(line, level, event, fields, count));
    }
}
