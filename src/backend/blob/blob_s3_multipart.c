/* Uploads in parts at an S3 store. Clients PUT their parts straight to it, by URLs that we signed;
 * what we do ourselves (large objects, large copies, the built-in store's outside keys) goes the
 * same way. Any thread.
 */
#include "backend/blob/blob_s3.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "base/xml.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOIN_BYTES_MAX = 4 * 1024 * 1024, PAGE_PARTS_MAX = 1000, JOIN_TRIES = 4 };

/* Beginning and forgetting. */

static int take_upload_id(void *argument, const char *parent, const char *name, const char *text)
{
    (void)parent;
    return strcmp(name, "UploadId") != 0 || text_copy(argument, BLOB_UPLOAD_ID_MAX, text)
               ? 0
               : ERR_CORRUPT;
}

int blob_s3_parts_begin(struct s3_store *store, const char *key,
                        const struct s3_description *description,
                        char ret_upload_id[BLOB_UPLOAD_ID_MAX])
{
    struct s3_call call = {.method = "POST", .key = key};
    struct s3_answer answer;
    blob_s3_call_query(&call, "uploads", "");
    blob_s3_call_describe(store, description, &call);
    ret_upload_id[0] = '\0';
    int error = blob_s3_call(store, &call, &answer);
    error = error != 0 ? error : blob_s3_xml_read(&answer.body, take_upload_id, ret_upload_id);
    blob_s3_answer_done(&answer);
    return error == 0 && ret_upload_id[0] == '\0' ? ERR_CORRUPT : error;
}

int blob_s3_multipart_create(struct blob_store *head, const char *bucket, const char *key,
                             const struct blob_meta *meta, char ret_upload_id[BLOB_UPLOAD_ID_MAX])
{
    struct s3_store *store = blob_s3_store_of(head);
    struct s3_description description;
    char name[S3_KEY_SIZE];
    int error = blob_s3_key_of(store, bucket, key, name);
    blob_s3_describe(meta, &description);
    return error != 0 ? error : blob_s3_parts_begin(store, name, &description, ret_upload_id);
}

int blob_s3_parts_forget(struct s3_store *store, const char *key, const char *upload_id)
{
    struct s3_call call = {.method = "DELETE", .key = key};
    blob_s3_call_query(&call, "uploadId", upload_id);
    return blob_s3_call_only(store, &call);
}

int blob_s3_multipart_abort(struct blob_store *head, const char *bucket, const char *key,
                            const char *upload_id)
{
    char name[S3_KEY_SIZE];
    int error = blob_s3_key_of(blob_s3_store_of(head), bucket, key, name);
    return error != 0 ? error : blob_s3_parts_forget(blob_s3_store_of(head), name, upload_id);
}

/* Parts. */

struct part_list {
    int (*visit)(void *argument, const struct blob_part *part);
    void *argument;
    unsigned left, last;
    bool truncated;
    struct blob_part part; /* that is being read */
};

static int end_part(struct part_list *list)
{
    struct blob_part part = list->part;
    list->part = (struct blob_part){0};
    list->last = part.number > list->last ? part.number : list->last;
    if (list->left == 0) {
        return 0;
    }
    list->left--;
    return list->visit(list->argument, &part);
}

static int part_element(void *argument, const char *parent, const char *name, const char *text)
{
    struct part_list *list = argument;
    int64_t number = 0;
    if (strcmp(parent, "ListPartsResult") == 0) {
        if (strcmp(name, "IsTruncated") == 0) {
            list->truncated = strcmp(text, "true") == 0;
        }
        return strcmp(name, "Part") == 0 ? end_part(list) : 0;
    }
    if (strcmp(parent, "Part") != 0) {
        return 0;
    }
    if (strcmp(name, "PartNumber") == 0 && text_number(text, 1, BLOB_PART_NUMBER_MAX, &number)) {
        list->part.number = (unsigned)number;
    } else if (strcmp(name, "Size") == 0 && text_number(text, 0, INT64_MAX, &number)) {
        list->part.bytes = (uint64_t)number;
    } else if (strcmp(name, "ETag") == 0) {
        blob_s3_copy_etag(text, list->part.etag);
    } else if (strcmp(name, "LastModified") == 0) {
        list->part.modified_ms = blob_s3_xml_time(text);
    }
    return 0;
}

