/* Key files on disk, for keys.c: a JWK with the private part (RFC 8037 section 2) a signing key,
 * 32 raw bytes for the seal key. Files are 0600, written to a temporary name, synced, then linked
 * or renamed into place. Any thread; blocks. */
#pragma once

#include "service/identity/keys.h"

int key_directory_make(const char *path, struct problem *problem);
/* The directory's modification time, ns; 0 while it is too fresh to tell two changes apart. */
int64_t key_directory_stamp(const char *path);
/* Reads at most KEY_RING_MAX keys. ERR_INVALID: others can read a file; ERR_CORRUPT: its text is no
 * key. */
int key_files_read(const char *path, struct signing_key keys[KEY_RING_MAX], unsigned *ret_count,
                   struct problem *problem);
int key_file_make(const char *path, int64_t created_ms, struct problem *problem);
void key_file_remove(const char *path, const char *id);
/* Makes it when it is missing. */
int seal_key_file_read(const char *path, unsigned char ret_key[SEAL_KEY_BYTES],
                       struct problem *problem);
