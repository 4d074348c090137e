/* An S3 store that answers otherwise than it was asked: one that does not know Range, one that
 * sends another range, another object, no length; lists without names, of other keys, without an
 * end. Never are bytes given out that stand elsewhere, nor a part of an object for all of it, and
 * no key that is none. Against a few lines of HTTP on loopback. */
#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OBJECT_BYTES = 600000, FIRST_BYTES = 256 * 1024, PIECE_BYTES = 1000 };

/* How the store answers a GET of a range. */
enum manner {
    AS_ASKED,
    WHOLE, /* 200: it does not know ranges */
    WHOLE_LENGTHLESS,
    FIRST_ONLY,     /* 206, always of the beginning */
    UNSAID,         /* 206 without Content-Range */
    UNSAID_EMPTY,   /* and without bytes */
    TOTAL_UNSAID,   /* "bytes 0-99/" and a star */
    NOTHING,        /* 204 */
    REPLACED_LATER, /* any range but the first is of another object, If-Match or not */
};

static struct {
    int listener;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows; held as long as a connection is talked with */
    enum manner manner;
    size_t bytes;     /* of the object */
    const char *list; /* NULL: an object is asked for */
    unsigned lists;   /* that were given */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};
static unsigned char object[OBJECT_BYTES];
static struct blob_store *store;

static void say(int fd, const void *bytes, size_t length)
{
    (void)send(fd, bytes, length, MSG_NOSIGNAL);
}

static void say_object(int fd, const char *status, const char *range, const char *etag, size_t from,
                       size_t count)
{
    char head[512];
    bool lengthless = server.manner == WHOLE_LENGTHLESS;
    int length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\nETag: \"%s\"\r\n",
                          status, etag);
    if (!lengthless) {
        length += snprintf(head + length, sizeof head - length, "Content-Length: %zu\r\n", count);
    }
    length += snprintf(head + length, sizeof head - length, "%s\r\n", range);
    say(fd, head, (size_t)length);
    say(fd, object + from, count);
}

static void say_range(int fd, size_t from, size_t count, const char *etag)
{
    char range[128];
    (void)snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu\r\n", from,
                   from + count - 1, server.bytes);
    say_object(fd, "206 Partial Content", range, etag, from, count);
}

static void answer(int fd, size_t from, size_t count)
{
    switch (server.manner) {
    case WHOLE:
    case WHOLE_LENGTHLESS:
        say_object(fd, "200 OK", "", "a", 0, server.bytes);
        break;
    case FIRST_ONLY:
        say_range(fd, 0, count, "a");
        break;
    case UNSAID:
        say_object(fd, "206 Partial Content", "", "a", from, count);
        break;
    case UNSAID_EMPTY:
        say_object(fd, "206 Partial Content", "", "a", 0, 0);
        break;
    case TOTAL_UNSAID:
        say_object(fd, "206 Partial Content", "Content-Range: bytes 0-99/*\r\n", "a", 0, 100);
        break;
    case NOTHING:
        say_object(fd, "204 No Content", "", "a", 0, 0);
        break;
    case AS_ASKED:
    case REPLACED_LATER:
        say_range(fd, from, count, from > 0 && server.manner == REPLACED_LATER ? "b" : "a");
        break;
    }
}

static void say_list(int fd)
{
    char head[128];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                          strlen(server.list));
    server.lists++;
    say(fd, head, (size_t)length);
    say(fd, server.list, strlen(server.list));
}

/* One request a connection; of it only the range is looked at. */
static void talk(int fd)
{
    char text[8192] = "";
    size_t length = 0, from = 0, to = 0;
    while (strstr(text, "\r\n\r\n") == NULL && length < sizeof text - 1) {
        ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
        if (got <= 0) {
            return;
        }
        length += (size_t)got;
        text[length] = '\0';
    }
    const char *range = strstr(text, "bytes=");
    if (server.list != NULL) {
        say_list(fd);
    } else if (range != NULL && sscanf(range, "bytes=%zu-%zu", &from, &to) == 2) {
        to = to < server.bytes ? to : server.bytes - 1;
        answer(fd, from, to + 1 - from);
    }
}

static void *serve(void *argument)
{
    (void)argument;
    for (int fd; (fd = accept(server.listener, NULL, NULL)) >= 0;) {
        (void)pthread_mutex_lock(&server.lock);
        talk(fd);
        (void)pthread_mutex_unlock(&server.lock);
        (void)shutdown(fd, SHUT_WR);
        (void)close(fd);
    }
    return NULL;
}

static int begin(void **state)
{
    (void)state;
    char url[128];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    for (size_t i = 0; i < sizeof object; i++) {
        object[i] = (unsigned char)(i * 31 + i / 251);
    }
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server.listener, 8) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &length) != 0 ||
        pthread_create(&server.thread, NULL, serve, NULL) != 0) {
        return -1;
    }
    (void)snprintf(url, sizeof url, "s3://KEY:SECRET@127.0.0.1:%u/music?tls=no",
                   ntohs(address.sin_port));
    return blob_store_open(&(struct blob_config){.url = url, .spool_path = "/tmp"}, &store, NULL);
}

