/* The contract of blob.h, for any engine (objects.h says which): `test_blob [--seal]` (--seal:
 * everything is encrypted at rest). What only the file engine can show (kill -9, a full disk,
 * links) is at the end and skipped elsewhere, with its reason.
 */
#include "objects.h"

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *url;
static const char *keys_path; /* NULL: the store is plain */
static struct blob_store *store;

static struct blob_store *open_store(const char *at)
{
    const struct blob_config config = {.url = at,
                                       .public_url = "http://localhost:4040/s3",
                                       .key_id = "internal",
                                       .secret = "secret",
                                       .region = "us-east-1",
                                       .keys_path = keys_path,
                                       .seal = keys_path != NULL};
    struct blob_store *opened = NULL;
    struct problem problem = {0};
    int error = blob_store_open(&config, &opened, &problem);
    if (error != 0) {
        fail_msg("blob_store_open: %s: %s", error_name(error), problem.detail);
    }
    return opened;
}

static int put_text(const char *key, const char *text, bool if_none_match)
{
    struct blob_writer *writer = NULL;
    const struct blob_meta meta = {"text/plain", "max-age=5", NULL};
    assert_int_equal(blob_put_open(store, BLOB_UPLOADS, key, &meta, &writer), 0);
    assert_int_equal(blob_put_write(writer, text, strlen(text)), 0);
    return blob_put_commit(writer, if_none_match, NULL);
}

/* All of it (caller frees). Takes the source. */
static char *read_source(struct blob_source *source)
{
    struct blob_reader *reader = NULL;
    uint64_t bytes = source->bytes;
    char *text = calloc(1, bytes + 1);
    assert_int_equal(blob_reader_new(source, &reader), 0);
    for (uint64_t at = 0; at < bytes;) {
        ssize_t got = blob_reader_read(reader, text + at, bytes - at, at);
        assert_true(got > 0);
        at += (uint64_t)got;
    }
    blob_reader_free(reader);
    return text;
}

/* The object's text (caller frees), NULL where there is none. */
static char *get_text(const char *key, struct blob_stat *ret_stat)
{
    struct blob_source source;
    int error = blob_open(store, BLOB_UPLOADS, key, &source, ret_stat);
    if (error == ERR_NOT_FOUND) {
        return NULL;
    }
    assert_int_equal(error, 0);
    assert_int_equal(source.bytes, ret_stat->bytes);
    assert_int_equal(source.sealed, keys_path != NULL);
    return read_source(&source);
}

static void assert_text(const char *key, const char *expected)
{
    struct blob_stat stat;
    char *text CLEANUP_FREE = get_text(key, &stat);
    assert_non_null(text);
    assert_string_equal(text, expected);
}

static void what_was_put_is_read_with_its_description(void **state)
{
    (void)state;
    assert_int_equal(put_text("put/one", "hello", false), 0);
    struct blob_stat stat;
    char *text CLEANUP_FREE = get_text("put/one", &stat);
    assert_string_equal(text, "hello");
    assert_int_equal(stat.bytes, 5);
    assert_string_equal(stat.etag, "5d41402abc4b2a76b9719d911017c592");
    assert_string_equal(stat.content_type, "text/plain");
    assert_string_equal(stat.cache_control, "max-age=5");
    assert_true(stat.modified_ms > 1700000000000);

    assert_int_equal(put_text("put/one", "", false), 0);
    char *empty CLEANUP_FREE = get_text("put/one", &stat);
    assert_string_equal(empty, "");
    assert_string_equal(stat.etag, "d41d8cd98f00b204e9800998ecf8427e");
}

static void what_is_not_committed_is_not_there(void **state)
{
    (void)state;
    struct blob_stat stat;
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_put_open(store, BLOB_UPLOADS, "aborted", NULL, &writer), 0);
    assert_int_equal(blob_put_write(writer, "x", 1), 0);
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, "aborted", &stat), ERR_NOT_FOUND);
    blob_put_abort(writer);
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, "aborted", &stat), ERR_NOT_FOUND);
    assert_int_equal(blob_stat(store, "nothere", "aborted", &stat), ERR_NOT_FOUND);
    assert_int_equal(blob_put_open(store, "nothere", "aborted", NULL, &writer), ERR_NOT_FOUND);
}

static void if_none_match_keeps_the_first(void **state)
{
    (void)state;
    assert_int_equal(put_text("first/only", "first", true), 0);
    assert_int_equal(put_text("first/only", "second", true), ERR_PRECONDITION);
    assert_text("first/only", "first");
}

