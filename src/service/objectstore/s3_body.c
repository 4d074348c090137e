/* The body of PUT: it goes to disk as it arrives. The sink's open checks everything that can be
 * known from the header, so that a refused upload costs no bytes; write undoes aws-chunked and
 * feeds the digests that the client named; finish compares them all and only then makes the object
 * visible. On the pool, one job of a request at a time.
 *
 *   open → write … → close(false)                  cut or refused: nothing is left
 *                  → close(true) → s3_body_finish   whole
 */
#include "service/objectstore/s3.h"

#include "backend/blob/sigv4_chunks.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/objectstore/checksum.h"

#include <inttypes.h>
#include <nettle/md5.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct s3_body {
    struct s3_access access;
    struct blob_writer *writer; /* NULL: a PUT without a body of an object (a copy) */
    uint64_t expected_bytes, bytes;
    bool has_chunks, has_sha256, has_md5, has_checksum;
    struct sigv4_chunks chunks;
    crypto_hash_sha256_state sha256;
    struct md5_ctx md5;
    struct checksum checksum;
    const char *claimed_sha256, *claimed_md5, *claimed_checksum; /* the last NULL: in the trailer */
};

static void body_end(void *argument)
{
    struct s3_body *body = argument;
    blob_put_abort(TAKE_PTR(body->writer));
    sodium_memzero(body->access.signature.signing_key, sizeof body->access.signature.signing_key);
    if (body->has_chunks) {
        sigv4_chunks_done(&body->chunks);
        body->has_chunks = false;
    }
}

static int take_payload(void *argument, const void *bytes, size_t length)
{
    struct s3_body *body = argument;
    body->bytes += length;
    if (body->bytes > body->expected_bytes) {
        return ERR_MALFORMED;
    }
    if (body->has_sha256) {
        crypto_hash_sha256_update(&body->sha256, bytes, length);
    }
    if (body->has_md5) {
        md5_update(&body->md5, length, bytes);
    }
    if (body->has_checksum) {
        checksum_update(&body->checksum, bytes, length);
    }
    return blob_put_write(body->writer, bytes, length);
}

/* A URL that was signed without a length would else take any. */
static int check_upload(struct request *request, const char *bucket, uint64_t length)
{
    uint64_t most = s3_store(request)->upload_bytes_max;
    bool fits = most == 0 || length <= most || strcmp(bucket, BLOB_UPLOADS) != 0;
    const char *words =
        fits ? ""
             : arena_printf(request->call.arena, "An upload has at most %" PRIu64 " bytes", most);
    return fits ? 0 : words != NULL ? s3_fail_with(request, S3_TOO_LARGE, words) : ERR_NO_MEMORY;
}

/* How many bytes the object will have: Content-Length, or what aws-chunked says it decodes to. */
static int read_length(struct request *request, const char *bucket, struct s3_body *body)
{
    int64_t length = request_content_length(request);
    if (sigv4_chunks_wanted(body->access.signature.payload) &&
        !text_number(request_header(request, "x-amz-decoded-content-length"), 0, INT64_MAX,
                     &length)) {
        length = -1;
    }
    if (length < 0) {
        return s3_fail(request, S3_LENGTH);
    }
    if ((uint64_t)length > S3_OBJECT_BYTES_MAX) {
        return s3_fail(request, S3_TOO_LARGE);
    }
    body->expected_bytes = (uint64_t)length;
    return check_upload(request, bucket, body->expected_bytes);
}

static int read_payload_form(struct request *request, struct s3_body *body)
{
    const char *payload = body->access.signature.payload;
    if (sigv4_chunks_wanted(payload)) {
        sigv4_chunks_init(&body->chunks, &body->access.signature, take_payload, body);
        body->has_chunks = true;
    } else if (strlen(payload) == SIGV4_HEX_SIZE - 1) {
        crypto_hash_sha256_init(&body->sha256);
        body->has_sha256 = true;
        body->claimed_sha256 = payload;
    } else if (strcmp(payload, "UNSIGNED-PAYLOAD") != 0) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "x-amz-content-sha256 names a form of body that is not known here");
    }
    return 0;
}

