/* Reading from an S3 store. An object is opened by asking for its first bytes: a small one is then
 * here, in an unlinked file, and is a source like any other; of a larger one ranges are asked for
 * as they are read, each only of the object that was opened (its ETag), or all of it is fetched
 * into a file for a child process. Any thread.
 */
#include "backend/blob/blob_s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIRST_BYTES = 256 * 1024,
    FETCH_BYTES = 16 * 1024 * 1024, /* at a time: a cut connection costs so much again */
    RANGE_SIZE = 64,
};

/* An opened object. */
struct s3_object {
    struct blob_remote head;
    struct s3_store *store;
    uint64_t bytes;
    char etag[BLOB_ETAG_MAX + 2]; /* with quotes */
    char key[S3_KEY_SIZE];
    unsigned headers_bytes;
    char headers[];
};

int blob_s3_spool(const struct s3_store *store)
{
    int fd = open(store->spool_path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) {
        return fd;
    }
    char path[4096]; /* not every file system makes files without a name */
    (void)snprintf(path, sizeof path, "%s/tutti-XXXXXX", store->spool_path);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
    }
    (void)unlink(path);
    return fd;
}

/* Asks for some bytes of the object. The call borrows the text. */
static void ask_range(struct s3_call *call, uint64_t offset, size_t length, char text[RANGE_SIZE])
{
    (void)snprintf(text, RANGE_SIZE, "bytes=%llu-%llu", (unsigned long long)offset,
                   (unsigned long long)(offset + length - 1));
    blob_s3_call_header(call, "range", text);
    call->ranged = true;
    call->from = offset;
    call->into_size = length;
}

/* Some bytes of it, into call's place. How many, or an error. */
static ssize_t get_range(struct s3_object *object, struct s3_call *call, uint64_t offset,
                         size_t length)
{
    char range[RANGE_SIZE], etag[sizeof object->etag];
    uint64_t left = object->bytes - offset;
    call->method = "GET";
    call->key = object->key;
    blob_s3_call_header(call, "if-match", object->etag);
    ask_range(call, offset, length < left ? length : (size_t)left, range);
    struct s3_answer answer;
    int error = blob_s3_call(object->store, call, &answer);
    uint64_t got = answer.got;
    (void)snprintf(etag, sizeof etag, "\"%s\"", answer.stat.etag);
    bool same = answer.stat.bytes == object->bytes && strcmp(etag, object->etag) == 0;
    blob_s3_answer_done(&answer);
    if (error == ERR_PRECONDITION || error == ERR_NOT_FOUND || (error == 0 && !same)) {
        return ERR_GONE;
    }
    return error != 0 ? error : (ssize_t)got;
}

static ssize_t object_read(struct blob_remote *head, void *bytes, size_t length, uint64_t offset)
{
    struct s3_object *object = (struct s3_object *)(void *)head;
    struct s3_call call = {.into = bytes};
    return get_range(object, &call, offset, length);
}