static void a_reader_keeps_the_object_it_opened(void **state)
{
    (void)state;
    assert_int_equal(put_text("snapshot", "before", false), 0);
    struct blob_source source;
    struct blob_stat stat;
    assert_int_equal(blob_open(store, BLOB_UPLOADS, "snapshot", &source, &stat), 0);
    assert_int_equal(put_text("snapshot", "after, and longer", false), 0);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "snapshot"), 0);
    char *text CLEANUP_FREE = read_source(&source);
    assert_string_equal(text, "before");
}

static void a_descriptor_is_measured_at_commit(void **state)
{
    (void)state;
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_put_open(store, BLOB_MEDIA, "by/fd", NULL, &writer), 0);
    int fd = -1;
    if (blob_put_fd(writer, &fd) == ERR_UNSUPPORTED) {
        blob_put_abort(writer);
        skip();
    }
    assert_int_equal(pwrite(fd, "llo", 3, 2), 3);
    assert_int_equal(pwrite(fd, "he", 2, 0), 2);
    struct blob_stat stat;
    assert_int_equal(blob_put_commit(writer, false, &stat), 0);
    assert_int_equal(stat.bytes, 5);
    assert_string_equal(stat.etag, "5d41402abc4b2a76b9719d911017c592");
}

static void deleting_is_final_and_asks_no_questions(void **state)
{
    (void)state;
    struct blob_stat stat;
    assert_int_equal(put_text("gone/a/b/c", "x", false), 0);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "gone/a/b/c"), 0);
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, "gone/a/b/c", &stat), ERR_NOT_FOUND);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "gone/a/b/c"), 0);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "gone/never"), 0);
}

static void keys_that_could_leave_the_bucket_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "/a",   "..",   "../a",   "a/../b",
                                      "a/..", "a\nb", "\xff", "a/\x7f", "\xc0\xaf"};
    struct blob_stat stat;
    struct blob_writer *writer = NULL;
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(blob_stat(store, BLOB_UPLOADS, bad[i], &stat), ERR_INVALID);
        assert_int_equal(blob_put_open(store, BLOB_UPLOADS, bad[i], NULL, &writer), ERR_INVALID);
    }
    static const char *const buckets[] = {"", "..", "a/b", "UP", "-ab", "ab-", "a..b", "x"};
    for (unsigned i = 0; i < COUNT_OF(buckets); i++) {
        assert_int_equal(blob_stat(store, buckets[i], "key", &stat), ERR_INVALID);
    }
    char long_key[BLOB_KEY_MAX + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[BLOB_KEY_MAX + 1] = '\0';
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, long_key, &stat), ERR_INVALID);
    long_key[BLOB_KEY_MAX] = '\0';
    if (blob_is_remote(store)) { /* the bucket's prefix counts */
        assert_int_equal(blob_stat(store, BLOB_UPLOADS, long_key, &stat), ERR_INVALID);
        long_key[BLOB_KEY_MAX - strlen("uploads/")] = '\0';
    }
    assert_int_equal(put_text(long_key, "long", false), 0);
    assert_text(long_key, "long");
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, long_key), 0);
}

/* Listing. */

struct seen {
    char keys[64][BLOB_KEY_MAX + 1];
    unsigned count;
};

static int see(void *argument, const char *key, const struct blob_stat *stat)
{
    struct seen *seen = argument;
    assert_true(stat->bytes > 0);
    assert_true(seen->count < 64);
    (void)snprintf(seen->keys[seen->count++], BLOB_KEY_MAX + 1, "%s", key);
    return 0;
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(left, right);
}

static const char *const awkward[] = {
    "l/a",        "l/a/b",       "l/a!",      "l/a.b",     "l/a0",       "l/abc",    "l/abc/x",
    "l/abc!d",    "l/abcd",      "l/abcdef!", "l/abcdefg", "l/abcdef/y", "l/ab",     "l/é",
    "l//double",  "l/.",         "l/x/abc!",  "l/x/abc",   "l/x/abc/1",  "l/x/abc0", "l/x/abcd",
    "l/1178/1/a", "l/1178345/1", "l/117/1",   "l/117!/1",  "l/117834/1", "l/117834", "l/117834!",
};

