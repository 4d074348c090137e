/* Sealed bytes: a file's content in chunks of 64 KiB, each encrypted and authenticated by itself
 * (XChaCha20-Poly1305, libsodium), so that any range can be read by opening only the chunks it
 * touches, and written over chunk by chunk.
 *
 *   chunk i at i × (64 KiB + 40):  nonce, 24 random bytes | ciphertext | tag, 16 bytes
 *
 * All chunks but the last are full; no bytes are no chunks. A tag covers the chunk's place (i) and
 * whether it is the last, so that chunks put in another order, left out, doubled or cut off at the
 * end are found. The key is one file's alone, so chunks of another file are found too; that a whole
 * file was put in another's place is for who keeps the keys to find. A nonce is drawn anew for
 * every write: with 192 bits they don't meet (Bernstein, "Extending the Salsa20 nonce").
 *
 * Pure functions, any thread. sodium_init must have run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEAL_KEY_BYTES = 32,
    SEAL_PLAIN_BYTES = 64 * 1024,
    SEAL_OVERHEAD_BYTES = 24 + 16,
    SEAL_CHUNK_BYTES = SEAL_PLAIN_BYTES + SEAL_OVERHEAD_BYTES,
};

/* How long the sealed form of so many bytes is. */
uint64_t seal_sealed_bytes(uint64_t plain_bytes);
/* How many bytes a sealed form of that length holds; false: no sealed form is so long. */
bool seal_plain_bytes(uint64_t sealed_bytes, uint64_t *ret_plain_bytes);
/* Seals length bytes (1 … SEAL_PLAIN_BYTES) as chunk index; out has room for length +
 * SEAL_OVERHEAD_BYTES and does not overlap. */
void seal_chunk(const unsigned char key[SEAL_KEY_BYTES], uint64_t index, bool last,
                const unsigned char *plain, size_t length, unsigned char *out);
/* Opens a chunk of sealed_length bytes; out has room for sealed_length - SEAL_OVERHEAD_BYTES. 0, or
 * ERR_CORRUPT: it is not what was sealed as chunk index with that key. */
int seal_open_chunk(const unsigned char key[SEAL_KEY_BYTES], uint64_t index, bool last,
                    const unsigned char *sealed, size_t sealed_length, unsigned char *out);
