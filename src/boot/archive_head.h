/* The head of an archive (archive.h), for its writer and its reader. */
#pragma once

#include "boot/archive.h"

#include <sodium.h>

enum {
    ARCHIVE_VERSION = 1,
    ARCHIVE_MESSAGE_BYTES = 65536,
    ARCHIVE_SEALED_BYTES = ARCHIVE_MESSAGE_BYTES + crypto_secretstream_xchacha20poly1305_ABYTES,
    ARCHIVE_ENTRY_HEAD_BYTES = 14,
};

struct archive_head {
    char magic[8];
    uint32_t version, source;
    uint64_t created_ms, operations, memory_bytes;
    unsigned char salt[16];
    unsigned char stream[24];
    unsigned char key_check[16];
    unsigned char checksum[32];
};
_Static_assert(sizeof(struct archive_head) == 128, "the layout on disk");
_Static_assert(sizeof(((struct archive_head *)0)->stream) ==
                   crypto_secretstream_xchacha20poly1305_HEADERBYTES,
               "the stream's header");

/* Fills in all but the stream's header and the checks, and derives the key. ERR_NO_MEMORY. */
int archive_head_make(struct archive_head *head, const struct archive_secret *secret,
                      int64_t created_ms,
                      unsigned char ret_key[crypto_secretstream_xchacha20poly1305_KEYBYTES]);
/* Fills in the checks, once all else is there. */
void archive_head_seal(struct archive_head *head, const unsigned char *key);
/* Whether the file begins as an archive does, of whatever version and however damaged. */
bool archive_head_begins(int fd);
/* ERR_CORRUPT or ERR_VERSION, in words that name the file. */
int archive_head_check(const struct archive_head *head, const char *path, struct problem *problem);
/* The key of a checked head. ERR_FORBIDDEN: the secret is another. */
int archive_head_open(const struct archive_head *head, const struct archive_secret *secret,
                      const char *path, unsigned char *ret_key, struct problem *problem);
