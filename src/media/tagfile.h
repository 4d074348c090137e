/* TagLib behind a C interface: what a sound file says of itself, read from a descriptor. The only
 * C++ of ours is behind it (tagfile.cc), because TagLib 1.13 gives its property map to C++ alone
 * (docs/decisions/0240). Nothing is decoded. The descriptor stays the caller's; nothing is kept
 * between calls; one thread a call. No exception leaves it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TAGFILE_READ_BYTES_MAX = 32 << 20, /* a single tag or box beyond it is not read */
    TAGFILE_VALUES_MAX = 64,           /* of one name */
};

struct tagfile_sound {
    const char *container, *codec; /* static; as decode.h names them */
    int rate, channels, bits;
    int64_t duration_ms;
    bool lossless;
    bool has_picture;
};

/* Told of each value: name in upper case as TagLib's property map has it ("ALBUMARTIST",
 * "MUSICBRAINZ_ALBUMID"), whatever the container calls it; value in UTF-8, length bytes, which may
 * hold any character. A synchronized text (ID3's SYLT) comes as "SYNCEDLYRICS", in the form of an
 * LRC file. */
typedef void tagfile_value(void *context, const char *name, const char *value, size_t length);

/* 0; ERR_MEDIA_TYPE: no kind of file that is known; ERR_TOO_LARGE: a tag beyond
 * TAGFILE_READ_BYTES_MAX; ERR_IO: the descriptor can't be read; ERR_NO_MEMORY. */
int tagfile_read(int fd, int64_t bytes, tagfile_value *value, void *context,
                 struct tagfile_sound *ret_sound);
/* The picture of the front, else the first one: given to write once. Errors as above, or
 * ERR_NOT_FOUND. */
int tagfile_picture(int fd, int64_t bytes,
                    int (*write)(void *context, const void *bytes, size_t length), void *context);

#ifdef __cplusplus
}
#endif
