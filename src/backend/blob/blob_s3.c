/* The S3 engine of blob.h: how buckets and keys map into the store's one bucket, and which
 * invariants hold, stands in blob_s3.h. This file opens the store, names keys, lists, and signs
 * URLs; the others read, write, copy, take uploads in parts, delete and look after the bucket. Any
 * thread; the locks are the pool's and that of the last ping.
 */
#include "backend/blob/blob_s3.h"

#include "base/breaker.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/metrics.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_KEYS_MAX = 1000 };

/* Opening. */

static void blob_s3_close(struct blob_store *head)
{
    struct s3_store *store = blob_s3_store_of(head);
    http_pool_free(store->pool);
    breaker_free(store->breaker);
    blob_s3_address_done(&store->address);
    pthread_mutex_destroy(&store->ping_lock);
    free(store->spool_path);
    free(store);
}

static void register_metrics(struct s3_store *store)
{
    store->requests = metric_get(METRIC_COUNTER, "tutti_blob_s3_requests_total",
                                 "Requests to the S3 store, those sent again too.", "");
    store->retries = metric_get(METRIC_COUNTER, "tutti_blob_s3_retries_total",
                                "Requests to the S3 store that were sent again.", "");
    store->sent = metric_get(METRIC_COUNTER, "tutti_blob_s3_sent_bytes_total",
                             "Bytes of bodies sent to the S3 store by this process.", "");
    store->received = metric_get(METRIC_COUNTER, "tutti_blob_s3_received_bytes_total",
                                 "Bytes of bodies received from the S3 store by this process.", "");
}

/* What blob.c frees: public_url is the bucket's as clients see it. */
static int fill_head(struct s3_store *store, const struct blob_config *config,
                     struct problem *problem)
{
    const struct s3_address *address = &store->address;
    const char *public = config->public_url != NULL ? config->public_url : "";
    store->head.public_url =
        blob_s3_address_base(address, public[0] != '\0' ? public : address->endpoint);
    if (store->head.public_url == NULL) {
        return problem_set(problem, ERR_INVALID,
                           "blob.public_url is \"%s\"; it must be an address like "
                           "https://s3.example.org",
                           public);
    }
    return 0;
}

static int set_up(struct s3_store *store, const struct blob_config *config, struct problem *problem)
{
    if (config->seal) {
        return problem_set(problem, ERR_INVALID,
                           "blob.encrypt is for a store in a folder; an S3 store encrypts at rest "
                           "itself: sse=AES256 or sse=aws:kms in blob.store");
    }
    int error = blob_s3_address_parse(config->url, &store->address, problem);
    error = error != 0 ? error : fill_head(store, config, problem);
    store->spool_path = strdup(config->spool_path != NULL ? config->spool_path : "/var/tmp");
    error = error == 0 && store->spool_path == NULL ? ERR_NO_MEMORY : error;
    error =
        error != 0 ? error : breaker_new(&(struct breaker_config){.name = "blob"}, &store->breaker);
    return error != 0 ? error : http_pool_new(store->address.connections, &store->pool);
}

static int blob_s3_open(const struct blob_config *config, struct blob_store **ret_store,
                        struct problem *problem)
{
    struct s3_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return ERR_NO_MEMORY;
    }
    store->head.engine = &blob_s3_engine;
    (void)pthread_mutex_init(&store->ping_lock, NULL);
    register_metrics(store);
    int error = set_up(store, config, problem);
    if (error != 0) {
        blob_store_close(&store->head);
        return error;
    }
    *ret_store = &store->head;
    return 0;
}

/* Names. */

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

void blob_s3_prefix_of(const char *bucket, char out[S3_KEY_SIZE])
{
    if (strcmp(bucket, BLOB_MEDIA) == 0) {
        out[0] = '\0';
    } else if (strcmp(bucket, BLOB_UPLOADS) == 0) {
        (void)snprintf(out, S3_KEY_SIZE, "%s", S3_UPLOADS_PREFIX);
    } else {
        (void)snprintf(out, S3_KEY_SIZE, "%s%s/", S3_BUCKETS_PREFIX, bucket);
    }
}

int blob_s3_check_bucket(struct s3_store *store, const char *bucket)
{
    int64_t created_ms = 0;
    bool ours = strcmp(bucket, BLOB_MEDIA) == 0 || strcmp(bucket, BLOB_UPLOADS) == 0;
    return ours ? 0 : blob_s3_bucket_stat(&store->head, bucket, &created_ms);
}

/* Without a look at the bucket. */
static int name_key(const char *bucket, const char *key, char out[S3_KEY_SIZE])
{
    char prefix[S3_KEY_SIZE];
    blob_s3_prefix_of(bucket, prefix);
    bool taken =
        prefix[0] == '\0' && (starts(key, S3_UPLOADS_PREFIX) || starts(key, S3_BUCKETS_PREFIX));
    int length = snprintf(out, S3_KEY_SIZE, "%s%s", prefix, key);
    return taken || length >= S3_KEY_SIZE ? ERR_INVALID : 0;
}