static void listing_goes_in_byte_order(void **state)
{
    (void)state;
    static struct seen expected, seen;
    memset(&seen, 0, sizeof seen);
    memset(&expected, 0, sizeof expected);
    for (unsigned i = 0; i < COUNT_OF(awkward); i++) {
        int error = put_text(awkward[i], awkward[i], false);
        if (error != 0 && blob_is_remote(store) && strcmp(awkward[i], "l/.") == 0) {
            continue; /* our own store takes no dots in the path of an URL */
        }
        assert_int_equal(error, 0);
        (void)see(&expected, awkward[i], &(struct blob_stat){.bytes = 1});
    }
    qsort(expected.keys, expected.count, sizeof expected.keys[0], compare_keys);
    assert_int_equal(blob_list(store, BLOB_UPLOADS, "l/", "", 1000, see, &seen), 0);
    assert_int_equal(seen.count, expected.count);
    for (unsigned i = 0; i < seen.count; i++) {
        assert_string_equal(seen.keys[i], expected.keys[i]);
    }
    /* every start and every prefix gives the same as filtering does */
    for (unsigned start = 0; start < expected.count; start++) {
        memset(&seen, 0, sizeof seen);
        assert_int_equal(blob_list(store, BLOB_UPLOADS, "l/", expected.keys[start], 1, see, &seen),
                         0);
        assert_int_equal(seen.count, start + 1 < expected.count ? 1 : 0);
        if (seen.count == 1) {
            assert_string_equal(seen.keys[0], expected.keys[start + 1]);
        }
        unsigned matching = 0;
        for (unsigned i = 0; i < expected.count; i++) {
            const char *prefix = expected.keys[start];
            matching += strncmp(expected.keys[i], prefix, strlen(prefix)) == 0;
        }
        memset(&seen, 0, sizeof seen);
        assert_int_equal(blob_list(store, BLOB_UPLOADS, expected.keys[start], "", 1000, see, &seen),
                         0);
        assert_int_equal(seen.count, matching);
    }
}

static int stop_at_once(void *argument, const char *key, const struct blob_stat *stat)
{
    (void)key;
    (void)stat;
    (*(unsigned *)argument)++;
    return 7;
}

static void a_visitor_can_end_the_listing(void **state)
{
    (void)state;
    unsigned visits = 0;
    assert_int_equal(put_text("end/1", "1", false), 0);
    assert_int_equal(put_text("end/2", "2", false), 0);
    assert_int_equal(blob_list(store, BLOB_UPLOADS, "end/", "", 10, stop_at_once, &visits), 7);
    assert_int_equal(visits, 1);
}

/* Copying. */

static void a_copy_needs_the_etag_and_outlives_its_source(void **state)
{
    (void)state;
    struct blob_stat stat;
    assert_int_equal(put_text("source", "master", false), 0);
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, "source", &stat), 0);
    assert_int_equal(blob_copy(store, BLOB_UPLOADS, "source", "0123456789abcdef0123456789abcdef",
                               BLOB_UPLOADS, "copy/of", NULL),
                     ERR_PRECONDITION);
    struct blob_stat copied;
    (void)usleep(20000);
    assert_int_equal(
        blob_copy(store, BLOB_UPLOADS, "source", stat.etag, BLOB_UPLOADS, "copy/of", &copied), 0);
    assert_string_equal(copied.etag, stat.etag);
    assert_string_equal(copied.content_type, "text/plain");
    if (blob_is_remote(store)) { /* whose times are whole seconds */
        assert_true(copied.modified_ms / 1000 >= stat.modified_ms / 1000);
    } else {
        assert_true(copied.modified_ms > stat.modified_ms);
    }
    assert_int_equal(put_text("source", "replaced", false), 0);
    assert_text("copy/of", "master");
    /* onto something, onto itself, and from nothing */
    assert_int_equal(blob_copy(store, BLOB_UPLOADS, "source", NULL, BLOB_UPLOADS, "copy/of", NULL),
                     0);
    assert_text("copy/of", "replaced");
    assert_int_equal(blob_copy(store, BLOB_UPLOADS, "copy/of", NULL, BLOB_UPLOADS, "copy/of", NULL),
                     0);
    assert_int_equal(blob_copy(store, BLOB_UPLOADS, "source", NULL, BLOB_UPLOADS, "copy/of", NULL),
                     0);
    assert_text("copy/of", "replaced");
    assert_int_equal(
        blob_copy(store, BLOB_UPLOADS, "no/source", NULL, BLOB_UPLOADS, "copy/of", NULL),
        ERR_NOT_FOUND);
}

/* Multipart. */

static char *part_bytes(size_t length, unsigned seed)
{
    unsigned char key[randombytes_SEEDBYTES] = {(unsigned char)seed};
    char *bytes = malloc(length);
    assert_non_null(bytes);
    randombytes_buf_deterministic(bytes, length, key);
    return bytes;
}

static void put_part(const char *key, const char *id, unsigned number, size_t length,
                     struct blob_part *ret_part)
{
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    char *bytes CLEANUP_FREE = part_bytes(length, number);
    assert_int_equal(blob_multipart_put_open(store, BLOB_UPLOADS, key, id, number, &writer), 0);
    assert_int_equal(blob_put_write(writer, bytes, length), 0);
    assert_int_equal(blob_put_commit(writer, false, &stat), 0);
    *ret_part = (struct blob_part){.number = number, .bytes = stat.bytes};
    memcpy(ret_part->etag, stat.etag, sizeof stat.etag);
}