static int read_md5(struct request *request, struct s3_body *body)
{
    unsigned char digest[32];
    size_t length = 0;
    body->claimed_md5 = request_header(request, "Content-MD5");
    if (body->claimed_md5 == NULL) {
        return 0;
    }
    if (!text_base64_decode(body->claimed_md5, strlen(body->claimed_md5), TEXT_BASE64, digest,
                            sizeof digest, &length) ||
        length != 16) {
        return s3_fail(request, S3_DIGEST);
    }
    md5_init(&body->md5);
    body->has_md5 = true;
    return 0;
}

/* One additional checksum, in a header or announced for the trailer. */
static int read_checksum(struct request *request, struct s3_body *body)
{
    const char *trailer = request_header(request, "x-amz-trailer");
    unsigned count = 0;
    enum checksum_kind kind = CHECKSUM_KINDS_;
    for (enum checksum_kind each = 0; each < CHECKSUM_KINDS_; each++) {
        const char *claimed = request_header(request, checksum_header(each));
        if (claimed != NULL) {
            body->claimed_checksum = claimed;
            kind = each;
            count++;
        }
    }
    if (count + (trailer != NULL) > 1) {
        return s3_fail_with(request, S3_REQUEST, "A body has one x-amz-checksum- at most");
    }
    if (trailer != NULL && !checksum_kind_of(trailer, &kind)) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "x-amz-trailer names what is not known here");
    }
    if (kind != CHECKSUM_KINDS_) {
        checksum_init(&body->checksum, kind);
        body->has_checksum = true;
    }
    return 0;
}

int s3_part_open(struct request *request, const char *bucket, const char *key,
                 struct blob_writer **ret_writer)
{
    const char *number_text = request_query(request, "partNumber");
    int64_t number = 0;
    if (number_text == NULL || !text_number(number_text, 1, BLOB_PART_NUMBER_MAX, &number)) {
        return s3_fail_with(request, S3_ARGUMENT, "partNumber must be 1 to 10000");
    }
    int error =
        blob_multipart_put_open(s3_store(request)->blobs, bucket, key,
                                request_query(request, "uploadId"), (unsigned)number, ret_writer);
    return error == ERR_NOT_FOUND ? s3_fail(request, S3_NO_UPLOAD)
           : error != 0           ? s3_fail_object(request, bucket, error)
                                  : 0;
}

static int open_writer(struct request *request, const char *bucket, const char *key,
                       struct s3_body *body)
{
    if (s3_asks(request, "uploadId")) {
        return s3_part_open(request, bucket, key, &body->writer);
    }
    struct blob_meta meta = {0};
    int error = s3_meta_read(request, &meta);
    if (error != 0) {
        return error;
    }
    error = blob_put_open(s3_store(request)->blobs, bucket, key, &meta, &body->writer);
    return error != 0 ? s3_fail_object(request, bucket, error) : 0;
}

static int read_header(struct request *request, const char *bucket, struct s3_body *body)
{
    int error = read_length(request, bucket, body);
    error = error != 0 ? error : read_md5(request, body);
    error = error != 0 ? error : read_checksum(request, body);
    return error != 0 ? error : read_payload_form(request, body);
}

static int body_open(struct request *request, void **ret_state)
{
    struct s3_body *body = arena_new_of(request->call.arena, struct s3_body);
    int error = body != NULL ? arena_at_end(request->call.arena, body_end, body) : ERR_NO_MEMORY;
    const char *bucket = NULL;
    const char *key = NULL;
    error = error != 0 ? error : s3_object_names(request, &bucket, &key);
    error = error != 0 ? error : s3_authorize(request, bucket, &body->access);
    error = error != 0 ? error : s3_allow(request, bucket, key);
    if (error != 0) {
        return error;
    }
    if (request_header(request, "x-amz-copy-source") == NULL) {
        error = read_header(request, bucket, body);
        error = error != 0 ? error : open_writer(request, bucket, key, body);
    }
    if (error == 0) {
        *ret_state = body;
    }
    return error;
}

static int fail_write(struct request *request, int error)
{
    switch (error) {
    case ERR_FORBIDDEN:
        return s3_fail_with(request, S3_SIGNATURE, "The signature of a chunk does not match");
    case ERR_MALFORMED:
        return s3_fail(request, S3_INCOMPLETE);
    default:
        return s3_fail_code(request, error);
    }
}

static int body_write(struct request *request, void *state, const void *bytes, size_t length)
{
    struct s3_body *body = state;
    if (body->writer == NULL) {
        return s3_fail_with(request, S3_ARGUMENT, "This request takes no body");
    }
    int error = body->has_chunks ? sigv4_chunks_feed(&body->chunks, bytes, length)
                                 : take_payload(body, bytes, length);
    return error != 0 ? fail_write(request, error) : 0;
}

