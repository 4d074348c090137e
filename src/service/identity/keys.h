/* The signing keys: Ed25519 pairs, one JWK file each (RFC 8037) in a directory that every process
 * of the installation reads, and the key that seals tickets (ticket.h).
 *
 * The newest key signs. Rotation only adds a file; the key before it goes on verifying for
 * KEY_OVERLAP_MS, longer than any token lives, and is removed by a later rotation. A process learns
 * of a rotation from the directory's modification time, looked at where it meets a key it doesn't
 * know and at most once a second before signing. Files that others could read stop the start.
 *
 * Any thread. key_ring_find may read a few small files, once after each rotation.
 */
#pragma once

#include <jansson.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_ring;
struct problem;

enum {
    KEY_ID_SIZE = 13,
    KEY_HEADER_SIZE = 96,
    KEY_RING_MAX = 16,
    KEY_OVERLAP_MS = 20 * 60 * 1000,
    SEAL_KEY_BYTES = 32,
};

struct signing_key {
    char id[KEY_ID_SIZE];         /* kid: of the public key's SHA-256, base64url */
    char header[KEY_HEADER_SIZE]; /* the JOSE header of its tokens, base64url */
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    int64_t created_ms;
};

/* Makes the directory and the first keys where there are none. */
int key_ring_open(const char *path, struct key_ring **ret_ring, struct problem *problem);
void key_ring_close(struct key_ring *ring); /* NULL is fine; wipes the keys */
int key_ring_rotate(struct key_ring *ring, struct problem *problem);

/* A copy of the key that signs now; the caller wipes it. */
int key_ring_current(struct key_ring *ring, struct signing_key *ret_key);
/* The public key of the tokens with this very header, if it is still valid. The header is compared,
 * not parsed: only texts we make ourselves are accepted, so no algorithm can be chosen by others.
 */
bool key_ring_find(struct key_ring *ring, const char *header, size_t length,
                   unsigned char ret_public_key[crypto_sign_PUBLICKEYBYTES]);
/* The JWK set (RFC 7517) of the valid public keys. NULL: out of memory. */
json_t *key_ring_jwks(struct key_ring *ring);
const unsigned char *key_ring_seal_key(const struct key_ring *ring);
