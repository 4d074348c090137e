/* Picture headers (picture.h): JPEG by ITU-T T.81 annex B, PNG by its IHDR, WebP by RFC 9649,
 * GIF by its logical screen (GIF89a, section 18). */
#include "media/picture.h"

#include "base/error.h"

#include <stdbool.h>
#include <string.h>

static uint32_t big16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t big32(const uint8_t *at)
{
    return big16(at) << 16 | big16(at + 2);
}

static uint32_t little16(const uint8_t *at)
{
    return (uint32_t)at[1] << 8 | at[0];
}

static uint32_t little24(const uint8_t *at)
{
    return (uint32_t)at[2] << 16 | little16(at);
}

/* Start of frame: C0 … CF but C4 (tables), C8 (reserved) and CC (conditioning). */
static bool is_frame_marker(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static int read_jpeg(const uint8_t *bytes, size_t length, struct picture *picture)
{
    size_t at = 2;
    while (at + 9 <= length) {
        if (bytes[at] != 0xff) {
            return ERR_CORRUPT;
        }
        uint8_t marker = bytes[at + 1];
        if (marker == 0xff) { /* fill */
            at++;
        } else if (is_frame_marker(marker)) {
            picture->height = big16(bytes + at + 5);
            picture->width = big16(bytes + at + 7);
            return 0;
        } else if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) { /* no length */
            at += 2;
        } else {
            at += 2 + big16(bytes + at + 2);
        }
    }
    return ERR_CORRUPT;
}

static int read_png(const uint8_t *bytes, size_t length, struct picture *picture)
{
    if (length < 24 || memcmp(bytes + 12, "IHDR", 4) != 0) {
        return ERR_CORRUPT;
    }
    picture->width = big32(bytes + 16);
    picture->height = big32(bytes + 20);
    return 0;
}

size_t picture_strip_png(uint8_t *bytes, size_t length)
{
    static const char *const kept[] = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"};
    enum { SIGNATURE = 8, FRAME = 12 }; /* length, name and checksum around a chunk */
    size_t from = SIGNATURE, to = SIGNATURE;
    while (from < length) {
        size_t left = length - from;
        uint64_t claimed = left >= FRAME ? (uint64_t)big32(bytes + from) + FRAME : left;
        size_t chunk = claimed < left ? (size_t)claimed : left;
        bool keep = false;
        for (size_t i = 0; left >= FRAME && i < sizeof kept / sizeof kept[0]; i++) {
            keep = keep || memcmp(bytes + from + 4, kept[i], 4) == 0;
        }
        if (keep) {
            memmove(bytes + to, bytes + from, chunk);
            to += chunk;
        }
        from += chunk;
    }
    memset(bytes + to, 0, length > to ? length - to : 0);
    return to;
}

static int read_webp(const uint8_t *bytes, size_t length, struct picture *picture)
{
    if (length < 30) {
        return ERR_CORRUPT;
    }
    if (memcmp(bytes + 12, "VP8X", 4) == 0) {
        picture->width = little24(bytes + 24) + 1;
        picture->height = little24(bytes + 27) + 1;
    } else if (memcmp(bytes + 12, "VP8L", 4) == 0) { /* 14 bits each behind the signature 2f */
        uint32_t bits = little16(bytes + 21) | little16(bytes + 23) << 16;
        picture->width = (bits & 0x3fff) + 1;
        picture->height = (bits >> 14 & 0x3fff) + 1;
    } else if (memcmp(bytes + 12, "VP8 ", 4) == 0) {
        picture->width = little16(bytes + 26) & 0x3fff;
        picture->height = little16(bytes + 28) & 0x3fff;
    } else {
        return ERR_CORRUPT;
    }
    return 0;
}

static int read_gif(const uint8_t *bytes, size_t length, struct picture *picture)
{
    if (length < 10) {
        return ERR_CORRUPT;
    }
    picture->width = little16(bytes + 6);
    picture->height = little16(bytes + 8);
    return 0;
}

int picture_read_header(const uint8_t *bytes, size_t length, struct picture *ret_picture)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    struct picture picture = {0};
    int result = ERR_MEDIA_TYPE;
    if (length >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) {
        picture.type = PICTURE_JPEG;
        result = read_jpeg(bytes, length, &picture);
    } else if (length >= sizeof png && memcmp(bytes, png, sizeof png) == 0) {
        picture.type = PICTURE_PNG;
        result = read_png(bytes, length, &picture);
    } else if (length >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) {
        picture.type = PICTURE_WEBP;
        result = read_webp(bytes, length, &picture);
    } else if (length >= 6 &&
               (memcmp(bytes, "GIF87a", 6) == 0 || memcmp(bytes, "GIF89a", 6) == 0)) {
        picture.type = PICTURE_GIF;
        result = read_gif(bytes, length, &picture);
    }
    if (result == 0 && (picture.width == 0 || picture.height == 0)) {
        result = ERR_CORRUPT;
    }
    if (result == 0) {
        *ret_picture = picture;
    }
    return result;
}
