/* What the files of the S3 engine share. Nobody else includes this.
 *
 * One bucket of the store holds all of ours; a bucket of blob.h is a prefix of keys in it:
 *
 *   media       m/{track}/{version}/{file}, art/…    as they are: edges read m/ by bucket policy
 *   uploads     uploads/{key}
 *   NAME        buckets/NAME/{key}, and an empty object buckets/NAME that says it is there
 *
 * so that one key, one policy and one set of rules (CORS, lifecycle, encryption) serve an
 * installation, and copies from "uploads" to "media" stay inside a bucket.
 *
 * Invariants:
 *   1. Nothing is acknowledged before the store has answered 200 for the whole of it: an object
 *      goes there at its commit, by one PUT, or by parts that are then joined. Until then it is an
 *      unlinked file here.
 *   2. What is sent again after an error (blob_s3_call) has the same effect as once: bodies come
 * from memory or a file, conditions carry a mark that tells our own success from another's.
 *   3. All bytes of an object that is written go with a Content-MD5, whole or in parts, so that the
 *      store takes no damaged ones; a join names its parts by their ETags.
 *   4. Reading goes by ETag: a range of another object than the one opened is refused, and so are
 * bytes from elsewhere in it than those that were asked for.
 *   5. At most address.connections requests at a time; who waits longer than WAIT_MS gives up.
 *   6. Words for people name the address without key and secret.
 */
#pragma once

#include "backend/blob/blob_engine.h"
#include "backend/blob/blob_s3_address.h"
#include "backend/blob/sigv4_header.h"
#include "backend/http/http_client.h"
#include "base/buffer.h"
#include "base/problem.h"

#include <nettle/md5.h>
#include <pthread.h>
#include <stdatomic.h>

#define S3_UPLOADS_PREFIX "uploads/"
#define S3_BUCKETS_PREFIX "buckets/"
/* Headers kept with an object (blob_meta.headers), in base64url; a write's mark. */
#define S3_META_KEPT "x-amz-meta-tutti-kept"
#define S3_SSE       "x-amz-server-side-encryption"
#define S3_META_MARK "x-amz-meta-tutti-mark"

enum {
    S3_KEY_SIZE = BLOB_KEY_MAX + 1,
    S3_QUERY_MAX = 8,
    S3_HEADERS_MAX = 14,
    S3_ANSWER_BYTES_MAX = 16 * 1024 * 1024, /* a list of a thousand long keys */
    S3_CODE_SIZE = 64,
    S3_MARK_SIZE = 33,
    S3_PART_BYTES = 64 * 1024 * 1024, /* a larger object goes in parts of this */
    S3_MD5_SIZE = 25,                 /* of Content-MD5: base64 and NUL */
    S3_KEPT_SIZE = 5504,              /* of BLOB_HEADERS_MAX bytes in base64url, and NUL */
    S3_COPY_TIMEOUT_MS = 600 * 1000,
};

struct breaker;
struct http_pool;
struct metric;

struct s3_store {
    struct blob_store head;
    struct s3_address address;
    struct http_pool *pool;
    struct breaker *breaker; /* in front of every try but those that look after the store */
    char *spool_path;
    atomic_bool bare_etags; /* conditions name an ETag without its quotes */
    struct metric *requests, *retries, *sent, *received;
    pthread_mutex_t ping_lock;
    int64_t pinged_ms; /* 0: never */
    int ping_error;
    struct problem ping_problem;
};

static inline struct s3_store *blob_s3_store_of(struct blob_store *store)
{
    return (struct s3_store *)(void *)store;
}

