/* Which file is of which form (list_file.h). */
#include "service/library/formats/list_file.h"

#include "base/mem.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *word, *type;
} formats[LIST_FORMATS_] = {
    [LIST_M3U8] = {"m3u8", "application/vnd.apple.mpegurl"},
    [LIST_M3U] = {"m3u", "audio/x-mpegurl"},
    [LIST_XSPF] = {"xspf", "application/xspf+xml"},
    [LIST_JSPF] = {"jspf", "application/jspf+json"},
};

bool list_format_of_word(const char *word, enum list_format *ret_format)
{
    for (int i = 0; i < LIST_FORMATS_; i++) {
        if (strcmp(word, formats[i].word) == 0) {
            *ret_format = (enum list_format)i;
            return true;
        }
    }
    return false;
}

bool list_format_of_type(const char *type, enum list_format *ret_format)
{
    static const struct {
        const char *type;
        enum list_format format;
    } others[] = {{"audio/mpegurl", LIST_M3U},
                  {"application/mpegurl", LIST_M3U},
                  {"application/x-mpegurl", LIST_M3U},
                  {"application/xml", LIST_XSPF},
                  {"text/xml", LIST_XSPF},
                  {"application/json", LIST_JSPF}};
    size_t length = strcspn(type, "; \t");
    for (int i = 0; i < LIST_FORMATS_; i++) {
        if (strlen(formats[i].type) == length && strncasecmp(type, formats[i].type, length) == 0) {
            *ret_format = (enum list_format)i;
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (strlen(others[i].type) == length && strncasecmp(type, others[i].type, length) == 0) {
            *ret_format = others[i].format;
            return true;
        }
    }
    return false;
}

const char *list_format_type(enum list_format format)
{
    return formats[format].type;
}

const char *list_format_word(enum list_format format)
{
    return formats[format].word;
}

int list_file_read(struct arena *arena, struct problem *problem, enum list_format format,
                   const char *bytes, size_t length, const char *here, struct list_file *ret_file)
{
    *ret_file = (struct list_file){.title = "", .description = ""};
    struct list_reading reading = {
        .arena = arena, .problem = problem, .here = here, .file = ret_file};
    switch (format) {
    case LIST_XSPF:
        return list_read_xspf(&reading, bytes, length);
    case LIST_JSPF:
        return list_read_jspf(&reading, bytes, length);
    default:
        return list_read_m3u(&reading, format == LIST_M3U8, bytes, length);
    }
}

void list_write_begin(struct list_writer *writer, const struct list_file *head)
{
    switch (writer->format) {
    case LIST_XSPF:
        list_write_xspf_begin(writer, head);
        break;
    case LIST_JSPF:
        list_write_jspf_begin(writer, head);
        break;
    default:
        list_write_m3u_begin(writer, head);
    }
}

void list_write_entry(struct list_writer *writer, const struct list_entry *entry)
{
    switch (writer->format) {
    case LIST_XSPF:
        list_write_xspf_entry(writer, entry);
        break;
    case LIST_JSPF:
        list_write_jspf_entry(writer, entry);
        break;
    default:
        list_write_m3u_entry(writer, entry);
    }
    writer->begun = true;
}

void list_write_end(struct list_writer *writer)
{
    if (writer->format == LIST_XSPF) {
        list_write_xspf_end(writer);
    } else if (writer->format == LIST_JSPF) {
        list_write_jspf_end(writer);
    }
}
