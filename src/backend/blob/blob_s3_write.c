/* Writing to an S3 store (blob_s3.h, invariants 1 to 3): bytes are spooled in an unlinked file,
 * hashed as they come, and go to the store at the commit: by one PUT, or, where they are many, in
 * parts. Under a condition one PUT takes up to 5 GiB, since that is what stores hold conditions to.
 * A writer is one thread's at a time.
 */
#include "backend/blob/blob_s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HASH_BYTES = 256 * 1024 };

static const uint64_t single_bytes_max = (uint64_t)5 * 1024 * 1024 * 1024;

struct s3_writer {
    struct blob_writer head;
    struct s3_store *store;
    int fd;
    bool by_descriptor;
    int error;            /* the first failure; commit answers it */
    unsigned part_number; /* 0: an object of its own */
    uint64_t bytes;
    struct md5_ctx md5;
    struct s3_description description;
    char bucket[BLOB_BUCKET_MAX + 1]; /* "": of a part, whose upload says where it goes */
    char key[S3_KEY_SIZE];
    char upload_id[BLOB_UPLOAD_ID_MAX];
    char mark[S3_MARK_SIZE];
};

/* Descriptions. */

void blob_s3_describe(const struct blob_meta *meta, struct s3_description *ret_description)
{
    *ret_description = (struct s3_description){.content_type = "application/octet-stream"};
    if (meta == NULL) {
        return;
    }
    if (meta->content_type != NULL) {
        (void)text_copy(ret_description->content_type, BLOB_TYPE_MAX, meta->content_type);
    }
    if (meta->cache_control != NULL) {
        (void)text_copy(ret_description->cache_control, BLOB_TYPE_MAX, meta->cache_control);
    }
    if (meta->headers != NULL && meta->headers[0] != '\0') {
        size_t length = strlen(meta->headers);
        (void)sodium_bin2base64(ret_description->kept, S3_KEPT_SIZE,
                                (const unsigned char *)meta->headers, length,
                                sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        ret_description->headers_bytes = (unsigned)length;
    }
}

void blob_s3_describe_answer(const struct s3_answer *answer, struct s3_description *ret_description)
{
    *ret_description = (struct s3_description){0};
    (void)text_copy(ret_description->content_type, BLOB_TYPE_MAX, answer->stat.content_type);
    (void)text_copy(ret_description->cache_control, BLOB_TYPE_MAX, answer->stat.cache_control);
    (void)text_copy(ret_description->kept, S3_KEPT_SIZE, answer->kept);
    size_t length = strlen(answer->kept); /* 4 characters for 3 bytes, without padding */
    ret_description->headers_bytes = (unsigned)(length / 4 * 3 + length % 4 * 3 / 4);
}

void blob_s3_call_describe(const struct s3_store *store, const struct s3_description *description,
                           struct s3_call *call)
{
    blob_s3_call_header(call, "content-type", description->content_type);
    if (description->cache_control[0] != '\0') {
        blob_s3_call_header(call, "cache-control", description->cache_control);
    }
    if (description->kept[0] != '\0') {
        blob_s3_call_header(call, S3_META_KEPT, description->kept);
    }
    blob_s3_call_encrypt(store, call);
}

void blob_s3_call_encrypt(const struct s3_store *store, struct s3_call *call)
{
    if (store->address.sse[0] != '\0') {
        blob_s3_call_header(call, S3_SSE, store->address.sse);
    }
    if (store->address.sse_key[0] != '\0') {
        blob_s3_call_header(call, S3_SSE "-aws-kms-key-id", store->address.sse_key);
    }
}

void blob_s3_stat_describe(const struct s3_description *description, struct blob_stat *stat)
{
    (void)text_copy(stat->content_type, BLOB_TYPE_MAX, description->content_type);
    (void)text_copy(stat->cache_control, BLOB_TYPE_MAX, description->cache_control);
    stat->headers_bytes = description->headers_bytes;
}

void blob_s3_md5_base64(const unsigned char digest[MD5_DIGEST_SIZE], char out[S3_MD5_SIZE])
{
    (void)sodium_bin2base64(out, S3_MD5_SIZE, digest, MD5_DIGEST_SIZE,
                            sodium_base64_VARIANT_ORIGINAL);
}

void blob_s3_call_xml(struct s3_call *call, const struct buffer *body, char md5[S3_MD5_SIZE])
{
    unsigned char digest[MD5_DIGEST_SIZE];
    struct md5_ctx context;
    md5_init(&context);
    md5_update(&context, body->length, (const unsigned char *)body->data);
    md5_digest(&context, sizeof digest, digest);
    blob_s3_md5_base64(digest, md5);
    call->body = body->data;
    call->length = body->length;
    blob_s3_call_header(call, "content-md5", md5);
    blob_s3_call_header(call, "content-type", "application/xml");
}

/* Filling. */

static int writer_new(struct s3_store *store, struct s3_writer **ret_writer)
{
    struct s3_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return ERR_NO_MEMORY;
    }
    writer->head.engine = &blob_s3_engine;
    writer->store = store;
    writer->fd = blob_s3_spool(store);
    if (writer->fd < 0) {
        int error = writer->fd;
        free(writer);
        return error;
    }
    md5_init(&writer->md5);
    *ret_writer = writer;
    return 0;
}

