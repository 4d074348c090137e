/* Buckets of outside users at an S3 store: prefixes of its one bucket (blob_s3.h), each with an
 * empty object that says it is there. Any thread.
 */
#include "backend/blob/blob_s3.h"

#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static void marker_of(const char *bucket, char out[S3_KEY_SIZE])
{
    (void)snprintf(out, S3_KEY_SIZE, "%s%s", S3_BUCKETS_PREFIX, bucket);
}

static bool is_ours(const char *bucket)
{
    return strcmp(bucket, BLOB_MEDIA) == 0 || strcmp(bucket, BLOB_UPLOADS) == 0;
}

int blob_s3_bucket_create(struct blob_store *head, const char *bucket)
{
    char key[S3_KEY_SIZE];
    marker_of(bucket, key);
    if (is_ours(bucket)) {
        return ERR_EXISTS;
    }
    struct s3_call call = {.method = "PUT", .key = key};
    blob_s3_call_header(&call, "if-none-match", "*");
    int error = blob_s3_call_only(blob_s3_store_of(head), &call);
    return error == ERR_PRECONDITION ? ERR_EXISTS : error;
}

int blob_s3_bucket_stat(struct blob_store *head, const char *bucket, int64_t *ret_created_ms)
{
    char key[S3_KEY_SIZE];
    struct s3_answer answer;
    if (is_ours(bucket)) {
        *ret_created_ms = 0;
        return 0;
    }
    marker_of(bucket, key);
    int error = blob_s3_head(blob_s3_store_of(head), key, &answer);
    if (error == 0) {
        *ret_created_ms = answer.stat.modified_ms;
    }
    blob_s3_answer_done(&answer);
    return error;
}

static int found_one(void *argument, const char *key, const struct blob_stat *stat)
{
    (void)argument;
    (void)key;
    (void)stat;
    return 1;
}

struct removal {
    struct blob_store *store;
    const char *bucket;
};

static int abort_upload(void *argument, const char *key, const char *upload_id, int64_t begun_ms)
{
    (void)begun_ms;
    const struct removal *removal = argument;
    int error = blob_s3_multipart_abort(removal->store, removal->bucket, key, upload_id);
    return error == ERR_NOT_FOUND ? 0 : error;
}

int blob_s3_bucket_remove(struct blob_store *head, const char *bucket)
{
    char key[S3_KEY_SIZE];
    struct removal removal = {head, bucket};
    if (is_ours(bucket)) {
        return ERR_CONFLICT;
    }
    int result = blob_s3_check_bucket(blob_s3_store_of(head), bucket);
    result = result != 0 ? result
                         : blob_s3_list(blob_s3_store_of(head), bucket, "", "", 1, found_one, NULL);
    if (result != 0) {
        return result > 0 ? ERR_CONFLICT : result;
    }
    result = blob_s3_multipart_uploads(head, bucket, abort_upload, &removal);
    marker_of(bucket, key);
    const struct s3_call call = {.method = "DELETE", .key = key};
    return result != 0 ? result : blob_s3_call_only(blob_s3_store_of(head), &call);
}

struct bucket_list {
    int (*visit)(void *argument, const char *bucket, int64_t created_ms);
    void *argument;
    char token[2 * S3_KEY_SIZE]; /* of the next page; "": there is none */
    char key[S3_KEY_SIZE];
    int64_t created_ms;
};

/* Entries below the prefix and without a further slash are the marks. */
static int bucket_element(void *argument, const char *parent, const char *name, const char *text)
{
    struct bucket_list *list = argument;
    if (strcmp(parent, "ListBucketResult") == 0 && strcmp(name, "NextContinuationToken") == 0) {
        return text_copy(list->token, sizeof list->token, text) ? 0 : ERR_CORRUPT;
    }
    if (strcmp(parent, "Contents") == 0 && strcmp(name, "Key") == 0) {
        return text_copy(list->key, sizeof list->key, text) &&
                       strncmp(text, S3_BUCKETS_PREFIX, strlen(S3_BUCKETS_PREFIX)) == 0
                   ? 0
                   : ERR_CORRUPT;
    }
    if (strcmp(parent, "Contents") == 0 && strcmp(name, "LastModified") == 0) {
        list->created_ms = blob_s3_xml_time(text);
    } else if (strcmp(name, "Contents") == 0 && strlen(list->key) > strlen(S3_BUCKETS_PREFIX)) {
        return list->visit(list->argument, list->key + strlen(S3_BUCKETS_PREFIX), list->created_ms);
    }
    return 0;
}

int blob_s3_bucket_list(struct blob_store *head,
                        int (*visit)(void *argument, const char *bucket, int64_t created_ms),
                        void *argument)
{
    struct bucket_list list = {.visit = visit, .argument = argument};
    int result = visit(argument, BLOB_MEDIA, 0);
    result = result != 0 ? result : visit(argument, BLOB_UPLOADS, 0);
    for (bool more = result == 0; more; more = result == 0 && list.token[0] != '\0') {
        char token[sizeof list.token];
        memcpy(token, list.token, sizeof token);
        struct s3_call call = {.method = "GET"};
        struct s3_answer answer;
        blob_s3_call_query(&call, "list-type", "2");
        blob_s3_call_query(&call, "delimiter", "/");
        blob_s3_call_query(&call, "prefix", S3_BUCKETS_PREFIX);
        if (token[0] != '\0') {
            blob_s3_call_query(&call, "continuation-token", token);
        }
        list.token[0] = '\0';
        result = blob_s3_call(blob_s3_store_of(head), &call, &answer);
        result = result != 0 ? result : blob_s3_xml_read(&answer.body, bucket_element, &list);
        blob_s3_answer_done(&answer);
        if (result == 0 && list.token[0] != '\0' && strcmp(list.token, token) == 0) {
            return ERR_CORRUPT; /* the same page for ever */
        }
    }
    return result;
}
