/* XML from outside, on expat: elements are told as they begin and end, the innermost with their
 * text. No document types, so nothing expands and nothing is fetched; bounded in depth and in the
 * lengths of names and texts. Who reads bounds what it keeps. Pure functions, any thread. */
#pragma once

#include <stddef.h>

struct buffer;

enum { XML_DEPTH_MAX = 32, XML_NAME_SIZE = 64, XML_TEXT_MAX = 8 * 1024 };

struct xml_element {
    unsigned depth;            /* the root's is 1 */
    unsigned line;             /* where its tag stands */
    const char *parent, *name; /* parent "" for the root; prefixes are left on */
    const char *text;          /* at its end, of an element without others inside; else the rest */
};

struct xml_form {
    unsigned depth_max; /* at most XML_DEPTH_MAX */
    size_t text_max;    /* bytes, at most XML_TEXT_MAX */
    /* Non-zero ends the reading and is returned. NULL: passed over. */
    int (*begin)(void *argument, const struct xml_element *element);
    int (*end)(void *argument, const struct xml_element *element);
};

/* All of body. ERR_MALFORMED: not XML, a document type, too deep, too long a name or text;
 * *ret_line (may be NULL) is then where. ERR_NO_MEMORY. */
int xml_read(const void *body, size_t length, const struct xml_form *form, void *argument,
             unsigned *ret_line);

/* The bytes at the start of the UTF-8 text that XML can't hold in any form (XML 1.0, 2.2): a
 * control character, U+FFFE or U+FFFF. 0: none. */
size_t xml_lacks(const char *text);
/* As text of an element or value of an attribute, the same when it is read again; but U+FFFD for
 * what XML lacks. */
void xml_escape(struct buffer *out, const char *text);
