/* XSPF version 1 (list_file.h): https://www.xspf.org/spec. Elements that we don't know, and all
 * extensions, are passed over. */
#include "service/library/formats/list_file.h"

#include "base/error.h"
#include "base/text.h"
#include "base/xml.h"

#include <inttypes.h>
#include <string.h>

struct reader {
    struct list_reading *reading;
    struct list_entry *entry; /* NULL outside a track */
    const char *location;     /* the first of the entry's */
};

/* Without its prefix. */
static const char *local(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon != NULL ? colon + 1 : name;
}

static bool is(const char *name, const char *wanted)
{
    return strcmp(local(name), wanted) == 0;
}

static int begin_element(void *argument, const struct xml_element *element)
{
    struct reader *reader = argument;
    int error = 0;
    if (element->depth == 1 && !is(element->name, "playlist")) {
        return problem_set(reader->reading->problem, ERR_MALFORMED,
                           "An XSPF begins with <playlist>, not with <%s>", element->name);
    }
    if (element->depth == 3 && is(element->parent, "trackList") && is(element->name, "track")) {
        reader->entry = list_entry_add(reader->reading, element->line, &error);
        reader->location = "";
    }
    return error;
}

static int keep(struct reader *reader, const char *text, size_t bytes_max, const char **ret_kept)
{
    *ret_kept = list_text(reader->reading->arena, text, strlen(text), bytes_max);
    return *ret_kept != NULL ? 0 : ERR_NO_MEMORY;
}

static void take_number(const char *text, int64_t *ret_number)
{
    text += strspn(text, " \t\r\n");
    char digits[16];
    size_t length = strspn(text, "0123456789");
    if (length > 0 && length < sizeof digits) {
        memcpy(digits, text, length);
        digits[length] = '\0';
        (void)text_number(digits, 0, INT64_MAX, ret_number);
    }
}

/* Of a track. */
static int take_field(struct reader *reader, const char *name, const char *text)
{
    struct list_entry *entry = reader->entry;
    if (is(name, "title")) {
        return keep(reader, text, LIST_TEXT_BYTES_MAX, &entry->title);
    }
    if (is(name, "creator")) {
        return keep(reader, text, LIST_TEXT_BYTES_MAX, &entry->artist);
    }
    if (is(name, "album")) {
        return keep(reader, text, LIST_TEXT_BYTES_MAX, &entry->album);
    }
    if (is(name, "identifier")) {
        return list_identify(reader->reading, entry, text + strspn(text, " \t\r\n"));
    }
    if (is(name, "location") && reader->location[0] == '\0') {
        return keep(reader, text, XML_TEXT_MAX, &reader->location);
    }
    if (is(name, "duration")) {
        take_number(text, &entry->duration_ms);
    } else if (is(name, "trackNum")) {
        take_number(text, &entry->track_number);
    }
    return 0;
}

static int end_element(void *argument, const struct xml_element *element)
{
    struct reader *reader = argument;
    struct list_file *file = reader->reading->file;
    if (element->depth == 2 && is(element->name, "title")) {
        return keep(reader, element->text, LIST_TEXT_BYTES_MAX, &file->title);
    }
    if (element->depth == 2 && is(element->name, "annotation")) {
        return keep(reader, element->text, LIST_DESCRIPTION_BYTES_MAX, &file->description);
    }
    if (reader->entry == NULL) {
        return 0;
    }
    if (element->depth == 4) {
        return take_field(reader, element->name, element->text);
    }
    if (element->depth == 3) { /* names in its path count where no others do */
        struct list_entry *entry = reader->entry;
        reader->entry = NULL;
        return list_locate(reader->reading, entry, reader->location);
    }
    return 0;
}

int list_read_xspf(struct list_reading *reading, const char *bytes, size_t length)
{
    static const struct xml_form form = {
        .depth_max = 16, .text_max = XML_TEXT_MAX, .begin = begin_element, .end = end_element};
    struct reader reader = {.reading = reading, .location = ""};
    unsigned line = 0;
    int error = xml_read(bytes, length, &form, &reader, &line);
    if (error == ERR_MALFORMED && reading->problem->code == 0) {
        return problem_set(reading->problem, ERR_MALFORMED,
                           "Line %u: an XSPF is well-formed XML in UTF-8 without a document type, "
                           "at most 16 elements deep, with texts of at most %d bytes",
                           line, XML_TEXT_MAX);
    }
    return error;
}

/* ---- writing ---- */

/* Two characters that names may hold are none of XML's. */
static void add_text(struct buffer *out, const char *text)
{
    char piece[512];
    size_t used = 0;
    for (; *text != '\0'; text++) {
        if ((unsigned char)text[0] == 0xef && (unsigned char)text[1] == 0xbf &&
            (unsigned char)text[2] >= 0xbe) {
            text += 2;
            continue;
        }
        piece[used++] = *text;
        if (used == sizeof piece - 1) {
            piece[used] = '\0';
            xml_escape(out, piece);
            used = 0;
        }
    }
    piece[used] = '\0';
    xml_escape(out, piece);
}

static void add_element(struct buffer *out, const char *name, const char *prefix, const char *text)
{
    if (text[0] != '\0') {
        (void)buffer_printf(out, "<%s>%s", name, prefix);
        add_text(out, text);
        (void)buffer_printf(out, "</%s>", name);
    }
}

static void add_number(struct buffer *out, const char *name, int64_t number)
{
    if (number > 0) {
        (void)buffer_printf(out, "<%s>%" PRId64 "</%s>", name, number, name);
    }
}

void list_write_xspf_begin(struct list_writer *writer, const struct list_file *head)
{
    struct buffer *out = writer->out;
    (void)buffer_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                          "<playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\">");
    add_element(out, "title", "", head->title);
    add_element(out, "annotation", "", head->description);
    (void)buffer_add(out, "<trackList>\n");
}

void list_write_xspf_entry(struct list_writer *writer, const struct list_entry *entry)
{
    struct buffer *out = writer->out;
    (void)buffer_add(out, "<track>");
    add_element(out, "location", "", entry->location);
    add_element(out, "identifier", "https://musicbrainz.org/recording/", entry->mbid);
    add_element(out, "identifier", "urn:isrc:", entry->isrc);
    add_element(out, "title", "", entry->title);
    add_element(out, "creator", "", entry->artist);
    add_element(out, "album", "", entry->album);
    add_number(out, "trackNum", entry->track_number);
    add_number(out, "duration", entry->duration_ms);
    (void)buffer_add(out, "</track>\n");
}

void list_write_xspf_end(struct list_writer *writer)
{
    (void)buffer_add(writer->out, "</trackList></playlist>\n");
}
