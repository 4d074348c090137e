/* The store as its users see it (blob.h): picks the engine, checks names that come from outside,
 * and passes the call on. Holds what signing needs. Any thread.
 */
#include "backend/blob/blob.h"

#include "backend/blob/blob_engine.h"
#include "backend/blob/sigv4.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"
#include "net/metrics.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct blob_engine *const engines[] = {&blob_file_engine, &blob_s3_engine};

/* Of all stores of the process; registered when the first one is opened. */
static struct {
    struct metric *objects, *bytes, *failed, *seconds;
} metrics;

static void register_metrics(void)
{
    metrics.objects = metric_get(METRIC_COUNTER, "tutti_blob_writes_total",
                                 "Objects and parts that were written durably.", "");
    metrics.bytes = metric_get(METRIC_COUNTER, "tutti_blob_written_bytes_total",
                               "Bytes of objects and parts that were written durably.", "");
    metrics.failed = metric_get(METRIC_COUNTER, "tutti_blob_failures_total",
                                "Writes that the store could not take.", "");
    metrics.seconds = metric_get(METRIC_HISTOGRAM, "tutti_blob_commit_seconds",
                                 "From the last byte to a durable object.", "");
}

static char *copy_or_empty(const char *text)
{
    return strdup(text != NULL ? text : "");
}

/* A remote engine has brought its own. */
static int keep_signing(struct blob_store *store, const struct blob_config *config)
{
    if (store->engine->remote) {
        return 0;
    }
    store->public_url = copy_or_empty(config->public_url);
    store->key_id = copy_or_empty(config->key_id);
    store->secret = copy_or_empty(config->secret);
    store->region = strdup(config->region != NULL ? config->region : "us-east-1");
    bool complete = store->public_url != NULL && store->key_id != NULL && store->secret != NULL &&
                    store->region != NULL;
    return complete ? 0 : ERR_NO_MEMORY;
}

static const struct blob_engine *find_engine(const char *url, struct problem *problem)
{
    for (unsigned i = 0; i < COUNT_OF(engines); i++) {
        if (strncmp(url, engines[i]->scheme, strlen(engines[i]->scheme)) == 0) {
            return engines[i];
        }
    }
    (void)problem_set(problem, ERR_INVALID,
                      "blob.store begins with an unknown scheme, \"%.*s\"; it would be right as "
                      "file:DIR or s3://KEY:SECRET@HOST/BUCKET",
                      (int)strcspn(url, ":/@"), url);
    return NULL;
}

int blob_url_check(const char *url, struct problem *problem)
{
    const struct blob_engine *engine = find_engine(url, problem);
    if (engine == NULL) {
        return ERR_INVALID;
    }
    return engine->check_url != NULL ? engine->check_url(url, problem) : 0;
}

int blob_store_open(const struct blob_config *config, struct blob_store **ret_store,
                    struct problem *problem)
{
    register_metrics();
    const struct blob_engine *engine = find_engine(config->url, problem);
    if (engine == NULL) {
        return ERR_INVALID;
    }
    struct blob_store *store = NULL;
    int error = engine->open(config, &store, problem);
    if (error != 0) {
        return error;
    }
    assert(store->engine == engine);
    error = keep_signing(store, config);
    if (error != 0) {
        blob_store_close(store);
        return error;
    }
    *ret_store = store;
    return 0;
}

void blob_store_close(struct blob_store *store)
{
    if (store == NULL) {
        return;
    }
    free(store->public_url);
    free(store->key_id);
    if (store->secret != NULL) {
        sodium_memzero(store->secret, strlen(store->secret));
    }
    free(store->secret);
    free(store->region);
    store->engine->close(store);
}

int blob_ping(struct blob_store *store, struct problem *problem)
{
    return store->engine->ping(store, problem);
}

bool blob_is_remote(const struct blob_store *store)
{
    return store->engine->remote;
}

const char *blob_public_url(const struct blob_store *store)
{
    return store->public_url;
}

