/* Descriptors of sealed files (base/seal.h): the store keeps everything encrypted, and no plain
 * byte of a source or an output touches the disk, not even a temporary file's. What reads and
 * writes descriptors does it here, by position; a descriptor that no key was given for is plain.
 *
 * One chunk of each sealed descriptor is kept opened; it is sealed and written when another is
 * wanted. Begun and forgotten by the main thread, between jobs; within a job each descriptor is one
 * thread's at a time (the encoders have threads of their own). In the sandbox it needs no more than
 * pread, pwrite and getrandom. */
#pragma once

#include "base/seal.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The descriptor's file is sealed with this key. plain_bytes: what it holds; an output begins with
 * 0. ERR_TOO_LARGE: more descriptors than a job has; ERR_NO_MEMORY. */
int sealed_begin(int fd, const unsigned char key[SEAL_KEY_BYTES], int64_t plain_bytes);
/* Forgets all keys and what was not written. */
void sealed_forget(void);
/* As pread and pwrite, of the plain bytes; the whole length, or for a read up to the end of what
 * was written. -1 with errno: EIO where a chunk is not what was sealed. */
ssize_t sealed_pread(int fd, void *bytes, size_t length, int64_t offset);
ssize_t sealed_pwrite(int fd, const void *bytes, size_t length, int64_t offset);
/* An output is whole: its last chunk is written and marked as the last. Does nothing the second
 * time and for plain descriptors. 0 or an error. */
int sealed_finish(int fd);
