/* Encryption at rest (blob_config.seal), as who holds the disk sees it: nothing of an object can be
 * read there, nor changed, cut, put in another order or exchanged without being found. The file
 * engine.
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
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKET BLOB_UPLOADS

enum { CHUNKS = 6, BYTES = (CHUNKS - 1) * SEAL_PLAIN_BYTES + 1000 };

static char folder[] = "/tmp/tutti-seal-XXXXXX";
static struct blob_store *store;
static unsigned char plain[BYTES], other[BYTES];

static struct blob_store *open_store(bool seal, const char *keys)
{
    char url[128];
    struct blob_store *opened = NULL;
    struct problem problem = {0};
    (void)snprintf(url, sizeof url, "file:%s/store", folder);
    const struct blob_config config = {.url = url, .keys_path = keys, .seal = seal};
    if (blob_store_open(&config, &opened, &problem) != 0) {
        fail_msg("%s", problem.detail);
    }
    return opened;
}

static void put(const char *key, const void *bytes, size_t length)
{
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_put_open(store, BUCKET, key, NULL, &writer), 0);
    for (size_t at = 0; at < length; at += 10007) { /* no multiple of anything */
        size_t some = length - at < 10007 ? length - at : 10007;
        assert_int_equal(blob_put_write(writer, (const char *)bytes + at, some), 0);
    }
    assert_int_equal(blob_put_commit(writer, false, NULL), 0);
}

/* Keys that are damaged have three letters: their file has their name. */
/* The object's range as it is read now; 0 or an error. */
static int get(const char *key, uint64_t at, size_t length, unsigned char *out)
{
    struct blob_source source;
    struct blob_stat stat;
    struct blob_reader *reader = NULL;
    int error = blob_open(store, BUCKET, key, &source, &stat);
    error = error != 0 ? error : blob_reader_new(&source, &reader);
    for (size_t done = 0; error == 0 && done < length;) {
        ssize_t got = blob_reader_read(reader, out + done, length - done, at + done);
        error = got < 0 ? (int)got : got == 0 ? ERR_RANGE : 0;
        done += got > 0 ? (size_t)got : 0;
    }
    if (reader != NULL) {
        blob_reader_free(reader);
    }
    return error;
}

static int get_all(const char *key)
{
    static unsigned char bytes[BYTES];
    int error = get(key, 0, BYTES, bytes);
    if (error == 0) {
        assert_memory_equal(bytes, plain, BYTES);
    }
    return error;
}

static const char *path_of(const char *key)
{
    static char paths[2][256];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    (void)snprintf(path, sizeof paths[0], "%s/store/objects/" BUCKET "/%s.obj", folder, key);
    return path;
}

/* Changes one byte of a file. */
static void flip(const char *path, off_t at)
{
    unsigned char byte = 0;
    int fd CLEANUP_CLOSE = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void copy_chunk(const char *from, uint64_t from_index, const char *to, uint64_t to_index)
{
    static unsigned char chunk[SEAL_CHUNK_BYTES];
    int source CLEANUP_CLOSE = open(from, O_RDONLY);
    int target CLEANUP_CLOSE = open(to, O_RDWR);
    assert_int_equal(pread(source, chunk, sizeof chunk, (off_t)(from_index * sizeof chunk)),
                     sizeof chunk);
    assert_int_equal(pwrite(target, chunk, sizeof chunk, (off_t)(to_index * sizeof chunk)),
                     sizeof chunk);
}

/* Looks for the marks of plain bytes in every file below the store. */
static bool mark_seen;

static int look(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type != FTW_F || status->st_size == 0) {
        return 0;
    }
    int fd CLEANUP_CLOSE = open(path, O_RDONLY);
    char *bytes CLEANUP_FREE = malloc((size_t)status->st_size);
    assert_int_equal(read(fd, bytes, (size_t)status->st_size), status->st_size);
    mark_seen |= memmem(bytes, (size_t)status->st_size, plain + 100, 16) != NULL ||
                 memmem(bytes, (size_t)status->st_size, plain + BYTES - 100, 16) != NULL;
    return 0;
}

static bool disk_shows_plain(void)
{
    mark_seen = false;
    assert_int_equal(nftw(folder, look, 16, FTW_PHYS), 0);
    return mark_seen;
}

