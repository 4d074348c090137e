/* The contract of blob.h for what S3's clients ask beyond bytes and types: headers kept with an
 * object, writes under a condition, buckets taken away, uploads listed. For any engine (objects.h):
 * `test_blob_described [--seal]`.
 */
#include "objects.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKET "label"

static const char headers[] = "x-amz-meta-mtime:1700000000.5\ncontent-language:de\n";
static struct blob_store *store;

static int put_if(const char *key, const char *text, const char *kept,
                  const struct blob_condition *condition, struct blob_stat *ret_stat)
{
    struct blob_writer *writer = NULL;
    const struct blob_meta meta = {.content_type = "audio/flac", .headers = kept};
    int error = blob_put_open(store, BUCKET, key, &meta, &writer);
    if (error != 0) {
        return error;
    }
    assert_int_equal(blob_put_write(writer, text, strlen(text)), 0);
    return blob_put_commit_if(writer, condition, ret_stat);
}

static int put(const char *key, const char *text, const char *kept)
{
    return put_if(key, text, kept, &(struct blob_condition){0}, NULL);
}

static void expect(const char *key, const char *text, const char *type, const char *kept)
{
    struct blob_source source;
    struct blob_reader *reader = NULL;
    struct blob_stat stat;
    char bytes[64] = "";
    char out[BLOB_HEADERS_MAX + 1];
    assert_int_equal(blob_open(store, BUCKET, key, &source, &stat), 0);
    assert_int_equal(stat.bytes, strlen(text));
    assert_string_equal(stat.content_type, type);
    assert_int_equal(stat.headers_bytes, strlen(kept));
    assert_int_equal(blob_read_headers(store, &source, &stat, out), 0);
    assert_string_equal(out, kept);
    assert_int_equal(blob_reader_new(&source, &reader), 0);
    assert_int_equal(blob_reader_read(reader, bytes, sizeof bytes, 0), strlen(text));
    blob_reader_free(reader);
    assert_string_equal(bytes, text);
}

static void headers_come_back_and_move_along(void **state)
{
    (void)state;
    assert_int_equal(put("a", "bytes", headers), 0);
    assert_int_equal(put("none", "", NULL), 0);
    expect("a", "bytes", "audio/flac", headers);
    expect("none", "", "audio/flac", "");

    assert_int_equal(blob_copy(store, BUCKET, "a", NULL, BUCKET, "same", NULL), 0);
    expect("same", "bytes", "audio/flac", headers);

    struct blob_stat stat;
    const struct blob_meta other = {.content_type = "text/plain", .headers = "x-amz-meta-k:v\n"};
    assert_int_equal(blob_copy_as(store, BUCKET, "a", NULL, BUCKET, "a", &other, &stat), 0);
    expect("a", "bytes", "text/plain", "x-amz-meta-k:v\n");
    expect("same", "bytes", "audio/flac", headers); /* its twin is not touched */
    assert_string_equal(stat.content_type, "text/plain");
}

static void headers_of_an_upload_in_parts_are_the_objects(void **state)
{
    (void)state;
    char id[BLOB_UPLOAD_ID_MAX];
    const struct blob_meta meta = {.content_type = "audio/flac", .headers = headers};
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    struct problem problem = {0};
    assert_int_equal(blob_multipart_create(store, BUCKET, "mp", &meta, id), 0);
    assert_int_equal(blob_multipart_put_open(store, BUCKET, "mp", id, 1, &writer), 0);
    assert_int_equal(blob_put_write(writer, "part", 4), 0);
    assert_int_equal(blob_put_commit(writer, false, &stat), 0);
    struct blob_part part = {.number = 1};
    memcpy(part.etag, stat.etag, sizeof part.etag);

    const struct blob_condition match = {.if_match = "*"};
    assert_int_equal(
        blob_multipart_complete_if(store, BUCKET, "mp", id, &part, 1, &match, &stat, &problem),
        ERR_NOT_FOUND); /* of the key; the upload is still there */
    assert_int_equal(blob_multipart_complete(store, BUCKET, "mp", id, &part, 1, &stat, &problem),
                     0);
    expect("mp", "part", "audio/flac", headers);
}

