/* One folder made to hold what another holds (blob.h: blob_mirror): `test_blob_mirror [--seal]`.
 * Over two file systems, and over
 * copies whose bytes have rotted since. What blob_mirror does with a remote
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
    unsigned counts[BLOB_MIRRORED_UNEQUAL + 1];
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

static struct mirrored mirror_between(struct blob_store *from, struct blob_store *to,
                                      struct blob_mirror how)
{
    struct mirrored seen = {.counts = {0}};
    struct problem problem = {0};
    how.visit = count_mirrored;
    how.argument = &seen;
    if (blob_mirror(from, to, NULL, &how, &problem) != 0) {
        fail_msg("blob_mirror: %s", problem.detail);
    }
    return seen;
}

/* turns 0: nothing that is there is read; 1: all of it. */
static struct mirrored mirror_share(unsigned turns, unsigned turn)
{
    return mirror_between(live, copies, (struct blob_mirror){.read = {turns, turn}});
}

/* The copies go back to where they are of, and all that is there is read. */
static struct mirrored mirror_back(void)
{
    return mirror_between(copies, live, (struct blob_mirror){.read = {1, 0}, .keep_newer = true});
}

static struct mirrored mirror(void)
{
    return mirror_share(0, 0);
}

/* Every copy read: this came of the only one that was not right. */
static void assert_found(enum blob_mirrored outcome)
{
    struct mirrored seen = mirror_share(1, 0);
    for (unsigned i = BLOB_MIRRORED_NOW; i < COUNT_OF(seen.counts); i++) {
        assert_int_equal(seen.counts[i], i == outcome ? 1 : 0);
    }
}

/* name: of three bytes at most, since longer ones are split over folders. */
static void flip(const char *store, const char *name, off_t at)
{
    char path[256];
    unsigned char three[3];
    (void)snprintf(path, sizeof path, "%s/%s/objects/media/%s.obj", folder, store, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, three, sizeof three, at), sizeof three);
    for (unsigned i = 0; i < sizeof three; i++) {
        three[i] ^= 0x55;
    }
    assert_int_equal(pwrite(fd, three, sizeof three, at), sizeof three);
    (void)close(fd);
}