static int end(void **state)
{
    (void)state;
    blob_store_close(store);
    (void)shutdown(server.listener, SHUT_RDWR);
    (void)pthread_join(server.thread, NULL);
    return close(server.listener);
}

static void will_answer(enum manner manner, size_t bytes)
{
    (void)pthread_mutex_lock(&server.lock);
    server.manner = manner;
    server.bytes = bytes;
    (void)pthread_mutex_unlock(&server.lock);
}

/* NULL: objects again, and how many lists were given stays. */
static void will_list(const char *list)
{
    (void)pthread_mutex_lock(&server.lock);
    server.lists = list != NULL ? 0 : server.lists;
    server.list = list;
    (void)pthread_mutex_unlock(&server.lock);
}

static int open_object(enum manner manner, size_t bytes, struct blob_reader **ret_reader,
                       uint64_t *ret_bytes)
{
    struct blob_source source;
    struct blob_stat stat;
    will_answer(manner, bytes);
    int error = blob_open(store, BLOB_MEDIA, "m/1/1/a", &source, &stat);
    *ret_bytes = error == 0 ? stat.bytes : 0;
    return error != 0 ? error : blob_reader_new(&source, ret_reader);
}

/* A piece far behind the first bytes. */
static ssize_t read_far(struct blob_reader *reader, unsigned char out[PIECE_BYTES])
{
    return blob_reader_read(reader, out, PIECE_BYTES, 400000);
}

static void a_range_is_what_was_asked_for(void **state)
{
    (void)state;
    unsigned char piece[PIECE_BYTES];
    struct blob_reader *reader = NULL;
    uint64_t bytes = 0;
    assert_int_equal(open_object(AS_ASKED, OBJECT_BYTES, &reader, &bytes), 0);
    assert_int_equal(bytes, OBJECT_BYTES);
    assert_int_equal(read_far(reader, piece), PIECE_BYTES);
    assert_memory_equal(piece, object + 400000, PIECE_BYTES);
    blob_reader_free(reader);
}

/* A store that comes to ignore ranges, or sends others, after the object was opened. */
static void other_bytes_are_refused(void **state)
{
    (void)state;
    static const enum manner manners[] = {WHOLE,        WHOLE_LENGTHLESS, FIRST_ONLY, UNSAID,
                                          UNSAID_EMPTY, TOTAL_UNSAID,     NOTHING};
    for (unsigned i = 0; i < COUNT_OF(manners); i++) {
        unsigned char piece[PIECE_BYTES];
        struct blob_reader *reader = NULL;
        uint64_t bytes = 0;
        assert_int_equal(open_object(AS_ASKED, OBJECT_BYTES, &reader, &bytes), 0);
        will_answer(manners[i], OBJECT_BYTES);
        assert_int_equal(read_far(reader, piece), ERR_IO);
        blob_reader_free(reader);
    }
}

static void another_object_is_gone(void **state)
{
    (void)state;
    unsigned char piece[PIECE_BYTES];
    struct blob_reader *reader = NULL;
    uint64_t bytes = 0;
    assert_int_equal(open_object(REPLACED_LATER, OBJECT_BYTES, &reader, &bytes), 0);
    assert_int_equal(read_far(reader, piece), ERR_GONE);
    blob_reader_free(reader);
}

/* One that a first request holds whole is as good with 200. */
static void a_small_object_may_come_whole(void **state)
{
    (void)state;
    static const enum manner manners[] = {AS_ASKED, WHOLE, WHOLE_LENGTHLESS};
    for (unsigned i = 0; i < COUNT_OF(manners); i++) {
        unsigned char piece[PIECE_BYTES];
        struct blob_reader *reader = NULL;
        uint64_t bytes = 0;
        assert_int_equal(open_object(manners[i], 500, &reader, &bytes), 0);
        assert_int_equal(bytes, 500);
        assert_int_equal(blob_reader_read(reader, piece, sizeof piece, 0), 500);
        assert_memory_equal(piece, object, 500);
        blob_reader_free(reader);
    }
}

static void a_part_is_never_the_object(void **state)
{
    (void)state;
    static const enum manner manners[] = {WHOLE,        WHOLE_LENGTHLESS, UNSAID,
                                          UNSAID_EMPTY, TOTAL_UNSAID,     NOTHING};
    for (unsigned i = 0; i < COUNT_OF(manners); i++) {
        struct blob_reader *reader = NULL;
        uint64_t bytes = 0;
        assert_int_equal(open_object(manners[i], OBJECT_BYTES, &reader, &bytes), ERR_IO);
        /* After five wrong ones in a row the store is left alone for a while. */
        assert_int_equal(open_object(AS_ASKED, OBJECT_BYTES, &reader, &bytes), 0);
        blob_reader_free(reader);
    }
}