static void the_disk_shows_nothing(void **state)
{
    (void)state;
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    put("secret", plain, BYTES);
    assert_int_equal(get_all("secret"), 0);
    assert_false(disk_shows_plain());
    assert_int_equal(blob_stat(store, BUCKET, "secret", &stat), 0);
    assert_true(stat.sealed);
    assert_int_equal(stat.bytes, BYTES);

    /* while it is being written, too */
    assert_int_equal(blob_put_open(store, BUCKET, "half", NULL, &writer), 0);
    assert_int_equal(blob_put_write(writer, plain, BYTES), 0);
    assert_false(disk_shows_plain());
    blob_put_abort(writer);

    /* the test can fail */
    struct blob_store *sealed = store;
    store = open_store(false, folder);
    put("open", plain, BYTES);
    assert_true(disk_shows_plain());
    assert_int_equal(get_all("secret"), 0); /* what is sealed is read without the setting */
    blob_store_close(store);
    store = sealed;
    assert_int_equal(get_all("open"), 0); /* what was plain stays readable */
    assert_int_equal(blob_copy(store, BUCKET, "open", NULL, BUCKET, "closed", NULL), 0);
    assert_int_equal(blob_delete(store, BUCKET, "open"), 0);
    assert_int_equal(get_all("closed"), 0);
    assert_false(disk_shows_plain()); /* and is sealed by its copy */
}

static void parts_are_sealed_from_the_first_byte(void **state)
{
    (void)state;
    enum { PART = BLOB_PART_BYTES_MIN + 7 };
    unsigned char *bytes CLEANUP_FREE = malloc(PART);
    unsigned char *back CLEANUP_FREE = malloc(PART + BYTES);
    char id[BLOB_UPLOAD_ID_MAX];
    struct blob_part parts[2] = {{.number = 1}, {.number = 2}};
    struct blob_stat stat;
    struct problem problem = {0};
    for (size_t at = 0; at < PART; at++) {
        bytes[at] = plain[at % BYTES];
    }
    assert_int_equal(blob_multipart_create(store, BUCKET, "parts", NULL, id), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct blob_writer *writer = NULL;
        assert_int_equal(blob_multipart_put_open(store, BUCKET, "parts", id, i + 1, &writer), 0);
        assert_int_equal(blob_put_write(writer, i == 0 ? bytes : plain, i == 0 ? PART : BYTES), 0);
        assert_int_equal(blob_put_commit(writer, false, &stat), 0);
        memcpy(parts[i].etag, stat.etag, sizeof stat.etag);
    }
    assert_false(disk_shows_plain());

    /* a part in another's place does not join */
    char first[600], second[600], aside[300];
    (void)snprintf(first, sizeof first, "%s/store/multipart/%.2s/%s/00001.obj", folder, id, id);
    (void)snprintf(second, sizeof second, "%s/store/multipart/%.2s/%s/00002.obj", folder, id, id);
    (void)snprintf(aside, sizeof aside, "%s/aside", folder);
    assert_int_equal(rename(second, aside), 0);
    assert_int_equal(link(first, second), 0);
    struct blob_part wrong[2] = {parts[0], parts[0]};
    wrong[1].number = 2;
    assert_int_equal(blob_multipart_complete(store, BUCKET, "parts", id, wrong, 2, &stat, &problem),
                     ERR_CORRUPT);
    assert_int_equal(rename(aside, second), 0);

    assert_int_equal(blob_multipart_complete(store, BUCKET, "parts", id, parts, 2, &stat, &problem),
                     0);
    assert_int_equal(stat.bytes, PART + BYTES);
    assert_int_equal(get("parts", 0, PART + BYTES, back), 0);
    assert_memory_equal(back, bytes, PART);
    assert_memory_equal(back + PART, plain, BYTES);
    assert_false(disk_shows_plain());
}

static void any_range_is_read(void **state)
{
    (void)state;
    static unsigned char bytes[BYTES];
    static const uint64_t edges[] = {0,
                                     1,
                                     SEAL_PLAIN_BYTES - 1,
                                     SEAL_PLAIN_BYTES,
                                     SEAL_PLAIN_BYTES + 1,
                                     3 * SEAL_PLAIN_BYTES,
                                     BYTES - 1,
                                     BYTES};
    put("ranges", plain, BYTES);
    for (unsigned from = 0; from < COUNT_OF(edges); from++) {
        for (unsigned to = from + 1; to < COUNT_OF(edges); to++) {
            size_t length = (size_t)(edges[to] - edges[from]);
            assert_int_equal(get("ranges", edges[from], length, bytes), 0);
            assert_memory_equal(bytes, plain + edges[from], length);
        }
    }
    assert_int_equal(get("ranges", BYTES, 1, bytes), ERR_RANGE);
    static const size_t sizes[] = {0, 1, SEAL_PLAIN_BYTES, 2 * SEAL_PLAIN_BYTES};
    for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
        put("size", plain, sizes[i]);
        assert_int_equal(get("size", 0, sizes[i], bytes), 0);
        assert_memory_equal(bytes, plain, sizes[i]);
    }
}