static void writer_free(struct s3_writer *writer)
{
    (void)close(writer->fd);
    free(writer);
}

int blob_s3_put_open(struct blob_store *head, const char *bucket, const char *key,
                     const struct blob_meta *meta, struct blob_writer **ret_writer)
{
    struct s3_store *store = blob_s3_store_of(head);
    struct s3_writer *writer = NULL;
    char name[S3_KEY_SIZE];
    int error = blob_s3_key_of(store, bucket, key, name);
    error = error != 0 ? error : writer_new(store, &writer);
    if (error != 0) {
        return error;
    }
    memcpy(writer->key, name, sizeof name);
    (void)text_copy(writer->bucket, sizeof writer->bucket, bucket);
    blob_s3_describe(meta, &writer->description);
    *ret_writer = &writer->head;
    return 0;
}

int blob_s3_put_part_open(struct s3_store *store, const char *key, const char *upload_id,
                          unsigned number, struct blob_writer **ret_writer)
{
    struct s3_writer *writer = NULL;
    int error = writer_new(store, &writer);
    if (error != 0) {
        return error;
    }
    (void)text_copy(writer->key, sizeof writer->key, key);
    (void)text_copy(writer->upload_id, sizeof writer->upload_id, upload_id);
    writer->part_number = number;
    *ret_writer = &writer->head;
    return 0;
}

