/* What a picture's header says, read without decoding a pixel: so a picture of 100,000 × 100,000 is
 * refused before any memory is taken for it. JPEG, PNG, WebP and GIF. Pure
 * functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum picture_type { PICTURE_JPEG, PICTURE_PNG, PICTURE_WEBP, PICTURE_GIF };

struct picture {
    enum picture_type type;
    uint32_t width, height;
};

/* Takes all chunks out of a PNG but those that make its (first) picture, in place, and zeroes what
 * is left over: texts and colour profiles unpack to a thousand times their size in the decoder, and
 * nothing of them is used. Returns the new length; what is cut off or broken stays for the decoder
 * to refuse. */
size_t picture_strip_png(uint8_t *bytes, size_t length);

/* 0; ERR_MEDIA_TYPE: none of these; ERR_CORRUPT: cut off before its size, or of size 0. */
int picture_read_header(const uint8_t *bytes, size_t length, struct picture *ret_picture);
