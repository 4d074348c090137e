/* Text of unknown encoding (encoding.h; Unicode 15, D98 for the mark and D91 for surrogates).
 * Called while a library is gone through, on the import's thread. */
#include "service/ingest/import/encoding.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

enum { REPLACEMENT = 0xfffd };

/* Windows-1252: what it has where Latin-1 has control characters (0x80 … 0x9f). */
static const uint16_t windows[32] = {
    0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};

static char *put_character(char *out, uint32_t code)
{
    utf8proc_int32_t point = code == 0 ? ' ' : (utf8proc_int32_t)code;
    return out + utf8proc_encode_char(point, (utf8proc_uint8_t *)out);
}

char *encoding_put_windows(char *out, unsigned char byte)
{
    return put_character(out, byte >= 0x80 && byte < 0xa0 ? windows[byte - 0x80] : byte);
}

static uint32_t unit_at(const unsigned char *bytes, bool little)
{
    return little ? (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8
                  : (uint32_t)bytes[1] | (uint32_t)bytes[0] << 8;
}

/* A half of a pair alone is nothing; an odd byte at the end neither. */
static void from_utf16(const unsigned char *bytes, size_t length, bool little, char *out)
{
    for (size_t at = 0; at + 1 < length; at += 2) {
        uint32_t code = unit_at(bytes + at, little);
        if (code >= 0xd800 && code < 0xdc00 && at + 3 < length) {
            uint32_t low = unit_at(bytes + at + 2, little);
            bool pair = low >= 0xdc00 && low < 0xe000;
            code = pair ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : REPLACEMENT;
            at += pair ? 2 : 0;
        }
        out = put_character(out, code >= 0xd800 && code < 0xe000 ? REPLACEMENT : code);
    }
}

static void from_bytes(const unsigned char *bytes, size_t length, bool utf8, char *out)
{
    for (size_t i = 0; i < length; i++) {
        if (utf8 && bytes[i] != 0) {
            *out++ = (char)bytes[i];
        } else {
            out = encoding_put_windows(out, bytes[i]);
        }
    }
}

char *encoding_to_utf8(struct arena *arena, const char *bytes, size_t length)
{
    const unsigned char *from = (const unsigned char *)bytes;
    bool little = length >= 2 && from[0] == 0xff && from[1] == 0xfe;
    bool big = length >= 2 && from[0] == 0xfe && from[1] == 0xff;
    char *text = arena_alloc(arena, 3 * length + 1); /* zeroed; a byte becomes three at most */
    if (text == NULL) {
        return NULL;
    }
    if (little || big) {
        from_utf16(from + 2, length - 2, little, text);
        return text;
    }
    size_t mark = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    from_bytes(from + mark, length - mark, text_is_utf8(bytes + mark, length - mark), text);
    return text;
}
