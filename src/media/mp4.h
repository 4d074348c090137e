/* Whether an MP4 file lacks its end. Its index (moov) may stand behind the sound, so a file without
 * one was cut off; one whose index is there but can't be read is damaged. */
#pragma once

#include <stdbool.h>

struct AVIOContext;

/* Whether a box of the file's own level reaches past its end, or no index is there at all. Leaves
 * the position where it was. */
bool mp4_is_cut(struct AVIOContext *io);