/* For a child process all of it is fetched. */
static void a_fetched_object_is_whole(void **state)
{
    (void)state;
    struct blob_source source;
    struct blob_stat stat;
    for (unsigned i = 0; i < 2; i++) {
        will_answer(AS_ASKED, OBJECT_BYTES);
        assert_int_equal(blob_open(store, BLOB_MEDIA, "m/1/1/a", &source, &stat), 0);
        will_answer(i == 0 ? WHOLE : FIRST_ONLY, OBJECT_BYTES);
        assert_int_equal(blob_source_local(&source), 0);
        unsigned char *all CLEANUP_FREE = malloc(OBJECT_BYTES);
        assert_int_equal(pread(source.fd, all, OBJECT_BYTES, 0), OBJECT_BYTES);
        assert_memory_equal(all, object, OBJECT_BYTES);
        blob_source_close(&source);
    }
}

#define ENTRY(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"
#define MORE       "<IsTruncated>true</IsTruncated>"

static int count_key(void *argument, const char *key, const struct blob_stat *stat)
{
    unsigned *count = argument;
    assert_int_equal(stat->bytes, 1);
    assert_true(strncmp(key, "m/", 2) == 0);
    return ++*count > 100 ? ERR_BUSY : 0;
}

static int list_keys(const char *entries, const char *bucket, unsigned *ret_count)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "<ListBucketResult>%s</ListBucketResult>", entries);
    *ret_count = 0;
    will_list(text);
    int error = blob_list(store, bucket, "m/", "", 1000, count_key, ret_count);
    will_list(NULL);
    return error;
}

static void a_list_has_keys_that_were_asked_for(void **state)
{
    (void)state;
    unsigned count = 0;
    assert_int_equal(list_keys(ENTRY("m/1") ENTRY("m/2"), BLOB_MEDIA, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list_keys(ENTRY("uploads/m/1"), BLOB_UPLOADS, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(
        list_keys(ENTRY("m/1") "<Contents><Size>1</Size></Contents>", BLOB_MEDIA, &count),
        ERR_CORRUPT);
    assert_int_equal(list_keys(ENTRY("art/1"), BLOB_MEDIA, &count), ERR_CORRUPT);
    assert_int_equal(list_keys(ENTRY("buckets/m/1"), BLOB_UPLOADS, &count), ERR_CORRUPT);
}

/* A store that does not know where it was to go on gives its first page again. */
static void a_list_ends(void **state)
{
    (void)state;
    unsigned count = 0;
    assert_int_equal(list_keys(ENTRY("m/1") MORE, BLOB_MEDIA, &count), ERR_CORRUPT);
    assert_int_equal(server.lists, 2);
    assert_int_equal(list_keys(MORE, BLOB_MEDIA, &count), ERR_CORRUPT);
    assert_int_equal(server.lists, 1);
}

static int see_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    (void)created_ms;
    unsigned *count = argument;
    assert_true(bucket[0] != '\0');
    return ++*count > 100 ? ERR_BUSY : 0;
}

static void buckets_end_too(void **state)
{
    (void)state;
    unsigned count = 0;
    will_list("<ListBucketResult>" ENTRY(
        "buckets/pop") "<NextContinuationToken>x</NextContinuationToken></ListBucketResult>");
    assert_int_equal(blob_bucket_list(store, see_bucket, &count), ERR_CORRUPT);
    will_list("<ListBucketResult>" ENTRY("m/a-track-of-ours") "</ListBucketResult>");
    assert_int_equal(blob_bucket_list(store, see_bucket, &count), ERR_CORRUPT);
    will_list(NULL);
}

static int see_upload(void *argument, const char *key, const char *upload_id, int64_t begun_ms)
{
    (void)begun_ms;
    unsigned *count = argument;
    assert_string_equal(key, "a");
    assert_string_equal(upload_id, "1");
    ++*count;
    return 0;
}

/* Each has a key of the bucket and an id, never that of the one before. */
static void uploads_have_names(void **state)
{
    (void)state;
    unsigned count = 0;
    will_list("<ListMultipartUploadsResult>"
              "<Upload><Key>uploads/a</Key><UploadId>1</UploadId></Upload>"
              "<Upload><Key>uploads/b</Key></Upload>"
              "<Upload><UploadId>2</UploadId></Upload>"
              "<Upload><Key>m/a-track-of-ours</Key><UploadId>3</UploadId></Upload>"
              "</ListMultipartUploadsResult>");
    assert_int_equal(blob_multipart_uploads(store, BLOB_UPLOADS, see_upload, &count), 0);
    assert_int_equal(count, 1);
    will_list(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_what_was_asked_for),
        cmocka_unit_test(other_bytes_are_refused),
        cmocka_unit_test(another_object_is_gone),
        cmocka_unit_test(a_small_object_may_come_whole),
        cmocka_unit_test(a_part_is_never_the_object),
        cmocka_unit_test(a_fetched_object_is_whole),
        cmocka_unit_test(a_list_has_keys_that_were_asked_for),
        cmocka_unit_test(a_list_ends),
        cmocka_unit_test(buckets_end_too),
        cmocka_unit_test(uploads_have_names),
    };
    return cmocka_run_group_tests_name("what an S3 store answers", tests, begin, end);
}
