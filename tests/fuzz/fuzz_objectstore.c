/* Requests to the built-in store from somebody who has a key: "METHOD TARGET", header lines, an
 * empty line, the body. It is signed as a client would (host, date and all x-amz- headers) and goes
 * to a real server on loopback; {upload} in the target is the id of an upload to pop/parts that was
 * begun. Whatever it asks: the answer is HTTP and no error of ours; what is Tutti's own ("media")
 * is neither told nor touched; what was taken is there as it was sent, and what was refused is not.
 *
 * Covers: src/service/objectstore/objectstore_http.c src/service/objectstore/s3_auth.c
 * src/service/objectstore/s3_body.c src/service/objectstore/s3_copy.c
 * src/service/objectstore/s3_list.c src/service/objectstore/s3_meta.c
 * src/service/objectstore/s3_multipart.c src/service/objectstore/s3_uploads.c
 * src/service/objectstore/s3_delete.c src/service/objectstore/checksum.c
 * src/service/objectstore/s3_xml.c src/service/objectstore/s3_xml_read.c */
#include "backend/blob/blob.h"
#include "backend/blob/sigv4_header.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "fuzz_connection.h"
#include "fuzz_folder.h"
#include "net/http.h"
#include "service/objectstore/objectstore.h"

#define SECRET_BYTES "the artist's unpublished original"

enum {
    REQUEST_BYTES_MAX = 256 * 1024,
    NAME_SIZE = 64,
    KEYS_AT_ONCE = 64,
};

static struct objectstore *role;
static struct blob_store *store;
static struct objectstore_key key;

/* ---- the store, as each request finds it ---- */

struct kept {
    const char *bucket;
    char keys[KEYS_AT_ONCE][BLOB_KEY_MAX + 1];
    unsigned count;
};

static int keep_key(void *argument, const char *name, const struct blob_stat *stat)
{
    struct kept *kept = argument;
    (void)stat;
    (void)snprintf(kept->keys[kept->count++], BLOB_KEY_MAX + 1, "%s", name);
    return 0;
}

static int forget_upload(void *argument, const char *name, const char *upload_id, int64_t begun_ms)
{
    (void)begun_ms;
    FUZZ_CHECK(blob_multipart_abort(store, argument, name, upload_id) == 0);
    return 0;
}

static int empty_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    static struct kept kept;
    (void)argument;
    (void)created_ms;
    if (strcmp(bucket, BLOB_MEDIA) == 0 || strcmp(bucket, BLOB_UPLOADS) == 0) {
        return 0;
    }
    do {
        kept.count = 0;
        FUZZ_CHECK(blob_list(store, bucket, "", "", KEYS_AT_ONCE, keep_key, &kept) == 0);
        for (unsigned i = 0; i < kept.count; i++) {
            FUZZ_CHECK(blob_delete(store, bucket, kept.keys[i]) == 0);
        }
    } while (kept.count == KEYS_AT_ONCE);
    FUZZ_CHECK(blob_multipart_uploads(store, bucket, forget_upload, (void *)(uintptr_t)bucket) ==
               0);
    if (strcmp(bucket, "pop") != 0) {
        FUZZ_CHECK(blob_bucket_remove(store, bucket) == 0);
    }
    return 0;
}

static void put(const char *bucket, const char *name, const char *bytes)
{
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    FUZZ_CHECK(blob_put_open(store, bucket, name, NULL, &writer) == 0);
    FUZZ_CHECK(blob_put_write(writer, bytes, strlen(bytes)) == 0);
    FUZZ_CHECK(blob_put_commit(writer, false, &stat) == 0);
}

static void prepare(char upload_id[BLOB_UPLOAD_ID_MAX])
{
    FUZZ_CHECK(blob_bucket_list(store, empty_bucket, NULL) == 0);
    int error = blob_bucket_create(store, "pop");
    FUZZ_CHECK(error == 0 || error == ERR_EXISTS);
    put("pop", "there", "0123456789");
    put("pop", "a/b", "x");
    FUZZ_CHECK(blob_multipart_create(store, "pop", "parts", NULL, upload_id) == 0);
}

/* The original is there as it was, alone. */
static void check_media(void)
{
    static struct kept kept;
    struct blob_stat stat;
    kept.count = 0;
    FUZZ_CHECK(blob_list(store, BLOB_MEDIA, "", "", KEYS_AT_ONCE, keep_key, &kept) == 0);
    FUZZ_CHECK(kept.count == 1 && strcmp(kept.keys[0], "m/1/1/a") == 0);
    FUZZ_CHECK(blob_stat(store, BLOB_MEDIA, "m/1/1/a", &stat) == 0);
    FUZZ_CHECK(stat.bytes == sizeof SECRET_BYTES - 1);
    kept.count = 0;
    FUZZ_CHECK(blob_list(store, BLOB_UPLOADS, "", "", KEYS_AT_ONCE, keep_key, &kept) == 0);
    FUZZ_CHECK(kept.count == 0);
}

/* ---- the server ---- */