/* Only the chunks that a range touches are opened: a damaged one is no trouble to the others. */
static void a_damaged_chunk_is_found_where_it_is(void **state)
{
    (void)state;
    static unsigned char bytes[BYTES];
    put("dam", plain, BYTES);
    flip(path_of("dam"), 2 * SEAL_CHUNK_BYTES + 5000);
    assert_int_equal(get("dam", 0, 2 * SEAL_PLAIN_BYTES, bytes), 0);
    assert_int_equal(get("dam", 3 * SEAL_PLAIN_BYTES, BYTES - 3 * SEAL_PLAIN_BYTES, bytes), 0);
    assert_int_equal(get("dam", 2 * SEAL_PLAIN_BYTES, 1, bytes), ERR_CORRUPT);
    assert_int_equal(get_all("dam"), ERR_CORRUPT);
    for (off_t at = 0; at < SEAL_OVERHEAD_BYTES; at++) { /* nonce, and the last chunk's tag */
        put("dam", plain, BYTES);
        flip(path_of("dam"), at < 24 ? at : (off_t)seal_sealed_bytes(BYTES) - 1 - (at - 24));
        assert_int_equal(get_all("dam"), ERR_CORRUPT);
    }
}

static void chunks_can_not_be_moved(void **state)
{
    (void)state;
    put("one", plain, BYTES);
    put("two", plain, BYTES);
    copy_chunk(path_of("one"), 1, path_of("one"), 2);
    assert_int_equal(get_all("one"), ERR_CORRUPT);
    put("one", plain, BYTES);
    copy_chunk(path_of("two"), 1, path_of("one"), 1); /* the same bytes of another object */
    assert_int_equal(get_all("one"), ERR_CORRUPT);
}

/* The end is marked: with one chunk less, and a trailer that says so, nothing opens. */
static void nothing_can_be_cut_off(void **state)
{
    (void)state;
    unsigned char trailer[512];
    put("cut", plain, BYTES);
    put("sho", plain, BYTES - 1000);
    int fd CLEANUP_CLOSE = open(path_of("cut"), O_RDWR);
    int from CLEANUP_CLOSE = open(path_of("sho"), O_RDONLY);
    off_t end = (off_t)seal_sealed_bytes(BYTES - 1000);
    assert_int_equal(pread(from, trailer, sizeof trailer, end), sizeof trailer);
    assert_int_equal(pwrite(fd, trailer, sizeof trailer, end), sizeof trailer);
    assert_int_equal(ftruncate(fd, end + 512), 0);
    assert_int_equal(get("cut", 0, 1, trailer), ERR_CORRUPT);

    /* the chunks of the longer with the trailer of the shorter, in the shorter's place */
    assert_int_equal(rename(path_of("cut"), path_of("sho")), 0);
    static unsigned char bytes[BYTES];
    assert_int_equal(get("sho", 0, BYTES - 1000, bytes), ERR_CORRUPT);
}

static void an_object_opens_in_its_place_only(void **state)
{
    (void)state;
    put("her", plain, BYTES);
    put("the", other, BYTES);
    assert_int_equal(rename(path_of("the"), path_of("her")), 0);
    assert_int_equal(get_all("her"), ERR_CORRUPT);
    put("her", plain, BYTES);
    assert_int_equal(blob_copy(store, BUCKET, "her", NULL, BLOB_MEDIA, "far", NULL), 0);
    assert_int_equal(blob_copy(store, BLOB_MEDIA, "far", NULL, BUCKET, "back", NULL), 0);
    assert_int_equal(blob_delete(store, BUCKET, "her"), 0);
    assert_int_equal(get_all("back"), 0); /* a copy of the store's own does open */
}

/* Length, ETag and types are covered, too: whoever changes them has to make the sum again, which
 * anybody can, and the MAC, which nobody can. */
static void the_trailer_is_sealed(void **state)
{
    (void)state;
    for (off_t at = 24; at < 484; at += 20) {
        unsigned char trailer[512];
        off_t start = (off_t)seal_sealed_bytes(BYTES);
        put("tra", plain, BYTES);
        int fd CLEANUP_CLOSE = open(path_of("tra"), O_RDWR);
        assert_int_equal(pread(fd, trailer, sizeof trailer, start), sizeof trailer);
        trailer[at] ^= 1;
        (void)crypto_generichash(trailer + 496, 16, trailer, 496, NULL, 0);
        assert_int_equal(pwrite(fd, trailer, sizeof trailer, start), sizeof trailer);
        assert_int_equal(get_all("tra"), ERR_CORRUPT);
    }
}

