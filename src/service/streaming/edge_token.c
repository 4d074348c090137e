/* The edge token and its keys (edge_token.h).
 *
 * A ring of at most two keys is immutable once made and reached by one atomic pointer, so the loops
 * never wait; rings that were replaced are kept until the end (rotations are rare). A key's two
 * HMAC pads are hashed once: verifying then costs 0.4 µs, so verified tokens need no cache.
 */
#include "service/streaming/edge_token.h"

#include "backend/folder.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KEY_TEXT = 64, /* hex digits */
    KEYS_MAX = 2,
    HMAC_TEXT = 64,
    PATH_SIZE = 4096,
    LINE_SIZE = 128,
    LOOK_MS = 1000, /* how often the file is looked at */
};

static const char file_name[] = "edge-keys";

struct ring {
    crypto_auth_hmacsha256_state pads[KEYS_MAX]; /* the newest first */
    int64_t since_ms;                            /* from when on the newest signs */
    unsigned count;
    struct timespec stamp; /* of the file it was read from */
    struct ring *older;
};

struct edge_keys {
    char path[PATH_SIZE];
    _Atomic(struct ring *) ring;
    atomic_int_fast64_t looked_ms;
    pthread_mutex_t lock; /* of replacing the ring */
};

static int fail(struct problem *problem, const char *path)
{
    int cause = errno;
    return problem_set(problem, error_from_errno(cause), "the key file \"%s\" can't be used: %s",
                       path, strerror(cause));
}

static int append_key(int fd, int64_t since_ms)
{
    unsigned char random[KEY_TEXT / 2];
    char hex[KEY_TEXT + 1];
    char line[LINE_SIZE];
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(hex, sizeof hex, random, sizeof random);
    int length = snprintf(line, sizeof line, "%" PRId64 " %s\n", since_ms, hex);
    bool written = write(fd, line, (size_t)length) == length && fsync(fd) == 0;
    sodium_memzero(line, sizeof line);
    sodium_memzero(hex, sizeof hex);
    return written ? 0 : -1;
}

/* Opens the file, made with a first key when missing. The descriptor, or -1 with errno. */
static int open_file(const char *keys_path, const char *path)
{
    struct stat status;
    if (folder_make(keys_path) != 0) {
        return -1;
    }
    int fd CLEANUP_CLOSE = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &status) != 0 ||
        (status.st_size == 0 &&
         (append_key(fd, clock_wall_ms()) != 0 || folder_sync(keys_path) != 0))) {
        return -1;
    }
    return TAKE_FD(fd);
}

static void add_key(struct ring *ring, const char *line, const char *hex)
{
    ring->since_ms = strtoll(line, NULL, 10);
    memmove(&ring->pads[1], &ring->pads[0], (KEYS_MAX - 1) * sizeof ring->pads[0]);
    crypto_auth_hmacsha256_init(&ring->pads[0], (const unsigned char *)hex, KEY_TEXT);
    ring->count += ring->count < KEYS_MAX ? 1 : 0;
}

/* Reads the last keys of the file. NULL: it can't be read, or holds none. */
static struct ring *read_ring(int fd)
{
    struct stat status;
    struct ring *ring = calloc(1, sizeof *ring);
    FILE *file = fd >= 0 ? fdopen(dup(fd), "r") : NULL;
    if (ring == NULL || file == NULL || fstat(fd, &status) != 0) {
        free(ring);
        if (file != NULL) {
            (void)fclose(file);
        }
        return NULL;
    }
    char line[LINE_SIZE];
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *hex = strchr(line, ' ');
        if (hex != NULL && strspn(hex + 1, "0123456789abcdef") == KEY_TEXT) {
            add_key(ring, line, hex + 1);
        }
    }
    sodium_memzero(line, sizeof line);
    (void)fclose(file);
    ring->stamp = status.st_mtim;
    if (ring->count == 0) {
        free(ring);
        return NULL;
    }
    return ring;
}

int edge_keys_open(const char *keys_path, struct edge_keys **ret_keys, struct problem *problem)
{
    struct edge_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_init(&keys->lock, NULL);
    int length = snprintf(keys->path, sizeof keys->path, "%s/%s", keys_path, file_name);
    int fd CLEANUP_CLOSE = length < PATH_SIZE ? open_file(keys_path, keys->path) : -1;
    int error = fd < 0 ? fail(problem, keys->path) : 0;
    struct ring *ring = fd >= 0 ? read_ring(fd) : NULL;
    if (error == 0 && ring == NULL) {
        error = problem_set(problem, ERR_CORRUPT, "the key file \"%s\" holds no key", keys->path);
    }
    if (error != 0) {
        edge_keys_close(keys);
        return error;
    }
    atomic_store(&keys->ring, ring);
    *ret_keys = keys;
    return 0;
}

void edge_keys_close(struct edge_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    for (struct ring *ring = atomic_load(&keys->ring); ring != NULL;) {
        struct ring *older = ring->older;
        sodium_memzero(ring, sizeof *ring);
        free(ring);
        ring = older;
    }
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

int edge_keys_rotate(const char *keys_path, int64_t delay_ms, struct problem *problem)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", keys_path, file_name);
    int fd CLEANUP_CLOSE = length < PATH_SIZE ? open_file(keys_path, path) : -1;
    bool done = fd >= 0 && append_key(fd, clock_wall_ms() + delay_ms) == 0;
    return done ? 0 : fail(problem, path);
}

