/* The ring of signing keys (keys.h). Files and their checks are key_file.c's. */
#include "service/identity/keys.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "service/identity/key_file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 1000 };

struct key_ring {
    char *path;
    unsigned char seal_key[SEAL_KEY_BYTES];
    pthread_rwlock_t lock;                 /* of what follows */
    struct signing_key keys[KEY_RING_MAX]; /* newest first */
    unsigned count;
    int64_t directory_stamp; /* its modification time at the last reading, 0: read again */
    int64_t looked_ms;       /* monotonic */
};

static int newest_first(const void *left, const void *right)
{
    const struct signing_key *a = left, *b = right;
    if (a->created_ms != b->created_ms) {
        return a->created_ms < b->created_ms ? 1 : -1;
    }
    return strcmp(a->id, b->id);
}

/* Under the write lock. A failure leaves the ring as it was. */
static int ring_read(struct key_ring *ring, struct problem *problem)
{
    struct signing_key *keys = calloc(KEY_RING_MAX, sizeof *keys);
    if (keys == NULL) {
        return ERR_NO_MEMORY;
    }
    int64_t stamp = key_directory_stamp(ring->path);
    unsigned count = 0;
    int error = key_files_read(ring->path, keys, &count, problem);
    if (error == 0) {
        qsort(keys, count, sizeof *keys, newest_first);
        sodium_memzero(ring->keys, sizeof ring->keys);
        memcpy(ring->keys, keys, count * sizeof *keys);
        ring->count = count;
        ring->directory_stamp = stamp;
    }
    sodium_memzero(keys, KEY_RING_MAX * sizeof *keys);
    free(keys);
    return error;
}

static void ring_read_if_changed(struct key_ring *ring)
{
    int64_t stamp = key_directory_stamp(ring->path);
    (void)pthread_rwlock_wrlock(&ring->lock);
    ring->looked_ms = clock_monotonic_ms();
    if (stamp == 0 || stamp != ring->directory_stamp) {
        (void)ring_read(ring, NULL);
    }
    (void)pthread_rwlock_unlock(&ring->lock);
}

int key_ring_open(const char *path, struct key_ring **ret_ring, struct problem *problem)
{
    struct key_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_rwlock_init(&ring->lock, NULL);
    ring->path = strdup(path);
    int error = ring->path == NULL ? ERR_NO_MEMORY : key_directory_make(path, problem);
    if (error == 0) {
        error = seal_key_file_read(path, ring->seal_key, problem);
    }
    if (error == 0) {
        error = ring_read(ring, problem);
    }
    if (error == 0 && ring->count == 0) {
        error = key_ring_rotate(ring, problem);
    }
    if (error != 0) {
        key_ring_close(ring);
        return error;
    }
    *ret_ring = ring;
    return 0;
}

void key_ring_close(struct key_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    (void)pthread_rwlock_destroy(&ring->lock);
    free(ring->path);
    sodium_memzero(ring, sizeof *ring);
    free(ring);
}

/* The newest signs; another verifies until its successor is KEY_OVERLAP_MS old. */
static bool is_valid(const struct key_ring *ring, unsigned index, int64_t now_ms)
{
    return index == 0 || now_ms < ring->keys[index - 1].created_ms + KEY_OVERLAP_MS;
}

static void remove_outlived(struct key_ring *ring)
{
    int64_t now_ms = clock_wall_ms();
    for (unsigned i = 1; i < ring->count; i++) {
        if (!is_valid(ring, i, now_ms)) {
            key_file_remove(ring->path, ring->keys[i].id);
        }
    }
}

int key_ring_rotate(struct key_ring *ring, struct problem *problem)
{
    (void)pthread_rwlock_wrlock(&ring->lock);
    (void)ring_read(ring, NULL);
    remove_outlived(ring);
    /* A clock that went back must not make the new key the older one. */
    int64_t now_ms = clock_wall_ms();
    int64_t created_ms = ring->count > 0 && ring->keys[0].created_ms >= now_ms
                             ? ring->keys[0].created_ms + 1
                             : now_ms;
    int error = key_file_make(ring->path, created_ms, problem);
    if (error == 0) {
        error = ring_read(ring, problem);
    }
    (void)pthread_rwlock_unlock(&ring->lock);
    return error;
}

int key_ring_current(struct key_ring *ring, struct signing_key *ret_key)
{
    (void)pthread_rwlock_rdlock(&ring->lock);
    bool look = clock_monotonic_ms() - ring->looked_ms >= LOOK_EVERY_MS;
    (void)pthread_rwlock_unlock(&ring->lock);
    if (look) {
        ring_read_if_changed(ring);
    }
    (void)pthread_rwlock_rdlock(&ring->lock);
    bool found = ring->count > 0;
    if (found) {
        *ret_key = ring->keys[0];
    }
    (void)pthread_rwlock_unlock(&ring->lock);
    return found ? 0 : ERR_UNAVAILABLE;
}

static bool find_known(struct key_ring *ring, const char *header, size_t length,
                       unsigned char ret_public_key[crypto_sign_PUBLICKEYBYTES])
{
    bool found = false;
    int64_t now_ms = clock_wall_ms();
    (void)pthread_rwlock_rdlock(&ring->lock);
    for (unsigned i = 0; i < ring->count && !found; i++) {
        const struct signing_key *key = &ring->keys[i];
        found = strlen(key->header) == length && memcmp(key->header, header, length) == 0 &&
                is_valid(ring, i, now_ms);
        if (found) {
            memcpy(ret_public_key, key->public_key, sizeof key->public_key);
        }
    }
    (void)pthread_rwlock_unlock(&ring->lock);
    return found;
}

bool key_ring_find(struct key_ring *ring, const char *header, size_t length,
                   unsigned char ret_public_key[crypto_sign_PUBLICKEYBYTES])
{
    if (find_known(ring, header, length, ret_public_key)) {
        return true;
    }
    ring_read_if_changed(ring);
    return find_known(ring, header, length, ret_public_key);
}

static json_t *public_jwk(const struct signing_key *key)
{
    char x[64];
    (void)sodium_bin2base64(x, sizeof x, key->public_key, sizeof key->public_key,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "kty", "OKP", "crv", "Ed25519", "kid",
                     key->id, "x", x, "alg", "EdDSA", "use", "sig");
}

json_t *key_ring_jwks(struct key_ring *ring)
{
    json_t *keys = json_array();
    int64_t now_ms = clock_wall_ms();
    (void)pthread_rwlock_rdlock(&ring->lock);
    for (unsigned i = 0; i < ring->count; i++) {
        if (is_valid(ring, i, now_ms)) {
            (void)json_array_append_new(keys, public_jwk(&ring->keys[i]));
        }
    }
    (void)pthread_rwlock_unlock(&ring->lock);
    return json_pack("{s:o}", "keys", keys);
}

const unsigned char *key_ring_seal_key(const struct key_ring *ring)
{
    return ring->seal_key;
}