int blob_prepare(struct blob_store *store, const struct blob_prepare *what, struct problem *problem)
{
    return store->engine->prepare != NULL ? store->engine->prepare(store, what, problem) : 0;
}

int blob_guard(struct blob_store *store, struct problem *problem)
{
    return store->engine->guard != NULL ? store->engine->guard(store, problem) : 0;
}

bool blob_key_valid(const char *key)
{
    size_t length = strlen(key);
    if (length == 0 || length > BLOB_KEY_MAX || key[0] == '/' || !text_is_utf8(key, length)) {
        return false;
    }
    unsigned depth = 1;
    const char *part = key;
    for (const char *at = key;; at++) {
        if (*at == '/' || *at == '\0') {
            if (at - part == 2 && memcmp(part, "..", 2) == 0) {
                return false;
            }
            part = at + 1;
            if (*at == '\0') {
                return true;
            }
            if (++depth > BLOB_KEY_DEPTH_MAX) {
                return false;
            }
        } else if (iscntrl((unsigned char)*at)) {
            return false;
        }
    }
}

static bool bucket_valid(const char *bucket)
{
    size_t length = strlen(bucket);
    if (length < 3 || length > BLOB_BUCKET_MAX || !isalnum((unsigned char)bucket[0]) ||
        !isalnum((unsigned char)bucket[length - 1])) {
        return false;
    }
    return strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length &&
           strstr(bucket, "..") == NULL;
}

/* 0, or what is wrong with the names. */
static int check(const char *bucket, const char *key)
{
    return bucket_valid(bucket) && blob_key_valid(key) ? 0 : ERR_INVALID;
}

/* What is no upload id was never given out. */
static int check_upload(const struct blob_store *store, const char *bucket, const char *key,
                        const char *upload_id)
{
    return store->engine->upload_id_valid(upload_id) ? check(bucket, key) : ERR_NOT_FOUND;
}

/* Lines of "name:value", each ended by LF and free of other control characters. */
static bool headers_valid(const char *headers)
{
    size_t length = strlen(headers);
    if (length > BLOB_HEADERS_MAX || (length > 0 && headers[length - 1] != '\n')) {
        return false;
    }
    while (*headers != '\0') {
        size_t line = strcspn(headers, "\n");
        size_t name = strcspn(headers, ":\n");
        if (name == 0 || name == line) {
            return false;
        }
        for (size_t i = 0; i < line; i++) {
            if (iscntrl((unsigned char)headers[i])) {
                return false;
            }
        }
        headers += line + 1;
    }
    return true;
}

static int check_meta(const struct blob_meta *meta)
{
    if (meta != NULL && meta->headers != NULL && !headers_valid(meta->headers)) {
        return ERR_INVALID;
    }
    const char *texts[] = {meta != NULL ? meta->content_type : NULL,
                           meta != NULL ? meta->cache_control : NULL};
    for (unsigned i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i] == NULL) {
            continue;
        }
        if (strlen(texts[i]) >= BLOB_TYPE_MAX) {
            return ERR_INVALID;
        }
        for (const char *at = texts[i]; *at != '\0'; at++) {
            if (iscntrl((unsigned char)*at)) {
                return ERR_INVALID;
            }
        }
    }
    return 0;
}

int blob_bucket_create(struct blob_store *store, const char *bucket)
{
    return bucket_valid(bucket) ? store->engine->bucket_create(store, bucket) : ERR_INVALID;
}

int blob_bucket_stat(struct blob_store *store, const char *bucket, int64_t *ret_created_ms)
{
    return bucket_valid(bucket) ? store->engine->bucket_stat(store, bucket, ret_created_ms)
                                : ERR_NOT_FOUND;
}

int blob_bucket_remove(struct blob_store *store, const char *bucket)
{
    return bucket_valid(bucket) ? store->engine->bucket_remove(store, bucket) : ERR_NOT_FOUND;
}

int blob_bucket_list(struct blob_store *store,
                     int (*visit)(void *argument, const char *bucket, int64_t created_ms),
                     void *argument)
{
    return store->engine->bucket_list(store, visit, argument);
}