/* blob_s3_call.c: one request and its answer. */
struct s3_call {
    const char *method;
    const char *key; /* in the store's bucket, plain; NULL: the bucket itself */
    struct sigv4_pair query[S3_QUERY_MAX];
    struct sigv4_pair headers[S3_HEADERS_MAX]; /* beside host, x-amz-date and …-sha256 */
    unsigned query_count, header_count;
    /* The body: length bytes at `body`, or at offset of file `fd` where body is NULL. */
    const void *body;
    int fd;
    uint64_t offset, length;
    /* Where an answer's body goes that is no error: a file, memory, else answer.body. */
    int into_fd; /* used where into_file is set */
    bool into_file;
    void *into;
    size_t into_size; /* of a file too: more is not taken */
    bool ranged;      /* bytes from `from` on are asked for */
    uint64_t from;
    bool upload;                       /* signed as what clients PUT */
    struct sigv4_pair unsigned_header; /* as clients may add one; name NULL: none */
    bool looks;          /* asks how the store is, so the breaker does not keep it back */
    bool once;           /* not sent again */
    unsigned timeout_ms; /* 0: as usual for its kind */
};
struct s3_answer {
    int status;              /* 0: there was none */
    char code[S3_CODE_SIZE]; /* the store's word for an error; "" */
    char words[256];         /* for people, why there was no answer; "" */
    bool wrong_setup;        /* trying again is of no use */
    unsigned tries;
    struct blob_stat stat; /* bytes: of the whole object */
    char mark[S3_MARK_SIZE];
    char kept[S3_KEPT_SIZE]; /* still encoded */
    char sse[16];            /* how the store encrypted it; "": it does not say that it did */
    int64_t server_ms;       /* its clock; 0: not said */
    bool ranged;             /* it says which bytes of the object these are: from `from` on */
    uint64_t from;
    uint64_t got; /* bytes of the body that went to their place */
    struct buffer body;
};
void blob_s3_call_query(struct s3_call *call, const char *name, const char *value);
void blob_s3_call_header(struct s3_call *call, const char *name, const char *value);
/* 0: an answer of 2xx. Errors are for those who call blob.h: the store's refusal of our key is not
 * theirs (ERR_UNAVAILABLE). blob_s3_answer_done in any case. */
int blob_s3_call(struct s3_store *store, const struct s3_call *call, struct s3_answer *ret_answer);
void blob_s3_answer_done(struct s3_answer *answer);
/* As above, where nothing of the answer is looked at but that it came. */
int blob_s3_call_only(struct s3_store *store, const struct s3_call *call);

/* blob_s3_xml.c: elements with text, told as they end. parent: "" for the root's. Non-zero ends the
 * reading and is returned. ERR_CORRUPT: not XML. */
int blob_s3_xml_read(const struct buffer *body,
                     int (*element)(void *argument, const char *parent, const char *name,
                                    const char *text),
                     void *argument);
/* "2026-01-01T00:00:00.000Z"; 0 for what is none. */
int64_t blob_s3_xml_time(const char *text);
/* Without quotes. */
void blob_s3_copy_etag(const char *text, char out[BLOB_ETAG_MAX]);

/* blob_s3.c */
/* The store's key of a bucket's. ERR_INVALID: too long, or a key of "media" that begins as another
 * bucket's do; ERR_NOT_FOUND: the bucket is not there. */
int blob_s3_key_of(struct s3_store *store, const char *bucket, const char *key,
                   char out[S3_KEY_SIZE]);
int blob_s3_check_bucket(struct s3_store *store, const char *bucket);
/* The prefix of a bucket's keys: "", "uploads/", "buckets/NAME/". */
void blob_s3_prefix_of(const char *bucket, char out[S3_KEY_SIZE]);
/* HEAD of a key of the store. */
int blob_s3_head(struct s3_store *store, const char *key, struct s3_answer *ret_answer);
int blob_s3_list(struct s3_store *store, const char *bucket, const char *prefix, const char *after,
                 unsigned limit,
                 int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
                 void *argument);

/* blob_s3_read.c */
/* An unlinked file. The descriptor or an error. */
int blob_s3_spool(const struct s3_store *store);
int blob_s3_open_object(struct blob_store *store, const char *bucket, const char *key,
                        struct blob_source *ret_source, struct blob_stat *ret_stat);
int blob_s3_read_headers(const struct blob_source *source, const struct blob_stat *stat,
                         char out[BLOB_HEADERS_MAX + 1]);

/* blob_s3_write.c */
/* What describes an object, as headers of the request that makes it; owns its texts. */
struct s3_description {
    char content_type[BLOB_TYPE_MAX], cache_control[BLOB_TYPE_MAX];
    char kept[S3_KEPT_SIZE];
    unsigned headers_bytes;
};
void blob_s3_describe(const struct blob_meta *meta, struct s3_description *ret_description);
void blob_s3_describe_answer(const struct s3_answer *answer,
                             struct s3_description *ret_description);
/* Adds the headers of a description and of encryption at rest. They borrow. */
void blob_s3_call_describe(const struct s3_store *store, const struct s3_description *description,
                           struct s3_call *call);