int blob_s3_put_write(struct blob_writer *head, const void *bytes, size_t length)
{
    struct s3_writer *writer = (struct s3_writer *)(void *)head;
    const char *from = bytes;
    for (size_t done = 0; writer->error == 0 && done < length;) {
        ssize_t wrote = write(writer->fd, from + done, length - done);
        if (wrote < 0 && errno != EINTR) {
            writer->error = error_from_errno(errno);
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (writer->error == 0) {
        md5_update(&writer->md5, length, bytes);
        writer->bytes += length;
    }
    return writer->error;
}

int blob_s3_put_target(struct blob_writer *head, struct blob_source *ret_target)
{
    struct s3_writer *writer = (struct s3_writer *)(void *)head;
    writer->by_descriptor = true;
    *ret_target = (struct blob_source){.fd = writer->fd};
    return 0;
}

void blob_s3_put_abort(struct blob_writer *head)
{
    writer_free((struct s3_writer *)(void *)head);
}

/* The MD5 of length bytes of a file. */
static int hash_file(int fd, uint64_t offset, uint64_t length, struct md5_ctx *md5)
{
    unsigned char *bytes CLEANUP_FREE = malloc(HASH_BYTES);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    md5_init(md5);
    for (uint64_t done = 0; done < length;) {
        uint64_t left = length - done;
        ssize_t got =
            pread(fd, bytes, left < HASH_BYTES ? (size_t)left : HASH_BYTES, (off_t)(offset + done));
        if (got <= 0) {
            return got < 0 ? error_from_errno(errno) : ERR_IO;
        }
        md5_update(md5, (size_t)got, bytes);
        done += (uint64_t)got;
    }
    return 0;
}

/* Somebody else filled the file. */
static int measure(struct s3_writer *writer)
{
    struct stat status;
    if (fstat(writer->fd, &status) != 0) {
        return error_from_errno(errno);
    }
    writer->bytes = (uint64_t)status.st_size;
    return hash_file(writer->fd, 0, writer->bytes, &writer->md5);
}

/* Sending. */

static bool is_conditional(const struct blob_condition *condition)
{
    return condition->if_none_match || condition->if_match != NULL;
}

/* What was put, from what was sent and the store's answer. */
static void tell(const struct s3_writer *writer, const struct s3_answer *answer,
                 struct blob_stat *ret_stat)
{
    *ret_stat = (struct blob_stat){.bytes = writer->bytes, .modified_ms = answer->server_ms};
    memcpy(ret_stat->etag, answer->stat.etag, sizeof ret_stat->etag);
    blob_s3_stat_describe(&writer->description, ret_stat);
}

static int put_part(struct s3_writer *writer, const char *upload_id, unsigned part_number,
                    uint64_t offset, uint64_t length, const char *md5, struct s3_answer *ret_answer)
{
    char number[16];
    struct s3_call call = {
        .method = "PUT", .key = writer->key, .fd = writer->fd, .offset = offset, .length = length};
    (void)snprintf(number, sizeof number, "%u", part_number);
    blob_s3_call_query(&call, "partNumber", number);
    blob_s3_call_query(&call, "uploadId", upload_id);
    blob_s3_call_header(&call, "content-md5", md5);
    return blob_s3_call(writer->store, &call, ret_answer);
}

static int send_whole(struct s3_writer *writer, const struct blob_condition *condition,
                      const char *md5, bool bare, struct s3_answer *answer)
{
    char if_match[BLOB_ETAG_MAX + 2];
    struct s3_call call = {
        .method = "PUT", .key = writer->key, .fd = writer->fd, .length = writer->bytes};
    blob_s3_call_header(&call, "content-md5", md5);
    blob_s3_call_describe(writer->store, &writer->description, &call);
    if (writer->mark[0] != '\0') {
        blob_s3_call_header(&call, S3_META_MARK, writer->mark);
    }
    if (condition->if_none_match) {
        blob_s3_call_header(&call, "if-none-match", "*");
    } else if (condition->if_match != NULL) {
        bool plain = bare || strcmp(condition->if_match, "*") == 0;
        (void)snprintf(if_match, sizeof if_match, plain ? "%s" : "\"%s\"", condition->if_match);
        blob_s3_call_header(&call, "if-match", if_match);
    }
    return blob_s3_call(writer->store, &call, answer);
}

/* The write was refused for its condition: by our own success, whose answer was lost; rightly; or
 * (ERR_CONFLICT) though what is there is what was named. */
static int judge_refusal(struct s3_writer *writer, const struct blob_condition *condition,
                         struct s3_answer *answer)
{
    blob_s3_answer_done(answer);
    int error = blob_s3_head(writer->store, writer->key, answer);
    if (error != 0) {
        return error == ERR_NOT_FOUND && condition->if_match == NULL ? ERR_PRECONDITION : error;
    }
    if (strcmp(answer->mark, writer->mark) == 0) {
        return 0;
    }
    bool named = condition->if_match != NULL && strcmp(condition->if_match, answer->stat.etag) == 0;
    return named ? ERR_CONFLICT : ERR_PRECONDITION;
}

/* Ceph's gateway compares an If-Match with its quotes, so there it is sent without. */
static int put_whole(struct s3_writer *writer, const struct blob_condition *condition,
                     const char *md5, struct s3_answer *answer)
{
    unsigned char random[(S3_MARK_SIZE - 1) / 2];
    bool bare = atomic_load(&writer->store->bare_etags);
    if (!is_conditional(condition)) {
        return send_whole(writer, condition, md5, bare, answer);
    }
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(writer->mark, sizeof writer->mark, random, sizeof random);
    for (unsigned turn = 0; turn < 2; turn++) {
        int error = send_whole(writer, condition, md5, bare, answer);
        if (error == ERR_PRECONDITION || error == ERR_NOT_FOUND) {
            error = judge_refusal(writer, condition, answer);
        }
        if (error != ERR_CONFLICT) {
            return error;
        }
        bare = !bare;
        atomic_store(&writer->store->bare_etags, bare);
        blob_s3_answer_done(answer);
    }
    return ERR_PRECONDITION; /* it was another for a moment */
}

/* A part of a large object: hashed by itself, then sent. */
static int send_piece(struct s3_writer *writer, const char *upload_id, uint64_t offset,
                      uint64_t length, struct blob_part *part)
{
    unsigned char digest[MD5_DIGEST_SIZE];
    char md5_text[S3_MD5_SIZE];
    struct md5_ctx md5;
    int error = hash_file(writer->fd, offset, length, &md5);
    if (error != 0) {
        return error;
    }
    struct s3_answer answer;
    md5_digest(&md5, sizeof digest, digest);
    blob_s3_md5_base64(digest, md5_text);
    error = put_part(writer, upload_id, part->number, offset, length, md5_text, &answer);
    memcpy(part->etag, answer.stat.etag, sizeof part->etag);
    blob_s3_answer_done(&answer);
    return error;
}

static int put_pieces(struct s3_writer *writer, struct s3_answer *answer)
{
    char upload_id[BLOB_UPLOAD_ID_MAX];
    uint64_t least = (writer->bytes + BLOB_PART_NUMBER_MAX - 1) / BLOB_PART_NUMBER_MAX;
    uint64_t piece = least > S3_PART_BYTES ? least : S3_PART_BYTES;
    unsigned count = (unsigned)((writer->bytes + piece - 1) / piece);
    int error = blob_s3_parts_begin(writer->store, writer->key, &writer->description, upload_id);
    if (error != 0) {
        return error;
    }
    struct blob_part *parts CLEANUP_FREE = calloc(count, sizeof *parts);
    error = parts == NULL ? ERR_NO_MEMORY : 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        uint64_t at = i * piece, left = writer->bytes - at;
        parts[i].number = i + 1;
        error = send_piece(writer, upload_id, at, left < piece ? left : piece, &parts[i]);
    }
    error = error != 0 ? error
                       : blob_s3_parts_join(writer->store, writer->key, upload_id, parts, count,
                                            &(struct blob_condition){0}, answer, NULL);
    if (error != 0) {
        (void)blob_s3_parts_forget(writer->store, writer->key, upload_id);
    }
    return error;
}

static int send_all(struct s3_writer *writer, const struct blob_condition *condition,
                    struct s3_answer *answer)
{
    unsigned char digest[MD5_DIGEST_SIZE];
    char md5[S3_MD5_SIZE];
    md5_digest(&writer->md5, sizeof digest, digest);
    blob_s3_md5_base64(digest, md5);
    if (writer->part_number > 0) {
        return put_part(writer, writer->upload_id, writer->part_number, 0, writer->bytes, md5,
                        answer);
    }
    bool conditional = is_conditional(condition);
    if (writer->bytes <= S3_PART_BYTES || (conditional && writer->bytes <= single_bytes_max)) {
        return put_whole(writer, condition, md5, answer);
    }
    return conditional ? ERR_TOO_LARGE : put_pieces(writer, answer);
}

int blob_s3_put_commit(struct blob_writer *head, const struct blob_condition *condition,
                       struct blob_stat *ret_stat)
{
    struct s3_writer *writer = (struct s3_writer *)(void *)head;
    struct s3_answer answer = {0};
    int error = writer->error;
    if (error == 0 && writer->by_descriptor) {
        error = measure(writer);
    }
    if (error == 0 && writer->bucket[0] != '\0') {
        error = blob_s3_check_bucket(writer->store, writer->bucket);
    }
    if (error == 0) {
        buffer_init(&answer.body, 0);
        error = send_all(writer, condition, &answer);
        if (error == 0) {
            tell(writer, &answer, ret_stat);
        }
        blob_s3_answer_done(&answer);
    }
    writer_free(writer);
    return error;
}
