/* M3U, plain and extended (list_file.h): a location a line, and before it what is known of it:
 *
 *     #EXTM3U
 *     #PLAYLIST:Morning
 *     #EXTINF:213,Artist - Title
 *     #EXTALB:Album
 *     https://music.example.org/api/v1/tracks/7
 *
 * Other lines that begin with # say nothing to us. */
#include "service/library/formats/list_file.h"

#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* 0x80 to 0x9f of Windows-1252; what it does not have are controls, and become spaces. */
static const char *const windows[] = {
    "\u20ac", " ",      "\u201a", "\u0192", "\u201e", "\u2026", "\u2020", "\u2021",
    "\u02c6", "\u2030", "\u0160", "\u2039", "\u0152", " ",      "\u017d", " ",
    " ",      "\u2018", "\u2019", "\u201c", "\u201d", "\u2022", "\u2013", "\u2014",
    "\u02dc", "\u2122", "\u0161", "\u203a", "\u0153", " ",      "\u017e", "\u0178"};

struct reader {
    struct list_reading *reading;
    bool utf8; /* by its name; otherwise where a line is none it is Windows-1252 */
    unsigned line;
    struct list_entry next; /* what was said of the entry to come */
};

static char *from_windows(struct arena *arena, const char *bytes, size_t length)
{
    char *text = arena_alloc(arena, 3 * length + 1), *out = text;
    for (size_t i = 0; text != NULL && i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x80) {
            *out++ = (char)byte;
        } else if (byte < 0xa0) {
            size_t used = strlen(windows[byte - 0x80]);
            memcpy(out, windows[byte - 0x80], used);
            out += used;
        } else {
            *out++ = (char)(0xc0 | byte >> 6);
            *out++ = (char)(0x80 | (byte & 0x3f));
        }
    }
    return text;
}

static int read_line(struct reader *reader, const char *bytes, size_t length, const char **ret_text)
{
    if (length > LIST_LINE_BYTES_MAX) {
        return problem_set(reader->reading->problem, ERR_MALFORMED,
                           "Line %u has %zu bytes; at most %d are allowed", reader->line, length,
                           LIST_LINE_BYTES_MAX);
    }
    if (memchr(bytes, '\0', length) != NULL) {
        return problem_set(reader->reading->problem, ERR_MALFORMED,
                           "Line %u holds a NUL byte; this is no playlist", reader->line);
    }
    bool utf8 = text_is_utf8(bytes, length);
    if (!utf8 && reader->utf8) {
        return problem_set(reader->reading->problem, ERR_MALFORMED,
                           "Line %u is not valid UTF-8; send older files as %s", reader->line,
                           list_format_type(LIST_M3U));
    }
    *ret_text = utf8 ? arena_strndup(reader->reading->arena, bytes, length)
                     : from_windows(reader->reading->arena, bytes, length);
    return *ret_text != NULL ? 0 : ERR_NO_MEMORY;
}

static int keep(struct reader *reader, const char *text, const char **ret_kept)
{
    *ret_kept = list_text(reader->reading->arena, text, strlen(text), LIST_TEXT_BYTES_MAX);
    return *ret_kept != NULL ? 0 : ERR_NO_MEMORY;
}

/* Behind the attributes, which may hold commas in quotes. */
static const char *past_comma(const char *text)
{
    bool quoted = false;
    for (; *text != '\0'; text++) {
        quoted ^= *text == '"';
        if (*text == ',' && !quoted) {
            return text + 1;
        }
    }
    return "";
}

/* "213,Artist - Title"; -1 and 0 for a length that is not known. */
static int read_info(struct reader *reader, const char *text)
{
    double seconds = strtod(text, NULL);
    char *words = arena_strdup(reader->reading->arena, past_comma(text));
    if (words == NULL) {
        return ERR_NO_MEMORY;
    }
    if (seconds > 0 && seconds < 1e6) {
        reader->next.duration_ms = (int64_t)(seconds * 1000);
    }
    char *dash = strstr(words, " - ");
    if (dash == NULL) {
        return keep(reader, words, &reader->next.title);
    }
    *dash = '\0';
    int error = keep(reader, words, &reader->next.artist);
    return error != 0 ? error : keep(reader, dash + strlen(" - "), &reader->next.title);
}

static int read_directive(struct reader *reader, const char *text)
{
    static const char info[] = "#EXTINF:", album[] = "#EXTALB:", artist[] = "#EXTART:",
                      name[] = "#PLAYLIST:";
    if (strncasecmp(text, info, strlen(info)) == 0) {
        return read_info(reader, text + strlen(info));
    }
    if (strncasecmp(text, album, strlen(album)) == 0) {
        return keep(reader, text + strlen(album), &reader->next.album);
    }
    if (strncasecmp(text, artist, strlen(artist)) == 0 && reader->next.artist[0] == '\0') {
        return keep(reader, text + strlen(artist), &reader->next.artist);
    }
    if (strncasecmp(text, name, strlen(name)) == 0) {
        return keep(reader, text + strlen(name), &reader->reading->file->title);
    }
    return 0;
}

static const struct list_entry nothing = {
    .location = "", .artist = "", .title = "", .album = "", .mbid = "", .isrc = ""};

static int read_location(struct reader *reader, const char *text)
{
    int error = 0;
    struct list_entry *entry = list_entry_add(reader->reading, reader->line, &error);
    if (entry == NULL) {
        return error;
    }
    reader->next.line = reader->line;
    *entry = reader->next;
    reader->next = nothing;
    return list_locate(reader->reading, entry, text);
}

static int take_line(struct reader *reader, const char *bytes, size_t length)
{
    const char *text = "";
    int error = read_line(reader, bytes, length, &text);
    if (error != 0) {
        return error;
    }
    text += strspn(text, " \t");
    return *text == '\0'  ? 0
           : *text == '#' ? read_directive(reader, text)
                          : read_location(reader, text);
}

int list_read_m3u(struct list_reading *reading, bool utf8, const char *bytes, size_t length)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct reader reader = {.reading = reading, .utf8 = utf8, .next = nothing};
    const char *end = bytes + length;
    if (length >= strlen(mark) && memcmp(bytes, mark, strlen(mark)) == 0) {
        bytes += strlen(mark);
    }
    int error = 0;
    while (error == 0 && bytes < end) {
        const char *stop = bytes;
        while (stop < end && *stop != '\n' && *stop != '\r') {
            stop++;
        }
        reader.line++;
        error = take_line(&reader, bytes, (size_t)(stop - bytes));
        bytes = stop + (end - stop >= 2 && stop[0] == '\r' && stop[1] == '\n' ? 2 : 1);
    }
    return error;
}

void list_write_m3u_begin(struct list_writer *writer, const struct list_file *head)
{
    (void)buffer_printf(writer->out, "#EXTM3U\n#EXTENC:UTF-8\n#PLAYLIST:%s\n", head->title);
}

void list_write_m3u_entry(struct list_writer *writer, const struct list_entry *entry)
{
    long long seconds = entry->duration_ms > 0 ? (long long)(entry->duration_ms + 500) / 1000 : -1;
    (void)buffer_printf(writer->out, "#EXTINF:%lld,%s - %s\n", seconds, entry->artist,
                        entry->title);
    if (entry->album[0] != '\0') {
        (void)buffer_printf(writer->out, "#EXTALB:%s\n", entry->album);
    }
    (void)buffer_printf(writer->out, "%s\n", entry->location);
}