static int list_parts(struct s3_store *store, const char *key, const char *upload_id,
                      struct part_list *list)
{
    int result = 0;
    do {
        char marker[16], count[16];
        struct s3_answer answer;
        struct s3_call call = {.method = "GET", .key = key};
        unsigned last = list->last;
        (void)snprintf(marker, sizeof marker, "%u", last);
        (void)snprintf(count, sizeof count, "%u",
                       list->left < PAGE_PARTS_MAX ? list->left : PAGE_PARTS_MAX);
        blob_s3_call_query(&call, "max-parts", count);
        blob_s3_call_query(&call, "part-number-marker", marker);
        blob_s3_call_query(&call, "uploadId", upload_id);
        list->truncated = false;
        result = blob_s3_call(store, &call, &answer);
        result = result != 0 ? result : blob_s3_xml_read(&answer.body, part_element, list);
        blob_s3_answer_done(&answer);
        list->truncated = list->truncated && list->last > last;
    } while (result == 0 && list->truncated && list->left > 0);
    return result;
}

int blob_s3_multipart_list(struct blob_store *head, const char *bucket, const char *key,
                           const char *upload_id, unsigned after_number, unsigned limit,
                           int (*visit)(void *argument, const struct blob_part *part),
                           void *argument)
{
    struct part_list list = {
        .visit = visit, .argument = argument, .left = limit, .last = after_number};
    char name[S3_KEY_SIZE];
    int error = blob_s3_key_of(blob_s3_store_of(head), bucket, key, name);
    return error != 0 ? error : list_parts(blob_s3_store_of(head), name, upload_id, &list);
}

static int pass_part(void *argument, const struct blob_part *part)
{
    (void)argument;
    (void)part;
    return 0;
}

/* Stores notice a wrong upload only with the part; here it is asked for before its bytes come. */
int blob_s3_multipart_put_open(struct blob_store *head, const char *bucket, const char *key,
                               const char *upload_id, unsigned number,
                               struct blob_writer **ret_writer)
{
    struct s3_store *store = blob_s3_store_of(head);
    struct part_list list = {.visit = pass_part, .left = 1};
    char name[S3_KEY_SIZE];
    int error = blob_s3_key_of(store, bucket, key, name);
    error = error != 0 ? error : list_parts(store, name, upload_id, &list);
    return error != 0 ? error : blob_s3_put_part_open(store, name, upload_id, number, ret_writer);
}

/* Joining. */

/* What the ETag of the joined object is: the MD5 of its parts' MD5s. "" where theirs are none. */
static void joined_etag(const struct blob_part *parts, unsigned count, char out[BLOB_ETAG_MAX])
{
    unsigned char digest[MD5_DIGEST_SIZE];
    char text[2 * MD5_DIGEST_SIZE + 1];
    struct md5_ctx md5;
    md5_init(&md5);
    out[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        size_t length = 0;
        if (strlen(parts[i].etag) != 2 * MD5_DIGEST_SIZE ||
            sodium_hex2bin(digest, sizeof digest, parts[i].etag, 2 * MD5_DIGEST_SIZE, NULL, &length,
                           NULL) != 0) {
            return;
        }
        md5_update(&md5, sizeof digest, digest);
    }
    md5_digest(&md5, sizeof digest, digest);
    (void)snprintf(out, BLOB_ETAG_MAX, "%s-%u",
                   sodium_bin2hex(text, sizeof text, digest, sizeof digest), count);
}

static int write_join(const struct blob_part *parts, unsigned count, struct buffer *out)
{
    (void)buffer_add(out, "<CompleteMultipartUpload>");
    for (unsigned i = 0; i < count; i++) {
        (void)buffer_printf(out, "<Part><PartNumber>%u</PartNumber><ETag>\"", parts[i].number);
        xml_escape(out, parts[i].etag);
        (void)buffer_add(out, "\"</ETag></Part>");
    }
    (void)buffer_add(out, "</CompleteMultipartUpload>");
    return buffer_error(out);
}

static int refused(const struct s3_answer *answer, int error, struct problem *problem)
{
    if (strcmp(answer->code, "InvalidPart") == 0) {
        return problem_set(problem, ERR_PRECONDITION, "a part is missing or has another ETag");
    }
    if (strcmp(answer->code, "InvalidPartOrder") == 0) {
        return problem_set(problem, ERR_CONFLICT, "the parts' numbers must rise");
    }
    if (strcmp(answer->code, "EntityTooSmall") == 0) {
        return problem_set(problem, ERR_RANGE, "every part but the last must have 5 MiB or more");
    }
    return error;
}

static int send_join(struct s3_store *store, const char *key, const char *upload_id,
                     const struct buffer *body, const struct blob_condition *condition,
                     struct problem *problem)
{
    struct s3_answer answer;
    struct s3_call call = {.method = "POST",
                           .key = key,
                           .body = body->data,
                           .length = body->length,
                           .once = true,
                           .timeout_ms = S3_COPY_TIMEOUT_MS};
    blob_s3_call_query(&call, "uploadId", upload_id);
    blob_s3_call_header(&call, "content-type", "application/xml");
    if (condition->if_none_match) {
        blob_s3_call_header(&call, "if-none-match", "*");
    }
    int error = blob_s3_call(store, &call, &answer);
    error = error != 0 ? refused(&answer, error, problem) : 0;
    blob_s3_answer_done(&answer);
    return error;
}