static void refresh_locked(struct edge_keys *keys)
{
    struct stat status;
    struct ring *now = atomic_load(&keys->ring);
    if (stat(keys->path, &status) != 0 || (status.st_mtim.tv_sec == now->stamp.tv_sec &&
                                           status.st_mtim.tv_nsec == now->stamp.tv_nsec)) {
        return;
    }
    int fd CLEANUP_CLOSE = open(keys->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct ring *ring = read_ring(fd);
    if (ring != NULL) {
        ring->older = now;
        atomic_store(&keys->ring, ring);
    }
}

/* Looks at the file once a second; whoever finds another at it goes on with what there is. */
static void refresh(struct edge_keys *keys)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - atomic_load_explicit(&keys->looked_ms, memory_order_relaxed) < LOOK_MS ||
        pthread_mutex_trylock(&keys->lock) != 0) {
        return;
    }
    atomic_store_explicit(&keys->looked_ms, now_ms, memory_order_relaxed);
    refresh_locked(keys);
    pthread_mutex_unlock(&keys->lock);
}

int64_t edge_token_expiry(int64_t now_ms)
{
    int64_t now_s = now_ms / 1000;
    return now_s - now_s % EDGE_ROUND_S + EDGE_LIFE_S;
}

/* The newest key once its time has come. */
static const crypto_auth_hmacsha256_state *signing_pads(const struct ring *ring)
{
    return &ring->pads[ring->count > 1 && ring->since_ms > clock_wall_ms() ? 1 : 0];
}

static void sign(const crypto_auth_hmacsha256_state *pads, const char *text, size_t length,
                 unsigned char out[crypto_auth_hmacsha256_BYTES])
{
    crypto_auth_hmacsha256_state state = *pads;
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, length);
    crypto_auth_hmacsha256_final(&state, out);
}

void edge_token_sign(struct edge_keys *keys, const struct edge_grant *grant,
                     char out[EDGE_TOKEN_SIZE])
{
    unsigned char hmac[crypto_auth_hmacsha256_BYTES];
    char hex[HMAC_TEXT + 1];
    refresh(keys);
    int length = snprintf(out, EDGE_TOKEN_SIZE, "%" PRId64 "~%" PRId64 ".%d.%s", grant->expires_s,
                          grant->track_id, grant->version, manifest_ceiling_name(grant->ceiling));
    sign(signing_pads(atomic_load(&keys->ring)), out, (size_t)length, hmac);
    (void)sodium_bin2hex(hex, sizeof hex, hmac, sizeof hmac);
    (void)snprintf(out + length, EDGE_TOKEN_SIZE - (size_t)length, "~%s", hex);
}

static bool is_signed(const struct ring *ring, const char *text, size_t length, const char *hex)
{
    for (unsigned i = 0; i < ring->count; i++) {
        unsigned char hmac[crypto_auth_hmacsha256_BYTES];
        char expected[HMAC_TEXT + 1];
        sign(&ring->pads[i], text, length, hmac);
        (void)sodium_bin2hex(expected, sizeof expected, hmac, sizeof hmac);
        if (sodium_memcmp(expected, hex, HMAC_TEXT) == 0) {
            return true;
        }
    }
    return false;
}

/* A decimal number up to `end`; false for anything else. Moves *at behind end. */
static bool read_number(const char **at, char end, int64_t max, int64_t *ret_number)
{
    char digits[24];
    const char *stop = strchr(*at, end);
    size_t length = stop != NULL ? (size_t)(stop - *at) : sizeof digits;
    if (length >= sizeof digits) {
        return false;
    }
    memcpy(digits, *at, length);
    digits[length] = '\0';
    *at = stop + 1;
    return text_number(digits, 0, max, ret_number);
}

static bool read_grant(const char *text, size_t length, struct edge_grant *grant)
{
    const char *end = text + length;
    int64_t version = 0;
    if (!read_number(&text, '~', INT64_MAX / 1000, &grant->expires_s) ||
        !read_number(&text, '.', INT64_MAX, &grant->track_id) ||
        !read_number(&text, '.', INT32_MAX, &version) || text > end) {
        return false;
    }
    grant->version = (int)version;
    return manifest_ceiling_parse(text, (size_t)(end - text), &grant->ceiling);
}

int edge_token_verify(struct edge_keys *keys, const char *token, int64_t now_ms,
                      struct edge_grant *ret_grant)
{
    const char *last = strrchr(token, '~');
    size_t length = last != NULL ? (size_t)(last - token) : 0;
    struct edge_grant grant;
    if (last == NULL || strlen(last + 1) != HMAC_TEXT || length >= EDGE_TOKEN_SIZE) {
        return ERR_FORBIDDEN;
    }
    if (!is_signed(atomic_load(&keys->ring), token, length, last + 1)) {
        refresh(keys); /* another process may just have rotated */
        if (!is_signed(atomic_load(&keys->ring), token, length, last + 1)) {
            return ERR_FORBIDDEN;
        }
    }
    if (!read_grant(token, length, &grant) || grant.expires_s * 1000 <= now_ms) {
        return ERR_FORBIDDEN;
    }
    *ret_grant = grant;
    return 0;
}