static int see_part(void *argument, const struct blob_part *part)
{
    unsigned *bits = argument;
    *bits = *bits * 10 + part->number;
    return 0;
}

static void parts_become_one_object(void **state)
{
    (void)state;
    char id[BLOB_UPLOAD_ID_MAX];
    struct blob_part parts[3];
    struct problem problem = {0};
    struct blob_stat stat;
    const struct blob_meta meta = {"audio/flac", NULL, NULL};
    assert_int_equal(blob_multipart_create(store, BLOB_UPLOADS, "big", &meta, id), 0);
    put_part("big", id, 7, 1000, &parts[2]);
    put_part("big", id, 2, BLOB_PART_BYTES_MIN, &parts[0]);
    put_part("big", id, 5, 17, &parts[1]);
    put_part("big", id, 5, BLOB_PART_BYTES_MIN + 1, &parts[1]); /* sent again */

    /* a restart in between changes nothing */
    blob_store_close(store);
    store = open_store(url);
    unsigned numbers = 0;
    assert_int_equal(
        blob_multipart_list(store, BLOB_UPLOADS, "big", id, 0, 100, see_part, &numbers), 0);
    assert_int_equal(numbers, 257);
    numbers = 0;
    assert_int_equal(blob_multipart_list(store, BLOB_UPLOADS, "big", id, 2, 1, see_part, &numbers),
                     0);
    assert_int_equal(numbers, 5);

    assert_int_equal(
        blob_multipart_complete(store, BLOB_UPLOADS, "big", id, parts, 3, &stat, &problem), 0);
    assert_int_equal(stat.bytes, 2 * BLOB_PART_BYTES_MIN + 1 + 1000);
    assert_string_equal(stat.content_type, "audio/flac");
    assert_string_equal(stat.etag + 32, "-3");
    struct blob_stat read_stat;
    char *whole CLEANUP_FREE = get_text("big", &read_stat);
    char *second CLEANUP_FREE = part_bytes(BLOB_PART_BYTES_MIN + 1, 5);
    char *last CLEANUP_FREE = part_bytes(1000, 7);
    assert_memory_equal(whole + BLOB_PART_BYTES_MIN, second, BLOB_PART_BYTES_MIN + 1);
    assert_memory_equal(whole + 2 * BLOB_PART_BYTES_MIN + 1, last, 1000);

    /* the upload is over; a repeated answer is not lost */
    assert_int_equal(
        blob_multipart_complete(store, BLOB_UPLOADS, "big", id, parts, 3, &stat, &problem), 0);
    assert_int_equal(blob_multipart_list(store, BLOB_UPLOADS, "big", id, 0, 9, see_part, &numbers),
                     ERR_NOT_FOUND);
}

static void completing_is_refused_for_reasons(void **state)
{
    (void)state;
    char id[BLOB_UPLOAD_ID_MAX];
    struct blob_part parts[2];
    struct problem problem = {0};
    struct blob_stat stat;
    assert_int_equal(blob_multipart_create(store, BLOB_UPLOADS, "bad", NULL, id), 0);
    put_part("bad", id, 1, 100, &parts[0]);
    put_part("bad", id, 2, 100, &parts[1]);
    assert_int_equal(
        blob_multipart_complete(store, BLOB_UPLOADS, "bad", id, parts, 2, &stat, &problem),
        ERR_RANGE);
    const struct blob_part swapped[2] = {parts[1], parts[0]};
    assert_int_equal(
        blob_multipart_complete(store, BLOB_UPLOADS, "bad", id, swapped, 2, &stat, &problem),
        ERR_CONFLICT);
    struct blob_part missing = parts[0];
    missing.number = 9;
    assert_int_equal(
        blob_multipart_complete(store, BLOB_UPLOADS, "bad", id, &missing, 1, &stat, &problem),
        ERR_PRECONDITION);
    assert_int_equal(
        blob_multipart_complete(store, BLOB_UPLOADS, "other", id, parts, 1, &stat, &problem),
        ERR_NOT_FOUND);
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, "bad", &stat), ERR_NOT_FOUND);
    assert_int_equal(blob_multipart_abort(store, BLOB_UPLOADS, "bad", id), 0);
    assert_int_equal(blob_multipart_abort(store, BLOB_UPLOADS, "bad", id), ERR_NOT_FOUND);
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_multipart_put_open(store, BLOB_UPLOADS, "bad", id, 1, &writer),
                     ERR_NOT_FOUND);
    assert_int_equal(blob_multipart_abort(store, BLOB_UPLOADS, "bad", "../../etc"), ERR_NOT_FOUND);
}

