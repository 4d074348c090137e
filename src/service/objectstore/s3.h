/* What the files of the role share. Nobody else includes this.
 *
 * A request goes: authorize (signature, then bucket) → check names → act on backend/blob → answer
 * XML. Each failure is one of s3_errors.h. */
#pragma once

#include "backend/blob/blob.h"
#include "backend/blob/sigv4.h"
#include "net/http.h"
#include "service/objectstore/s3_errors.h"
#include "service/objectstore/s3_keys.h"

/* Above the 5 GiB of a single PUT: what chunk heads and signatures add. */
#define S3_BODY_BYTES_MAX   ((size_t)5 * 1024 * 1024 * 1024 + 256 * 1024 * 1024)
#define S3_OBJECT_BYTES_MAX ((uint64_t)5 * 1024 * 1024 * 1024)

enum { S3_XML_BODY_BYTES_MAX = 4 * 1024 * 1024, S3_ANSWER_BYTES_MAX = 24 * 1024 * 1024 };

struct objectstore {
    struct blob_store *blobs;
    struct s3_keys *keys;
    uint64_t upload_bytes_max;               /* 0: S3_OBJECT_BYTES_MAX */
    char public_host[256], public_path[256]; /* of public_url; "" if none */
};

static inline struct objectstore *s3_store(struct request *request)
{
    return request->context;
}

/* Who asks. */
struct s3_access {
    bool internal;
    struct sigv4_signed signature;
};

/* s3_auth.c: 0 when the request is well signed and its key may touch the bucket (NULL: no bucket).
 */
int s3_authorize(struct request *request, const char *bucket, struct s3_access *ret_access);
bool s3_may_touch(const struct s3_access *access, const char *bucket);
/* The bucket and key of the path; the key "" for the bucket itself. Checked for form. */
int s3_object_names(struct request *request, const char **ret_bucket, const char **ret_key);
/* s3_allow.c: 0, or NotImplemented where the query or the headers ask for what is not done here.
 * bucket NULL: the store itself; key "": the bucket. */
int s3_allow(struct request *request, const char *bucket, const char *key);
/* For requests with a small body: x-amz-content-sha256 and Content-MD5 hold for it, and if sums
 * x-amz-checksum-…, which of CompleteMultipartUpload is the object's. */
int s3_check_small_body(struct request *request, const struct s3_access *access, bool sums);
/* True where the query has the name, with or without a value. */
bool s3_asks(struct request *request, const char *name);

/* An ETag without the quotes around it (arena); NULL stays NULL. */
const char *s3_bare_etag(struct request *request, const char *etag);

/* CORS: any page may use signed URLs; the signature is what protects. */
int s3_cors(struct request *request);

/* s3_meta.c: what is kept beside the bytes, from the request's headers (arena) … */
int s3_meta_read(struct request *request, struct blob_meta *ret_meta);
/* … and into the answer's. The text (arena) is taken apart, and what is longer than a blob_stat has
 * room for goes into file. */
int s3_meta_reply(struct request *request, char *headers, struct reply_file *file);

/* s3_parts.c: 0 where all that CompleteMultipartUpload says of size and checksums holds. */
int s3_check_parts(struct request *request, const char *bucket, const char *key,
                   const struct blob_part *parts, unsigned count);

/* s3_body.c: the sink of PUT. */
extern const struct body_sink s3_body_sink;
struct s3_body;
/* Who asks, as the sink has authorized it. */
const struct s3_access *s3_body_access(const struct s3_body *body);
/* Ends a body that has come whole: all checks, then commit. */
int s3_body_finish(struct request *request, struct s3_body *body,
                   const struct blob_condition *condition, struct blob_stat *ret_stat);
/* A writer for the part that the query names (partNumber, uploadId). */
int s3_part_open(struct request *request, const char *bucket, const char *key,
                 struct blob_writer **ret_writer);

/* Handlers in files of their own. All have authorized already. */
int s3_list_objects(struct request *request, const char *bucket);
int s3_list_buckets(struct request *request, const struct s3_access *access);
int s3_multipart_create(struct request *request, const char *bucket, const char *key);
int s3_multipart_complete(struct request *request, const char *bucket, const char *key);
int s3_multipart_list(struct request *request, const char *bucket, const char *key);
int s3_multipart_abort(struct request *request, const char *bucket, const char *key);
int s3_list_uploads(struct request *request, const char *bucket);
int s3_copy(struct request *request, const struct s3_access *access, const char *bucket,
            const char *key);
int s3_copy_part(struct request *request, const struct s3_access *access, const char *bucket,
                 const char *key);
int s3_delete_object(struct request *request, const char *bucket, const char *key);
int s3_delete_objects(struct request *request, const char *bucket);
int s3_delete_bucket(struct request *request, const char *bucket);
/* If-None-Match and If-Match of a request that writes. */
int s3_condition(struct request *request, struct blob_condition *ret_condition);
/* An error of backend/blob about an object, in S3's words. */
int s3_fail_object(struct request *request, const char *bucket, int code);