int blob_s3_key_of(struct s3_store *store, const char *bucket, const char *key,
                   char out[S3_KEY_SIZE])
{
    int error = name_key(bucket, key, out);
    return error != 0 ? error : blob_s3_check_bucket(store, bucket);
}

int blob_s3_head(struct s3_store *store, const char *key, struct s3_answer *ret_answer)
{
    const struct s3_call call = {.method = "HEAD", .key = key};
    return blob_s3_call(store, &call, ret_answer);
}

static int blob_s3_stat(struct blob_store *head, const char *bucket, const char *key,
                        struct blob_stat *ret_stat)
{
    struct s3_store *store = blob_s3_store_of(head);
    char name[S3_KEY_SIZE];
    struct s3_answer answer;
    int error = blob_s3_key_of(store, bucket, key, name);
    if (error != 0) {
        return error;
    }
    error = blob_s3_head(store, name, &answer);
    if (error == 0) {
        struct s3_description description;
        blob_s3_describe_answer(&answer, &description);
        *ret_stat = answer.stat;
        ret_stat->headers_bytes = description.headers_bytes;
    }
    blob_s3_answer_done(&answer);
    return error;
}

/* Listing. */

struct listing {
    int (*visit)(void *argument, const char *key, const struct blob_stat *stat);
    void *argument;
    const char *prefix;   /* of all that is listed */
    size_t prefix_length; /* of it cut off: the bucket's */
    bool skip;            /* other buckets' keys stand among these */
    unsigned left;
    bool truncated;
    bool named;            /* the entry that is being read has a key */
    char key[S3_KEY_SIZE]; /* of the entry that is being read, then the last one */
    struct blob_stat stat;
};

static int end_entry(struct listing *listing)
{
    const struct blob_stat stat = listing->stat;
    bool named = listing->named;
    listing->stat = (struct blob_stat){0};
    listing->named = false;
    if (!named) {
        return ERR_CORRUPT;
    }
    bool others = listing->skip && (starts(listing->key, S3_UPLOADS_PREFIX) ||
                                    starts(listing->key, S3_BUCKETS_PREFIX));
    if (others || listing->left == 0) {
        return 0;
    }
    listing->left--;
    return listing->visit(listing->argument, listing->key + listing->prefix_length, &stat);
}

/* What does not begin as was asked for is no key of ours: its beginning must not be cut off. */
static int take_key(struct listing *listing, const char *text)
{
    listing->named = text_copy(listing->key, sizeof listing->key, text) &&
                     starts(text, listing->prefix) && strlen(text) > listing->prefix_length;
    return listing->named ? 0 : ERR_CORRUPT;
}

static int list_element(void *argument, const char *parent, const char *name, const char *text)
{
    struct listing *listing = argument;
    int64_t number = 0;
    if (strcmp(parent, "ListBucketResult") == 0) {
        if (strcmp(name, "IsTruncated") == 0) {
            listing->truncated = strcmp(text, "true") == 0;
        }
        return strcmp(name, "Contents") == 0 ? end_entry(listing) : 0;
    }
    if (strcmp(parent, "Contents") != 0) {
        return 0;
    }
    if (strcmp(name, "Key") == 0) {
        return take_key(listing, text);
    }
    if (strcmp(name, "Size") == 0 && text_number(text, 0, INT64_MAX, &number)) {
        listing->stat.bytes = (uint64_t)number;
    } else if (strcmp(name, "ETag") == 0) {
        blob_s3_copy_etag(text, listing->stat.etag);
    } else if (strcmp(name, "LastModified") == 0) {
        listing->stat.modified_ms = blob_s3_xml_time(text);
    }
    return 0;
}

static int list_page(struct s3_store *store, const char *prefix, const char *after,
                     struct listing *listing)
{
    char count[16];
    unsigned wanted = listing->left < LIST_KEYS_MAX ? listing->left : LIST_KEYS_MAX;
    (void)snprintf(count, sizeof count, "%u", wanted);
    struct s3_call call = {.method = "GET"};
    blob_s3_call_query(&call, "list-type", "2");
    blob_s3_call_query(&call, "max-keys", count);
    blob_s3_call_query(&call, "prefix", prefix);
    if (after[0] != '\0') {
        blob_s3_call_query(&call, "start-after", after);
    }
    struct s3_answer answer;
    listing->truncated = listing->named = false;
    int error = blob_s3_call(store, &call, &answer);
    error = error != 0 ? error : blob_s3_xml_read(&answer.body, list_element, listing);
    blob_s3_answer_done(&answer);
    return error;
}

/* A key after all that begin with prefix: no character is higher than this one. */
#define LAST_CHARACTER "\xf4\x8f\xbf\xbf"