static void stop(void)
{
    fuzz_server_stop();
    objectstore_close(role);
    blob_store_close(store);
}

static void start_server(void)
{
    struct http_config config;
    unsigned count = 0;
    fuzz_server_settings(&config);
    config.shed_delay_ms = config.tighten_delay_ms = 0;
    const struct route *routes = objectstore_routes(&count);
    fuzz_server_start(&config, routes, count, role);
}

static void start_store(void)
{
    static char url[NAME_SIZE], keys[NAME_SIZE];
    (void)snprintf(url, sizeof url, "file:%s/objects", fuzz_folder);
    (void)snprintf(keys, sizeof keys, "%s/keys", fuzz_folder);
    const struct blob_config config = {.url = url,
                                       .public_url = "http://localhost/s3",
                                       .key_id = "INTERNAL",
                                       .secret = "internal",
                                       .region = "us-east-1"};
    FUZZ_CHECK(blob_store_open(&config, &store, NULL) == 0);
    FUZZ_CHECK(objectstore_key_add(keys, "fuzz", &key, NULL) == 0);
    const struct objectstore_config what = {
        .blobs = store, .keys_path = keys, .public_url = "http://localhost/s3"};
    FUZZ_CHECK(objectstore_open(&what, &role, NULL) == 0);
    put(BLOB_MEDIA, "m/1/1/a", SECRET_BYTES);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    start_store();
    start_server();
    FUZZ_CHECK(atexit(stop) == 0);
    return 0;
}

/* ---- a request ---- */

struct asked {
    char *method, *target, *body;
    size_t body_length;
    struct sigv4_pair headers[SIGV4_PAIRS_MAX], query[SIGV4_PAIRS_MAX];
    unsigned header_count, query_count;
    const char *payload, *length; /* as the input says them; NULL: it does not */
    bool copies;
    char *path; /* of the target */
    char date[SIGV4_DATE_SIZE];
};

/* A piece up to the character, which is cut off. NULL where there is none. */
static char *cut(char **at, char character)
{
    char *piece = *at, *end = strchr(piece, character);
    if (end != NULL) {
        *end = '\0';
        *at = end + 1;
    }
    return end != NULL ? piece : NULL;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++) {
        *text = *text >= 'A' && *text <= 'Z' ? (char)(*text | 0x20) : *text;
    }
}

static bool take_header(struct asked *asked, char *line)
{
    char *value = line, *name = cut(&value, ':');
    if (name == NULL || asked->header_count + 4 > SIGV4_PAIRS_MAX) {
        return false;
    }
    lower(name);
    value += strspn(value, " \t");
    if (strcmp(name, "host") == 0 || strcmp(name, "x-amz-date") == 0 ||
        strcmp(name, "authorization") == 0) {
        return false;
    }
    for (unsigned i = 0; i < asked->header_count; i++) {
        if (strcmp(asked->headers[i].name, name) == 0) {
            return false;
        }
    }
    asked->copies |= strcmp(name, "x-amz-copy-source") == 0;
    asked->payload = strcmp(name, "x-amz-content-sha256") == 0 ? value : asked->payload;
    asked->length = strcmp(name, "content-length") == 0 ? value : asked->length;
    asked->headers[asked->header_count++] = (struct sigv4_pair){name, value};
    return true;
}

static bool take_query(struct asked *asked, char *query)
{
    while (*query != '\0') {
        size_t length = strcspn(query, "&");
        char *pair = query;
        query += length + (query[length] != '\0');
        pair[length] = '\0';
        char *value = pair, *name = cut(&value, '=');
        name = name != NULL ? name : pair;
        value = name == value ? pair + length : value;
        if (asked->query_count == SIGV4_PAIRS_MAX ||
            !text_percent_decode(name, strlen(name), name, strlen(name) + 1) ||
            !text_percent_decode(value, strlen(value), value, strlen(value) + 1)) {
            return false;
        }
        asked->query[asked->query_count++] = (struct sigv4_pair){name, value};
    }
    return true;
}

/* The upload's id in place of its name. */
static char *with_upload(const char *text, const char *upload_id)
{
    static const char name[] = "{upload}";
    const char *found = strstr(text, name);
    char *made = NULL;
    int length = found != NULL ? asprintf(&made, "%.*s%s%s", (int)(found - text), text, upload_id,
                                          found + sizeof name - 1)
                               : asprintf(&made, "%s", text);
    FUZZ_CHECK(length >= 0);
    return made;
}

/* False: what no client would send. */
static bool read_asked(char *text, size_t size, const char *upload_id, struct asked *asked)
{
    char *at = text, *line = cut(&at, '\n');
    char *end = text + size;
    char *method = line != NULL ? cut(&line, ' ') : NULL;
    if (method == NULL || line[0] != '/' || line[strcspn(line, " \t\r#")] != '\0') {
        return false;
    }
    asked->method = method;
    asked->target = with_upload(line, upload_id);
    while ((line = cut(&at, '\n')) != NULL && line[0] != '\0') {
        if (!take_header(asked, line)) {
            return false;
        }
    }
    asked->body = line != NULL ? at : end;
    asked->body_length = (size_t)(end - asked->body);
    asked->path = strdup(asked->target);
    FUZZ_CHECK(asked->path != NULL);
    char *query = strchr(asked->path, '?');
    if (query != NULL) {
        *query++ = '\0';
    }
    return query == NULL || take_query(asked, query);
}

