/* Copies inside an S3 store: the bytes never come here. One request up to 5 GiB, above that parts
 * of the source are named. The source is looked at first, for its size and description, and copied
 * by the ETag that it had then. Conditions of the new key are not left to the store: many pass over
 * them. Any thread.
 */
#include "backend/blob/blob_s3.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t copy_bytes_max = (uint64_t)5 * 1024 * 1024 * 1024;
static const uint64_t copy_part_bytes = (uint64_t)1024 * 1024 * 1024;

struct copying {
    struct s3_store *store;
    const char *to;
    bool described; /* with another description than the source's */
    struct s3_description description;
    struct blob_stat stat; /* the source's, then the copy's */
    struct buffer source;  /* "/bucket/key", encoded */
    char etag[BLOB_ETAG_MAX + 2];
};

struct copied {
    char etag[BLOB_ETAG_MAX];
    int64_t modified_ms;
};

static int copied_element(void *argument, const char *parent, const char *name, const char *text)
{
    (void)parent;
    struct copied *copied = argument;
    if (strcmp(name, "ETag") == 0) {
        blob_s3_copy_etag(text, copied->etag);
    } else if (strcmp(name, "LastModified") == 0) {
        copied->modified_ms = blob_s3_xml_time(text);
    }
    return 0;
}

/* Sends a call that copies; the answer is XML that tells of the copy. */
static int send_copy(const struct copying *copying, struct s3_call *call, struct copied *ret_copied)
{
    struct s3_answer answer;
    call->method = "PUT";
    call->key = copying->to;
    call->timeout_ms = S3_COPY_TIMEOUT_MS;
    blob_s3_call_header(call, "x-amz-copy-source", copying->source.data);
    blob_s3_call_header(call, "x-amz-copy-source-if-match", copying->etag);
    int error = blob_s3_call(copying->store, call, &answer);
    *ret_copied = (struct copied){.modified_ms = answer.server_ms};
    error = error != 0 ? error : blob_s3_xml_read(&answer.body, copied_element, ret_copied);
    blob_s3_answer_done(&answer);
    return error;
}

static int copy_whole(struct copying *copying)
{
    struct s3_call call = {0};
    struct copied copied;
    if (copying->described) {
        blob_s3_call_header(&call, "x-amz-metadata-directive", "REPLACE");
        blob_s3_call_describe(copying->store, &copying->description, &call);
    } else {
        blob_s3_call_encrypt(copying->store, &call);
    }
    int error = send_copy(copying, &call, &copied);
    if (error == 0) {
        memcpy(copying->stat.etag, copied.etag, sizeof copied.etag);
        copying->stat.modified_ms = copied.modified_ms;
    }
    return error;
}

static int copy_piece(struct copying *copying, const char *upload_id, uint64_t offset,
                      struct blob_part *part)
{
    char number[16], range[64];
    struct s3_call call = {0};
    struct copied copied;
    uint64_t end = offset + copy_part_bytes;
    end = end < copying->stat.bytes ? end : copying->stat.bytes;
    (void)snprintf(number, sizeof number, "%u", part->number);
    (void)snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)offset,
                   (unsigned long long)end - 1);
    blob_s3_call_query(&call, "partNumber", number);
    blob_s3_call_query(&call, "uploadId", upload_id);
    blob_s3_call_header(&call, "x-amz-copy-source-range", range);
    int error = send_copy(copying, &call, &copied);
    memcpy(part->etag, copied.etag, sizeof part->etag);
    return error;
}

static int copy_pieces(struct copying *copying)
{
    char upload_id[BLOB_UPLOAD_ID_MAX];
    unsigned count = (unsigned)((copying->stat.bytes + copy_part_bytes - 1) / copy_part_bytes);
    struct s3_answer answer;
    int error = blob_s3_parts_begin(copying->store, copying->to, &copying->description, upload_id);
    if (error != 0) {
        return error;
    }
    struct blob_part *parts CLEANUP_FREE = calloc(count, sizeof *parts);
    error = parts == NULL ? ERR_NO_MEMORY : 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        parts[i].number = i + 1;
        error = copy_piece(copying, upload_id, i * copy_part_bytes, &parts[i]);
    }
    if (error == 0) {
        error = blob_s3_parts_join(copying->store, copying->to, upload_id, parts, count,
                                   &(struct blob_condition){0}, &answer, NULL);
        memcpy(copying->stat.etag, answer.stat.etag, sizeof answer.stat.etag);
        copying->stat.modified_ms = answer.stat.modified_ms;
        blob_s3_answer_done(&answer);
    }
    if (error != 0) {
        (void)blob_s3_parts_forget(copying->store, copying->to, upload_id);
    }
    return error;
}

/* What the source is now. */
static int look_at_source(struct copying *copying, const char *key, const char *etag,
                          const struct blob_meta *meta)
{
    struct s3_answer answer;
    int error = blob_s3_head(copying->store, key, &answer);
    if (error == 0 && etag != NULL && strcmp(etag, answer.stat.etag) != 0) {
        error = ERR_PRECONDITION;
    }
    if (error == 0) {
        copying->stat = answer.stat;
        (void)snprintf(copying->etag, sizeof copying->etag, "\"%s\"", answer.stat.etag);
        if (meta != NULL) {
            blob_s3_describe(meta, &copying->description);
        } else {
            blob_s3_describe_answer(&answer, &copying->description);
        }
        blob_s3_stat_describe(&copying->description, &copying->stat);
    }
    blob_s3_answer_done(&answer);
    return error;
}

static int copy_object(struct copying *copying, const char *from)
{
    if (strcmp(from, copying->to) == 0 && !copying->described) {
        return 0; /* stores refuse a copy that changes nothing */
    }
    (void)buffer_add(&copying->source, "/");
    sigv4_encode(&copying->source, copying->store->address.bucket,
                 strlen(copying->store->address.bucket), false);
    (void)buffer_add(&copying->source, "/");
    sigv4_encode(&copying->source, from, strlen(from), true);
    int error = buffer_error(&copying->source);
    return error != 0                             ? error
           : copying->stat.bytes > copy_bytes_max ? copy_pieces(copying)
                                                  : copy_whole(copying);
}

int blob_s3_copy(struct blob_store *head, const char *bucket, const char *key, const char *etag,
                 const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                 const struct blob_condition *condition, struct blob_stat *ret_stat)
{
    if (condition->if_none_match || condition->if_match != NULL) {
        return ERR_UNSUPPORTED;
    }
    struct s3_store *store = blob_s3_store_of(head);
    char from[S3_KEY_SIZE], to[S3_KEY_SIZE];
    struct copying copying = {.store = store, .to = to, .described = meta != NULL};
    int error = blob_s3_key_of(store, bucket, key, from);
    error = error != 0 ? error : blob_s3_key_of(store, to_bucket, to_key, to);
    if (error != 0) {
        return error;
    }
    buffer_init(&copying.source, 8 * (size_t)S3_KEY_SIZE);
    error = look_at_source(&copying, from, etag, meta);
    error = error != 0 ? error : copy_object(&copying, from);
    buffer_done(&copying.source);
    if (error == 0 && ret_stat != NULL) {
        *ret_stat = copying.stat;
    }
    return error;
}