static void left_uploads_are_swept(void **state)
{
    (void)state;
    char id[BLOB_UPLOAD_ID_MAX];
    struct blob_part part;
    unsigned numbers = 0;
    assert_int_equal(blob_multipart_create(store, BLOB_UPLOADS, "left", NULL, id), 0);
    put_part("left", id, 1, 100, &part);
    assert_int_equal(blob_multipart_sweep(store, part.modified_ms), 0);
    assert_int_equal(blob_multipart_list(store, BLOB_UPLOADS, "left", id, 0, 9, see_part, &numbers),
                     0);
    assert_int_equal(blob_multipart_sweep(store, INT64_MAX), 0);
    assert_int_equal(blob_multipart_list(store, BLOB_UPLOADS, "left", id, 0, 9, see_part, &numbers),
                     ERR_NOT_FOUND);
}

static void buckets_are_made_and_listed(void **state)
{
    (void)state;
    char name[32];
    int64_t created = 0;
    (void)snprintf(name, sizeof name, "label-%d", (int)getpid());
    assert_int_equal(blob_bucket_stat(store, name, &created), ERR_NOT_FOUND);
    assert_int_equal(blob_bucket_create(store, name), 0);
    assert_int_equal(blob_bucket_create(store, name), ERR_EXISTS);
    assert_int_equal(blob_bucket_stat(store, name, &created), 0);
    assert_true(created > 0);
    assert_int_equal(blob_bucket_create(store, "../evil"), ERR_INVALID);
}

/* Larger than what goes to a remote store in one piece; a child process gets it as a file. */
static void a_large_object_is_whole(void **state)
{
    (void)state;
    enum { PIECE = 1 << 20, PIECES = 66 };
    struct blob_writer *writer = NULL;
    struct blob_source source;
    struct blob_stat stat;
    assert_int_equal(blob_put_open(store, BLOB_UPLOADS, "large", NULL, &writer), 0);
    for (unsigned i = 0; i < PIECES; i++) {
        char *bytes CLEANUP_FREE = part_bytes(PIECE, i);
        assert_int_equal(blob_put_write(writer, bytes, PIECE), 0);
    }
    assert_int_equal(blob_put_commit(writer, false, &stat), 0);
    assert_int_equal(stat.bytes, (uint64_t)PIECES * PIECE);
    assert_int_equal(blob_open(store, BLOB_UPLOADS, "large", &source, &stat), 0);
    assert_int_equal(blob_source_local(&source), 0);
    assert_true(source.fd >= 0);
    char *whole CLEANUP_FREE = read_source(&source);
    for (unsigned i = 0; i < PIECES; i++) {
        char *bytes CLEANUP_FREE = part_bytes(PIECE, i);
        assert_memory_equal(whole + (size_t)i * PIECE, bytes, PIECE);
    }
    struct blob_stat copied;
    assert_int_equal(
        blob_copy(store, BLOB_UPLOADS, "large", stat.etag, BLOB_MEDIA, "m/1/1/large", &copied), 0);
    assert_int_equal(copied.bytes, stat.bytes);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "large"), 0);
    assert_int_equal(blob_delete(store, BLOB_MEDIA, "m/1/1/large"), 0);
}

/* Many at once. */

enum { WRITERS = 8, ROUNDS = 26 };

static void *put_again_and_again(void *argument)
{
    char text[4096];
    memset(text, 'a' + (int)(intptr_t)argument, sizeof text);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct blob_writer *writer = NULL;
        if (blob_put_open(store, BLOB_UPLOADS, "same/deep/key", NULL, &writer) != 0 ||
            blob_put_write(writer, text, sizeof text) != 0 ||
            blob_put_commit(writer, false, NULL) != 0) {
            return (void *)1;
        }
        /* also take the folders away under each other's feet */
        if (i % 3 == 0 && blob_delete(store, BLOB_UPLOADS, "same/deep/key") != 0) {
            return (void *)2;
        }
    }
    return NULL;
}

static void writers_of_one_key_never_mix(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    for (intptr_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_again_and_again, (void *)i), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        void *result = NULL;
        (void)pthread_join(threads[i], &result);
        assert_null(result);
    }
    struct blob_stat stat;
    char *text CLEANUP_FREE = get_text("same/deep/key", &stat);
    assert_non_null(text);
    assert_int_equal(strspn(text, (char[]){text[0], '\0'}), 4096);
}

/* Only the file engine. */

