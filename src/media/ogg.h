/* How an Ogg file ends. Its pages say nothing of the length, but the last page of a stream carries
 * a mark, so a file whose last page has none was cut off (RFC 3533, section 6). */
#pragma once

#include <stdbool.h>

struct AVIOContext;

/* Whether the file was cut off: its last page is torn, or has no end mark. False when there is no
 * page near the end, which is for others to judge. Leaves the position where it was. */
bool ogg_is_cut(struct AVIOContext *io);