int blob_put_open(struct blob_store *store, const char *bucket, const char *key,
                  const struct blob_meta *meta, struct blob_writer **ret_writer)
{
    int error = check(bucket, key);
    error = error != 0 ? error : check_meta(meta);
    return error != 0 ? error : store->engine->put_open(store, bucket, key, meta, ret_writer);
}

int blob_put_write(struct blob_writer *writer, const void *bytes, size_t length)
{
    return writer->engine->put_write(writer, bytes, length);
}

int blob_put_target(struct blob_writer *writer, struct blob_source *ret_target)
{
    return writer->engine->put_target(writer, ret_target);
}

int blob_put_fd(struct blob_writer *writer, int *ret_fd)
{
    struct blob_source target;
    int error = blob_put_target(writer, &target);
    bool sealed = error == 0 && target.sealed;
    if (error == 0 && !sealed) {
        *ret_fd = target.fd;
    }
    sodium_memzero(&target, sizeof target);
    return sealed ? ERR_UNSUPPORTED : error;
}

int blob_put_sum(struct blob_writer *writer, const char *sum)
{
    if (writer->engine->put_sum == NULL) {
        return ERR_UNSUPPORTED;
    }
    size_t length = strlen(sum);
    bool fine = length < BLOB_SUM_MAX && strcspn(sum, ":") > 0 && strchr(sum, ':') != NULL;
    for (size_t i = 0; i < length; i++) {
        fine = fine && !iscntrl((unsigned char)sum[i]);
    }
    return fine ? writer->engine->put_sum(writer, sum) : ERR_INVALID;
}

int blob_put_commit(struct blob_writer *writer, bool if_none_match, struct blob_stat *ret_stat)
{
    return blob_put_commit_if(writer, &(struct blob_condition){.if_none_match = if_none_match},
                              ret_stat);
}

int blob_put_commit_if(struct blob_writer *writer, const struct blob_condition *condition,
                       struct blob_stat *ret_stat)
{
    struct blob_stat stat;
    int64_t started_us = clock_monotonic_us();
    int error = writer->engine->put_commit(writer, condition, &stat);
    if (error == 0) {
        metric_add(metrics.objects, 1);
        metric_add(metrics.bytes, (int64_t)stat.bytes);
        metric_observe_us(metrics.seconds, clock_monotonic_us() - started_us);
    } else if (error != ERR_PRECONDITION && error != ERR_NOT_FOUND) {
        metric_add(metrics.failed, 1);
    }
    if (error == 0 && ret_stat != NULL) {
        *ret_stat = stat;
    }
    return error;
}

void blob_put_abort(struct blob_writer *writer)
{
    if (writer != NULL) {
        writer->engine->put_abort(writer);
    }
}

void blob_outside_set(struct blob_store *store, blob_outside *find, void *context)
{
    store->outside = store->engine->remote ? NULL : find;
    store->outside_context = context;
}