static bool is_file_engine(void)
{
    return strncmp(url, "file:", 5) == 0;
}

static unsigned counted_files;

static int count_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path;
    (void)status;
    (void)walk;
    counted_files += type == FTW_F;
    return 0;
}

static unsigned files_below(const char *path)
{
    counted_files = 0;
    assert_int_equal(nftw(path, count_file, 16, FTW_PHYS), 0);
    return counted_files;
}

/* A child puts numbered objects and says each acknowledged one on a pipe, until it is killed. */
static void put_until_killed(const char *at, int pipe_fd)
{
    store = open_store(at);
    char *bytes = part_bytes(200000, 1);
    for (unsigned i = 0; i < 100000; i++) {
        char key[32];
        struct blob_writer *writer = NULL;
        (void)snprintf(key, sizeof key, "kill/%u", i);
        if (blob_put_open(store, BLOB_UPLOADS, key, NULL, &writer) != 0 ||
            blob_put_write(writer, bytes, 200000) != 0 ||
            blob_put_commit(writer, false, NULL) != 0 || write(pipe_fd, &i, sizeof i) < 0) {
            _exit(1);
        }
    }
    _exit(0);
}

static void killed_while_putting_nothing_acknowledged_is_lost(void **state)
{
    (void)state;
    if (!is_file_engine()) {
        skip(); /* needs its own server to kill */
    }
    char at[512];
    char temporary[600];
    (void)snprintf(at, sizeof at, "%s-killed-%d", url, (int)getpid());
    (void)snprintf(temporary, sizeof temporary, "%s/temporary", at + 5);
    for (unsigned round = 0; round < 5; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            put_until_killed(at, pipes[1]);
        }
        (void)close(pipes[1]);
        /* Some puts are acknowledged, then the kill comes at an odd moment. */
        unsigned acknowledged = 0;
        for (unsigned i; acknowledged < 3 + round && read(pipes[0], &i, sizeof i) == sizeof i;) {
            acknowledged++;
        }
        (void)usleep(round * 700);
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        struct blob_store *after = open_store(at);
        assert_int_equal(files_below(temporary), 0);
        for (unsigned i; read(pipes[0], &i, sizeof i) == sizeof i; acknowledged++) {
        }
        assert_true(acknowledged >= 3 + round);
        for (unsigned i = 0; i < acknowledged; i++) {
            char key[32];
            struct blob_stat stat;
            (void)snprintf(key, sizeof key, "kill/%u", i);
            assert_int_equal(blob_stat(after, BLOB_UPLOADS, key, &stat), 0);
            assert_int_equal(stat.bytes, 200000);
        }
        (void)close(pipes[0]);
        blob_store_close(after);
    }
}

static void the_temporary_file_of_a_living_writer_stays(void **state)
{
    (void)state;
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_put_open(store, BLOB_UPLOADS, "living", NULL, &writer), 0);
    assert_int_equal(blob_put_write(writer, "alive", 5), 0);
    struct blob_store *second = open_store(url); /* sweeps */
    assert_int_equal(blob_put_commit(writer, false, NULL), 0);
    assert_text("living", "alive");
    blob_store_close(second);
}

/* A killed process's child holds its lock a while: what the start can't remove, a sweep does. */
static void a_sweep_takes_what_was_locked_at_the_start(void **state)
{
    (void)state;
    if (!is_file_engine()) {
        skip(); /* another engine has no such folder */
    }
    char path[600];
    struct blob_writer *writer = NULL;
    (void)snprintf(path, sizeof path, "%s/temporary/left", url + 5);
    int left = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(left, LOCK_EX), 0);
    assert_int_equal(blob_put_open(store, BLOB_UPLOADS, "swept/by", NULL, &writer), 0);
    assert_int_equal(blob_multipart_sweep(store, 0), 0);
    assert_int_equal(access(path, F_OK), 0);
    (void)close(left);
    assert_int_equal(blob_multipart_sweep(store, 0), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(blob_put_commit(writer, false, NULL), 0); /* a living writer's file stayed */
}

