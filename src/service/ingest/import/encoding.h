/* Text that lies among people's music, whatever wrote it: cue sheets, lyrics, names of files. Pure;
 * memory of the arena. */
#pragma once

#include "base/arena.h"

#include <stddef.h>

/* UTF-16 where its mark says so, UTF-8 where it is valid, else Windows-1252; as UTF-8 without mark
 * and without NULs, which become spaces. NULL: out of memory. */
char *encoding_to_utf8(struct arena *arena, const char *bytes, size_t length);
/* A byte of Windows-1252 as UTF-8, three bytes at most; what follows it. */
char *encoding_put_windows(char *out, unsigned char byte);
