/* The list of parts that ends a multipart upload. Parts that are read have a number and an ETag
 * within their limits, no more of them than there is room for; written as XML they are read again
 * the same.
 *
 * Covers: src/service/objectstore/s3_xml.c src/service/objectstore/s3_xml_read.c src/base/xml.c */
#include "base/error.h"
#include "fuzz.h"
#include "service/objectstore/s3_xml.h"

enum { PARTS_MAX = 64, XML_BYTES_MAX = 1 << 20 };

static void write_parts(const struct blob_part *parts, int count, struct buffer *out)
{
    (void)buffer_add(out, S3_XML_HEAD "<CompleteMultipartUpload " S3_XML_NAMESPACE ">");
    for (int i = 0; i < count; i++) {
        (void)buffer_add(out, "<Part>");
        s3_xml_number(out, "PartNumber", (int64_t)parts[i].number);
        s3_xml_text(out, "ETag", parts[i].etag, false);
        (void)buffer_add(out, "</Part>");
    }
    (void)buffer_add(out, "</CompleteMultipartUpload>");
}

static void check_parts(const struct blob_part *parts, int count)
{
    struct blob_part again[PARTS_MAX];
    struct buffer xml;
    for (int i = 0; i < count; i++) {
        FUZZ_CHECK(parts[i].number >= 1 && parts[i].number <= BLOB_PART_NUMBER_MAX);
        FUZZ_CHECK(parts[i].etag[0] != '\0');
        if (parts[i].etag[0] == '"') {
            return; /* quotes that are part of it would be cut once more */
        }
    }
    buffer_init(&xml, XML_BYTES_MAX);
    write_parts(parts, count, &xml);
    FUZZ_CHECK(buffer_error(&xml) == 0);
    FUZZ_CHECK(s3_xml_parts(xml.data, xml.length, again, PARTS_MAX) == count);
    for (int i = 0; i < count; i++) {
        FUZZ_CHECK(again[i].number == parts[i].number);
        FUZZ_CHECK(strcmp(again[i].etag, parts[i].etag) == 0);
    }
    buffer_done(&xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blob_part parts[PARTS_MAX];
    char *body = malloc(size > 0 ? size : 1); /* no NUL behind it */
    FUZZ_CHECK(body != NULL);
    if (size > 0) {
        memcpy(body, data, size);
    }
    int count = s3_xml_parts(body, size, parts, PARTS_MAX);
    FUZZ_CHECK(count == ERR_MALFORMED || count == ERR_NO_MEMORY ||
               (count >= 0 && count <= PARTS_MAX));
    if (count >= 0) {
        check_parts(parts, count);
    }
    free(body);
    return 0;
}
