/* Tags of sound files that TagLib does not know (raw AAC): libavformat opens them and goes through
 * their packets, which tells their exact length too. Nothing is decoded. */
#pragma once

#include "media/tagfile.h"

/* As tagfile_read; ERR_MEDIA_TYPE: it is of no kind that can be decoded either. */
int tags_libav_read(int fd, int64_t bytes, tagfile_value *value, void *context,
                    struct tagfile_sound *ret_sound);