static int open_outside(struct blob_store *store, const char *key, struct blob_source *ret_source,
                        struct blob_stat *ret_stat)
{
    int fd CLEANUP_CLOSE = -1;
    struct stat status;
    int error = store->outside(store->outside_context, key, &fd);
    if (error != 0) {
        return error;
    }
    if (fstat(fd, &status) != 0) {
        return error_from_errno(errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return ERR_NOT_FOUND;
    }
    *ret_stat = (struct blob_stat){
        .bytes = (uint64_t)status.st_size,
        .modified_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000,
        .content_type = "application/octet-stream",
        .cache_control = "no-cache",
    };
    (void)snprintf(ret_stat->etag, sizeof ret_stat->etag, "%llx-%llx.%lx-%llx",
                   (unsigned long long)status.st_ino, (unsigned long long)status.st_mtim.tv_sec,
                   (unsigned long)status.st_mtim.tv_nsec, (unsigned long long)status.st_size);
    *ret_source = (struct blob_source){.fd = TAKE_FD(fd), .bytes = ret_stat->bytes};
    return 0;
}

int blob_open(struct blob_store *store, const char *bucket, const char *key,
              struct blob_source *ret_source, struct blob_stat *ret_stat)
{
    int error = check(bucket, key);
    error =
        error != 0 ? error : store->engine->open_object(store, bucket, key, ret_source, ret_stat);
    bool asks = error == ERR_NOT_FOUND && store->outside != NULL && strcmp(bucket, BLOB_MEDIA) == 0;
    return asks ? open_outside(store, key, ret_source, ret_stat) : error;
}

int blob_read_headers(struct blob_store *store, const struct blob_source *source,
                      const struct blob_stat *stat, char out[BLOB_HEADERS_MAX + 1])
{
    return store->engine->read_headers(source, stat, out);
}

int blob_stat(struct blob_store *store, const char *bucket, const char *key,
              struct blob_stat *ret_stat)
{
    int error = check(bucket, key);
    return error != 0 ? error : store->engine->stat(store, bucket, key, ret_stat);
}

int blob_delete(struct blob_store *store, const char *bucket, const char *key)
{
    int error = check(bucket, key);
    return error != 0 ? error : store->engine->remove(store, bucket, key, NULL);
}

int blob_delete_if(struct blob_store *store, const char *bucket, const char *key,
                   const char *if_match)
{
    int error = check(bucket, key);
    return error != 0 ? error : store->engine->remove(store, bucket, key, if_match);
}

int blob_delete_many(struct blob_store *store, const char *bucket, const char *const *keys,
                     unsigned count)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = check(bucket, keys[i]);
    }
    if (error != 0 || count == 0) {
        return error;
    }
    if (store->engine->remove_many != NULL) {
        return store->engine->remove_many(store, bucket, keys, count);
    }
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = store->engine->remove(store, bucket, keys[i], NULL);
    }
    return error;
}

int blob_copy(struct blob_store *store, const char *bucket, const char *key, const char *etag,
              const char *to_bucket, const char *to_key, struct blob_stat *ret_stat)
{
    return blob_copy_as(store, bucket, key, etag, to_bucket, to_key, NULL, ret_stat);
}

int blob_copy_as(struct blob_store *store, const char *bucket, const char *key, const char *etag,
                 const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                 struct blob_stat *ret_stat)
{
    return blob_copy_if(store, bucket, key, etag, to_bucket, to_key, meta,
                        &(struct blob_condition){0}, ret_stat);
}

int blob_copy_if(struct blob_store *store, const char *bucket, const char *key, const char *etag,
                 const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                 const struct blob_condition *condition, struct blob_stat *ret_stat)
{
    int error = check(bucket, key);
    error = error != 0 ? error : check(to_bucket, to_key);
    error = error != 0 ? error : check_meta(meta);
    return error != 0 ? error
                      : store->engine->copy(store, bucket, key, etag, to_bucket, to_key, meta,
                                            condition, ret_stat);
}

int blob_list(struct blob_store *store, const char *bucket, const char *prefix, const char *after,
              unsigned limit,
              int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
              void *argument)
{
    if (!bucket_valid(bucket)) {
        return ERR_INVALID;
    }
    return store->engine->list(store, bucket, prefix, after, limit, visit, argument);
}

int blob_multipart_create(struct blob_store *store, const char *bucket, const char *key,
                          const struct blob_meta *meta, char ret_upload_id[BLOB_UPLOAD_ID_MAX])
{
    int error = check(bucket, key);
    error = error != 0 ? error : check_meta(meta);
    return error != 0 ? error
                      : store->engine->multipart_create(store, bucket, key, meta, ret_upload_id);
}

int blob_multipart_put_open(struct blob_store *store, const char *bucket, const char *key,
                            const char *upload_id, unsigned number, struct blob_writer **ret_writer)
{
    int error = check_upload(store, bucket, key, upload_id);
    if (error == 0 && (number < 1 || number > BLOB_PART_NUMBER_MAX)) {
        error = ERR_INVALID;
    }
    return error != 0 ? error
                      : store->engine->multipart_put_open(store, bucket, key, upload_id, number,
                                                          ret_writer);
}

