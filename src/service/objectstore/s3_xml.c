/* S3's XML (s3_xml.h). Reading is expat's, without document types, so that nothing expands. */
#include "service/objectstore/s3_xml.h"

#include "backend/blob/sigv4.h"
#include "base/error.h"
#include "base/text.h"
#include "net/http.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEPTH_MAX = 8, TEXT_SIZE = 128 };

static void add_escaped(struct buffer *out, const char *text)
{
    while (*text != '\0') {
        size_t plain = strcspn(text, "<>&\"\r");
        (void)buffer_append(out, text, plain);
        text += plain;
        if (*text != '\0') {
            (void)buffer_printf(out, "&#%d;", *text++);
        }
    }
}

void s3_xml_text(struct buffer *out, const char *name, const char *text, bool url)
{
    (void)buffer_printf(out, "<%s>", name);
    if (url) {
        sigv4_encode(out, text, strlen(text), true);
    } else {
        add_escaped(out, text);
    }
    (void)buffer_printf(out, "</%s>", name);
}

void s3_xml_number(struct buffer *out, const char *name, int64_t number)
{
    (void)buffer_printf(out, "<%s>%lld</%s>", name, (long long)number, name);
}

void s3_xml_time(struct buffer *out, const char *name, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char text[32];
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)buffer_printf(out, "<%s>%s.%03dZ</%s>", name, text, (int)(wall_ms % 1000), name);
}

void s3_xml_etag(struct buffer *out, const char *etag)
{
    (void)buffer_printf(out, "<ETag>&#34;%s&#34;</ETag>", etag);
}

int s3_xml_reply(struct request *request, int status, struct buffer *out)
{
    int error = buffer_error(out);
    if (error != 0) {
        buffer_done(out);
        return error;
    }
    size_t length = 0;
    char *text = buffer_take(out, &length);
    error = arena_at_end(request->call.arena, free, text);
    if (error != 0) {
        free(text);
        return error;
    }
    return reply_bytes(request, status, "application/xml", text, length, true);
}

struct reader {
    XML_Parser parser;
    struct blob_part *parts;
    unsigned count, max;
    int depth;
    bool failed;
    bool in_part;  /* inside <Part> */
    size_t length; /* of text; the current element's */
    char text[TEXT_SIZE];
};

static void fail(struct reader *reader)
{
    reader->failed = true;
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL start_element(void *argument, const char *name, const char **attributes)
{
    (void)attributes;
    struct reader *reader = argument;
    reader->length = 0;
    reader->depth++;
    if (reader->depth > DEPTH_MAX ||
        (reader->depth == 1 && strcmp(name, "CompleteMultipartUpload") != 0)) {
        fail(reader);
    } else if (reader->depth == 2 && strcmp(name, "Part") == 0) {
        if (reader->count == reader->max) {
            fail(reader);
            return;
        }
        reader->in_part = true;
        reader->parts[reader->count] = (struct blob_part){0};
    }
}

static void XMLCALL add_text(void *argument, const char *text, int length)
{
    struct reader *reader = argument;
    if (reader->depth != 3) {
        return;
    }
    if (reader->length + (size_t)length >= sizeof reader->text) {
        fail(reader);
        return;
    }
    memcpy(reader->text + reader->length, text, (size_t)length);
    reader->length += (size_t)length;
}

/* Cuts the quotes that clients may leave on an ETag. */
static void take_etag(struct reader *reader, struct blob_part *part)
{
    char *text = reader->text;
    size_t length = reader->length;
    if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
        text[length - 1] = '\0';
        text++;
    }
    if (!text_copy(part->etag, sizeof part->etag, text)) {
        fail(reader);
    }
}

static void XMLCALL end_element(void *argument, const char *name)
{
    struct reader *reader = argument;
    reader->text[reader->length] = '\0';
    if (reader->in_part && reader->depth == 3) {
        struct blob_part *part = &reader->parts[reader->count];
        int64_t number = 0;
        if (strcmp(name, "ETag") == 0) {
            take_etag(reader, part);
        } else if (strcmp(name, "PartNumber") == 0) {
            if (!text_number(reader->text, 1, BLOB_PART_NUMBER_MAX, &number)) {
                fail(reader);
            }
            part->number = (unsigned)number;
        }
    } else if (reader->in_part && reader->depth == 2) {
        const struct blob_part *part = &reader->parts[reader->count++];
        reader->in_part = false;
        if (part->number == 0 || part->etag[0] == '\0') {
            fail(reader);
        }
    }
    reader->depth--;
    reader->length = 0;
}

static void XMLCALL refuse_doctype(void *argument, const char *name, const char *system_id,
                                   const char *public_id, int has_internal_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal_subset;
    fail(argument);
}

int s3_xml_parts(const void *body, size_t length, struct blob_part *parts, unsigned max)
{
    struct reader reader = {.parts = parts, .max = max, .parser = XML_ParserCreate("UTF-8")};
    if (reader.parser == NULL) {
        return ERR_NO_MEMORY;
    }
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, start_element, end_element);
    XML_SetCharacterDataHandler(reader.parser, add_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, refuse_doctype);
    bool parsed = length < INT32_MAX &&
                  XML_Parse(reader.parser, body, (int)length, XML_TRUE) == XML_STATUS_OK;
    XML_ParserFree(reader.parser);
    return parsed && !reader.failed ? (int)reader.count : ERR_MALFORMED;
}
