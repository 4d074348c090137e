/* Deleting: one object, up to a thousand of them (DeleteObjects), an empty bucket. On the pool. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "service/objectstore/s3_xml.h"

int s3_delete_object(struct request *request, const char *bucket, const char *key)
{
    struct blob_condition condition;
    int error = s3_condition(request, &condition);
    if (error == 0 && condition.if_none_match) {
        error = s3_fail_with(request, S3_NOT_IMPLEMENTED, "A deletion has no If-None-Match");
    }
    if (error != 0) {
        return error;
    }
    error = blob_delete_if(s3_store(request)->blobs, bucket, key, condition.if_match);
    return error != 0 ? s3_fail_object(request, bucket, error) : reply_empty(request, 204);
}

int s3_delete_bucket(struct request *request, const char *bucket)
{
    int error = blob_bucket_remove(s3_store(request)->blobs, bucket);
    if (error == ERR_CONFLICT) {
        return s3_fail(request, S3_BUCKET_NOT_EMPTY);
    }
    return error != 0 ? s3_fail_object(request, bucket, error) : reply_empty(request, 204);
}

/* What became of one object of many, in S3's words. */
static void add_failure(struct buffer *out, const char *key, int error)
{
    static const struct {
        int error;
        const char *code, *message;
    } rows[] = {
        {ERR_PRECONDITION, "PreconditionFailed", "The object has another ETag"},
        {ERR_NOT_FOUND, "NoSuchKey", "There is no such object"},
        {ERR_UNSUPPORTED, "NotImplemented",
         "Objects have no versions here, and a deletion no condition but an ETag"},
    };
    const char *code = "InternalError";
    const char *message = "It could not be deleted; try again";
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].error == error) {
            code = rows[i].code;
            message = rows[i].message;
        }
    }
    (void)buffer_add(out, "<Error>");
    s3_xml_text(out, "Key", key, false);
    s3_xml_text(out, "Code", code, false);
    s3_xml_text(out, "Message", message, false);
    (void)buffer_add(out, "</Error>");
}

static void delete_one(struct request *request, const char *bucket,
                       const struct s3_xml_object *object, bool quiet, struct buffer *out)
{
    int error = 0;
    if (object->conditional) {
        error = ERR_UNSUPPORTED;
    } else if (blob_key_valid(object->key)) {
        error = blob_delete_if(s3_store(request)->blobs, bucket, object->key, object->if_match);
    } else if (object->if_match != NULL) {
        error = ERR_NOT_FOUND; /* such a key was never taken */
    }
    if (error != 0) {
        add_failure(out, object->key, error);
    } else if (!quiet) {
        (void)buffer_add(out, "<Deleted>");
        s3_xml_text(out, "Key", object->key, false);
        (void)buffer_add(out, "</Deleted>");
    }
}

int s3_delete_objects(struct request *request, const char *bucket)
{
    int64_t created_ms = 0;
    size_t length = 0;
    const void *body = request_body(request, &length);
    struct s3_xml_delete *list = arena_new_of(request->call.arena, struct s3_xml_delete);
    if (list == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = blob_bucket_stat(s3_store(request)->blobs, bucket, &created_ms);
    if (error != 0) {
        return s3_fail_object(request, bucket, error);
    }
    error = s3_xml_delete(request->call.arena, body != NULL ? body : "", length, list);
    if (error != 0) {
        return error == ERR_MALFORMED ? s3_fail(request, S3_XML) : error;
    }
    struct buffer out;
    buffer_init(&out, S3_ANSWER_BYTES_MAX);
    (void)buffer_add(&out, S3_XML_HEAD "<DeleteResult " S3_XML_NAMESPACE ">");
    for (unsigned i = 0; i < list->count; i++) {
        delete_one(request, bucket, &list->objects[i], list->quiet, &out);
    }
    (void)buffer_add(&out, "</DeleteResult>");
    return s3_xml_reply(request, 200, &out);
}