/* What stands under the key now must meet the condition. Stores that know conditions of joins hold
 * to them by themselves; for the others this look is all there is. */
static int check_condition(struct s3_store *store, const char *key,
                           const struct blob_condition *condition)
{
    if (!condition->if_none_match && condition->if_match == NULL) {
        return 0;
    }
    struct s3_answer answer;
    int error = blob_s3_head(store, key, &answer);
    if (condition->if_none_match) {
        error = error == 0 ? ERR_PRECONDITION : error == ERR_NOT_FOUND ? 0 : error;
    } else if (error == 0 && strcmp(condition->if_match, "*") != 0 &&
               strcmp(condition->if_match, answer.stat.etag) != 0) {
        error = ERR_PRECONDITION;
    }
    blob_s3_answer_done(&answer);
    return error;
}

/* Trouble may come after the join was done, and Ceph's gateway answers 500 for an upload that is
 * over: so it is looked whether the upload is still there before it is asked for again. */
static int join(struct s3_store *store, const char *key, const char *upload_id,
                const struct buffer *body, const struct blob_condition *condition,
                struct problem *problem)
{
    for (unsigned tries = 1;; tries++) {
        int error = send_join(store, key, upload_id, body, condition, problem);
        if (error != ERR_UNAVAILABLE && error != ERR_TIMEOUT) {
            return error;
        }
        struct part_list list = {.visit = pass_part, .left = 1};
        int there = list_parts(store, key, upload_id, &list);
        if (there != 0 || tries == JOIN_TRIES) {
            return there == ERR_NOT_FOUND ? there : error;
        }
        http_pause(tries);
    }
}

int blob_s3_parts_join(struct s3_store *store, const char *key, const char *upload_id,
                       const struct blob_part *parts, unsigned count,
                       const struct blob_condition *condition, struct s3_answer *ret_head,
                       struct problem *problem)
{
    char etag[BLOB_ETAG_MAX];
    struct buffer body;
    buffer_init(&body, JOIN_BYTES_MAX);
    int error = check_condition(store, key, condition);
    error = error != 0 ? error : write_join(parts, count, &body);
    bool asked = error == 0;
    error = error != 0 ? error : join(store, key, upload_id, &body, condition, problem);
    buffer_done(&body);
    int there = blob_s3_head(store, key, ret_head);
    if (error == 0 || !asked || error != ERR_NOT_FOUND) {
        return error != 0 ? error : there;
    }
    /* The upload is over: by an earlier join whose answer was lost, if its object is there. */
    joined_etag(parts, count, etag);
    bool ours = there == 0 && etag[0] != '\0' && strcmp(etag, ret_head->stat.etag) == 0;
    return ours ? 0 : ERR_NOT_FOUND;
}

int blob_s3_multipart_complete(struct blob_store *head, const char *bucket, const char *key,
                               const char *upload_id, const struct blob_part *parts, unsigned count,
                               const struct blob_condition *condition, struct blob_stat *ret_stat,
                               struct problem *problem)
{
    struct s3_store *store = blob_s3_store_of(head);
    struct s3_answer answer;
    char name[S3_KEY_SIZE];
    int error = blob_s3_key_of(store, bucket, key, name);
    if (error != 0) {
        return error;
    }
    error = blob_s3_parts_join(store, name, upload_id, parts, count, condition, &answer, problem);
    if (error == 0 && ret_stat != NULL) {
        struct s3_description description;
        blob_s3_describe_answer(&answer, &description);
        *ret_stat = answer.stat;
        ret_stat->headers_bytes = description.headers_bytes;
    }
    blob_s3_answer_done(&answer);
    return error;
}

/* Uploads that were begun and not ended. */

struct upload_list {
    int (*visit)(void *argument, const char *key, const char *upload_id, int64_t begun_ms);
    void *argument;
    const char *prefix; /* the bucket's, which is cut off */
    bool skip;          /* other buckets' uploads stand among these */
    bool truncated;
    char key[S3_KEY_SIZE], upload_id[BLOB_UPLOAD_ID_MAX];    /* that are being read */
    char last_key[S3_KEY_SIZE], last_id[BLOB_UPLOAD_ID_MAX]; /* where the next page begins */
    int64_t begun_ms;
};

/* Of other buckets, or without a name, it is none of these. */
static bool is_of_bucket(const struct upload_list *list)
{
    size_t length = strlen(list->prefix);
    bool other = list->skip && (strncmp(list->key, S3_UPLOADS_PREFIX, 8) == 0 ||
                                strncmp(list->key, S3_BUCKETS_PREFIX, 8) == 0);
    return !other && strncmp(list->key, list->prefix, length) == 0 && list->key[length] != '\0' &&
           list->upload_id[0] != '\0';
}

