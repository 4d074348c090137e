/* base/seal: what a chunk's seal covers, and the lengths. */
#include "base/error.h"
#include "base/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

static unsigned char key[SEAL_KEY_BYTES], plain[SEAL_PLAIN_BYTES], sealed[SEAL_CHUNK_BYTES],
    out[SEAL_PLAIN_BYTES];

static void lengths_go_there_and_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t plain, sealed;
    } pairs[] = {{0, 0},
                 {1, 41},
                 {SEAL_PLAIN_BYTES, SEAL_CHUNK_BYTES},
                 {SEAL_PLAIN_BYTES + 1, SEAL_CHUNK_BYTES + 41},
                 {10 * SEAL_PLAIN_BYTES, 10 * SEAL_CHUNK_BYTES}};
    for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        uint64_t back = 0;
        assert_int_equal(seal_sealed_bytes(pairs[i].plain), pairs[i].sealed);
        assert_true(seal_plain_bytes(pairs[i].sealed, &back));
        assert_int_equal(back, pairs[i].plain);
    }
    uint64_t back = 0;
    assert_false(seal_plain_bytes(1, &back));
    assert_false(seal_plain_bytes(SEAL_OVERHEAD_BYTES, &back));
    assert_false(seal_plain_bytes(SEAL_CHUNK_BYTES + SEAL_OVERHEAD_BYTES, &back));
}

static void a_chunk_opens_as_what_it_was_sealed(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, SEAL_PLAIN_BYTES};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t length = sizes[i];
        seal_chunk(key, 7, true, plain, length, sealed);
        assert_int_equal(seal_open_chunk(key, 7, true, sealed, length + SEAL_OVERHEAD_BYTES, out),
                         0);
        assert_memory_equal(out, plain, length);
    }
}

static void a_chunk_opens_as_nothing_else(void **state)
{
    (void)state;
    const size_t whole = 1000 + SEAL_OVERHEAD_BYTES;
    unsigned char wrong[SEAL_KEY_BYTES];
    memcpy(wrong, key, sizeof wrong);
    wrong[31] ^= 1;
    seal_chunk(key, 7, false, plain, 1000, sealed);
    assert_int_equal(seal_open_chunk(key, 8, false, sealed, whole, out), ERR_CORRUPT);
    assert_int_equal(seal_open_chunk(key, 7 + ((uint64_t)1 << 32), false, sealed, whole, out),
                     ERR_CORRUPT);
    assert_int_equal(seal_open_chunk(key, 7, true, sealed, whole, out), ERR_CORRUPT); /* the end */
    assert_int_equal(seal_open_chunk(wrong, 7, false, sealed, whole, out), ERR_CORRUPT);
    assert_int_equal(seal_open_chunk(key, 7, false, sealed, whole - 1, out), ERR_CORRUPT);
    assert_int_equal(seal_open_chunk(key, 7, false, sealed, SEAL_OVERHEAD_BYTES, out), ERR_CORRUPT);
    assert_int_equal(seal_open_chunk(key, 7, false, sealed, 0, out), ERR_CORRUPT);
    for (size_t at = 0; at < whole; at += 9) {
        sealed[at] ^= 1;
        assert_int_equal(seal_open_chunk(key, 7, false, sealed, whole, out), ERR_CORRUPT);
        sealed[at] ^= 1;
    }
    assert_int_equal(seal_open_chunk(key, 7, false, sealed, whole, out), 0);
}

static void two_seals_of_the_same_share_nothing(void **state)
{
    (void)state;
    unsigned char again[64 + SEAL_OVERHEAD_BYTES];
    memset(plain, 0, 64);
    seal_chunk(key, 0, true, plain, 64, sealed);
    seal_chunk(key, 0, true, plain, 64, again);
    assert_memory_not_equal(sealed, again, 24);
    assert_memory_not_equal(sealed + 24, again + 24, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_go_there_and_back),
        cmocka_unit_test(a_chunk_opens_as_what_it_was_sealed),
        cmocka_unit_test(a_chunk_opens_as_nothing_else),
        cmocka_unit_test(two_seals_of_the_same_share_nothing),
    };
    if (sodium_init() < 0) {
        return 1;
    }
    randombytes_buf(key, sizeof key);
    randombytes_buf(plain, sizeof plain);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
