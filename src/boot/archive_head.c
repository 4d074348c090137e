/* The head of an archive (archive.h has its layout): the key from a secret, and the checks. */
#include "boot/archive_head.h"

#include "base/error.h"
#include "base/problem.h"

#include <endian.h>
#include <string.h>
#include <unistd.h>

static const char magic[8] = {'T', 'U', 'T', 'T', 'I', 'B', 'A', 'K'};

enum { BY_PASSPHRASE = 1, BY_KEY_FILE = 2 };

/* Half a second on a small server, and no more memory than it has. */
enum { OPERATIONS = 4, MEMORY_BYTES = 64 * 1024 * 1024 };
/* What a head may ask for, so that a foreign file can't take all memory. */
enum { OPERATIONS_MAX = 64, MEMORY_BYTES_MAX = 1024 * 1024 * 1024 };

static const size_t checked_bytes = offsetof(struct archive_head, key_check);
static const size_t summed_bytes = offsetof(struct archive_head, checksum);

static int derive(const struct archive_head *head, const struct archive_secret *secret,
                  unsigned char *key)
{
    const size_t key_bytes = crypto_secretstream_xchacha20poly1305_KEYBYTES;
    if (secret->is_key_file) {
        (void)crypto_generichash(key, key_bytes, secret->bytes, secret->length, head->salt,
                                 sizeof head->salt);
        return 0;
    }
    return crypto_pwhash(key, key_bytes, (const char *)secret->bytes, secret->length, head->salt,
                         le64toh(head->operations), le64toh(head->memory_bytes),
                         crypto_pwhash_ALG_ARGON2ID13) == 0
               ? 0
               : ERR_NO_MEMORY;
}

int archive_head_make(struct archive_head *head, const struct archive_secret *secret,
                      int64_t created_ms,
                      unsigned char ret_key[crypto_secretstream_xchacha20poly1305_KEYBYTES])
{
    *head = (struct archive_head){
        .version = htole32(ARCHIVE_VERSION),
        .source = htole32(secret->is_key_file ? BY_KEY_FILE : BY_PASSPHRASE),
        .created_ms = htole64((uint64_t)created_ms),
        .operations = htole64(OPERATIONS),
        .memory_bytes = htole64(MEMORY_BYTES),
    };
    memcpy(head->magic, magic, sizeof magic);
    randombytes_buf(head->salt, sizeof head->salt);
    return derive(head, secret, ret_key);
}

static void key_check(const struct archive_head *head, const unsigned char *key,
                      unsigned char out[16])
{
    (void)crypto_generichash(out, 16, (const unsigned char *)head, checked_bytes, key,
                             crypto_secretstream_xchacha20poly1305_KEYBYTES);
}

static void checksum(const struct archive_head *head, unsigned char out[32])
{
    (void)crypto_generichash(out, 32, (const unsigned char *)head, summed_bytes, NULL, 0);
}

void archive_head_seal(struct archive_head *head, const unsigned char *key)
{
    key_check(head, key, head->key_check);
    checksum(head, head->checksum);
}

bool archive_head_begins(int fd)
{
    char bytes[sizeof magic];
    return pread(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes &&
           memcmp(bytes, magic, sizeof magic) == 0;
}

int archive_head_check(const struct archive_head *head, const char *path, struct problem *problem)
{
    if (memcmp(head->magic, magic, sizeof magic) != 0) {
        return problem_set(problem, ERR_CORRUPT, "%s is no backup of Tutti", path);
    }
    uint32_t version = le32toh(head->version);
    if (version > ARCHIVE_VERSION) {
        return problem_set(
            problem, ERR_VERSION,
            "%s is a backup of format %u, made by a newer version of Tutti; this one "
            "reads up to %d",
            path, version, ARCHIVE_VERSION);
    }
    unsigned char expected[32];
    checksum(head, expected);
    uint32_t source = le32toh(head->source);
    if (memcmp(expected, head->checksum, sizeof expected) != 0 ||
        (source != BY_PASSPHRASE && source != BY_KEY_FILE) ||
        le64toh(head->operations) > OPERATIONS_MAX ||
        le64toh(head->memory_bytes) > MEMORY_BYTES_MAX) {
        return problem_set(problem, ERR_CORRUPT, "%s is damaged: its head is not what was written",
                           path);
    }
    return 0;
}

int archive_head_open(const struct archive_head *head, const struct archive_secret *secret,
                      const char *path, unsigned char *ret_key, struct problem *problem)
{
    bool by_key_file = le32toh(head->source) == BY_KEY_FILE;
    if (by_key_file != secret->is_key_file) {
        return problem_set(problem, ERR_INVALID, "%s was sealed with a %s; give that", path,
                           by_key_file ? "key file (--key-file)" : "passphrase");
    }
    int error = derive(head, secret, ret_key);
    if (error != 0) {
        return problem_set(problem, error, "There is not enough memory to derive the key");
    }
    unsigned char expected[16];
    key_check(head, ret_key, expected);
    if (sodium_memcmp(expected, head->key_check, sizeof expected) != 0) {
        return problem_set(problem, ERR_FORBIDDEN, "%s was sealed with another %s", path,
                           by_key_file ? "key file" : "passphrase");
    }
    return 0;
}