int blob_multipart_list(struct blob_store *store, const char *bucket, const char *key,
                        const char *upload_id, unsigned after_number, unsigned limit,
                        int (*visit)(void *argument, const struct blob_part *part), void *argument)
{
    int error = check_upload(store, bucket, key, upload_id);
    return error != 0 ? error
                      : store->engine->multipart_list(store, bucket, key, upload_id, after_number,
                                                      limit, visit, argument);
}

int blob_multipart_complete(struct blob_store *store, const char *bucket, const char *key,
                            const char *upload_id, const struct blob_part *parts, unsigned count,
                            struct blob_stat *ret_stat, struct problem *problem)
{
    return blob_multipart_complete_if(store, bucket, key, upload_id, parts, count,
                                      &(struct blob_condition){0}, ret_stat, problem);
}

int blob_multipart_complete_if(struct blob_store *store, const char *bucket, const char *key,
                               const char *upload_id, const struct blob_part *parts, unsigned count,
                               const struct blob_condition *condition, struct blob_stat *ret_stat,
                               struct problem *problem)
{
    int error = check_upload(store, bucket, key, upload_id);
    if (error != 0) {
        return error;
    }
    if (count == 0 || count > BLOB_PART_NUMBER_MAX) {
        return problem_set(problem, ERR_INVALID, "an upload has 1 to %d parts, not %u",
                           BLOB_PART_NUMBER_MAX, count);
    }
    for (unsigned i = 1; i < count; i++) {
        if (parts[i].number <= parts[i - 1].number) {
            return problem_set(problem, ERR_CONFLICT,
                               "part %u comes after part %u: numbers must rise", parts[i].number,
                               parts[i - 1].number);
        }
    }
    return store->engine->multipart_complete(store, bucket, key, upload_id, parts, count, condition,
                                             ret_stat, problem);
}

int blob_multipart_abort(struct blob_store *store, const char *bucket, const char *key,
                         const char *upload_id)
{
    int error = check_upload(store, bucket, key, upload_id);
    return error != 0 ? error : store->engine->multipart_abort(store, bucket, key, upload_id);
}

int blob_multipart_uploads(struct blob_store *store, const char *bucket,
                           int (*visit)(void *argument, const char *key, const char *upload_id,
                                        int64_t begun_ms),
                           void *argument)
{
    return bucket_valid(bucket) ? store->engine->multipart_uploads(store, bucket, visit, argument)
                                : ERR_NOT_FOUND;
}

int blob_multipart_sweep(struct blob_store *store, int64_t before_ms)
{
    return store->engine->multipart_sweep(store, before_ms);
}

int blob_sign(const struct blob_store *store, const struct sigv4_credentials *credentials,
              const struct blob_presign *what, const char *bucket, const char *key, char *out,
              size_t out_size)
{
    const struct sigv4_presign sign = {
        .method = what->method,
        .base_url = store->public_url,
        .bucket = bucket,
        .key = key,
        .upload_id = what->upload_id,
        .content_type = what->content_type,
        .response_type = what->response_type,
        .part_number = what->part_number,
        .content_length = what->content_length,
        .expires_s = what->expires_s,
        .date_ms = what->date_ms,
        .credentials = *credentials,
    };
    return sigv4_presign(&sign, out, out_size);
}

int blob_presign(struct blob_store *store, const struct blob_presign *what, char *out,
                 size_t out_size)
{
    int error = check(what->bucket, what->key);
    if (error != 0) {
        return error;
    }
    if (store->engine->presign != NULL) {
        return store->engine->presign(store, what, out, out_size);
    }
    const struct sigv4_credentials own = {store->key_id, store->secret, store->region};
    return store->key_id[0] != '\0'
               ? blob_sign(store, &own, what, what->bucket, what->key, out, out_size)
               : ERR_UNSUPPORTED;
}
