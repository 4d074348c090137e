/* Deleting from an S3 store: one object, or a thousand with one request. Any thread. */
#include "backend/blob/blob_s3.h"

#include "base/error.h"
#include "base/xml.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS_AT_ONCE = 1000, BODY_BYTES_MAX = 8 * 1024 * 1024 };

/* Many stores pass over a condition of a deletion, so none is sent. */
int blob_s3_remove(struct blob_store *head, const char *bucket, const char *key,
                   const char *if_match)
{
    if (if_match != NULL) {
        return ERR_UNSUPPORTED;
    }
    struct s3_store *store = blob_s3_store_of(head);
    char name[S3_KEY_SIZE];
    int error = blob_s3_key_of(store, bucket, key, name);
    if (error != 0) {
        return error;
    }
    const struct s3_call call = {.method = "DELETE", .key = name};
    error = blob_s3_call_only(store, &call);
    return error == ERR_NOT_FOUND ? 0 : error;
}

/* Keys that the store could not delete are told one by one. */
static int failed_element(void *argument, const char *parent, const char *name, const char *text)
{
    bool *failed = argument;
    bool gone = strcmp(text, "NoSuchKey") == 0;
    *failed = *failed || (strcmp(parent, "Error") == 0 && strcmp(name, "Code") == 0 && !gone);
    return 0;
}

static int write_body(const char *prefix, const char *const *keys, unsigned count,
                      struct buffer *out)
{
    (void)buffer_add(out, "<Delete><Quiet>true</Quiet>");
    for (unsigned i = 0; i < count; i++) {
        (void)buffer_add(out, "<Object><Key>");
        xml_escape(out, prefix);
        xml_escape(out, keys[i]);
        (void)buffer_add(out, "</Key></Object>");
    }
    (void)buffer_add(out, "</Delete>");
    return buffer_error(out);
}

static int send_body(struct s3_store *store, const struct buffer *body)
{
    char md5[S3_MD5_SIZE];
    struct s3_call call = {.method = "POST"};
    blob_s3_call_query(&call, "delete", "");
    blob_s3_call_xml(&call, body, md5);
    struct s3_answer answer;
    bool failed = false;
    int error = blob_s3_call(store, &call, &answer);
    error = error != 0 ? error : blob_s3_xml_read(&answer.body, failed_element, &failed);
    blob_s3_answer_done(&answer);
    return error == 0 && failed ? ERR_UNAVAILABLE : error;
}

int blob_s3_remove_many(struct blob_store *head, const char *bucket, const char *const *keys,
                        unsigned count)
{
    struct s3_store *store = blob_s3_store_of(head);
    char prefix[S3_KEY_SIZE];
    blob_s3_prefix_of(bucket, prefix);
    int error = blob_s3_check_bucket(store, bucket);
    for (unsigned done = 0; error == 0 && done < count;) {
        unsigned some = count - done < KEYS_AT_ONCE ? count - done : KEYS_AT_ONCE;
        struct buffer body;
        buffer_init(&body, BODY_BYTES_MAX);
        error = write_body(prefix, keys + done, some, &body);
        error = error != 0 ? error : send_body(store, &body);
        buffer_done(&body);
        done += some;
    }
    return error;
}
