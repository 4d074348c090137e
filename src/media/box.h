/* Writing MP4 boxes into a growing buffer, big-endian (ISO/IEC 14496-12, 4.2). A box's size is
 * filled in when it ends. Errors stick to the buffer (buffer.h), so nothing here returns one. */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

void box_u8(struct buffer *out, unsigned value);
void box_u16(struct buffer *out, unsigned value);
void box_u32(struct buffer *out, uint64_t value);
void box_u64(struct buffer *out, uint64_t value);
void box_zeros(struct buffer *out, unsigned count);
void box_text(struct buffer *out, const char *text); /* without the NUL */
/* Begins a box, or a full box with version and flags; returns where, for box_end. */
size_t box_begin(struct buffer *out, const char type[4]);
size_t box_begin_full(struct buffer *out, const char type[4], unsigned version, unsigned flags);
void box_end(struct buffer *out, size_t begin);
/* Overwrites the four bytes at a place already written. */
void box_patch_u32(struct buffer *out, size_t at, uint64_t value);