/* Where to go on. Other buckets' keys among media's are jumped over, not read. */
static void go_on(const struct listing *listing, char after[S3_KEY_SIZE])
{
    static const char *const others[] = {S3_UPLOADS_PREFIX, S3_BUCKETS_PREFIX};
    (void)snprintf(after, S3_KEY_SIZE, "%s", listing->key);
    for (unsigned i = 0; listing->skip && i < COUNT_OF(others); i++) {
        if (starts(listing->key, others[i])) {
            (void)snprintf(after, S3_KEY_SIZE, "%s" LAST_CHARACTER, others[i]);
        }
    }
}

int blob_s3_list(struct s3_store *store, const char *bucket, const char *prefix, const char *after,
                 unsigned limit,
                 int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
                 void *argument)
{
    char base[S3_KEY_SIZE], whole[S3_KEY_SIZE], from[S3_KEY_SIZE] = "";
    blob_s3_prefix_of(bucket, base);
    struct listing listing = {.visit = visit,
                              .argument = argument,
                              .prefix = whole,
                              .prefix_length = strlen(base),
                              .skip = base[0] == '\0',
                              .left = limit};
    if (snprintf(whole, sizeof whole, "%s%s", base, prefix) >= (int)sizeof whole) {
        return 0; /* longer than any key */
    }
    /* Who pages by common prefixes goes on after a byte that no key holds (0xFF). */
    size_t sound = strcspn(after, "\xff");
    if (after[0] != '\0' &&
        snprintf(from, sizeof from, "%s%.*s%s", base, (int)sound, after,
                 after[sound] != '\0' ? LAST_CHARACTER : "") >= (int)sizeof from) {
        return ERR_INVALID;
    }
    for (;;) {
        char before[S3_KEY_SIZE];
        memcpy(before, from, sizeof before);
        int result = list_page(store, whole, from, &listing);
        if (result != 0 || !listing.truncated || listing.left == 0) {
            return result;
        }
        go_on(&listing, from);
        if (strcmp(from, before) <= 0) {
            return ERR_CORRUPT; /* there would be more, of which it never tells */
        }
    }
}

static int list_checked(struct blob_store *head, const char *bucket, const char *prefix,
                        const char *after, unsigned limit,
                        int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
                        void *argument)
{
    int error = blob_s3_check_bucket(blob_s3_store_of(head), bucket);
    return error != 0 ? error
                      : blob_s3_list(blob_s3_store_of(head), bucket, prefix, after, limit, visit,
                                     argument);
}

/* Signing. The store, not we, will say whether the bucket or an upload is there. */
static int blob_s3_presign(struct blob_store *head, const struct blob_presign *what, char *out,
                           size_t out_size)
{
    char name[S3_KEY_SIZE];
    int error = name_key(what->bucket, what->key, name);
    if (error != 0) {
        return error;
    }
    const struct s3_address *address = &blob_s3_store_of(head)->address;
    const struct sigv4_credentials credentials =
        blob_s3_credentials(address, strcmp(what->method, "PUT") == 0);
    return blob_sign(head, &credentials, what, NULL, name, out, out_size);
}

/* Stores name uploads in characters of their own choice. */
static bool upload_id_valid(const char *upload_id)
{
    size_t length = strlen(upload_id);
    return length > 0 && length < BLOB_UPLOAD_ID_MAX &&
           strspn(upload_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             "-._~+/=") == length;
}

static int blob_s3_check_url(const char *url, struct problem *problem)
{
    struct s3_address address = {.where = NULL};
    int error = blob_s3_address_parse(url, &address, problem);
    blob_s3_address_done(&address);
    return error;
}

const struct blob_engine blob_s3_engine = {
    .scheme = "s3:",
    .remote = true,
    .open = blob_s3_open,
    .check_url = blob_s3_check_url,
    .close = blob_s3_close,
    .ping = blob_s3_ping,
    .prepare = blob_s3_prepare,
    .guard = blob_s3_guard,
    .presign = blob_s3_presign,
    .bucket_create = blob_s3_bucket_create,
    .bucket_stat = blob_s3_bucket_stat,
    .bucket_remove = blob_s3_bucket_remove,
    .bucket_list = blob_s3_bucket_list,
    .put_open = blob_s3_put_open,
    .put_write = blob_s3_put_write,
    .put_target = blob_s3_put_target,
    .put_commit = blob_s3_put_commit,
    .put_abort = blob_s3_put_abort,
    .open_object = blob_s3_open_object,
    .read_headers = blob_s3_read_headers,
    .stat = blob_s3_stat,
    .remove = blob_s3_remove,
    .remove_many = blob_s3_remove_many,
    .copy = blob_s3_copy,
    .list = list_checked,
    .upload_id_valid = upload_id_valid,
    .multipart_create = blob_s3_multipart_create,
    .multipart_put_open = blob_s3_multipart_put_open,
    .multipart_list = blob_s3_multipart_list,
    .multipart_complete = blob_s3_multipart_complete,
    .multipart_abort = blob_s3_multipart_abort,
    .multipart_uploads = blob_s3_multipart_uploads,
    .multipart_sweep = blob_s3_multipart_sweep,
};