static int object_fetch(struct blob_remote *head, int *ret_fd)
{
    struct s3_object *object = (struct s3_object *)(void *)head;
    int fd CLEANUP_CLOSE = blob_s3_spool(object->store);
    if (fd < 0) {
        return fd;
    }
    for (uint64_t at = 0; at < object->bytes;) {
        struct s3_call call = {.into_file = true, .into_fd = fd, .offset = at};
        ssize_t got = get_range(object, &call, at, FETCH_BYTES);
        if (got <= 0) {
            return got < 0 ? (int)got : ERR_CORRUPT;
        }
        at += (uint64_t)got;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static void object_free(struct blob_remote *head)
{
    free(head);
}

/* The object that the answer is about, with the headers kept with it. */
static int object_new(struct s3_store *store, const char *key, const struct s3_answer *answer,
                      struct s3_object **ret_object)
{
    char headers[BLOB_HEADERS_MAX + 1];
    size_t length = 0;
    if (!text_base64_decode(answer->kept, strlen(answer->kept), TEXT_BASE64_URL, headers,
                            sizeof headers - 1, &length)) {
        length = 0;
    }
    struct s3_object *object = malloc(sizeof *object + length + 1);
    if (object == NULL) {
        return ERR_NO_MEMORY;
    }
    object->head.read = object_read;
    object->head.fetch = object_fetch;
    object->head.free = object_free;
    atomic_init(&object->head.references, 1);
    object->store = store;
    object->bytes = answer->stat.bytes;
    object->headers_bytes = (unsigned)length;
    (void)snprintf(object->etag, sizeof object->etag, "\"%s\"", answer->stat.etag);
    (void)snprintf(object->key, sizeof object->key, "%s", key);
    memcpy(object->headers, headers, length);
    object->headers[length] = '\0';
    *ret_object = object;
    return 0;
}

/* The bytes into a file of their own. */
static int keep_small(const struct s3_store *store, const void *bytes, size_t length)
{
    int fd CLEANUP_CLOSE = blob_s3_spool(store);
    if (fd < 0) {
        return fd;
    }
    ssize_t wrote = length > 0 ? pwrite(fd, bytes, length, 0) : 0;
    if (wrote != (ssize_t)length) {
        return wrote < 0 ? error_from_errno(errno) : ERR_DISK_FULL;
    }
    return TAKE_FD(fd);
}

/* The first bytes; of an empty object there are none to ask for. */
static int get_first(struct s3_store *store, const char *key, void *first, struct s3_answer *answer)
{
    struct s3_call call = {.method = "GET", .key = key, .into = first};
    char range[RANGE_SIZE];
    ask_range(&call, 0, FIRST_BYTES, range);
    int error = blob_s3_call(store, &call, answer);
    if (error == ERR_RANGE) {
        blob_s3_answer_done(answer);
        error = blob_s3_head(store, key, answer);
        answer->got = 0;
    }
    return error;
}

static int make_source(struct s3_store *store, const char *key, const struct s3_answer *answer,
                       const void *first, struct blob_source *ret_source)
{
    struct s3_object *object = NULL;
    int error = object_new(store, key, answer, &object);
    if (error != 0) {
        return error;
    }
    struct blob_source source = {.fd = -1, .bytes = answer->stat.bytes, .remote = &object->head};
    if (answer->got == answer->stat.bytes) {
        source.fd = keep_small(store, first, (size_t)answer->got);
        if (source.fd < 0) {
            error = source.fd;
            blob_source_close(&source);
            return error;
        }
    }
    *ret_source = source;
    return 0;
}

int blob_s3_open_object(struct blob_store *head, const char *bucket, const char *key,
                        struct blob_source *ret_source, struct blob_stat *ret_stat)
{
    struct s3_store *store = blob_s3_store_of(head);
    char name[S3_KEY_SIZE];
    struct s3_answer answer;
    int error = blob_s3_key_of(store, bucket, key, name);
    void *first CLEANUP_FREE = error == 0 ? malloc(FIRST_BYTES) : NULL;
    if (first == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    error = get_first(store, name, first, &answer);
    error = error != 0 ? error : make_source(store, name, &answer, first, ret_source);
    if (error == 0) {
        const struct s3_object *object = (struct s3_object *)(void *)ret_source->remote;
        *ret_stat = answer.stat;
        ret_stat->headers_bytes = object->headers_bytes;
    }
    blob_s3_answer_done(&answer);
    return error;
}

int blob_s3_read_headers(const struct blob_source *source, const struct blob_stat *stat,
                         char out[BLOB_HEADERS_MAX + 1])
{
    const struct s3_object *object = (struct s3_object *)(void *)source->remote;
    memcpy(out, object->headers, object->headers_bytes + 1);
    return stat->headers_bytes == object->headers_bytes ? 0 : ERR_CORRUPT;
}
