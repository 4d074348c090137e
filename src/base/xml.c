/* Reading XML (xml.h). Expat parses; this keeps to the bounds. */
#include "base/xml.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"

#include <expat.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct reader {
    XML_Parser parser;
    const struct xml_form *form;
    void *argument;
    unsigned depth;
    int error;
    char names[XML_DEPTH_MAX + 1][XML_NAME_SIZE]; /* of the open elements; [0] is "" */
    size_t length;                                /* of text: the innermost element's */
    char text[XML_TEXT_MAX + 1];
};

static void check(struct reader *reader, int error)
{
    if (error != 0 && reader->error == 0) {
        reader->error = error;
        (void)XML_StopParser(reader->parser, XML_FALSE);
    }
}

static int tell(struct reader *reader,
                int (*take)(void *argument, const struct xml_element *element))
{
    const struct xml_element element = {
        .depth = reader->depth,
        .line = (unsigned)XML_GetCurrentLineNumber(reader->parser),
        .parent = reader->names[reader->depth - 1],
        .name = reader->names[reader->depth],
        .text = reader->text,
    };
    return take != NULL ? take(reader->argument, &element) : 0;
}

static void XMLCALL start_element(void *argument, const char *name, const char **attributes)
{
    (void)attributes;
    struct reader *reader = argument;
    if (reader->error != 0) {
        return;
    }
    if (reader->depth == reader->form->depth_max ||
        !text_copy(reader->names[reader->depth + 1], XML_NAME_SIZE, name)) {
        check(reader, ERR_MALFORMED);
        return;
    }
    reader->depth++;
    reader->length = 0;
    reader->text[0] = '\0';
    check(reader, tell(reader, reader->form->begin));
}

static void XMLCALL add_text(void *argument, const char *text, int length)
{
    struct reader *reader = argument;
    if (reader->error != 0) {
        return;
    }
    if (reader->length + (size_t)length > reader->form->text_max) {
        check(reader, ERR_MALFORMED);
        return;
    }
    memcpy(reader->text + reader->length, text, (size_t)length);
    reader->length += (size_t)length;
}

static void XMLCALL end_element(void *argument, const char *name)
{
    (void)name;
    struct reader *reader = argument;
    if (reader->error != 0) {
        return;
    }
    reader->text[reader->length] = '\0';
    check(reader, tell(reader, reader->form->end));
    reader->length = 0;
    reader->depth--;
}

static void XMLCALL refuse_doctype(void *argument, const char *name, const char *system_id,
                                   const char *public_id, int has_internal_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal_subset;
    check(argument, ERR_MALFORMED);
}

int xml_read(const void *body, size_t length, const struct xml_form *form, void *argument,
             unsigned *ret_line)
{
    struct reader reader = {
        .form = form, .argument = argument, .parser = XML_ParserCreate("UTF-8")};
    if (reader.parser == NULL) {
        return ERR_NO_MEMORY;
    }
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, start_element, end_element);
    XML_SetCharacterDataHandler(reader.parser, add_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, refuse_doctype);
    bool parsed = length < INT32_MAX &&
                  XML_Parse(reader.parser, body, (int)length, XML_TRUE) == XML_STATUS_OK;
    bool full = XML_GetErrorCode(reader.parser) == XML_ERROR_NO_MEMORY;
    if (ret_line != NULL) {
        *ret_line = (unsigned)XML_GetCurrentLineNumber(reader.parser);
    }
    XML_ParserFree(reader.parser);
    return reader.error != 0 ? reader.error : parsed ? 0 : full ? ERR_NO_MEMORY : ERR_MALFORMED;
}

size_t xml_lacks(const char *text)
{
    if ((unsigned char)*text < ' ') {
        return *text == '\0' || strchr("\t\n\r", *text) != NULL ? 0 : 1;
    }
    return strncmp(text, "\xEF\xBF\xBE", 3) == 0 || strncmp(text, "\xEF\xBF\xBF", 3) == 0 ? 3 : 0;
}

void xml_escape(struct buffer *out, const char *text)
{
    while (*text != '\0') {
        size_t plain = 0;
        while (text[plain] != '\0' && strchr("<>&\"\r", text[plain]) == NULL &&
               xml_lacks(text + plain) == 0) {
            plain++;
        }
        (void)buffer_append(out, text, plain);
        text += plain;
        size_t lacking = xml_lacks(text);
        if (lacking > 0) {
            (void)buffer_add(out, "\xEF\xBF\xBD");
            text += lacking;
        } else if (*text != '\0') {
            (void)buffer_printf(out, "&#%d;", *text++);
        }
    }
}
