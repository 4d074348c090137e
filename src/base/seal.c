/* Sealed bytes, chunk by chunk (seal.h). */
#include "base/seal.h"

#include "base/error.h"

#include <assert.h>
#include <sodium.h>

enum {
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    PLACE_BYTES = 9,
};
_Static_assert(NONCE_BYTES + TAG_BYTES == SEAL_OVERHEAD_BYTES, "the layout on disk");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SEAL_KEY_BYTES, "the key's size");

uint64_t seal_sealed_bytes(uint64_t plain_bytes)
{
    uint64_t chunks = plain_bytes / SEAL_PLAIN_BYTES + (plain_bytes % SEAL_PLAIN_BYTES != 0);
    return plain_bytes + chunks * SEAL_OVERHEAD_BYTES;
}

bool seal_plain_bytes(uint64_t sealed_bytes, uint64_t *ret_plain_bytes)
{
    uint64_t chunks = sealed_bytes / SEAL_CHUNK_BYTES;
    uint64_t rest = sealed_bytes % SEAL_CHUNK_BYTES;
    if (rest != 0 && rest <= SEAL_OVERHEAD_BYTES) {
        return false;
    }
    *ret_plain_bytes = chunks * SEAL_PLAIN_BYTES + (rest != 0 ? rest - SEAL_OVERHEAD_BYTES : 0);
    return true;
}

/* What a tag covers besides the bytes: the index, little-endian, and the mark of the last. */
static void write_place(uint64_t index, bool last, unsigned char out[PLACE_BYTES])
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (unsigned char)(index >> (8 * i));
    }
    out[8] = last ? 1 : 0;
}

void seal_chunk(const unsigned char key[SEAL_KEY_BYTES], uint64_t index, bool last,
                const unsigned char *plain, size_t length, unsigned char *out)
{
    unsigned char place[PLACE_BYTES];
    assert(length > 0 && length <= SEAL_PLAIN_BYTES);
    write_place(index, last, place);
    randombytes_buf(out, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_BYTES, NULL, plain, length, place,
                                                     sizeof place, NULL, out, key);
}

int seal_open_chunk(const unsigned char key[SEAL_KEY_BYTES], uint64_t index, bool last,
                    const unsigned char *sealed, size_t sealed_length, unsigned char *out)
{
    unsigned char place[PLACE_BYTES];
    if (sealed_length <= SEAL_OVERHEAD_BYTES || sealed_length > SEAL_CHUNK_BYTES) {
        return ERR_CORRUPT;
    }
    write_place(index, last, place);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed + NONCE_BYTES,
                                                      sealed_length - NONCE_BYTES, place,
                                                      sizeof place, sealed, key) == 0
               ? 0
               : ERR_CORRUPT;
}
