/* media/sealed: a sealed descriptor reads and writes as a plain file does, whatever the order, and
 * several of them beside each other on threads of their own. */
#include "base/error.h"
#include "media/output.h"
#include "media/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BYTES_MAX = 5 * SEAL_PLAIN_BYTES };

struct file {
    int fd, plain_fd;
    unsigned char key[SEAL_KEY_BYTES];
};

static void file_open(struct file *file)
{
    file->fd = memfd_create("sealed", 0);
    file->plain_fd = memfd_create("plain", 0);
    randombytes_buf(file->key, sizeof file->key);
    assert_int_equal(sealed_begin(file->fd, file->key, 0), 0);
}

static void file_close(struct file *file)
{
    (void)close(file->fd);
    (void)close(file->plain_fd);
}

/* What the store will find: every chunk opens, the last one as the last. */
static void assert_same(const struct file *file)
{
    static _Thread_local unsigned char sealed[SEAL_CHUNK_BYTES], plain[SEAL_PLAIN_BYTES],
        expected[SEAL_PLAIN_BYTES];
    off_t bytes = lseek(file->plain_fd, 0, SEEK_END);
    assert_int_equal(lseek(file->fd, 0, SEEK_END), seal_sealed_bytes((uint64_t)bytes));
    for (off_t at = 0; at < bytes; at += SEAL_PLAIN_BYTES) {
        size_t length = bytes - at < SEAL_PLAIN_BYTES ? (size_t)(bytes - at) : SEAL_PLAIN_BYTES;
        uint64_t index = (uint64_t)at / SEAL_PLAIN_BYTES;
        size_t whole = length + SEAL_OVERHEAD_BYTES;
        assert_int_equal(pread(file->fd, sealed, whole, (off_t)(index * SEAL_CHUNK_BYTES)), whole);
        assert_int_equal(
            seal_open_chunk(file->key, index, at + SEAL_PLAIN_BYTES >= bytes, sealed, whole, plain),
            0);
        assert_int_equal(pread(file->plain_fd, expected, length, at), length);
        assert_memory_equal(plain, expected, length);
    }
}

static void write_both(const struct file *file, int64_t offset, size_t length)
{
    unsigned char bytes[70000];
    assert_true(length <= sizeof bytes);
    randombytes_buf(bytes, length);
    assert_int_equal(sealed_pwrite(file->fd, bytes, length, offset), length);
    assert_int_equal(pwrite(file->plain_fd, bytes, length, offset), length);
}

static void read_both(const struct file *file, int64_t offset, size_t length)
{
    unsigned char bytes[70000], expected[70000];
    ssize_t there = pread(file->plain_fd, expected, length, offset);
    assert_int_equal(sealed_pread(file->fd, bytes, length, offset), there);
    assert_memory_equal(bytes, expected, (size_t)there);
}

static void any_order_of_writes_makes_the_same_file(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        struct file file;
        file_open(&file);
        for (unsigned i = 0; i < 40; i++) {
            int64_t offset = randombytes_uniform(BYTES_MAX);
            size_t length = 1 + randombytes_uniform(i % 3 == 0 ? 70000 - 1 : 300);
            if (i % 2 == 0) { /* mostly at the end, as muxers do */
                offset = lseek(file.plain_fd, 0, SEEK_END);
            }
            write_both(&file, offset, length);
            read_both(&file, randombytes_uniform(BYTES_MAX), length);
        }
        assert_int_equal(sealed_finish(file.fd), 0);
        assert_int_equal(sealed_finish(file.fd), 0);
        assert_same(&file);
        sealed_forget();
        file_close(&file);
    }
}

static void lengths_around_a_chunk(void **state)
{
    (void)state;
    for (int more = -1; more <= 1; more++) {
        for (int chunks = 0; chunks < 3; chunks++) {
            struct file file;
            int64_t bytes = (int64_t)chunks * SEAL_PLAIN_BYTES + more;
            file_open(&file);
            for (int64_t at = 0; at < bytes; at += 10000) {
                write_both(&file, at, bytes - at < 10000 ? (size_t)(bytes - at) : 10000);
            }
            assert_int_equal(sealed_finish(file.fd), 0);
            assert_same(&file);
            sealed_forget();
            file_close(&file);
        }
    }
}

static void a_head_is_put_before_the_rest(void **state)
{
    (void)state;
    static const int64_t distances[] = {1, 934, SEAL_PLAIN_BYTES, 100000};
    for (unsigned i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        struct file file;
        file_open(&file);
        for (int64_t at = 0; at < 3 * 1000 * 1000; at += 65000) { /* more than one step of it */
            write_both(&file, at, 65000);
        }
        int64_t length = lseek(file.plain_fd, 0, SEEK_END);
        assert_int_equal(output_shift(file.fd, length, distances[i]), 0);
        assert_int_equal(output_shift(file.plain_fd, length, distances[i]), 0);
        for (int64_t at = 0; at < distances[i]; at += 65000) {
            int64_t left = distances[i] - at;
            write_both(&file, at, left < 65000 ? (size_t)left : 65000);
        }
        assert_int_equal(sealed_finish(file.fd), 0);
        assert_same(&file);
        sealed_forget();
        file_close(&file);
    }
}

static void a_source_is_read_and_a_damaged_one_is_not(void **state)
{
    (void)state;
    struct file file;
    file_open(&file);
    write_both(&file, 0, 70000);
    write_both(&file, 70000, 70000);
    assert_int_equal(sealed_finish(file.fd), 0);
    sealed_forget();
    assert_int_equal(sealed_begin(file.fd, file.key, 140000), 0);
    for (unsigned i = 0; i < 50; i++) {
        read_both(&file, randombytes_uniform(150000), 1 + randombytes_uniform(69999));
    }
    sealed_forget();
    unsigned char byte = 0;
    assert_int_equal(pread(file.fd, &byte, 1, SEAL_CHUNK_BYTES + 100), 1);
    byte ^= 1;
    assert_int_equal(pwrite(file.fd, &byte, 1, SEAL_CHUNK_BYTES + 100), 1);
    assert_int_equal(sealed_begin(file.fd, file.key, 140000), 0);
    read_both(&file, 0, 65000);
    assert_int_equal(sealed_pread(file.fd, &byte, 1, 65536), -1);
    sealed_forget();
    file_close(&file);
}

static void *write_many(void *argument)
{
    const struct file *file = argument;
    for (int64_t at = 0; at < BYTES_MAX; at += 500) {
        write_both(file, at, 500);
        if (at % 7000 == 0) {
            write_both(file, at / 2, 100);
        }
    }
    assert_int_equal(sealed_finish(file->fd), 0);
    assert_same(file);
    return NULL;
}

static void encoders_write_beside_each_other(void **state)
{
    (void)state;
    struct file files[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        file_open(&files[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &files[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        file_close(&files[i]);
    }
    sealed_forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_writes_makes_the_same_file),
        cmocka_unit_test(lengths_around_a_chunk),
        cmocka_unit_test(a_head_is_put_before_the_rest),
        cmocka_unit_test(a_source_is_read_and_a_damaged_one_is_not),
        cmocka_unit_test(encoders_write_beside_each_other),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
