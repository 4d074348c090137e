/* S3's XML: writing answers (s3_xml.c) and reading requests (s3_xml_read.c). */
#pragma once

#include "backend/blob/blob.h"
#include "base/arena.h"
#include "base/buffer.h"

#include <stdint.h>

struct request;

#define S3_XML_HEAD      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define S3_XML_NAMESPACE "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

/* <name>text</name>, escaped; url: the text percent-encoded first (encoding-type=url). */
void s3_xml_text(struct buffer *out, const char *name, const char *text, bool url);
void s3_xml_number(struct buffer *out, const char *name, int64_t number);
/* "2026-01-01T00:00:00.000Z" */
void s3_xml_time(struct buffer *out, const char *name, int64_t wall_ms);
void s3_xml_etag(struct buffer *out, const char *etag);
/* Answers with the buffer's text, which the request owns from now on. */
int s3_xml_reply(struct request *request, int status, struct buffer *out);
/* Reads <CompleteMultipartUpload>: the parts' numbers, ETags without quotes, and checksums ("" or
 * as blob_put_sum has them), in the order given. Their number, or ERR_MALFORMED (no such document,
 * a document type, a part without number or ETag or with two checksums, more than max),
 * ERR_NO_MEMORY. */
int s3_xml_parts(const void *body, size_t length, struct blob_part *parts, unsigned max);
/* Reads <Delete>: the keys that are to go, in arena, in the order given. ERR_MALFORMED (no such
 * document, a document type, an object without key, none or more than a thousand of them),
 * ERR_NO_MEMORY. */
enum { S3_XML_DELETE_MAX = 1000 };
struct s3_xml_object {
    const char *key;
    const char *if_match; /* its ETag, without quotes; NULL: any */
    bool conditional;     /* more is said than these: a version or another condition */
};
struct s3_xml_delete {
    bool quiet; /* only failures are answered */
    unsigned count;
    struct s3_xml_object objects[S3_XML_DELETE_MAX];
};
int s3_xml_delete(struct arena *arena, const void *body, size_t length,
                  struct s3_xml_delete *ret_delete);
