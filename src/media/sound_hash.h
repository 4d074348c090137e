/* A name for the sound of a file that outlives its tags: a hash of the ends of what lies between
 * them, and of its length. A file that is moved, or whose tags are written anew, keeps it. It is
 * found without decoding: by the boxes, blocks, chunks or pages of the container, and for all else
 * by cutting ID3v2 off the front and ID3v1, Lyrics3 and APEv2 off the end. */
#pragma once

#include <stdint.h>

enum { SOUND_HASH_BYTES = 16, SOUND_HASH_TEXT = 33, SOUND_HASH_END_BYTES = 16 * 1024 };

/* Reads the descriptor by position; two ends of SOUND_HASH_END_BYTES at most (Ogg: of pages around
 * them). 32 hexadecimal digits and NUL. 0, ERR_IO. */
int sound_hash(int fd, int64_t bytes, char out[SOUND_HASH_TEXT]);
