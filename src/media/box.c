/* Writing MP4 boxes (box.h). */
#include "media/box.h"

static void big_endian(struct buffer *out, uint64_t value, unsigned bytes)
{
    uint8_t digits[8];
    for (unsigned i = 0; i < bytes; i++) {
        digits[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    (void)buffer_append(out, digits, bytes);
}

void box_u8(struct buffer *out, unsigned value)
{
    big_endian(out, value, 1);
}

void box_u16(struct buffer *out, unsigned value)
{
    big_endian(out, value, 2);
}

void box_u32(struct buffer *out, uint64_t value)
{
    big_endian(out, value, 4);
}

void box_u64(struct buffer *out, uint64_t value)
{
    big_endian(out, value, 8);
}

void box_zeros(struct buffer *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        box_u8(out, 0);
    }
}

void box_text(struct buffer *out, const char *text)
{
    (void)buffer_add(out, text);
}

size_t box_begin(struct buffer *out, const char type[4])
{
    size_t begin = out->length;
    box_u32(out, 0);
    (void)buffer_append(out, type, 4);
    return begin;
}

size_t box_begin_full(struct buffer *out, const char type[4], unsigned version, unsigned flags)
{
    size_t begin = box_begin(out, type);
    box_u8(out, version);
    big_endian(out, flags, 3);
    return begin;
}

void box_patch_u32(struct buffer *out, size_t at, uint64_t value)
{
    if (buffer_error(out) != 0) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        out->data[at + i] = (char)(uint8_t)(value >> (8 * (3 - i)));
    }
}

void box_end(struct buffer *out, size_t begin)
{
    box_patch_u32(out, begin, out->length - begin);
}
