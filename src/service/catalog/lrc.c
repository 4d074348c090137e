/* LRC (lrc.h). Called by lyrics_http.c and names_store.c. There is no standard; what is read is
 * what players agree upon: minutes, seconds and up to three digits of a fraction, parted by a point
 * or a colon; several times before one line; an offset in milliseconds that lets all come earlier.
 */
#include "service/catalog/lrc.h"

#include "base/error.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { OFFSET_MS_MAX = 60000, MINUTES_MAX = 999 };

struct reading {
    struct lrc_line *lines;
    unsigned count, most;
    size_t bytes; /* of their texts */
    int64_t offset_ms;
};

/* So many digits at most; false: there is none, or more. */
static bool digits(const char **at, unsigned most, unsigned *ret_count, int64_t *ret_number)
{
    *ret_count = 0;
    *ret_number = 0;
    while (isdigit((unsigned char)**at) && *ret_count <= most) {
        *ret_number = *ret_number * 10 + (**at - '0');
        ++*at;
        ++*ret_count;
    }
    return *ret_count >= 1 && *ret_count <= most;
}

/* "[mm:ss.xx]" or "<mm:ss.xx>"; how long it is, 0: it is none. */
static size_t read_time(const char *text, char open, char close, int64_t *ret_ms)
{
    const char *at = text + 1;
    unsigned count = 0;
    int64_t minutes = 0, seconds = 0, fraction = 0;
    if (*text != open || !digits(&at, 3, &count, &minutes) || *at++ != ':' ||
        !digits(&at, 2, &count, &seconds) || minutes > MINUTES_MAX || seconds >= 60) {
        return 0;
    }
    if (*at == '.' || *at == ':') {
        at++;
        if (!digits(&at, 3, &count, &fraction)) {
            return 0;
        }
        fraction *= count == 1 ? 100 : count == 2 ? 10 : 1;
    }
    *ret_ms = (minutes * 60 + seconds) * 1000 + fraction;
    return *at == close ? (size_t)(at - text) + 1 : 0;
}

/* Behind the times and blanks that a line begins with; how many times there were. */
static char *skip_times(char *line, unsigned *ret_count)
{
    int64_t at_ms = 0;
    *ret_count = 0;
    for (;;) {
        line += strspn(line, " \t");
        size_t length = read_time(line, '[', ']', &at_ms);
        if (length == 0) {
            return line;
        }
        line += length;
        ++*ret_count;
    }
}

/* "[ar:Somebody]": a line that tells of the song. */
static bool is_about(const char *line)
{
    size_t name = line[0] == '[' ? strcspn(line + 1, ":[] ") : 0;
    return name > 0 && line[1 + name] == ':' && isalpha((unsigned char)line[1]) &&
           line[strlen(line) - 1] == ']';
}

static void take_offset(struct reading *reading, const char *line)
{
    static const char name[] = "[offset:";
    if (strncasecmp(line, name, sizeof name - 1) == 0) {
        long ms = strtol(line + sizeof name - 1, NULL, 10);
        reading->offset_ms = labs(ms) <= OFFSET_MS_MAX ? ms : 0;
    }
}

/* Words' own times go. */
static void strip_words(char *text)
{
    char *out = text;
    int64_t at_ms = 0;
    for (const char *at = text; *at != '\0';) {
        size_t length = read_time(at, '<', '>', &at_ms);
        at += length;
        if (length == 0) {
            *out++ = *at++;
        }
    }
    *out = '\0';
}

static void strip_end(char *line)
{
    char *end = line + strlen(line);
    while (end > line && strchr(" \t\r", end[-1]) != NULL) {
        end--;
    }
    *end = '\0';
}

static void take_line(struct reading *reading, const char *times, const char *words)
{
    int64_t at_ms = 0;
    while (times < words) {
        size_t length = read_time(times, '[', ']', &at_ms);
        times += length > 0 ? length : 1;
        bool fits = reading->count < reading->most && reading->bytes < LRC_BYTES_MAX;
        if (length > 0 && fits) {
            reading->bytes += strlen(words) + 1;
            reading->lines[reading->count++] = (struct lrc_line){.at_ms = at_ms, .text = words};
        }
    }
}

/* Lines of one time stay as they are written: their texts lie behind each other. */
static int compare_lines(const void *a, const void *b)
{
    const struct lrc_line *left = a, *right = b;
    if (left->at_ms != right->at_ms) {
        return left->at_ms < right->at_ms ? -1 : 1;
    }
    return left->text < right->text ? -1 : left->text > right->text;
}

static unsigned count_times(const char *text)
{
    unsigned count = 0;
    int64_t at_ms = 0;
    while ((text = strchr(text, '[')) != NULL && count < LRC_LINES_MAX) {
        count += read_time(text, '[', ']', &at_ms) > 0;
        text++;
    }
    return count;
}

/* Takes the copy apart line by line; the words go to plain, which is as long. */
static void read_lines(struct reading *reading, char *copy, char *plain)
{
    char *rest = copy, *out = plain;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        unsigned times = 0;
        strip_end(line);
        char *words = skip_times(line, &times);
        take_offset(reading, line);
        if (times == 0 && is_about(line)) {
            continue;
        }
        take_line(reading, line, words);
        out = stpcpy(out, words);
        *out++ = '\n';
    }
    while (out > plain && out[-1] == '\n') {
        out--;
    }
    *out = '\0';
}

int lrc_read(struct arena *arena, const char *text, struct lrc *ret_lrc)
{
    *ret_lrc = (struct lrc){.text = text};
    if (count_times(text) == 0) {
        return 0;
    }
    char *copy = arena_strdup(arena, text), *plain = arena_alloc(arena, strlen(text) + 2);
    if (copy == NULL || plain == NULL) {
        return ERR_NO_MEMORY;
    }
    strip_words(copy); /* which may bring a line's time together, so they are counted after it */
    struct reading reading = {.most = count_times(copy)};
    reading.lines = arena_array(arena, reading.most, sizeof *reading.lines);
    if (reading.lines == NULL) {
        return ERR_NO_MEMORY;
    }
    read_lines(&reading, copy, plain);
    if (reading.count == 0) {
        return 0; /* times in the midst of lines are words */
    }
    qsort(reading.lines, reading.count, sizeof *reading.lines, compare_lines);
    for (unsigned i = 0; i < reading.count; i++) {
        int64_t at_ms = reading.lines[i].at_ms - reading.offset_ms;
        reading.lines[i].at_ms = at_ms > 0 ? at_ms : 0;
    }
    *ret_lrc = (struct lrc){
        .text = plain + strspn(plain, "\n"), .lines = reading.lines, .count = reading.count};
    return 0;
}