/* All headers are signed. False: more than a signature holds. */
static bool write_request(struct asked *asked, struct buffer *out)
{
    static const char host[] = "localhost";
    char authorization[SIGV4_AUTHORIZATION_SIZE], length[24];
    int64_t now_ms = clock_wall_ms();
    const struct sigv4_credentials credentials = {key.id, key.secret, "us-east-1"};
    sigv4_date(now_ms, asked->date);
    (void)snprintf(length, sizeof length, "%zu", asked->body_length);
    asked->headers[asked->header_count++] = (struct sigv4_pair){"host", host};
    asked->headers[asked->header_count++] = (struct sigv4_pair){"x-amz-date", asked->date};
    if (asked->payload == NULL) {
        asked->payload = SIGV4_UNSIGNED;
        asked->headers[asked->header_count++] =
            (struct sigv4_pair){"x-amz-content-sha256", asked->payload};
    }
    const struct sigv4_header what = {.method = asked->method,
                                      .path = asked->path,
                                      .query = asked->query,
                                      .query_count = asked->query_count,
                                      .headers = asked->headers,
                                      .header_count = asked->header_count,
                                      .payload = asked->payload,
                                      .date_ms = now_ms,
                                      .credentials = &credentials};
    if (sigv4_authorize(&what, authorization) != 0) {
        return false;
    }
    (void)buffer_printf(out, "%s %s HTTP/1.1\r\n", asked->method, asked->target);
    for (unsigned i = 0; i < asked->header_count; i++) {
        (void)buffer_printf(out, "%s: %s\r\n", asked->headers[i].name, asked->headers[i].value);
    }
    if (asked->length == NULL) {
        (void)buffer_printf(out, "Content-Length: %s\r\n", length);
    }
    (void)buffer_printf(out, "Connection: close\r\nAuthorization: %s\r\n\r\n", authorization);
    (void)buffer_append(out, asked->body, asked->body_length);
    return buffer_error(out) == 0;
}

/* The status; 0: none. */
static int exchange(const struct buffer *request)
{
    int status = 0;
    size_t length = fuzz_exchange(request->data, request->length);
    if (length > 0) {
        FUZZ_CHECK(sscanf(fuzz_answer, "HTTP/1.%*1[01] %3d ", &status) == 1);
        FUZZ_CHECK(status >= 200 && status < 600 && status != 500 && status != 502);
        FUZZ_CHECK(status != 503 && status != 507);
    }
    FUZZ_CHECK(memmem(fuzz_answer, length, SECRET_BYTES, sizeof SECRET_BYTES - 1) == NULL);
    return status;
}

/* ---- what it left ---- */

/* A plain PUT of a plain name: what was sent is there, or what was before. */
static void check_put(const struct asked *asked, int status)
{
    struct blob_source source;
    struct blob_stat stat;
    const char *name = asked->path + 8;
    if (strcmp(asked->method, "PUT") != 0 || strncmp(asked->path, "/s3/pop/", 8) != 0 ||
        asked->query_count > 0 || asked->copies || asked->length != NULL ||
        strcmp(asked->payload, SIGV4_UNSIGNED) != 0 || name[0] == '\0' ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789/")] != '\0') {
        return;
    }
    int error = blob_open(store, "pop", name, &source, &stat);
    if (status == 200) {
        char *bytes = malloc(asked->body_length + 1);
        struct blob_reader *reader = NULL;
        FUZZ_CHECK(error == 0 && stat.bytes == asked->body_length && bytes != NULL);
        FUZZ_CHECK(blob_reader_new(&source, &reader) == 0);
        FUZZ_CHECK(blob_reader_read(reader, bytes, asked->body_length, 0) ==
                   (ssize_t)asked->body_length);
        FUZZ_CHECK(memcmp(bytes, asked->body, asked->body_length) == 0);
        blob_reader_free(reader);
        free(bytes);
    } else if (error == 0) {
        FUZZ_CHECK(stat.bytes == (strcmp(name, "there") == 0 ? 10 : 1));
        blob_source_close(&source);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char upload_id[BLOB_UPLOAD_ID_MAX];
    char *text = fuzz_text(data, size);
    struct asked asked = {0};
    struct buffer request;
    buffer_init(&request, REQUEST_BYTES_MAX);
    prepare(upload_id);
    if (read_asked(text, size, upload_id, &asked) && write_request(&asked, &request)) {
        check_put(&asked, exchange(&request));
        check_media();
    }
    buffer_done(&request);
    free(asked.target);
    free(asked.path);
    free(text);
    return 0;
}
