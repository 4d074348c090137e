/* service/streaming/media_files: what is cached is answered without blocking, the rest is not. */
#include "base/error.h"
#include "base/problem.h"
#include "folder.h"
#include "service/streaming/manifest.h"
#include "service/streaming/media_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct blob_store *store;

static void put(const char *key, const char *text, const char *cache_control)
{
    struct blob_writer *writer = NULL;
    const struct blob_meta meta = {"audio/mp4", cache_control, NULL};
    assert_int_equal(blob_put_open(store, BLOB_MEDIA, key, &meta, &writer), 0);
    assert_int_equal(blob_put_write(writer, text, strlen(text)), 0);
    assert_int_equal(blob_put_commit(writer, false, NULL), 0);
}

static void assert_opens(struct media_files *files, const char *key, bool may_block,
                         const char *expected)
{
    char text[64] = {0};
    struct blob_source source = {.fd = -1};
    struct blob_stat stat;
    assert_int_equal(media_files_open(files, key, may_block, &source, &stat), 0);
    assert_int_equal(stat.bytes, strlen(expected));
    assert_int_equal(pread(source.fd, text, stat.bytes, 0), strlen(expected));
    assert_string_equal(text, expected);
    blob_source_close(&source);
}

static struct media_files *fresh(void)
{
    struct media_files *files = NULL;
    assert_int_equal(media_files_new(store, &files), 0);
    return files;
}

static void the_second_time_needs_no_blocking(void **state)
{
    (void)state;
    struct media_files *files = fresh();
    struct blob_source source = {.fd = -1};
    struct blob_stat stat;
    put("m/1/1/aac-96.mp4", "sound", MANIFEST_CACHE_IMMUTABLE);
    assert_int_equal(media_files_open(files, "m/1/1/aac-96.mp4", false, &source, &stat), ERR_BUSY);
    assert_opens(files, "m/1/1/aac-96.mp4", true, "sound");
    assert_opens(files, "m/1/1/aac-96.mp4", false, "sound");
    assert_int_equal(media_files_open(files, "m/1/1/none.mp4", true, &source, &stat),
                     ERR_NOT_FOUND);
    media_files_free(files);
}

static void a_growing_manifest_is_read_again(void **state)
{
    (void)state;
    struct media_files *files = fresh();
    struct blob_source source = {.fd = -1};
    struct blob_stat stat;
    put("m/1/1/hls-160.m3u8", "one", MANIFEST_CACHE_GROWING);
    assert_opens(files, "m/1/1/hls-160.m3u8", true, "one");
    put("m/1/1/hls-160.m3u8", "two", MANIFEST_CACHE_IMMUTABLE);
    (void)usleep(1100000);
    assert_int_equal(media_files_open(files, "m/1/1/hls-160.m3u8", false, &source, &stat),
                     ERR_BUSY);
    assert_opens(files, "m/1/1/hls-160.m3u8", true, "two");
    media_files_free(files);
}

static char outside_path[PATH_MAX];

static int find_outside(void *context, const char *key, int *ret_fd)
{
    (void)context;
    (void)key;
    *ret_fd = open(outside_path, O_RDONLY | O_CLOEXEC);
    return *ret_fd >= 0 ? 0 : ERR_NOT_FOUND;
}

static void write_outside(const char *text)
{
    int fd = open(outside_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void a_file_outside_that_was_cut_is_opened_again(void **state)
{
    (void)state;
    struct media_files *files = fresh();
    (void)snprintf(outside_path, sizeof outside_path, "%s/outside.flac", test_folder);
    blob_outside_set(store, find_outside, NULL);
    write_outside("a long sound");
    assert_opens(files, "m/3/1/original.flac", true, "a long sound");
    write_outside("cut");
    assert_opens(files, "m/3/1/original.flac", true, "cut");
    blob_outside_set(store, NULL, NULL);
    media_files_free(files);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += dup2(fd, fd) == fd;
    }
    return count;
}

static void it_holds_a_bounded_number_and_gives_all_back(void **state)
{
    (void)state;
    unsigned before = open_descriptors();
    struct media_files *files = fresh();
    for (unsigned i = 0; i < 600; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "m/2/%u/aac-96.mp4", i);
        put(key, "x", MANIFEST_CACHE_IMMUTABLE);
        assert_opens(files, key, true, "x");
    }
    unsigned held = open_descriptors() - before;
    assert_true(held > 128 && held <= 256);
    media_files_free(files);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_time_needs_no_blocking),
        cmocka_unit_test(a_growing_manifest_is_read_again),
        cmocka_unit_test(a_file_outside_that_was_cut_is_opened_again),
        cmocka_unit_test(it_holds_a_bounded_number_and_gives_all_back),
    };
    if (sodium_init() < 0 || test_folder_make() != 0) {
        return 1;
    }
    char url[64];
    struct problem problem = {0};
    (void)snprintf(url, sizeof url, "file:%s/objects", test_folder);
    const struct blob_config config = {.url = url};
    if (blob_store_open(&config, &store, &problem) != 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    blob_store_close(store);
    test_folder_remove();
    return failed;
}