static void a_full_disk_says_so_and_leaves_nothing(void **state)
{
    (void)state;
    char folder[] = "/tmp/tutti-blob-full-XXXXXX";
    assert_non_null(mkdtemp(folder));
    if (!is_file_engine() || mount("tmpfs", folder, "tmpfs", 0, "size=4m") != 0) {
        (void)rmdir(folder);
        skip(); /* no right to mount here */
    }
    char at[64];
    (void)snprintf(at, sizeof at, "file:%s", folder);
    struct blob_store *usual = store;
    store = open_store(at);
    assert_int_equal(put_text("kept", "kept", false), 0);
    char *bytes CLEANUP_FREE = part_bytes(1 << 20, 3);
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_put_open(store, BLOB_UPLOADS, "kept", NULL, &writer), 0);
    int error = 0;
    for (unsigned i = 0; error == 0 && i < 8; i++) {
        error = blob_put_write(writer, bytes, 1 << 20);
    }
    assert_int_equal(error, ERR_DISK_FULL);
    assert_int_equal(blob_put_commit(writer, false, NULL), ERR_DISK_FULL);
    assert_text("kept", "kept");
    assert_int_equal(put_text("room again", "room", false), 0);
    blob_store_close(store);
    store = usual;
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
    (void)rmdir(folder);
}

static void a_link_on_the_way_is_not_followed(void **state)
{
    (void)state;
    if (!is_file_engine()) {
        skip(); /* no folders to link */
    }
    char link[600];
    struct blob_stat stat;
    (void)snprintf(link, sizeof link, "%s/objects/uploads/lin.dir", url + 5);
    assert_int_equal(symlink("/etc", link), 0);
    assert_int_not_equal(blob_stat(store, BLOB_UPLOADS, "lin/passwd", &stat), 0);
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_put_open(store, BLOB_UPLOADS, "lin/evil", NULL, &writer), 0);
    assert_int_not_equal(blob_put_commit(writer, false, NULL), 0);
    assert_int_equal(unlink(link), 0);
}

static void a_damaged_file_is_not_served(void **state)
{
    (void)state;
    if (!is_file_engine()) {
        skip(); /* nothing to damage */
    }
    char path[600];
    struct blob_stat stat;
    assert_int_equal(put_text("dmg", "whole", false), 0);
    (void)snprintf(path, sizeof path, "%s/objects/uploads/dmg.obj", url + 5);
    assert_int_equal(truncate(path, 300), 0);
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, "dmg", &stat), ERR_CORRUPT);
    unsigned visits = 0;
    assert_int_equal(blob_list(store, BLOB_UPLOADS, "dmg", "", 10, stop_at_once, &visits), 7);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "dmg"), 0);
}

struct mirrored {
    unsigned already, now, damaged;
};

static int count_mirrored(void *argument, const char *path, uint64_t bytes,
                          enum blob_mirrored outcome)
{
    (void)path;
    (void)bytes;
    struct mirrored *seen = argument;
    seen->already += outcome == BLOB_MIRRORED_ALREADY ? 1 : 0;
    seen->now += outcome == BLOB_MIRRORED_NOW ? 1 : 0;
    seen->damaged += outcome == BLOB_MIRRORED_DAMAGED ? 1 : 0;
    return 0;
}

static struct mirrored mirror_into(struct blob_store *to, const char *bucket)
{
    struct mirrored seen = {0};
    const struct blob_mirror mirror = {.visit = count_mirrored, .argument = &seen};
    assert_int_equal(blob_mirror(store, to, bucket, &mirror, NULL), 0);
    return seen;
}

static struct blob_store *open_second(char path[200])
{
    (void)snprintf(path, 200, "%s-second-XXXXXX", url + 5);
    assert_non_null(mkdtemp(path));
    char place[220];
    (void)snprintf(place, sizeof place, "file:%s", path);
    return open_store(place);
}

static void a_mirror_holds_the_same_and_takes_only_what_is_new(void **state)
{
    (void)state;
    if (!is_file_engine()) {
        skip(); /* the second store is a folder */
    }
    char path[200];
    struct blob_store *second = open_second(path);
    assert_int_equal(put_text("mir/a", "first", false), 0);
    assert_int_equal(put_text("mir/b", "second", false), 0);
    struct mirrored seen = mirror_into(second, NULL);
    assert_true(seen.now >= 2 && seen.already == 0);
    unsigned all = seen.now;

    struct blob_stat here, there;
    assert_int_equal(blob_stat(store, BLOB_UPLOADS, "mir/a", &here), 0);
    assert_int_equal(blob_stat(second, BLOB_UPLOADS, "mir/a", &there), 0);
    assert_memory_equal(&here, &there, sizeof here); /* types, ETag and time too */

    assert_int_equal(put_text("mir/b", "replaced", false), 0);
    assert_int_equal(put_text("mir/c", "third", false), 0);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "mir/a"), 0);
    seen = mirror_into(second, NULL);
    assert_int_equal(seen.now, 2);
    assert_int_equal(seen.already, all - 2);
    assert_int_equal(blob_stat(second, BLOB_UPLOADS, "mir/a", &there), 0); /* never removed */
    assert_int_equal(blob_stat(second, BLOB_UPLOADS, "mir/b", &there), 0);
    assert_int_equal(there.bytes, strlen("replaced"));
    blob_store_close(second);
}

