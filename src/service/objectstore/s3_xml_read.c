/* Reading the XML of requests (s3_xml.h): a root, in it items with fields of text, and options
 * beside them. The number of items is bounded by who takes them. Pure functions, any thread. */
#include "service/objectstore/s3_xml.h"

#include "base/error.h"
#include "base/text.h"
#include "base/xml.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* What a form of document is made of. The functions answer 0 or an error, which ends the reading.
 */
struct form {
    const char *root, *item;
    int (*begin)(void *argument); /* of an item */
    int (*field)(void *argument, const char *name, const char *text);
    int (*end)(void *argument);
    int (*option)(void *argument, const char *name, const char *text); /* NULL: passed over */
};

struct reader {
    const struct form *form;
    void *argument;
    bool in_item;
};

static int begin_element(void *argument, const struct xml_element *element)
{
    struct reader *reader = argument;
    if (element->depth == 1) {
        return strcmp(element->name, reader->form->root) == 0 ? 0 : ERR_MALFORMED;
    }
    if (element->depth == 2 && strcmp(element->name, reader->form->item) == 0) {
        reader->in_item = true;
        return reader->form->begin(reader->argument);
    }
    return 0;
}

static int end_element(void *argument, const struct xml_element *element)
{
    struct reader *reader = argument;
    const struct form *form = reader->form;
    if (reader->in_item && element->depth == 3) {
        return form->field(reader->argument, element->name, element->text);
    }
    if (reader->in_item && element->depth == 2) {
        reader->in_item = false;
        return form->end(reader->argument);
    }
    return element->depth == 2 && form->option != NULL
               ? form->option(reader->argument, element->name, element->text)
               : 0;
}

static int read_form(const void *body, size_t length, const struct form *form, void *argument)
{
    static const struct xml_form xml = {
        .depth_max = 8, .text_max = BLOB_KEY_MAX, .begin = begin_element, .end = end_element};
    struct reader reader = {.form = form, .argument = argument};
    return xml_read(body, length, &xml, &reader, NULL);
}

/* CompleteMultipartUpload. */

struct parts {
    struct blob_part *list;
    unsigned count, max;
};

static int part_begin(void *argument)
{
    struct parts *parts = argument;
    if (parts->count == parts->max) {
        return ERR_MALFORMED;
    }
    parts->list[parts->count] = (struct blob_part){0};
    return 0;
}

/* The ETag, without the quotes that clients may leave on it. */
static bool copy_etag(struct blob_part *part, const char *text)
{
    size_t length = strlen(text);
    bool quoted = length >= 2 && text[0] == '"' && text[length - 1] == '"';
    if (!text_copy(part->etag, sizeof part->etag, text + quoted)) {
        return false;
    }
    if (quoted) {
        part->etag[length - 2] = '\0';
    }
    return true;
}

/* "ChecksumCRC32" and its value as the header says them. */
static int copy_sum(struct blob_part *part, const char *name, const char *text)
{
    static const char prefix[] = "x-amz-checksum-";
    int length = snprintf(part->sum, sizeof part->sum, "%s%s:%s", prefix, name, text);
    for (char *at = part->sum + sizeof prefix - 1; *at != '\0' && *at != ':'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    return length < (int)sizeof part->sum ? 0 : ERR_MALFORMED;
}

static int part_field(void *argument, const char *name, const char *text)
{
    struct parts *parts = argument;
    struct blob_part *part = &parts->list[parts->count];
    int64_t number = 0;
    if (strcmp(name, "ETag") == 0) {
        return copy_etag(part, text) ? 0 : ERR_MALFORMED;
    }
    if (strncmp(name, "Checksum", 8) == 0) {
        return part->sum[0] == '\0' ? copy_sum(part, name + 8, text) : ERR_MALFORMED;
    }
    if (strcmp(name, "PartNumber") == 0) {
        if (!text_number(text, 1, BLOB_PART_NUMBER_MAX, &number)) {
            return ERR_MALFORMED;
        }
        part->number = (unsigned)number;
    }
    return 0;
}

static int part_end(void *argument)
{
    struct parts *parts = argument;
    const struct blob_part *part = &parts->list[parts->count++];
    return part->number != 0 && part->etag[0] != '\0' ? 0 : ERR_MALFORMED;
}

int s3_xml_parts(const void *body, size_t length, struct blob_part *parts, unsigned max)
{
    static const struct form form = {.root = "CompleteMultipartUpload",
                                     .item = "Part",
                                     .begin = part_begin,
                                     .field = part_field,
                                     .end = part_end};
    struct parts reading = {.list = parts, .max = max};
    int error = read_form(body, length, &form, &reading);
    return error != 0 ? error : (int)reading.count;
}

/* Delete. */

struct objects {
    struct arena *arena;
    struct s3_xml_delete *into;
};

static int object_begin(void *argument)
{
    struct objects *objects = argument;
    if (objects->into->count == S3_XML_DELETE_MAX) {
        return ERR_MALFORMED;
    }
    objects->into->objects[objects->into->count] = (struct s3_xml_object){0};
    return 0;
}

/* An ETag without the quotes around it. */
static const char *bare_copy(struct arena *arena, const char *text)
{
    size_t length = strlen(text);
    bool quoted = length >= 2 && text[0] == '"' && text[length - 1] == '"';
    return arena_strndup(arena, text + quoted, length - 2 * (size_t)quoted);
}

static int object_field(void *argument, const char *name, const char *text)
{
    struct objects *objects = argument;
    struct s3_xml_object *object = &objects->into->objects[objects->into->count];
    if (strcmp(name, "ETag") == 0) {
        object->if_match = bare_copy(objects->arena, text);
        return object->if_match != NULL ? 0 : ERR_NO_MEMORY;
    }
    if (strcmp(name, "Key") != 0) {
        object->conditional = true; /* a version, a time, a size: looked at by nobody here */
        return 0;
    }
    object->key = arena_strdup(objects->arena, text);
    return object->key != NULL ? 0 : ERR_NO_MEMORY;
}

static int object_end(void *argument)
{
    struct objects *objects = argument;
    return objects->into->objects[objects->into->count++].key != NULL ? 0 : ERR_MALFORMED;
}

static int delete_option(void *argument, const char *name, const char *text)
{
    struct objects *objects = argument;
    if (strcmp(name, "Quiet") == 0) {
        objects->into->quiet = strcmp(text, "true") == 0;
    }
    return 0;
}

int s3_xml_delete(struct arena *arena, const void *body, size_t length,
                  struct s3_xml_delete *ret_delete)
{
    static const struct form form = {.root = "Delete",
                                     .item = "Object",
                                     .begin = object_begin,
                                     .field = object_field,
                                     .end = object_end,
                                     .option = delete_option};
    struct objects reading = {arena, ret_delete};
    ret_delete->count = 0;
    ret_delete->quiet = false;
    int error = read_form(body, length, &form, &reading);
    return error != 0 || ret_delete->count > 0 ? error : ERR_MALFORMED;
}