static void body_close(struct request *request, void *state, bool complete)
{
    (void)request;
    if (!complete) {
        body_end(state);
    }
}

const struct body_sink s3_body_sink = {body_open, body_write, body_close};

const struct s3_access *s3_body_access(const struct s3_body *body)
{
    return &body->access;
}

/* Comparing what came with what was said of it. */

static int check_sha256(struct request *request, struct s3_body *body)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[SIGV4_HEX_SIZE];
    if (!body->has_sha256) {
        return 0;
    }
    crypto_hash_sha256_final(&body->sha256, digest);
    (void)sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return strcmp(hex, body->claimed_sha256) == 0 ? 0 : s3_fail(request, S3_SHA256);
}

static int check_md5(struct request *request, struct s3_body *body)
{
    unsigned char digest[16];
    char text[32];
    if (!body->has_md5) {
        return 0;
    }
    md5_digest(&body->md5, sizeof digest, digest);
    (void)sodium_bin2base64(text, sizeof text, digest, sizeof digest,
                            sodium_base64_VARIANT_ORIGINAL);
    return strcmp(text, body->claimed_md5) == 0 ? 0 : s3_fail(request, S3_BAD_DIGEST);
}

static const char *claimed_checksum(const struct s3_body *body)
{
    if (body->claimed_checksum != NULL) {
        return body->claimed_checksum;
    }
    for (unsigned i = 0; body->has_chunks && i < body->chunks.trailer_count; i++) {
        if (strcasecmp(body->chunks.trailers[i].name, checksum_header(body->checksum.kind)) == 0) {
            return body->chunks.trailers[i].value;
        }
    }
    return NULL;
}

/* Nothing may stand behind the body that nobody looks at: only the one checksum that was announced.
 */
static int check_trailers(struct request *request, const struct s3_body *body)
{
    unsigned count = body->has_chunks ? body->chunks.trailer_count : 0;
    bool announced = body->has_checksum && body->claimed_checksum == NULL;
    return count > (announced ? 1 : 0) ? s3_fail(request, S3_TRAILER) : 0;
}

/* Tells it, and keeps that of a part for the joining. Where none is kept, a part's is not told:
 * clients would name it again with the parts. */
static int keep_checksum(struct request *request, struct s3_body *body, const char *name,
                         const char *value)
{
    if (s3_asks(request, "uploadId")) {
        char sum[BLOB_SUM_MAX];
        (void)snprintf(sum, sizeof sum, "%s:%s", name, value);
        int error = blob_put_sum(body->writer, sum);
        if (error != 0) {
            return error == ERR_UNSUPPORTED ? 0 : error;
        }
    }
    return reply_header(request, name, value);
}

static int check_checksum(struct request *request, struct s3_body *body)
{
    char text[CHECKSUM_TEXT_SIZE];
    if (!body->has_checksum) {
        return 0;
    }
    const char *claimed = claimed_checksum(body);
    checksum_final(&body->checksum, text);
    if (claimed == NULL || strcmp(claimed, text) != 0) {
        return s3_fail(request, S3_BAD_DIGEST);
    }
    return keep_checksum(request, body, checksum_header(body->checksum.kind), text);
}

int s3_body_finish(struct request *request, struct s3_body *body,
                   const struct blob_condition *condition, struct blob_stat *ret_stat)
{
    if ((body->has_chunks && sigv4_chunks_end(&body->chunks) != 0) ||
        body->bytes != body->expected_bytes) {
        return s3_fail(request, S3_INCOMPLETE);
    }
    int error = check_trailers(request, body);
    error = error != 0 ? error : check_sha256(request, body);
    error = error != 0 ? error : check_md5(request, body);
    error = error != 0 ? error : check_checksum(request, body);
    if (error != 0) {
        return error;
    }
    error = blob_put_commit_if(TAKE_PTR(body->writer), condition, ret_stat);
    if (error == ERR_NOT_FOUND && condition->if_match != NULL) {
        return s3_fail(request, S3_NO_KEY);
    }
    if (error == ERR_NOT_FOUND) {
        return s3_fail(request, S3_NO_UPLOAD); /* aborted or completed meanwhile */
    }
    return error != 0 ? s3_fail_object(request, "", error) : 0;
}