/* As tutti-media does it: chunks written in any order, over again, and the last marked at the end.
 */
static void a_child_writes_the_sealed_form(void **state)
{
    (void)state;
    static unsigned char chunk[SEAL_CHUNK_BYTES];
    static const struct {
        bool mark, damage;
        int expected;
    } cases[] = {{true, false, 0}, {false, false, ERR_CORRUPT}, {true, true, ERR_CORRUPT}};
    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct blob_writer *writer = NULL;
        struct blob_source target;
        struct blob_stat stat;
        assert_int_equal(blob_put_open(store, BUCKET, "child", NULL, &writer), 0);
        assert_int_equal(blob_put_fd(writer, &target.fd), ERR_UNSUPPORTED);
        assert_int_equal(blob_put_target(writer, &target), 0);
        assert_true(target.sealed);
        for (int index = CHUNKS - 1; index >= 0; index--) {
            bool last = index == CHUNKS - 1;
            size_t length = last ? BYTES % SEAL_PLAIN_BYTES : SEAL_PLAIN_BYTES;
            seal_chunk(target.key, (uint64_t)index, last && cases[i].mark,
                       plain + (size_t)index * SEAL_PLAIN_BYTES, length, chunk);
            chunk[50] ^= cases[i].damage && index == 1 ? 1 : 0;
            assert_int_equal(pwrite(target.fd, chunk, length + SEAL_OVERHEAD_BYTES,
                                    (off_t)index * SEAL_CHUNK_BYTES),
                             (ssize_t)length + SEAL_OVERHEAD_BYTES);
        }
        assert_int_equal(blob_put_commit(writer, false, &stat), cases[i].expected);
        if (cases[i].expected == 0) {
            assert_int_equal(stat.bytes, BYTES);
            assert_int_equal(get_all("child"), 0);
        }
    }
}

static void without_its_key_nothing_opens(void **state)
{
    (void)state;
    char keys[64], line[128], more[sizeof line];
    struct stat status;
    put("kept", plain, BYTES);
    (void)snprintf(keys, sizeof keys, "%s/blob-keys", folder);
    assert_int_equal(stat(keys, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);

    struct blob_store *sealed = store;
    struct blob_stat kept;
    store = open_store(false, NULL);
    assert_int_equal(get_all("kept"), ERR_CORRUPT);
    assert_int_equal(blob_stat(store, BUCKET, "kept", &kept), 0); /* what it is can be told */
    assert_int_equal(kept.bytes, BYTES);
    blob_store_close(store);

    /* a second line: the first still opens what it sealed */
    FILE *file = fopen(keys, "r+");
    assert_non_null(fgets(line, sizeof line, file));
    memcpy(more, line, sizeof line);
    more[0] = line[0] == '0' ? '1' : '0';
    more[20] = line[20] == 'A' ? 'B' : 'A';
    assert_true(fseek(file, 0, SEEK_END) == 0 && fputs(more, file) >= 0 && fclose(file) == 0);
    store = open_store(true, folder);
    put("later", plain, BYTES);
    assert_int_equal(get_all("kept"), 0);
    assert_int_equal(get_all("later"), 0);
    blob_store_close(store);
    store = sealed; /* it has read the first line only */
    assert_int_equal(get_all("later"), ERR_CORRUPT);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_disk_shows_nothing),
        cmocka_unit_test(parts_are_sealed_from_the_first_byte),
        cmocka_unit_test(any_range_is_read),
        cmocka_unit_test(a_damaged_chunk_is_found_where_it_is),
        cmocka_unit_test(chunks_can_not_be_moved),
        cmocka_unit_test(nothing_can_be_cut_off),
        cmocka_unit_test(an_object_opens_in_its_place_only),
        cmocka_unit_test(the_trailer_is_sealed),
        cmocka_unit_test(a_child_writes_the_sealed_form),
        cmocka_unit_test(without_its_key_nothing_opens),
    };
    if (sodium_init() < 0 || mkdtemp(folder) == NULL) {
        return 1;
    }
    randombytes_buf(plain, sizeof plain);
    randombytes_buf(other, sizeof other);
    store = open_store(true, folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    blob_store_close(store);
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed;
}
