/* The list of keys of DeleteObjects. What is read has one to a thousand keys no longer than any
 * key; written as XML they are read again the same.
 *
 * Covers: src/service/objectstore/s3_xml_read.c src/base/xml.c */
#include "base/arena.h"
#include "base/error.h"
#include "fuzz.h"
#include "service/objectstore/s3_xml.h"

enum { ARENA_BYTES = 16 << 20, XML_BYTES_MAX = 16 << 20 };

static void write_keys(const struct s3_xml_delete *list, struct buffer *out)
{
    (void)buffer_printf(out, S3_XML_HEAD "<Delete><Quiet>%s</Quiet>",
                        list->quiet ? "true" : "false");
    for (unsigned i = 0; i < list->count; i++) {
        (void)buffer_add(out, "<Object>");
        s3_xml_text(out, "Key", list->objects[i].key, false);
        (void)buffer_add(out, list->objects[i].conditional ? "<VersionId>1</VersionId></Object>"
                                                           : "</Object>");
    }
    (void)buffer_add(out, "</Delete>");
}

static void check_keys(struct arena *arena, const struct s3_xml_delete *list)
{
    struct buffer xml;
    struct s3_xml_delete *again = arena_new_of(arena, struct s3_xml_delete);
    FUZZ_CHECK(again != NULL && list->count >= 1 && list->count <= S3_XML_DELETE_MAX);
    buffer_init(&xml, XML_BYTES_MAX);
    write_keys(list, &xml);
    FUZZ_CHECK(buffer_error(&xml) == 0);
    FUZZ_CHECK(s3_xml_delete(arena, xml.data, xml.length, again) == 0);
    FUZZ_CHECK(again->count == list->count && again->quiet == list->quiet);
    for (unsigned i = 0; i < list->count; i++) {
        FUZZ_CHECK(strlen(list->objects[i].key) <= BLOB_KEY_MAX);
        FUZZ_CHECK(strcmp(list->objects[i].key, again->objects[i].key) == 0);
        FUZZ_CHECK(list->objects[i].conditional == again->objects[i].conditional);
    }
    buffer_done(&xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct s3_xml_delete *list = arena_new_of(arena, struct s3_xml_delete);
    char *body = malloc(size > 0 ? size : 1); /* no NUL behind it */
    FUZZ_CHECK(body != NULL && list != NULL);
    if (size > 0) {
        memcpy(body, data, size);
    }
    int error = s3_xml_delete(arena, body, size, list);
    FUZZ_CHECK(error == 0 || error == ERR_MALFORMED || error == ERR_NO_MEMORY);
    if (error == 0) {
        check_keys(arena, list);
    }
    free(body);
    arena_free(arena);
    return 0;
}