void blob_s3_call_encrypt(const struct s3_store *store, struct s3_call *call);
void blob_s3_stat_describe(const struct s3_description *description, struct blob_stat *stat);
int blob_s3_put_open(struct blob_store *store, const char *bucket, const char *key,
                     const struct blob_meta *meta, struct blob_writer **ret_writer);
int blob_s3_put_part_open(struct s3_store *store, const char *key, const char *upload_id,
                          unsigned number, struct blob_writer **ret_writer);
int blob_s3_put_write(struct blob_writer *writer, const void *bytes, size_t length);
int blob_s3_put_target(struct blob_writer *writer, struct blob_source *ret_target);
int blob_s3_put_commit(struct blob_writer *writer, const struct blob_condition *condition,
                       struct blob_stat *ret_stat);
void blob_s3_put_abort(struct blob_writer *writer);
void blob_s3_md5_base64(const unsigned char digest[MD5_DIGEST_SIZE], char out[S3_MD5_SIZE]);
/* Gives a call a body of XML and the headers that stores ask of one. Borrows body and md5, which is
 * filled in. */
void blob_s3_call_xml(struct s3_call *call, const struct buffer *body, char md5[S3_MD5_SIZE]);

/* blob_s3_copy.c */
int blob_s3_copy(struct blob_store *store, const char *bucket, const char *key, const char *etag,
                 const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                 const struct blob_condition *condition, struct blob_stat *ret_stat);

/* blob_s3_multipart.c. Those with a key take the store's. */
int blob_s3_parts_begin(struct s3_store *store, const char *key,
                        const struct s3_description *description,
                        char ret_upload_id[BLOB_UPLOAD_ID_MAX]);
int blob_s3_parts_join(struct s3_store *store, const char *key, const char *upload_id,
                       const struct blob_part *parts, unsigned count,
                       const struct blob_condition *condition, struct s3_answer *ret_head,
                       struct problem *problem);
int blob_s3_parts_forget(struct s3_store *store, const char *key, const char *upload_id);
int blob_s3_multipart_create(struct blob_store *store, const char *bucket, const char *key,
                             const struct blob_meta *meta, char ret_upload_id[BLOB_UPLOAD_ID_MAX]);
int blob_s3_multipart_put_open(struct blob_store *store, const char *bucket, const char *key,
                               const char *upload_id, unsigned number,
                               struct blob_writer **ret_writer);
int blob_s3_multipart_list(struct blob_store *store, const char *bucket, const char *key,
                           const char *upload_id, unsigned after_number, unsigned limit,
                           int (*visit)(void *argument, const struct blob_part *part),
                           void *argument);
int blob_s3_multipart_complete(struct blob_store *store, const char *bucket, const char *key,
                               const char *upload_id, const struct blob_part *parts, unsigned count,
                               const struct blob_condition *condition, struct blob_stat *ret_stat,
                               struct problem *problem);
int blob_s3_multipart_abort(struct blob_store *store, const char *bucket, const char *key,
                            const char *upload_id);
int blob_s3_multipart_uploads(struct blob_store *store, const char *bucket,
                              int (*visit)(void *argument, const char *key, const char *upload_id,
                                           int64_t begun_ms),
                              void *argument);
int blob_s3_multipart_sweep(struct blob_store *store, int64_t before_ms);

/* blob_s3_delete.c */
int blob_s3_remove(struct blob_store *store, const char *bucket, const char *key,
                   const char *if_match);
int blob_s3_remove_many(struct blob_store *store, const char *bucket, const char *const *keys,
                        unsigned count);

/* blob_s3_bucket.c: buckets that are prefixes */
int blob_s3_bucket_create(struct blob_store *store, const char *bucket);
int blob_s3_bucket_stat(struct blob_store *store, const char *bucket, int64_t *ret_created_ms);
int blob_s3_bucket_remove(struct blob_store *store, const char *bucket);
int blob_s3_bucket_list(struct blob_store *store,
                        int (*visit)(void *argument, const char *bucket, int64_t created_ms),
                        void *argument);

/* blob_s3_look.c */
int blob_s3_ping(struct blob_store *store, struct problem *problem);

/* blob_s3_guard.c */
int blob_s3_guard(struct blob_store *store, struct problem *problem);

/* blob_s3_rules.c */
int blob_s3_prepare(struct blob_store *store, const struct blob_prepare *what,
                    struct problem *problem);