static void headers_are_lines_of_a_name_and_a_value(void **state)
{
    (void)state;
    char large[BLOB_HEADERS_MAX + 2];
    memset(large, 'a', sizeof large);
    memcpy(large, "n:", 2);
    large[BLOB_HEADERS_MAX] = '\n';
    large[BLOB_HEADERS_MAX + 1] = '\0';
    const char *const bad[] = {"no end:1", "novalue\n", ":1\n", "n:a\rb\n", "n:1\n\n", large};
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(put("bad", "", bad[i]), ERR_INVALID);
    }
    memmove(large + 2, large + 3, strlen(large + 3) + 1);
    if (blob_is_remote(store)) { /* S3 knows a limit of 2 KB for all that is kept */
        memcpy(large + 1400, "\n", 2);
    }
    assert_int_equal(put("large", "x", large), 0);
    expect("large", "x", "audio/flac", large);
}

static void if_match_wants_what_it_names(void **state)
{
    (void)state;
    struct blob_stat first;
    struct blob_condition match = {.if_match = "*"};
    assert_int_equal(put_if("cond", "1", NULL, &match, NULL), ERR_NOT_FOUND);
    assert_int_equal(
        put_if("cond", "1", NULL, &(struct blob_condition){.if_none_match = true}, &first), 0);
    assert_int_equal(
        put_if("cond", "2", NULL, &(struct blob_condition){.if_none_match = true}, NULL),
        ERR_PRECONDITION);
    match.if_match = first.etag;
    assert_int_equal(put_if("cond", "2", NULL, &match, NULL), 0);
    assert_int_equal(put_if("cond", "3", NULL, &match, NULL), ERR_PRECONDITION);
    match.if_match = "*";
    assert_int_equal(put_if("cond", "4", NULL, &match, NULL), 0);
    expect("cond", "4", "audio/flac", "");
}

static int copy_if(const struct blob_condition *condition)
{
    return blob_copy_if(store, BUCKET, "from", NULL, BUCKET, "to", NULL, condition, NULL);
}

static void copies_and_deletions_want_it_too(void **state)
{
    (void)state;
    struct blob_stat old;
    const struct blob_condition none = {.if_none_match = true};
    assert_int_equal(put_if("from", "new", NULL, &none, NULL), 0);
    assert_int_equal(put_if("to", "old", NULL, &none, &old), 0);
    const struct blob_condition match = {.if_match = old.etag};
    if (blob_is_remote(store)) {
        assert_int_equal(copy_if(&none), ERR_UNSUPPORTED);
        assert_int_equal(copy_if(&match), ERR_UNSUPPORTED);
        assert_int_equal(blob_delete_if(store, BUCKET, "to", old.etag), ERR_UNSUPPORTED);
        expect("to", "old", "audio/flac", "");
        return;
    }
    assert_int_equal(copy_if(&none), ERR_PRECONDITION);
    expect("to", "old", "audio/flac", "");
    assert_int_equal(copy_if(&match), 0);
    expect("to", "new", "audio/flac", "");
    assert_int_equal(copy_if(&match), ERR_PRECONDITION);
    assert_int_equal(blob_delete_if(store, BUCKET, "to", old.etag), ERR_PRECONDITION);
    expect("to", "new", "audio/flac", "");
    assert_int_equal(blob_delete_if(store, BUCKET, "to", "*"), 0);
    assert_int_equal(blob_delete_if(store, BUCKET, "to", "*"), ERR_NOT_FOUND);
    assert_int_equal(copy_if(&match), ERR_NOT_FOUND);
    assert_int_equal(copy_if(&none), 0);
    expect("to", "new", "audio/flac", "");
}

enum { RACERS = 8, ROUNDS = 20 };
static char expected_etag[BLOB_ETAG_MAX];

static void *race(void *argument)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", *(int *)argument);
    const struct blob_condition match = {.if_match = expected_etag};
    *(int *)argument = put_if("raced", text, NULL, &match, NULL);
    return NULL;
}

static bool is_unknown(int error)
{
    return blob_is_remote(store) && (error == ERR_UNAVAILABLE || error == ERR_TIMEOUT);
}