/* Older than any other. */
static void make_old(const char *store, const char *name)
{
    char path[256];
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    (void)snprintf(path, sizeof path, "%s/%s/objects/media/%s.obj", folder, store, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int check_live(const char *key)
{
    struct blob_stat stat;
    return blob_check(live, BLOB_MEDIA, key, &stat);
}

/* An object of parts of those lengths; the first two at least. */
static void put_parts(const char *key, const size_t *lengths, unsigned count)
{
    char upload_id[BLOB_UPLOAD_ID_MAX];
    struct blob_part parts[4] = {{.number = 0}};
    char *zeros CLEANUP_FREE = calloc(1, (size_t)2 * BLOB_PART_BYTES_MIN);
    struct blob_stat stat;
    assert_int_equal(blob_multipart_create(live, BLOB_MEDIA, key, NULL, upload_id), 0);
    for (unsigned i = 0; i < count; i++) {
        struct blob_writer *writer = NULL;
        parts[i].number = i + 1;
        assert_int_equal(blob_multipart_put_open(live, BLOB_MEDIA, key, upload_id, i + 1, &writer),
                         0);
        assert_int_equal(blob_put_write(writer, zeros, lengths[i]), 0);
        assert_int_equal(blob_put_commit(writer, false, &stat), 0);
        memcpy(parts[i].etag, stat.etag, sizeof stat.etag);
    }
    assert_int_equal(
        blob_multipart_complete(live, BLOB_MEDIA, key, upload_id, parts, count, &stat, NULL), 0);
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
    const struct blob_mirror how = {.visit = count_mirrored, .argument = &seen};
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

static void rotten_copies_are_found_by_reading_and_copied_again(void **state)
{
    (void)state;
    put("one", OBJECT_BYTES);
    put("two", OBJECT_BYTES);
    assert_int_equal(mirror().counts[BLOB_MIRRORED_NOW], 2);
    assert_int_equal(mirror_share(1, 0).counts[BLOB_MIRRORED_READ], 2);
    flip("copies", "one", OBJECT_BYTES / 2);
    assert_int_equal(mirror().counts[BLOB_MIRRORED_ALREADY], 2); /* not looked for */
    assert_found(BLOB_MIRRORED_MENDED);
    assert_true(is_whole(copies, "one", OBJECT_BYTES));
    struct stat status;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/live/objects/media/one.obj", folder);
    assert_int_equal(stat(path, &status), 0);
    flip("copies", "one", status.st_size - 512 - 4); /* the headers */
    assert_found(BLOB_MIRRORED_MENDED);
    assert_int_equal(mirror_share(1, 0).counts[BLOB_MIRRORED_READ], 2);
}

static void what_nobody_can_mend_is_told(void **state)
{
    (void)state;
    put("one", OBJECT_BYTES);
    put("two", OBJECT_BYTES);
    assert_int_equal(check_live("one"), 0);
    (void)mirror();
    flip("live", "one", 1000);
    assert_int_equal(check_live("one"), ERR_CORRUPT);
    assert_int_equal(mirror_share(1, 0).counts[BLOB_MIRRORED_READ], 2); /* the copy is right */
    flip("copies", "one", 2000);
    assert_found(BLOB_MIRRORED_LOST);
    assert_int_equal(blob_delete(live, BLOB_MEDIA, "one"), 0);
    assert_int_equal(mirror().counts[BLOB_MIRRORED_ALREADY], 1);
    assert_found(BLOB_MIRRORED_LOST); /* what is in the copies alone is read, too */
}

static void parts_that_were_alike_tell_their_hash(void **state)
{
    (void)state;
    const size_t alike[] = {BLOB_PART_BYTES_MIN, BLOB_PART_BYTES_MIN, 1000};
    const size_t unlike[] = {BLOB_PART_BYTES_MIN, BLOB_PART_BYTES_MIN + 1, 1000};
    put_parts("eq", alike, COUNT_OF(alike));
    assert_int_equal(check_live("eq"), 0);
    assert_int_equal(blob_copy(live, BLOB_MEDIA, "eq", NULL, BLOB_MEDIA, "cp", NULL), 0);
    assert_int_equal(check_live("cp"), 0);
    (void)mirror();
    flip("copies", "cp", BLOB_PART_BYTES_MIN + 5);
    assert_found(BLOB_MIRRORED_MENDED);
    assert_int_equal(blob_delete(live, BLOB_MEDIA, "cp"), 0);

    put_parts("odd", unlike, COUNT_OF(unlike));
    assert_int_equal(check_live("odd"), sealing ? 0 : ERR_UNSUPPORTED); /* chunks tell, too */
    (void)mirror();
    assert_found(BLOB_MIRRORED_READ);
    flip("copies", "odd", BLOB_PART_BYTES_MIN + 5);
    assert_found(sealing ? BLOB_MIRRORED_MENDED : BLOB_MIRRORED_UNEQUAL);
}

static void what_is_newer_is_kept_where_copies_go_back(void **state)
{
    (void)state;
    put("one", OBJECT_BYTES);
    put("two", OBJECT_BYTES);
    (void)mirror();
    put("one", 1000);
    flip("live", "two", OBJECT_BYTES / 2);
    struct mirrored seen = mirror_back();
    assert_int_equal(seen.counts[BLOB_MIRRORED_KEPT], 1);
    assert_int_equal(seen.counts[BLOB_MIRRORED_MENDED], 1);
    assert_true(is_whole(live, "one", 1000));
    assert_true(is_whole(live, "two", OBJECT_BYTES));

    flip("live", "one", 500); /* newer and wrong: it is told, and the older one stays another */
    assert_int_equal(mirror_back().counts[BLOB_MIRRORED_LOST], 1);
    make_old("live", "one");
    assert_int_equal(mirror_back().counts[BLOB_MIRRORED_NOW], 1);
    assert_true(is_whole(live, "one", OBJECT_BYTES));

    make_old("live", "one"); /* it is the same one, whatever its time */
    assert_int_equal(mirror_back().counts[BLOB_MIRRORED_READ], 2);
}

static void what_is_newer_and_can_not_be_read_comes_back(void **state)
{
    (void)state;
    struct stat status;
    char path[128];
    put("one", OBJECT_BYTES);
    (void)mirror();
    (void)snprintf(path, sizeof path, "%s/live/objects/media/one.obj", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 1), 0); /* which makes it newer, too */
    assert_int_equal(mirror_back().counts[BLOB_MIRRORED_NOW], 1);
    assert_true(is_whole(live, "one", OBJECT_BYTES));
}

static void copies_follow_a_clock_that_was_put_back(void **state)
{
    (void)state;
    put("one", OBJECT_BYTES);
    (void)mirror();
    put("one", 1000);
    make_old("live", "one");
    assert_int_equal(mirror().counts[BLOB_MIRRORED_NOW], 1);
    assert_true(is_whole(copies, "one", 1000));
}

static void put_part(const char *upload_id, size_t length, struct blob_part *ret_part)
{
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    assert_int_equal(blob_multipart_put_open(live, BLOB_MEDIA, "parts", upload_id, 1, &writer), 0);
    assert_int_equal(blob_put_write(writer, bytes, length), 0);
    assert_int_equal(blob_put_commit(writer, false, &stat), 0);
    ret_part->number = 1;
    memcpy(ret_part->etag, stat.etag, sizeof stat.etag);
}

static void a_part_that_was_sent_again_is_kept(void **state)
{
    (void)state;
    char upload_id[BLOB_UPLOAD_ID_MAX];
    struct blob_part part;
    struct blob_stat stat;
    assert_int_equal(blob_multipart_create(live, BLOB_MEDIA, "parts", NULL, upload_id), 0);
    put_part(upload_id, 1000, &part);
    (void)mirror();
    put_part(upload_id, 2000, &part);
    assert_int_equal(mirror_back().counts[BLOB_MIRRORED_KEPT], 1);
    assert_int_equal(
        blob_multipart_complete(live, BLOB_MEDIA, "parts", upload_id, &part, 1, &stat, NULL), 0);
    assert_true(is_whole(live, "parts", 2000));
}

static void shares_come_to_each_object_once(void **state)
{
    (void)state;
    enum { OBJECTS = 40, TURNS = 7 };
    char key[16];
    unsigned read = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        (void)snprintf(key, sizeof key, "m/%u", i);
        put(key, 10);
    }
    (void)mirror();
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct mirrored seen = mirror_share(TURNS, turn);
        read += seen.counts[BLOB_MIRRORED_READ];
        assert_in_range(seen.counts[BLOB_MIRRORED_READ], 0, OBJECTS / 2);
    }
    assert_int_equal(read, OBJECTS);
}

#define between_stores(test) cmocka_unit_test_setup_teardown(test, make_stores, remove_stores)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        between_stores(copies_go_to_another_file_system),
        between_stores(what_stops_it_is_told_with_place_and_reason),
        between_stores(rotten_copies_are_found_by_reading_and_copied_again),
        between_stores(what_nobody_can_mend_is_told),
        between_stores(parts_that_were_alike_tell_their_hash),
        between_stores(what_is_newer_is_kept_where_copies_go_back),
        between_stores(what_is_newer_and_can_not_be_read_comes_back),
        between_stores(copies_follow_a_clock_that_was_put_back),
        between_stores(a_part_that_was_sent_again_is_kept),
        between_stores(shares_come_to_each_object_once),
    };
    sealing = argc > 1 && strcmp(argv[1], "--seal") == 0;
    for (unsigned i = 0; i < OBJECT_BYTES; i++) {
        bytes[i] = (char)(i * 31 + i / 251);
    }
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