static int end_upload(struct upload_list *list)
{
    int result = is_of_bucket(list) ? list->visit(list->argument, list->key + strlen(list->prefix),
                                                  list->upload_id, list->begun_ms)
                                    : 0;
    list->key[0] = list->upload_id[0] = '\0';
    list->begun_ms = 0;
    return result;
}

static int upload_element(void *argument, const char *parent, const char *name, const char *text)
{
    struct upload_list *list = argument;
    if (strcmp(parent, "ListMultipartUploadsResult") == 0) {
        if (strcmp(name, "IsTruncated") == 0) {
            list->truncated = strcmp(text, "true") == 0;
        } else if (strcmp(name, "NextKeyMarker") == 0) {
            (void)text_copy(list->last_key, sizeof list->last_key, text);
        } else if (strcmp(name, "NextUploadIdMarker") == 0) {
            (void)text_copy(list->last_id, sizeof list->last_id, text);
        }
        return strcmp(name, "Upload") == 0 ? end_upload(list) : 0;
    }
    if (strcmp(parent, "Upload") != 0) {
        return 0;
    }
    if (strcmp(name, "Key") == 0) {
        (void)text_copy(list->key, sizeof list->key, text);
    } else if (strcmp(name, "UploadId") == 0) {
        (void)text_copy(list->upload_id, sizeof list->upload_id, text);
    } else if (strcmp(name, "Initiated") == 0) {
        list->begun_ms = blob_s3_xml_time(text);
    }
    return 0;
}

static int list_uploads(struct s3_store *store, struct upload_list *list)
{
    int result = 0;
    do {
        struct s3_answer answer;
        struct s3_call call = {.method = "GET"};
        char key[S3_KEY_SIZE], id[BLOB_UPLOAD_ID_MAX];
        memcpy(key, list->last_key, sizeof key);
        memcpy(id, list->last_id, sizeof id);
        blob_s3_call_query(&call, "uploads", "");
        blob_s3_call_query(&call, "prefix", list->prefix);
        if (key[0] != '\0') {
            blob_s3_call_query(&call, "key-marker", key);
            blob_s3_call_query(&call, "upload-id-marker", id);
        }
        list->truncated = false;
        result = blob_s3_call(store, &call, &answer);
        result = result != 0 ? result : blob_s3_xml_read(&answer.body, upload_element, list);
        blob_s3_answer_done(&answer);
        list->truncated =
            list->truncated && (strcmp(key, list->last_key) != 0 || strcmp(id, list->last_id) != 0);
    } while (result == 0 && list->truncated);
    return result;
}

int blob_s3_multipart_uploads(struct blob_store *head, const char *bucket,
                              int (*visit)(void *argument, const char *key, const char *upload_id,
                                           int64_t begun_ms),
                              void *argument)
{
    struct s3_store *store = blob_s3_store_of(head);
    char prefix[S3_KEY_SIZE];
    struct upload_list list = {.visit = visit, .argument = argument, .prefix = prefix};
    blob_s3_prefix_of(bucket, prefix);
    list.skip = prefix[0] == '\0';
    int error = blob_s3_check_bucket(store, bucket);
    return error != 0 ? error : list_uploads(store, &list);
}

struct sweep {
    struct s3_store *store;
    int64_t before_ms;
    bool alive; /* a part came since */
};

static int part_is_fresh(void *argument, const struct blob_part *part)
{
    struct sweep *sweep = argument;
    sweep->alive = sweep->alive || part->modified_ms >= sweep->before_ms;
    return 0;
}

/* One begun long ago, whose parts still come, is left. */
static int sweep_upload(void *argument, const char *key, const char *upload_id, int64_t begun_ms)
{
    struct sweep *sweep = argument;
    struct part_list list = {
        .visit = part_is_fresh, .argument = sweep, .left = BLOB_PART_NUMBER_MAX};
    if (begun_ms >= sweep->before_ms) {
        return 0;
    }
    sweep->alive = false;
    int error = list_parts(sweep->store, key, upload_id, &list);
    if (error == 0 && !sweep->alive) {
        error = blob_s3_parts_forget(sweep->store, key, upload_id);
    }
    return error == ERR_NOT_FOUND ? 0 : error; /* ended meanwhile */
}

int blob_s3_multipart_sweep(struct blob_store *head, int64_t before_ms)
{
    struct sweep sweep = {.store = blob_s3_store_of(head), .before_ms = before_ms};
    struct upload_list list = {.visit = sweep_upload, .argument = &sweep, .prefix = ""};
    return list_uploads(sweep.store, &list);
}
