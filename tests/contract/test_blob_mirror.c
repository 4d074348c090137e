/* One folder made to hold what another holds (blob.h: blob_mirror): `test_blob_mirror [--seal]`.
 * Over two file systems. What blob_mirror does with a remote
 * store is in tests/journey/test_objects.py.
 */
#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OBJECT_BYTES = 600 * 1000 };

static bool sealing;
static char bytes[OBJECT_BYTES];

/* ---- Two stores of a test ---- */

static char folder[64], far_folder[64];
static struct blob_store *live, *copies;

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static struct blob_store *open_store(const char *at, const char *name)
{
    char url[128];
    (void)snprintf(url, sizeof url, "file:%s/%s", at, name);
    const struct blob_config config = {.url = url,
                                       .public_url = "http://localhost:4040/s3",
                                       .key_id = "internal",
                                       .secret = "secret",
                                       .region = "us-east-1",
                                       .keys_path = folder,
                                       .seal = sealing};
    struct blob_store *opened = NULL;
    struct problem problem = {0};
    if (blob_store_open(&config, &opened, &problem) != 0) {
        fail_msg("blob_store_open: %s", problem.detail);
    }
    return opened;
}

static int make_stores(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/tutti-mirror-XXXXXX");
    far_folder[0] = '\0';
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    live = open_store(folder, "live");
    copies = open_store(folder, "copies");
    return 0;
}

static int remove_stores(void **state)
{
    (void)state;
    blob_store_close(live);
    blob_store_close(copies);
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (far_folder[0] != '\0') {
        (void)nftw(far_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    return 0;
}

/* The copies go to another file system; false: there is none here. */
static bool move_copies_away(void)
{
    struct stat here, there;
    (void)snprintf(far_folder, sizeof far_folder, "/dev/shm/tutti-mirror-XXXXXX");
    if (mkdtemp(far_folder) == NULL) {
        far_folder[0] = '\0';
        return false;
    }
    assert_int_equal(stat(folder, &here), 0);
    assert_int_equal(stat(far_folder, &there), 0);
    blob_store_close(copies);
    copies = open_store(far_folder, "copies");
    return here.st_dev != there.st_dev;
}

/* ---- Objects ---- */

static void put(const char *key, size_t length)
{
    struct blob_writer *writer = NULL;
    const struct blob_meta meta = {"audio/flac", NULL, "x-note:one\n"};
    assert_int_equal(blob_put_open(live, BLOB_MEDIA, key, &meta, &writer), 0);
    assert_int_equal(blob_put_write(writer, bytes, length), 0);
    assert_int_equal(blob_put_commit(writer, false, NULL), 0);
}

static bool is_whole(struct blob_store *store, const char *key, size_t length)
{
    struct blob_source source;
    struct blob_reader *reader = NULL;
    struct blob_stat stat;
    static char got[OBJECT_BYTES];
    size_t had = 0;
    if (blob_open(store, BLOB_MEDIA, key, &source, &stat) != 0 ||
        blob_reader_new(&source, &reader) != 0) {
        return false;
    }
    for (ssize_t some = 1; some > 0 && had<length; had += some> 0 ? (size_t)some : 0) {
        some = blob_reader_read(reader, got + had, length - had, had);
    }
    blob_reader_free(reader);
    return stat.bytes == length && had == length && memcmp(got, bytes, length) == 0;
}

struct mirrored {
    unsigned counts[BLOB_MIRRORED_DAMAGED + 1];
};

static int count_mirrored(void *argument, const char *path, uint64_t length,
                          enum blob_mirrored outcome)
{
    struct mirrored *seen = argument;
    (void)path;
    (void)length;
    seen->counts[outcome]++;
    return 0;
}

static struct mirrored mirror(void)
{
    struct mirrored seen = {.counts = {0}};
    struct problem problem = {0};
    const struct blob_mirror how = {count_mirrored, &seen};
    if (blob_mirror(live, copies, NULL, &how, &problem) != 0) {
        fail_msg("blob_mirror: %s", problem.detail);
    }
    return seen;
}

/* ---- Tests ---- */

static void copies_go_to_another_file_system(void **state)
{
    (void)state;
    if (!move_copies_away()) {
        print_message("/dev/shm is no file system of its own beside /tmp\n");
        skip();
    }
    put("one", OBJECT_BYTES);
    put("none", 0);
    struct mirrored seen = mirror();
    assert_int_equal(seen.counts[BLOB_MIRRORED_NOW], 2);
    assert_true(is_whole(copies, "one", OBJECT_BYTES));
    assert_true(is_whole(copies, "none", 0));
    struct blob_stat here, there;
    assert_int_equal(blob_stat(live, BLOB_MEDIA, "one", &here), 0);
    assert_int_equal(blob_stat(copies, BLOB_MEDIA, "one", &there), 0);
    assert_memory_equal(&here, &there, sizeof here);
    assert_int_equal(mirror().counts[BLOB_MIRRORED_ALREADY], 2);
}

static void what_stops_it_is_told_with_place_and_reason(void **state)
{
    (void)state;
    struct problem problem = {0};
    struct mirrored seen = {.counts = {0}};
    const struct blob_mirror how = {count_mirrored, &seen};
    struct rlimit before;
    put("album/one", OBJECT_BYTES);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit low = {.rlim_cur = OBJECT_BYTES / 2, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int error = blob_mirror(live, copies, NULL, &how, &problem);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(error, ERR_IO);
    assert_ptr_equal(strstr(problem.detail, "media/"), problem.detail);
    assert_non_null(strstr(problem.detail, "/one.obj can't be copied into /tmp/"));
    assert_non_null(strstr(problem.detail, "/copies: File too large"));
}

static int run_all(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copies_go_to_another_file_system, make_stores,
                                        remove_stores),
        cmocka_unit_test_setup_teardown(what_stops_it_is_told_with_place_and_reason, make_stores,
                                        remove_stores),
    };
    sealing = argc > 1 && strcmp(argv[1], "--seal") == 0;
    for (unsigned i = 0; i < OBJECT_BYTES; i++) {
        bytes[i] = (char)(i * 31 + i / 251);
    }
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return run_all(argc, argv);
}
