/* The file of a backup: entries (a name, a mode, bytes) in one sealed stream, so that whoever finds
 * it learns nothing, and a flipped bit, a missing end or a piece of another file is refused.
 *
 *   offset  size  what (integers little-endian)
 *        0     8  "TUTTIBAK"
 *        8     4  version of the format, 1
 *       12     4  where the key comes from: 1 a passphrase (Argon2id), 2 a key file (BLAKE2b)
 *       16     8  when it was made, ms
 *       24     8  Argon2id's operations limit
 *       32     8  Argon2id's memory limit, bytes
 *       40    16  salt
 *       56    24  header of the stream (libsodium's secretstream, XChaCha20-Poly1305)
 *       80    16  BLAKE2b of the 80 before under the key: tells a wrong key from damage
 *       96    32  BLAKE2b of the 96 before: tells damage without the key
 *      128        the stream: messages of 65,536 bytes, each 17 longer when sealed, the header
 * above being additional data of the first; the last one may be shorter and is tagged final, and
 * nothing follows it
 *
 * In the stream an entry is: u32 mode, u64 bytes, u16 length of the name, the name, the bytes. An
 * entry without a name ends it.
 *
 * Used by one thread at a time, by backup.c and restore.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problem;

enum {
    ARCHIVE_NAME_MAX = 255,
    ARCHIVE_SECRET_MAX = 4096,
    ARCHIVE_SECRET_MIN = 8,    /* of a passphrase */
    ARCHIVE_KEY_FILE_MIN = 32, /* bytes of a key file */
};

/* What opens an archive. The caller wipes it. */
struct archive_secret {
    bool is_key_file; /* random bytes of a file, else a passphrase */
    size_t length;
    unsigned char bytes[ARCHIVE_SECRET_MAX];
};

/* Writing: into PATH.part, which becomes PATH at commit, durably. After a failure the writer does
 * nothing more and commit tells. ERR_BUSY: another process writes the same archive. */
struct archive_writer;
int archive_write_open(const char *path, const struct archive_secret *secret, int64_t created_ms,
                       struct archive_writer **ret_writer, struct problem *problem);
/* An entry of exactly so many bytes, which follow by archive_write. */
int archive_write_begin(struct archive_writer *writer, const char *name, unsigned mode,
                        uint64_t bytes);
int archive_write(struct archive_writer *writer, const void *bytes, size_t length);
/* What went wrong so far, with words; 0: nothing. */
int archive_write_error(const struct archive_writer *writer, struct problem *problem);
/* Ends and frees the writer, also on failure; *ret_bytes is the file's length. */
int archive_write_commit(struct archive_writer *writer, uint64_t *ret_bytes,
                         struct problem *problem);
void archive_write_abort(struct archive_writer *writer); /* NULL is fine */

/* What can be told of an archive without its secret. ERR_VERSION: of a newer format; ERR_CORRUPT:
 * no archive, or a damaged one. */
struct archive_about {
    bool by_key_file;
    int64_t created_ms;
    uint64_t bytes; /* of the file */
};
int archive_look(const char *path, struct archive_about *ret_about, struct problem *problem);

/* Reading. ERR_FORBIDDEN: another secret made it. Nothing is given out that was not authenticated;
 * that the archive is whole is known once next returned 0. */
struct archive_reader;
struct archive_entry {
    char name[ARCHIVE_NAME_MAX + 1];
    unsigned mode;
    uint64_t bytes;
};
int archive_read_open(const char *path, const struct archive_secret *secret,
                      struct archive_reader **ret_reader, struct problem *problem);
/* 1: an entry, 0: the end, negative: an error. All bytes of the entry before must have been read.
 */
int archive_read_next(struct archive_reader *reader, struct archive_entry *ret_entry,
                      struct problem *problem);
/* Exactly length bytes of the entry. */
int archive_read(struct archive_reader *reader, void *bytes, size_t length,
                 struct problem *problem);
void archive_read_close(struct archive_reader *reader); /* NULL is fine */