/* Each wins, loses, or, of a store that did not answer, hears that nobody knows. */
static void of_many_with_one_etag_one_wins(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct blob_stat stat;
        pthread_t threads[RACERS];
        int results[RACERS], winner = -1, unknown = 0;
        char text[16];
        assert_int_equal(put_if("raced", "start", NULL, &(struct blob_condition){0}, &stat), 0);
        memcpy(expected_etag, stat.etag, sizeof expected_etag);
        for (int i = 0; i < RACERS; i++) {
            results[i] = i;
            assert_int_equal(pthread_create(&threads[i], NULL, race, &results[i]), 0);
        }
        for (int i = 0; i < RACERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            unknown += is_unknown(results[i]);
            if (results[i] == 0) {
                assert_int_equal(winner, -1);
                winner = i;
            } else if (!is_unknown(results[i])) {
                assert_int_equal(results[i], ERR_PRECONDITION);
            }
        }
        if (winner >= 0) {
            (void)snprintf(text, sizeof text, "%d", winner);
            expect("raced", text, "audio/flac", "");
        } else {
            assert_int_not_equal(unknown, 0);
        }
    }
}

static void only_an_empty_bucket_goes(void **state)
{
    (void)state;
    struct blob_writer *writer = NULL;
    int64_t created_ms = 0;
    assert_int_equal(blob_bucket_remove(store, "nothere"), ERR_NOT_FOUND);
    assert_int_equal(blob_bucket_create(store, "short"), 0);
    assert_int_equal(blob_put_open(store, "short", "deep/in/a/folder", NULL, &writer), 0);
    assert_int_equal(blob_put_commit(writer, false, NULL), 0);
    assert_int_equal(blob_bucket_remove(store, "short"), ERR_CONFLICT);
    assert_int_equal(blob_delete(store, "short", "deep/in/a/folder"), 0);
    assert_int_equal(blob_put_open(store, "short", "late", NULL, &writer), 0);
    assert_int_equal(blob_bucket_remove(store, "short"), 0);
    assert_int_equal(blob_bucket_stat(store, "short", &created_ms), ERR_NOT_FOUND);
    assert_int_not_equal(blob_put_commit(writer, false, NULL), 0); /* its bucket is gone */
    assert_int_equal(blob_bucket_create(store, "short"), 0);
    assert_int_equal(blob_bucket_remove(store, "short"), 0);
}

struct seen {
    const char *key;
    char id[BLOB_UPLOAD_ID_MAX];
    unsigned count;
};

static int see(void *argument, const char *key, const char *id, int64_t begun_ms)
{
    struct seen *seen = argument;
    assert_true(begun_ms > 1600000000000);
    if (strcmp(key, seen->key) == 0 && strcmp(id, seen->id) == 0) {
        seen->count++;
    }
    return 0;
}

static void uploads_are_listed_until_they_end(void **state)
{
    (void)state;
    struct seen seen = {.key = "listed/ü"};
    assert_int_equal(blob_multipart_create(store, BUCKET, seen.key, NULL, seen.id), 0);
    assert_int_equal(blob_multipart_uploads(store, BUCKET, see, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(blob_multipart_uploads(store, BLOB_UPLOADS, see, &seen), 0);
    assert_int_equal(seen.count, 1); /* another bucket's are not shown */
    assert_int_equal(blob_multipart_abort(store, BUCKET, seen.key, seen.id), 0);
    assert_int_equal(blob_multipart_uploads(store, BUCKET, see, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(blob_multipart_uploads(store, "nothere", see, &seen), ERR_NOT_FOUND);
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
        cmocka_unit_test(headers_come_back_and_move_along),
        cmocka_unit_test(headers_of_an_upload_in_parts_are_the_objects),
        cmocka_unit_test(headers_are_lines_of_a_name_and_a_value),
        cmocka_unit_test(if_match_wants_what_it_names),
        cmocka_unit_test(copies_and_deletions_want_it_too),
        cmocka_unit_test(of_many_with_one_etag_one_wins),
        cmocka_unit_test(only_an_empty_bucket_goes),
        cmocka_unit_test(uploads_are_listed_until_they_end),
    };
    char folder[] = "/tmp/tutti-blob-XXXXXX";
    char path[64], own[1024];
    struct problem problem = {0};
    if (sodium_init() < 0 || mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/store", folder);
    bool seal = count > 1 && strcmp(arguments[1], "--seal") == 0;
    const struct blob_config config = {
        .url = objects_url(path, own), .keys_path = folder, .seal = seal};
    if (blob_store_open(&config, &store, &problem) != 0 || objects_clear(store) != 0 ||
        blob_bucket_create(store, BUCKET) != 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    blob_store_close(store);
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed;
}