static void a_mirror_leaves_damaged_objects_out(void **state)
{
    (void)state;
    if (!is_file_engine()) {
        skip(); /* nothing to damage */
    }
    char path[600], second_path[200];
    struct blob_stat stat;
    struct blob_store *second = open_second(second_path);
    unsigned damaged_before = mirror_into(second, BLOB_UPLOADS).damaged;
    assert_int_equal(put_text("bad", "flip me", false), 0);
    (void)snprintf(path, sizeof path, "%s/objects/uploads/bad.obj", url + 5);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "F", 1, 0), 1); /* the trailer is sound, the bytes are not */
    (void)close(fd);
    struct mirrored seen = mirror_into(second, BLOB_UPLOADS);
    assert_int_equal(seen.damaged, damaged_before + 1);
    assert_int_equal(seen.now, 0);
    assert_int_equal(blob_stat(second, BLOB_UPLOADS, "bad", &stat), ERR_NOT_FOUND);
    assert_int_equal(blob_delete(store, BLOB_UPLOADS, "bad"), 0);
    blob_store_close(second);
}

static void parts_are_mirrored_and_can_be_joined_there(void **state)
{
    (void)state;
    if (!is_file_engine()) {
        skip(); /* the second store is a folder */
    }
    char second_path[200], upload_id[BLOB_UPLOAD_ID_MAX];
    struct blob_store *second = open_second(second_path);
    assert_int_equal(blob_multipart_create(store, BLOB_UPLOADS, "parts", NULL, upload_id), 0);
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_multipart_put_open(store, BLOB_UPLOADS, "parts", upload_id, 1, &writer),
                     0);
    assert_int_equal(blob_put_write(writer, "one part", 8), 0);
    struct blob_stat stat;
    assert_int_equal(blob_put_commit(writer, false, &stat), 0);
    (void)mirror_into(second, BLOB_UPLOADS);
    struct blob_part part = {.number = 1};
    (void)snprintf(part.etag, sizeof part.etag, "%s", stat.etag);
    assert_int_equal(
        blob_multipart_complete(second, BLOB_UPLOADS, "parts", upload_id, &part, 1, &stat, NULL),
        0);
    assert_int_equal(stat.bytes, 8);
    assert_int_equal(blob_multipart_abort(store, BLOB_UPLOADS, "parts", upload_id), 0);
    blob_store_close(second);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read_with_its_description),
        cmocka_unit_test(what_is_not_committed_is_not_there),
        cmocka_unit_test(if_none_match_keeps_the_first),
        cmocka_unit_test(a_reader_keeps_the_object_it_opened),
        cmocka_unit_test(a_descriptor_is_measured_at_commit),
        cmocka_unit_test(deleting_is_final_and_asks_no_questions),
        cmocka_unit_test(keys_that_could_leave_the_bucket_are_refused),
        cmocka_unit_test(listing_goes_in_byte_order),
        cmocka_unit_test(a_visitor_can_end_the_listing),
        cmocka_unit_test(a_copy_needs_the_etag_and_outlives_its_source),
        cmocka_unit_test(parts_become_one_object),
        cmocka_unit_test(completing_is_refused_for_reasons),
        cmocka_unit_test(left_uploads_are_swept),
        cmocka_unit_test(buckets_are_made_and_listed),
        cmocka_unit_test(a_large_object_is_whole),
        cmocka_unit_test(writers_of_one_key_never_mix),
        cmocka_unit_test(killed_while_putting_nothing_acknowledged_is_lost),
        cmocka_unit_test(the_temporary_file_of_a_living_writer_stays),
        cmocka_unit_test(a_sweep_takes_what_was_locked_at_the_start),
        cmocka_unit_test(a_full_disk_says_so_and_leaves_nothing),
        cmocka_unit_test(a_link_on_the_way_is_not_followed),
        cmocka_unit_test(a_damaged_file_is_not_served),
        cmocka_unit_test(a_mirror_holds_the_same_and_takes_only_what_is_new),
        cmocka_unit_test(a_mirror_leaves_damaged_objects_out),
        cmocka_unit_test(parts_are_mirrored_and_can_be_joined_there),
    };
    char folder[] = "/tmp/tutti-blob-XXXXXX";
    char path[64], own[1024];
    if (sodium_init() < 0 || mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/store", folder);
    url = objects_url(path, own);
    if (count > 1 && strcmp(arguments[1], "--seal") == 0) {
        keys_path = folder;
    }
    store = open_store(url);
    if (objects_clear(store) != 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    blob_store_close(store);
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed;
}
